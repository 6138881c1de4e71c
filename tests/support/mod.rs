//! Rows in, a dump and what was said about it out: writes snapshots with the testkit, loads and exports them
//! through the library, and reads the tree back. Holds what every run must keep: a snapshot that comes through a
//! pipe, whose large values are kept in pieces, and one whose values are encrypted, give the same dump and the same
//! warnings as the file, and the views over all families say what the report and the warnings say.

#![allow(dead_code, reason = "every test binary uses its own part of this")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "this is test code")]

pub mod documentation;
pub mod dynamodb;
pub mod expected;
pub mod s3;
pub mod sqs;
pub mod views;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use ekvsnap::dump::target::Target;
use ekvsnap::error::Error;
use ekvsnap::export::{ExportOptions, export};
use ekvsnap::family::{Choices, DynamoDbLayout};
use ekvsnap::load::{AsOf, Input, LoadOptions, OnError, load};
use ekvsnap::progress::Silent;
use ekvsnap::report::Report;
use ekvsnap::snapshot::encryption::Keyring;
use ekvsnap::snapshot::{Hlc, Located};
use ekvsnap::staging::Staging;
use ekvsnap_testkit::encryption::{KeyFiles, encrypt};
use ekvsnap_testkit::sorted::SortedSnapshot;
use ekvsnap_testkit::version::Version;
use rusqlite::Connection;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;

/// The snapshots' own time in Unix ms: expiries are judged against it.
pub const NOW_MS: u64 = 1_714_400_000_000;

/// The snapshots' `last_commit_ts` (HLC).
pub const LAST_COMMIT_TS: u64 = NOW_MS << 16;

/// User key and payload of a visible row.
pub type Row = (Vec<u8>, Vec<u8>);

/// How to decode.
#[derive(Clone, Copy, Debug)]
pub struct How {
    pub adapter: &'static str,
    pub quarantine: bool,
    pub drop_expired: bool,
    pub layout: DynamoDbLayout,
    pub preserve_sqs_visibility: bool,
    pub include_sqs_side_records: bool,
    pub scopes: &'static [&'static str],
    /// HLC.
    pub as_of: Option<u64>,
    pub self_contained: bool,
    pub rename_s3_collisions: bool,
    pub include_incomplete_uploads: bool,
    pub include_orphans: bool,
}

/// The Redis part, as it is.
pub const REDIS: How = How {
    adapter: "redis",
    quarantine: false,
    drop_expired: false,
    layout: DynamoDbLayout::PerItem,
    preserve_sqs_visibility: false,
    include_sqs_side_records: false,
    scopes: &[],
    as_of: None,
    self_contained: false,
    rename_s3_collisions: true,
    include_incomplete_uploads: false,
    include_orphans: false,
};

/// The DynamoDB part, as it is.
pub const DYNAMODB: How = How { adapter: "dynamodb", ..REDIS };

/// The S3 part, as it is.
pub const S3: How = How { adapter: "s3", ..REDIS };

/// The SQS part, as it is.
pub const SQS: How = How { adapter: "sqs", ..REDIS };

impl Default for How {
    fn default() -> Self {
        REDIS
    }
}

/// A finished dump.
pub struct Dump {
    /// The files of the adapter, by path below `redis/db_0`, `dynamodb`, `s3` or `sqs`; what is no text in it is escaped.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Every kind of warning, with its count.
    pub warnings: BTreeMap<&'static str, u64>,
    pub report: Report,
    pub manifest: serde_json::Value,
    /// The staging database, opened anew.
    pub staging: Connection,
    _directory: TempDir,
}

/// How a snapshot reaches the reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Through {
    File,
    Pipe,
    /// A file in which all values but every seventh are encrypted, under keys in turns.
    Encrypted,
}

/// A snapshot of these rows.
pub fn snapshot(rows: &[Row]) -> Vec<u8> {
    let versions: Vec<_> = rows
        .iter()
        .map(|(key, payload)| Version::put(key.clone(), LAST_COMMIT_TS, payload.clone()))
        .collect();
    SortedSnapshot::new(LAST_COMMIT_TS).versions(&versions).to_bytes().unwrap()
}

/// The dump of one snapshot of these rows.
pub fn dump(rows: &[Row]) -> Dump {
    decode(&[snapshot(rows)], How::default()).unwrap()
}

/// The dump of several snapshots.
pub fn dump_files(files: &[Vec<Row>]) -> Dump {
    let files: Vec<_> = files.iter().map(|rows| snapshot(rows)).collect();
    decode(&files, How::default()).unwrap()
}

/// The error of a snapshot that has to be refused.
pub fn refusal(rows: &[Row]) -> Error {
    match decode(&[snapshot(rows)], How::default()) {
        Ok(dump) => panic!("decoded to {:?}", dump.shown()),
        Err(error) => error,
    }
}

/// Decodes snapshots from files, once more through pipes, and, if all of them can be, encrypted.
pub fn decode(snapshots: &[Vec<u8>], how: How) -> Result<Dump, Error> {
    let read = decode_through(Through::File, snapshots, how);
    for other in [Through::Pipe, Through::Encrypted] {
        if other == Through::Encrypted && snapshots.iter().any(|file| encrypted(file).is_none()) {
            continue;
        }
        match (&read, &decode_through(other, snapshots, how)) {
            (Ok(read), Ok(again)) => {
                assert_eq!(read.shown(), again.shown(), "{other:?} gives another dump than the file");
                assert_eq!(read.warnings, again.warnings, "{other:?}");
            }
            (Err(read), Err(again)) => assert_eq!(rule_of(read), rule_of(again), "{other:?}"),
            (Ok(_), Err(error)) => panic!("only {other:?} was refused: {error}"),
            (Err(error), Ok(_)) => panic!("only the file was refused, not {other:?}: {error}"),
        }
    }
    read
}

/// What is wrong with which row. Where it begins differs in an encrypted file.
fn rule_of(error: &Error) -> String {
    match error {
        Error::MalformedRow { key, rule, .. } => format!("{key} {rule}"),
        other => other.to_string(),
    }
}

/// The file with its values encrypted; `None` if it has none of the shape in which they could be.
fn encrypted(file: &[u8]) -> Option<Vec<u8>> {
    let files = KeyFiles::new();
    let storage: Vec<_> = files.keys.iter().filter(|key| key.storage).collect();
    encrypt(file, Vec::new(), |row| (row % 7 != 6).then(|| storage[row as usize % storage.len()])).ok()
}

/// The keys of [`Through::Encrypted`].
fn keyring() -> Arc<Keyring> {
    let folder = tempfile::tempdir().unwrap();
    KeyFiles::new().write_to(folder.path()).unwrap();
    Arc::new(Keyring::read(&folder.path().join("keys.json"), &folder.path().join("kek.bin")).unwrap().0)
}

/// Decodes snapshots one way. After an error nothing may be there under the output's name.
pub fn decode_through(through: Through, snapshots: &[Vec<u8>], how: How) -> Result<Dump, Error> {
    let directory = tempfile::tempdir().unwrap();
    let inputs: Vec<_> = snapshots
        .iter()
        .enumerate()
        .map(|(number, bytes)| {
            let path = directory.path().join(format!("{number}.fsm"));
            offer(through, &path, bytes);
            Input::File(Located::new(&path).unwrap())
        })
        .collect();
    let output = directory.path().join("dump");
    let staging_path = directory.path().join("staging.db");
    let keys = (through == Through::Encrypted).then(keyring);
    let result = run(&inputs, &staging_path, &output, how, keys);
    if result.is_err() {
        assert!(!output.exists(), "an error leaves something under the output's name");
    }
    let report = result?;
    let mut files = BTreeMap::new();
    let folder = if how.adapter == "redis" { "redis/db_0" } else { how.adapter };
    collect(&output.join(folder), "", &mut files);
    let manifest = serde_json::from_slice(&fs::read(output.join("MANIFEST.json")).unwrap()).unwrap();
    let staging = Connection::open(&staging_path).unwrap();
    views::assert_they_agree(&staging, &report);
    Ok(Dump {
        files,
        warnings: report.warnings.iter().map(|warning| (warning.kind, warning.count)).collect(),
        report,
        manifest,
        staging,
        _directory: directory,
    })
}

fn offer(through: Through, path: &Path, bytes: &[u8]) {
    match through {
        Through::File => fs::write(path, bytes).unwrap(),
        Through::Encrypted => fs::write(path, encrypted(bytes).unwrap()).unwrap(),
        Through::Pipe => {
            mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
            let (path, bytes) = (path.to_owned(), bytes.to_vec());
            // A run that stops early closes its end.
            thread::spawn(move || drop(fs::write(path, bytes)));
        }
    }
}

fn run(
    inputs: &[Input],
    staging: &Path,
    output: &Path,
    how: How,
    keys: Option<Arc<Keyring>>,
) -> Result<Report, Error> {
    let adapters = vec![how.adapter.to_owned()];
    let staging = Staging::create(staging)?;
    let on_error = if how.quarantine { OnError::Quarantine } else { OnError::Stop };
    let as_of = how.as_of.map_or(AsOf::Newest, |as_of| AsOf::At(Hlc(as_of)));
    let self_contained = how.self_contained;
    let (of, keyring) = (adapters.clone(), keys.clone());
    let options = LoadOptions { as_of, on_error, adapters: of, self_contained, keys: keyring };
    load(inputs, &staging, &options, &Silent)?;
    let options = ExportOptions {
        adapters,
        scopes: how.scopes.iter().map(|name| (how.adapter.to_owned(), (*name).to_owned())).collect(),
        choices: Choices {
            drop_expired: how.drop_expired,
            dynamodb_layout: how.layout,
            rename_s3_collisions: how.rename_s3_collisions,
            include_incomplete_uploads: how.include_incomplete_uploads,
            include_orphans: how.include_orphans,
            preserve_sqs_visibility: how.preserve_sqs_visibility,
            include_sqs_side_records: how.include_sqs_side_records,
        },
        cluster_id: String::new(),
        elastickv_version: String::new(),
        wall_time: "2024-04-29T00:00:00.000Z".to_owned(),
        threads: 1,
        keys,
    };
    let target = Target::new(output, false, &[])?;
    let dumped = export(&staging, target.begin()?, &options, &Silent)?;
    staging.close()?;
    Ok(dumped.report)
}

fn collect(directory: &Path, prefix: &str, files: &mut BTreeMap<String, Vec<u8>>) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.map(Result::unwrap) {
        let path: PathBuf = entry.path();
        let name = entry.file_name();
        let name = name.to_str().map_or_else(|| name.as_bytes().escape_ascii().to_string(), str::to_owned);
        let name = format!("{prefix}{name}");
        if path.is_dir() {
            collect(&path, &format!("{name}/"), files);
        } else {
            files.insert(name, fs::read(&path).unwrap());
        }
    }
}

impl Dump {
    /// The files as text that a failed comparison can print.
    pub fn shown(&self) -> BTreeMap<&str, String> {
        self.files.iter().map(|(path, bytes)| (path.as_str(), show(bytes))).collect()
    }

    /// The dump has exactly these files.
    #[track_caller]
    pub fn assert_files<B: AsRef<[u8]>>(&self, expected: &[(&str, B)]) {
        let expected: BTreeMap<_, _> =
            expected.iter().map(|(path, bytes)| (*path, show(bytes.as_ref()))).collect();
        assert_eq!(self.shown(), expected);
    }

    /// Exactly these kinds of warnings came up.
    #[track_caller]
    pub fn assert_warnings(&self, expected: &[(&'static str, u64)]) {
        assert_eq!(self.warnings, expected.iter().copied().collect());
        let counted = self.manifest["decode"]["warnings"].as_object().cloned().unwrap_or_default();
        let counted: BTreeMap<_, _> = counted.iter().map(|(kind, count)| (kind.as_str(), count)).collect();
        for (kind, count) in expected {
            assert_eq!(counted.get(kind).and_then(|count| count.as_u64()), Some(*count), "manifest: {kind}");
        }
    }

    /// What is shown of one kind of warning.
    pub fn samples(&self, kind: &str) -> Vec<&str> {
        let warning = self.report.warnings.iter().find(|warning| warning.kind == kind);
        warning.map_or(Vec::new(), |warning| warning.samples.iter().map(String::as_str).collect())
    }

    /// The first column of what a query finds, as text.
    pub fn ask(&self, sql: &str) -> Vec<String> {
        let mut query = self.staging.prepare(sql).unwrap();
        let rows = query.query_map([], |row| row.get(0).map(|value: rusqlite::types::Value| value));
        rows.unwrap().map(|value| format!("{:?}", value.unwrap())).collect()
    }
}

fn show(bytes: &[u8]) -> String {
    // A large value is told by its length and the sum of what its bytes are.
    if bytes.len() > 20_000 {
        return format!("{} bytes, CRC-32C {:08x}", bytes.len(), crc32c::crc32c(bytes));
    }
    bytes.escape_ascii().to_string().replace("\\n", "\n").replace("\\\"", "\"")
}
