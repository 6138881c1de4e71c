//! What `keys`, `get` and `stats` ask: a staging database, or one that is made of snapshots for a single question.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use ekvsnap::error::Error;
use ekvsnap::load::{Input, LoadOptions, load};
use ekvsnap::query::Database;
use ekvsnap::snapshot::encryption::Keyring;
use ekvsnap::staging::{Staging, StagingError};
use tempfile::TempDir;

use super::args::{AdapterArgs, KeyArgs, ReadArgs, inputs_at};
use super::exit::{Status, UsageError, leaving_nothing};
use super::given::Given;
use super::progress::Bars;

/// What to ask.
#[derive(Args)]
pub struct SourceArgs {
    /// A staging database made by `ekvsnap load`; or snapshot files (*.fsm), a node's data directory, or - for standard
    /// input, which are read to their end first
    #[arg(value_name = "SOURCE", required = true)]
    sources: Vec<PathBuf>,

    #[command(flatten)]
    read: ReadArgs,

    #[command(flatten)]
    keys: KeyArgs,
}

/// What can be asked now.
pub struct Source {
    database: Database,
    /// The keys for values that lie encrypted in their snapshot.
    pub keyring: Option<Arc<Keyring>>,
    /// Removed with the database in it.
    _folder: Option<TempDir>,
}

impl SourceArgs {
    /// Opens the database, or makes one in TMPDIR.
    pub fn open(&self, adapters: &AdapterArgs, bars: &Bars) -> anyhow::Result<Source> {
        Source::open(&self.sources, &self.read, self.keys.read()?, adapters, bars)
    }
}

impl Source {
    /// Opens the one database, or makes one of the snapshots, in TMPDIR.
    pub fn open(
        sources: &[PathBuf],
        read: &ReadArgs,
        keyring: Option<Arc<Keyring>>,
        adapters: &AdapterArgs,
        bars: &Bars,
    ) -> anyhow::Result<Self> {
        for path in sources {
            let shown = path.display();
            let why = match Given::at(path) {
                Given::Snapshot => continue,
                Given::Staging if sources.len() > 1 => {
                    format!("{shown} is a staging database: it is asked alone")
                }
                Given::Staging if read.has_moment() => {
                    format!("{shown} holds one moment: --as-of is for snapshots")
                }
                Given::Staging => return Self::of(path.clone(), keyring, None, bars),
                Given::Dump => format!("{shown} is a dump: its keys are its files; give what it was made of"),
            };
            return Err(UsageError(why).into());
        }
        let inputs = inputs_at(sources.to_vec())?;
        let (folder, staging) = load_for_now(&inputs, &read.options(adapters, keyring.clone()), bars)?;
        let path = staging.path().to_owned();
        staging.close().map_err(Error::from)?;
        Self::of(path, keyring, Some(folder), bars)
    }

    fn of(
        path: PathBuf,
        keyring: Option<Arc<Keyring>>,
        folder: Option<TempDir>,
        bars: &Bars,
    ) -> anyhow::Result<Self> {
        let database = Database::open(&path).map_err(Error::from)?;
        if !database.is_complete().map_err(Error::from)? {
            return Err(Error::from(StagingError::Incomplete(path)).into());
        }
        bars.stop(database.connection()).map_err(Error::from)?;
        Ok(Self { database, keyring, _folder: folder })
    }

    /// The database.
    pub fn staging(&self) -> &Staging {
        self.database.staging()
    }

    /// How whole an answer from it is: malformed rows are in none.
    pub fn status(&self) -> anyhow::Result<Status> {
        let sql = "SELECT count(*) FROM quarantine";
        let rows: i64 =
            self.database.connection().query_row(sql, [], |row| row.get(0)).map_err(Error::from)?;
        if rows == 0 {
            return Ok(Status::Whole);
        }
        tracing::warn!(count = rows.cast_unsigned(), "Malformed rows are kept aside and belong to no key.");
        Ok(Status::Incomplete)
    }
}

/// Loads snapshots into a database that is gone with its folder.
pub fn load_for_now(
    inputs: &[Input],
    options: &LoadOptions,
    bars: &Bars,
) -> anyhow::Result<(TempDir, Staging)> {
    let folder = tempfile::tempdir().context("cannot make a temporary directory")?;
    let staging = Staging::create(&folder.path().join("staging.db")).map_err(Error::from)?;
    load(inputs, &staging, options, bars).map_err(leaving_nothing)?;
    Ok((folder, staging))
}
