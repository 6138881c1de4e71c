//! The staging room: one SQLite file that holds the visible rows of one or several snapshots, for people to ask
//! and for the exporter to read. It owns the file (this module), its schema (`schema`, and the SQL under
//! `migrations/`), the way rows get in fast (`insert`), what Rust values are in a column (`cell`, `column`), values too
//! long for a row (`values`), warnings (`warnings`) and quarantined rows (`quarantine`). It knows no family: families own
//! their tables.
//!
//! **Journal.** A rollback journal, not a write-ahead log: almost every page that a load writes is a new one, and
//! new pages need no journal, so a load writes the database once. Nothing is left beside the file after a clean end.
//!
//! **Sync.** A killed process loses nothing that it wrote, so batches are committed without fsync. A power cut may
//! tear the file: `durability` says how that is noticed. It can always be made again from the snapshot.
//!
//! **Locking.** A load or an export holds the file exclusively: nobody should see half a snapshot, and the locks of
//! a shared file would be taken and released at every batch.

mod cell;
mod checkpoint;
pub mod column;
mod durability;
mod envelopes;
mod insert;
mod quarantine;
mod schema;
mod values;
mod warnings;
mod written_files;

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::types::{FromSql, ToSql};
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension};

use crate::snapshot::encryption::EncryptedRow;

pub use cell::{Cell, U64, blob_literal, is_printable, is_text, parse_hex};
pub use checkpoint::{read_checkpoint, save_checkpoint, save_counts, save_states};
pub use durability::Boot;
pub use insert::{BulkInsert, Conflict, Duplicate, Duplicates, Table};
pub use quarantine::{MalformedRow, quarantine};
pub use schema::APPLICATION_ID;
pub use values::{Authentic, Extent, LargeReader, LargeValues, fingerprint, modified_ns};
pub use warnings::{Kind, Warning, Warnings};
pub use written_files::WrittenFiles;

/// Page cache of a connection, in KiB: enough for the inner pages of every table that a load fills in turn.
const CACHE_KIB: i64 = 16 << 10;

/// Bytes of a page. Larger than SQLite's own choice: rows come in order, so pages are filled whole.
const PAGE_BYTES: i64 = 32 << 10;

/// What can go wrong with a staging database.
#[derive(Debug, thiserror::Error)]
pub enum StagingError {
    /// SQLite failed; disk full and unreadable files show here.
    #[error("the staging database failed")]
    Sqlite(#[from] rusqlite::Error),
    /// The file cannot be made or opened.
    #[error("cannot open the staging database {}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        error: io::Error,
    },
    /// A file is there already.
    #[error("{} exists already", .0.display())]
    Exists(PathBuf),
    /// Some other file.
    #[error("{} is not a staging database of ekvsnap", .0.display())]
    NotStaging(PathBuf),
    /// Another process works on it.
    #[error("{} is in use by {}", path.display(), owner.map_or("another process".to_owned(), |pid| format!("process {pid}")))]
    Busy {
        /// The database.
        path: PathBuf,
        /// Its process id, if the system tells.
        owner: Option<i32>,
    },
    /// A checkpoint that makes no sense.
    #[error("the checkpoint in the staging database cannot be read or written")]
    Checkpoint(#[source] serde_json::Error),
    /// A power cut may have torn it, or it is damaged otherwise.
    #[error("{} was being written when the machine went down, or is damaged: load the snapshot again", .0.display())]
    Torn(PathBuf),
    /// A later version made it.
    #[error("the staging database was made by a newer version of ekvsnap")]
    Newer,
    /// The schema could not be applied.
    #[error("cannot bring the staging database to the schema of this version")]
    Migration(#[source] rusqlite_migration::Error),
    /// The load that filled it never came to its end.
    #[error("the load into {} never came to its end: load the snapshot again", .0.display())]
    Incomplete(PathBuf),
    /// A value too long for a row could not be read again.
    #[error("cannot read a large value again")]
    LargeValue(#[source] io::Error),
    /// An encrypted value that lies in a snapshot cannot be opened.
    #[error("{0}")]
    Encrypted(Box<EncryptedRow>),
    /// A snapshot that large values lie in cannot be opened any more.
    #[error("large values lie in the snapshot {}, which cannot be opened any more", path.display())]
    SourceGone {
        /// The snapshot.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        error: io::Error,
    },
    /// A snapshot that large values lie in is not the one that was loaded.
    #[error("large values lie in the snapshot {}, which has changed since it was loaded", .0.display())]
    SourceChanged(PathBuf),
}

/// A staging database.
pub struct Staging {
    connection: Connection,
    path: PathBuf,
    duplicates: Duplicates,
}

impl Staging {
    /// Makes a new one, readable by its owner only: it holds the data of the snapshot. An empty file, which a run
    /// that was killed at its very beginning leaves, counts as none.
    ///
    /// # Errors
    /// The file exists, or cannot be made; somebody works on it.
    pub fn create(path: &Path) -> Result<Self, StagingError> {
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if !is_empty(path) {
                    return Err(StagingError::Exists(path.to_owned()));
                }
            }
            Err(error) => return Err(StagingError::Open { path: path.to_owned(), error }),
        }
        Self::open_believing(path)
    }

    /// Opens one for writing, and brings its schema up to date.
    ///
    /// # Errors
    /// It is not one, somebody works on it, a newer version made it, or it cannot be believed after a power cut.
    pub fn open(path: &Path) -> Result<Self, StagingError> {
        check_is_staging(path)?;
        let staging = Self::open_believing(path)?;
        if staging.may_be_torn().map_err(|error| unreadable(error, path))? {
            return Err(StagingError::Torn(path.to_owned()));
        }
        Ok(staging)
    }

    fn open_believing(path: &Path) -> Result<Self, StagingError> {
        Self::prepare(connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?, path)
            .map_err(|error| torn(busy(error, path), path))
    }

    /// Opens one for looking only: the connection cannot change a byte, not even the schema. What a killed process left
    /// half done is undone first, for which the file is opened for writing if that is allowed.
    ///
    /// # Errors
    /// It is not one, somebody works on it, or a newer version made it.
    pub fn open_read_only(path: &Path) -> Result<Self, StagingError> {
        check_is_staging(path)?;
        let open = |access| -> Result<Connection, StagingError> {
            let connection = connect(path, access)?;
            connection.busy_timeout(Duration::ZERO)?;
            if schema::is_newer(&connection).map_err(|error| busy(error.into(), path))? {
                return Err(StagingError::Newer);
            }
            Ok(connection)
        };
        drop(open(OpenFlags::SQLITE_OPEN_READ_WRITE)?);
        let connection = open(OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        Ok(Self { connection, path: path.to_owned(), duplicates: Duplicates::default() })
    }

    fn prepare(mut connection: Connection, path: &Path) -> Result<Self, StagingError> {
        // Counts only for a database that has no pages yet.
        connection.pragma_update(None, "page_size", PAGE_BYTES)?;
        connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        // Until the schema is there: what a power cut leaves is then an empty file or a staging database.
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.busy_timeout(Duration::ZERO)?;
        // The lock is taken with the first write and then kept: now, not when a batch is ready.
        connection.execute_batch("BEGIN EXCLUSIVE")?;
        let id: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
        if id != APPLICATION_ID {
            // New, or undone to nothing because the run that made it was killed at once.
            connection.pragma_update(None, "application_id", APPLICATION_ID)?;
        }
        connection.execute_batch("COMMIT")?;
        connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
        connection.set_prepared_statement_cache_capacity(64);
        schema::migrate(&mut connection)?;
        connection.pragma_update(None, "synchronous", "OFF")?;
        let duplicates = Duplicates::register(&connection)?;
        Ok(Self { connection, path: path.to_owned(), duplicates })
    }

    /// The connection, for the families' own tables.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Rows that bulk inserts found in their table already.
    pub fn duplicates(&self) -> &Duplicates {
        &self.duplicates
    }

    /// Notes a fact about the whole run.
    ///
    /// # Errors
    /// Whatever SQLite says.
    pub fn set_fact(&self, name: &str, value: impl ToSql) -> Result<(), StagingError> {
        self.connection.execute("INSERT OR REPLACE INTO run (name, value) VALUES (?, ?)", (name, value))?;
        Ok(())
    }

    /// A fact about the whole run; `None` if it was never noted or is NULL.
    ///
    /// # Errors
    /// Whatever SQLite says; a value of another type.
    pub fn fact<T: FromSql>(&self, name: &str) -> Result<Option<T>, StagingError> {
        Ok(self
            .connection
            .query_row("SELECT value FROM run WHERE name = ?", [name], |row| row.get(0))
            .optional()?
            .flatten())
    }

    /// Is there anything in it that another run can go on with?
    ///
    /// # Errors
    /// Whatever SQLite says.
    pub fn has_progress(&self) -> Result<bool, StagingError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM checkpoint) OR EXISTS (SELECT 1 FROM source WHERE complete)";
        Ok(self.connection.query_row(sql, [], |row| row.get(0))?)
    }

    /// Everything is on disk and the file is closed.
    ///
    /// # Errors
    /// Whatever SQLite says.
    pub fn close(self) -> Result<(), StagingError> {
        self.connection.close().map_err(|(_, error)| error.into())
    }
}

/// Is the file a staging database, by its first bytes? Asked before SQLite opens it, so that a file of another
/// kind gets an error that says so.
///
/// # Errors
/// The file cannot be read, or is of another kind.
pub fn check_is_staging(path: &Path) -> Result<(), StagingError> {
    use io::Read;
    let open = |error| StagingError::Open { path: path.to_owned(), error };
    if std::fs::metadata(path).map_err(open)?.is_dir() {
        return Err(StagingError::NotStaging(path.to_owned()));
    }
    let mut head = Vec::new();
    File::open(path).map_err(open)?.take(72).read_to_end(&mut head).map_err(open)?;
    let is_sqlite = head.starts_with(b"SQLite format 3\0");
    if is_sqlite && head.get(68..72) == Some(&APPLICATION_ID.to_be_bytes()) {
        Ok(())
    } else {
        Err(StagingError::NotStaging(path.to_owned()))
    }
}

/// Is it a file without a byte?
pub fn is_empty(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.len() == 0)
}

/// A connection is used by one thread only, so it needs no lock of its own.
fn connect(path: &Path, access: OpenFlags) -> rusqlite::Result<Connection> {
    Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)
}

/// Removes a database with its journal.
///
/// # Errors
/// The operating system said no.
pub fn remove(path: &Path) -> Result<(), StagingError> {
    let gone = |file: &Path| match std::fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    };
    gone(path).map_err(|error| StagingError::Open { path: path.to_owned(), error })?;
    let mut journal = path.as_os_str().to_owned();
    journal.push("-journal");
    if let Err(error) = gone(Path::new(&journal)) {
        // No database will ever believe it.
        tracing::warn!("cannot remove {}: {error}", Path::new(&journal).display());
    }
    Ok(())
}

/// A database that SQLite finds damaged.
fn torn(error: StagingError, path: &Path) -> StagingError {
    match code(&error) {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StagingError::Torn(path.to_owned()),
        _ => error,
    }
}

/// A database whose first table cannot be asked: unless the system is to blame, it is damaged.
fn unreadable(error: StagingError, path: &Path) -> StagingError {
    use ErrorCode::{CannotOpen, DiskFull, OutOfMemory, PermissionDenied, ReadOnly, SystemIoFailure};
    match code(&error) {
        Some(DiskFull | SystemIoFailure | CannotOpen | OutOfMemory | PermissionDenied | ReadOnly) => error,
        _ => StagingError::Torn(path.to_owned()),
    }
}

fn busy(error: StagingError, path: &Path) -> StagingError {
    match code(&error) {
        Some(ErrorCode::DatabaseBusy) => {
            StagingError::Busy { path: path.to_owned(), owner: lock_owner(path) }
        }
        _ => error,
    }
}

fn code(error: &StagingError) -> Option<ErrorCode> {
    match error {
        StagingError::Sqlite(inner) => inner.sqlite_error_code(),
        _ => None,
    }
}

/// Who holds SQLite's locks on the file. Asked only when we hold none ourselves: closing the file gives up every lock
/// that this process has on it.
fn lock_owner(path: &Path) -> Option<i32> {
    use rustix::process::{Flock, FlockType, fcntl_getlk};
    let file = File::open(path).ok()?;
    let lock = Flock::from(FlockType::WriteLock);
    let held = fcntl_getlk(&file, &lock).ok()??;
    held.pid.map(|pid| pid.as_raw_nonzero().get())
}
