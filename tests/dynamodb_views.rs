//! The staging database as people ask it: the views over the DynamoDB tables.

#![allow(clippy::unwrap_used, clippy::panic, reason = "this is test code, if not inside a test function")]

mod support;

use ekvsnap_testkit::dynamodb_rows::{
    Attribute, TableSchema, item_key, item_value, legacy_payload, number_segment, segment,
};
use support::Row;
use support::documentation::ask;
use support::dynamodb::{dump, item, table, with_schema};

/// A few tables.
fn shop() -> Vec<Row> {
    let orders = TableSchema::new("orders", "S").range("N");
    let order = |id: &str, at: &str, digits: &str, status: &str| {
        let payload = [segment(id.as_bytes()), number_segment(false, digits, at.len() as i64)].concat();
        let attributes = [
            ("id", Attribute::s(id)),
            ("r", Attribute::n(at)),
            ("status", Attribute::s(status)),
            ("total", Attribute::n("12.50")),
        ];
        (item_key("orders", 1, &payload), item_value(&attributes))
    };
    let status = |status| [("status", Attribute::s(status))];
    [
        with_schema(
            &orders,
            [
                order("c/1", "129", "129", "open"),
                order("c/1", "130", "13", "paid"),
                order("c/2", "7", "7", "open"),
            ],
        ),
        table(
            "tickets",
            [item("tickets", "T-1", &status("open")), item("tickets", "T-2", &status("closed"))],
        ),
        table(
            "users",
            [item("users", "ann", &[("tags", Attribute::Ss(vec!["a".to_owned(), "b".to_owned()]))])],
        ),
    ]
    .concat()
}

#[test]
fn tables_items_and_attributes_can_be_listed() {
    let dump = dump(&shop());
    let tables = "SELECT table_name, hash_key, hash_type, range_key, range_type, items FROM dynamodb_tables";
    assert_eq!(ask(&dump, tables), ["orders|id|S|r|N|3", "tickets|id|S|||2", "users|id|S|||1"]);
    let items =
        "SELECT table_name, hash_type, hash, range_type, range, item, bytes FROM dynamodb_items LIMIT 1";
    let expected = r#"orders|S|c/1|N|129|{"id":{"S":"c/1"},"r":{"N":"129"},"status":{"S":"open"},"total":{"N":"12.50"}}|65"#;
    assert_eq!(ask(&dump, items), [expected]);
    let attributes = "SELECT attribute, type, value FROM dynamodb_attributes WHERE hash = 'ann'";
    assert_eq!(ask(&dump, attributes), ["id|S|ann", r#"tags|SS|["a","b"]"#]);
    assert_eq!(ask(&dump, "SELECT * FROM dynamodb_other_rows"), Vec::<String>::new());
    assert_eq!(dump.report.families[0].kinds, [("item".to_owned(), 6)]);
}

#[test]
fn numbers_of_keys_can_be_compared_as_numbers() {
    let dump = dump(&shop());
    let sql = "SELECT hash, range FROM dynamodb_item WHERE range_number BETWEEN 100 AND 129.5";
    assert_eq!(ask(&dump, sql), ["c/1|129"]);
}

#[test]
fn keys_are_text_where_they_are_text_and_a_blob_literal_where_they_are_not() {
    let bytes =
        |id: &[u8]| (item_key("b", 1, &segment(id)), item_value(&[("id", Attribute::B(id.to_vec()))]));
    let rows = [
        with_schema(&TableSchema::new("b", "B"), [bytes(b"\xff"), bytes(b"text")]),
        table("s", [item("s", "a\0b", &[]), item("s", "é", &[])]),
        table("n\0", [item("n\0", "x", &[])]),
    ]
    .concat();
    let dump = dump(&rows);
    assert_eq!(
        ask(&dump, "SELECT table_name, hash FROM dynamodb_items ORDER BY table_name, hash"),
        ["X'6E00'|x", "b|X'74657874'", "b|X'FF'", "s|X'610062'", "s|é"]
    );
    let nul = "SELECT json_extract(item, '$.id.S') = 'a' || char(0) || 'b' FROM dynamodb_items WHERE hash = 'X''610062'''";
    assert_eq!(ask(&dump, nul), ["1"]);
}

#[test]
fn every_text_of_every_table_and_view_is_utf8_whatever_the_keys_are() {
    let schema = TableSchema::new("é\0", "S").version(1);
    let odd = |id: &str| {
        (item_key("é\0", 1, &legacy_payload(id.as_bytes(), b"")), item_value(&[("id", Attribute::n(id))]))
    };
    let rows = [
        with_schema(&schema, [odd("1"), odd("1.0"), odd("x\0\u{7f}")]),
        vec![(item_key("gone", 1, b"\xff"), b"\xff".to_vec()), (b"!ddb|gsi|\xff|".to_vec(), vec![])],
    ]
    .concat();
    let dump = dump(&rows);
    let relations =
        ask(&dump, "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') ORDER BY name");
    assert!(relations.iter().any(|name| name == "dynamodb_attributes"));
    for name in relations {
        // Reading a cell fails where a text is none.
        ask(&dump, &format!("SELECT * FROM {name}"));
    }
}

#[test]
fn what_the_exporter_asks_is_answered_in_order_without_sorting_or_copying() {
    let dump = dump(&shop());
    for sql in [
        "SELECT value, parts FROM dynamodb_exported_item WHERE table_id = 1 ORDER BY identity",
        "SELECT value, parts, item FROM dynamodb_exported_item WHERE table_id = 1 ORDER BY identity",
        "SELECT payload FROM dynamodb_item_row WHERE table_id = 1 AND generation = 1 ORDER BY payload",
        "SELECT * FROM dynamodb_part WHERE container = 1 ORDER BY key",
        "SELECT * FROM dynamodb_tables",
        "SELECT * FROM dynamodb_items",
        "SELECT * FROM dynamodb_attributes",
        "SELECT * FROM dynamodb_other_rows",
        "SELECT * FROM dynamodb_items WHERE table_name = 'orders' AND hash = 'c/1'",
    ] {
        for step in ask(&dump, &format!("EXPLAIN QUERY PLAN {sql}")) {
            let copies = ["TEMP B-TREE", "MATERIALIZE", "AUTOMATIC"].iter().any(|word| step.contains(word));
            assert!(!copies, "{sql}: {step}");
        }
    }
    let by_key = "EXPLAIN QUERY PLAN SELECT identity FROM dynamodb_item WHERE table_id = 1 AND hash = 'c/1' AND range = '7'";
    assert!(ask(&dump, by_key)[0].contains("dynamodb_item_key (table_id=? AND hash=? AND range=?)"));
}
