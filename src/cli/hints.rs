//! What a person can do about an error: which option helps, where to look. The errors themselves say what is wrong.

use std::io;

use ekvsnap::dump::target::TargetError;
use ekvsnap::error::Error;
use ekvsnap::query::QueryError;
use ekvsnap::snapshot::encryption::{EncryptedRow, KeyFileError, OpenError, SidecarError};
use ekvsnap::snapshot::{Corruption, SnapshotError};
use ekvsnap::staging::StagingError;

/// For a run that came to no fault of the snapshot's.
const GO_ON: &str =
    "the same command, run again, goes on where this one stopped; what comes through a pipe is read anew";

/// For a file that cannot be believed.
const COPY_AGAIN: &str =
    "copy the file from its node again, or take another snapshot; a dump of this one would not be whole";

/// For an error of a run.
pub fn of_library(error: &Error) -> Option<String> {
    let hint = match error {
        Error::KeyFile(error) => return of_key_file(error),
        Error::Snapshot(error) => return of_snapshot(error),
        Error::Staging(error) => return of_staging(error),
        Error::Target(error) => return of_target(error),
        Error::MalformedRow { .. } => {
            "--on-error quarantine keeps such rows aside and goes on; the exit status is then 1"
        }
        Error::ReaderDied => "this is a bug; the message of the thread stands above",
        Error::Interrupted | Error::Tree(_) | Error::LargeValue(_) => GO_ON,
        Error::OtherRun { .. } => "--restart starts over, or give another name",
        Error::ManifestRefused { .. } => "use the ekvsnap that made it",
        Error::Manifest(_) | Error::NotStaged { .. } | Error::Verify(_) => return None,
    };
    Some(hint.to_owned())
}

fn of_key_file(error: &KeyFileError) -> Option<String> {
    let hint = match error {
        KeyFileError::WrongKek { .. } => {
            "--keys and --kek-file have to be of one node: the key-encryption key is the file that it is started with"
        }
        KeyFileError::Sidecar { what: SidecarError::Newer(_), .. } => return None,
        KeyFileError::SidecarLength(_) | KeyFileError::Sidecar { .. } => {
            "--keys takes a node's keys.json as it is; any node's of the cluster will do, with its key-encryption key"
        }
        KeyFileError::SidecarIo { .. } | KeyFileError::Kek { .. } => return None,
    };
    Some(hint.to_owned())
}

/// For an encrypted row, in a snapshot or read again from it.
fn of_encrypted(row: &EncryptedRow) -> Option<String> {
    let hint = match &row.what {
        _ if row.footer.is_some() => COPY_AGAIN,
        OpenError::NoKeys(_) => {
            "give the node's sidecar with --keys keys.json and its key-encryption key with --kek-file FILE"
        }
        OpenError::UnknownKeyId { .. } => {
            "give --keys a keys.json of this cluster that was copied after the snapshot was taken; any node's will do, \
             with its key-encryption key as --kek-file"
        }
        OpenError::DoesNotOpen { .. } => {
            "this entry of the sidecar is damaged: give --keys another copy, or another node's with its --kek-file"
        }
        OpenError::Version(_) | OpenError::Flags { .. } => return None,
        _ => COPY_AGAIN,
    };
    Some(hint.to_owned())
}

/// For an error of a snapshot.
pub fn of_snapshot(error: &SnapshotError) -> Option<String> {
    let hint = match error {
        SnapshotError::Corrupt { what: Corruption::NotASnapshot(_), .. } => {
            "snapshots are the *.fsm files in the folders fsm-snap of a node's data directory; unpack a compressed one \
             and pipe it into -"
        }
        SnapshotError::Corrupt { .. } | SnapshotError::Truncated { .. } => COPY_AGAIN,
        SnapshotError::Encrypted(row) => return of_encrypted(row),
        SnapshotError::HistoryGone { oldest, .. } => {
            return Some(format!("the earliest moment it can be read at is --as-of {}", oldest.0));
        }
        SnapshotError::Unfinished(_) => "take the newest *.fsm beside it",
        SnapshotError::NothingIn(_) => {
            "give the data directory of a node, one of its folders fsm-snap, or the files themselves"
        }
        SnapshotError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => return None,
        SnapshotError::Io { .. } | SnapshotError::Spool { .. } => GO_ON,
        SnapshotError::Unsupported { .. } | SnapshotError::OneGroupTwice(..) => return None,
    };
    Some(hint.to_owned())
}

/// For an error of the staging database.
pub fn of_staging(error: &StagingError) -> Option<String> {
    let hint = match error {
        StagingError::Exists(_) => "--restart replaces it, or give another name",
        StagingError::NotStaging(_) => {
            "`ekvsnap load` makes one; `ekvsnap decode` takes a snapshot straight to a dump; nothing else is replaced"
        }
        StagingError::Busy { .. } => "wait until the other process is done, or give another name",
        StagingError::Open { error, .. } if error.kind() == io::ErrorKind::NotFound => {
            "is the path right, and is its directory there?"
        }
        StagingError::Encrypted(row) => return of_encrypted(row),
        StagingError::Newer => "use the ekvsnap that made it, or load the snapshot again",
        StagingError::Sqlite(error) if is_damaged(error) => "load the snapshot again",
        StagingError::Sqlite(_) => GO_ON,
        StagingError::SourceGone { error, .. } if error.kind() != io::ErrorKind::NotFound => GO_ON,
        StagingError::Open { .. } | StagingError::LargeValue(_) => GO_ON,
        StagingError::SourceGone { .. } | StagingError::SourceChanged(_) => {
            "put the snapshot back where it was, or load it again"
        }
        _ => return None,
    };
    Some(hint.to_owned())
}

/// For an error of a query.
pub fn of_query(error: &QueryError) -> Option<String> {
    match error {
        QueryError::Invalid { near, .. } if !near.is_empty() => {
            Some(format!("did you mean {}?", near.join(" or ")))
        }
        QueryError::NotReading(_) => {
            Some("a staging database is only read here; sqlite3 can change a copy of it".to_owned())
        }
        QueryError::Staging(error) => of_staging(error),
        _ => None,
    }
}

fn is_damaged(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase))
}

fn of_target(error: &TargetError) -> Option<String> {
    let hint = match error {
        TargetError::Exists(_) => {
            "--force replaces it once the new dump is complete, or give another --output"
        }
        TargetError::NotADirectory(_) | TargetError::SymbolicLink(_) => "remove it, or give another name",
        TargetError::Busy(_) => "wait until the other run is done, or give another name",
        TargetError::NoName(_) => "give --output a name of its own, such as ./dump",
        TargetError::Needed { .. } => "give an --output that holds nothing the run needs",
        TargetError::Io { source, .. } => match source.kind() {
            io::ErrorKind::NotADirectory | io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => {
                return None;
            }
            _ => GO_ON,
        },
    };
    Some(hint.to_owned())
}
