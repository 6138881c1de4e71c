use std::collections::HashMap;

use proptest::prelude::*;

use super::super::schema::tests::table;
use super::*;

/// The file of a hash key in a table that declares this type for it.
fn file<'a>(value: KeyValue<'a>, declared: &str) -> Segment<'a> {
    let path = Path::of(&Key { hash: value, range: None }, &table("id", None, &[("id", declared)]));
    assert_eq!(path.folder, None);
    path.file
}

fn name(value: KeyValue<'_>, declared: &str) -> String {
    file(value, declared).name
}

#[test]
fn v8_the_names_of_numbers_are_those_of_the_specification() {
    for (text, expected) in [
        ("0e5", "0"),
        ("1.0", "1"),
        ("129.50", "259%2F2"),
        (".5", "1%2F2"),
        ("00.00100", "1%2F1000"),
        ("-5", "-5"),
        ("-0.5", "-1%2F2"),
        ("-12.5", "-25%2F2"),
        ("-1.1", "-11%2F10"),
        ("1e2000000", "1e2000000"),
        ("1e9223372036854775807", "1e9223372036854775807"),
    ] {
        assert_eq!(name(KeyValue::N(text), "N"), expected);
    }
    let long = file(KeyValue::N("1e400"), "N");
    assert_eq!(long.name, format!("397fc6671f9e77a223078bf9d335b890__1{}", "0".repeat(63)));
    assert_eq!(long.fallback_of.unwrap().len(), 401);
}

#[test]
fn v7_v10_v11_v12_the_names_of_strings_and_bytes_are_those_of_the_specification() {
    for (text, expected) in [
        ("a\0b", "a%00b"),
        ("", ""),
        ("..", ".."),
        ("~", "%7E"),
        ("b64.AAEC", "0273e5582c6bf8d3dae08c2a65e0a43d__b64.AAEC"),
        (
            "ffffffffffffffffffffffffffffffff__x",
            "65070b77f7a3e96c31b661c339ba85f0__ffffffffffffffffffffffffffffffff__x",
        ),
        ("00000000000000000000000000000000_x", "00000000000000000000000000000000_x"),
    ] {
        assert_eq!(name(KeyValue::S(text), "S"), expected);
    }
    let fallback = |hash: &str, rest: &str| format!("{hash}__{}", rest.repeat(64));
    assert_eq!(name(KeyValue::S(&"a".repeat(241)), "S"), fallback("ec6e326ef29fe322b62111584194c54e", "a"));
    assert_eq!(name(KeyValue::S(&"/".repeat(81)), "S"), fallback("2a5bc5b1b5314ecd2a310f8d021df0d1", "%2F"));
    let long = "é".repeat(150);
    let segment = file(KeyValue::S(&long), "S");
    assert_eq!(segment.name, format!("cb1fa3158102cb16edae890e78baadd9__{}", "%C3%A9".repeat(32)));
    assert_eq!(segment.fallback_of.as_deref(), Some(long.as_bytes()));
    assert_eq!(name(KeyValue::B(&[0, 1, 2, 0xFF]), "B"), "b64.AAEC_w");
    assert_eq!(name(KeyValue::B(b""), "B"), "b64.");
}

#[test]
fn section_5_row_8_an_empty_hash_of_a_composite_key_is_a_fallback_and_the_folder_of_its_own() {
    let schema = table("h", Some("r"), &[("h", "S"), ("r", "S")]);
    let path = |hash, range| {
        Path::of(&Key { hash: KeyValue::S(hash), range: Some(KeyValue::S(range)) }, &schema).text()
    };
    assert_eq!(path("", "x"), "e3b0c44298fc1c149afbf4c8996fb924__/x");
    assert_eq!(path("x.json", "y"), "x.json/y");
    assert_eq!(path("..", ".."), "5ec1f7e700f37c3d0b2981d04855fc34__../..");
}

#[test]
fn v16_a_value_of_another_type_than_declared_is_tagged_where_it_could_meet_another() {
    let string = file(KeyValue::S("1"), "N");
    assert_eq!(string.name, "de34ad408f982bb1b98fa8fac630ce99__S%3A1");
    assert_eq!(string.fallback_of.as_deref(), Some(&b"S:1"[..]));
    assert!(string.is_type_tagged);
    for declared in ["N", "B", "", "X"] {
        for text in ["1/2", "-7", "1e5", " 5 ", "00"] {
            assert!(file(KeyValue::S(text), declared).is_type_tagged, "{text}");
        }
        for text in ["abc", "1/", "/2", "1/2/3", "--1", "0x10", "", "+1/2"] {
            assert!(!file(KeyValue::S(text), declared).is_type_tagged, "{text}");
        }
        assert!(!file(KeyValue::N("1"), declared).is_type_tagged);
        assert!(!file(KeyValue::B(b"1"), declared).is_type_tagged);
    }
    let number = file(KeyValue::N("1.0"), "S");
    assert_eq!(number.fallback_of.as_deref(), Some(&b"N:1"[..]));
    assert!(number.is_type_tagged && !file(KeyValue::S("1"), "S").is_type_tagged);
}

#[test]
fn v16_every_number_of_a_row_that_cannot_be_migrated_is_named_as_stored() {
    let hex = file(KeyValue::N("0x10"), "N");
    assert_eq!(hex.name, "ec255767ed2369a852e6ea5c495c1516__X%3A0x10");
    assert!(!hex.is_type_tagged);
    let schema = table("h", Some("r"), &[("h", "N"), ("r", "N")]);
    let path =
        |hash, range| Path::of(&Key { hash: KeyValue::N(hash), range: Some(KeyValue::N(range)) }, &schema);
    let (one, another) = (path("1", "abc"), path("1.0", "abc"));
    assert_eq!(one.folder.as_ref().unwrap().fallback_of.as_deref(), Some(&b"X:1"[..]));
    assert_eq!(another.folder.as_ref().unwrap().fallback_of.as_deref(), Some(&b"X:1.0"[..]));
    assert_ne!(one.text(), another.text());
    // Whatever is declared, and however often white space stands around it.
    assert_eq!(file(KeyValue::N(" x"), "S").fallback_of.as_deref(), Some(&b"X: x"[..]));
}

#[test]
fn a_long_key_that_begins_with_a_tag_can_have_the_path_of_a_tagged_one() {
    let digits = "7".repeat(300);
    let tagged = file(KeyValue::S(&digits), "N");
    let long = format!("S:{digits}");
    let plain = file(KeyValue::S(&long), "N");
    assert_eq!(tagged.name, plain.name);
    for value in [KeyValue::S(&digits), KeyValue::S(&long)] {
        let path = Path::of(&Key { hash: value, range: None }, &table("id", None, &[("id", "N")]));
        assert!(path.could_be_taken());
    }
}

#[test]
fn long_bytes_can_have_the_path_of_a_long_number() {
    let digits = "7".repeat(300);
    let (number, bytes) = (file(KeyValue::N(&digits), "N"), file(KeyValue::B(digits.as_bytes()), "N"));
    assert_eq!(number.name, bytes.name);
    for value in [KeyValue::N(&digits), KeyValue::B(digits.as_bytes())] {
        let path = Path::of(&Key { hash: value, range: None }, &table("id", None, &[("id", "N")]));
        assert!(path.could_be_taken());
    }
    let long = "x".repeat(300);
    for value in [KeyValue::S(&long), KeyValue::B(long.as_bytes())] {
        let path = Path::of(&Key { hash: value, range: None }, &table("id", None, &[("id", "N")]));
        assert!(!path.could_be_taken());
    }
}

fn any_value() -> impl Strategy<Value = (u8, Vec<u8>)> {
    let text = prop_oneof![
        "[0-9./eE+ -]{0,5}",
        "[NSX]:[0-9/]{0,4}",
        "(b64\\.)?[A-Za-z0-9_-]{0,6}",
        "[0-9a-f]{32}__[a-z]{0,3}",
        "\\PC{0,4}",
        "[7]{238,243}",
        "S:[7]{238,243}",
    ];
    (0..3_u8, text.prop_map(String::into_bytes))
}

fn value((kind, bytes): &(u8, Vec<u8>)) -> KeyValue<'_> {
    let text = str::from_utf8(bytes).unwrap();
    match kind {
        0 => KeyValue::S(text),
        1 => KeyValue::N(text),
        _ => KeyValue::B(bytes),
    }
}

proptest! {
    #[test]
    fn no_two_keys_of_a_table_share_a_path_but_where_it_could_be_taken(
        keys in prop::collection::vec((any_value(), any_value()), 2..12),
        (hash_type, range_type) in ("[SNBX]", "[SNB]"),
        is_composite: bool,
    ) {
        let range = is_composite.then_some("r");
        let schema = table("h", range, &[("h", &hash_type), ("r", &range_type)]);
        let mut paths: HashMap<String, Vec<u8>> = HashMap::new();
        for (hash, range) in &keys {
            let key = Key { hash: value(hash), range: is_composite.then(|| value(range)) };
            // What tells items apart: the segments, or the stored text where there are none.
            let mut identity = Vec::new();
            if !key.push_ordered(&mut identity) {
                identity = b"!".to_vec();
                key.push_legacy(&mut identity);
            }
            let path = Path::of(&key, &schema);
            prop_assert!(path.segments().all(|segment| segment.name.is_ascii() && segment.name.len() <= 240));
            if let Some(other) = paths.insert(path.text(), identity.clone()) {
                prop_assert!(other == identity || path.could_be_taken(), "{key:?} has the path of another");
            }
        }
    }
}
