//! What can end a run. Each error says what, where and about which file; the binary adds how to go on, and maps
//! them to exit statuses.

use std::io;
use std::path::PathBuf;

use rusqlite::ErrorCode;

use crate::dump::manifest::ManifestError;
use crate::dump::target::TargetError;
use crate::dump::tree::TreeError;
use crate::family::ExportError;
use crate::snapshot::SnapshotError;
use crate::snapshot::encryption::KeyFileError;
use crate::staging::StagingError;
use crate::verify::VerifyError;

/// Why a run ended early.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The keys cannot be had.
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
    /// A snapshot cannot be read.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// A row breaks a rule of its family.
    #[error("{name}: malformed row at byte {offset}, key {key}: {rule}")]
    MalformedRow {
        /// The file as given.
        name: String,
        /// Where the row begins, in bytes from the start of the file.
        offset: u64,
        /// The row's user key, in readable form.
        key: String,
        /// What is wrong with it.
        rule: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The staging database failed.
    #[error(transparent)]
    Staging(#[from] StagingError),
    /// The output directory cannot be used.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// A file of the dump could not be written.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// A large value could not be read again.
    #[error("cannot read a large value again")]
    LargeValue(#[source] io::Error),
    /// The database does not hold what is asked for.
    #[error("{} was loaded without the adapter {adapter}; load the snapshot again with it", staging.display())]
    NotStaged {
        /// The staging database.
        staging: PathBuf,
        /// The adapter asked for.
        adapter: String,
    },
    /// The staging database belongs to another run.
    #[error(
        "{} holds a load of {begun}; asked for is {asked}",
        staging.display()
    )]
    OtherRun {
        /// The staging database.
        staging: PathBuf,
        /// What was begun there.
        begun: String,
        /// What was asked for now.
        asked: String,
    },
    /// The manifest of a dump cannot be read.
    #[error("{}", path.display())]
    ManifestRefused {
        /// The manifest.
        path: PathBuf,
        /// Why.
        #[source]
        error: ManifestError,
    },
    /// The manifest could not be put into JSON.
    #[error("cannot write the manifest")]
    Manifest(#[source] serde_json::Error),
    /// A verification could not look.
    #[error(transparent)]
    Verify(VerifyError),
    /// The thread that reads the snapshot ended without a word.
    #[error("the thread that reads the snapshot died")]
    ReaderDied,
    /// Somebody asked for the end.
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    /// Are the keys for encrypted values at fault?
    pub fn is_of_keys(&self) -> bool {
        match self {
            Self::Snapshot(SnapshotError::Encrypted(row)) | Self::Staging(StagingError::Encrypted(row)) => {
                row.is_of_keys()
            }
            _ => false,
        }
    }

    /// Could the same run come further another time? Not if the fault lies in the snapshot or in what was asked for.
    pub fn is_worth_another_try(&self) -> bool {
        match self {
            _ if self.is_of_keys() => true,
            Self::Snapshot(error) => matches!(error, SnapshotError::Io { .. } | SnapshotError::Spool { .. }),
            Self::MalformedRow { .. }
            | Self::NotStaged { .. }
            | Self::Staging(StagingError::Incomplete(_) | StagingError::Encrypted(_)) => false,
            _ => true,
        }
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::OperationInterrupted) => Self::Interrupted,
            _ => Self::Staging(error.into()),
        }
    }
}

impl From<ExportError> for Error {
    fn from(error: ExportError) -> Self {
        match error {
            ExportError::Staging(error) => Self::Staging(error),
            ExportError::Tree(error) => Self::Tree(error),
            // A large value on its way into a file: it may be the writing that failed.
            ExportError::LargeValue(error) => match error.downcast::<TreeError>() {
                Ok(error) => Self::Tree(error),
                Err(error) => match error.downcast::<ExportError>() {
                    Ok(inner) => inner.into(),
                    Err(error) => Self::LargeValue(error),
                },
            },
            ExportError::Interrupted => Self::Interrupted,
        }
    }
}
