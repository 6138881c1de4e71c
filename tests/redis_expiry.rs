//! When a key expires, and what becomes of expired keys and of expiries without keys
//! (`docs/format/redis.md` section 3).

#![allow(clippy::unwrap_used, clippy::panic, reason = "this is test code, if not inside a test function")]

mod support;

use ekvsnap_testkit::redis_rows::{
    Blob, Counted, blob_key, count_meta, count_meta_key, element_key, hll_key, hll_value, list_item_key,
    list_meta, list_meta_key, route_key, set_blob, stream_entry, stream_entry_key, stream_meta,
    stream_meta_key, string_key, string_value, ttl_key, ttl_value,
};
use support::{How, NOW_MS, Row, decode, dump, expected, snapshot};

const LATER: u64 = NOW_MS + 1;

fn ttl(uk: &[u8], expiry: u64) -> Row {
    (ttl_key(uk), ttl_value(expiry))
}

fn hash_meta(expiry: Option<u64>) -> Row {
    (count_meta_key(Counted::Hash, b"k"), count_meta(0, expiry))
}

/// The expiry of the only key, by its file.
fn expiry_of(rows: &[Row]) -> Option<i64> {
    let dump = dump(rows);
    let document: serde_json::Value = match dump.files.values().next() {
        Some(file) if dump.files.keys().any(|path| path.ends_with(".jsonl")) => {
            serde_json::from_slice(file.split(|byte| *byte == b'\n').rev().nth(1).unwrap()).unwrap()
        }
        Some(file) => serde_json::from_slice(file).unwrap(),
        None => panic!("no file"),
    };
    document["expire_at_ms"].as_i64()
}

#[test]
fn a_string_or_hll_in_its_envelope_decides_alone() {
    let rows = [
        (string_key(b"a"), string_value(b"v", Some(LATER))),
        (string_key(b"b"), string_value(b"v", None)),
        (hll_key(b"c"), hll_value(b"", Some(LATER + 1))),
        (hll_key(b"d"), hll_value(b"", None)),
        ttl(b"a", 1),
        ttl(b"b", 2),
        ttl(b"c", 3),
        ttl(b"d", 4),
    ];
    let dump = dump(&rows);
    assert_eq!(dump.shown()["strings_ttl.jsonl"], format!("{{\"key\":\"a\",\"expire_at_ms\":{LATER}}}\n"));
    assert_eq!(dump.shown()["hll_ttl.jsonl"], format!("{{\"key\":\"c\",\"expire_at_ms\":{}}}\n", LATER + 1));
    dump.assert_warnings(&[]);
}

#[test]
fn a_string_or_hll_without_envelope_takes_the_expiry_of_the_scan_index() {
    let rows = [
        (string_key(b"a"), b"v".to_vec()),
        (b"bare".to_vec(), b"v".to_vec()),
        (hll_key(b"c"), set_blob(["m"])),
        ttl(b"a", LATER),
        ttl(b"bare", LATER),
        ttl(b"c", LATER),
    ];
    let dump = dump(&rows);
    let line = |key: &str| format!("{{\"key\":\"{key}\",\"expire_at_ms\":{LATER}}}\n");
    assert_eq!(dump.shown()["strings_ttl.jsonl"], line("a") + &line("bare"));
    assert_eq!(dump.shown()["hll_ttl.jsonl"], line("c"));
    dump.assert_warnings(&[]);
}

#[test]
fn ttl_lists_are_in_the_order_of_the_original_keys_with_encoded_names() {
    let rows = [
        (string_key(b"b"), string_value(b"", Some(LATER))),
        (b"a\"<".to_vec(), b"".to_vec()),
        ttl(b"a\"<", LATER),
        (string_key(b"\xff"), string_value(b"", Some(LATER))),
        (b"c".to_vec(), b"".to_vec()),
        ttl(b"c", LATER),
    ];
    let line = |key: &str| format!("{{\"key\":\"{key}\",\"expire_at_ms\":{LATER}}}\n");
    let expected = ["a%22%3C", "b", "c", "%FF"].map(line).concat();
    assert_eq!(dump(&rows).shown()["strings_ttl.jsonl"], expected);
}

#[test]
fn a_collection_with_an_inline_expiry_decides_alone_and_zero_means_none() {
    let later = Some(LATER as i64);
    assert_eq!(expiry_of(&[hash_meta(Some(LATER)), ttl(b"k", 1)]), later);
    assert_eq!(expiry_of(&[hash_meta(Some(0)), ttl(b"k", 1)]), None);
    let list = |expiry| (list_meta_key(b"k"), list_meta(0, 0, 0, expiry));
    assert_eq!(expiry_of(&[list(Some(LATER)), ttl(b"k", 1)]), later);
    assert_eq!(expiry_of(&[list(Some(0)), ttl(b"k", 1)]), None);
    let stream = |expiry, trimmed| (stream_meta_key(b"k"), stream_meta(0, (1, 1), expiry, trimmed));
    assert_eq!(expiry_of(&[stream(Some(LATER), None), ttl(b"k", 1)]), later);
    assert_eq!(expiry_of(&[stream(Some(0), None), ttl(b"k", 1)]), None);
    assert_eq!(expiry_of(&[stream(Some(LATER), Some((1, 1))), ttl(b"k", 1)]), later);
    assert_eq!(expiry_of(&[stream(None, Some((1, 1))), ttl(b"k", 1)]), None);
}

#[test]
fn a_collection_without_inline_expiry_takes_that_of_the_scan_index() {
    let later = Some(LATER as i64);
    let rows: [Row; 7] = [
        hash_meta(None),
        (count_meta_key(Counted::Set, b"k"), count_meta(0, None)),
        (count_meta_key(Counted::ZSet, b"k"), count_meta(0, None)),
        (list_meta_key(b"k"), list_meta(0, 0, 0, None)),
        (list_item_key(b"k", 0), b"".to_vec()),
        (stream_meta_key(b"k"), stream_meta(0, (1, 1), None, None)),
        (element_key(Counted::Hash, b"k", b"f"), b"".to_vec()),
    ];
    for row in rows {
        assert_eq!(expiry_of(&[row.clone(), ttl(b"k", LATER)]), later);
        assert_eq!(expiry_of(&[row]), None);
    }
    for blob in [Blob::Hash, Blob::Set, Blob::ZSet, Blob::Stream] {
        assert_eq!(expiry_of(&[(blob_key(blob, b"k"), Vec::new()), ttl(b"k", LATER)]), later);
    }
}

#[test]
fn the_inline_expiry_holds_for_contents_of_the_one_blob_value() {
    let rows = [hash_meta(Some(LATER)), (blob_key(Blob::Hash, b"k"), Vec::new()), ttl(b"k", 1)];
    assert_eq!(expiry_of(&rows), Some(LATER as i64));
}

#[test]
fn zero_is_1970_in_an_envelope_and_in_the_scan_index() {
    let rows = [
        (string_key(b"a"), string_value(b"", Some(0))),
        (string_key(b"b"), b"".to_vec()),
        ttl(b"b", 0),
        (count_meta_key(Counted::Set, b"t"), count_meta(0, None)),
        ttl(b"t", 0),
    ];
    let dump = dump(&rows);
    assert_eq!(
        dump.shown()["strings_ttl.jsonl"],
        "{\"key\":\"a\",\"expire_at_ms\":0}\n{\"key\":\"b\",\"expire_at_ms\":0}\n"
    );
    assert_eq!(dump.shown()["sets/t.json"], expected::set::<&str>(&[], Some(0)));
    dump.assert_warnings(&[("redis_expired_key", 3)]);
}

#[test]
fn an_expiry_beyond_signed_numbers_clamps_wherever_it_stands() {
    for expiry in [1 << 63, u64::MAX] {
        let max = Some(i64::MAX);
        assert_eq!(expiry_of(&[hash_meta(Some(expiry))]), max);
        assert_eq!(expiry_of(&[hash_meta(None), ttl(b"k", expiry)]), max);
        assert_eq!(expiry_of(&[(list_meta_key(b"k"), list_meta(0, 0, 0, Some(expiry)))]), max);
        let stream = stream_meta(0, (0, 0), Some(expiry), Some((0, 0)));
        assert_eq!(expiry_of(&[(stream_meta_key(b"k"), stream)]), max);
        let strings = dump(&[
            (string_key(b"k"), string_value(b"", Some(expiry))),
            (hll_key(b"p"), hll_value(b"", Some(expiry))),
        ]);
        let line = |key: &str| format!("{{\"key\":\"{key}\",\"expire_at_ms\":9223372036854775807}}\n");
        assert_eq!(strings.shown()["strings_ttl.jsonl"], line("k"));
        assert_eq!(strings.shown()["hll_ttl.jsonl"], line("p"));
        strings.assert_warnings(&[]);
    }
}

#[test]
fn an_expiry_without_a_key_is_an_orphan_and_ten_are_shown() {
    let rows: Vec<_> = (0..12).map(|n| ttl(format!("k{n:02}").as_bytes(), 5)).collect();
    let dump = dump(&rows);
    dump.assert_files::<&str>(&[]);
    dump.assert_warnings(&[("redis_orphan_ttl", 12)]);
    let shown: Vec<_> = (0..10).map(|n| format!("k{n:02}")).collect();
    assert_eq!(dump.samples("redis_orphan_ttl"), shown);
    assert!(!dump.report.is_incomplete());
}

#[test]
fn a_row_that_holds_nothing_to_restore_does_not_make_an_expiry_belong_to_a_key() {
    dump(&[ttl(b"k", 5), (route_key(b"k"), Vec::new())]).assert_warnings(&[("redis_orphan_ttl", 1)]);
    let entry = (stream_entry_key(b"k", 1, 0), stream_entry::<&str>(b"1-0", &[]));
    dump(&[ttl(b"k", 5), entry]).assert_warnings(&[("redis_stream_orphan_entries_without_meta", 1)]);
}

#[test]
fn expired_keys_are_exported_unless_they_are_to_be_dropped() {
    let now = NOW_MS;
    let rows = [
        (string_key(b"gone"), string_value(b"v", Some(now))),
        (string_key(b"stays"), string_value(b"v", Some(now + 1))),
        (hll_key(b"gone"), hll_value(b"", Some(0))),
        (hll_key(b"pgone"), hll_value(b"", Some(0))),
        (count_meta_key(Counted::Hash, b"hgone"), count_meta(0, Some(1))),
        (count_meta_key(Counted::Hash, b"hstays"), count_meta(0, Some(0))),
        (stream_meta_key(b"xgone"), stream_meta(0, (1, 1), Some(now - 1), None)),
    ];
    let expired = [("redis_expired_key", 4), ("redis_type_conflict", 1)];
    let kept = dump(&rows);
    kept.assert_warnings(&expired);
    assert_eq!(kept.manifest["decode"]["keys"]["redis"], 6);
    assert_eq!(kept.manifest["decode"].get("drop_expired"), None);

    let dropped = decode(&[snapshot(&rows)], How { drop_expired: true, ..How::default() }).unwrap();
    dropped.assert_files(&[
        ("strings/stays.bin", "v".to_owned()),
        ("strings_ttl.jsonl", format!("{{\"key\":\"stays\",\"expire_at_ms\":{}}}\n", now + 1)),
        ("hashes/hstays.json", expected::hash::<&str, &str>(&[], None)),
    ]);
    dropped.assert_warnings(&expired);
    assert_eq!(dropped.manifest["decode"]["keys"]["redis"], 2);
    assert_eq!(dropped.manifest["decode"]["drop_expired"], true);
}
