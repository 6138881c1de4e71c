//! Verification: is a snapshot, a staging database or a dump still what it should be, and do two of them belong together?
//!
//! This room owns the findings and how they are looked for. It reads what other rooms write, by their own rules: nothing
//! here says how a row, a table or a file should look. Findings are handed over one by one as they come up; whoever
//! calls prints them.

mod against;
mod dump;
mod finding;
mod snapshot;
mod staging;
mod token;

use std::io;
use std::path::PathBuf;

pub use self::against::{AgainstOptions, verify_against};
pub use self::dump::{DumpChecked, DumpOptions, Subset, is_dump, verify_dump};
pub use self::finding::{Finding, Kind, Severity};
pub use self::snapshot::{broken, verify_snapshot};
pub use self::staging::verify_staging;
pub use self::token::{Comparison, SnapshotIdentity, TokenFile, TokenFileError, compare_token};
use crate::error::Error;

/// Whoever takes the findings.
pub type Findings<'a> = dyn FnMut(Finding) + 'a;

/// Why a verification could not look.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The database that the names of the files are sorted in; no space shows here.
    #[error("the temporary database of the verification failed")]
    Scratch(#[from] rusqlite::Error),
    /// A file or directory without which nothing can be said.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// Somebody asked for the end.
    #[error("interrupted")]
    Interrupted,
}

impl From<VerifyError> for Error {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::Interrupted => Self::Interrupted,
            error => Self::Verify(error),
        }
    }
}
