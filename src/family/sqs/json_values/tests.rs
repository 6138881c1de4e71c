use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::family::go_json::text;

fn raw(text: &str) -> &RawValue {
    serde_json::from_str(text).unwrap()
}

fn fields(document: &str) -> serde_json::Result<Vec<(String, String)>> {
    let mut all = Vec::new();
    each_field(document, |name, value| {
        all.push((name.to_owned(), value.get().to_owned()));
        Ok(())
    })?;
    Ok(all)
}

#[test]
fn names_are_compared_without_regard_to_case() {
    let names: Vec<_> =
        fields(r#"{"Body":1,"BODY":2,"me\u0073\u0053age_id":3,"Me\u017f\u017fage_\u212aey":4}"#)
            .unwrap()
            .into_iter()
            .map(|(name, _)| name)
            .collect();
    assert_eq!(names, ["body", "body", "message_id", "message_key"]);
}

#[test]
fn an_invalid_byte_is_one_replacement_character_each() {
    assert_eq!(text(b"a\xff\xe2\x82b\xed\xa0\x80"), "a\u{fffd}\u{fffd}\u{fffd}b\u{fffd}\u{fffd}\u{fffd}");
    assert!(matches!(text("naïve".as_bytes()), Cow::Borrowed(_)));
    // A quotation mark is never part of a broken character.
    let document = text(b"{\"a\":\"x\xe2\"}");
    assert_eq!(fields(&document).unwrap(), [("a".to_owned(), "\"x\u{fffd}\"".to_owned())]);
}

#[test]
fn half_a_surrogate_pair_is_one_replacement_character() {
    for (json, expected) in [
        (r#""\ud800""#, "\u{fffd}"),
        (r#""\udc00x""#, "\u{fffd}x"),
        (r#""\ud800\u0041""#, "\u{fffd}A"),
        (r#""\ud83d\ude00""#, "😀"),
        (r#""\ud800\ud83d\ude00""#, "\u{fffd}😀"),
        (r#""é\n\"\/""#, "é\n\"/"),
    ] {
        assert_eq!(string(raw(json)).unwrap(), expected, "{json}");
    }
}

#[test]
fn null_is_zero_empty_or_no() {
    let null = raw("null");
    assert_eq!(string(null), Ok(Cow::Borrowed("")));
    assert_eq!(integer::<i64>(null), Ok(0));
    assert_eq!(boolean(null), Ok(false));
    assert_eq!(bytes(null), Ok(Vec::new()));
    assert!(object(null).unwrap().is_empty());
    assert_eq!(fields("null").unwrap(), []);
}

#[test]
fn a_value_of_another_type_is_refused() {
    for json in ["1", "true", "[]", "{}"] {
        assert!(string(raw(json)).is_err(), "{json}");
    }
    for json in ["1.0", "1e3", "\"1\"", "9223372036854775808", "true"] {
        assert!(integer::<i64>(raw(json)).is_err(), "{json}");
    }
    assert_eq!(integer::<i64>(raw("-9223372036854775808")), Ok(i64::MIN));
    assert!(integer::<u64>(raw("-1")).is_err());
    assert!(boolean(raw("1")).is_err());
    assert!(object(raw("[1]")).is_err());
    for json in ["[]", "\"x\"", "\"a-_8\"", "\"YQ\"", "\"YQ=\""] {
        assert!(bytes(raw(json)).is_err(), "{json}");
    }
}

#[test]
fn base64_is_taken_as_go_takes_it() {
    assert_eq!(bytes(raw("\"+/8=\"")).unwrap(), b"\xfb\xff");
    assert_eq!(bytes(raw("\"\\u002b\\/8=\"")).unwrap(), b"\xfb\xff");
    assert_eq!(bytes(raw("\"YW\\r\\nJj\"")).unwrap(), b"abc");
    assert_eq!(bytes(raw("\"YR==\"")).unwrap(), b"a");
}

#[test]
fn nothing_may_follow_the_object() {
    assert!(fields(" {\"a\":1}\n\t ").is_ok());
    for document in ["{} x", "{}{}", "{}\0", "{\"a\":1", "", "[]", "1", "{\"a\":1,}", "{a:1}"] {
        assert!(fields(document).is_err(), "{document}");
    }
}

#[test]
fn white_space_goes_between_the_parts_of_a_value_and_stays_inside_strings() {
    let mut out = Vec::new();
    push_compact(raw("{ \"a b\\\\\" :\t[ 1 ,\n\" \\\" \" ] }"), &mut out);
    assert_eq!(String::from_utf8(out).unwrap(), "{\"a b\\\\\":[1,\" \\\" \"]}");
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in vec(prop_oneof![
        Just(b'{'), Just(b'}'), Just(b'"'), Just(b':'), Just(b','), Just(b'\\'), Just(b'u'), Just(b'd'), any::<u8>(),
    ], 0..60)) {
        let document = text(&bytes);
        let _ = each_field(&document, |_, value| {
            let _ = (string(value), super::bytes(value), object(value), integer::<u64>(value));
            push_compact(value, &mut Vec::new());
            Ok(())
        });
    }

    #[test]
    fn a_string_is_what_was_put_in(text in ".*") {
        let json = serde_json::to_string(&text).unwrap();
        prop_assert_eq!(string(raw(&json)).unwrap(), text);
    }

    #[test]
    fn compacting_changes_no_value(text in ".*", number: i32) {
        let value = serde_json::json!({ "a": [text, number, { "b": null }], "c": {} });
        let pretty = serde_json::to_string_pretty(&value).unwrap();
        let mut out = Vec::new();
        push_compact(raw(&pretty), &mut out);
        prop_assert_eq!(String::from_utf8(out).unwrap(), serde_json::to_string(&value).unwrap());
    }
}
