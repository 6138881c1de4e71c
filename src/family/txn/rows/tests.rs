use ekvsnap_testkit::txn_rows as made;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::snapshot::{Large, Place};

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..40)
}

fn decoded<'a>(key: &'a [u8], value: &'a [u8]) -> Result<Record<'a>, Malformed> {
    decode(key, Payload::Inline(value))
}

proptest! {
    #[test]
    fn no_bytes_make_the_decoder_panic(rest in bytes(), value in bytes(), length: u64) {
        for prefix in ["!txn|", "!txn|int|", "!txn|lock|", "!txn|cmt|", "!txn|rb|"] {
            let key = [prefix.as_bytes(), &rest].concat();
            for version in [&[][..], b"\x01"] {
                let _ = decoded(&key, &[version, &value].concat());
            }
            let head = [1; LARGE_HEAD_BYTES];
            let large = Large { place: Place::File { offset: 0 }, length: length.max(64) };
            let _ = decode(&key, Payload::Large { head: &head, large: &large });
        }
    }

    #[test]
    fn rows_decode_to_what_was_put_in(
        row_key in bytes(),
        primary in bytes(),
        put in proptest::option::of(bytes()),
        start_ts: u64,
        commit_ts: u64,
    ) {
        let (key, value) = (made::intent_key(&row_key), made::intent_value(start_ts, put.as_deref()));
        let deletes = put.is_none();
        prop_assert_eq!(decoded(&key, &value), Ok(Record::Intent { row_key: &row_key, start_ts, deletes }));

        let (key, value) = (made::lock_key(&row_key), made::lock_value(start_ts, 1, deletes, 2, &primary));
        let Ok(Record::Lock { row_key: found, start_ts: start, primary_key }) = decoded(&key, &value) else {
            panic!()
        };
        prop_assert_eq!((found, start), (&row_key[..], start_ts));
        prop_assert_eq!(&primary_key.payload.head()[primary_key.skipped..], &primary[..]);

        let (key, value) = (made::commit_key(&primary, start_ts), made::commit_value(commit_ts));
        let commit = Record::Commit { primary_key: &primary, start_ts, commit_ts };
        prop_assert_eq!(decoded(&key, &value), Ok(commit));
    }
}

#[test]
fn a_value_of_another_layout_is_malformed() {
    let good = [
        (made::intent_key(b"k"), made::intent_value(1, Some(b"value")), "intent"),
        (made::lock_key(b"k"), made::lock_value(1, 2, true, 3, b"primary"), "lock"),
        (made::commit_key(b"k", 1), made::commit_value(2), "commit record"),
    ];
    for (key, value, kind) in good {
        let mut other_version = value.clone();
        other_version[0] = 2;
        let longer = [&value[..], b"x"].concat();
        for broken in [&b""[..], &value[..value.len() - 1], &longer, &other_version] {
            assert_eq!(decoded(&key, broken), Err(Malformed(kind)));
        }
    }
    let mut neither = made::intent_value(1, None);
    neither[9] = 2;
    assert_eq!(decoded(b"!txn|int|k", &neither), Err(Malformed("intent")));
    assert_eq!(decoded(b"!txn|cmt|short", &made::commit_value(2)), Err(Malformed("commit record")));
}

#[test]
fn a_primary_key_longer_than_any_row_key_is_malformed() {
    let lock = made::lock_value(1, 2, true, 3, b"");
    let lengths = [(MAX_KEY_BYTES, true), (MAX_KEY_BYTES + 1, false)];
    for (length, fits) in lengths {
        let head = [&lock[..26], &length.to_be_bytes(), &[0; LARGE_HEAD_BYTES - 34]].concat();
        let large = Large { place: Place::File { offset: 0 }, length: length + 34 };
        let payload = Payload::Large { head: &head, large: &large };
        assert_eq!(decode(b"!txn|lock|k", payload).is_ok(), fits);
    }
}

#[test]
fn what_says_nothing_about_data_is_ignored() {
    for key in [&b"!txn|"[..], b"!txn|rb|k", b"!txn|whatever"] {
        assert_eq!(decoded(key, b"anything"), Ok(Record::Ignored));
    }
}
