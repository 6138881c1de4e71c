use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn segment(value: KeyValue<'_>) -> String {
    let mut out = Vec::new();
    assert!(value.push_segment(&mut out));
    hex(&out)
}

/// The segments of an ordered payload, decoded the obvious way.
fn segments(payload: &[u8]) -> Option<Vec<Vec<u8>>> {
    let (mut found, mut segment, mut rest) = (Vec::new(), Vec::new(), payload);
    loop {
        rest = match rest {
            [] => return segment.is_empty().then_some(found),
            [0, 0xFF, rest @ ..] => {
                segment.push(0);
                rest
            }
            [0, 1, rest @ ..] => {
                found.push(std::mem::take(&mut segment));
                if rest.is_empty() {
                    return Some(found);
                }
                rest
            }
            [0, ..] => return None,
            [byte, rest @ ..] => {
                segment.push(*byte);
                rest
            }
        };
    }
}

#[test]
fn v3_a_composite_key_is_two_segments() {
    let key = Key { hash: KeyValue::S("c/1"), range: Some(KeyValue::N("129.50")) };
    let mut payload = Vec::new();
    assert!(key.push_ordered(&mut payload));
    assert_eq!(hex(&payload), "632f3100010202010300ff313239350001");
    assert!(is_ordered(&payload, 2) && !is_ordered(&payload, 1) && !is_ordered(&payload, 3));
}

#[test]
fn v5_a_legacy_key_is_two_texts_of_which_the_second_may_be_empty() {
    let legacy = |hash, range| {
        let mut out = Vec::new();
        Key { hash, range }.push_legacy(&mut out);
        String::from_utf8(out).unwrap()
    };
    assert_eq!(legacy(KeyValue::S("c/1"), Some(KeyValue::N("129.50"))), "Yy8x|MTI5LjUw");
    assert_eq!(legacy(KeyValue::S("a"), None), "YQ|");
    assert_eq!(legacy(KeyValue::B(b"\xff"), Some(KeyValue::S(""))), "_w|");
    for (payload, expected) in [
        ("Yy8x|MTI5LjUw", true),
        ("YQ|", true),
        ("|", true),
        ("YQ", false),
        ("YQ||", false),
        ("Y|", false),
        ("YQ=|", false),
        ("a\0\u{1}", false),
    ] {
        assert_eq!(is_legacy(payload.as_bytes()), expected, "{payload}");
    }
}

#[test]
fn v6_v7_zeros_are_escaped_and_an_empty_value_is_a_terminator() {
    assert_eq!(segment(KeyValue::B(&[0, 1, 2, 0xFF])), "00ff0102ff0001");
    assert_eq!(segment(KeyValue::S("a\0b")), "6100ff620001");
    assert_eq!(segment(KeyValue::S("")), "0001");
    assert_eq!(segment(KeyValue::B(b"")), "0001");
    assert_eq!(segment(KeyValue::S("..")), "2e2e0001");
}

#[test]
fn v8_segments_of_numbers_are_those_of_the_specification() {
    for (text, expected) in [
        ("0", "010001"),
        ("1", "0202010100ff310001"),
        ("129.50", "0202010300ff313239350001"),
        ("0.5", "020100ff350001"),
        ("1e-3", "0200fffefd00ff310001"),
        ("-5", "00fffdfefeffca0001"),
        ("-0.5", "00fffeffca0001"),
        ("-12.5", "00fffdfefdffcecdca0001"),
        ("-1", "00fffdfefeffce0001"),
        ("-1.1", "00fffdfefeffcece0001"),
        ("1e400", "020202019100ff310001"),
        ("1e2000000", "0202031e848100ff310001"),
        ("1e9223372036854775807", "0200fff77fffffffffffffff00ff310001"),
    ] {
        assert_eq!(segment(KeyValue::N(text)), expected, "{text}");
    }
    assert!(!KeyValue::N("0x10").push_segment(&mut Vec::new()));
}

#[test]
fn payloads_of_another_shape_are_not_ordered() {
    for (payload, segments) in [
        (&b"a"[..], 1),
        (b"a\0", 1),
        (b"a\0\x02", 1),
        (b"a\0\x01b", 1),
        (b"a\0\x01", 2),
        (b"", 1),
        (b"\0\x01", 0),
    ] {
        assert!(!is_ordered(payload, segments), "{payload:?}");
    }
}

proptest! {
    #[test]
    fn segments_round_trip_and_keep_the_order_of_bytes(a in vec(0..3_u8, 0..6), b in vec(any::<u8>(), 0..6)) {
        let encode = |raw: &[u8]| {
            let mut out = Vec::new();
            push_segment(raw, &mut out);
            out
        };
        prop_assert_eq!(encode(&a).cmp(&encode(&b)), a.cmp(&b));
        let payload = [encode(&a), encode(&b)].concat();
        prop_assert!(is_ordered(&payload, 2) && looks_ordered(&payload));
        let key = Key { hash: KeyValue::B(&a), range: Some(KeyValue::B(&b)) };
        prop_assert!(key.is_ordered_as(&payload) && !key.is_ordered_as(&payload[1..]));
        let mut other = payload.clone();
        other.push(0);
        prop_assert!(!key.is_ordered_as(&other));
        prop_assert_eq!(segments(&payload), Some(vec![a, b]));
    }

    #[test]
    fn the_shape_of_any_bytes_is_judged_without_panic(payload in vec(prop_oneof![0..3_u8, Just(0xFF), any::<u8>()], 0..12)) {
        for count in 1..3 {
            prop_assert_eq!(is_ordered(&payload, count), segments(&payload).is_some_and(|found| found.len() == count));
        }
        prop_assert!(!(looks_ordered(&payload) && is_legacy(&payload)));
        is_base64url(&payload);
        if let Some(bytes) = canonical_base64url(&payload) {
            prop_assert_eq!(URL_SAFE_NO_PAD.encode(bytes).into_bytes(), payload);
        }
    }
}
