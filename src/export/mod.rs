//! An export: staged rows in, a whole directory tree out, or none. Families write their parts; this module puts
//! KEYMAP, MANIFEST and CHECKSUMS beside them and gives the tree its name. What an interrupted export leaves for the next
//! is the business of `resume`.

mod manifest;
mod resume;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::Connection;

use self::resume::{Notes, begin, sync};
pub use self::resume::{finish, published};
use crate::dump::checksums;
use crate::dump::keymap;
use crate::dump::target::{PartialDump, beside, plain};
use crate::dump::tree::{CHECKSUMS, MANIFEST, Tree};
use crate::error::Error;
use crate::family::{ADAPTERS, Choices, Export, ExportError, Exported, named, snapshot_time};
use crate::progress::{Phase, Progress};
use crate::report::Report;
use crate::snapshot::Hlc;
use crate::snapshot::encryption::Keyring;
use crate::staging::{Kind, LargeValues, Staging, StagingError, WrittenFiles, column};

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
    /// The keys for large values that lie encrypted in their snapshot.
    pub keys: Option<Arc<Keyring>>,
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
    let output = partial.output().to_owned();
    let written = write(staging, &partial, options, progress).and_then(|dumped| {
        sync(staging, &partial)?;
        Ok(dumped)
    });
    match written {
        Ok(dumped) => {
            partial.publish()?;
            finish(staging, &output)?;
            progress.end();
            Ok(dumped)
        }
        Err(error) => {
            if error.is_of_keys() {
                partial.keep_if_found();
            } else if error.is_worth_another_try() {
                partial.keep();
            }
            Err(error)
        }
    }
}

/// What was staged, as far as it says something of this export.
fn report(staging: &Staging, options: &ExportOptions) -> Result<Report, StagingError> {
    let mut report = Report::of_adapters(staging, &options.adapters)?;
    report.warnings.retain(|warning| {
        Kind::from_name(warning.kind).is_none_or(|kind| options.choices.are_concerned_by(kind))
    });
    Ok(report)
}

/// Writes everything that a dump consists of, but does not give it its name.
fn write(
    staging: &Staging,
    partial: &PartialDump,
    options: &ExportOptions,
    progress: &dyn Progress,
) -> Result<Dumped, Error> {
    let mut report = report(staging, options)?;
    if !report.complete {
        return Err(StagingError::Incomplete(staging.path().to_owned()).into());
    }
    for adapter in &options.adapters {
        if !report.adapters.contains(adapter) {
            let (staging, adapter) = (staging.path().to_owned(), adapter.clone());
            return Err(Error::NotStaged { staging, adapter });
        }
    }
    let connection = staging.connection();
    let large_values = LargeValues::new(connection, options.keys.clone());
    // Nobody should wait for half a dump to hear of it.
    for family in options.adapters.iter().filter_map(|adapter| named(adapter)) {
        large_values.check_keys(family.classes())?;
    }
    progress.begin(Phase::Export, Some(report.families.iter().map(|family| family.keys).sum()));

    let mut left = begin(staging, partial, options)?;
    let mut written_before = left.files.then(|| WrittenFiles::new(connection));
    connection.execute_batch("BEGIN")?;
    let mut tree = Tree::new(partial.path(), options.threads)?;
    let mut notes = Notes::new(connection);
    let as_of = report.as_of.map(Hlc);
    let mut exported = Vec::new();
    for adapter in ADAPTERS.into_iter().filter(|name| options.adapters.iter().any(|asked| asked == name)) {
        let Some(family) = named(adapter) else { continue };
        let scopes: Vec<String> =
            options.scopes.iter().filter(|(of, _)| of == adapter).map(|(_, name)| name.clone()).collect();
        let mut written = |tree: &mut Tree, keys| {
            progress.advance(keys);
            let stop = progress.is_interrupted();
            if stop {
                tree.settle()?;
            }
            notes.take(tree)?;
            if stop {
                notes.commit(tree)?;
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
            only: None,
            written_before: written_before.as_mut(),
            unfinished: &mut left.unfinished,
            written: &mut written,
        })?;
        for (kind, warning) in done.warnings.iter() {
            report.add_warning(kind, warning.count, warning.samples.clone());
        }
        exported.push((adapter, done));
    }
    write_keymaps(connection, &mut tree)?;
    let root = tree.directory("")?;
    tree.begin(&root, MANIFEST.as_bytes());
    let manifest = manifest::manifest(&report, options, &exported).to_bytes().map_err(Error::Manifest)?;
    tree.content().extend_from_slice(&manifest);
    tree.end()?;
    tree.settle()?;
    notes.take(&mut tree)?;
    notes.commit(&tree)?;
    drop(notes);

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

fn write_keymaps(connection: &Connection, tree: &mut Tree) -> Result<(), Error> {
    let mut query = connection
        .prepare("SELECT scope, encoded, original, kind FROM dump_keymap ORDER BY scope, original")?;
    let mut rows = query.query([])?;
    let mut scope = String::new();
    while let Some(row) = rows.next()? {
        let (here, encoded, kind): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(3)?);
        if here != scope {
            if !scope.is_empty() {
                tree.end()?;
            }
            let directory = tree.directory(&here)?;
            tree.begin(&directory, keymap::FILE_NAME.as_bytes());
            scope = here;
        }
        let original = column::blob(row, 2)?;
        keymap::push_line(&encoded, original, &kind, tree.content());
        tree.spill()?;
    }
    if !scope.is_empty() {
        tree.end()?;
    }
    Ok(())
}

fn write_checksums(connection: &Connection, tree: &mut Tree) -> Result<(), Error> {
    let root = tree.directory("")?;
    tree.begin(&root, CHECKSUMS.as_bytes());
    let mut query = connection.prepare("SELECT path, sha256 FROM dump_file ORDER BY path")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let sha256: [u8; 32] = row.get(1)?;
        let path = column::blob(row, 0)?;
        checksums::push_line(path, &sha256, tree.content());
        tree.spill()?;
    }
    tree.end()?;
    tree.settle()?;
    Ok(())
}

/// Where a run puts a staging database that nobody asked for: beside the dump.
pub fn staging_beside(output: &Path) -> PathBuf {
    beside(&plain(output), ".staging.db")
}
