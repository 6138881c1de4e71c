//! The body `EKVPBBL1`, the ordinary one: raw rows in ascending order (`docs/format/snapshot.md` section 2).
//! Leaves the choice between versions to `versions`, and header and footer to `header` and `reader`.

use super::batch::{Batch, Place, Shape, Stand};
use super::checkpoint::Checkpoint;
use super::error::{Corruption, SnapshotError, Unsupported, readable};
use super::hlc::Hlc;
use super::input::Input;
use super::limits::{
    INLINE_PAYLOAD_BYTES, LARGE_HEAD_BYTES, MAX_KEY_BYTES, MAX_VALUE_BYTES, RESTORABLE_KEY_BYTES,
};
use super::namespace::{Class, is_node_local};
use super::operational::Operational;
use super::reader::{Facts, LargePayload, PendingRow, Step};
use super::versions::{ReadAt, TIMESTAMP_BYTES, Verdict, Versions};

/// Flag byte and `expire_at` before every payload.
const VERSION_HEADER_BYTES: usize = 9;
const TOMBSTONE: u8 = 0b001;
const ENCRYPTED: u8 = 0b010;
const RESERVED: u8 = !(TOMBSTONE | ENCRYPTED);

/// Reads `last_commit_ts`, which precedes the rows.
///
/// # Errors
/// The end of the file before it.
pub(super) fn read_last_commit_ts(input: &mut Input) -> Result<Hlc, SnapshotError> {
    let start = input.offset();
    let Some(&field) = input.peek(8)?.first_chunk() else {
        return Err(input.truncated(start, "body header"));
    };
    input.consume(8);
    Ok(Hlc(u64::from_le_bytes(field)))
}

/// The state of the body between two rows.
#[derive(Default)]
pub(super) struct Rows {
    versions: Versions,
}

impl Rows {
    /// The state before the row that a checkpoint names.
    pub fn resumed(checkpoint: &Checkpoint) -> Self {
        Self { versions: Versions::resumed(checkpoint.last_key.clone(), &checkpoint.open_keys) }
    }

    /// The rule of versions, as the rows so far have left it.
    pub fn versions(&self) -> &Versions {
        &self.versions
    }

    /// Reads one row, and puts it into the batch if it is visible.
    pub fn step(
        &mut self,
        input: &mut Input,
        read_at: &ReadAt,
        facts: &mut Facts,
        batch: &mut Batch,
    ) -> Result<Step, SnapshotError> {
        let start = input.offset();
        let shown = input.peek(8)?;
        let Some(&length) = shown.first_chunk() else {
            return match shown.len() {
                0 | 4 => Ok(Step::End),
                _ => Err(input.truncated(start, "row")),
            };
        };
        let key_bytes = within(input, start, "row key", u64::from_le_bytes(length), MAX_KEY_BYTES)?;
        let shown = input.peek(16 + key_bytes)?;
        let Some(&length) = shown.get(8 + key_bytes..).and_then(<[u8]>::first_chunk) else {
            return Err(input.truncated(start, "row"));
        };
        let value_bytes = within(input, start, "value", u64::from_le_bytes(length), MAX_VALUE_BYTES)?;
        let payload_bytes = value_bytes.saturating_sub(VERSION_HEADER_BYTES);
        let large = payload_bytes > INLINE_PAYLOAD_BYTES;
        let copied = if large { VERSION_HEADER_BYTES + LARGE_HEAD_BYTES } else { value_bytes };
        let shown = input.peek(16 + key_bytes + copied)?;
        let Some(stored) = shown.get(8..16 + key_bytes + copied) else {
            return Err(input.truncated(start, "row"));
        };
        let (raw_key, value) = (&stored[..key_bytes], &stored[8 + key_bytes..]);

        if !self.versions.advance(raw_key) {
            let (key, previous) = (readable(raw_key), readable(self.versions.last()));
            return Err(input.corrupt(start, Corruption::OutOfOrder { key, previous }));
        }
        if key_bytes as u64 > RESTORABLE_KEY_BYTES {
            facts.oversize_keys += 1;
        }
        if let Some(row) = Operational::of(raw_key, value_bytes) {
            let Some(()) = facts.operational.take(row, value) else {
                let (key, length) = (readable(raw_key), value_bytes as u64);
                return Err(input.corrupt(start, Corruption::OperationalValue { key, length }));
            };
            facts.counts.add(Class::Operational, Verdict::Visible);
            return pass(input, start, 16 + key_bytes + value_bytes);
        }
        let Some((user_key, &suffix)) = raw_key.split_last_chunk::<TIMESTAMP_BYTES>() else {
            let key = readable(raw_key);
            return Err(input.corrupt(start, Corruption::ShortKey(key)));
        };
        let (Some(&flags), Some(&expire_at)) = (value.first(), value.get(1..).and_then(<[u8]>::first_chunk))
        else {
            let (key, length) = (readable(raw_key), value_bytes as u64);
            return Err(input.corrupt(start, Corruption::ShortValue { key, length }));
        };
        if flags & RESERVED != 0 {
            let (key, bits) = (readable(raw_key), flags & RESERVED);
            return Err(input.unsupported(start, Unsupported::Flags { key, bits }));
        }
        // Whatever its verdict would be: until the envelope has been opened, its expiry and tombstone bit are not
        // to be believed (`docs/format/encryption.md` section 6).
        if flags & ENCRYPTED != 0 {
            let key = readable(user_key);
            return Err(input.unsupported(start, Unsupported::Encrypted(key)));
        }
        let class = Class::of(user_key);
        let commit_ts = !u64::from_be_bytes(suffix);
        let tombstone = flags & TOMBSTONE != 0;
        let expire_at = u64::from_le_bytes(expire_at);
        let verdict = self.versions.judge(user_key.len(), commit_ts, tombstone, expire_at, read_at);
        facts.counts.add(class, verdict);
        if verdict != Verdict::Visible && (tombstone || !is_node_local(user_key)) {
            return pass(input, start, 16 + key_bytes + value_bytes);
        }
        let shape = Shape {
            key: key_bytes,
            suffix: TIMESTAMP_BYTES as u8,
            gap: 8,
            header: VERSION_HEADER_BYTES as u8,
        };
        let payload_at = start + (16 + key_bytes + VERSION_HEADER_BYTES) as u64;
        let stand = Stand { offset: start, commit_ts, payload_at: facts.rereadable.then_some(payload_at) };
        if !large {
            batch.push(class, stored, &shape, None, stand);
            input.consume(16 + key_bytes + value_bytes);
            return Ok(Step::Row);
        }
        let length = payload_bytes as u64;
        if facts.rereadable {
            let place = Place::File { offset: payload_at };
            batch.push(class, stored, &shape, Some((place, length)), stand);
            return pass(input, start, 16 + key_bytes + value_bytes);
        }
        let row = PendingRow { class, stored: stored.to_vec(), shape, stand };
        let number = facts.next_number();
        input.consume((payload_at - start) as usize);
        let part_of = ("row", start);
        Ok(Step::Large(LargePayload { number, length, remaining: length, part_of, row: Some(row) }))
    }
}

/// Checks a length of the file against its limit.
pub(super) fn within(
    input: &Input,
    offset: u64,
    field: &'static str,
    length: u64,
    limit: u64,
) -> Result<usize, SnapshotError> {
    match usize::try_from(length) {
        Ok(length) if length as u64 <= limit => Ok(length),
        _ => Err(input.corrupt(offset, Corruption::TooLong { field, length, limit })),
    }
}

fn pass(input: &mut Input, start: u64, bytes: usize) -> Result<Step, SnapshotError> {
    if input.skip(bytes as u64)? { Ok(Step::Row) } else { Err(input.truncated(start, "row")) }
}
