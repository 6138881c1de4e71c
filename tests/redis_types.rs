//! What a key is: one type per key, the first of the format's list; two traps in the row keys
//! (`docs/format/redis.md` sections 1 and 3).

mod support;

use ekvsnap_testkit::redis_rows::{
    Blob, Counted, blob_key, count_meta, count_meta_key, element_key, hash_blob, hll_key, hll_value,
    list_delta, list_delta_key, list_item_key, list_meta, list_meta_key, score, set_blob, stream_blob,
    stream_entry, stream_entry_key, stream_meta, stream_meta_key, string_key, string_value, ttl_key,
    ttl_value, zset_blob,
};
use support::{Row, dump, expected};

/// For each type in the order of the format: its name, a row of it under `uk`, and its file.
fn types(uk: &[u8]) -> Vec<(&'static str, Row, (&'static str, String))> {
    let entry = stream_blob([("1-0", vec!["n", "v"])]);
    vec![
        ("string", (string_key(uk), string_value(b"s", None)), ("strings/k.bin", "s".into())),
        ("hll", (hll_key(uk), Vec::new()), ("hll/k.bin", String::new())),
        ("bare string", (uk.to_vec(), b"b".to_vec()), ("strings/k.bin", "b".into())),
        (
            "list",
            (list_meta_key(uk), list_meta(0, 0, 0, None)),
            ("lists/k.json", expected::list::<&str>(&[], None)),
        ),
        (
            "hash",
            (count_meta_key(Counted::Hash, uk), count_meta(0, None)),
            ("hashes/k.json", expected::hash::<&str, &str>(&[], None)),
        ),
        (
            "set",
            (count_meta_key(Counted::Set, uk), count_meta(0, None)),
            ("sets/k.json", expected::set::<&str>(&[], None)),
        ),
        (
            "zset",
            (count_meta_key(Counted::ZSet, uk), count_meta(0, None)),
            ("zsets/k.json", expected::zset::<&str>(&[], None)),
        ),
        (
            "one-blob hash",
            (blob_key(Blob::Hash, uk), hash_blob([("f", "v")])),
            ("hashes/k.json", expected::hash(&[("f", "v")], None)),
        ),
        (
            "one-blob set",
            (blob_key(Blob::Set, uk), set_blob(["m"])),
            ("sets/k.json", expected::set(&["m"], None)),
        ),
        (
            "one-blob zset",
            (blob_key(Blob::ZSet, uk), zset_blob([("m", 1.0)])),
            ("zsets/k.json", expected::zset(&[("m", "1")], None)),
        ),
        (
            "stream",
            (stream_meta_key(uk), stream_meta(0, (7, 0), None, None)),
            ("streams/k.jsonl", expected::stream_meta(0, (7, 0), None)),
        ),
        (
            "one-blob stream",
            (blob_key(Blob::Stream, uk), entry),
            (
                "streams/k.jsonl",
                expected::entry("1-0", &["n", "v"]) + &expected::stream_meta(1, (1, 0), None),
            ),
        ),
    ]
}

fn base(of: &str) -> &str {
    of.strip_prefix("one-blob ").unwrap_or(of)
}

#[test]
fn of_two_types_the_first_of_the_list_is_exported_and_the_other_reported_and_kept() {
    let all = types(b"k");
    for (i, (winner, first, file)) in all.iter().enumerate() {
        for (loser, second, _) in &all[i + 1..] {
            if base(winner) == base(loser) {
                continue;
            }
            let dump = dump(&[first.clone(), second.clone()]);
            dump.assert_files(&[(file.0, &file.1)]);
            let mut warnings = vec![];
            if (*winner, *loser) == ("string", "bare string") {
                warnings.push(("redis_stale_bare_string", 1));
            } else {
                warnings.push(("redis_type_conflict", 1));
                assert_eq!(
                    dump.samples("redis_type_conflict"),
                    [format!("k: {} beside {}", base(loser), base(winner))]
                );
                assert!(dump.report.is_incomplete());
            }
            dump.assert_warnings(&warnings);
            assert_eq!(dump.ask("SELECT winner FROM redis_type_conflict").len(), 1);
            assert_eq!(dump.manifest["decode"]["keys"]["redis"], 1);
        }
    }
}

#[test]
fn all_types_under_one_key_leave_the_string_and_report_each_of_the_others() {
    let rows: Vec<_> = types(b"k").into_iter().map(|(_, row, _)| row).collect();
    let dump = dump(&rows);
    dump.assert_files(&[("strings/k.bin", "s")]);
    // Hash, set, zset and stream have rows and one-blob, which is no conflict; the bare string is stale.
    dump.assert_warnings(&[("redis_stale_bare_string", 1), ("redis_type_conflict", 6)]);
}

#[test]
fn of_three_types_both_that_lose_are_reported() {
    let rows = [
        (list_item_key(b"k", 0), b"i".to_vec()),
        (element_key(Counted::Hash, b"k", b"f"), b"v".to_vec()),
        (element_key(Counted::ZSet, b"k", b"m"), score(1.0)),
    ];
    let dump = dump(&rows);
    dump.assert_files(&[("lists/k.json", expected::list(&["i"], None))]);
    dump.assert_warnings(&[("redis_list_items_without_meta", 1), ("redis_type_conflict", 2)]);
    assert_eq!(dump.samples("redis_type_conflict"), ["k: hash beside list", "k: zset beside list"]);
}

#[test]
fn rows_and_one_blob_of_one_type_are_no_conflict() {
    let rows = [
        (element_key(Counted::Set, b"k", b"row"), Vec::new()),
        (blob_key(Blob::Set, b"k"), set_blob(["blob"])),
    ];
    let dump = dump(&rows);
    dump.assert_files(&[("sets/k.json", expected::set(&["row"], None))]);
    dump.assert_warnings(&[]);
}

#[test]
fn rows_of_a_type_beat_the_one_blob_of_another_whatever_the_order_of_types() {
    let rows = [
        (blob_key(Blob::Hash, b"k"), hash_blob([("f", "v")])),
        (element_key(Counted::ZSet, b"k", b"m"), score(0.5)),
    ];
    let dump = dump(&rows);
    dump.assert_files(&[("zsets/k.json", expected::zset(&[("m", "0.5")], None))]);
    dump.assert_warnings(&[("redis_type_conflict", 1)]);
}

#[test]
fn stream_entries_without_meta_are_no_type() {
    let rows = [
        (string_key(b"k"), string_value(b"s", None)),
        (stream_entry_key(b"k", 1, 0), stream_entry(b"1-0", &["n", "v"])),
    ];
    let dump = dump(&rows);
    dump.assert_files(&[("strings/k.bin", "s")]);
    dump.assert_warnings(&[("redis_stream_orphan_entries_without_meta", 1)]);
    assert_eq!(dump.samples("redis_stream_orphan_entries_without_meta"), ["k: 1 entries"]);
}

#[test]
fn a_delta_alone_makes_a_list_that_a_hash_loses_to() {
    let rows = [
        (list_delta_key(b"k", 5, 0), list_delta(0, 0)),
        (element_key(Counted::Hash, b"k", b"f"), b"v".to_vec()),
    ];
    let dump = dump(&rows);
    dump.assert_files(&[("lists/k.json", expected::list::<&str>(&[], None))]);
    dump.assert_warnings(&[("redis_type_conflict", 1)]);
}

#[test]
fn a_list_key_that_looks_like_a_delta_is_a_list_if_its_value_is_a_meta() {
    // The user key is what stands after `!lst|meta|` in a delta row of the key `x`.
    let user_key = list_delta_key(b"x", 0x4141_4141_4141_4141, 0x4242_4242)["!lst|meta|".len()..].to_vec();
    let rows = [
        (list_meta_key(&user_key), list_meta(3, 4, 1, None)),
        (list_item_key(&user_key, 3), b"item".to_vec()),
    ];
    let dump = dump(&rows);
    dump.assert_files(&[("lists/d%7C%00%00%00%01xAAAAAAAABBBB.json", expected::list(&["item"], None))]);
    dump.assert_warnings(&[]);
}

#[test]
fn a_list_key_that_only_begins_like_a_delta_is_a_list() {
    let rows = [(list_meta_key(b"d|short"), list_meta(0, 0, 0, None))];
    dump(&rows).assert_files(&[("lists/d%7Cshort.json", expected::list::<&str>(&[], None))]);
}

#[test]
fn a_key_that_only_begins_like_a_stream_row_or_a_namespace_is_a_bare_string() {
    let keys: [(&[u8], &str); 5] = [
        (b"!stream|foo", "strings/%21stream%7Cfoo.bin"),
        (b"!stream|meta", "strings/%21stream%7Cmeta.bin"),
        (b"!redis", "strings/%21redis.bin"),
        (b"!lst", "strings/%21lst.bin"),
        (b"", "strings/.bin"),
    ];
    for (key, path) in keys {
        let dump = dump(&[(key.to_vec(), b"\xff\x01 as it is".to_vec())]);
        dump.assert_files(&[(path, b"\xff\x01 as it is")]);
        dump.assert_warnings(&[]);
    }
}

#[test]
fn fences_routes_claims_and_the_score_index_are_nothing_to_restore() {
    use ekvsnap_testkit::redis_rows::{Fence, fence_key, list_claim_key, route_key, score_key};
    let rows = [
        (fence_key(Fence::Hash, b"k"), Vec::new()),
        (fence_key(Fence::Set, b"k"), Vec::new()),
        (fence_key(Fence::List, b"k"), Vec::new()),
        (fence_key(Fence::ZSet, b"k"), b"whatever".to_vec()),
        (route_key(b"k"), Vec::new()),
        (list_claim_key(b"k", 4), b"whatever".to_vec()),
        (b"!lst|claim|".to_vec(), Vec::new()),
        (score_key(b"k", 1.0, b"m"), Vec::new()),
    ];
    let dump = dump(&rows);
    dump.assert_files::<&str>(&[]);
    dump.assert_warnings(&[]);
    assert_eq!(dump.manifest["adapters"]["redis"], serde_json::json!({}));
}

#[test]
fn an_item_belongs_to_the_key_that_is_its_row_key_without_the_last_eight_bytes() {
    // The items of `k` + 8 bytes sort among those of `k`.
    let longer = [b"k".as_slice(), &0x8000_0000_0000_0005u64.to_be_bytes()].concat();
    let rows = [
        (list_meta_key(b"k"), list_meta(0, 9, 9, None)),
        (list_item_key(b"k", 4), b"a".to_vec()),
        (list_item_key(&longer, 0), b"b".to_vec()),
        (list_item_key(b"k", 8), b"c".to_vec()),
        (list_meta_key(&longer), list_meta(0, 1, 1, None)),
    ];
    let dump = dump(&rows);
    dump.assert_files(&[
        ("lists/k.json", expected::list(&["a", "c"], None)),
        ("lists/k%80%00%00%00%00%00%00%05.json", expected::list(&["b"], None)),
    ]);
    dump.assert_warnings(&[("redis_list_length_mismatch", 1)]);
}

#[test]
fn a_collection_named_like_the_row_of_another_key_is_hidden_by_that_row() {
    let long = string_value(&vec![b'v'; 40_000], Some(2_000_000_000_000));
    let hiding: [Row; 6] = [
        (string_key(b"a"), string_value(b"in clear", None)),
        (string_key(b"b"), long),
        (string_key(b"c"), b"without envelope".to_vec()),
        (hll_key(b"x"), hll_value(&set_blob(["m"]), None)),
        (ttl_key(b"a"), ttl_value(1_900_000_000_000)),
        (list_meta_key(b"x2"), list_meta(0, 0, 0, Some(1_900_000_000_000))),
    ];
    for (name, value) in &hiding {
        let mut rows = hiding.to_vec();
        rows.push((count_meta_key(Counted::Set, name), count_meta(0, None)));
        rows.push((count_meta_key(Counted::Set, b"!redis|str|absent"), count_meta(0, None)));
        let dump = dump(&rows);
        let file = dump.files.iter().find(|(path, bytes)| path.starts_with("strings/%21") && *bytes == value);
        assert!(file.is_some(), "{:?}", dump.shown());
        assert_eq!(dump.files.keys().filter(|path| path.starts_with("sets/")).count(), 1);
        assert!(
            dump.samples("redis_type_conflict")
                .iter()
                .all(|sample| sample.ends_with("set beside bare string"))
        );
    }
}
