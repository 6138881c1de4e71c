//! Items too long for their row, for one JSON text, for memory: byte for byte, from a file and through a pipe.

mod support;

use ekvsnap::error::Error;
use ekvsnap::snapshot::limits::{BATCH_BYTES, INLINE_PAYLOAD_BYTES};
use ekvsnap_testkit::dynamodb_rows::{
    Attribute, TableSchema, item_json, item_key, item_value, legacy_payload, segment,
};
use support::dynamodb::{dump, dump_how, file, item, refusal, table, with_schema};
use support::{DYNAMODB, How, Row};

/// Longest protobuf of an item that is decoded in memory, and longest JSON, in bytes.
const MEMORY: usize = 512 << 10;
const JSON: usize = 2 << 20;

/// Around the limits, and beyond a batch, so that a pipe's payload comes in several pieces.
const LENGTHS: [usize; 6] = [
    INLINE_PAYLOAD_BYTES - 60,
    INLINE_PAYLOAD_BYTES + 1,
    MEMORY - 100,
    MEMORY,
    MEMORY + 1,
    3 * BATCH_BYTES + 777,
];

/// Attributes of many kinds, of which one has this length.
fn attributes(length: usize) -> Vec<(&'static str, Attribute)> {
    let inner = Attribute::M(vec![
        ("z".to_owned(), Attribute::Ns(vec!["1.0".to_owned(), "1".to_owned()])),
        ("B".to_owned(), Attribute::Bs(vec![vec![0xff; 3], vec![]])),
        ("".to_owned(), Attribute::L(vec![])),
    ]);
    vec![
        ("text", Attribute::S("abc é".chars().cycle().take(length / 2).collect())),
        ("id", Attribute::s("k")),
        ("bytes", Attribute::B((0..length / 3).map(|byte| byte as u8).collect())),
        ("map", Attribute::L(vec![inner, Attribute::Null(true), Attribute::Bool(false)])),
        ("sets", Attribute::M(vec![("s".to_owned(), Attribute::Ss(vec!["b".to_owned(), "a".to_owned()]))])),
    ]
}

#[test]
fn items_of_every_length_are_written_alike_and_asked_alike_while_they_are_short() {
    for length in LENGTHS {
        let attributes = attributes(length);
        let row: Row = (item_key("t", 1, &segment(b"k")), item_value(&attributes));
        let is_long = row.1.len() > MEMORY;
        for self_contained in [false, true] {
            let dump = dump_how(&table("t", [row.clone()]), How { self_contained, ..DYNAMODB });
            assert!(dump.text("t/items/k.json") == file(&attributes), "{length}");
            dump.assert_warnings(&[]);
            let asked = dump.ask("SELECT json_extract(item, '$.sets.M.s.SS[0]') FROM dynamodb_items");
            assert_eq!(asked, [if is_long { "Null" } else { "Text(\"b\")" }], "{length}");
            let bytes = dump.ask("SELECT bytes FROM dynamodb_items");
            assert_eq!(bytes, [format!("Integer({})", row.1.len())]);
            let parts = dump.ask("SELECT count(*) > 0 FROM dynamodb_part");
            assert_eq!(parts, [format!("Integer({})", i32::from(is_long))]);
        }
    }
}

#[test]
fn an_item_of_many_small_attributes_is_written_in_parts() {
    // Some of them twice, in another order than that of their names.
    let attributes: Vec<(String, Attribute)> = (0..40_000)
        .map(|number| (format!("name{:05}", number * 7919 % 30_000), Attribute::N(number.to_string())))
        .chain([("id".to_owned(), Attribute::s("k"))])
        .collect();
    let borrowed: Vec<_> = attributes.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
    let value = item_value(&borrowed);
    assert!(value.len() > MEMORY);
    let dump = dump(&table("t", [(item_key("t", 1, &segment(b"k")), value)]));
    let document: serde_json::Value = serde_json::from_str(&item_json(&attributes)).unwrap();
    assert!(dump.text("t/items/k.json") == serde_json::to_string_pretty(&document).unwrap());
    assert_eq!(dump.ask("SELECT count(*) FROM dynamodb_part"), ["Integer(30001)"]);
}

#[test]
fn json_of_older_nodes_is_read_up_to_its_limit() {
    let json = |length: usize| format!(r#"{{"v":{{"S":"{}"}},"id":{{"S":"k"}}}}"#, "x".repeat(length - 29));
    for length in [MEMORY, MEMORY + 1, JSON] {
        let value = json(length).into_bytes();
        assert_eq!(value.len(), length);
        let dump = dump(&table("t", [(item_key("t", 1, &segment(b"k")), value)]));
        let expected = [("id", Attribute::s("k")), ("v", Attribute::S("x".repeat(length - 29)))];
        assert!(dump.text("t/items/k.json") == file(&expected));
        dump.assert_warnings(&[("ddb_json_value", 1)]);
    }
    let rows = table("t", [(item_key("t", 1, &segment(b"k")), json(JSON + 1).into_bytes())]);
    let error = refusal(&rows).to_string();
    assert!(
        error.ends_with("the JSON of the item has 2097153 bytes, more than the 2097152 that are read"),
        "{error}"
    );
}

#[test]
fn a_long_malformed_item_breaks_the_rules_of_a_short_one() {
    let long = ("v", Attribute::S("x".repeat(2 * MEMORY)));
    let value = |others: &[(&str, Attribute)]| item_value(&[std::slice::from_ref(&long), others].concat());
    let id = || ("id", Attribute::s("k"));
    let set = Attribute::Ss(vec!["k".to_owned()]);
    for (value, rule) in [
        (value(&[]), "the item lacks the key attribute id"),
        (value(&[("id", set)]), "the key attribute id is neither S, N nor B"),
        (
            value(&[("id", Attribute::s("other"))]),
            "the primary key in the row key is not that of the item's attributes",
        ),
        (value(&[id(), ("n", Attribute::Null(false))]), "an attribute is NULL false"),
        ([value(&[id()]), b"\x0a\x03\x0a\x01x".to_vec()].concat(), "an attribute holds no value"),
        ([value(&[id()]), b"\x0a\x05x".to_vec()].concat(), "the protobuf of an item does not parse"),
        (vec![b'?'; 2 * MEMORY], "the value begins neither with the magic of an item nor like JSON"),
    ] {
        let rows = table("t", [(item_key("t", 1, &segment(b"k")), value.clone()), item("t", "good", &[])]);
        let Error::MalformedRow { rule: broken, .. } = refusal(&rows) else { panic!("{rule}") };
        assert_eq!(broken.to_string(), rule);
        let dump = dump_how(&rows, How { quarantine: true, ..DYNAMODB });
        assert_eq!(dump.paths(), ["t/items/good.json"]);
        let kept = "SELECT length FROM quarantine JOIN large_value ON large_value.id = raw_value";
        assert_eq!(dump.ask(kept), [format!("Integer({})", value.len())]);
    }
}

#[test]
fn a_long_legacy_item_takes_part_in_a_migration() {
    let schema = TableSchema::new("t", "N").generation(7).migrating_from(6);
    let long = ("v", Attribute::S("x".repeat(2 * MEMORY)));
    let row = |id: &str| {
        (
            item_key("t", 6, &legacy_payload(id.as_bytes(), b"")),
            item_value(&[("id", Attribute::n(id)), long.clone()]),
        )
    };
    let dump = dump(&with_schema(&schema, [row("1"), row("1.0"), row("0x1")]));
    assert_eq!(dump.paths().len(), 3);
    assert!(dump.text("t/items/1.json") == file(&[("id", Attribute::n("1")), long.clone()]));
    dump.assert_warnings(&[("ddb_migration_duplicates", 1), ("ddb_unmigratable_key", 1)]);
}

#[test]
fn of_two_long_items_with_one_path_the_later_is_malformed() {
    let digits = "7".repeat(MEMORY + 10);
    let rows = [item("t", &digits, &[]), item("t", &format!("S:{digits}"), &[])];
    let dump =
        dump_how(&with_schema(&TableSchema::new("t", "N"), rows), How { quarantine: true, ..DYNAMODB });
    assert_eq!(dump.paths().len(), 2);
    dump.assert_warnings(&[("ddb_key_type_mismatch", 1), ("quarantined_row", 1)]);
}

#[test]
fn a_long_empty_set_is_told() {
    let attributes = [("v", Attribute::S("x".repeat(2 * MEMORY))), ("s", Attribute::Ss(vec![]))];
    let dump = dump(&table("t", [item("t", "k", &attributes)]));
    dump.assert_warnings(&[("ddb_empty_set", 1)]);
}
