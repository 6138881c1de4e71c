//! What can be wrong with a snapshot file, each with the byte offset at which it shows.
//! Leaves rows that a family cannot read to `family::Malformed`, and exit statuses to the binary.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::encryption::{EncryptedRow, OpenError};
use super::hlc::Hlc;
use super::readable::Readable;
use super::sst::{SstCorruption, SstUnsupported};

/// A snapshot that cannot be read to its end.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The operating system failed to open or read the file.
    #[error("cannot read {name}")]
    Io {
        /// The file as given.
        name: String,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// Part of the file could not be put where it can be read again.
    #[error("cannot keep a part of {name} in a temporary file")]
    Spool {
        /// The file as given.
        name: String,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// The bytes contradict the format.
    #[error("{name} is corrupt at byte {offset}: {what}")]
    Corrupt {
        /// The file as given.
        name: String,
        /// Where the offending row or field begins, in bytes from the start of the file.
        offset: u64,
        /// What is wrong.
        what: Corruption,
    },
    /// The file ends in the middle of something.
    #[error("{name} is truncated: it ends at byte {end}, inside the {inside} that begins at byte {offset}")]
    Truncated {
        /// The file as given.
        name: String,
        /// Where the unfinished part begins.
        offset: u64,
        /// Where the file ends.
        end: u64,
        /// What is unfinished.
        inside: &'static str,
    },
    /// A newer version wrote the file, or it is of a kind that is not read yet.
    #[error("{name} cannot be read by this version of ekvsnap (byte {offset}): {what}")]
    Unsupported {
        /// The file as given.
        name: String,
        /// Where the unknown part begins.
        offset: u64,
        /// What it is.
        what: Unsupported,
    },
    /// An encrypted row cannot be opened.
    #[error("{0}")]
    Encrypted(Box<EncryptedRow>),
    /// The read timestamp lies before the oldest retained version.
    #[error(
        "history before {oldest} is gone from {name}: it was asked for at {asked}, \
         and older versions may have been compacted away"
    )]
    HistoryGone {
        /// The file as given.
        name: String,
        /// The read timestamp asked for.
        asked: Hlc,
        /// The file's `min_retained_ts`.
        oldest: Hlc,
    },
    /// A name that marks an unfinished write.
    #[error("{} is an unfinished write of a node (*.fsm.tmp) and never holds a whole snapshot", .0.display())]
    Unfinished(PathBuf),
    /// A directory without any finished snapshot.
    #[error("no finished snapshot (*.fsm) in {}", .0.display())]
    NothingIn(PathBuf),
    /// Two inputs of one Raft group.
    #[error(
        "{} and {} are snapshots of one Raft group: two moments of one store; give only one of them",
        .0.display(), .1.display()
    )]
    OneGroupTwice(PathBuf, PathBuf),
}

/// How bytes can contradict the format. Keys are cut to a readable length.
#[derive(Debug, thiserror::Error)]
pub enum Corruption {
    /// The first bytes are no magic of any version.
    #[error("it begins with {0}, which is no snapshot header or body")]
    NotASnapshot(String),
    /// `EKVTHLC2` length outside its range.
    #[error("the header says that {0} bytes follow; 16 to 1024 are allowed")]
    HeaderLength(u16),
    /// A key or value length above its limit.
    #[error("a {field} of {length} bytes; at most {limit} are allowed")]
    TooLong {
        /// Which length it is.
        field: &'static str,
        /// The length in the file, in bytes (or versions).
        length: u64,
        /// The limit it exceeds.
        limit: u64,
    },
    /// A raw key that does not come after the one before it.
    #[error("row {key} does not come after the row before it, {previous}")]
    OutOfOrder {
        /// The offending raw key.
        key: String,
        /// The raw key before it.
        previous: String,
    },
    /// A versioned raw key without room for its timestamp.
    #[error("row key {0} has no room for a commit timestamp")]
    ShortKey(String),
    /// A versioned value without room for its header.
    #[error("the value of row {key} has {length} bytes; a version header alone has 9")]
    ShortValue {
        /// The row.
        key: String,
        /// The value's length in bytes.
        length: u64,
    },
    /// An operational row of the wrong size.
    #[error("the value of {key} has {length} bytes instead of 8")]
    OperationalValue {
        /// The row.
        key: String,
        /// The value's length in bytes.
        length: u64,
    },
    /// A tombstone byte other than 0 and 1.
    #[error("a tombstone mark of {mark} on key {key}; only 0 and 1 are known")]
    TombstoneMark {
        /// The user key.
        key: String,
        /// The byte found.
        mark: u8,
    },
    /// Two versions of one key with one timestamp.
    #[error("key {key} has two versions of commit timestamp {commit_ts}")]
    TwinVersions {
        /// The user key.
        key: String,
        /// The shared commit timestamp (HLC).
        commit_ts: u64,
    },
    /// The CRC-32C footer disagrees.
    #[error("the CRC-32C of the file is {computed:08x}, its footer says {footer:08x}")]
    Footer {
        /// Over the bytes read.
        computed: u32,
        /// As stored.
        footer: u32,
    },
    /// The IEEE checksum of an `EKVMVCC2` body disagrees.
    #[error("the CRC-32 of the body is {computed:08x}, its header says {stored:08x}")]
    BodyChecksum {
        /// Over the bytes read.
        computed: u32,
        /// As stored.
        stored: u32,
    },
    /// An SST bundle contradicts its format.
    #[error(transparent)]
    Sst(#[from] SstCorruption),
    /// A place in a table of an SST bundle.
    #[error("{table}, byte {block}: {what}")]
    InTable {
        /// The table, by the name that the manifest gives it.
        table: String,
        /// Offset of the block in the table, in bytes.
        block: u64,
        /// What is wrong there.
        what: Box<Corruption>,
    },
}

/// What a version of ekvsnap may meet without being able to read it.
#[derive(Debug, thiserror::Error)]
pub enum Unsupported {
    /// A header magic of a later version.
    #[error("a header {0}, written by a newer version of elastickv")]
    Header(String),
    /// An SST bundle of another kind than a node writes.
    #[error(transparent)]
    Sst(#[from] SstUnsupported),
    /// A place in a table of an SST bundle.
    #[error("{table}, byte {block}: {what}")]
    InTable {
        /// The table, by the name that the manifest gives it.
        table: String,
        /// Offset of the block in the table, in bytes.
        block: u64,
        /// What is there.
        what: Box<Unsupported>,
    },
    /// A body magic of a later version.
    #[error("a body of format {0}, written by a newer version of elastickv")]
    Body(String),
    /// An `EKVMVCC2` body of another version.
    #[error("an EKVMVCC2 body of version {0}; only version 1 is known")]
    MvccVersion(u32),
    /// Flag bits that are reserved.
    #[error("row {key} has the reserved flag bits {bits:#04x} set")]
    Flags {
        /// The row's raw key.
        key: String,
        /// The bits that should be zero.
        bits: u8,
    },
}

/// What is wrong with bytes, before somebody says which file they are of and where they stand.
#[derive(Debug)]
pub(super) enum Fault {
    Corrupt(Corruption),
    Unsupported(Unsupported),
    /// The file cannot be read.
    Io(io::Error),
    /// A temporary file cannot be written or read.
    Spool(io::Error),
    Encrypted {
        key: String,
        commit_ts: u64,
        what: OpenError,
    },
}

/// A value that does not open: the offset of its row, and why.
pub(super) type Unopened = (u64, Fault);

/// Of two values that do not open the one that stands before the other in the file.
pub(super) fn earlier(one: Option<Unopened>, other: Option<Unopened>) -> Option<Unopened> {
    one.into_iter().chain(other).min_by_key(|(offset, _)| *offset)
}

impl Fault {
    /// The error for a file of this name, and an offset in it.
    pub fn at(self, name: &str, offset: u64) -> SnapshotError {
        let name = name.to_owned();
        match self {
            Self::Corrupt(what) => SnapshotError::Corrupt { name, offset, what },
            Self::Unsupported(what) => SnapshotError::Unsupported { name, offset, what },
            Self::Io(source) => SnapshotError::Io { name, source },
            Self::Spool(source) => SnapshotError::Spool { name, source },
            Self::Encrypted { key, commit_ts, what } => {
                let commit_ts = Hlc(commit_ts);
                let row = EncryptedRow { name, offset, key, commit_ts, what, footer: None };
                SnapshotError::Encrypted(Box::new(row))
            }
        }
    }
}

impl SnapshotError {
    /// What to say of a file in which a value does not open, and which was then read to such an end: the value, or one
    /// before it that does not open either, and what is wrong with the footer.
    #[must_use]
    pub(super) fn before(self, end: Option<Self>) -> Self {
        match (self, end) {
            (Self::Encrypted(mut row), Some(Self::Encrypted(other))) => {
                row.footer = other.footer;
                Self::Encrypted(if other.offset < row.offset { other } else { row })
            }
            (Self::Encrypted(mut row), Some(Self::Corrupt { what, .. })) => {
                if let Corruption::Footer { computed, footer } = what {
                    row.footer = Some([computed, footer]);
                }
                Self::Encrypted(row)
            }
            (this, _) => this,
        }
    }
}

impl From<Corruption> for Fault {
    fn from(what: Corruption) -> Self {
        Self::Corrupt(what)
    }
}

impl From<Unsupported> for Fault {
    fn from(what: Unsupported) -> Self {
        Self::Unsupported(what)
    }
}

/// Checks a length of the file against its limit.
pub(super) fn within(field: &'static str, length: u64, limit: u64) -> Result<usize, Fault> {
    match usize::try_from(length) {
        Ok(length) if length as u64 <= limit => Ok(length),
        _ => Err(Corruption::TooLong { field, length, limit }.into()),
    }
}

/// A key in readable form, for an error.
pub(super) fn readable(key: &[u8]) -> String {
    Readable(key).to_string()
}

/// Magic bytes in readable form, for an error.
pub(super) struct Magic<'a>(pub &'a [u8]);

impl fmt::Display for Magic<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}
