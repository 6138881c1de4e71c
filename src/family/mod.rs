//! What a family is, and which there are. A family owns its rows (bytes to records), its tables (records to
//! SQLite) and its files (queries to the tree); it knows neither the snapshot's bytes nor how files are created.
//!
//! A new family is a folder here with `rows`, `stage` and `export`, a migration, and a line in [`FAMILIES`].

mod choices;
pub mod dynamodb;
mod go_json;
mod only;
mod position;
pub mod redis;
pub mod s3;
pub mod sqs;
pub mod txn;
mod wire;

use std::borrow::Cow;
use std::io::{self, Read};
use std::sync::Arc;

use rusqlite::Connection;

pub use self::choices::{Choices, DynamoDbLayout};
pub use self::only::{Content, KeyPlace, Only};
use crate::dump::tree::{Directory, Tree, TreeError, Unfinished};
use crate::error::Error;
use crate::progress::Progress;
use crate::snapshot::limits::INLINE_PAYLOAD_BYTES;
use crate::snapshot::{Class, Hlc, Large, Payload, Place, Row, Skipped};
use crate::staging::{
    Cell, Extent, LargeValues, MalformedRow, Staging, StagingError, Warnings, WrittenFiles,
};

/// Values outside the tables go through a buffer of this many bytes, where the kernel does not copy them.
const COPY_BYTES: usize = 64 << 10;

/// Duplicates are taken note of after this many rows, so that they do not pile up in memory.
const ROWS_BETWEEN_NOTES: u32 = 4 << 10;

/// Every family there is.
pub const FAMILIES: &[&dyn Family] = &[&dynamodb::DynamoDb, &s3::S3, &redis::Redis, &sqs::Sqs, &txn::Txn];

/// The adapters a node can speak, in the order of the manifest.
pub const ADAPTERS: [&str; 4] = ["dynamodb", "s3", "redis", "sqs"];

/// The family of this name.
pub fn named(name: &str) -> Option<&'static dyn Family> {
    FAMILIES.iter().copied().find(|family| family.name() == name)
}

/// One family.
pub trait Family: Sync {
    /// The name of the adapter, or of the class of its rows.
    fn name(&self) -> &'static str;

    /// The classes of rows that it stages.
    fn classes(&self) -> &'static [Class];

    /// Prepares to take the rows of one source in; sources are numbered from 0.
    ///
    /// # Errors
    /// Whatever SQLite says.
    fn stage<'c>(&self, staging: &'c Staging, source: i64) -> Result<Box<dyn Stage + 'c>, StagingError>;

    /// Looks at the staged rows as a whole, once they are all there, and notes what is odd about them.
    ///
    /// # Errors
    /// A rule that only shows when rows are seen together, if the run is to stop at malformed rows; whatever SQLite
    /// says.
    fn reconcile(&self, run: &mut Reconcile<'_, '_>) -> Result<(), Error>;

    /// Keys by kind, for people.
    ///
    /// # Errors
    /// Whatever SQLite says.
    fn keys(&self, connection: &Connection) -> Result<Vec<(String, u64)>, StagingError>;

    /// Counts again what its tables keep a count of, and hands over what is counted, the count kept and the one found.
    ///
    /// # Errors
    /// Whatever SQLite says.
    fn count_again(
        &self,
        _connection: &Connection,
        _counted: &mut dyn FnMut(&str, i64, i64),
    ) -> Result<(), StagingError> {
        Ok(())
    }

    /// Where a key could stand that people call `name`: the key itself, or table or bucket, `/` and the key. Whether it is
    /// there, under that name, is left to the view `keys`: places nearby may be among them.
    ///
    /// # Errors
    /// Whatever SQLite says.
    fn places(&self, _connection: &Connection, _name: &[u8]) -> Result<Vec<KeyPlace>, StagingError> {
        Ok(Vec::new())
    }

    /// Writes its part of the tree. Families that never leave a trace in a dump write nothing.
    ///
    /// # Errors
    /// Whatever the database or the tree says.
    fn export(&self, run: &mut Export<'_, '_>) -> Result<Exported, ExportError>;
}

/// A family's way of taking rows in.
pub trait Stage {
    /// Takes one row: a visible one, or any version with a value of a node-local key.
    ///
    /// # Errors
    /// The rule that the row breaks, or whatever SQLite says. After a broken rule nothing of the row is staged.
    fn row(&mut self, row: &Row<'_>, context: &mut Context<'_, '_>) -> Result<(), RowError>;

    /// Sends everything taken so far to the tables.
    ///
    /// # Errors
    /// Whatever SQLite says.
    fn flush(&mut self, context: &mut Context<'_, '_>) -> Result<(), StagingError>;
}

/// What a stage works with.
pub struct Context<'a, 'c> {
    /// The snapshot being read.
    pub source: i64,
    /// Values too long for a row.
    pub large_values: &'a LargeValues<'c>,
    /// What is odd.
    pub warnings: &'a mut Warnings,
}

impl Context<'_, '_> {
    /// A value as its column holds it, taken as it is: the bytes, or the number of a large value.
    ///
    /// # Errors
    /// Whatever SQLite says.
    // A result that comes back through memory is read before it has arrived there, which takes longer than to make it.
    #[inline(always)]
    pub fn cell<'a>(&self, value: Skipped<'a>) -> Result<Cell<'a>, StagingError> {
        match value.payload {
            Payload::Inline(bytes) => Ok(Cell::text_or_blob(bytes.get(value.skipped..).unwrap_or_default())),
            Payload::Large { large, .. } => Ok(Cell::integer(self.save(large, value.skipped)?)),
        }
    }

    #[inline(never)]
    fn save(&self, large: &Large, skipped: usize) -> Result<i64, StagingError> {
        self.large_values.save(self.rest(large, skipped))
    }

    /// A value, read into memory if it is not there yet. The caller has bounded its length.
    ///
    /// # Errors
    /// The snapshot cannot be read again.
    pub fn whole<'a>(&self, value: Skipped<'a>) -> Result<Cow<'a, [u8]>, StagingError> {
        match value.payload {
            Payload::Inline(bytes) => Ok(Cow::Borrowed(bytes.get(value.skipped..).unwrap_or_default())),
            Payload::Large { .. } => {
                let mut bytes = Vec::new();
                let mut reader = self.large_values.open(self.extent(value))?;
                reader.read_to_end(&mut bytes).map_err(StagingError::LargeValue)?;
                Ok(Cow::Owned(bytes))
            }
        }
    }

    /// Where a large value lies; nowhere if it came with its row.
    pub fn extent(&self, value: Skipped<'_>) -> Extent {
        match value.payload {
            Payload::Large { large, .. } => self.rest(large, value.skipped),
            Payload::Inline(_) => Extent::of(self.source, Place::File { offset: 0 }, 0),
        }
    }

    fn rest(&self, &Large { place, length }: &Large, skipped: usize) -> Extent {
        Extent::of(self.source, place, length).slice(skipped as u64, length)
    }
}

/// A rule that a row breaks, in words.
pub type Rule = Box<dyn std::error::Error + Send + Sync>;

/// Why a row was not staged.
#[derive(Debug)]
pub enum RowError {
    /// It breaks a rule of its family's format.
    Malformed(Rule),
    /// The database failed.
    Staging(StagingError),
}

impl RowError {
    /// Of a rule that the row breaks.
    pub fn malformed(rule: impl Into<Rule>) -> Self {
        Self::Malformed(rule.into())
    }
}

impl<E: Into<StagingError>> From<E> for RowError {
    fn from(error: E) -> Self {
        Self::Staging(error.into())
    }
}

/// What becomes of a malformed row: an error that ends the run, or the quarantine.
pub type OnMalformed<'a> = dyn Fn(&MalformedRow<'_>, Rule, &mut Warnings) -> Result<(), Error> + 'a;

/// What looking at the staged rows as a whole works with.
pub struct Reconcile<'a, 'c> {
    /// The staged rows.
    pub staging: &'a Staging,
    /// Values too long for a row.
    pub large_values: &'a LargeValues<'c>,
    /// The snapshot's own time, in Unix ms: expiries are judged against it.
    pub snapshot_ms: i64,
    /// What is odd.
    pub warnings: &'a mut Warnings,
    /// Asked from time to time whether the run should stop.
    pub progress: &'a dyn Progress,
    /// Takes rows that turn out to be malformed; the family takes them out of its tables.
    pub malformed: &'a OnMalformed<'a>,
}

impl Reconcile<'_, '_> {
    /// Hands a row that breaks `rule` to the policy of the run.
    ///
    /// # Errors
    /// The rule, if the run is to stop; whatever SQLite says.
    pub fn malformed(&mut self, row: &MalformedRow<'_>, rule: impl Into<Rule>) -> Result<(), Error> {
        (self.malformed)(row, rule.into(), self.warnings)
    }
}

/// What an export works with.
pub struct Export<'a, 'c> {
    /// The staged rows.
    pub staging: &'a Staging,
    /// Values too long for a row.
    pub large_values: &'a LargeValues<'c>,
    /// The tree being written.
    pub tree: &'a mut Tree,
    /// The snapshot's own time, in Unix ms: expiries are judged against it.
    pub snapshot_ms: i64,
    /// What was asked for beyond adapters and scopes.
    pub choices: &'a Choices,
    /// Databases, tables, buckets or queues to export; empty for all.
    pub scopes: &'a [String],
    /// The one file to export; `None` for all.
    pub only: Option<&'a Only>,
    /// The files that an earlier, interrupted run has in the tree already; `None` if there was none.
    pub written_before: Option<&'a mut WrittenFiles<'c>>,
    /// The file that it was writing, until its turn comes.
    pub unfinished: &'a mut Option<Unfinished>,
    /// Told how many keys were written, also if they are none: a key may be long.
    pub written: &'a mut dyn FnMut(&mut Tree, u64) -> Result<(), ExportError>,
}

/// How far an earlier run came with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun {
    /// To its end, or it is not asked for.
    Written,
    /// It never came to it, or what it wrote is of no use: the file is begun now.
    Now,
    /// To the place of this [`Export::note`]: the file is open there.
    After(Vec<u8>),
}

impl Export<'_, '_> {
    /// Notes a name that does not lead back to its key, for the KEYMAP of the folder `scope`. The name is text.
    ///
    /// # Errors
    /// Whatever SQLite says.
    pub fn note_name(
        &self,
        scope: &str,
        original: &[u8],
        encoded: &[u8],
        kind: &str,
    ) -> Result<(), ExportError> {
        if self.only.is_some() {
            return Ok(());
        }
        self.staging
            .connection()
            .prepare_cached(
                "INSERT OR IGNORE INTO dump_keymap (scope, original, encoded, kind) VALUES (?, ?, ?, ?)",
            )?
            .execute((scope, original, String::from_utf8_lossy(encoded), kind))?;
        Ok(())
    }

    /// Appends a value outside the tables to the file being written.
    ///
    /// # Errors
    /// It cannot be read again; the tree cannot be written.
    pub fn copy(&mut self, extent: Extent) -> Result<(), ExportError> {
        let (tree, large_values) = (&mut *self.tree, self.large_values);
        // Short ones are read here: the kernel's copy would cost more calls than it saves.
        if extent.length > INLINE_PAYLOAD_BYTES as u64
            && let Some(snapshot) = large_values.snapshot(extent)?
        {
            return Ok(tree.copy(&snapshot, extent.start, extent.length)?);
        }
        let mut reader = large_values.open(extent)?;
        let mut left = extent.length;
        while left > 0 {
            let out = tree.content();
            let start = out.len();
            let step = left.min(COPY_BYTES as u64);
            out.resize(start + step as usize, 0);
            reader.read_exact(&mut out[start..]).map_err(ExportError::LargeValue)?;
            left -= step;
            tree.spill()?;
        }
        Ok(())
    }

    /// Begins a file, or goes on with it after the last note. One that is not asked for counts as written.
    ///
    /// # Errors
    /// Whatever SQLite says.
    pub fn begin(
        &mut self,
        content: Content,
        directory: &Arc<Directory>,
        name: &[u8],
    ) -> Result<Begun, ExportError> {
        if !self.wants(content) {
            return Ok(Begun::Written);
        }
        if let Some(written_before) = &mut self.written_before {
            let path = directory.path_of(name);
            if written_before.contains(&path)? {
                return Ok(Begun::Written);
            }
            if let Some(unfinished) = self.unfinished.take_if(|unfinished| unfinished.path == path)
                && self.tree.go_on(directory, name, &unfinished)
            {
                return Ok(Begun::After(unfinished.position));
            }
        }
        self.tree.begin(directory, name);
        Ok(Begun::Now)
    }

    /// Says which part of a long file is complete, once [`Tree::is_note_due`]: another run may go on after it.
    ///
    /// # Errors
    /// A file could not be written; the run is to stop.
    pub fn note(&mut self, position: Vec<u8>) -> Result<(), ExportError> {
        self.tree.note(position)?;
        (self.written)(self.tree, 0)
    }
}

/// What a family has written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Keys in the dump.
    pub keys: u64,
    /// Databases, tables, buckets or queues that hold them.
    pub scopes: Vec<String>,
    /// What is odd, as far as it depends on what was asked for.
    pub warnings: Warnings,
}

/// Why an export ended early.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The staging database failed.
    #[error(transparent)]
    Staging(#[from] StagingError),
    /// The tree could not be written.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// A large value could not be read again.
    #[error("cannot read a large value again")]
    LargeValue(#[source] io::Error),
    /// Somebody asked for the end.
    #[error("interrupted")]
    Interrupted,
}

impl From<rusqlite::Error> for ExportError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Staging(error.into())
    }
}

/// The time that a run judges expiries against: the read timestamp, or the newest commit of the files.
pub fn snapshot_time(as_of: Option<Hlc>, last_commit_ts: Hlc) -> i64 {
    i64::try_from(as_of.unwrap_or(last_commit_ts).unix_ms()).unwrap_or(i64::MAX)
}
