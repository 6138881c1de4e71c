//! One row of a body in raw key order, whatever body it stands in: what it is, whether it counts, and what of it goes
//! into the batch (`docs/format/snapshot.md` section 2). Leaves the finding of rows to the bodies, and the
//! choice between versions to `versions`.

use super::batch::{Batch, Place, Shape, Stand};
use super::checkpoint::Checkpoint;
use super::error::{Corruption, Fault, Unsupported, readable};
use super::limits::{INLINE_PAYLOAD_BYTES, LARGE_HEAD_BYTES, RESTORABLE_KEY_BYTES};
use super::namespace::{Class, is_node_local};
use super::operational::Operational;
use super::reader::{Facts, PendingRow};
use super::versions::{ReadAt, TIMESTAMP_BYTES, Verdict, Versions};

/// Flag byte and `expire_at` before every payload.
pub(super) const VERSION_HEADER_BYTES: usize = 9;
const TOMBSTONE: u8 = 0b001;
const ENCRYPTED: u8 = 0b010;
const RESERVED: u8 = !(TOMBSTONE | ENCRYPTED);

/// How many bytes of a stored value of this length a body has to show: all of it, or version header and head of a
/// large payload.
#[inline]
pub(super) fn shown_bytes(value_bytes: usize) -> usize {
    if is_large(value_bytes) { VERSION_HEADER_BYTES + LARGE_HEAD_BYTES } else { value_bytes }
}

fn is_large(value_bytes: usize) -> bool {
    value_bytes.saturating_sub(VERSION_HEADER_BYTES) > INLINE_PAYLOAD_BYTES
}

/// A row as its body shows it.
pub(super) struct Framed<'a> {
    /// The key as stored.
    pub raw_key: &'a [u8],
    /// The first [`shown_bytes`] of the value as stored.
    pub value: &'a [u8],
    /// Length of the whole value, in bytes.
    pub value_bytes: usize,
    /// Offset of the row in the file, in bytes.
    pub offset: u64,
    /// Offset of the value in the file, if it can be read again there.
    pub value_at: Option<u64>,
}

/// What is left to do with a row.
pub(super) enum Judged {
    /// Nothing: the body goes on after it.
    Done,
    /// Its payload goes out in pieces, from the end of the version header on, and then the row.
    InPieces(PendingRow),
}

/// What the rows so far decide about the next one.
#[derive(Default)]
pub(super) struct Judge {
    versions: Versions,
}

impl Judge {
    /// The state before the row that a checkpoint names.
    pub fn resumed(checkpoint: &Checkpoint) -> Self {
        Self { versions: Versions::resumed(checkpoint.last_key.clone(), &checkpoint.open_keys) }
    }

    /// The rule of versions, as the rows so far have left it.
    pub fn versions(&self) -> &Versions {
        &self.versions
    }

    /// Takes the next row, and puts it into the batch if it is visible.
    ///
    /// # Errors
    /// It is out of order, of a wrong shape, or of a kind that is not read.
    #[inline]
    pub fn take(
        &mut self,
        row: &Framed<'_>,
        read_at: &ReadAt,
        facts: &mut Facts,
        batch: &mut Batch,
    ) -> Result<Judged, Fault> {
        let Framed { raw_key, value, value_bytes, offset, value_at } = *row;
        if !self.versions.advance(raw_key) {
            let (key, previous) = (readable(raw_key), readable(self.versions.last()));
            return Err(Corruption::OutOfOrder { key, previous }.into());
        }
        if raw_key.len() as u64 > RESTORABLE_KEY_BYTES {
            facts.oversize_keys += 1;
        }
        if let Some(row) = Operational::of(raw_key, value_bytes) {
            let Some(()) = facts.operational.take(row, value) else {
                let (key, length) = (readable(raw_key), value_bytes as u64);
                return Err(Corruption::OperationalValue { key, length }.into());
            };
            facts.counts.add(Class::Operational, Verdict::Visible);
            return Ok(Judged::Done);
        }
        let Some((user_key, &suffix)) = raw_key.split_last_chunk::<TIMESTAMP_BYTES>() else {
            return Err(Corruption::ShortKey(readable(raw_key)).into());
        };
        let (Some(&flags), Some(&expire_at)) = (value.first(), value.get(1..).and_then(<[u8]>::first_chunk))
        else {
            let (key, length) = (readable(raw_key), value_bytes as u64);
            return Err(Corruption::ShortValue { key, length }.into());
        };
        if flags & RESERVED != 0 {
            let (key, bits) = (readable(raw_key), flags & RESERVED);
            return Err(Unsupported::Flags { key, bits }.into());
        }
        // Whatever its verdict would be: until the envelope has been opened, its expiry and tombstone bit are not
        // to be believed (`docs/format/encryption.md` section 6).
        if flags & ENCRYPTED != 0 {
            return Err(Unsupported::Encrypted(readable(user_key)).into());
        }
        let class = Class::of(user_key);
        let commit_ts = !u64::from_be_bytes(suffix);
        let tombstone = flags & TOMBSTONE != 0;
        let expire_at = u64::from_le_bytes(expire_at);
        let verdict = self.versions.judge(user_key.len(), commit_ts, tombstone, expire_at, read_at);
        facts.counts.add(class, verdict);
        if verdict != Verdict::Visible && (tombstone || !is_node_local(user_key)) {
            return Ok(Judged::Done);
        }
        let shape = Shape { suffix: TIMESTAMP_BYTES as u8, header: VERSION_HEADER_BYTES as u8 };
        let payload_at = value_at.map(|at| at + VERSION_HEADER_BYTES as u64);
        let stand = Stand { offset, commit_ts, payload_at };
        let large = match (is_large(value_bytes), payload_at) {
            (false, _) => None,
            (true, Some(offset)) => {
                Some((Place::File { offset }, (value_bytes - VERSION_HEADER_BYTES) as u64))
            }
            (true, None) => {
                let (raw_key, raw_value) = (raw_key.to_vec(), value.to_vec());
                return Ok(Judged::InPieces(PendingRow { class, raw_key, raw_value, shape, stand }));
            }
        };
        batch.push(class, raw_key, value, shape, large, stand);
        Ok(Judged::Done)
    }
}
