//! What an export notes in the staging database, so that another run of it goes on where it stopped, or finds its dump
//! complete. What is written, and in which order, is left to its parent.
//!
//! **Which files are believed.** Finished files are noted without being synced, so they are there as long as this boot
//! lasts; before the dump gets its name, they and these notes are synced. A run that finds notes of an earlier boot that
//! never came to that starts over.
//!
//! **A dump that is published already.** Everything that tells it from other dumps is on disk before it gets its name:
//! the plan of the export, which directory it is, which one it replaces. So whatever ends a run afterwards, the next one
//! has only to tidy up.

use std::io;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension};

use super::{Dumped, ExportOptions, dumped};
use crate::dump::manifest::Manifest;
use crate::dump::target::{DirectoryId, PartialDump, plain, tidy_up};
use crate::dump::tree::{CHECKSUMS, MANIFEST, Tree, Unfinished};
use crate::error::Error;
use crate::family::{ADAPTERS, ExportError, Exported};
use crate::staging::{Boot, BulkInsert, Cell, Conflict, Kind, Staging, Table};

/// Facts about an export. Of plan and finished at most one is there.
const PLAN: &str = "export_plan";
const FINISHED: &str = "export_finished";
/// The directory that is being written, whatever its name.
const DIRECTORY: &str = "export_directory";
/// The directory that it replaces.
const REPLACED: &str = "export_replaced";
/// The boot in which files are being written; NULL once they are on disk.
const BOOT: &str = "export_boot";

const FILES: Table = Table { name: "dump_file", columns: &["path", "bytes", "sha256"], key: 1 };

/// What is written is committed after this many files …
const COMMIT_FILES: usize = 8192;

/// … or this many bytes: what a killed export has to write again.
const COMMIT_BYTES: u64 = 16 << 20;

/// Everything that decides what the files hold, except those that are written last.
fn plan(output: &Path, options: &ExportOptions) -> String {
    format!(
        "{} to {}, adapters {:?}, scopes {:?}, {:?}",
        env!("CARGO_PKG_VERSION"),
        output.display(),
        options.adapters,
        options.scopes,
        options.choices
    )
}

/// What an earlier run of the same export has left.
#[derive(Default)]
pub(super) struct Left {
    /// Are there finished files, which are then in `dump_file`?
    pub files: bool,
    /// The file that it was writing.
    pub unfinished: Option<Unfinished>,
}

/// Looks what the same export, interrupted, has left in the tree; anything else that lies there is removed.
pub(super) fn begin(
    staging: &Staging,
    partial: &PartialDump,
    options: &ExportOptions,
) -> Result<Left, Error> {
    let plan = plan(partial.output(), options);
    let begun = staging.fact::<String>(PLAN)?;
    let directory = staging.fact::<String>(DIRECTORY)?.map(DirectoryId);
    let (boot, written_in) = (Boot::current(), staging.fact::<String>(BOOT)?);
    staging.begin_unsynced()?;
    let resumed = begun.as_ref() == Some(&plan)
        && directory.as_ref() == Some(partial.id())
        && written_in.is_none_or(|number| boot.is(&number));
    let connection = staging.connection();
    connection.execute_batch("BEGIN")?;
    let mut left = Left { files: resumed, unfinished: None };
    if resumed {
        tracing::info!("going on with the export that was interrupted");
        // Written anew at the end of every run.
        connection.execute_batch(
            "DELETE FROM dump_file WHERE path = CAST('MANIFEST.json' AS BLOB) \
             OR path IN (SELECT CAST(scope || '/KEYMAP.jsonl' AS BLOB) FROM dump_keymap)",
        )?;
        left.unfinished = connection
            .query_row("SELECT path, bytes, sha256_state, position FROM dump_unfinished_file", [], |row| {
                Ok(Unfinished {
                    path: row.get(0)?,
                    bytes: row.get::<_, i64>(1)?.cast_unsigned(),
                    sha256_state: row.get(2)?,
                    position: row.get(3)?,
                })
            })
            .optional()?;
    } else {
        partial.clear()?;
        connection.execute_batch(
            "DELETE FROM dump_file; DELETE FROM dump_unfinished_file; DELETE FROM dump_keymap",
        )?;
        connection.execute("DELETE FROM run WHERE name IN (?, ?)", (FINISHED, REPLACED))?;
        staging.set_fact(PLAN, plan)?;
        staging.set_fact(DIRECTORY, &partial.id().0)?;
    }
    staging.set_fact(BOOT, boot.number())?;
    connection.execute_batch("COMMIT")?;
    Ok(left)
}

/// Notes which files are finished, and how far the one is that is being written.
pub(super) struct Notes<'c> {
    connection: &'c Connection,
    insert: BulkInsert<'c>,
    /// What was finished since the last commit …
    files: usize,
    bytes: u64,
    /// … and how far the unfinished file was then.
    unfinished_bytes: u64,
}

impl<'c> Notes<'c> {
    /// To be called in a transaction.
    pub fn new(connection: &'c Connection) -> Self {
        let insert = BulkInsert::new(connection, &FILES, Conflict::Refuse);
        Self { connection, insert, files: 0, bytes: 0, unfinished_bytes: 0 }
    }

    /// Takes the files that the tree has finished, and commits from time to time.
    pub fn take(&mut self, tree: &mut Tree) -> Result<(), ExportError> {
        let mut result = Ok(());
        tree.drain_sums(|sum| {
            if result.is_ok() {
                let bytes = Cell::integer(sum.bytes.cast_signed());
                result = self.insert.push([Cell::blob(sum.path), bytes, Cell::blob(&sum.sha256)]);
            }
            self.files += 1;
            self.bytes += sum.bytes;
            self.unfinished_bytes = 0;
        });
        result?;
        let unfinished = tree.unfinished().map_or(0, |noted| noted.bytes);
        let bytes = self.bytes + unfinished.saturating_sub(self.unfinished_bytes);
        if self.files >= COMMIT_FILES || bytes >= COMMIT_BYTES { self.commit(tree) } else { Ok(()) }
    }

    /// Commits what was taken.
    pub fn commit(&mut self, tree: &Tree) -> Result<(), ExportError> {
        self.insert.flush()?;
        self.connection.execute("DELETE FROM dump_unfinished_file", [])?;
        (self.files, self.bytes, self.unfinished_bytes) = (0, 0, 0);
        if let Some(Unfinished { path, bytes, sha256_state, position }) = tree.unfinished() {
            self.unfinished_bytes = *bytes;
            self.connection
                .prepare_cached(
                    "INSERT INTO dump_unfinished_file (path, bytes, sha256_state, position) VALUES (?, ?, ?, ?)",
                )?
                .execute((path, bytes.cast_signed(), sha256_state, position))?;
        }
        self.connection.execute_batch("COMMIT; BEGIN")?;
        Ok(())
    }
}

/// Makes everything last: the files, and what tells a later run that the dump is complete, whatever happens from here on.
pub(super) fn sync(staging: &Staging, partial: &PartialDump) -> Result<(), Error> {
    partial.sync()?;
    staging.end_unsynced_with(|| {
        staging.set_fact(BOOT, rusqlite::types::Null)?;
        match DirectoryId::at(partial.output()) {
            Some(replaced) => staging.set_fact(REPLACED, replaced.0),
            // An earlier run may have been killed after it took the old one away.
            None => Ok(()),
        }
    })?;
    Ok(())
}

/// Tidies up after a dump that was published, and notes that nothing is left to do.
///
/// # Errors
/// What the dump has replaced cannot be removed; whatever the database says.
pub fn finish(staging: &Staging, output: &Path) -> Result<(), Error> {
    let replaced = staging.fact::<String>(REPLACED)?.map(DirectoryId);
    tidy_up(&plain(output), replaced.as_ref())?;
    staging.end_unsynced_with(|| {
        let sql = "UPDATE OR REPLACE run SET name = ? WHERE name = ?";
        staging.connection().execute(sql, (FINISHED, PLAN))?;
        Ok(())
    })?;
    Ok(())
}

/// The dump that an earlier run of the same export has published without living to finish; `None` if there is none. A
/// finished one counts as well if `finished` says so: when the database should be gone. What is left to do is [`finish`].
///
/// # Errors
/// Whatever the database says.
pub fn published(
    staging: &Staging,
    output: &Path,
    options: &ExportOptions,
    finished: bool,
) -> Result<Option<Dumped>, Error> {
    let output = &plain(output);
    let plan = plan(output, options);
    let is_ours = |name| -> Result<bool, Error> { Ok(staging.fact::<String>(name)?.as_ref() == Some(&plan)) };
    let directory = staging.fact::<String>(DIRECTORY)?.map(DirectoryId);
    if directory.is_none()
        || directory != DirectoryId::at(output)
        || !(is_ours(PLAN)? || finished && is_ours(FINISHED)?)
    {
        return Ok(None);
    }
    let size = |name| std::fs::metadata(output.join(name)).map(|metadata| metadata.len());
    let read = std::fs::read(output.join(MANIFEST))
        .and_then(|bytes| Manifest::parse(&bytes).map_err(io::Error::other))
        .and_then(|manifest| Ok((manifest, size(CHECKSUMS)?)));
    // Somebody has been there since.
    let Ok((manifest, checksums)) = read else { return Ok(None) };
    // The plan is silent about what only the manifest says.
    if (&manifest.cluster_id, &manifest.elastickv_version)
        != (&options.cluster_id, &options.elastickv_version)
    {
        return Ok(None);
    }
    let mut report = super::report(staging, options)?;
    for (kind, count) in manifest.decode.iter().flat_map(|decode| &decode.warnings.0) {
        // What that run found while it exported; its examples are gone.
        if !report.warnings.iter().any(|known| known.kind == kind)
            && let Some(kind) = Kind::from_name(kind)
        {
            report.add_warning(kind, *count, Vec::new());
        }
    }
    Ok(Some(dumped(staging, options, exported_in(&manifest), report, checksums)?))
}

/// What a manifest says of the families in its dump.
fn exported_in(manifest: &Manifest) -> Vec<(&'static str, Exported)> {
    let scopes = |adapter: &str| match adapter {
        "dynamodb" => manifest.adapters.dynamodb.as_ref().map(|part| part.tables.clone()),
        "s3" => manifest.adapters.s3.as_ref().map(|part| part.buckets.clone()),
        "sqs" => manifest.adapters.sqs.as_ref().map(|part| part.queues.clone()),
        _ => {
            let redis = manifest.adapters.redis.as_ref();
            redis.map(|part| part.databases.iter().map(ToString::to_string).collect())
        }
    };
    let counts = manifest.decode.as_ref().map(|decode| decode.keys.0.as_slice()).unwrap_or_default();
    let keys = |adapter: &str| counts.iter().find(|(name, _)| name == adapter).map(|(_, keys)| *keys);
    ADAPTERS
        .into_iter()
        .filter_map(|adapter| {
            let (keys, scopes) = (keys(adapter)?, scopes(adapter).unwrap_or_default());
            Some((adapter, Exported { keys, scopes, ..Exported::default() }))
        })
        .collect()
}
