//! Tables whose rows are, or never were, migrated from the legacy key encoding: which row of an item counts
//! (`docs/format/dynamodb.md` sections 2.2 to 2.6).

mod support;

use ekvsnap_testkit::dynamodb_rows::{
    Attribute, TableSchema, counter_key, item_key, item_value, legacy_payload, number_segment, schema_key,
    segment,
};
use ekvsnap_testkit::sorted::SortedSnapshot;
use ekvsnap_testkit::version::Version;
use support::dynamodb::{dump, dump_how, file, with_schema};
use support::{DYNAMODB, How, Row, decode};

/// An item with a number as its key, stored under this payload.
fn number(generation: u64, payload: &[u8], id: &str, v: &str) -> Row {
    let attributes = [("id", Attribute::n(id)), ("v", Attribute::s(v))];
    (item_key("t", generation, payload), item_value(&attributes))
}

/// The same under its legacy payload.
fn legacy(generation: u64, id: &str, v: &str) -> Row {
    number(generation, &legacy_payload(id.as_bytes(), b""), id, v)
}

fn expect(id: &str, v: &str) -> String {
    file(&[("id", Attribute::n(id)), ("v", Attribute::s(v))])
}

fn migrating() -> TableSchema {
    TableSchema::new("t", "N").generation(7).migrating_from(6)
}

#[test]
fn v14_a_row_of_the_new_generation_wins_over_a_legacy_one_and_of_those_the_first() {
    let ordered = number_segment(false, "2", 1);
    let rows = [
        legacy(6, "1", "src 1"),
        legacy(6, "1.0", "src 1.0"),
        legacy(6, "2", "src 2"),
        number(7, &ordered, "2.0", "dst 2"),
    ];
    let dump = dump(&with_schema(&migrating(), rows));
    assert_eq!(dump.paths(), ["t/items/1.json", "t/items/2.json"]);
    assert_eq!(dump.text("t/items/1.json"), expect("1", "src 1"));
    assert_eq!(dump.text("t/items/2.json"), expect("2.0", "dst 2"));
    dump.assert_warnings(&[("ddb_migration_duplicates", 2)]);
    assert_eq!(dump.samples("ddb_migration_duplicates"), ["table t: 2 rows"]);
    let states = dump.ask("SELECT state || ' ' || item FROM dynamodb_other_rows ORDER BY payload_hex");
    assert_eq!(
        states,
        [
            r#"Text("duplicate {\"id\":{\"N\":\"1.0\"},\"v\":{\"S\":\"src 1.0\"}}")"#,
            r#"Text("duplicate {\"id\":{\"N\":\"2\"},\"v\":{\"S\":\"src 2\"}}")"#
        ]
    );
}

#[test]
fn section_5_row_5_in_a_table_that_was_never_migrated_the_first_spelling_of_a_number_wins() {
    for version in [0, 1] {
        // The generation it migrates from is ignored: nothing is being migrated.
        let schema = TableSchema::new("t", "N").version(version).generation(3).migrating_from(2);
        let rows = [legacy(3, "1", "first"), legacy(3, "1.0", "second"), legacy(2, "9", "stale")];
        let dump = dump(&with_schema(&schema, rows));
        assert_eq!(dump.paths(), ["t/items/1.json"]);
        assert_eq!(dump.text("t/items/1.json"), expect("1", "first"));
        dump.assert_warnings(&[("ddb_migration_duplicates", 1), ("ddb_stale_generation_items", 1)]);
        assert_eq!(dump.samples("ddb_stale_generation_items"), ["table t: 1 row; generation 3 is active"]);
    }
}

#[test]
fn the_smallest_raw_key_wins_even_where_its_payload_begins_with_that_of_the_other() {
    // "1.0" and "1.00" are MS4w and MS4wMA: the timestamp of the first sorts behind the "MA" of the second, unless it
    // is as small as no node's.
    let schema = TableSchema::new("t", "N").version(1);
    let rows = with_schema(&schema, [legacy(1, "1.0", "short"), legacy(1, "1.00", "long")]);
    let composite = |hash: &str, range: &str, v: &str| {
        let attributes = [("id", Attribute::s(hash)), ("r", Attribute::n(range)), ("v", Attribute::s(v))];
        let payload = legacy_payload(hash.as_bytes(), range.as_bytes());
        (item_key("c", 1, &payload), item_value(&attributes))
    };
    // Without the `|` at their ends, one payload does begin with the other.
    let both = [composite("h", "1.0", "short"), composite("h", "1.00", "long")];
    let rows = [rows, with_schema(&TableSchema::new("c", "S").range("N").version(1), both)].concat();
    for (commit_ts, winner) in [(1_714_400_000_000 << 16, "long"), (u64::MAX, "short")] {
        let versions: Vec<_> =
            rows.iter().map(|(key, value)| Version::put(key.clone(), commit_ts, value.clone())).collect();
        let file = SortedSnapshot::new(commit_ts).versions(&versions).to_bytes().unwrap();
        let dump = decode(&[file], DYNAMODB).unwrap();
        assert!(dump.text("t/items/1.json").contains("long"), "MA sorts before the end of the first");
        assert!(dump.text("c/items/h/1.json").contains(winner), "{commit_ts}");
        dump.assert_warnings(&[("ddb_migration_duplicates", 2)]);
    }
}

#[test]
fn a_generation_that_migrates_from_itself_is_taken_by_the_shape_of_its_keys() {
    let schema = TableSchema::new("t", "N").generation(6).migrating_from(6);
    let ordered = number_segment(false, "1", 1);
    let rows =
        [legacy(6, "1.0", "legacy"), number(6, &ordered, "1", "ordered"), legacy(6, "2", "legacy only")];
    let dump = dump(&with_schema(&schema, rows));
    assert_eq!(dump.paths(), ["t/items/1.json", "t/items/2.json"]);
    assert_eq!(dump.text("t/items/1.json"), expect("1", "ordered"));
    dump.assert_warnings(&[("ddb_migration_duplicates", 1)]);
}

#[test]
fn rows_of_any_other_generation_are_stale() {
    let ordered = |generation| number(generation, &number_segment(false, "1", 1), "1", "v");
    let rows = [ordered(7), ordered(5), ordered(8), legacy(0, "3", "v"), legacy(6, "2", "v")];
    let dump = dump(&with_schema(&migrating(), rows));
    assert_eq!(dump.paths(), ["t/items/1.json", "t/items/2.json"]);
    dump.assert_warnings(&[("ddb_stale_generation_items", 3)]);
    let sample = "table t: 3 rows; generation 7 is active, 6 is being migrated";
    assert_eq!(dump.samples("ddb_stale_generation_items"), [sample]);
    let states = "SELECT state || ' ' || generation FROM dynamodb_other_rows ORDER BY generation";
    assert_eq!(dump.ask(states), ["Text(\"stale 0\")", "Text(\"stale 5\")", "Text(\"stale 8\")"]);
}

#[test]
fn generations_beyond_signed_numbers_are_told_apart() {
    let schema = TableSchema::new("t", "N").generation(u64::MAX).migrating_from(u64::MAX - 1);
    let ordered = number(u64::MAX, &number_segment(false, "1", 1), "1", "new");
    let rows = [ordered, legacy(u64::MAX - 1, "2", "old"), legacy(1 << 63, "3", "stale")];
    let dump = dump(&with_schema(&schema, rows));
    assert_eq!(dump.paths(), ["t/items/1.json", "t/items/2.json"]);
    dump.assert_warnings(&[("ddb_stale_generation_items", 1)]);
}

#[test]
fn a_number_that_cannot_be_migrated_is_exported_under_its_text() {
    let rows = [
        legacy(6, "0x10", "hex"),
        legacy(6, "abc", "text"),
        legacy(6, "abc ", "text with a blank"),
        legacy(6, "1/2", "fraction"),
        legacy(6, "0.5", "a number"),
    ];
    let dump = dump(&with_schema(&migrating(), rows));
    let hex = "t/items/ec255767ed2369a852e6ea5c495c1516__X%3A0x10.json";
    assert_eq!(dump.text(hex), expect("0x10", "hex"));
    assert_eq!(dump.text("t/items/1%2F2.json"), expect("0.5", "a number"));
    assert_eq!(dump.paths().len(), 6);
    assert!(dump.text("t/KEYMAP.jsonl").contains("\"original\":\"WDoweDEw\""));
    dump.assert_warnings(&[("ddb_unmigratable_key", 4)]);
    assert!(!dump.report.is_incomplete());
}

#[test]
fn strings_and_bytes_of_legacy_rows_are_items_like_any_other() {
    let schema = TableSchema::new("t", "S").range("B").version(0);
    let attributes = [("id", Attribute::s("a|b")), ("r", Attribute::B(vec![0xff, 0]))];
    let rows = [(item_key("t", 1, &legacy_payload(b"a|b", &[0xff, 0])), item_value(&attributes))];
    let dump = dump(&with_schema(&schema, rows));
    assert_eq!(dump.text("t/items/a%7Cb/b64._wA.json"), file(&attributes));
    dump.assert_warnings(&[]);
}

#[test]
fn a_malformed_row_takes_no_part_and_the_next_of_its_identity_counts() {
    let broken = |row: Row| (row.0, [&row.1[..], b"\x0a\x05x"].concat());
    let rows = [
        broken(number(7, &number_segment(false, "1", 1), "1", "broken")),
        broken(legacy(6, "1", "broken too")),
        legacy(6, "1.00", "good"),
        legacy(6, "1.0", "a duplicate"),
    ];
    let dump = dump_how(&with_schema(&migrating(), rows), How { quarantine: true, ..DYNAMODB });
    assert_eq!(dump.text("t/items/1.json"), expect("1.00", "good"));
    dump.assert_warnings(&[("ddb_migration_duplicates", 1), ("quarantined_row", 2)]);
}

#[test]
fn the_order_of_bundles_is_that_of_identities_whatever_the_rows_are_called() {
    let layout = ekvsnap::family::DynamoDbLayout::Jsonl { part_bytes: 1 << 20 };
    let ordered = |digits, exponent, id| number(7, &number_segment(false, digits, exponent), id, "v");
    let rows = [
        legacy(6, "10", "v"),
        legacy(6, "x", "v"),
        legacy(6, "3", "v"),
        ordered("2", 1, "2"),
        ordered("2", 2, "20"),
    ];
    let dump = dump_how(&with_schema(&migrating(), rows), How { layout, ..DYNAMODB });
    let ids: Vec<_> = dump
        .text("t/items/data-00001.jsonl")
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["id"]["N"].to_string())
        .collect();
    // The row that cannot be migrated stands under its row key, which begins with `!`.
    assert_eq!(ids, [r#""2""#, r#""3""#, r#""10""#, r#""20""#, r#""x""#]);
    dump.assert_warnings(&[("ddb_unmigratable_key", 1)]);
}

#[test]
fn a_composite_row_in_a_hash_only_table_is_malformed_and_the_schema_decides() {
    let payload = [segment(b"a"), segment(b"b")].concat();
    let row = (item_key("t", 1, &payload), item_value(&[("id", Attribute::s("a"))]));
    let rows = with_schema(&TableSchema::new("t", "S"), [row]);
    let error = support::dynamodb::refusal(&rows).to_string();
    assert!(error.ends_with("not in the ordered encoding, which the schema demands"), "{error}");
    assert_eq!((schema_key("t"), counter_key("t")), (rows[0].0.clone(), rows[1].0.clone()));
}
