//! Where a reader stood between two rows, so that another one can go on from there: everything that the rows before
//! decide about the rows after. Where it is kept is for others to say.

use super::batch::RowCounts;
use super::encryption::{RowStates, UnlistedKeyIds};
use super::sst::TableCheckpoint;

/// The state of a reader of an `EKVPBBL1` or `EKVSSTI1` body between two rows. An `EKVMVCC2` body is read from its
/// beginning again: an in-memory store is small.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checkpoint {
    /// Offset of the next row, or of the block it is in, in bytes from the start of the file.
    pub offset: u64,
    /// CRC-32C of everything before it, or before the table it is in.
    pub crc32c: u32,
    /// Of an SST bundle: the table in progress.
    pub table: TableCheckpoint,
    /// The raw key of the row before it.
    pub last_key: Vec<u8>,
    /// The user keys that can still receive versions, by their length in bytes: all are prefixes of `last_key`. True
    /// says that a version of the key has been decided on.
    pub open_keys: Vec<(u64, bool)>,
    /// Rows read.
    pub counts: RowCounts,
    /// Versioned rows by the state of their value.
    pub states: RowStates,
    /// Key ids that writers have used and the sidecar lacks.
    pub unlisted: UnlistedKeyIds,
    /// Raw keys longer than the node's own restore accepts.
    pub oversize_keys: u64,
    /// Large payloads that have streamed past, in pieces or only looked at.
    pub payloads: u64,
    /// As far as the file has told (HLC).
    pub min_retained_ts: Option<u64>,
    /// As far as the file has told.
    pub applied_index: Option<u64>,
}
