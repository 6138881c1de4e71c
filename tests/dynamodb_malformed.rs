//! Malformed rows of DynamoDB: the run stops and says which row it was, or sets it aside and says so
//! (`docs/format/dynamodb.md` section 3.8).

mod support;

use ekvsnap::error::Error;
use ekvsnap::snapshot::Readable;
use ekvsnap_testkit::dynamodb_rows::{
    Attribute, TableSchema, counter_key, index_key, item_key, item_value, legacy_payload, number_segment,
    schema_key, segment,
};
use ekvsnap_testkit::protobuf::bytes_field;
use ekvsnap_testkit::version::{Version, raw_key};
use support::dynamodb::{dump, dump_how, item, refusal, table, with_schema};
use support::{DYNAMODB, How, LAST_COMMIT_TS, Row};

const QUARANTINE: How = How { quarantine: true, ..DYNAMODB };

/// A row of table `t` with the payload of this id.
fn with_value(id: &str, value: Vec<u8>) -> Row {
    (item_key("t", 1, &segment(id.as_bytes())), value)
}

fn key(text: &str) -> Row {
    (text.as_bytes().to_vec(), b"x".to_vec())
}

/// An attribute `x` of these bytes beside the key `a`.
fn with_attribute(message: &[u8]) -> Row {
    let mut value = item_value(&[("id", Attribute::s("a"))]);
    let mut entry = Vec::new();
    bytes_field(&mut entry, 1, b"x");
    bytes_field(&mut entry, 2, message);
    bytes_field(&mut value, 1, &entry);
    with_value("a", value)
}

fn nested(depth: usize) -> Attribute {
    (1..depth).fold(Attribute::s(""), |inner, _| Attribute::L(vec![inner]))
}

/// One row for every rule of an item row in a table of strings, and how the rule is told.
fn items() -> Vec<(Row, &'static str)> {
    let id = Attribute::s("a");
    let magic = "the value begins neither with the magic of an item nor like JSON";
    let other_key = "the primary key in the row key is not that of the item's attributes";
    let not_ordered =
        "the primary key in the row key is not in the ordered encoding, which the schema demands";
    let under = |payload: &[u8]| (item_key("t", 1, payload), item_value(&[("id", Attribute::s("a"))]));
    vec![
        // Keys.
        (key("!ddb|item|"), "the row key names no table"),
        (key("!ddb|item||1|x"), "the row key names no table"),
        (key("!ddb|item|dA"), "the row key names no generation"),
        (key("!ddb|item|dA|"), "the row key names no generation"),
        (key("!ddb|item|dA|1"), "the row key holds no primary key"),
        (key("!ddb|item|dA|1|"), "the row key holds no primary key"),
        (key("!ddb|item|d*|1|x"), "the table in the row key is not base64url"),
        (key("!ddb|item|d|1|x"), "the table in the row key is not base64url"),
        (key("!ddb|item|dA==|1|x"), "the table in the row key is not base64url"),
        (key("!ddb|item|dA|+1|x"), "the generation in the row key is not a decimal number of 64 bits"),
        (
            key("!ddb|item|dA|18446744073709551616|x"),
            "the generation in the row key is not a decimal number of 64 bits",
        ),
        // Section 5, row 15.
        (key("!ddb|item|dA|01|x"), "the generation in the row key has a leading zero"),
        (
            key("!ddb|item|dB|1|x"),
            "the table in the row key is not in the one form that base64url has for it",
        ),
        (
            key("!ddb|item|d\nA|1|x"),
            "the table in the row key is not in the one form that base64url has for it",
        ),
        // Payloads.
        (under(&legacy_payload(b"a", b"")), not_ordered),
        (under(b"a"), not_ordered),
        (under(b"a\0\x01x"), not_ordered),
        (under(b"a\0\x02\0\x01"), not_ordered),
        (under(&[segment(b"a"), segment(b"a")].concat()), not_ordered),
        // Section 5, row 14.
        (with_value("a", item_value(&[("id", Attribute::s("zzz"))])), other_key),
        (with_value("a", item_value(&[("id", Attribute::n("a"))])), other_key),
        (under(&segment(b"a\0")), other_key),
        // Values. Section 5, row 18: what is neither.
        (with_value("a", vec![]), magic),
        (with_value("a", b"\0DS\x01".to_vec()), magic),
        (with_value("a", b" {}".to_vec()), magic),
        (with_value("a", b"\0DI\x01\x0a\x05x".to_vec()), "the protobuf of an item does not parse"),
        (with_value("a", b"\0DI\x01\x08\x01".to_vec()), "the protobuf of an item does not parse"),
        (with_attribute(b"\x0a\x01\xff"), "a string in an item is not UTF-8"),
        (with_value("a", b"{\"id\":{\"S\":\"\xff\"}}".to_vec()), "a string in an item is not UTF-8"),
        (
            with_value("a", b"{\"id\":{\"S\":1}}".to_vec()),
            "the JSON of an item does not parse: invalid type: integer `1`, expected a string at line 1 column 12",
        ),
        // Section 5, row 12.
        (with_attribute(b""), "an attribute holds no value"),
        (with_attribute(b"\x28\0"), "an attribute is NULL false"),
        (
            with_value("a", item_value(&[("id", id.clone()), ("x", nested(33))])),
            "the attributes nest deeper than 32 levels",
        ),
        (
            with_value("a", item_value(&[("id", id.clone()), ("x", nested(41))])),
            "the attributes nest deeper than 32 levels",
        ),
        (
            with_value("a", item_value(&[("id", id), ("x", nested(400))])),
            "the attributes nest deeper than 32 levels",
        ),
        // Key attributes.
        (with_value("a", b"\0DI\x01".to_vec()), "the item lacks the key attribute id"),
        (with_value("a", item_value(&[("ID", Attribute::s("a"))])), "the item lacks the key attribute id"),
        (
            with_value("a", item_value(&[("id", Attribute::Bool(true))])),
            "the key attribute id is neither S, N nor B",
        ),
        (
            with_value("a", item_value(&[("id", Attribute::Ss(vec!["a".to_owned()]))])),
            "the key attribute id is neither S, N nor B",
        ),
    ]
}

/// One row for every rule of a schema row.
fn schemas() -> Vec<(Row, &'static str)> {
    let schema = |value: &[u8]| (schema_key("t"), value.to_vec());
    let version = TableSchema::new("t", "S").version(1 << 63).value();
    vec![
        (key("!ddb|meta|table|"), "the row key names no table"),
        (key("!ddb|meta|table|d*"), "the table in the row key is not base64url"),
        (
            key("!ddb|meta|table|dB"),
            "the table in the row key is not in the one form that base64url has for it",
        ),
        (schema(b""), "the value begins neither with the magic of a schema nor like JSON"),
        (schema(b"\0DS\x01\x0a\x05t"), "the protobuf of a schema does not parse"),
        (schema(b"\0DS\x01\x0a\x01\xff"), "a string in a schema is not UTF-8"),
        (schema(b"{"), "the JSON of a schema does not parse: EOF while parsing an object at line 1 column 1"),
        // Section 5, row 16.
        (
            schema(&TableSchema::new("b", "S").value()),
            "the row key is that of table \"t\", the schema that of \"b\"",
        ),
        (
            schema(&version),
            "the key encoding version 9223372036854775808 does not fit a signed 64-bit number",
        ),
        (
            schema(&[b"\0DS\x01".to_vec(), vec![0; 2 << 20]].concat()),
            "the schema has 2097156 bytes, more than the 1048576 that are read",
        ),
    ]
}

/// The rows of one malformed row's snapshot.
fn around(row: &Row) -> Vec<Row> {
    let is_schema = row.0.starts_with(b"!ddb|meta|");
    let name = if is_schema { "other" } else { "t" };
    table(name, [row.clone(), item(name, "good", &[])])
}

#[test]
fn section_5_row_20_a_malformed_row_stops_the_run_with_its_place_its_key_and_its_rule() {
    for (row, rule) in items().into_iter().chain(schemas()) {
        let rows = around(&row);
        let Error::MalformedRow { offset, key, rule: broken, name } = refusal(&rows) else {
            panic!("{rule}: refused for another reason");
        };
        assert_eq!(broken.to_string(), rule);
        assert!(name.ends_with("0.fsm"));
        let before: usize = rows
            .iter()
            .filter(|(other, _)| raw_key(other, LAST_COMMIT_TS) < raw_key(&row.0, LAST_COMMIT_TS))
            .map(|(key, value)| 8 + key.len() + 8 + 8 + value.len() + 9)
            .sum();
        assert_eq!(offset, 16 + before as u64, "{rule}");
        assert_eq!(key, Readable(&row.0).to_string());
    }
}

#[test]
fn a_malformed_row_in_quarantine_is_kept_whole_and_the_run_goes_on() {
    for (row, rule) in items().into_iter().chain(schemas()) {
        let dump = dump_how(&around(&row), QUARANTINE);
        assert!(
            dump.paths()[0].ends_with("/items/good.json") && dump.files.len() == 2,
            "{rule}: {:?}",
            dump.paths()
        );
        dump.assert_warnings(&[("quarantined_row", 1)]);
        assert!(dump.report.is_incomplete());
        assert_eq!(dump.manifest["decode"]["quarantined_rows"], 1);
        let version = Version::put(row.0.clone(), LAST_COMMIT_TS, row.1.clone());
        let kept: (Vec<u8>, rusqlite::types::Value, String, String) = dump
            .staging
            .query_row("SELECT raw_key, raw_value, rule, class FROM quarantine", [], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
            })
            .unwrap();
        let is_large = row.1.len() > 40_000;
        match kept.1 {
            rusqlite::types::Value::Blob(bytes) => assert_eq!(bytes, version.raw_value()),
            other => assert!(is_large, "{rule}: {other:?}"),
        }
        assert_eq!((kept.0, kept.2, kept.3), (version.raw_key(), rule.to_owned(), "dynamodb".to_owned()));
        assert!(dump.samples("quarantined_row")[0].starts_with(&Readable(&row.0).to_string()));
        assert!(dump.ask("SELECT 1 FROM dynamodb_other_rows").is_empty());
    }
}

#[test]
fn rows_of_a_malformed_schema_are_orphans() {
    let rows = [(schema_key("t"), b"\0DS\x01\xff".to_vec()), item("t", "a", &[]), item("t", "b", &[])];
    let dump = dump_how(&rows, QUARANTINE);
    dump.assert_files::<&str>(&[]);
    dump.assert_warnings(&[("ddb_orphan_items", 2), ("quarantined_row", 1)]);
    assert_eq!(dump.ask("SELECT DISTINCT state FROM dynamodb_other_rows"), ["Text(\"orphan\")"]);
}

#[test]
fn rows_that_would_not_be_exported_are_not_judged_by_their_value() {
    let broken = || b"neither".to_vec();
    let rows = [
        // Stale, orphan, and of a generation that a table without migration does not migrate from.
        (item_key("t", 9, b"whatever"), broken()),
        (item_key("gone", 1, b"whatever"), broken()),
    ];
    let dump = dump(&table("t", rows));
    dump.assert_warnings(&[("ddb_orphan_items", 1), ("ddb_stale_generation_items", 1)]);
}

#[test]
fn index_and_generation_rows_are_never_refused() {
    let rows = [
        (index_key("t", 1, "i", b""), b"\xff".to_vec()),
        (b"!ddb|gsi|*||||".to_vec(), vec![]),
        (b"!ddb|meta|gen|d*".to_vec(), b"\xff".to_vec()),
        (counter_key("gone"), vec![b'7'; 100_000]),
    ];
    let dump = dump(&table("t", rows));
    dump.assert_warnings(&[]);
}

#[test]
fn a_legacy_row_is_held_to_the_legacy_encoding() {
    let schema = TableSchema::new("t", "S").version(1);
    let row = |payload: &[u8]| (item_key("t", 1, payload), item_value(&[("id", Attribute::s("a"))]));
    let not_legacy = "the primary key in the row key is not in the legacy encoding, which the schema demands";
    let other_key = "the primary key in the row key is not that of the item's attributes";
    for (payload, rule) in [
        (&segment(b"a")[..], not_legacy),
        (b"YQ", not_legacy),
        (b"YQ||", not_legacy),
        (b"YQ=|", not_legacy),
        (b"YR|", other_key),
        (b"YQ|YQ", other_key),
        (b"Yg|", other_key),
    ] {
        let error = refusal(&with_schema(&schema, [row(payload)])).to_string();
        assert!(error.ends_with(rule), "{error}");
    }
}

#[test]
fn an_ordered_row_whose_number_cannot_be_a_key_is_malformed() {
    let value = item_value(&[("id", Attribute::n("abc"))]);
    for payload in [segment(b"abc"), number_segment(false, "1", 1)] {
        let rows = with_schema(&TableSchema::new("t", "N"), [(item_key("t", 1, &payload), value.clone())]);
        let error = refusal(&rows).to_string();
        assert!(error.ends_with("is not that of the item's attributes"), "{error}");
    }
}

#[test]
fn of_two_items_with_one_path_the_later_is_malformed() {
    // 300 sevens are tagged and hashed with their tag; a key that begins with the tag is hashed for its length.
    let digits = "7".repeat(300);
    let tagged = format!("S:{digits}");
    let rows = with_schema(&TableSchema::new("t", "N"), [item("t", &digits, &[]), item("t", &tagged, &[])]);
    let error = refusal(&rows);
    let Error::MalformedRow { key, rule, .. } = &error else { panic!("{error}") };
    assert!(key.starts_with("!ddb|item|dA|1|S:777"), "{key}");
    let place = rule.to_string();
    assert!(place.starts_with("another item of the table has the same file name "), "{place}");
    assert!(place.ends_with(&format!("__S%3A{}", "7".repeat(62))), "{place}");

    let dump = dump_how(&rows, QUARANTINE);
    let path = dump.paths()[1];
    assert!(dump.text(path).contains(&format!("\"{digits}\"")));
    assert_eq!(dump.paths().len(), 2);
    dump.assert_warnings(&[("ddb_key_type_mismatch", 1), ("quarantined_row", 1)]);
    assert_eq!(dump.ask("SELECT count(*) FROM dynamodb_items"), ["Integer(1)"]);
}

#[test]
fn long_bytes_that_have_the_path_of_a_long_number_are_malformed() {
    let digits = "7".repeat(300);
    let rows = [
        (
            item_key("t", 1, &number_segment(false, &digits, 300)),
            item_value(&[("id", Attribute::n(&digits))]),
        ),
        (
            item_key("t", 1, &segment(digits.as_bytes())),
            item_value(&[("id", Attribute::B(digits.clone().into_bytes()))]),
        ),
    ];
    let dump = dump_how(&with_schema(&TableSchema::new("t", "N"), rows), QUARANTINE);
    assert!(dump.text(dump.paths()[1]).contains("\"N\": \"777"));
    assert_eq!(dump.paths().len(), 2);
    dump.assert_warnings(&[("quarantined_row", 1)]);
}
