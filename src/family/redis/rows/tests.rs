use ekvsnap_testkit::redis_rows::{self as made, Blob, Counted, Fence};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::snapshot::{Large, Place};

fn decoded<'a>(key: &'a [u8], value: &'a [u8]) -> Result<Record<'a>, Malformed> {
    decode(key, Payload::Inline(value))
}

/// The user value of a string row.
fn user_value<'a>(row: &StringRow<'a>) -> &'a [u8] {
    &row.value.payload.head()[row.value.skipped..]
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(prop_oneof![Just(0u8), Just(b'|'), Just(b'd'), Just(0xFF), any::<u8>()], 0..24)
}

/// Keys near the format: a prefix, perhaps a length that fits, and bytes.
fn near_keys() -> impl Strategy<Value = Vec<u8>> {
    let prefix = prop::sample::select(vec![
        "!redis|",
        "!redis|str|",
        "!redis|hll|",
        "!redis|ttl|",
        "!redis|set|",
        "!redis|route|",
        "!hs|",
        "!hs|fld|",
        "!hs|meta|",
        "!hs|meta|d|",
        "!st|",
        "!st|mem|",
        "!st|meta|",
        "!zs|",
        "!zs|mem|",
        "!zs|meta|d|",
        "!zs|scr|",
        "!lst|",
        "!lst|itm|",
        "!lst|meta|",
        "!lst|meta|d|",
        "!lst|claim|",
        "!stream|",
        "!stream|meta|",
        "!stream|entry|",
        "",
    ]);
    (prefix, proptest::option::of(0..12u32), bytes()).prop_map(|(prefix, length, rest)| {
        [prefix.as_bytes(), &length.map_or(Vec::new(), |length| length.to_be_bytes().to_vec()), &rest]
            .concat()
    })
}

fn near_values() -> impl Strategy<Value = Vec<u8>> {
    let sizes = prop::sample::select(vec![0usize, 7, 8, 9, 16, 24, 32, 48, 49]);
    prop_oneof![
        bytes(),
        (sizes, any::<[u8; 49]>()).prop_map(|(size, bytes)| bytes[..size].to_vec()),
        bytes().prop_map(|rest| [b"\xff\x01".as_slice(), &rest].concat()),
        bytes().prop_map(|rest| [b"\xff\x02".as_slice(), &rest].concat()),
    ]
}

/// Is `part` a stretch of `whole` itself?
fn lies_in(part: &[u8], whole: &[u8]) -> bool {
    whole.as_ptr_range().start <= part.as_ptr() && part.as_ptr_range().end <= whole.as_ptr_range().end
}

proptest! {
    #[test]
    fn no_key_and_value_make_the_decoder_panic_or_invent_a_key(key in near_keys(), value in near_values()) {
        let found = match decoded(&key, &value) {
            Ok(Record::String(row) | Record::Hll(row) | Record::BareString(row)) => Some(row.key),
            Ok(
                Record::Meta(Meta { key, .. })
                | Record::Delta(Delta { key, .. })
                | Record::Ttl { key, .. }
                | Record::Field { key, .. }
                | Record::SetMember { key, .. }
                | Record::ZsetMember { key, .. }
                | Record::Item { key, .. }
                | Record::Entry { key, .. }
                | Record::Blob { key, .. },
            ) => Some(key),
            Ok(Record::Ignored) | Err(_) => None,
        };
        prop_assert!(found.is_none_or(|found| lies_in(found, &key)));
    }

    #[test]
    fn a_large_payload_is_decoded_like_its_head_and_length(key in near_keys(), head in any::<[u8; 64]>()) {
        let large = Large { place: Place::File { offset: 7 }, length: 1 << 40 };
        let _ = decode(&key, Payload::Large { head: &head, large: &large });
    }

    #[test]
    fn rows_with_elements_decode_to_what_was_put_in(
        uk in bytes(),
        name in bytes(),
        value in bytes(),
        bits: u64,
    ) {
        let payload = Payload::Inline(&value);
        let key = made::element_key(Counted::Hash, &uk, &name);
        prop_assert_eq!(decoded(&key, &value), Ok(Record::Field { key: &uk, name: &name, value: payload }));
        let key = made::element_key(Counted::Set, &uk, &name);
        prop_assert_eq!(decoded(&key, &value), Ok(Record::SetMember { key: &uk, member: &name }));
        let key = made::element_key(Counted::ZSet, &uk, &name);
        let score = made::score(f64::from_bits(bits));
        let Ok(Record::ZsetMember { key, member, score }) = decoded(&key, &score) else { panic!() };
        prop_assert_eq!((key, member, score.to_bits()), (uk.as_slice(), name.as_slice(), bits));
        let key = made::list_item_key(&uk, bits.cast_signed());
        let item = Record::Item { key: &uk, seq: bits.cast_signed(), item: payload };
        prop_assert_eq!(decoded(&key, &value), Ok(item));
        let key = made::stream_entry_key(&uk, bits, !bits);
        let entry = Record::Entry { key: &uk, ms: bits, seq: !bits, entry: payload };
        prop_assert_eq!(decoded(&key, &value), Ok(entry));
        for (blob, of) in [
            (Blob::Hash, Type::Hash),
            (Blob::Set, Type::Set),
            (Blob::ZSet, Type::Zset),
            (Blob::Stream, Type::Stream),
        ] {
            let key = made::blob_key(blob, &uk);
            prop_assert_eq!(decoded(&key, &value), Ok(Record::Blob { of, key: &uk, blob: payload }));
        }
    }

    #[test]
    fn strings_and_hlls_decode_to_what_was_put_in(uk in bytes(), value in bytes(), expiry: Option<u64>) {
        let clamped = expiry.map(|ms| i64::try_from(ms).unwrap_or(i64::MAX));
        let (key, stored) = (made::string_key(&uk), made::string_value(&value, expiry));
        let Ok(Record::String(row)) = decoded(&key, &stored) else { panic!() };
        prop_assert_eq!((row.key, user_value(&row), row.envelope), (&uk[..], &value[..], true));
        prop_assert_eq!(row.expire_at_ms, clamped);
        let (key, stored) = (made::hll_key(&uk), made::hll_value(&value, expiry));
        let Ok(Record::Hll(row)) = decoded(&key, &stored) else { panic!() };
        prop_assert_eq!((row.key, user_value(&row), row.envelope), (&uk[..], &value[..], true));
        prop_assert_eq!(row.expire_at_ms, clamped);
        let plain = [b"\xfe".as_slice(), &value].concat();
        let Ok(Record::Hll(row)) = decoded(&key, &plain) else { panic!() };
        prop_assert_eq!((user_value(&row), row.envelope, row.expire_at_ms), (&plain[..], false, None));
        if let Some(ms) = expiry {
            let (key, stored) = (made::ttl_key(&uk), made::ttl_value(ms));
            let expire_at_ms = i64::try_from(ms).unwrap_or(i64::MAX);
            prop_assert_eq!(decoded(&key, &stored), Ok(Record::Ttl { key: &uk, expire_at_ms }));
        }
    }

    #[test]
    fn metas_and_deltas_decode_to_what_was_put_in(
        uk in bytes(), length in 0..i64::MAX, expiry: Option<u64>, change: i64, ts: u64, seq: u32,
    ) {
        let expire_at_ms = expiry.map(|ms| i64::try_from(ms).unwrap_or(i64::MAX));
        for (counted, of) in
            [(Counted::Hash, Type::Hash), (Counted::Set, Type::Set), (Counted::ZSet, Type::Zset)]
        {
            let (key, stored) = (made::count_meta_key(counted, &uk), made::count_meta(length as u64, expiry));
            let meta = Meta { of, key: &uk, length, expire_at_ms, detail: MetaDetail::Counted };
            prop_assert_eq!(decoded(&key, &stored), Ok(Record::Meta(meta)));
            let (key, stored) = (made::count_delta_key(counted, &uk, ts, seq), made::count_delta(change));
            let delta = Delta { of, key: &uk, commit_ts: ts, seq, length: change, head: None };
            prop_assert_eq!(decoded(&key, &stored), Ok(Record::Delta(delta)));
        }
        let head = change.min(0);
        let tail = head + length;
        let (key, stored) = (made::list_meta_key(&uk), made::list_meta(head, tail, length as u64, expiry));
        let detail = MetaDetail::List { head, tail };
        let meta = Meta { of: Type::List, key: &uk, length, expire_at_ms, detail };
        prop_assert_eq!(decoded(&key, &stored), Ok(Record::Meta(meta)));
        let (key, stored) = (made::list_delta_key(&uk, ts, seq), made::list_delta(head, change));
        let delta = Delta { of: Type::List, key: &uk, commit_ts: ts, seq, length: change, head: Some(head) };
        prop_assert_eq!(decoded(&key, &stored), Ok(Record::Delta(delta)));
    }
}

#[test]
fn a_stream_meta_has_three_shapes() {
    let key = made::stream_meta_key(b"u");
    for (expiry, trimmed, ms) in [
        (None, None, None),
        (Some(5), None, Some(5)),
        (None, Some((3, u64::MAX)), Some(0)),
        (Some(u64::MAX), Some((3, 4)), Some(i64::MAX)),
    ] {
        let detail = MetaDetail::Stream { last: (u64::MAX, 2), trimmed: trimmed.unwrap_or((0, 0)) };
        let stored = made::stream_meta(9, (u64::MAX, 2), expiry, trimmed);
        let meta = Meta { of: Type::Stream, key: b"u", length: 9, expire_at_ms: ms, detail };
        assert_eq!(decoded(&key, &stored), Ok(Record::Meta(meta)));
    }
}

#[test]
fn the_envelope_of_another_kind_is_part_of_the_value() {
    let stored = made::hll_value(b"x", None);
    let Ok(Record::String(row)) = decoded(b"!redis|str|k", &stored) else { panic!() };
    assert_eq!((user_value(&row), row.envelope), (&stored[..], false));
    let Ok(Record::String(row)) = decoded(b"!redis|str|k", b"\xff") else { panic!() };
    assert_eq!((user_value(&row), row.envelope), (&b"\xff"[..], false));
}

#[test]
fn an_envelope_that_ends_early_is_malformed() {
    let values: [&[u8]; 4] = [b"", b"\x01", b"\x01\0\0\0\0\0\0\0", b"\xff"];
    for rest in values {
        for (key, magic) in [(b"!redis|str|k", b"\xff\x01"), (b"!redis|hll|k", b"\xff\x02")] {
            let stored = [magic.as_slice(), rest].concat();
            assert_eq!(decoded(key, &stored), Err(Malformed::Envelope));
        }
    }
}

#[test]
fn fences_routes_claims_and_scores_are_ignored_whatever_they_hold() {
    for key in [
        made::fence_key(Fence::Hash, b"k"),
        made::fence_key(Fence::Set, b""),
        made::fence_key(Fence::List, b"\xff"),
        made::fence_key(Fence::ZSet, b"k"),
        made::route_key(b"k"),
        made::score_key(b"k", 1.0, b"m"),
        made::list_claim_key(b"k", 1),
        b"!zs|scr|".to_vec(),
        b"!lst|claim|".to_vec(),
    ] {
        assert_eq!(decoded(&key, b"anything"), Ok(Record::Ignored));
    }
}

#[test]
fn a_redis_namespace_without_a_known_kind_is_malformed() {
    let keys: [&[u8]; 12] = [
        b"!redis|",
        b"!redis|x",
        b"!redis|str",
        b"!redis|txn-wide-stream|",
        b"!redis|list|k",
        b"!hs|",
        b"!hs|mem|",
        b"!st|fld|",
        b"!st|scr|",
        b"!zs|x",
        b"!lst|",
        b"!lst|meta",
    ];
    for key in keys {
        assert_eq!(decoded(key, b""), Err(Malformed::UnknownKind), "{}", key.escape_ascii());
    }
}

#[test]
fn a_length_that_the_key_does_not_hold_is_malformed_however_huge() {
    let rests: [&[u8]; 5] = [b"", b"\0\0\0", b"\0\0\0\x03uk", b"\xff\xff\xff\xffuk", b"\x80\0\0\0"];
    for rest in rests {
        for (prefix, kind, value) in [
            ("!hs|fld|", "hash field", 0),
            ("!st|mem|", "set member", 0),
            ("!zs|mem|", "zset member", 8),
            ("!hs|meta|", "meta row", 8),
            ("!st|meta|d|", "length delta", 8),
            ("!stream|meta|", "stream meta", 24),
            ("!stream|entry|", "stream entry", 0),
        ] {
            let key = [prefix.as_bytes(), rest].concat();
            assert_eq!(decoded(&key, &vec![0; value]), Err(Malformed::KeyLayout(kind)));
        }
    }
}

#[test]
fn a_key_that_is_not_used_up_exactly_is_malformed() {
    let longer = |mut key: Vec<u8>| {
        key.push(0);
        key
    };
    for (key, kind, value) in [
        (longer(made::count_meta_key(Counted::Hash, b"k")), "meta row", 8),
        (longer(made::count_delta_key(Counted::Hash, b"k", 1, 1)), "length delta", 8),
        (longer(made::stream_meta_key(b"k")), "stream meta", 24),
        (longer(made::stream_entry_key(b"k", 1, 1)), "stream entry", 0),
        (made::stream_entry_key(b"k", 1, 1)[..30].to_vec(), "stream entry", 0),
        (b"!lst|itm|7 bytes".to_vec(), "list item", 0),
    ] {
        assert_eq!(decoded(&key, &vec![0; value]), Err(Malformed::KeyLayout(kind)));
    }
}

#[test]
fn a_value_of_another_size_than_its_kind_has_is_malformed() {
    let cases: [(Vec<u8>, &str, &str, &[usize]); 7] = [
        (made::ttl_key(b"k"), "TTL row's value", "8", &[8]),
        (made::element_key(Counted::ZSet, b"k", b"m"), "zset member value", "8", &[8]),
        (made::count_meta_key(Counted::ZSet, b"k"), "meta value", "8 or 16", &[8, 16]),
        (made::count_delta_key(Counted::ZSet, b"k", 1, 1), "length delta", "8", &[8]),
        (made::list_meta_key(b"k"), "list meta value", "24 or 32", &[24, 32]),
        (made::list_delta_key(b"k", 1, 1), "list meta value", "24 or 32", &[16, 24, 32]),
        (made::stream_meta_key(b"k"), "stream meta value", "24, 32 or 48", &[24, 32, 48]),
    ];
    for (key, kind, allowed, sizes) in cases {
        for found in 0..60 {
            let expected = Err(Malformed::ValueSize { kind, allowed, found: found as u64 });
            let value = vec![0; found];
            assert_eq!(decoded(&key, &value) == expected, !sizes.contains(&found), "{kind} of {found} bytes");
        }
        let large = Large { place: Place::File { offset: 0 }, length: 1 << 20 };
        assert_eq!(
            decode(&key, Payload::Large { head: &[0; 64], large: &large }),
            Err(Malformed::ValueSize { kind, allowed, found: 1 << 20 })
        );
    }
}

#[test]
fn a_length_beyond_signed_numbers_is_malformed() {
    let length = 1 << 63;
    for (key, value) in [
        (made::count_meta_key(Counted::Hash, b"k"), made::count_meta(length, None)),
        (made::count_meta_key(Counted::Hash, b"k"), made::count_meta(length, Some(0))),
        (made::list_meta_key(b"k"), made::list_meta(0, i64::MIN, length, None)),
        (made::stream_meta_key(b"k"), made::stream_meta(length, (0, 0), None, None)),
    ] {
        assert_eq!(decoded(&key, &value), Err(Malformed::Length(length)));
    }
}

#[test]
fn a_list_whose_ends_and_length_disagree_or_overflow_is_malformed() {
    for (head, tail, length) in [(0, 1, 2), (1, 0, 0), (i64::MAX, i64::MIN, 1), (i64::MIN, i64::MAX, 0)] {
        let value = made::list_meta(head, tail, length, None);
        let expected = Malformed::ListEnds { head, tail, length: length as i64 };
        assert_eq!(decoded(b"!lst|meta|k", &value), Err(expected));
    }
}

#[test]
fn a_list_key_that_looks_like_a_delta_is_one_only_with_a_value_of_sixteen_bytes() {
    let key = made::list_delta_key(b"uk", 7, 9);
    let delta = Delta { of: Type::List, key: b"uk", commit_ts: 7, seq: 9, length: -1, head: Some(1) };
    assert_eq!(decoded(&key, &made::list_delta(1, -1)), Ok(Record::Delta(delta)));
    for expiry in [None, Some(5)] {
        let value = made::list_meta(1, 3, 2, expiry);
        let Ok(Record::Meta(meta)) = decoded(&key, &value) else { panic!() };
        assert_eq!(meta.key, &key["!lst|meta|".len()..]);
    }
    // One byte more or less than the shape: never a delta.
    let sixteen = Err(Malformed::ValueSize { kind: "list meta value", allowed: "24 or 32", found: 16 });
    assert_eq!(decoded(&key[..key.len() - 1], &made::list_delta(1, -1)), sixteen);
    assert_eq!(decoded(&[&key[..], b"x"].concat(), &made::list_delta(1, -1)), sixteen);
}

#[test]
fn what_no_namespace_claims_is_a_bare_string() {
    let keys: [&[u8]; 6] = [b"", b"!stream|foo", b"!stream|meta", b"!redis", b"!hs", b"\xff"];
    for key in keys {
        let Ok(Record::BareString(row)) = decoded(key, b"\xff\x01") else { panic!() };
        assert_eq!((row.key, user_value(&row), row.envelope), (key, &b"\xff\x01"[..], false));
    }
}
