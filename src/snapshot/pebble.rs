//! The body `EKVPBBL1`, the ordinary one: raw rows in ascending order (`docs/format/snapshot.md` section 2).
//! Leaves what a row means to `row`, and header and footer to `header` and `reader`.

use super::batch::Batch;
use super::checkpoint::Checkpoint;
use super::error::SnapshotError;
use super::facts::Facts;
use super::hlc::Hlc;
use super::input::Input;
use super::limits::{MAX_KEY_BYTES, MAX_VALUE_BYTES};
use super::row::{Framed, Judge, Judged, VERSION_HEADER_BYTES, shown_bytes};
use super::step::{LargePayload, Step};
use super::versions::ReadAt;

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
    judge: Judge,
}

impl Rows {
    /// The state before the row that a checkpoint names.
    pub fn resumed(checkpoint: &Checkpoint) -> Self {
        Self { judge: Judge::resumed(checkpoint) }
    }

    /// What the rows so far decide.
    pub fn judge(&self) -> &Judge {
        &self.judge
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
        let copied = shown_bytes(value_bytes);
        let shown = input.peek(16 + key_bytes + copied)?;
        let Some(stored) = shown.get(8..16 + key_bytes + copied) else {
            return Err(input.truncated(start, "row"));
        };
        let value_start = 16 + key_bytes;
        let row = Framed {
            raw_key: &stored[..key_bytes],
            value: &stored[8 + key_bytes..],
            value_bytes,
            offset: start,
            value_at: facts.rereadable.then_some(start + value_start as u64),
        };
        let judged = self.judge.take(&row, read_at, facts, batch);
        match judged.map_err(|fault| input.fault(start, fault))? {
            Judged::Done if input.skip((value_start + value_bytes) as u64)? => Ok(Step::Row),
            Judged::Done => Err(input.truncated(start, "row")),
            Judged::Streams(streams) => {
                input.consume(value_start + VERSION_HEADER_BYTES);
                let remaining = (value_bytes - VERSION_HEADER_BYTES) as u64;
                let number = facts.next_number();
                let part_of = ("row", start);
                Ok(Step::Large(LargePayload { number, remaining, part_of, streams }))
            }
        }
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
    super::error::within(field, length, limit).map_err(|fault| input.fault(offset, fault))
}
