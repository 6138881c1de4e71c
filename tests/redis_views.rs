//! The staging database as people ask it: the views over the Redis tables.

#![allow(clippy::unwrap_used, clippy::panic, reason = "this is test code, if not inside a test function")]

mod support;

use ekvsnap_testkit::redis_rows::{
    Blob, Counted, blob_key, count_meta, count_meta_key, element_key, hll_key, list_item_key, list_meta,
    list_meta_key, score, stream_entry, stream_entry_key, stream_meta, stream_meta_key, string_key,
    string_value, zset_blob,
};
use support::documentation::ask;
use support::{Row, dump};

fn rows() -> Vec<Row> {
    vec![
        (string_key(b"s"), string_value(b"text", Some(86_400_000))),
        (string_key(b"\xff"), b"bytes\xff".to_vec()),
        (hll_key(b"p"), Vec::new()),
        (count_meta_key(Counted::Hash, b"h"), count_meta(3, None)),
        (element_key(Counted::Hash, b"h", b"f"), b"v".to_vec()),
        (element_key(Counted::Hash, b"h", b"g\xff"), b"w".to_vec()),
        (element_key(Counted::Hash, b"s", b"hidden"), b"by the string".to_vec()),
        (element_key(Counted::Set, b"t", b"m"), Vec::new()),
        (element_key(Counted::ZSet, b"z", b"m"), score(f64::NAN)),
        (blob_key(Blob::ZSet, b"z"), zset_blob([("ignored", 1.0)])),
        (blob_key(Blob::ZSet, b"zb"), zset_blob([("m", 2.5)])),
        (list_meta_key(b"l"), list_meta(-1, 0, 1, None)),
        (list_item_key(b"l", -1), b"i".to_vec()),
        (stream_meta_key(b"x"), stream_meta(1, (2, 0), None, Some((1, 0)))),
        (stream_entry_key(b"x", 1, 0), stream_entry(b"1-0", &["trimmed", "v"])),
        (stream_entry_key(b"x", 2, 0), stream_entry(b"2-0", &["n", "v"])),
    ]
}

#[test]
fn the_keys_of_the_dump_can_be_listed_with_type_size_and_expiry() {
    let dump = dump(&rows());
    let keys = ask(
        &dump,
        "SELECT key, type, bytes, elements, declared, expires, key_hex FROM redis_keys ORDER BY key_hex",
    );
    assert_eq!(
        keys,
        [
            "h|hash|5|2|3||68",
            "l|list|1|1|1||6C",
            "p|hll|0||||70",
            "s|string|4|||1970-01-02T00:00:00.000Z|73",
            "t|set|1|1|||74",
            "x|stream|26|1|1||78",
            "z|zset|9|1|||7A",
            "zb|zset|9|1|||7A62",
            "X'FF'|string|6||||FF",
        ]
    );
    let kinds = [("string", 2), ("hll", 1), ("hash", 1), ("list", 1), ("set", 1), ("stream", 1), ("zset", 2)];
    assert_eq!(dump.report.families[0].kinds, kinds.map(|(kind, keys)| (kind.to_owned(), keys)));
    assert_eq!(ask(&dump, "SELECT key, type, expire_at_ms FROM ttl"), ["s|string|86400000"]);
    assert_eq!(ask(&dump, "SELECT * FROM mismatches"), ["h|hash|3|2|68"]);
}

#[test]
fn the_elements_of_exported_collections_can_be_listed() {
    let dump = dump(&rows());
    assert_eq!(
        ask(&dump, "SELECT key, value, bytes, key_hex FROM redis_strings"),
        ["s|text|4|73", "X'FF'|xbytes\\xff|6|FF"]
    );
    assert_eq!(
        ask(&dump, "SELECT key, name, value, bytes, name_hex, key_hex FROM redis_hash_fields"),
        ["h|f|v|1|66|68", "h|X'67FF'|w|1|67FF|68"]
    );
    assert_eq!(ask(&dump, "SELECT key, member, member_hex, key_hex FROM redis_set_members"), ["t|m|6D|74"]);
    assert_eq!(
        ask(&dump, "SELECT key, member, score, member_hex, key_hex FROM redis_zset_members ORDER BY key"),
        ["z|m||6D|7A", "zb|m|2.5|6D|7A62"]
    );
    assert_eq!(ask(&dump, "SELECT key, seq, item, bytes, key_hex FROM redis_list_items"), ["l|-1|i|1|6C"]);
    assert_eq!(
        ask(&dump, "SELECT key, ms, seq, json_extract(fields, '$[0].value') FROM redis_stream_entries"),
        ["x|2|0|v"]
    );
}

#[test]
fn every_text_of_every_table_and_view_is_utf8_whatever_the_keys_are() {
    let mut all = Vec::new();
    for name in [&b"\xff"[..], b"a\0b", "ü".as_bytes()] {
        all.extend([
            (string_key(&[name, b"s"].concat()), name.to_vec()),
            (element_key(Counted::Hash, name, name), name.to_vec()),
            (element_key(Counted::Set, &[name, b"t"].concat(), name), Vec::new()),
            (element_key(Counted::ZSet, &[name, b"z"].concat(), name), score(1.0)),
            (blob_key(Blob::ZSet, &[name, b"zb"].concat()), zset_blob([(name, 1.0)])),
            (list_item_key(&[name, b"l"].concat(), 0), name.to_vec()),
            (stream_meta_key(&[name, b"x"].concat()), stream_meta(1, (1, 0), None, None)),
            (stream_entry_key(&[name, b"x"].concat(), 1, 0), stream_entry(b"", &[name, name])),
        ]);
    }
    let dump = dump(&all);
    let relations =
        ask(&dump, "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') ORDER BY name");
    assert!(relations.iter().any(|name| name == "redis_zset_members"));
    for name in relations {
        // Reading a cell fails where a text is none.
        ask(&dump, &format!("SELECT * FROM {name}"));
    }
}

#[test]
fn what_the_exporter_asks_is_answered_in_order_without_sorting_or_copying() {
    let dump = dump(&rows());
    for sql in [
        "SELECT key, value FROM redis_exported_string",
        "SELECT key, expire_at_ms FROM redis_exported_string WHERE expire_at_ms IS NOT NULL ORDER BY key",
        "SELECT key, expire_at_ms FROM redis_exported_hll WHERE expire_at_ms IS NOT NULL ORDER BY key",
        "SELECT key, contents, expire_at_ms FROM redis_exported_collection WHERE type = 'hash' ORDER BY id",
        "SELECT name, value FROM redis_hash_field WHERE collection = 1 ORDER BY name",
        "SELECT ms, seq FROM redis_stream_entry WHERE collection = 1 AND (ms, seq) > (1, 2) ORDER BY ms, seq",
        "SELECT * FROM redis_keys LIMIT 5",
        "SELECT * FROM ttl",
        "SELECT * FROM mismatches",
        "SELECT * FROM redis_hash_fields",
        "SELECT * FROM redis_set_members",
        "SELECT * FROM redis_zset_members",
        "SELECT * FROM redis_list_items",
        "SELECT * FROM redis_stream_entries",
        "SELECT * FROM txn_pending",
    ] {
        let mut query = dump.staging.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let steps = query.query_map([], |row| row.get::<_, String>(3)).unwrap();
        for step in steps.map(Result::unwrap) {
            let copies = ["TEMP B-TREE", "MATERIALIZE", "AUTOMATIC"].iter().any(|word| step.contains(word));
            assert!(!copies, "{sql}: {step}");
        }
    }
}
