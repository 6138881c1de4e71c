//! Exit statuses: a contract with scripts.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use ekvsnap::dump::manifest::ManifestError;
use ekvsnap::dump::target::TargetError;
use ekvsnap::error::Error;
use ekvsnap::query::QueryError;
use ekvsnap::snapshot::encryption::{EncryptedRow, KeyFileError, SidecarError};
use ekvsnap::snapshot::{SnapFileError, SnapshotError, TokenError};
use ekvsnap::staging::StagingError;
use ekvsnap::verify::{TokenFileError, VerifyError};

use super::hints;

/// For `--help`.
pub const HELP: &str = "\
Exit status:
  0    done, and whole
  1    done, but a warning says that something is not in the dump or could not be decided
  2    usage: arguments that cannot be meant, a file or key that is not there
  3    the snapshot is corrupt or truncated, or a row in it is malformed
  4    written by a newer version, or of a kind that this version does not read
  5    keys are missing or wrong: not given, not readable, or not those of the snapshot
  6    the target exists, or is in use
  7    verification failed: something was found that should not be so
  8    the operating system failed: no space, unreadable disk
  130  interrupted";

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Whole = 0,
    Incomplete = 1,
    Usage = 2,
    Corrupt = 3,
    Unsupported = 4,
    KeysMissing = 5,
    TargetExists = 6,
    Unverified = 7,
    System = 8,
    Interrupted = 130,
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        Self::from(status as u8)
    }
}

/// An error of the command line itself.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);

/// A run that leaves nothing to go on with was told to stop.
#[derive(Debug, thiserror::Error)]
#[error("interrupted")]
pub struct StoppedError;

/// The same error, for a run that leaves nothing to go on with.
pub fn leaving_nothing(error: Error) -> anyhow::Error {
    match error {
        Error::Interrupted => StoppedError.into(),
        error => error.into(),
    }
}

/// A key that is not there, or a name that several keys share.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct KeyError {
    /// What is wrong.
    pub message: String,
    /// What may be meant.
    pub hint: String,
}

/// A file that is there already and is not replaced.
#[derive(Debug, thiserror::Error)]
#[error("{} exists already", .0.display())]
pub struct ExistsError(pub PathBuf);

/// Says what went wrong, with every cause and what to do about it, and how that maps to a status.
pub fn report(error: &anyhow::Error) -> Status {
    let status = status(error);
    let chain: Vec<String> = error.chain().map(ToString::to_string).collect();
    // A transparent error repeats its cause word for word, one of SQLite the other way round.
    let repeats = |pair: &[String]| pair[0].ends_with(&pair[1]) || pair[1].ends_with(&pair[0]);
    let mut said = chain.first().cloned().unwrap_or_default();
    for pair in chain.windows(2).filter(|pair| !repeats(pair)) {
        said = format!("{said}: {}", pair[1]);
    }
    let hint = hint(error).unwrap_or_default();
    tracing::error!(status = status as u8, hint, "{said}");
    status
}

fn hint(error: &anyhow::Error) -> Option<String> {
    let of_the_run = |cause: &(dyn std::error::Error + 'static)| !cause.is::<super::log::StdoutError>();
    if error.chain().all(of_the_run) && error.chain().any(is_no_space) {
        return Some(
            "the staging database needs about as much room as the snapshot, the dump again as much; --staging FILE \
             puts the database on another disk, SQLITE_TMPDIR what SQLite sorts; with room, the same command goes on \
             where this one stopped"
                .to_owned(),
        );
    }
    error.chain().find_map(|cause| {
        if let Some(error) = cause.downcast_ref::<Error>() {
            return hints::of_library(error);
        }
        if let Some(error) = cause.downcast_ref::<SnapshotError>() {
            return hints::of_snapshot(error);
        }
        if let Some(error) = cause.downcast_ref::<StagingError>() {
            return hints::of_staging(error);
        }
        if let Some(error) = cause.downcast_ref::<QueryError>() {
            return hints::of_query(error);
        }
        cause.downcast_ref::<KeyError>().map(|error| error.hint.clone())
    })
}

fn is_no_space(cause: &(dyn std::error::Error + 'static)) -> bool {
    let by_the_system =
        |error: &io::Error| matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
    let by_sqlite =
        |error: &rusqlite::Error| error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull);
    cause.downcast_ref().is_some_and(by_the_system) || cause.downcast_ref().is_some_and(by_sqlite)
}

fn status(error: &anyhow::Error) -> Status {
    for cause in error.chain() {
        if cause.is::<UsageError>() || cause.is::<KeyError>() {
            return Status::Usage;
        }
        if cause.is::<StoppedError>() {
            return Status::Interrupted;
        }
        if cause.is::<ExistsError>() {
            return Status::TargetExists;
        }
        if let Some(error) = cause.downcast_ref::<Error>() {
            return of_library(error);
        }
        if let Some(error) = cause.downcast_ref::<SnapshotError>() {
            return of_snapshot(error);
        }
        if let Some(error) = cause.downcast_ref::<StagingError>() {
            return of_staging(error);
        }
        if let Some(error) = cause.downcast_ref::<TargetError>() {
            return of_target(error);
        }
        if let Some(error) = cause.downcast_ref::<QueryError>() {
            return of_query(error);
        }
        if let Some(error) = cause.downcast_ref::<ManifestError>() {
            return of_manifest(error);
        }
        if let Some(error) = cause.downcast_ref::<TokenFileError>() {
            return of_token_file(error);
        }
    }
    Status::System
}

fn of_library(error: &Error) -> Status {
    match error {
        Error::KeyFile(error) => of_key_file(error),
        Error::Snapshot(error) => of_snapshot(error),
        Error::MalformedRow { .. } => Status::Corrupt,
        Error::Staging(error) => of_staging(error),
        Error::Target(error) => of_target(error),
        Error::NotStaged { .. } => Status::Usage,
        Error::OtherRun { .. } => Status::TargetExists,
        Error::Interrupted => Status::Interrupted,
        Error::ManifestRefused { error, .. } => of_manifest(error),
        Error::Verify(VerifyError::Unreadable { source, .. })
            if matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
        {
            Status::Usage
        }
        Error::Tree(_) | Error::LargeValue(_) | Error::Manifest(_) | Error::Verify(_) | Error::ReaderDied => {
            Status::System
        }
    }
}

fn of_manifest(error: &ManifestError) -> Status {
    match error {
        ManifestError::NewerFormat(_) => Status::Unsupported,
        _ => Status::Corrupt,
    }
}

fn of_token_file(error: &TokenFileError) -> Status {
    match error {
        TokenFileError::Unreadable { source, .. } if source.kind() == io::ErrorKind::NotFound => {
            Status::Usage
        }
        TokenFileError::Unreadable { .. } => Status::System,
        TokenFileError::Token { error, .. } => of_token(error),
        TokenFileError::Snap { error: SnapFileError::NoToken(error), .. } => of_token(error),
        TokenFileError::Snap { .. } => Status::Corrupt,
    }
}

fn of_token(error: &TokenError) -> Status {
    match error {
        TokenError::Version(_) => Status::Unsupported,
        _ => Status::Corrupt,
    }
}

/// A damaged sidecar says nothing of the snapshot, which may be whole: what is missing are its keys.
fn of_key_file(error: &KeyFileError) -> Status {
    match error {
        KeyFileError::Sidecar { what: SidecarError::Newer(_), .. } => Status::Unsupported,
        _ => Status::KeysMissing,
    }
}

fn of_encrypted(row: &EncryptedRow) -> Status {
    if row.is_of_keys() {
        Status::KeysMissing
    } else if row.is_newer() {
        Status::Unsupported
    } else {
        Status::Corrupt
    }
}

fn of_snapshot(error: &SnapshotError) -> Status {
    match error {
        SnapshotError::Encrypted(row) => of_encrypted(row),
        SnapshotError::Corrupt { .. } | SnapshotError::Truncated { .. } => Status::Corrupt,
        SnapshotError::Unsupported { .. } => Status::Unsupported,
        SnapshotError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => Status::Usage,
        SnapshotError::Io { .. } | SnapshotError::Spool { .. } => Status::System,
        SnapshotError::HistoryGone { .. }
        | SnapshotError::Unfinished(_)
        | SnapshotError::NothingIn(_)
        | SnapshotError::OneGroupTwice(..) => Status::Usage,
    }
}

fn of_staging(error: &StagingError) -> Status {
    match error {
        StagingError::Exists(_) | StagingError::Busy { .. } => Status::TargetExists,
        StagingError::Encrypted(row) => of_encrypted(row),
        StagingError::Newer => Status::Unsupported,
        StagingError::Torn(_) => Status::Corrupt,
        StagingError::NotStaging(_) | StagingError::Incomplete(_) | StagingError::SourceChanged(_) => {
            Status::Usage
        }
        StagingError::Open { error, .. } | StagingError::SourceGone { error, .. }
            if error.kind() == io::ErrorKind::NotFound =>
        {
            Status::Usage
        }
        StagingError::Sqlite(error) => match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase) => Status::Corrupt,
            _ => Status::System,
        },
        StagingError::Open { .. }
        | StagingError::SourceGone { .. }
        | StagingError::Checkpoint(_)
        | StagingError::Migration(_)
        | StagingError::LargeValue(_) => Status::System,
    }
}

fn of_query(error: &QueryError) -> Status {
    match error {
        QueryError::Invalid { .. } | QueryError::NotReading(_) | QueryError::TooLong { .. } => Status::Usage,
        QueryError::Interrupted => Status::Interrupted,
        QueryError::Staging(error) => of_staging(error),
    }
}

fn of_target(error: &TargetError) -> Status {
    match error {
        TargetError::Exists(_)
        | TargetError::NotADirectory(_)
        | TargetError::SymbolicLink(_)
        | TargetError::Busy(_) => Status::TargetExists,
        TargetError::NoName(_) | TargetError::Needed { .. } => Status::Usage,
        TargetError::Io { .. } => Status::System,
    }
}
