//! A dump: is every file there that CHECKSUMS lists, and none else, with the bytes that were written, and do MANIFEST and
//! KEYMAP say what is there? (`docs/format/dump.md`.)
//!
//! `inventory` says which files there are, `contents` reads them, `keymap` follows the names, `counts` compares with the
//! manifest; `layout` knows what a path stands for. A dump may have more files than fit into memory: their names are
//! sorted in a temporary database of SQLite's own, which is gone with its connection.

mod contents;
mod counts;
mod inventory;
mod keymap;
mod layout;

use std::os::fd::OwnedFd;
use std::path::Path;

use rusqlite::Connection;
use rustix::fs::{Mode, OFlags, open, openat};
use sha2::{Digest, Sha256};

use self::contents::Job;
use self::counts::Counts;
use super::finding::{Finding, Kind};
use super::{Findings, VerifyError};
use crate::dump::manifest::{Manifest, ManifestError};
use crate::dump::tree::{CHECKSUMS, MANIFEST};
use crate::error::Error;
use crate::progress::{Phase, Progress};
use crate::snapshot::newest_in;

/// Page cache of the temporary database, in KiB.
const CACHE_KIB: i64 = 8 << 10;

/// Files that are handed to the readers at a time.
const JOBS: usize = 512;

/// Longest manifest that is read, in bytes: the names in it are those of tables, buckets and queues.
const MAX_MANIFEST_BYTES: u64 = 16 << 20;

/// A part of the files, chosen by their paths: the parts of one whole have no file in common and leave none out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subset {
    part: u64,
    of: u64,
}

impl Subset {
    /// All files.
    pub const ALL: Self = Self { part: 1, of: 1 };

    /// The part of this number, from 1 on, of so many; `None` if there is no such part.
    pub fn new(part: u64, of: u64) -> Option<Self> {
        (1..=of).contains(&part).then_some(Self { part, of })
    }

    /// Is the file of this path in it?
    pub fn holds(self, path: &[u8]) -> bool {
        let [a, b, c, d, e, f, g, h, ..] = <[u8; 32]>::from(Sha256::digest(path));
        u64::from_be_bytes([a, b, c, d, e, f, g, h]) % self.of == self.part - 1
    }
}

/// How to verify a dump.
#[derive(Clone, Copy, Debug)]
pub struct DumpOptions {
    /// The files whose bytes are read; which files are there is always looked at.
    pub subset: Subset,
    /// Threads that read files.
    pub threads: usize,
}

/// What was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DumpChecked {
    /// Regular files in the dump.
    pub files: u64,
    /// Files that were read.
    pub files_read: u64,
    /// Their bytes.
    pub bytes_read: u64,
}

/// Is it a dump, whole or not? A folder of snapshots may have sums of its own.
pub fn is_dump(path: &Path) -> bool {
    path.join(MANIFEST).is_file() || path.join(CHECKSUMS).is_file() && newest_in(path).is_err()
}

/// Looks at a dump, and says what is wrong with it.
///
/// # Errors
/// It cannot be read at all, or a newer version made it.
pub fn verify_dump(
    path: &Path,
    options: DumpOptions,
    progress: &dyn Progress,
    findings: &mut Findings<'_>,
) -> Result<DumpChecked, Error> {
    let dump = Dump::open(path)?;
    // A newer format may differ in everything.
    let manifest = dump.manifest(findings)?;
    progress.begin(Phase::Verify, None);
    let checked = dump.look(manifest.as_ref(), options, progress, findings)?;
    progress.end();
    Ok(checked)
}

/// A dump, with the temporary database of its files.
pub(super) struct Dump<'p> {
    path: &'p Path,
    root: OwnedFd,
    scratch: Connection,
}

impl<'p> Dump<'p> {
    pub fn open(path: &'p Path) -> Result<Self, VerifyError> {
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = open(path, flags, Mode::empty())
            .map_err(|error| VerifyError::Unreadable { path: path.to_owned(), source: error.into() })?;
        // Without a name it is a file of SQLite's own, in SQLITE_TMPDIR or TMPDIR.
        let scratch = Connection::open("")?;
        scratch.pragma_update(None, "journal_mode", "OFF")?;
        scratch.pragma_update(None, "synchronous", "OFF")?;
        scratch.pragma_update(None, "cache_size", -CACHE_KIB)?;
        scratch.pragma_update(None, "temp_store", "FILE")?;
        scratch.execute_batch(inventory::SCHEMA)?;
        Ok(Self { path, root, scratch })
    }

    /// The lines of CHECKSUMS but that of the file whose name is the parameter, in the order of their paths.
    pub fn listed(&self) -> rusqlite::Result<rusqlite::Statement<'_>> {
        self.scratch.prepare("SELECT path, sha256 FROM listed WHERE path <> CAST(? AS BLOB) ORDER BY path")
    }

    fn file(&self, path: &[u8]) -> std::io::Result<std::fs::File> {
        open_file(&self.root, path)
    }

    /// What the manifest says; `None` if nothing can be made of it.
    pub fn manifest(&self, findings: &mut Findings<'_>) -> Result<Option<Manifest>, Error> {
        use std::io::Read;
        let file = match self.file(MANIFEST.as_bytes()) {
            Ok(file) => file,
            Err(error) => {
                findings(Finding::new(Kind::ManifestMissing, MANIFEST.as_bytes(), error.to_string()));
                return Ok(None);
            }
        };
        let mut bytes = Vec::new();
        let read = file.take(MAX_MANIFEST_BYTES + 1).read_to_end(&mut bytes);
        let detail = match read {
            Err(error) => error.to_string(),
            Ok(length) if length as u64 > MAX_MANIFEST_BYTES => {
                format!("it has more than {MAX_MANIFEST_BYTES} bytes")
            }
            Ok(_) => match Manifest::parse(&bytes) {
                Ok(manifest) => return Ok(Some(manifest)),
                Err(error @ ManifestError::NewerFormat(_)) => {
                    return Err(Error::ManifestRefused { path: self.path.join(MANIFEST), error });
                }
                Err(error) => with_causes(&error),
            },
        };
        findings(Finding::new(Kind::ManifestMalformed, MANIFEST.as_bytes(), detail));
        Ok(None)
    }

    fn look(
        &self,
        manifest: Option<&Manifest>,
        options: DumpOptions,
        progress: &dyn Progress,
        findings: &mut Findings<'_>,
    ) -> Result<DumpChecked, VerifyError> {
        let mut counts = Counts::default();
        let is_listed = self.read_checksums(findings)?;
        let walked = self.walk(options.subset, &mut counts, progress, findings)?;
        if is_listed {
            self.compare_names(findings)?;
        }
        progress.begin(Phase::Verify, Some(walked.bytes_selected));
        let (files_read, bytes_read) = self.read_contents(options, &mut counts, progress, findings)?;
        self.follow_keymaps(progress, findings)?;
        if let Some(manifest) = manifest {
            counts.compare(manifest, options.subset == Subset::ALL, findings);
        }
        Ok(DumpChecked { files: walked.files, files_read, bytes_read })
    }

    /// Reads the files of the subset, and compares their bytes with CHECKSUMS.
    fn read_contents(
        &self,
        options: DumpOptions,
        counts: &mut Counts,
        progress: &dyn Progress,
        findings: &mut Findings<'_>,
    ) -> Result<(u64, u64), VerifyError> {
        let mut query = self.scratch.prepare(
            "SELECT f.path, l.sha256 FROM found f LEFT JOIN listed l ON l.path = f.path \
             WHERE f.selected ORDER BY f.path",
        )?;
        let mut rows = query.query([])?;
        let (mut files, mut bytes, mut jobs) = (0, 0, Vec::new());
        loop {
            let row = rows.next()?;
            let is_last = row.is_none();
            if let Some(row) = row {
                jobs.push(Job { path: row.get(0)?, listed: row.get(1)? });
            }
            if jobs.len() < JOBS && !is_last {
                continue;
            }
            let read = contents::read(&self.root, &jobs, options.threads, progress)?;
            for (job, outcome) in jobs.iter().zip(read) {
                files += 1;
                match outcome {
                    Err(error) => {
                        findings(Finding::new(Kind::FileUnreadable, &job.path, error.to_string()));
                    }
                    Ok(read) => {
                        bytes += read.bytes;
                        counts.add_lines(&job.path, read.lines);
                        contents::judge(job, &read, findings);
                    }
                }
            }
            jobs.clear();
            if is_last {
                return Ok((files, bytes));
            }
        }
    }
}

/// Opens a file below the root; a symbolic link is not followed.
fn open_file(root: &OwnedFd, path: &[u8]) -> std::io::Result<std::fs::File> {
    // A pipe that has taken the place of a file is not waited for.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    Ok(openat(root, path, flags, Mode::empty())?.into())
}

/// An error with its causes, in one line.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        said = format!("{said}: {inner}");
        cause = inner.source();
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_whole_hold_every_path_once() {
        for of in 1..8 {
            let parts: Vec<_> = (1..=of).filter_map(|part| Subset::new(part, of)).collect();
            assert_eq!(parts.len() as u64, of);
            for number in 0..300 {
                let path = format!("redis/db_0/strings/{number}.bin");
                assert_eq!(parts.iter().filter(|part| part.holds(path.as_bytes())).count(), 1);
            }
        }
        assert_eq!([Subset::new(0, 3), Subset::new(4, 3), Subset::new(0, 0)], [None; 3]);
    }
}
