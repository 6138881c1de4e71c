//! What a key holds, to the byte: rows, else the one-blob value; every type's file
//! (`docs/format/redis.md` section 3, `docs/format/dump.md` section 3).

mod support;

use ekvsnap_testkit::protobuf::bytes_field;
use ekvsnap_testkit::redis_rows::{
    Blob, Counted, blob_key, count_meta, count_meta_key, element_key, hash_blob, hll_key, hll_value,
    list_item_key, list_meta, list_meta_key, score, set_blob, stream_blob, stream_entry, stream_entry_key,
    stream_meta, stream_meta_key, string_key, string_value, zset_blob,
};
use support::{Row, dump, expected};

fn hash_field(uk: &[u8], name: &[u8], value: &[u8]) -> Row {
    (element_key(Counted::Hash, uk, name), value.to_vec())
}

fn zset_member(uk: &[u8], member: &[u8], of: f64) -> Row {
    (element_key(Counted::ZSet, uk, member), score(of))
}

fn set_member(uk: &[u8], member: &[u8]) -> Row {
    (element_key(Counted::Set, uk, member), Vec::new())
}

fn entry(uk: &[u8], ms: u64, seq: u64, fields: &[&[u8]]) -> Row {
    (stream_entry_key(uk, ms, seq), stream_entry(format!("{ms}-{seq}").as_bytes(), fields))
}

#[test]
fn every_type_has_exactly_the_bytes_of_the_format() {
    let mut rows = vec![
        (string_key(b"s"), string_value(b"\0value\xff", None)),
        (hll_key(b"p"), hll_value(&set_blob(["m"]), None)),
        hash_field(b"h", b"", b""),
        hash_field(b"h", b"a<b", b"\xff"),
        hash_field(b"h", b"\x80", "ü\u{2028}\u{7f}".as_bytes()),
        (list_meta_key(b"l"), list_meta(-1, 2, 3, None)),
        (list_item_key(b"l", -1), b"first".to_vec()),
        (list_item_key(b"l", 0), b"".to_vec()),
        (list_item_key(b"l", 1), b"\xc3".to_vec()),
        set_member(b"t", b""),
        set_member(b"t", b"b\"\\"),
        (stream_meta_key(b"x"), stream_meta(2, (1_714_400_000_001, 0), None, None)),
        entry(b"x", 1_714_400_000_000, 0, &[b"n", b"v", b"n", b"\xff"]),
        entry(b"x", 1_714_400_000_001, 0, &[]),
    ];
    for (member, of) in [("a", 100.0), ("b", -0.0), ("c", f64::INFINITY), ("d", 1e21), ("e", 1e-7)] {
        rows.push(zset_member(b"z", member.as_bytes(), of));
    }
    let dump = dump(&rows);
    dump.assert_files(&[
        ("strings/s.bin", &b"\0value\xff"[..]),
        ("hll/p.bin", b"\0RS\x01\x0a\x01m"),
        (
            "hashes/h.json",
            b"{
  \"format_version\": 1,
  \"fields\": [
    {
      \"name\": \"\",
      \"value\": \"\"
    },
    {
      \"name\": \"a\\u003cb\",
      \"value\": {
        \"base64\": \"_w\"
      }
    },
    {
      \"name\": {
        \"base64\": \"gA\"
      },
      \"value\": \"\xc3\xbc\\u2028\x7f\"
    }
  ],
  \"expire_at_ms\": null
}",
        ),
        (
            "lists/l.json",
            b"{
  \"format_version\": 1,
  \"items\": [
    \"first\",
    \"\",
    {
      \"base64\": \"ww\"
    }
  ],
  \"expire_at_ms\": null
}",
        ),
        (
            "sets/t.json",
            b"{
  \"format_version\": 1,
  \"members\": [
    \"\",
    \"b\\\"\\\\\"
  ],
  \"expire_at_ms\": null
}",
        ),
        (
            "zsets/z.json",
            b"{
  \"format_version\": 1,
  \"members\": [
    {
      \"member\": \"a\",
      \"score\": 100
    },
    {
      \"member\": \"b\",
      \"score\": -0
    },
    {
      \"member\": \"c\",
      \"score\": \"+inf\"
    },
    {
      \"member\": \"d\",
      \"score\": 1e+21
    },
    {
      \"member\": \"e\",
      \"score\": 1e-7
    }
  ],
  \"expire_at_ms\": null
}",
        ),
        (
            "streams/x.jsonl",
            b"{\"id\":\"1714400000000-0\",\"fields\":[{\"name\":\"n\",\"value\":\"v\"},\
              {\"name\":\"n\",\"value\":{\"base64\":\"_w\"}}]}
{\"id\":\"1714400000001-0\",\"fields\":[]}
{\"_meta\":true,\"length\":2,\"last_ms\":1714400000001,\"last_seq\":0,\"expire_at_ms\":null}
",
        ),
    ]);
    dump.assert_warnings(&[]);
    assert_eq!(dump.manifest["decode"]["keys"]["redis"], 7);
    assert_eq!(dump.manifest["adapters"]["redis"]["databases"], serde_json::json!([0]));
}

#[test]
fn the_empty_user_key_is_a_key_of_every_type() {
    let rows = [
        (string_key(b""), b"plain".to_vec()),
        hash_field(b"", b"f", b"v"),
        (list_item_key(b"", 0), b"i".to_vec()),
    ];
    dump(&rows[..1]).assert_files(&[("strings/.bin", "plain")]);
    dump(&rows[1..2]).assert_files(&[("hashes/.json", expected::hash(&[("f", "v")], None))]);
    dump(&rows[2..]).assert_files(&[("lists/.json", expected::list(&["i"], None))]);
}

#[test]
fn a_value_without_envelope_is_the_string_itself() {
    let values: [&[u8]; 5] = [b"", b"\xff", b"\xff\x02\0", b"\xfe\x01\0", b"plain"];
    for value in values {
        dump(&[(string_key(b"k"), value.to_vec())]).assert_files(&[("strings/k.bin", value)]);
    }
}

#[test]
fn flag_bits_other_than_the_first_say_nothing() {
    let rows = [
        (string_key(b"a"), b"\xff\x01\xfevalue".to_vec()),
        (string_key(b"b"), b"\xff\x01\xff\0\0\0\0\0\0\0\x09".to_vec()),
    ];
    let dump = dump(&rows);
    dump.assert_files(&[
        ("strings/a.bin", "value"),
        ("strings/b.bin", ""),
        ("strings_ttl.jsonl", "{\"key\":\"b\",\"expire_at_ms\":9}\n"),
    ]);
}

#[test]
fn an_hll_without_envelope_or_without_bytes_is_one() {
    let rows = [(hll_key(b"a"), set_blob(["m", "n"])), (hll_key(b"b"), Vec::new())];
    dump(&rows).assert_files(&[("hll/a.bin", set_blob(["m", "n"])), ("hll/b.bin", Vec::new())]);
}

#[test]
fn the_one_blob_value_counts_only_where_there_are_no_rows() {
    let blobs = [
        (blob_key(Blob::Hash, b"h"), hash_blob([("blob", "1")])),
        (blob_key(Blob::Set, b"t"), set_blob(["blob"])),
        (blob_key(Blob::ZSet, b"z"), zset_blob([("blob", 1.0)])),
    ];
    dump(&blobs).assert_files(&[
        ("hashes/h.json", expected::hash(&[("blob", "1")], None)),
        ("sets/t.json", expected::set(&["blob"], None)),
        ("zsets/z.json", expected::zset(&[("blob", "1")], None)),
    ]);
    let rows = [hash_field(b"h", b"row", b"2"), set_member(b"t", b"row"), zset_member(b"z", b"row", 2.0)];
    let dump = dump(&[&blobs[..], &rows].concat());
    dump.assert_files(&[
        ("hashes/h.json", expected::hash(&[("row", "2")], None)),
        ("sets/t.json", expected::set(&["row"], None)),
        ("zsets/z.json", expected::zset(&[("row", "2")], None)),
    ]);
    dump.assert_warnings(&[]);
}

#[test]
fn a_meta_row_does_not_keep_a_one_blob_value_from_counting() {
    let rows = [
        (count_meta_key(Counted::ZSet, b"z"), count_meta(1, None)),
        (blob_key(Blob::ZSet, b"z"), zset_blob([("blob", -2.5)])),
        (count_meta_key(Counted::Hash, b"h"), count_meta(2, None)),
        (blob_key(Blob::Hash, b"h"), hash_blob([("blob", "1")])),
    ];
    let dump = dump(&rows);
    dump.assert_files(&[
        ("zsets/z.json", expected::zset(&[("blob", "-2.5")], None)),
        ("hashes/h.json", expected::hash(&[("blob", "1")], None)),
    ]);
    dump.assert_warnings(&[("redis_hash_length_mismatch", 1)]);
}

#[test]
fn empty_collections_are_exported() {
    let rows = [
        (count_meta_key(Counted::Hash, b"h"), count_meta(0, None)),
        (blob_key(Blob::Set, b"t"), Vec::new()),
        (blob_key(Blob::ZSet, b"z"), zset_blob::<&str>([])),
        (list_meta_key(b"l"), list_meta(4, 4, 0, None)),
        (stream_meta_key(b"x"), stream_meta(0, (5, 6), None, None)),
        (blob_key(Blob::Stream, b"y"), Vec::new()),
    ];
    let dump = dump(&rows);
    dump.assert_files(&[
        ("hashes/h.json", expected::hash::<&str, &str>(&[], None)),
        ("sets/t.json", expected::set::<&str>(&[], None)),
        ("zsets/z.json", expected::zset::<&str>(&[], None)),
        ("lists/l.json", expected::list::<&str>(&[], None)),
        ("streams/x.jsonl", expected::stream_meta(0, (5, 6), None)),
        ("streams/y.jsonl", expected::stream_meta(0, (0, 0), None)),
    ]);
    dump.assert_warnings(&[("redis_stream_legacy_blob", 1)]);
    assert!(dump.files["hashes/h.json"].starts_with(b"{\n  \"format_version\": 1,\n  \"fields\": [],\n"));
}

#[test]
fn nan_scores_are_exported_as_text_and_counted_per_member() {
    let rows = [
        zset_member(b"r", b"a", f64::NAN),
        zset_member(b"r", b"b", -f64::NAN),
        zset_member(b"r", b"c", 0.0),
        (blob_key(Blob::ZSet, b"b"), zset_blob([("a", f64::NAN), ("b", 3.0)])),
        (blob_key(Blob::ZSet, b"r"), zset_blob([("a", f64::NAN)])),
    ];
    let dump = dump(&rows);
    dump.assert_files(&[
        ("zsets/r.json", expected::zset(&[("a", "\"nan\""), ("b", "\"nan\""), ("c", "0")], None)),
        ("zsets/b.json", expected::zset(&[("a", "\"nan\""), ("b", "3")], None)),
    ]);
    dump.assert_warnings(&[("redis_zset_nan_score", 3)]);
    assert!(!dump.report.is_incomplete());
}

#[test]
fn of_a_name_member_or_id_given_twice_in_a_one_blob_the_last_counts() {
    let rows = [
        (blob_key(Blob::Hash, b"h"), hash_blob([("f", "1"), ("g", "x"), ("f", "2")])),
        (blob_key(Blob::Set, b"t"), set_blob(["m", "m"])),
        (blob_key(Blob::ZSet, b"z"), zset_blob([("m", f64::NAN), ("m", 0.0)])),
        (
            blob_key(Blob::Stream, b"x"),
            stream_blob([("2-0", vec!["n", "1"]), ("1-0", vec![]), ("2-0", vec!["n", "2"])]),
        ),
    ];
    let dump = dump(&rows);
    dump.assert_files(&[
        ("hashes/h.json", expected::hash(&[("f", "2"), ("g", "x")], None)),
        ("sets/t.json", expected::set(&["m"], None)),
        ("zsets/z.json", expected::zset(&[("m", "0")], None)),
        (
            "streams/x.jsonl",
            expected::entry::<&str>("1-0", &[])
                + &expected::entry("2-0", &["n", "2"])
                + &expected::stream_meta(2, (2, 0), None),
        ),
    ]);
    dump.assert_warnings(&[("redis_stream_legacy_blob", 1)]);
    assert_eq!(
        dump.ask("SELECT elements FROM redis_keys ORDER BY key"),
        [2, 1, 2, 1].map(|n| format!("Integer({n})"))
    );
}

#[test]
fn an_absent_string_of_a_one_blob_is_empty_and_unknown_fields_are_skipped() {
    let mut hash = b"\0RH\x01".to_vec();
    bytes_field(&mut hash, 1, b"");
    bytes_field(&mut hash, 9, b"unknown");
    bytes_field(&mut hash, 1, b"\x18\x07\x12\x01v\x1d\0\0\0\0\x12\x01w");
    let rows = [(blob_key(Blob::Hash, b"h"), hash)];
    dump(&rows).assert_files(&[("hashes/h.json", expected::hash(&[("", "w")], None))]);
}

#[test]
fn list_items_come_in_ascending_numbers_also_without_meta() {
    let seqs = [i64::MIN, -1, 0, 1, i64::MAX];
    let rows: Vec<_> =
        seqs.iter().rev().map(|seq| (list_item_key(b"l", *seq), seq.to_string().into_bytes())).collect();
    let dump = dump(&rows);
    let items = seqs.map(|seq| seq.to_string());
    dump.assert_files(&[("lists/l.json", expected::list(&items, None))]);
    dump.assert_warnings(&[("redis_list_items_without_meta", 1)]);
}

#[test]
fn stream_entries_come_in_the_order_of_their_numbers_beyond_signed_ones() {
    let ids = [(9, 1 << 63), (10, 0), (1 << 63, 5), (u64::MAX, 0), (u64::MAX, u64::MAX)];
    let mut rows: Vec<_> = ids.iter().map(|(ms, seq)| entry(b"x", *ms, *seq, &[b"n", b"v"])).collect();
    rows.push((stream_meta_key(b"x"), stream_meta(5, (u64::MAX, u64::MAX), None, None)));
    let blob = stream_blob(ids.iter().rev().map(|(ms, seq)| (format!("{ms}-{seq}"), vec!["n", "v"])));
    rows.push((blob_key(Blob::Stream, b"y"), blob));
    let dump = dump(&rows);
    let lines: String =
        ids.iter().map(|(ms, seq)| expected::entry(&format!("{ms}-{seq}"), &["n", "v"])).collect();
    let file = lines + &expected::stream_meta(5, (u64::MAX, u64::MAX), None);
    dump.assert_files(&[("streams/x.jsonl", &file), ("streams/y.jsonl", &file)]);
    dump.assert_warnings(&[("redis_stream_legacy_blob", 1)]);
}

#[test]
fn the_id_in_the_key_counts_and_not_the_one_in_the_value() {
    let rows = [
        (stream_meta_key(b"x"), stream_meta(1, (1, 0), None, None)),
        (stream_entry_key(b"x", 1, 0), stream_entry(b"9-9", &["n", "v"])),
    ];
    let file = expected::entry("1-0", &["n", "v"]) + &expected::stream_meta(1, (1, 0), None);
    dump(&rows).assert_files(&[("streams/x.jsonl", file)]);
}

#[test]
fn trimmed_entries_are_neither_exported_nor_counted() {
    let big = 1 << 63;
    for (trimmed, left) in [
        ((0, 0), vec![(0, 0), (1, 7), (2, 0), (big, 1)]),
        ((0, 1), vec![(1, 7), (2, 0), (big, 1)]),
        ((1, 7), vec![(2, 0), (big, 1)]),
        ((1, u64::MAX), vec![(2, 0), (big, 1)]),
        ((big, 0), vec![(big, 1)]),
        ((u64::MAX, u64::MAX), vec![]),
    ] {
        let mut rows: Vec<_> =
            [(0, 0), (1, 7), (2, 0), (big, 1)].iter().map(|(ms, seq)| entry(b"x", *ms, *seq, &[])).collect();
        let length = left.len() as u64;
        rows.push((stream_meta_key(b"x"), stream_meta(length, (big, 1), None, Some(trimmed))));
        let dump = dump(&rows);
        let lines: String =
            left.iter().map(|(ms, seq)| expected::entry::<&str>(&format!("{ms}-{seq}"), &[])).collect();
        dump.assert_files(&[("streams/x.jsonl", lines + &expected::stream_meta(length, (big, 1), None))]);
        dump.assert_warnings(&[]);
        assert_eq!(dump.ask("SELECT ms FROM redis_stream_entries").len(), left.len());
    }
}

#[test]
fn with_a_meta_row_a_one_blob_stream_is_ignored() {
    let rows = [
        (stream_meta_key(b"x"), stream_meta(1, (3, 0), None, None)),
        entry(b"x", 3, 0, &[b"n", b"v"]),
        (blob_key(Blob::Stream, b"x"), stream_blob([("1-0", vec!["blob", "v"])])),
        (stream_meta_key(b"y"), stream_meta(0, (3, 0), None, None)),
        (blob_key(Blob::Stream, b"y"), stream_blob([("1-0", vec!["blob", "v"])])),
    ];
    let dump = dump(&rows);
    dump.assert_files(&[
        ("streams/x.jsonl", expected::entry("3-0", &["n", "v"]) + &expected::stream_meta(1, (3, 0), None)),
        ("streams/y.jsonl", expected::stream_meta(0, (3, 0), None)),
    ]);
    dump.assert_warnings(&[]);
}

#[test]
fn without_a_meta_row_entries_are_left_out_and_the_one_blob_stream_is_exported() {
    let rows = [
        entry(b"x", 3, 0, &[b"n", b"v"]),
        (blob_key(Blob::Stream, b"x"), stream_blob([("1-0", vec!["blob", "v"])])),
        entry(b"y", 3, 0, &[b"n", b"v"]),
    ];
    let dump = dump(&rows);
    let file = expected::entry("1-0", &["blob", "v"]) + &expected::stream_meta(1, (1, 0), None);
    dump.assert_files(&[("streams/x.jsonl", file)]);
    dump.assert_warnings(&[("redis_stream_legacy_blob", 1), ("redis_stream_orphan_entries_without_meta", 2)]);
    assert_eq!(dump.manifest["decode"]["keys"]["redis"], 1);
}
