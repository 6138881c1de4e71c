//! The names that do not lead back to their key: does every line of a KEYMAP lead to a file, and a line to every file
//! that needs one? (`docs/format/dump.md` section 1, `docs/format/s3.md` section 3.5.)

use rusqlite::{Connection, ErrorCode, OptionalExtension};
use sha2::{Digest, Sha256};

use super::Dump;
use super::inventory::{Line, Lines};
use super::layout::File;
use crate::dump::keymap::{Entry, MAX_LINE_BYTES, parse_line};
use crate::dump::name::{looks_like_fallback, push_fallback};
use crate::progress::Progress;
use crate::snapshot::Readable;
use crate::verify::finding::{Finding, Kind};
use crate::verify::{Findings, VerifyError};

impl Dump<'_> {
    /// Reads every KEYMAP, whatever part of the files is looked at otherwise.
    pub(in crate::verify) fn follow_keymaps(
        &self,
        progress: &dyn Progress,
        findings: &mut Findings<'_>,
    ) -> Result<(), VerifyError> {
        let mut query = self.scratch.prepare(
            "SELECT path FROM found WHERE substr(path, -12) = CAST('KEYMAP.jsonl' AS BLOB) ORDER BY path",
        )?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            let path = row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?;
            if let Some(scope) = File::keymap_scope(path) {
                self.follow(path, scope, progress, findings)?;
            }
        }
        let mut query = self.scratch.prepare(
            "SELECT path, scope FROM fallback f WHERE NOT EXISTS \
             (SELECT 1 FROM keymap k WHERE k.scope = f.scope AND k.encoded = f.name) ORDER BY path",
        )?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            let path = row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?;
            let scope = row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
            let detail = format!("{}/KEYMAP.jsonl has no line for its name", Readable(scope));
            findings(Finding::new(Kind::KeymapEntryMissing, path, detail));
        }
        Ok(())
    }

    fn follow(
        &self,
        path: &[u8],
        scope: &[u8],
        progress: &dyn Progress,
        findings: &mut Findings<'_>,
    ) -> Result<(), VerifyError> {
        let mut lines = match self.file(path) {
            Ok(file) => Lines::new(file, MAX_LINE_BYTES),
            Err(error) => {
                findings(Finding::new(Kind::FileUnreadable, path, error.to_string()));
                return Ok(());
            }
        };
        loop {
            if progress.is_interrupted() {
                return Err(VerifyError::Interrupted);
            }
            let (offset, line) = match lines.next() {
                Ok(Some(line)) => line,
                Ok(None) => return Ok(()),
                Err(error) => {
                    findings(Finding::new(Kind::FileUnreadable, path, error.to_string()));
                    return Ok(());
                }
            };
            let entry = match line {
                Line::Whole(line) => parse_line(line),
                Line::TooLong | Line::Unended => None,
            };
            let Some(entry) = entry else {
                let detail = "this line does not say which name stands for which key";
                findings(Finding::new(Kind::KeymapMalformed, path, detail).at(offset));
                continue;
            };
            let found = |kind, detail: &str| {
                let detail = format!("{} {detail}", Readable(entry.encoded.as_bytes()));
                Finding::new(kind, path, detail).at(offset).of_key(&entry.original)
            };
            let name = match name_of(&entry) {
                Some(name) => name,
                None => {
                    findings(found(Kind::KeymapMismatch, "is not the name of this key"));
                    entry.encoded.as_bytes().to_vec()
                }
            };
            if !enter(&self.scratch, scope, &name, &entry.original)? {
                findings(found(Kind::KeymapDuplicate, "or this key stands in an earlier line, too"));
            }
            if !self.leads_to_a_file(scope, &name)? {
                findings(found(Kind::KeymapDangling, "is not there"));
            }
        }
    }

    fn leads_to_a_file(&self, scope: &[u8], name: &[u8]) -> rusqlite::Result<bool> {
        let (sql, second) = if scope.starts_with(b"s3/") {
            ("SELECT 1 FROM found WHERE path = ?1 || ?2", [b"/", name].concat())
        } else {
            ("SELECT 1 FROM fallback WHERE scope = ?1 AND name = ?2", name.to_vec())
        };
        // Two blobs make a text.
        let sql = sql.replace("?1 || ?2", "CAST(?1 || ?2 AS BLOB)");
        self.scratch
            .prepare_cached(&sql)?
            .query_row((scope, second), |_| Ok(()))
            .optional()
            .map(|row| row.is_some())
    }
}

/// The name of an entry as it stands in the tree; `None` if it is not that of its key. A name that is no fallback is its
/// key with a suffix, whose bytes may not be UTF-8.
fn name_of(entry: &Entry<'_>) -> Option<Vec<u8>> {
    let mut fallback = Vec::new();
    let _ = push_fallback(&entry.original, &mut fallback);
    if fallback == entry.encoded.as_bytes() {
        return Some(fallback);
    }
    let suffix = entry.encoded.strip_prefix(&*String::from_utf8_lossy(&entry.original))?;
    let is_renamed = !suffix.is_empty() && !looks_like_fallback(entry.encoded.as_bytes());
    is_renamed.then(|| [&entry.original, suffix.as_bytes()].concat())
}

/// Enters a name with its key; false if either is there already.
fn enter(scratch: &Connection, scope: &[u8], name: &[u8], original: &[u8]) -> rusqlite::Result<bool> {
    // A key may be long, and is only compared.
    let original = Sha256::digest(original).to_vec();
    let mut insert =
        scratch.prepare_cached("INSERT INTO keymap (scope, encoded, original) VALUES (?, ?, ?)")?;
    match insert.execute((scope, name, original)) {
        Ok(_) => Ok(true),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => Ok(false),
        Err(error) => Err(error),
    }
}
