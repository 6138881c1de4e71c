//! An export: staged rows in, a whole directory tree out, or none. Families write their parts; this module puts
//! KEYMAP, MANIFEST and CHECKSUMS beside them and gives the tree its name.

use std::io;
mod manifest;

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::dump::checksums;
use crate::dump::keymap;
use crate::dump::manifest::Manifest;
use crate::dump::target::{DirectoryId, PartialDump, beside};
use crate::dump::tree::Tree;
use crate::error::Error;
use crate::family::{ADAPTERS, Choices, Export, ExportError, Exported, named, snapshot_time};
use crate::progress::{Phase, Progress};
use crate::report::Report;
use crate::snapshot::Hlc;
use crate::staging::{BulkInsert, Cell, Conflict, LargeValues, Staging, StagingError, Table};

const FILES: Table = Table { name: "dump_file", columns: &["path", "bytes", "sha256"], key: 1 };

/// Sums of finished files are written down once there are this many.
const SUMS: usize = 256;

/// A transaction is committed after this many files: what a killed export has to write again.
const COMMIT_FILES: usize = 8192;

/// How to export.
#[derive(Clone, Debug)]
pub struct ExportOptions {
    /// The adapters to export.
    pub adapters: Vec<String>,
    /// Adapter and name of a database, table, bucket or queue: of that adapter only these.
    pub scopes: Vec<(String, String)>,
    /// What is written, beyond adapters and scopes.
    pub choices: Choices,
    /// For the manifest; empty if unknown.
    pub cluster_id: String,
    /// For the manifest; empty if unknown.
    pub elastickv_version: String,
    /// For the manifest: RFC 3339 with three digits of milliseconds.
    pub wall_time: String,
    /// Threads that write files.
    pub threads: usize,
}

/// What an export wrote.
#[derive(Clone, Debug)]
pub struct Dumped {
    /// Keys per adapter.
    pub keys: Vec<(&'static str, u64)>,
    /// Regular files, MANIFEST and CHECKSUMS included.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Scopes that were asked for and hold nothing.
    pub missing_scopes: Vec<(String, String)>,
    /// What was staged, limited to the adapters exported.
    pub report: Report,
}

/// Writes a dump.
///
/// # Errors
/// Whatever keeps the tree from being written whole. What is written by then stays for the next run if that can go on
/// with it, and is removed otherwise.
pub fn export(
    staging: &Staging,
    mut partial: PartialDump,
    options: &ExportOptions,
    progress: &dyn Progress,
) -> Result<Dumped, Error> {
    match write(staging, &partial, options, progress) {
        Ok(dumped) => {
            partial.publish()?;
            finish(staging)?;
            progress.end();
            Ok(dumped)
        }
        Err(error) => {
            if error.is_worth_another_try() {
                partial.keep();
            }
            Err(error)
        }
    }
}

/// The dump that an earlier run of the same export has published without living to finish; `None` if there is none. A
/// finished one counts as well if `finished` says so: when the database should be gone.
///
/// # Errors
/// Whatever the database says; the manifest cannot be read.
pub fn published(
    staging: &Staging,
    output: &Path,
    options: &ExportOptions,
    finished: bool,
) -> Result<Option<Dumped>, Error> {
    let plan = plan(output, options);
    let is_ours = |name| -> Result<bool, Error> { Ok(staging.fact::<String>(name)?.as_ref() == Some(&plan)) };
    let directory = staging.fact::<String>("export_directory")?.map(DirectoryId);
    if directory.is_none()
        || directory != DirectoryId::at(output)
        || !(is_ours("export_plan")? || finished && is_ours("export_finished")?)
    {
        return Ok(None);
    }
    let size = |name| std::fs::metadata(output.join(name)).map(|metadata| metadata.len());
    let read = std::fs::read(output.join("MANIFEST.json"))
        .and_then(|bytes| Manifest::parse(&bytes).map_err(io::Error::other))
        .and_then(|manifest| Ok((manifest, size("CHECKSUMS")?)));
    // Somebody has been there since.
    let Ok((manifest, checksums)) = read else { return Ok(None) };
    let exported = exported_in(&manifest);
    let dumped =
        dumped(staging, options, exported, Report::of_adapters(staging, &options.adapters)?, checksums)?;
    finish(staging)?;
    tracing::info!("the dump had been written to its end already");
    Ok(Some(dumped))
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
            Some((adapter, Exported { keys, scopes }))
        })
        .collect()
}

/// Notes that the dump is complete, and is where it belongs.
fn finish(staging: &Staging) -> Result<(), StagingError> {
    staging.connection().execute_batch(
        "UPDATE OR REPLACE run SET name = 'export_finished' WHERE name = 'export_plan' AND value IS NOT NULL",
    )?;
    staging.end_unsynced()
}

/// Writes everything that a dump consists of, but does not give it its name.
fn write(
    staging: &Staging,
    partial: &PartialDump,
    options: &ExportOptions,
    progress: &dyn Progress,
) -> Result<Dumped, Error> {
    let report = Report::of_adapters(staging, &options.adapters)?;
    if !report.complete {
        return Err(StagingError::Incomplete(staging.path().to_owned()).into());
    }
    for adapter in &options.adapters {
        if !report.adapters.contains(adapter) {
            let (staging, adapter) = (staging.path().to_owned(), adapter.clone());
            return Err(Error::NotStaged { staging, adapter });
        }
    }
    progress.begin(Phase::Export, Some(report.families.iter().map(|family| family.keys).sum()));

    let connection = staging.connection();
    let resumed = begin(staging, partial, options)?;
    connection.execute_batch("BEGIN")?;
    let mut tree = Tree::new(partial.path(), options.threads)?;
    let mut uncommitted = 0;
    let mut files = BulkInsert::new(connection, &FILES, Conflict::Refuse)?;
    let large_values = LargeValues::new(connection);
    let as_of = report.as_of.map(Hlc);
    let mut exported = Vec::new();
    for adapter in ADAPTERS.into_iter().filter(|name| options.adapters.iter().any(|asked| asked == name)) {
        let Some(family) = named(adapter) else { continue };
        let scopes: Vec<String> =
            options.scopes.iter().filter(|(of, _)| of == adapter).map(|(_, name)| name.clone()).collect();
        let mut written = |tree: &mut Tree| {
            progress.advance(1);
            let stop = progress.is_interrupted();
            if stop {
                tree.settle()?;
            }
            if stop || tree.undrained() >= SUMS {
                uncommitted += note_files(&mut files, tree)?;
            }
            if stop || uncommitted >= COMMIT_FILES {
                files.flush()?;
                connection.execute_batch("COMMIT; BEGIN")?;
                uncommitted = 0;
            }
            if stop { Err(ExportError::Interrupted) } else { Ok(()) }
        };
        let done = family.export(&mut Export {
            staging,
            large_values: &large_values,
            tree: &mut tree,
            snapshot_ms: snapshot_time(as_of, report.last_commit_ts()),
            choices: &options.choices,
            scopes: &scopes,
            resumed,
            written: &mut written,
        })?;
        exported.push((adapter, done));
    }
    write_keymaps(connection, &mut tree)?;
    let root = tree.directory("")?;
    tree.begin(&root, b"MANIFEST.json");
    let manifest = manifest::manifest(&report, options, &exported).to_bytes().map_err(Error::Manifest)?;
    tree.content().extend_from_slice(&manifest);
    tree.end()?;
    tree.settle()?;
    note_files(&mut files, &mut tree)?;
    files.flush()?;
    drop(files);

    write_checksums(connection, &mut tree)?;
    let mut checksums = 0;
    tree.drain_sums(|sum| checksums = sum.bytes);
    drop(tree);
    connection.execute_batch("COMMIT")?;
    if progress.is_interrupted() {
        return Err(Error::Interrupted);
    }
    dumped(staging, options, exported, report, checksums)
}

/// The outcome of an export, whose files stand in `dump_file`, except for CHECKSUMS.
fn dumped(
    staging: &Staging,
    options: &ExportOptions,
    exported: Vec<(&'static str, Exported)>,
    report: Report,
    checksums: u64,
) -> Result<Dumped, Error> {
    let (count, bytes): (i64, i64) = staging.connection().query_row(
        "SELECT count(*), coalesce(sum(bytes), 0) FROM dump_file",
        [],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let is_there = |(adapter, name): &&(String, String)| {
        // A database may be given by the name of its folder.
        let name = if adapter == "redis" { name.trim_start_matches("db_") } else { name };
        exported
            .iter()
            .any(|(exported, done)| adapter == exported && done.scopes.iter().any(|one| one == name))
    };
    Ok(Dumped {
        missing_scopes: options.scopes.iter().filter(|scope| !is_there(scope)).cloned().collect(),
        keys: exported.iter().map(|(adapter, done)| (*adapter, done.keys)).collect(),
        files: count.cast_unsigned() + 1,
        bytes: bytes.cast_unsigned() + checksums,
        report,
    })
}

/// Does the tree hold what the same export, interrupted, has left? The files that it finished are then in `dump_file`;
/// otherwise whatever lies there is removed.
fn begin(staging: &Staging, partial: &PartialDump, options: &ExportOptions) -> Result<bool, Error> {
    let plan = plan(partial.output(), options);
    let begun = staging.fact::<String>("export_plan")?;
    let directory = staging.fact::<String>("export_directory")?.map(DirectoryId);
    staging.begin_unsynced()?;
    let resumed = begun.as_ref() == Some(&plan) && directory.as_ref() == Some(partial.id());
    let connection = staging.connection();
    if resumed {
        tracing::info!("going on with the export that was interrupted");
    } else {
        partial.clear()?;
        connection.execute_batch(
            "BEGIN; DELETE FROM dump_file; DELETE FROM dump_keymap; \
             DELETE FROM run WHERE name = 'export_finished'",
        )?;
        staging.set_fact("export_plan", plan)?;
        staging.set_fact("export_directory", &partial.id().0)?;
        connection.execute_batch("COMMIT")?;
    }
    // Written anew at the end of every run.
    connection.execute_batch(
        "DELETE FROM dump_file WHERE path = CAST('MANIFEST.json' AS BLOB) \
         OR path IN (SELECT CAST(scope || '/KEYMAP.jsonl' AS BLOB) FROM dump_keymap)",
    )?;
    Ok(resumed)
}

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

/// Writes down which files are finished, and says how many.
fn note_files(files: &mut BulkInsert<'_>, tree: &mut Tree) -> Result<usize, ExportError> {
    let count = tree.undrained();
    let mut result = Ok(());
    tree.drain_sums(|sum| {
        if result.is_ok() {
            let bytes = Cell::integer(sum.bytes.cast_signed());
            result = files.push([Cell::blob(sum.path), bytes, Cell::blob(&sum.sha256)]);
        }
    });
    result?;
    Ok(count)
}

fn write_keymaps(connection: &Connection, tree: &mut Tree) -> Result<(), Error> {
    let mut query =
        connection.prepare("SELECT scope, encoded, original FROM dump_keymap ORDER BY scope, original")?;
    let mut rows = query.query([])?;
    let mut scope = String::new();
    while let Some(row) = rows.next()? {
        let (here, encoded): (String, String) = (row.get(0)?, row.get(1)?);
        if here != scope {
            if !scope.is_empty() {
                tree.end()?;
            }
            let directory = tree.directory(&here)?;
            tree.begin(&directory, b"KEYMAP.jsonl");
            scope = here;
        }
        let original = row.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?;
        keymap::push_line(encoded.as_bytes(), original, tree.content());
        tree.spill()?;
    }
    if !scope.is_empty() {
        tree.end()?;
    }
    Ok(())
}

fn write_checksums(connection: &Connection, tree: &mut Tree) -> Result<(), Error> {
    let root = tree.directory("")?;
    tree.begin(&root, b"CHECKSUMS");
    let mut query = connection.prepare("SELECT path, sha256 FROM dump_file ORDER BY path")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let sha256: [u8; 32] = row.get(1)?;
        let path = row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?;
        checksums::push_line(path, &sha256, tree.content());
        tree.spill()?;
    }
    tree.end()?;
    tree.settle()?;
    Ok(())
}

/// Where a run puts a staging database that nobody asked for: beside the dump.
pub fn staging_beside(output: &Path) -> PathBuf {
    // Without `/` at its end.
    beside(&output.components().collect::<PathBuf>(), ".staging.db")
}
