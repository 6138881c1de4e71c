use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn json(value: &[u8]) -> Result<String, Malformed> {
    let mut out = Vec::new();
    Item::decode(value)?.push_document(Layout::Compact, &mut out);
    Ok(String::from_utf8(out).unwrap())
}

fn hex(digits: &str) -> Vec<u8> {
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

const V9: &str = "004449010a090a016212041a02ff010a080a02626512021a000a0d0a026273120742050a01010a000a070a0166120220000a090a02696412030a016b0a0f0a016c120a4a080a020a000a024a000a1c0a016d121752150a080a024b31120252000a090a026b3212031201310a0e0a016e120912072d312e353065330a110a026e73120b3a090a0231300a03392e300a090a036e756c120228010a100a027373120a32080a01620a03613c620a090a03737365120232000a070a017412022001";
const V9_JSON: &str = r#"{"b":{"B":"/wE="},"be":{"B":""},"bs":{"BS":["AQ==",""]},"f":{"BOOL":false},"id":{"S":"k"},"l":{"L":[{"S":""},{"L":[]}]},"m":{"M":{"K1":{"M":{}},"k2":{"N":"1"}}},"n":{"N":"-1.50e3"},"ns":{"NS":["10","9.0"]},"nul":{"NULL":true},"ss":{"SS":["b","a\u003cb"]},"sse":{"SS":[]},"t":{"BOOL":true}}"#;

#[test]
fn v9_an_item_with_every_type_is_written_as_the_specification_has_it() {
    assert_eq!(json(&hex(V9)).unwrap(), V9_JSON);
    let item = Item::decode(&hex(V9)).unwrap();
    assert!(item.has_empty_set);
    let mut out = Vec::new();
    item.push_document(Layout::Indented(0), &mut out);
    assert_eq!(out.len(), 624);
}

#[test]
fn v3_section_5_row_11_a_number_keeps_its_spelling() {
    let value = hex(
        "004449010a140a0b637573746f6d65725f696412050a03632f310a140a086f726465725f7473120812063132392e35300a100a0673746174757312060a046f70656e",
    );
    let item = Item::decode(&value).unwrap();
    let mut out = Vec::new();
    item.push_document(Layout::Indented(0), &mut out);
    let expected = "{\n  \"customer_id\": {\n    \"S\": \"c/1\"\n  },\n  \"order_ts\": {\n    \"N\": \"129.50\"\n  },\n  \"status\": {\n    \"S\": \"open\"\n  }\n}";
    assert_eq!(String::from_utf8(out).unwrap(), expected);
    let key = item.key("customer_id", Some("order_ts")).unwrap();
    assert_eq!(key, Key { hash: KeyValue::S("c/1"), range: Some(KeyValue::N("129.50")) });
}

#[test]
fn v13_what_live_refuses_is_malformed_each_by_its_rule() {
    for (value, rule) in [
        ("004449010a030a0178", Malformed::NoValue),
        ("004449010a050a01781200", Malformed::NoValue),
        ("004449010a070a017812022800", Malformed::NullFalse),
        ("004449010a080a017812030a01ff", Malformed::NotUtf8(NAME)),
        ("", Malformed::Magic(NAME)),
        ("00445301", Malformed::Magic(NAME)),
        ("004449010a05", Malformed::Protobuf(NAME)),
        // A known number of another wire type.
        ("0044490108", Malformed::Protobuf(NAME)),
        ("00444901080a", Malformed::Protobuf(NAME)),
        ("004449010a070a017812022200", Malformed::Protobuf(NAME)),
    ] {
        assert_eq!(json(&hex(value)), Err(rule), "{value}");
    }
}

#[test]
fn v13_what_live_reads_is_read() {
    for (value, expected) in [
        ("00444901", "{}"),
        ("004449010a070a017812023200", r#"{"x":{"SS":[]}}"#),
        ("004449010a080a017812030a01610a080a017812030a0162", r#"{"x":{"S":"b"}}"#),
        ("004449011a01780a080a017812030a0161", r#"{"x":{"S":"a"}}"#),
    ] {
        assert_eq!(json(&hex(value)).unwrap(), expected, "{value}");
    }
}

#[test]
fn an_attribute_keeps_its_last_type_and_joins_what_comes_of_that_type_in_a_row() {
    let (text, list) = (|text: &[u8]| field(1, text), |element: &[u8]| field(9, &field(1, element)));
    for (attribute, expected) in [
        ([text(b"a"), field(2, b"1")].concat(), r#"{"N":"1"}"#),
        ([list(&text(b"a")), list(&text(b"b"))].concat(), r#"{"L":[{"S":"a"},{"S":"b"}]}"#),
        ([list(&text(b"a")), field(6, b""), list(&text(b"b"))].concat(), r#"{"L":[{"S":"b"}]}"#),
    ] {
        let entry = [field(1, b"x"), field(2, &attribute)].concat();
        assert_eq!(json(&[MAGIC, &field(1, &entry)].concat()).unwrap(), format!("{{\"x\":{expected}}}"));
    }
    // One entry with its value in two parts, and before its name.
    let entry = [field(2, &list(&text(b"a"))), field(2, &list(&text(b"b"))), field(1, b"x")].concat();
    let value = [MAGIC, &field(1, &entry)].concat();
    assert_eq!(json(&value).unwrap(), r#"{"x":{"L":[{"S":"a"},{"S":"b"}]}}"#);
}

fn field(number: u32, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    ekvsnap_testkit::protobuf::bytes_field(&mut out, number, bytes);
    out
}

/// An attribute nested so deep: maps in maps, or lists in lists, with a set at the bottom.
fn nested(depth: usize, map: bool) -> Vec<u8> {
    let named = |value: &[u8]| field(1, &[field(1, b"n"), field(2, value)].concat());
    let mut value = field(6, &field(1, b"x"));
    for _ in 1..depth {
        value = if map { field(10, &named(&value)) } else { field(9, &field(1, &value)) };
    }
    [MAGIC, &named(&value)].concat()
}

#[test]
fn section_5_row_12_attributes_may_nest_32_levels_and_no_more() {
    for map in [true, false] {
        assert!(json(&nested(32, map)).is_ok());
        for depth in [33, 34, 41, 100, 3000] {
            assert_eq!(json(&nested(depth, map)), Err(Malformed::Depth), "{depth}");
        }
    }
}

#[test]
fn section_5_row_18_an_item_of_older_nodes_is_read_from_json() {
    assert_eq!(json(V9_JSON.as_bytes()).unwrap(), V9_JSON);
    for (value, expected) in [
        ("{}", "{}"),
        (r#"{"b":{"S":"1"},"a":{"N":"1.50"},"b":{"S":"2"}}"#, r#"{"a":{"N":"1.50"},"b":{"S":"2"}}"#),
        (r#"{"a":{"S":"1","S":"2"}}"#, r#"{"a":{"S":"2"}}"#),
        ("{ \"a\" : { \"BOOL\" : true } } \n", r#"{"a":{"BOOL":true}}"#),
    ] {
        assert_eq!(json(value.as_bytes()).unwrap(), expected, "{value}");
    }
    for value in [
        r#"{"a":"x"}"#,
        r#"{"a":{}}"#,
        r#"{"a":{"S":"x","N":"1"}}"#,
        r#"{"a":{"S":1}}"#,
        r#"{"a":{"N":1}}"#,
        r#"{"a":{"X":"x"}}"#,
        r#"{"a":{"BOOL":"true"}}"#,
        r#"{"a":{"NULL":null}}"#,
        r#"{"a":{"B":"AA"}}"#,
        r#"{"a":{"B":"_w=="}}"#,
        r#"{"a":{"SS":"x"}}"#,
        r#"{"a":{"NS":[1]}}"#,
        r#"{"a":{"L":[{"S":"x"},null]}}"#,
        r#"{"a":{"S":"x"}}}"#,
        r#"{"a":{"S":"x"}"#,
    ] {
        let refused = json(value.as_bytes());
        assert!(matches!(refused, Err(Malformed::Json { .. })), "{value}: {refused:?}");
    }
    assert_eq!(json(br#"{"a":{"NULL":false}}"#), Err(Malformed::NullFalse));
    assert_eq!(json(b"{\"a\":{\"S\":\"\xff\"}}"), Err(Malformed::NotUtf8(NAME)));
    let nested = |depth: usize| {
        let (open, close) = (r#"{"L":["#.repeat(depth - 1), "]}".repeat(depth - 1));
        format!(r#"{{"a":{open}{{"S":""}}{close}}}"#)
    };
    assert!(json(nested(32).as_bytes()).is_ok());
    assert_eq!(json(nested(33).as_bytes()), Err(Malformed::Depth));
    assert!(json(nested(5000).as_bytes()).is_err());
}

#[test]
fn a_key_attribute_that_is_missing_or_of_another_type_is_named() {
    let item = Item::decode(&hex(V9)).unwrap();
    assert_eq!(item.key("k\n", None), Err(Malformed::NoKeyAttribute("k\\n".to_owned())));
    assert_eq!(item.key("id", Some("ss")), Err(Malformed::KeyAttributeType("ss".to_owned())));
    assert_eq!(item.key("t", None), Err(Malformed::KeyAttributeType("t".to_owned())));
    assert_eq!(item.key("id", Some("id")).unwrap().range, Some(KeyValue::S("k")));
}

proptest! {
    #[test]
    fn no_bytes_make_the_decoder_panic(rest in vec(any::<u8>(), 0..40), flips in vec((0..180_usize, any::<u8>()), 0..4)) {
        for magic in [MAGIC, b"{", b""] {
            let _ = json(&[magic, &rest].concat());
        }
        let mut value = hex(V9);
        for (at, byte) in flips {
            value[at] = byte;
        }
        if let Ok(text) = json(&value) {
            // What is read once reads the same from the JSON that it became.
            prop_assert_eq!(json(text.as_bytes()), Ok(text));
        }
    }
}
