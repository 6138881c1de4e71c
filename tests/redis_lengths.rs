//! The length that meta row and deltas declare, and what is said where it is not what was found
//! (`docs/format/redis.md` section 3).

mod support;

use ekvsnap_testkit::redis_rows::{
    Blob, Counted, blob_key, count_delta, count_delta_key, count_meta, count_meta_key, element_key,
    list_delta, list_delta_key, list_item_key, list_meta, list_meta_key, score, stream_entry,
    stream_entry_key, stream_meta, stream_meta_key, zset_blob,
};
use proptest::prelude::*;
use support::{Dump, Row, dump};

const COUNTED: [(Counted, &str); 3] = [
    (Counted::Hash, "redis_hash_length_mismatch"),
    (Counted::Set, "redis_set_length_mismatch"),
    (Counted::ZSet, "redis_zset_length_mismatch"),
];

fn element(of: Counted, name: u8) -> Row {
    (element_key(of, b"k", &[name]), if of == Counted::ZSet { score(1.0) } else { Vec::new() })
}

fn meta(of: Counted, count: u64) -> Row {
    (count_meta_key(of, b"k"), count_meta(count, None))
}

fn deltas(of: Counted, deltas: &[i64]) -> Vec<Row> {
    let row = |(seq, delta)| (count_delta_key(of, b"k", u64::MAX - seq % 2, seq as u32), count_delta(delta));
    (0u64..).zip(deltas.iter().copied()).map(row).collect()
}

fn declared(dump: &Dump) -> String {
    dump.ask("SELECT declared FROM redis_keys").swap_remove(0)
}

#[test]
fn meta_and_deltas_add_up_to_what_was_found() {
    for (of, _) in COUNTED {
        let mut rows = vec![meta(of, 5), element(of, 1), element(of, 2)];
        rows.extend(deltas(of, &[1, -7, 3]));
        dump(&rows).assert_warnings(&[]);
        rows.remove(0);
        rows.extend(deltas(of, &[0, 0, 0, 5]).split_off(3));
        dump(&rows).assert_warnings(&[]);
    }
}

#[test]
fn another_number_than_declared_is_a_warning_that_names_both() {
    for (of, kind) in COUNTED {
        let dump = dump(&[meta(of, 3), element(of, 1)]);
        dump.assert_warnings(&[(kind, 1)]);
        assert_eq!(dump.samples(kind), ["k: declared 3, found 1"]);
        assert!(!dump.report.is_incomplete());
    }
}

#[test]
fn without_meta_and_deltas_nothing_is_declared() {
    for (of, _) in COUNTED {
        let dump = dump(&[element(of, 1)]);
        dump.assert_warnings(&[]);
        assert_eq!(declared(&dump), "Null");
    }
}

#[test]
fn a_length_below_zero_counts_as_zero() {
    for (of, kind) in COUNTED {
        let mut rows = deltas(of, &[-2, 1]);
        dump(&rows).assert_warnings(&[]);
        rows.push(element(of, 1));
        let dump = dump(&rows);
        assert_eq!(dump.samples(kind), ["k: declared 0, found 1"]);
    }
}

#[test]
fn deltas_that_would_overflow_are_added_exactly() {
    let (min, max) = (i64::MIN, i64::MAX);
    for (count, changes, total) in [
        (1, vec![max], max),
        (max, vec![max, max, max], max),
        (0, vec![min, min], 0),
        (max, vec![min, 1], 0),
        (5, vec![max, min], 4),
        (max, vec![min, -1, 5], 3),
        (max, vec![min, min, max, 7, 3], 8),
        (0, vec![1 << 62, 1 << 62, -1], max),
        (0, vec![1 << 32, (1 << 32) - 1, -(1 << 31)], (1 << 33) - 1 - (1 << 31)),
        (max, vec![-1], max - 1),
    ] {
        let mut rows = deltas(Counted::Hash, &changes);
        rows.push(meta(Counted::Hash, count as u64));
        assert_eq!(declared(&dump(&rows)), format!("Integer({total})"), "{count} and {changes:?}");
    }
}

#[test]
fn a_list_has_a_meta_and_deltas_of_its_own_shape() {
    let rows = [
        (list_meta_key(b"k"), list_meta(0, 4, 4, None)),
        (list_delta_key(b"k", 7, 0), list_delta(2, -2)),
        (list_delta_key(b"k", 7, 1), list_delta(i64::MIN, -1)),
        (list_item_key(b"k", 3), b"i".to_vec()),
    ];
    dump(&rows).assert_warnings(&[]);
    let dump = dump(&rows[..3]);
    assert_eq!(dump.samples("redis_list_length_mismatch"), ["k: declared 1, found 0"]);
}

#[test]
fn a_list_drained_by_pops_is_no_mismatch() {
    let rows =
        [(list_delta_key(b"k", 7, 0), list_delta(0, 2)), (list_delta_key(b"k", 8, 0), list_delta(2, -2))];
    let dump = dump(&rows);
    dump.assert_warnings(&[]);
    assert_eq!(dump.files.keys().collect::<Vec<_>>(), ["lists/k.json"]);
}

#[test]
fn a_stream_declares_its_length_in_the_meta_row_and_trimmed_entries_do_not_count() {
    let entry = |ms| (stream_entry_key(b"k", ms, 0), stream_entry::<&str>(b"1-0", &[]));
    let meta = |length, trimmed| (stream_meta_key(b"k"), stream_meta(length, (9, 0), None, trimmed));
    dump(&[entry(1), entry(2), meta(2, None)]).assert_warnings(&[]);
    dump(&[entry(1), entry(2), meta(1, Some((1, 0)))]).assert_warnings(&[]);
    let dump = dump(&[entry(1), entry(2), meta(2, Some((1, 0)))]);
    assert_eq!(dump.samples("redis_stream_length_mismatch"), ["k: declared 2, found 1"]);
}

#[test]
fn the_contents_of_a_one_blob_value_are_what_was_found() {
    let blob = (blob_key(Blob::ZSet, b"k"), zset_blob([("a", 1.0), ("b", 2.0), ("a", 3.0)]));
    dump(&[meta(Counted::ZSet, 2), blob.clone()]).assert_warnings(&[]);
    let dump = dump(&[meta(Counted::ZSet, 3), blob]);
    assert_eq!(dump.samples("redis_zset_length_mismatch"), ["k: declared 3, found 2"]);
}

#[test]
fn a_type_that_loses_is_not_held_to_its_length() {
    let rows = [
        (list_item_key(b"k", 0), b"".to_vec()),
        (list_meta_key(b"k"), list_meta(0, 1, 1, None)),
        meta(Counted::Hash, 7),
    ];
    dump(&rows).assert_warnings(&[("redis_type_conflict", 1)]);
}

fn hostile() -> impl Strategy<Value = i64> {
    prop_oneof![Just(i64::MIN), Just(i64::MAX), Just(-1), -9..9i64, any::<i64>()]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_deltas_add_up_as_wider_numbers_do(
        count in prop_oneof![0..9i64, Just(i64::MAX), 0..=i64::MAX],
        changes in proptest::collection::vec(hostile(), 0..9),
    ) {
        let mut rows = deltas(Counted::Set, &changes);
        rows.push(meta(Counted::Set, count as u64));
        let total = changes.iter().map(|change| i128::from(*change)).sum::<i128>() + i128::from(count);
        let total = total.clamp(0, i128::from(i64::MAX));
        prop_assert_eq!(declared(&dump(&rows)), format!("Integer({total})"));
    }
}
