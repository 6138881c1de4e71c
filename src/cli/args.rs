//! Arguments that several commands share, and what they mean together.

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use anyhow::Context;
use bytesize::ByteSize;
use clap::{Args, ValueEnum};
use ekvsnap::error::Error;
use ekvsnap::family::{ADAPTERS, Choices, DynamoDbLayout};
use ekvsnap::keys::{Filter, TYPES, adapters};
use ekvsnap::load::{AsOf, Input, LoadOptions, OnError};
use ekvsnap::snapshot::encryption::Keyring;
use ekvsnap::snapshot::{Hlc, locate, newest_in, rfc3339};
use ekvsnap::staging::Staging;
use jiff::Timestamp;

use super::exit::UsageError;

/// How long a bundle of DynamoDB items gets (`docs/format/dynamodb.md` section 3.6).
pub const BUNDLE_SIZE: ByteSize = ByteSize::mib(64);

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

/// Which families.
#[derive(Args)]
pub struct AdapterArgs {
    /// Only these adapters, of dynamodb, s3, redis and sqs, e.g. `redis,sqs`; rows of others are counted and left out.
    /// Default: all there are
    #[arg(
        long = "adapter",
        visible_alias = "family",
        value_name = "NAME",
        value_delimiter = ',',
        value_parser = ADAPTERS,
        help_heading = "What to read"
    )]
    adapters: Vec<String>,
}

impl AdapterArgs {
    /// Their names, in the order of the manifest; all of them if none is given.
    pub fn names(&self) -> Vec<String> {
        ADAPTERS
            .iter()
            .filter(|name| self.adapters.is_empty() || self.adapters.iter().any(|given| given == *name))
            .map(ToString::to_string)
            .collect()
    }

    /// Those that were given.
    pub fn given(&self) -> Option<Vec<String>> {
        self.are_given().then(|| self.names())
    }

    /// Were any given?
    pub fn are_given(&self) -> bool {
        !self.adapters.is_empty()
    }
}

/// What to write, and how.
#[derive(Args)]
pub struct ExportArgs {
    /// The directory of the dump; missing directories above it are made
    #[arg(long, short, value_name = "DIR", help_heading = "Output")]
    pub output: PathBuf,

    /// Replace a directory that is there already, once the new dump is complete
    #[arg(long, help_heading = "Output")]
    pub force: bool,

    /// Of this adapter only this database, table, bucket or queue, e.g. `redis=0`; repeatable
    #[arg(long = "scope", value_name = "FAMILY=NAME", value_parser = parse_scope, help_heading = "What to write")]
    scopes: Vec<(String, String)>,

    /// Leave out Redis keys whose expiry had passed when the snapshot was taken, and SQS messages whose retention had
    /// been over for ten seconds
    #[arg(long, help_heading = "What to write")]
    drop_expired: bool,

    /// Keep the state of SQS messages: when each becomes visible, how often it was received, its receipt token.
    /// Otherwise all of them are written as never received and visible at once
    #[arg(long, help_heading = "What to write")]
    preserve_sqs_visibility: bool,

    /// Write what SQS keeps beside messages, too, as raw rows in `_internals/side_records.jsonl`: indexes, FIFO
    /// deduplication windows, group locks, sequence numbers, purged generations. Deleted queues get a folder `*.orphan`
    #[arg(long, help_heading = "What to write")]
    include_sqs_side_records: bool,

    /// DynamoDB items as one file each (per-item), or many to a file, one per line (jsonl)
    #[arg(
        long,
        value_enum,
        default_value_t = BundleMode::PerItem,
        value_name = "MODE",
        help_heading = "What to write"
    )]
    dynamodb_bundle_mode: BundleMode,

    /// With `--dynamodb-bundle-mode jsonl`: a file is at most this long, e.g. 500KB; a larger item stands alone.
    /// Default: 64MiB
    #[arg(long, value_name = "SIZE", value_parser = parse_size, help_heading = "What to write")]
    dynamodb_bundle_size: Option<ByteSize>,

    /// Leave out S3 objects whose key cannot be a path here (`..`, `a//b`, names too long, names taken), and exit with
    /// status 1. Otherwise they are written under another name, and the bucket's KEYMAP.jsonl says which key it is
    #[arg(long, help_heading = "What to write")]
    no_rename_collisions: bool,

    /// Rename such objects; this is what happens without any option
    #[arg(long, conflicts_with = "no_rename_collisions", help_heading = "What to write")]
    rename_collisions: bool,

    /// Write down S3 multipart uploads that were begun and not finished, as `_incomplete_uploads/records.jsonl`
    #[arg(long, help_heading = "What to write")]
    include_incomplete_uploads: bool,

    /// Write S3 chunks that belong to no object, below `_orphans`: what overwriting, deleting and aborting left behind
    #[arg(long, help_heading = "What to write")]
    include_orphans: bool,

    /// Name of the cluster, for the manifest
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true, help_heading = "Manifest")]
    cluster_id: String,

    /// Version of the elastickv that wrote the snapshot, for the manifest
    #[arg(
        long,
        value_name = "VERSION",
        default_value = "",
        hide_default_value = true,
        help_heading = "Manifest"
    )]
    elastickv_version: String,

    /// Time of the dump (RFC 3339), with which two dumps of one snapshot are the same to the byte. Default: the
    /// environment variable SOURCE_DATE_EPOCH, or now
    #[arg(long, value_name = "TIME", help_heading = "Manifest")]
    wall_time: Option<Timestamp>,

    /// Threads that write files; the dump is the same whatever their number. Default: as many as the machine has
    #[arg(long, value_name = "N", help_heading = "Output", value_parser = clap::value_parser!(u16).range(1..=64))]
    threads: Option<u16>,
}

impl ExportArgs {
    /// With the adapters to export.
    pub fn options(
        &self,
        adapters: Vec<String>,
        keys: Option<Arc<Keyring>>,
    ) -> anyhow::Result<ekvsnap::export::ExportOptions> {
        if let Some((family, name)) = self.scopes.iter().find(|(family, _)| !adapters.contains(family)) {
            let adapters = adapters.join(",");
            return Err(UsageError(format!(
                "--scope {family}={name} does not go together with --adapter {adapters}, which leaves {family} out"
            ))
            .into());
        }
        let dynamodb_layout = match (self.dynamodb_bundle_mode, self.dynamodb_bundle_size) {
            (BundleMode::PerItem, None) => DynamoDbLayout::PerItem,
            (BundleMode::PerItem, Some(_)) => {
                let why = "--dynamodb-bundle-size needs --dynamodb-bundle-mode jsonl: without it every item is a file";
                return Err(UsageError(why.to_owned()).into());
            }
            (BundleMode::Jsonl, size) => {
                DynamoDbLayout::Jsonl { part_bytes: size.unwrap_or(BUNDLE_SIZE).as_u64() }
            }
        };
        Ok(ekvsnap::export::ExportOptions {
            adapters,
            scopes: self.scopes.clone(),
            choices: Choices {
                drop_expired: self.drop_expired,
                dynamodb_layout,
                rename_s3_collisions: !self.no_rename_collisions,
                include_incomplete_uploads: self.include_incomplete_uploads,
                include_orphans: self.include_orphans,
                preserve_sqs_visibility: self.preserve_sqs_visibility,
                include_sqs_side_records: self.include_sqs_side_records,
            },
            cluster_id: self.cluster_id.clone(),
            elastickv_version: self.elastickv_version.clone(),
            wall_time: self.wall_time()?,
            threads: threads(self.threads),
            keys,
        })
    }

    fn wall_time(&self) -> anyhow::Result<String> {
        let time = match (self.wall_time, std::env::var("SOURCE_DATE_EPOCH")) {
            (Some(time), _) => time,
            (None, Ok(epoch)) => epoch
                .parse()
                .ok()
                .and_then(|seconds| Timestamp::from_second(seconds).ok())
                .ok_or_else(|| {
                    UsageError(format!("SOURCE_DATE_EPOCH is {epoch:?}, not a number of seconds since 1970"))
                })?,
            (None, Err(_)) => Timestamp::now(),
        };
        rfc3339(time.as_millisecond()).context("the wall time is out of range")
    }
}

/// The number of threads, if none is given as many as the machine has.
pub fn threads(given: Option<u16>) -> usize {
    given.map_or_else(|| std::thread::available_parallelism().map_or(1, usize::from), usize::from)
}

#[derive(Clone, Copy, ValueEnum)]
enum BundleMode {
    PerItem,
    Jsonl,
}

pub fn parse_size(text: &str) -> Result<ByteSize, String> {
    let size: ByteSize = text.parse().map_err(|_| "a size has the form 65536, 500KB or 64MiB")?;
    if size.as_u64() == 0 { Err("the size is 0".to_owned()) } else { Ok(size) }
}

pub fn parse_scope(text: &str) -> Result<(String, String), String> {
    let (family, name) = text.split_once('=').ok_or("a scope has the form FAMILY=NAME, e.g. redis=0")?;
    if !ADAPTERS.contains(&family) {
        return Err(format!("no adapter {family:?}; there are {}", ADAPTERS.join(", ")));
    }
    if name.is_empty() {
        return Err("the name after = is empty".to_owned());
    }
    Ok((family.to_owned(), name.to_owned()))
}

/// Which keys.
#[derive(Args)]
pub struct WhichKeys {
    #[command(flatten)]
    adapters: AdapterArgs,

    /// Only keys of this database, table, bucket or queue, e.g. `s3=photos`; repeatable. Of other adapters those named
    /// with --adapter remain
    #[arg(long = "scope", value_name = "FAMILY=NAME", value_parser = parse_scope, help_heading = "Which keys")]
    scopes: Vec<(String, String)>,

    /// Only keys of these types: string, hll, hash, list, set, stream or zset of Redis, item, object, queue; e.g.
    /// `hash,zset`
    #[arg(long = "type", value_name = "TYPE", value_delimiter = ',', value_parser = TYPES, help_heading = "Which keys")]
    types: Vec<String>,
}

impl WhichKeys {
    /// The adapters, to read a snapshot with.
    pub fn adapters(&self) -> &AdapterArgs {
        &self.adapters
    }

    /// The keys of a database that are meant.
    pub fn filter(&self, staging: &Staging) -> anyhow::Result<Filter> {
        let adapters = match (self.adapters.given(), &self.scopes[..]) {
            (None, [_, ..]) => {
                adapters(staging, Some(self.scopes.iter().map(|(family, _)| family.clone()).collect()))?
            }
            (given, _) => adapters(staging, given)?,
        };
        if let Some((family, name)) = self.scopes.iter().find(|(family, _)| !adapters.contains(family)) {
            let adapters = adapters.join(",");
            let why = format!(
                "--scope {family}={name} does not go together with --adapter {adapters}, which leaves {family} out"
            );
            return Err(UsageError(why).into());
        }
        let (scopes, types) = (self.scopes.clone(), self.types.clone());
        Ok(Filter { adapters, scopes, types, ..Filter::default() })
    }
}
