//! Items in bundles: many to a file, one per line (`docs/format/dynamodb.md` section 3.6).

mod support;

use ekvsnap::family::DynamoDbLayout;
use ekvsnap_testkit::dynamodb_rows::{
    Attribute, TableSchema, item_json, item_key, item_value, number_segment, segment,
};
use support::dynamodb::{dump_how, item, table, with_schema};
use support::{DYNAMODB, How, Row};

fn bundles(part_bytes: u64) -> How {
    How { layout: DynamoDbLayout::Jsonl { part_bytes }, ..DYNAMODB }
}

/// A line without its end.
fn line(id: &str, others: &[(&str, Attribute)]) -> String {
    let attributes = [&[("id", Attribute::s(id))], others].concat();
    item_json(&attributes.iter().map(|(name, value)| (name.to_string(), value.clone())).collect::<Vec<_>>())
}

#[test]
fn section_5_row_19_items_stand_in_one_file_by_their_identity() {
    let v = [(
        "v",
        Attribute::M(vec![("b".to_owned(), Attribute::n("1.0")), ("a".to_owned(), Attribute::s(""))]),
    )];
    let dump = dump_how(&table("t", [item("t", "b", &v), item("t", "a", &[])]), bundles(1 << 20));
    let expected = format!("{}\n{}\n", line("a", &[]), line("b", &v));
    assert!(expected.contains(r#"{"M":{"a":{"S":""},"b":{"N":"1.0"}}}"#));
    dump.assert_files(&[
        ("t/_schema.json", dump.text("t/_schema.json")),
        ("t/items/data-00001.jsonl", &expected),
    ]);
    assert_eq!(dump.manifest["dynamodb_layout"], "jsonl");
    assert_eq!(dump.manifest["decode"]["keys"]["dynamodb"], 2);
}

#[test]
fn a_part_ends_before_the_line_that_would_pass_its_limit() {
    let ids: Vec<String> = (0..10).map(|number| format!("id{number}")).collect();
    let rows: Vec<Row> = ids.iter().map(|id| item("t", id, &[])).collect();
    let length = line("id0", &[]).len() as u64 + 1;
    // Three lines fit, exactly and with a byte to spare; one byte less and they do not.
    for (part_bytes, lines) in [(3 * length, 3), (3 * length + 1, 3), (3 * length - 1, 2), (length, 1)] {
        let dump = dump_how(&table("t", rows.clone()), bundles(part_bytes));
        let parts: Vec<usize> = dump.paths().iter().map(|path| dump.text(path).lines().count()).collect();
        assert!(parts[..parts.len() - 1].iter().all(|part| *part == lines), "{parts:?}");
        assert_eq!(parts.iter().sum::<usize>(), 10);
        let all: String = dump.paths().iter().map(|path| dump.text(path)).collect();
        assert_eq!(all, ids.iter().map(|id| line(id, &[]) + "\n").collect::<String>());
        assert_eq!(dump.paths()[0], "t/items/data-00001.jsonl");
    }
}

#[test]
fn an_item_longer_than_the_limit_stands_alone() {
    let long = [("v", Attribute::S("x".repeat(5000)))];
    let rows = ["a", "b", "c", "d"].map(|id| item("t", id, if id == "c" { &long } else { &[] }));
    let dump = dump_how(&table("t", rows), bundles(100));
    let lines: Vec<_> = dump.paths().iter().map(|path| dump.text(path).lines().count()).collect();
    assert_eq!(lines, [2, 1, 1]);
    assert_eq!(dump.files["t/items/data-00002.jsonl"].len(), line("c", &long).len() + 1);
}

#[test]
fn every_length_of_value_is_written_the_same_way() {
    // In the row, beside it, and too long for memory.
    let rows: Vec<Row> = [10, 40_000, 600_000, 2_000_000]
        .map(|length| item("t", &format!("{length}"), &[("v", Attribute::S("y".repeat(length)))]))
        .to_vec();
    let dump = dump_how(&table("t", rows), bundles(1 << 30));
    let expected: String = ["10", "2000000", "40000", "600000"]
        .map(|id| line(id, &[("v", Attribute::S("y".repeat(id.parse().unwrap())))]) + "\n")
        .concat();
    assert!(dump.text("t/items/data-00001.jsonl") == expected);
}

#[test]
fn bundles_have_no_keymap_and_no_warning_about_file_names() {
    let odd = [
        (item_key("t", 1, &segment(b"1")), item_value(&[("id", Attribute::s("1"))])),
        (item_key("t", 1, &number_segment(false, "1", 1)), item_value(&[("id", Attribute::n("1"))])),
        item("t", &"x".repeat(300), &[]),
    ];
    let rows = with_schema(&TableSchema::new("t", "N"), odd);
    let dump = dump_how(&rows, bundles(1 << 20));
    assert_eq!(dump.paths(), ["t/items/data-00001.jsonl"]);
    assert_eq!(dump.manifest["decode"]["warnings"], serde_json::json!({}));
    let per_item = dump_how(&rows, DYNAMODB);
    assert_eq!(per_item.manifest["decode"]["warnings"], serde_json::json!({"ddb_key_type_mismatch": 1}));
}

#[test]
fn a_table_without_items_has_no_bundle() {
    let dump = dump_how(&table("t", []), bundles(1 << 20));
    assert_eq!(dump.files.keys().collect::<Vec<_>>(), ["t/_schema.json"]);
}
