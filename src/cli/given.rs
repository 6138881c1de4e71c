//! What a path is that stands for one of several things: a snapshot, a staging database or a dump.

use std::path::Path;

use ekvsnap::staging::check_is_staging;
use ekvsnap::verify::is_dump;

/// What was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Given {
    /// A snapshot, a node's data directory, or standard input; whatever is nothing else.
    Snapshot,
    /// A staging database.
    Staging,
    /// A directory tree with a manifest or checksums.
    Dump,
}

impl Given {
    /// Looks at a path.
    pub fn at(path: &Path) -> Self {
        if is_dump(path) {
            Self::Dump
        } else if path.is_file() && check_is_staging(path).is_ok() {
            Self::Staging
        } else {
            Self::Snapshot
        }
    }

    /// The name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Snapshot => "snapshot",
            Self::Staging => "staging",
            Self::Dump => "dump",
        }
    }
}
