//! Which tables and items a client of the node would see, and where they stand in the dump
//! (`docs/format/dynamodb.md` sections 2, 3 and 5). Migrations have tests of their own.

#![allow(clippy::unwrap_used, reason = "this is test code, if not inside a test function")]

mod support;

use ekvsnap_testkit::container::HlcHeader;
use ekvsnap_testkit::dynamodb_rows::{
    Attribute, TableSchema, counter_key, index_key, item_key, item_value, number_segment, schema_key, segment,
};
use ekvsnap_testkit::mvcc_writer::mvcc_file;
use ekvsnap_testkit::sorted::SortedSnapshot;
use ekvsnap_testkit::txn_rows::{lock_key, lock_value};
use ekvsnap_testkit::version::Version;
use support::dynamodb::{dump, dump_how, file, item, table, with_schema};
use support::{DYNAMODB, Dump, How, Row, decode, snapshot};

/// The newest commit timestamp of [`versions`].
const NOW: u64 = 40;

/// The dump of these versions of rows, or of what was there at a moment.
fn versions(versions: &[Version], as_of: Option<u64>) -> Dump {
    let file = SortedSnapshot::new(NOW).versions(versions).to_bytes().unwrap();
    decode(&[file], How { as_of, ..DYNAMODB }).unwrap()
}

fn put((key, value): &Row, commit_ts: u64) -> Version {
    Version::put(key.clone(), commit_ts, value.clone())
}

fn tombstone((key, _): &Row, commit_ts: u64) -> Version {
    Version::tombstone(key.clone(), commit_ts)
}

fn schema(name: &str, generation: u64) -> Row {
    (schema_key(name), TableSchema::new(name, "S").generation(generation).value())
}

fn text(name: &'static str, text: &str) -> (&'static str, Attribute) {
    (name, Attribute::s(text))
}

#[test]
fn section_5_row_1_the_newest_version_of_an_item_counts() {
    let (old, new) = (item("t", "a", &[text("v", "old")]), item("t", "a", &[text("v", "new")]));
    let rows = [put(&new, 20), put(&old, 10), put(&schema("t", 1), 5)];
    let expect = |value| file(&[text("id", "a"), text("v", value)]);
    // V15.
    assert_eq!(versions(&rows, None).text("t/items/a.json"), expect("new"));
    assert_eq!(versions(&rows, Some(15)).text("t/items/a.json"), expect("old"));
    assert_eq!(versions(&rows, Some(7)).paths(), Vec::<&str>::new());
}

#[test]
fn section_5_row_2_a_tombstone_removes_the_item() {
    let old = item("t", "a", &[]);
    let rows = [tombstone(&old, 20), put(&old, 10), put(&schema("t", 1), 5)];
    assert_eq!(versions(&rows, None).files.keys().collect::<Vec<_>>(), ["t/_schema.json"]);
    assert_eq!(versions(&rows, Some(19)).paths(), ["t/items/a.json"]);
}

#[test]
fn section_5_row_3_a_tombstone_of_the_schema_removes_the_table_and_its_items_are_orphans() {
    let rows = [tombstone(&schema("t", 1), 30), put(&schema("t", 1), 5), put(&item("t", "a", &[]), 10)];
    let dump = versions(&rows, None);
    dump.assert_files::<&str>(&[]);
    dump.assert_warnings(&[("ddb_orphan_items", 1)]);
    assert_eq!(dump.samples("ddb_orphan_items"), ["encoded table dA: 1 row"]);
    assert!(!dump.report.is_incomplete());
    assert_eq!(dump.manifest["adapters"]["dynamodb"], serde_json::json!({}));
}

#[test]
fn section_5_row_4_a_table_that_was_made_again_holds_the_items_of_its_new_life() {
    let new = (item_key("t", 2, &segment(b"new")), item_value(&[text("id", "new")]));
    let counter = (counter_key("t"), b"2".to_vec());
    let rows = [
        put(&schema("t", 2), 35),
        put(&schema("t", 1), 5),
        put(&item("t", "old", &[]), 10),
        put(&new, 36),
        put(&counter, 35),
    ];
    let dump = versions(&rows, None);
    assert_eq!(dump.paths(), ["t/items/new.json"]);
    dump.assert_warnings(&[("ddb_stale_generation_items", 1)]);
    assert_eq!(dump.samples("ddb_stale_generation_items"), ["table t: 1 row; generation 2 is active"]);
    assert_eq!(versions(&rows, Some(30)).paths(), ["t/items/old.json"]);
}

#[test]
fn section_5_row_6_v16_keys_of_two_types_are_two_items() {
    let number = |text| [("id", Attribute::n(text))];
    let rows = [
        (item_key("t", 1, &number_segment(false, "1", 1)), item_value(&number("1"))),
        (item_key("t", 1, &segment(b"1")), item_value(&[text("id", "1")])),
        (item_key("t", 1, &number_segment(false, "5", 0)), item_value(&number("0.5"))),
        (item_key("t", 1, &segment(b"1/2")), item_value(&[text("id", "1/2")])),
    ];
    let tagged = "t/items/de34ad408f982bb1b98fa8fac630ce99__S%3A1.json";
    let dump = dump(&with_schema(&TableSchema::new("t", "N"), rows.clone()));
    assert_eq!(dump.paths().len(), 5);
    assert_eq!(dump.text("t/items/1.json"), file(&number("1")));
    assert_eq!(dump.text(tagged), file(&[text("id", "1")]));
    assert_eq!(dump.text("t/items/1%2F2.json"), file(&number("0.5")));
    assert!(dump.text("t/KEYMAP.jsonl").contains("\"original\":\"Uzox\",\"kind\":\"sha-fallback\"}\n"));
    dump.assert_warnings(&[("ddb_key_type_mismatch", 2)]);
    assert!(!dump.report.is_incomplete());

    // Declared as strings, the numbers are the odd ones.
    let dump = support::dynamodb::dump(&table("t", rows));
    assert_eq!(dump.text("t/items/1.json"), file(&[text("id", "1")]));
    dump.assert_warnings(&[("ddb_key_type_mismatch", 2)]);
}

#[test]
fn section_5_row_7_keys_of_dots_are_items_like_any_other() {
    let dump = dump(&table("t", [item("t", ".", &[]), item("t", "..", &[]), item("t", "", &[])]));
    assert_eq!(dump.paths(), ["t/items/...json", "t/items/..json", "t/items/.json"]);
    let composite = TableSchema::new("c", "S").range("S");
    let key = |hash: &str, range: &str| {
        let payload = [segment(hash.as_bytes()), segment(range.as_bytes())].concat();
        (item_key("c", 1, &payload), item_value(&[text("id", hash), text("r", range)]))
    };
    let dump = support::dynamodb::dump(&with_schema(&composite, [key("..", "."), key(".", "..")]));
    assert_eq!(
        dump.paths(),
        [
            "c/KEYMAP.jsonl",
            "c/items/5ec1f7e700f37c3d0b2981d04855fc34__../..json",
            "c/items/cdb4ee2aea69cc6a83331bbe96dc2caa__./...json",
        ]
    );
}

#[test]
fn section_5_row_8_an_empty_hash_and_a_hash_that_looks_like_its_file_are_two_items() {
    let key = |hash: &str, range: &str| {
        let payload = [segment(hash.as_bytes()), segment(range.as_bytes())].concat();
        (item_key("t", 1, &payload), item_value(&[text("id", hash), text("r", range)]))
    };
    let schema = TableSchema::new("t", "S").range("S");
    let dump = dump(&with_schema(&schema, [key("", "x"), key("x.json", "y")]));
    let empty = "e3b0c44298fc1c149afbf4c8996fb924__";
    assert_eq!(dump.paths(), ["t/KEYMAP.jsonl", &format!("t/items/{empty}/x.json"), "t/items/x.json/y.json"]);
    assert_eq!(
        dump.text("t/KEYMAP.jsonl"),
        format!("{{\"encoded\":\"{empty}\",\"original\":\"\",\"kind\":\"sha-fallback\"}}\n")
    );
}

#[test]
fn section_5_row_9_a_table_named_by_dots_stays_in_its_folder() {
    let rows = [table("..", [item("..", "a", &[])]), table(".", []), table("...", [])].concat();
    let dump = dump(&rows);
    assert_eq!(
        dump.files.keys().collect::<Vec<_>>(),
        [
            ".../_schema.json",
            "5ec1f7e700f37c3d0b2981d04855fc34__../_schema.json",
            "5ec1f7e700f37c3d0b2981d04855fc34__../items/a.json",
            "cdb4ee2aea69cc6a83331bbe96dc2caa__./_schema.json",
        ]
    );
    assert_eq!(dump.manifest["adapters"]["dynamodb"]["tables"], serde_json::json!([".", "..", "..."]));
}

#[test]
fn section_5_row_10_v10_a_long_key_stands_in_the_keymap() {
    let (long, other) = ("é".repeat(150), "z".repeat(241));
    let dump = dump(&table("t", [item("t", &long, &[]), item("t", &other, &[]), item("t", "short", &[])]));
    let name = format!("cb1fa3158102cb16edae890e78baadd9__{}", "%C3%A9".repeat(32));
    assert_eq!(dump.text(&format!("t/items/{name}.json")), file(&[text("id", &long)]));
    let lines: Vec<_> = dump.text("t/KEYMAP.jsonl").lines().collect();
    let original = "w6nDqcOp".repeat(50);
    assert_eq!(lines.len(), 2);
    assert!(lines[0].contains("\"original\":\"enp6"), "by the bytes of the keys: {lines:?}");
    assert_eq!(
        lines[1],
        format!("{{\"encoded\":\"{name}\",\"original\":\"{original}\",\"kind\":\"sha-fallback\"}}")
    );
}

#[test]
fn section_5_row_11_v3_v6_names_are_canonical_and_values_are_as_stored() {
    let schema = TableSchema::new("orders", "S").generation(3).range("N");
    let payload = [segment(b"c/1"), number_segment(false, "1295", 3)].concat();
    let attributes = [text("id", "c/1"), ("r", Attribute::n("129.50")), text("status", "open")];
    let rows = [(item_key("orders", 3, &payload), item_value(&attributes))];
    let dump = dump(&with_schema(&schema, rows));
    dump.assert_files(&[
        ("orders/_schema.json", dump.text("orders/_schema.json")),
        ("orders/items/c%2F1/259%2F2.json", &file(&attributes)),
    ]);
    let bytes = [("id", Attribute::B(vec![0, 1, 2, 0xff]))];
    let rows = [(item_key("blobs", 1, &segment(&[0, 1, 2, 0xff])), item_value(&bytes))];
    let dump = support::dynamodb::dump(&with_schema(&TableSchema::new("blobs", "B"), rows));
    assert_eq!(dump.text("blobs/items/b64.AAEC_w.json"), file(&bytes));
}

#[test]
fn section_5_row_13_an_index_without_projection_type_is_written_as_all() {
    let mut schema = TableSchema::new("t", "S");
    schema.indexes.push(("by".to_owned(), "id".to_owned(), String::new(), String::new()));
    let dump = dump(&schema.rows());
    let document: serde_json::Value = serde_json::from_str(dump.text("t/_schema.json")).unwrap();
    assert_eq!(document["global_secondary_indexes"][0]["projection"], serde_json::json!({"type": "ALL"}));
}

#[test]
fn section_5_row_17_a_row_of_no_known_kind_is_reported() {
    let dump = dump(&[(b"!ddb|foo|x".to_vec(), vec![1]), (b"!ddb|route|table|dA".to_vec(), vec![])]);
    dump.assert_warnings(&[("ddb_unknown_row", 2)]);
    assert_eq!(dump.samples("ddb_unknown_row"), ["!ddb|foo|x", "!ddb|route|table|dA"]);
    assert!(dump.report.is_incomplete());
}

#[test]
fn section_5_row_18_json_of_older_nodes_is_read_and_told() {
    let schema = br#"{"table_name":"t","attribute_definitions":{"id":"S"},"primary_key":{"hash_key":"id"},"key_encoding_version":2,"generation":1}"#;
    let rows = [
        (schema_key("t"), schema.to_vec()),
        (counter_key("t"), b"1".to_vec()),
        (item_key("t", 1, &segment(b"a")), br#"{"v":{"N":"1.50"},"id":{"S":"a"}}"#.to_vec()),
        item("t", "b", &[]),
    ];
    let dump = dump(&rows);
    assert_eq!(dump.text("t/items/a.json"), file(&[text("id", "a"), ("v", Attribute::n("1.50"))]));
    dump.assert_warnings(&[("ddb_json_value", 2)]);
    assert_eq!(dump.samples("ddb_json_value"), ["table t: 2 rows"]);
    assert!(!dump.report.is_incomplete());
}

#[test]
fn section_5_row_22_the_manifest_lists_the_tables_by_name() {
    let dump = dump(&[table("b", []), table("a", [item("a", "x", &[])]), table("é", [])].concat());
    assert_eq!(dump.manifest["adapters"]["dynamodb"]["tables"], serde_json::json!(["a", "b", "é"]));
    assert_eq!(dump.manifest["decode"]["keys"]["dynamodb"], 1);
    assert_eq!(dump.manifest["dynamodb_layout"], "per-item");
}

#[test]
fn section_5_row_28_locks_on_rows_of_the_family_are_counted_committed_or_not() {
    let locked = |row: &Row| (lock_key(&row.0), lock_value(1, 9, true, 0, &row.0));
    let (a, b) = (item("t", "a", &[]), item("t", "b", &[]));
    let elsewhere = (lock_key(b"!ddc|x"), lock_value(1, 9, true, 0, b"!ddc|x"));
    let dump = dump(&table("t", [a.clone(), locked(&a), locked(&b), elsewhere]));
    dump.assert_warnings(&[("ddb_pending_txn_locks", 2)]);
    assert_eq!(dump.paths(), ["t/items/a.json"]);
}

#[test]
fn section_5_row_29_a_key_longer_than_a_restore_takes_is_read() {
    let id = vec![0; 530_000];
    let attributes = [("id", Attribute::B(id.clone()))];
    let rows = [(item_key("t", 1, &segment(&id)), item_value(&attributes))];
    let dump = dump(&with_schema(&TableSchema::new("t", "B"), rows));
    dump.assert_warnings(&[("oversize_key", 1)]);
    let [keymap, path] = dump.paths()[..] else { panic!("{:?}", dump.paths()) };
    assert_eq!(keymap, "t/KEYMAP.jsonl");
    assert!(dump.text(path) == file(&attributes));
    assert!(dump.text("t/KEYMAP.jsonl").len() > 4 * 530_000 / 3);
}

#[test]
fn a_table_without_items_has_only_its_schema() {
    let dump = dump(&table("t", []));
    assert_eq!(dump.files.keys().collect::<Vec<_>>(), ["t/_schema.json"]);
    assert_eq!(dump.manifest["decode"]["keys"]["dynamodb"], 0);
    dump.assert_warnings(&[]);
}

#[test]
fn rows_of_indexes_are_counted_and_left_out_whatever_they_hold() {
    let (key, value) = item("t", "a", &[]);
    let index = |name: &str| (index_key("t", 1, name, b"x\0\x01"), key.clone());
    let odd = [(b"!ddb|gsi|".to_vec(), vec![]), (b"!ddb|gsi|*|x".to_vec(), b"?".to_vec())];
    let rows = [vec![(key.clone(), value), index("by"), index("also")], odd.to_vec()].concat();
    let dump = dump(&table("t", rows));
    assert_eq!(dump.paths(), ["t/items/a.json"]);
    dump.assert_warnings(&[]);
    assert_eq!(dump.ask("SELECT index_rows FROM dynamodb_tables"), ["Integer(2)"]);
}

#[test]
fn a_generation_counter_that_is_missing_unreadable_or_too_low_is_told_and_changes_nothing() {
    for (counter, sample) in [
        (None, "table t: the counter is missing, the generation 3"),
        (Some("x"), "table t: the counter cannot be read, the generation 3"),
        (Some("2"), "table t: the counter is 2, the generation 3"),
    ] {
        let mut rows = vec![schema("t", 3)];
        rows.extend(counter.map(|counter| (counter_key("t"), counter.as_bytes().to_vec())));
        let dump = dump(&rows);
        dump.assert_warnings(&[("ddb_generation_counter", 1)]);
        assert_eq!(dump.samples("ddb_generation_counter"), [sample]);
        assert_eq!(dump.files.len(), 1);
    }
    for counter in ["3", " 4\n", "18446744073709551615"] {
        dump(&[schema("t", 3), (counter_key("t"), counter.as_bytes().to_vec())]).assert_warnings(&[]);
    }
    // A counter outlives its table.
    dump(&[(counter_key("t"), b"3".to_vec())]).assert_warnings(&[]);
}

#[test]
fn a_scope_names_tables_and_only_those_are_exported() {
    let rows = [table("a", [item("a", "1", &[])]), table("b", [item("b", "2", &[])])].concat();
    let dump = dump_how(&rows, How { scopes: &["b"], ..DYNAMODB });
    assert_eq!(dump.files.keys().collect::<Vec<_>>(), ["b/_schema.json", "b/items/2.json"]);
    assert_eq!(dump.manifest["adapters"]["dynamodb"]["tables"], serde_json::json!(["b"]));
    dump_how(&rows, How { scopes: &["c"], ..DYNAMODB }).assert_files::<&str>(&[]);
}

#[test]
fn an_empty_set_is_written_and_told_at_any_depth() {
    let inside = Attribute::L(vec![Attribute::M(vec![("set".to_owned(), Attribute::Bs(vec![]))])]);
    let rows = [
        item("t", "a", &[("s", Attribute::Ss(vec![]))]),
        item("t", "b", &[("n", Attribute::Ns(vec![]))]),
        item("t", "c", &[("l", inside)]),
        item("t", "d", &[("l", Attribute::L(vec![]))]),
    ];
    let dump = dump(&table("t", rows));
    dump.assert_warnings(&[("ddb_empty_set", 3)]);
    assert!(dump.text("t/items/a.json").contains("\"SS\": []"));
}

#[test]
fn a_row_in_two_files_counts_once_and_that_of_the_first_file() {
    let versions = ["old", "new"].map(|v| table("t", [item("t", "a", &[text("v", v)]), item("t", v, &[])]));
    let files: Vec<_> = versions.iter().map(|rows| snapshot(rows)).collect();
    let dump = decode(&files, DYNAMODB).unwrap();
    assert_eq!(dump.text("t/items/a.json"), file(&[text("id", "a"), text("v", "old")]));
    assert_eq!(dump.paths(), ["t/items/a.json", "t/items/new.json", "t/items/old.json"]);
    dump.assert_warnings(&[("row_in_two_files", 3)]);
    assert_eq!(
        dump.samples("row_in_two_files"),
        ["!ddb|meta|gen|dA", "schema of table t", "item row 1-a\\0\\u{1} of table t"]
    );
    assert_eq!(dump.ask("SELECT rows FROM dynamodb_generation"), ["Integer(3)"]);
}

#[test]
fn schema_and_items_may_lie_in_two_files_in_either_order() {
    let (schema, items) = (table("t", []), vec![item("t", "a", &[])]);
    for files in [[&schema, &items], [&items, &schema]] {
        let dump = decode(&files.map(|rows| snapshot(rows)), DYNAMODB).unwrap();
        assert_eq!(dump.paths(), ["t/items/a.json"]);
        dump.assert_warnings(&[]);
    }
}

#[test]
fn the_body_of_an_in_memory_store_gives_the_same_dump() {
    let rows = table("t", [item("t", "a", &[]), item("t", "b", &[("n", Attribute::n("1.0"))])]);
    let versions: Vec<_> = rows.iter().map(|row| put(row, 7)).collect();
    let file = mvcc_file(&HlcHeader::None, NOW, 0, &versions);
    let dump = decode(&[file], DYNAMODB).unwrap();
    assert_eq!(dump.shown(), support::dynamodb::dump(&rows).shown());
}
