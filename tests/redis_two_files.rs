//! One row key in two files: the first file counts, and what it holds is counted once
//! (`docs/format/snapshot.md` section 5).

mod support;

use ekvsnap_testkit::redis_rows::{
    Blob, Counted, blob_key, count_delta, count_delta_key, count_meta, count_meta_key, element_key,
    hash_blob, hll_key, list_delta, list_delta_key, list_item_key, list_meta, list_meta_key, score, set_blob,
    stream_blob, stream_entry, stream_entry_key, stream_meta, stream_meta_key, string_key, string_value,
    ttl_key, ttl_value,
};
use support::{Row, dump, dump_files, expected};

/// A row key, its values in two files, and the sample that tells of it.
type Pair = (Vec<u8>, [Vec<u8>; 2], &'static str);

/// One for every row kind.
fn pairs() -> Vec<Pair> {
    let numbers = |of: fn(u64) -> Vec<u8>| [of(1), of(2)];
    vec![
        (string_key(b"s"), [string_value(b"1", None), string_value(b"2", Some(7))], "string s"),
        (b"bare".to_vec(), [b"1".to_vec(), b"2".to_vec()], "bare string bare"),
        (hll_key(b"p"), [set_blob(["1"]), set_blob(["2"])], "hll p"),
        (ttl_key(b"p"), numbers(|n| ttl_value(n << 50)), "ttl p"),
        (count_meta_key(Counted::Hash, b"h"), numbers(|n| count_meta(n, None)), "hash meta row of h"),
        (
            count_delta_key(Counted::Hash, b"h", 5, 0),
            numbers(|n| count_delta(n as i64)),
            "hash delta row of h",
        ),
        (element_key(Counted::Hash, b"h", b"f"), [b"1".to_vec(), b"2".to_vec()], "hash field f of h"),
        (element_key(Counted::Set, b"t", b"m"), [Vec::new(), b"2".to_vec()], "set member m of t"),
        (element_key(Counted::ZSet, b"z", b"m"), [score(1.0), score(f64::NAN)], "zset member m of z"),
        (list_meta_key(b"l"), [list_meta(0, 1, 1, None), list_meta(0, 2, 2, None)], "list meta row of l"),
        (list_delta_key(b"l", 5, 0), [list_delta(0, 0), list_delta(0, 9)], "list delta row of l"),
        (list_item_key(b"l", -4), [b"1".to_vec(), b"2".to_vec()], "list item -4 of l"),
        (stream_meta_key(b"x"), numbers(|n| stream_meta(n, (n, 0), None, None)), "stream meta row of x"),
        (
            stream_entry_key(b"x", 1, 2),
            [stream_entry(b"1-2", &["n", "1"]), stream_entry(b"1-2", &["n", "2"])],
            "stream entry 1-2 of x",
        ),
        (
            blob_key(Blob::Hash, b"bh"),
            [hash_blob([("f", "1")]), hash_blob([("g", "2")])],
            "hash one-blob row of bh",
        ),
        (
            blob_key(Blob::Stream, b"bx"),
            [stream_blob([("1-0", vec!["n", "1"])]), stream_blob([("2-0", vec!["n", "2"])])],
            "stream one-blob row of bx",
        ),
    ]
}

#[test]
fn of_a_row_in_two_files_that_of_the_first_counts_for_every_kind_of_row() {
    for (key, [first, second], sample) in pairs() {
        let rows = |values: [&Vec<u8>; 1]| values.map(|value| (key.clone(), value.clone())).to_vec();
        let alone = dump(&rows([&first]));
        let both = dump_files(&[rows([&first]), rows([&second])]);
        assert_eq!(both.shown(), alone.shown());
        let mut warnings = alone.warnings.clone();
        warnings.insert("row_in_two_files", 1);
        assert_eq!(both.warnings, warnings);
        assert_eq!(both.samples("row_in_two_files"), [sample]);
        assert!(both.report.is_incomplete());
    }
}

#[test]
fn two_copies_of_everything_give_the_dump_of_one() {
    let rows: Vec<Row> = pairs().into_iter().map(|(key, [first, _], _)| (key, first)).collect();
    let alone = dump(&rows);
    let both = dump_files(&[rows.clone(), rows.clone()]);
    assert_eq!(both.shown(), alone.shown());
    let mut warnings = alone.warnings.clone();
    warnings.insert("row_in_two_files", rows.len() as u64);
    assert_eq!(both.warnings, warnings);
}

#[test]
fn elements_that_two_files_share_are_counted_once() {
    let field = |n: u32| (element_key(Counted::Hash, b"k", &n.to_be_bytes()), b"v".to_vec());
    let mut first: Vec<_> = (0..6000).map(field).collect();
    first.push((count_meta_key(Counted::Hash, b"k"), count_meta(9000, None)));
    let dump = dump_files(&[first, (3000..9000).map(field).collect()]);
    dump.assert_warnings(&[("row_in_two_files", 3000)]);
    assert_eq!(dump.ask("SELECT elements FROM redis_keys"), ["Integer(9000)"]);
}

#[test]
fn a_nan_score_that_does_not_count_is_not_reported() {
    let member = |name: &str, of| (element_key(Counted::ZSet, b"k", name.as_bytes()), score(of));
    let first = vec![member("a", 1.0), member("b", f64::NAN)];
    let second = vec![member("a", f64::NAN), member("b", f64::NAN), member("c", f64::NAN)];
    let dump = dump_files(&[first, second]);
    let members = [("a", "1"), ("b", "\"nan\""), ("c", "\"nan\"")];
    dump.assert_files(&[("zsets/k.json", expected::zset(&members, None))]);
    dump.assert_warnings(&[("redis_zset_nan_score", 2), ("row_in_two_files", 2)]);
}

#[test]
fn one_key_is_put_together_from_all_files() {
    let files = [
        vec![(count_meta_key(Counted::Hash, b"k"), count_meta(1, None))],
        vec![
            (element_key(Counted::Hash, b"k", b"a"), b"1".to_vec()),
            (count_delta_key(Counted::Hash, b"k", 5, 0), count_delta(1)),
        ],
        vec![(element_key(Counted::Hash, b"k", b"b"), b"2".to_vec()), (ttl_key(b"k"), ttl_value(u64::MAX))],
    ];
    let dump = dump_files(&files);
    let fields = [("a", "1"), ("b", "2")];
    dump.assert_files(&[("hashes/k.json", expected::hash(&fields, Some(i64::MAX)))]);
    dump.assert_warnings(&[]);
    assert_eq!(dump.manifest["decode"]["sources"].as_array().unwrap().len(), 3);
}

#[test]
fn types_conflict_across_files_too() {
    let files = [
        vec![(element_key(Counted::Hash, b"k", b"f"), b"v".to_vec())],
        vec![(string_key(b"k"), b"s".to_vec())],
    ];
    let dump = dump_files(&files);
    dump.assert_files(&[("strings/k.bin", "s")]);
    dump.assert_warnings(&[("redis_type_conflict", 1)]);
}
