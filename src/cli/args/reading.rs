//! What to read a snapshot with: which files, as of which moment, how strictly, and what opens encrypted values. Which
//! families are read is left to `which`.

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use ekvsnap::error::Error;
use ekvsnap::load::{AsOf, Input, LoadOptions, OnError};
use ekvsnap::snapshot::encryption::Keyring;
use ekvsnap::snapshot::{Hlc, locate, newest_in};

use super::AdapterArgs;
use crate::cli::exit::UsageError;

/// What to read.
#[derive(Args)]
pub struct Inputs {
    /// Snapshot files (*.fsm), a node's data directory (the newest finished snapshot of every group), or - for
    /// standard input. Several make one dump: give one file per Raft group
    #[arg(value_name = "SNAPSHOT")]
    snapshots: Vec<PathBuf>,

    /// A snapshot file; the same as naming it without an option
    #[arg(long, value_name = "FILE", help_heading = "Input")]
    input: Vec<PathBuf>,

    /// A folder fsm-snap, of which the newest finished snapshot is read
    #[arg(long, value_name = "DIR", help_heading = "Input")]
    input_snap_dir: Option<PathBuf>,
}

impl Inputs {
    /// The snapshots, in the order in which they are read.
    pub fn locate(&self) -> anyhow::Result<Vec<Input>> {
        let mut paths: Vec<PathBuf> = self.snapshots.iter().chain(&self.input).cloned().collect();
        if let Some(directory) = &self.input_snap_dir {
            paths.push(newest_in(directory)?);
        }
        if paths.is_empty() {
            return Err(UsageError(
                "no snapshot given: name files, a node's data directory, or - for standard input".into(),
            )
            .into());
        }
        inputs_at(paths)
    }

    /// The paths as given, which an output must not replace.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.snapshots.iter().chain(&self.input).chain(&self.input_snap_dir).cloned().collect()
    }
}

/// The snapshots that paths stand for, in the order in which they are read.
pub fn inputs_at(paths: Vec<PathBuf>) -> anyhow::Result<Vec<Input>> {
    let (stdin, files): (Vec<_>, Vec<_>) = paths.into_iter().partition(|path| path.as_os_str() == "-");
    if stdin.len() > 1 {
        return Err(UsageError("standard input (-) can be read only once".into()).into());
    }
    if !stdin.is_empty() && io::stdin().is_terminal() {
        return Err(UsageError("standard input (-) is a terminal: pipe a snapshot into it".into()).into());
    }
    let mut inputs: Vec<Input> = locate(&files)?.into_iter().map(Input::File).collect();
    inputs.extend(stdin.first().map(|_| Input::Stdin));
    Ok(inputs)
}

/// Which rows to read, and how strictly.
#[derive(Args)]
pub struct ReadArgs {
    /// Read the store as it was at this moment: an HLC timestamp, an RFC 3339 time, or `consistent` for the latest
    /// moment that all of several groups reach. Commit timestamps run some seconds ahead of the wall clock, so a wall
    /// time can miss the last seconds before it
    #[arg(long, value_name = "WHEN", value_parser = parse_as_of, help_heading = "What to read")]
    as_of: Option<AsOf>,

    /// What to do with a malformed row: stop with an error, or keep it in the staging table `quarantine`, go on, and
    /// exit with status 1
    #[arg(
        long,
        value_enum,
        default_value_t = OnErrorArg::Stop,
        value_name = "WHAT",
        help_heading = "What to read"
    )]
    on_error: OnErrorArg,
}

impl ReadArgs {
    /// With the adapters whose rows are to be staged.
    pub fn options(&self, adapters: &AdapterArgs, keys: Option<Arc<Keyring>>) -> LoadOptions {
        LoadOptions {
            as_of: self.as_of.unwrap_or_default(),
            on_error: match self.on_error {
                OnErrorArg::Stop => OnError::Stop,
                OnErrorArg::Quarantine => OnError::Quarantine,
            },
            adapters: adapters.names(),
            self_contained: false,
            keys,
        }
    }

    /// Was a moment given?
    pub fn has_moment(&self) -> bool {
        self.as_of.is_some()
    }
}

/// How to read into a database that stays.
#[derive(Args)]
pub struct LoadArgs {
    #[command(flatten)]
    read: ReadArgs,

    /// Put values over 32 KiB into the staging database, too. Otherwise it refers to them, and an export needs the
    /// snapshot
    #[arg(long, help_heading = "What to read")]
    self_contained: bool,

    /// Start over, even if the same run has been interrupted and could go on; a staging database of another run is
    /// replaced
    #[arg(long, help_heading = "What to read")]
    pub restart: bool,
}

impl LoadArgs {
    /// With the adapters whose rows are to be staged.
    pub fn options(&self, adapters: &AdapterArgs, keys: Option<Arc<Keyring>>) -> LoadOptions {
        LoadOptions { self_contained: self.self_contained, ..self.read.options(adapters, keys) }
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum OnErrorArg {
    Stop,
    Quarantine,
}

fn parse_as_of(text: &str) -> Result<AsOf, String> {
    if text == "consistent" {
        return Ok(AsOf::Consistent);
    }
    Hlc::from_str(text)
        .map(AsOf::At)
        .map_err(|error| format!("{error}; `consistent` is the third possibility"))
}

/// What opens encrypted values.
#[derive(Args)]
pub struct KeyArgs {
    /// The sidecar of a node of the cluster (keys.json), copied after the snapshot was taken: the keys of encrypted
    /// values, wrapped. The staging database holds the values in the clear and is made with mode 0600; the keys are kept
    /// nowhere, so a run that goes on, or an export of values over 32 KiB, needs them again
    #[arg(long, value_name = "FILE", requires = "kek_file", help_heading = "Encryption")]
    keys: Option<PathBuf>,

    /// The key-encryption key that opens the sidecar: a file of 32 raw bytes, which nobody else should be able to read
    #[arg(long, value_name = "FILE", requires = "keys", help_heading = "Encryption")]
    kek_file: Option<PathBuf>,
}

impl KeyArgs {
    /// Reads both files, if they were given.
    pub fn read(&self) -> anyhow::Result<Option<Arc<Keyring>>> {
        let (Some(keys), Some(kek)) = (&self.keys, &self.kek_file) else { return Ok(None) };
        let (keyring, mode) = Keyring::read(keys, kek).map_err(Error::from)?;
        if let Some(mode) = mode {
            let kek = kek.display();
            tracing::warn!(
                "{kek} has mode {mode:04o}: others than its owner can get at the key-encryption key, with which a node \
                 would not start"
            );
        }
        Ok(Some(Arc::new(keyring)))
    }

    /// Their paths as given, which an output must not replace.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.keys.iter().chain(&self.kek_file).cloned().collect()
    }
}
