//! What is known of a file: at its beginning, while its rows are read, and after its last byte. The reader and the bodies
//! fill it in; what it means is said where it is found.

use super::batch::RowCounts;
use super::encryption::{Opener, RowStates, UnlistedKeyIds};
use super::error::Fault;
use super::header::{BodyFormat, Header};
use super::hlc::Hlc;
use super::operational::OperationalFacts;
use super::sst::Tables;

/// What the beginning of a file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opening {
    /// The HLC header, if there is one.
    pub header: Option<Header>,
    /// The format of the body.
    pub body: BodyFormat,
    /// Commit timestamp of the newest write; 0 in an empty state.
    pub last_commit_ts: Hlc,
}

/// What is known of a file after its last byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closing {
    /// Rows read, by class and verdict.
    pub counts: RowCounts,
    /// Versioned rows by the state of their value.
    pub states: RowStates,
    /// Key ids that writers have used and the sidecar lacks; none without a sidecar.
    pub unlisted: UnlistedKeyIds,
    /// Raw keys longer than the node's own restore accepts.
    pub oversize_keys: u64,
    /// Oldest timestamp at which the file can be read; 0 if it does not say.
    pub min_retained_ts: Hlc,
    /// Raft index applied last, if the file says so.
    pub applied_index: Option<u64>,
    /// The CRC-32C footer, verified; `None` if the file carries none.
    pub crc32c: Option<u32>,
    /// Length of the file in bytes.
    pub bytes: u64,
    /// Of an SST bundle: what it is made of.
    pub tables: Option<Tables>,
}

/// Counters and facts that the bodies add to while they read.
pub(super) struct Facts {
    pub counts: RowCounts,
    pub states: RowStates,
    pub unlisted: UnlistedKeyIds,
    pub oversize_keys: u64,
    pub operational: OperationalFacts,
    pub opener: Opener,
    /// Offset and fault of the first encrypted row that is seen to be damaged before it is opened. The file is then read
    /// to its end to say of its footer, too, but nothing is handed on any more.
    pub unopened: Option<(u64, Fault)>,
    /// Can the file be read again at an offset? Large payloads are then left where they are.
    pub rereadable: bool,
    /// Are versions of keys passed over?
    pub passes_over_versions: bool,
    pub numbers: u64,
}

impl Facts {
    pub fn next_number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }
}
