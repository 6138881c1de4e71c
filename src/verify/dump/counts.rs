//! What the manifest says of the files, in numbers, and what there is (`docs/format/dump.md` section 4).

use super::layout::{File, Keys};
use crate::dump::manifest::Manifest;
use crate::dump::tree::MANIFEST;
use crate::family::ADAPTERS;
use crate::verify::Findings;
use crate::verify::finding::{Finding, Kind};

/// The files of a dump, counted as the manifest counts them.
#[derive(Default)]
pub struct Counts([Count; ADAPTERS.len()]);

#[derive(Clone, Copy, Default)]
struct Count {
    files: u64,
    scopes: u64,
    keys: u64,
    /// Do some of them stand in files of many lines, which have to be read?
    in_lines: bool,
}

impl Counts {
    fn of(&mut self, file: &File<'_>) -> Option<&mut Count> {
        let adapter = ADAPTERS.iter().position(|name| name.as_bytes() == file.adapter)?;
        self.0.get_mut(adapter)
    }

    /// Takes a file by its path.
    pub fn add_file(&mut self, file: &File<'_>) {
        if let Some(count) = self.of(file) {
            count.files += 1;
            count.scopes += u64::from(file.is_scope);
            count.keys += u64::from(file.keys == Keys::One);
            count.in_lines |= file.keys == Keys::Lines;
        }
    }

    /// Takes one more key, of the file of this path.
    pub fn add_one(&mut self, path: &[u8]) {
        if let Some(count) = self.of(&File::of(path)) {
            count.keys += 1;
        }
    }

    /// Takes the lines of a file that was read.
    pub fn add_lines(&mut self, path: &[u8], lines: u64) {
        let file = File::of(path);
        if file.keys == Keys::Lines
            && let Some(count) = self.of(&file)
        {
            count.keys += lines;
        }
    }

    /// Compares with the manifest; keys in lines only if every file was read.
    pub fn compare(&self, manifest: &Manifest, is_all_read: bool, findings: &mut Findings<'_>) {
        let mut differs = |detail| findings(Finding::new(Kind::CountMismatch, MANIFEST.as_bytes(), detail));
        let adapters = &manifest.adapters;
        // Redis has one database, and no file that stands for it.
        let scopes = [
            ("tables", adapters.dynamodb.as_ref().map(|part| part.tables.len())),
            ("buckets", adapters.s3.as_ref().map(|part| part.buckets.len())),
            ("databases", adapters.redis.as_ref().map(|part| part.databases.len())),
            ("queues", adapters.sqs.as_ref().map(|part| part.queues.len())),
        ];
        for ((adapter, count), (name, scopes)) in ADAPTERS.into_iter().zip(self.0).zip(scopes) {
            let Some(stated) = scopes.map(|scopes| scopes as u64) else {
                if count.files > 0 {
                    differs(format!("it does not name {adapter}, of which there are {} files", count.files));
                }
                continue;
            };
            let there = if adapter == "redis" { u64::from(count.keys > 0) } else { count.scopes };
            if stated != there {
                differs(format!("it names {stated} {name} of {adapter}, there are {there}"));
            }
            let keys = manifest
                .decode
                .as_ref()
                .and_then(|decode| decode.keys.0.iter().find(|(of, _)| of == adapter).map(|(_, keys)| *keys));
            if let Some(stated) = keys.filter(|keys| (is_all_read || !count.in_lines) && *keys != count.keys)
            {
                differs(format!("it counts {stated} keys of {adapter}, there are {}", count.keys));
            }
        }
    }
}
