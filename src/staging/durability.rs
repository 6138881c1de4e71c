//! What a power cut leaves of a staging database. Batches are committed without fsync: within one boot a killed
//! process loses nothing that it wrote, but after a power cut pages may be old, new or torn, in any mixture. So a
//! database says on disk, synced, in which boot somebody is writing to it. If that boot is over and the mark still
//! there, nothing in the file is believed.

use std::fs;

use rusqlite::Connection;

use super::{Staging, StagingError};

const MARK: &str = "written_in_boot";

/// A boot of the machine, as the system numbers it.
#[derive(Clone, Debug)]
pub struct Boot(Option<String>);

impl Boot {
    /// This one.
    pub fn current() -> Self {
        let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok();
        Self(id.map(|id| id.trim().to_owned()))
    }

    /// Its number. A system that does not number its boots gets one that no boot has.
    pub fn number(self) -> String {
        self.0.unwrap_or_else(|| "unknown".to_owned())
    }

    /// Has it this number?
    pub fn is(&self, number: &str) -> bool {
        self.0.as_deref() == Some(number)
    }
}

impl Staging {
    /// Says on disk that somebody is writing. To be called outside a transaction.
    ///
    /// # Errors
    /// Whatever SQLite says.
    pub fn begin_unsynced(&self) -> Result<(), StagingError> {
        synced(self.connection(), || self.set_fact(MARK, Boot::current().number()))
    }

    /// Everything written so far is on disk, and says so. To be called outside a transaction.
    ///
    /// # Errors
    /// Whatever SQLite says.
    pub fn end_unsynced(&self) -> Result<(), StagingError> {
        self.end_unsynced_with(|| Ok(()))
    }

    /// Like [`Self::end_unsynced`], with a last change that is either on disk as a whole or not at all.
    ///
    /// # Errors
    /// Whatever SQLite says; what `change` says, and then nothing is changed.
    pub fn end_unsynced_with(
        &self,
        change: impl FnOnce() -> Result<(), StagingError>,
    ) -> Result<(), StagingError> {
        synced(self.connection(), || {
            let transaction = self.connection().unchecked_transaction()?;
            change()?;
            self.set_fact(MARK, rusqlite::types::Null)?;
            Ok(transaction.commit()?)
        })
    }

    /// Was somebody writing in an earlier boot, and never came to the end?
    ///
    /// # Errors
    /// Whatever SQLite says.
    pub fn may_be_torn(&self) -> Result<bool, StagingError> {
        match self.fact::<String>(MARK)? {
            Some(mark) => Ok(!Boot::current().is(&mark)),
            // The mark is the first fact of all: others without it have lost it.
            None => Ok(self.connection().query_row(
                "SELECT EXISTS (SELECT 1 FROM run) AND NOT EXISTS (SELECT 1 FROM run WHERE name = ?)",
                [MARK],
                |row| row.get(0),
            )?),
        }
    }

    /// Does the mark say that somebody is writing, or was?
    ///
    /// # Errors
    /// Whatever SQLite says.
    pub fn is_unsynced(&self) -> Result<bool, StagingError> {
        Ok(self.fact::<String>(MARK)?.is_some())
    }
}

/// One transaction that is on disk, with all before it, when this returns: fsync takes every page of the file along.
fn synced(
    connection: &Connection,
    write: impl FnOnce() -> Result<(), StagingError>,
) -> Result<(), StagingError> {
    connection.pragma_update(None, "synchronous", "FULL")?;
    let result = write();
    connection.pragma_update(None, "synchronous", "OFF")?;
    result
}
