//! Rows that pending transactions leave behind.
//!
//! Owns: the `!txn|` keys and values of `docs/format/snapshot.md` section 6.1. Rollback records have no
//! layout there, so there is none here. Leaves: the rows the transactions write, to their families.

const VALUE_VERSION: u8 = 1;

/// The user key of the lock on `row_key` (the locked row's user key).
pub fn lock_key(row_key: &[u8]) -> Vec<u8> {
    [b"!txn|lock|", row_key].concat()
}

/// The user key of the intent to write `row_key`.
pub fn intent_key(row_key: &[u8]) -> Vec<u8> {
    [b"!txn|int|", row_key].concat()
}

/// The user key of the commit row of the transaction that began at `start_ts` (HLC).
pub fn commit_key(primary_row_key: &[u8], start_ts: u64) -> Vec<u8> {
    [b"!txn|cmt|", primary_row_key, &start_ts.to_be_bytes()].concat()
}

/// The value of a lock. `unnamed` is the number to which the format gives no meaning.
pub fn lock_value(
    start_ts: u64,
    lock_expiry: u64,
    is_primary: bool,
    unnamed: u64,
    primary_row_key: &[u8],
) -> Vec<u8> {
    [
        &[VALUE_VERSION],
        start_ts.to_be_bytes().as_slice(),
        &lock_expiry.to_be_bytes(),
        &[u8::from(is_primary)],
        &unnamed.to_be_bytes(),
        &(primary_row_key.len() as u64).to_be_bytes(),
        primary_row_key,
    ]
    .concat()
}

/// The value of an intent: `Some(value)` to put, `None` to delete.
pub fn intent_value(start_ts: u64, put: Option<&[u8]>) -> Vec<u8> {
    let value = put.unwrap_or_default();
    [
        &[VALUE_VERSION],
        start_ts.to_be_bytes().as_slice(),
        &[u8::from(put.is_none())],
        &(value.len() as u64).to_be_bytes(),
        value,
    ]
    .concat()
}

/// The value of a commit row.
pub fn commit_value(commit_ts: u64) -> Vec<u8> {
    [&[VALUE_VERSION], commit_ts.to_be_bytes().as_slice()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_row_names_its_primary_and_start() {
        assert_eq!(commit_key(b"!redis|str|a", 1), b"!txn|cmt|!redis|str|a\0\0\0\0\0\0\0\x01");
        assert_eq!(commit_value(2), b"\x01\0\0\0\0\0\0\0\x02");
    }

    #[test]
    fn an_intent_says_put_or_delete() {
        assert_eq!(intent_value(1, Some(b"v")), b"\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\x01v");
        assert_eq!(intent_value(1, None), b"\x01\0\0\0\0\0\0\0\x01\x01\0\0\0\0\0\0\0\0");
    }

    #[test]
    fn a_lock_points_at_its_primary() {
        let value = lock_value(1, 2, true, 3, b"p");
        assert_eq!(
            value,
            b"\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x02\x01\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0\x01p"
        );
    }
}
