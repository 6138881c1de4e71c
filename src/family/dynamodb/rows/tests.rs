use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

#[test]
fn v1_v3_v4_v5_row_keys_are_taken_apart() {
    let segment = &b"b3JkZXJz"[..];
    assert_eq!(decode(b"!ddb|meta|table|b3JkZXJz"), Ok(RowKey::Schema { segment }));
    assert_eq!(decode(b"!ddb|meta|gen|b3JkZXJz"), Ok(RowKey::Counter { segment }));
    assert_eq!(
        decode(b"!ddb|gsi|b3JkZXJz|3|Ynktcw|b3Blbg|LTEyLjU|YQ|LTEyLjU"),
        Ok(RowKey::Index { segment })
    );
    let payload = &b"c/1\0\x01\x02\x02\x01\x03\0\xff1295\0\x01"[..];
    let key = [b"!ddb|item|b3JkZXJz|3|", payload].concat();
    assert_eq!(decode(&key), Ok(RowKey::Item { segment, generation: 3, payload }));
    assert_eq!(item_key(segment, 3, payload), key);
    let payload = &b"Yy8x|MTI5LjUw"[..];
    let item = RowKey::Item { segment, generation: 2, payload };
    assert_eq!(decode(b"!ddb|item|b3JkZXJz|2|Yy8x|MTI5LjUw"), Ok(item));
}

#[test]
fn a_payload_may_hold_separators_and_any_byte() {
    let item = RowKey::Item { segment: b"dA", generation: u64::MAX, payload: b"||\0\x01" };
    assert_eq!(decode(b"!ddb|item|dA|18446744073709551615|||\0\x01"), Ok(item));
    let item = RowKey::Item { segment: b"dA", generation: 0, payload: b"x" };
    assert_eq!(decode(b"!ddb|item|dA|0|x"), Ok(item));
}

#[test]
fn v13_each_refused_key_has_its_rule() {
    use MalformedKey::*;
    for (key, rule) in [
        (&b"!ddb|item|"[..], NoTable),
        (b"!ddb|item|dA", NoGeneration),
        (b"!ddb|item|dA|", NoGeneration),
        (b"!ddb|item|dA|1", NoPayload),
        (b"!ddb|item|dA|1|", NoPayload),
        (b"!ddb|item||1|x", NoTable),
        (b"!ddb|item|d*|1|x", NotBase64Url),
        (b"!ddb|item|d|1|x", NotBase64Url),
        (b"!ddb|item|dA==|1|x", NotBase64Url),
        (b"!ddb|item|dA|+1|x", Generation),
        (b"!ddb|item|dA|18446744073709551616|x", Generation),
        (b"!ddb|meta|table|", NoTable),
        (b"!ddb|meta|table|d*", NotBase64Url),
    ] {
        assert_eq!(decode(key), Err(rule), "{}", key.escape_ascii());
    }
}

#[test]
fn section_5_row_15_a_generation_with_a_leading_zero_and_a_table_in_another_spelling_are_malformed() {
    use MalformedKey::*;
    for (key, rule) in [
        (&b"!ddb|item|dA|01|x"[..], LeadingZero),
        (b"!ddb|item|dA|00|x", LeadingZero),
        (b"!ddb|item|dB|1|x", NotCanonical),
        (b"!ddb|item|d\nA|1|x", NotCanonical),
        (b"!ddb|meta|table|dB", NotCanonical),
        (b"!ddb|meta|table|\r\ndA", NotCanonical),
    ] {
        assert_eq!(decode(key), Err(rule), "{}", key.escape_ascii());
    }
}

#[test]
fn section_5_row_17_a_key_of_no_known_kind_is_unknown() {
    for key in [&b"!ddb|foo|x"[..], b"!ddb|", b"!ddb|meta|", b"!ddb|items|x", b"!ddb|route|table|dA"] {
        assert_eq!(decode(key), Ok(RowKey::Unknown), "{}", key.escape_ascii());
    }
}

#[test]
fn index_and_generation_rows_are_never_refused() {
    for key in [&b"!ddb|gsi|"[..], b"!ddb|gsi|*|", b"!ddb|meta|gen|", b"!ddb|meta|gen|d*"] {
        assert!(decode(key).is_ok(), "{}", key.escape_ascii());
    }
}

#[test]
fn a_generation_counter_is_a_decimal_number_with_white_space_around_it() {
    assert_eq!(counter(b"3"), Some(3));
    assert_eq!(counter(b" 18446744073709551615\n"), Some(u64::MAX));
    assert_eq!(counter(b"007"), Some(7));
    for value in [&b""[..], b" ", b"+3", b"-3", b"3x", b"18446744073709551616", b"\xff"] {
        assert_eq!(counter(value), None, "{}", value.escape_ascii());
    }
}

proptest! {
    #[test]
    fn no_key_makes_the_decoder_panic_and_an_item_key_leads_back(rest in vec(prop_oneof![Just(b'|'), b'0'..=b'9', any::<u8>()], 0..24)) {
        for prefix in ["!ddb|", "!ddb|item|", "!ddb|item|dA|", "!ddb|item|dA|1", "!ddb|meta|table|", "!ddb|meta|gen|", "!ddb|gsi|"] {
            let key = [prefix.as_bytes(), &rest].concat();
            if let Ok(RowKey::Item { segment, generation, payload }) = decode(&key) {
                prop_assert_eq!(item_key(segment, generation, payload), key);
            }
        }
    }
}
