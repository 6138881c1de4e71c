//! Transaction rows: from bytes to typed records (`docs/format/snapshot.md` section 6.1). Pure functions.

use crate::snapshot::limits::{LARGE_HEAD_BYTES, MAX_KEY_BYTES};
use crate::snapshot::{Payload, Skipped};

/// One row, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record<'a> {
    /// A write that waits for the outcome of its transaction.
    Intent {
        /// The row that is to be written.
        row_key: &'a [u8],
        /// Start of the transaction (HLC).
        start_ts: u64,
        /// Is the row to be deleted?
        deletes: bool,
    },
    /// The lock on a row.
    Lock {
        /// The locked row.
        row_key: &'a [u8],
        /// Start of the transaction (HLC).
        start_ts: u64,
        /// The row whose group knows the outcome. Row keys can be longer than what is copied with a row.
        primary_key: Skipped<'a>,
    },
    /// The outcome of a transaction.
    Commit {
        /// Its primary row.
        primary_key: &'a [u8],
        /// Start of the transaction (HLC).
        start_ts: u64,
        /// Its commit (HLC).
        commit_ts: u64,
    },
    /// Rollbacks and whatever else nodes keep there.
    Ignored,
}

/// A value that does not have the layout of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the row does not have the layout of a transaction {0}")]
pub struct Malformed(&'static str);

/// Takes a visible row apart.
///
/// # Errors
/// The kind whose layout the row does not have.
pub fn decode<'a>(user_key: &'a [u8], payload: Payload<'a>) -> Result<Record<'a>, Malformed> {
    if let Some(row_key) = user_key.strip_prefix(b"!txn|int|") {
        return intent(row_key, payload).ok_or(Malformed("intent"));
    }
    if let Some(row_key) = user_key.strip_prefix(b"!txn|lock|") {
        return lock(row_key, payload).ok_or(Malformed("lock"));
    }
    if let Some(rest) = user_key.strip_prefix(b"!txn|cmt|") {
        return commit(rest, payload).ok_or(Malformed("commit record"));
    }
    Ok(Record::Ignored)
}

/// `01`, be64 start ts, `00` put or `01` delete, be64 length, value. The value may be large; only its length counts.
fn intent<'a>(row_key: &'a [u8], payload: Payload<'a>) -> Option<Record<'a>> {
    const _: () = assert!(LARGE_HEAD_BYTES >= 18);
    let rest = payload.head().strip_prefix(&[1])?;
    let (start_ts, rest) = be64(rest)?;
    let (&deletes, rest) = rest.split_first()?;
    let (length, _) = be64(rest)?;
    let well_formed = deletes <= 1 && payload.len() - 18 == length;
    well_formed.then_some(Record::Intent { row_key, start_ts, deletes: deletes == 1 })
}

/// Bytes of a lock's value before the primary row key.
const LOCK_BYTES: usize = 34;

/// `01`, be64 start ts, be64 lock expiry, `01` if this row is the primary, be64, be64 length, primary row key.
fn lock<'a>(row_key: &'a [u8], payload: Payload<'a>) -> Option<Record<'a>> {
    const _: () = assert!(LARGE_HEAD_BYTES >= LOCK_BYTES);
    let (start_ts, rest) = be64(payload.head().strip_prefix(&[1])?)?;
    let (_, rest) = be64(rest)?;
    let (_, rest) = rest.split_first()?;
    let (_, rest) = be64(rest)?;
    let (length, _) = be64(rest)?;
    let well_formed = payload.len() - LOCK_BYTES as u64 == length && length <= MAX_KEY_BYTES;
    well_formed.then_some(Record::Lock { row_key, start_ts, primary_key: payload.skip(LOCK_BYTES) })
}

/// Key: primary row key and be64 start ts. Value: `01`, be64 commit ts.
fn commit<'a>(rest: &'a [u8], payload: Payload<'a>) -> Option<Record<'a>> {
    let (primary_key, start_ts) = rest.split_last_chunk()?;
    let Payload::Inline(value) = payload else { return None };
    let (commit_ts, rest) = be64(value.strip_prefix(&[1])?)?;
    let start_ts = u64::from_be_bytes(*start_ts);
    rest.is_empty().then_some(Record::Commit { primary_key, start_ts, commit_ts })
}

fn be64(bytes: &[u8]) -> Option<(u64, &[u8])> {
    bytes.split_first_chunk().map(|(field, rest)| (u64::from_be_bytes(*field), rest))
}

#[cfg(test)]
mod tests;
