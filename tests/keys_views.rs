//! The staging database as people ask it: the views over all families.

#![allow(clippy::unwrap_used, clippy::panic, reason = "this is test code, if not inside a test function")]

mod support;

use ekvsnap_testkit::dynamodb_rows::{Attribute, TableSchema, item_key, item_value, number_segment, segment};
use ekvsnap_testkit::redis_rows::{
    Counted, count_meta, count_meta_key, element_key, string_key, string_value,
};
use ekvsnap_testkit::sqs_rows::{Home, message};
use support::documentation::ask;
use support::{How, NOW_MS, REDIS, Row, decode, dump, dump_files, snapshot};

/// Milliseconds of a day.
const DAY_MS: u64 = 86_400_000;

#[test]
fn an_item_is_a_key_of_its_table() {
    let of = |hash: Attribute, bytes: &[u8], digits: &str| {
        let payload = [segment(bytes), number_segment(false, digits, digits.len() as i64)].concat();
        (item_key("t", 1, &payload), item_value(&[("id", hash), ("r", Attribute::n(digits))]))
    };
    let schema = TableSchema::new("t", "B").range("N");
    let b = |bytes: &[u8]| of(Attribute::B(bytes.to_vec()), bytes, "7");
    let rows = support::dynamodb::with_schema(&schema, [b(b"\x00"), b(b"\x01")]);
    let dump = support::dynamodb::dump(&rows);
    let bytes = rows.last().unwrap().1.len();
    let sql = "SELECT family, scope, key, type, bytes, elements, expire_at_ms FROM keys";
    assert_eq!(
        ask(&dump, sql),
        [format!("dynamodb|t|X'00'/7|item|{bytes}||"), format!("dynamodb|t|X'01'/7|item|{bytes}||")]
    );
}

#[test]
fn an_object_is_a_key_of_its_bucket_unless_it_is_damaged() {
    let object = support::s3::object;
    let whole = support::s3::put(object(b"folder/\xff"), b"four");
    let damaged = support::s3::head(object(b"lost"), b"gone");
    let dump = support::s3::dump(&[support::s3::bucket(1), whole, vec![damaged]].concat());
    let sql = "SELECT family, scope, key, type, bytes, key_hex FROM keys";
    assert_eq!(ask(&dump, sql), ["s3|b|X'666F6C6465722FFF'|object|4|666F6C6465722FFF"]);
}

#[test]
fn a_queue_is_a_key_with_its_messages_as_elements() {
    let sent = |id: &str, base64: &str, generation: u64| -> Row {
        let json =
            format!("{{\"message_id\":\"{id}\",\"body\":\"{base64}\",\"queue_generation\":{generation}}}");
        (Home::classic("q", generation).data(id), message(&json))
    };
    let rows = support::sqs::standard([sent("1", "YWJj", 1), sent("2", "/w==", 1), sent("3", "YWJj", 0)]);
    let dump = support::sqs::dump(&rows);
    let sql = "SELECT family, scope, key, type, bytes, elements FROM keys";
    assert_eq!(ask(&dump, sql), ["sqs|q|q|queue|4|2"]);
}

#[test]
fn a_value_outside_the_database_counts_with_its_length() {
    let long = vec![b'x'; 40_000];
    let dump = dump(&[
        (string_key(b"s"), string_value(&long, None)),
        (element_key(Counted::Hash, b"h", b"name"), long.clone()),
    ]);
    assert_eq!(ask(&dump, "SELECT key, bytes FROM biggest_keys"), ["h|40004", "s|40000"]);
    assert_eq!(ask(&dump, "SELECT key, value, bytes FROM redis_strings"), ["s||40000"]);
    assert_eq!(ask(&dump, "SELECT key, name, value, bytes FROM redis_hash_fields"), ["h|name||40000"]);
}

#[test]
fn the_biggest_keys_come_first_and_equal_ones_in_the_order_of_keys() {
    let of = |key: &[u8], value: &[u8]| (string_key(key), value.to_vec());
    let dump = dump(&[of(b"b", b"two"), of(b"a", b"one"), of(b"c", b"three"), of(b"d", b"")]);
    assert_eq!(ask(&dump, "SELECT key, bytes FROM biggest_keys LIMIT 3"), ["c|5", "a|3", "b|3"]);
}

#[test]
fn expiries_are_counted_by_the_day_of_utc() {
    let midnight = NOW_MS / DAY_MS * DAY_MS;
    let until = |key: &[u8], ms| (string_key(key), string_value(b"xy", Some(ms)));
    let dump = dump(&[
        until(b"a", midnight + DAY_MS - 1),
        until(b"b", midnight + DAY_MS),
        until(b"c", midnight + DAY_MS),
        (string_key(b"d"), string_value(b"xy", None)),
    ]);
    let expected = ["2024-04-29|redis|1|2", "2024-04-30|redis|2|4"];
    assert_eq!(ask(&dump, "SELECT * FROM expiries_by_day"), expected);
}

#[test]
fn a_key_of_two_types_and_a_row_of_two_files_are_conflicts() {
    let hash = || {
        vec![
            (count_meta_key(Counted::Hash, b"k"), count_meta(1, None)),
            (element_key(Counted::Hash, b"k", b"f"), b"v".to_vec()),
        ]
    };
    let dump = dump_files(&[[hash(), vec![(string_key(b"k"), b"v".to_vec())]].concat(), hash()]);
    let conflicts = ask(&dump, "SELECT kind, key, loser, winner FROM conflicts ORDER BY kind DESC, key");
    assert_eq!(
        conflicts,
        [
            "row_in_two_files|hash field f of k|row of a later file|row of the first file",
            "row_in_two_files|hash meta row of k|row of a later file|row of the first file",
            "redis_type_conflict|k|hash|string",
        ]
    );
}

#[test]
fn a_quarantined_row_is_shown_with_its_key_its_place_and_the_rule() {
    let rows = [(count_meta_key(Counted::Hash, b"h"), vec![1, 2, 3]), (string_key(b"s"), b"v".to_vec())];
    let dump = decode(&[snapshot(&rows)], How { quarantine: true, ..REDIS }).unwrap();
    let hex: String = rows[0].0.iter().map(|byte| format!("{byte:02X}")).collect();
    let literal = format!("X'{hex}'");
    let row =
        "SELECT key, class, path LIKE '%/0.fsm', byte_offset, value_bytes, key_hex FROM quarantined_rows";
    assert_eq!(ask(&dump, row), [format!("{literal}|redis|1|16|12|{hex}")]);
    let told = "SELECT sample LIKE '%: ' || rule FROM quarantined_rows, warning_sample WHERE kind = 'quarantined_row'";
    assert_eq!(ask(&dump, told), ["1"]);
}

#[test]
fn keys_of_a_family_are_read_in_order_and_found_by_their_beginning_without_sorting() {
    let dump = dump(&[(string_key(b"s"), b"v".to_vec())]);
    let steps = |sql: &str| ask(&dump, &format!("EXPLAIN QUERY PLAN {sql}"));
    for sql in [
        "SELECT * FROM keys WHERE family = 'redis' ORDER BY scope_order, key_order",
        "SELECT * FROM keys WHERE family = 's3' ORDER BY scope_order, key_order",
        "SELECT key, bytes FROM keys WHERE key_order >= x'61' AND key_order < x'62'",
    ] {
        for step in steps(sql) {
            // Equal keys are sorted by their type, a few at a time.
            let sorts = step.contains("TEMP B-TREE") && !step.contains("LAST TERM");
            assert!(!sorts && !step.contains("MATERIALIZE") && !step.contains("AUTOMATIC"), "{sql}: {step}");
        }
    }
    let steps =
        steps("SELECT key, bytes FROM keys WHERE key_order >= x'61' AND key_order < x'62'").join("\n");
    for found in [
        "SEARCH i USING PRIMARY KEY (table_id=? AND identity>? AND identity<?)",
        "SEARCH s USING PRIMARY KEY (key>? AND key<?)",
        "SEARCH b USING PRIMARY KEY (key>? AND key<?)",
        "SEARCH h USING PRIMARY KEY (key>? AND key<?)",
        "SEARCH c USING INDEX sqlite_autoindex_redis_collection_1 (key>? AND key<?)",
        "SEARCH o USING PRIMARY KEY (bucket=? AND object>? AND object<?)",
        "SEARCH q USING PRIMARY KEY (queue>? AND queue<?)",
    ] {
        assert!(steps.contains(found), "{found} not in\n{steps}");
    }
}
