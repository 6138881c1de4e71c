//! Random contents held against a model, and random rows held against themselves: the dump does not depend on how
//! rows are spread over files, and never on their arrival.

mod support;

use std::collections::{BTreeMap, BTreeSet};

use ekvsnap_testkit::redis_rows::{self as made, Blob, Counted};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use support::{Row, dump, dump_files, expected};

type Bytes = Vec<u8>;

fn config() -> ProptestConfig {
    ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() }
}

fn bytes() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        "[a-c<&\"\\\\]{0,3}".prop_map(String::into_bytes),
        ".{0,4}".prop_map(String::into_bytes),
        vec(any::<u8>(), 0..6),
    ]
}

/// User keys that need no fallback name; `d|`, `!stream|` and the like are among them.
fn user_keys() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        bytes(),
        select(vec!["d|", "!stream|k", "!", "..", "a/b", "\u{1f600}"])
            .prop_map(|key| key.as_bytes().to_vec())
    ]
}

/// Scores with what ECMAScript prints for them.
fn scores() -> impl Strategy<Value = (f64, &'static str)> {
    select(vec![
        (0.0, "0"),
        (-0.0, "-0"),
        (1.5, "1.5"),
        (100.0, "100"),
        (1e21, "1e+21"),
        (1e-7, "1e-7"),
        (0.1, "0.1"),
        (f64::INFINITY, "\"+inf\""),
        (f64::NEG_INFINITY, "\"-inf\""),
        (f64::NAN, "\"nan\""),
    ])
}

/// How the rows of a collection say how long it is, or that it is one value.
#[derive(Clone, Copy, Debug)]
enum Layout {
    Meta,
    Deltas(i64),
    MetaAndDeltas(i64),
    OneBlob,
}

fn layouts() -> impl Strategy<Value = Layout> {
    prop_oneof![
        Just(Layout::Meta),
        any::<i64>().prop_map(Layout::Deltas),
        (0..9i64).prop_map(Layout::MetaAndDeltas),
        Just(Layout::OneBlob),
    ]
}

#[derive(Clone, Debug)]
enum Contents {
    String(Bytes),
    Plain(Bytes),
    Hash(BTreeMap<Bytes, Bytes>, Layout),
    Set(BTreeSet<Bytes>, Layout),
    Zset(BTreeMap<Bytes, (f64, &'static str)>, Layout),
    List(Vec<Bytes>, i64),
    Stream(BTreeMap<(u64, u64), Vec<Bytes>>),
}

fn contents() -> impl Strategy<Value = Contents> {
    let ids = (prop_oneof![0..3u64, any::<u64>()], prop_oneof![0..3u64, any::<u64>()]);
    let fields = vec((bytes(), bytes()), 0..3)
        .prop_map(|pairs| pairs.into_iter().flat_map(|(name, value)| [name, value]).collect());
    prop_oneof![
        bytes().prop_map(Contents::String),
        // Without the two bytes that would begin an envelope.
        bytes().prop_map(|value| Contents::Plain([b"=", &value[..]].concat())),
        (btree_map(bytes(), bytes(), 0..5), layouts()).prop_map(|(of, layout)| Contents::Hash(of, layout)),
        (btree_set(bytes(), 0..5), layouts()).prop_map(|(of, layout)| Contents::Set(of, layout)),
        (btree_map(bytes(), scores(), 0..5), layouts()).prop_map(|(of, layout)| Contents::Zset(of, layout)),
        (vec(bytes(), 0..5), -9..9i64).prop_map(|(items, head)| Contents::List(items, head)),
        btree_map(ids, fields, 0..5).prop_map(Contents::Stream),
    ]
}

/// Meta and deltas that add up to `length`.
fn lengths(of: Counted, uk: &[u8], length: usize, layout: Layout) -> Vec<Row> {
    let length = length as i64;
    let meta = |count: i64| (made::count_meta_key(of, uk), made::count_meta(count as u64, None));
    let delta = |seq, change| (made::count_delta_key(of, uk, u64::MAX, seq), made::count_delta(change));
    match layout {
        Layout::Meta => vec![meta(length)],
        // The first two cancel each other out; beyond signed numbers, too.
        Layout::Deltas(large) => vec![delta(0, large | 1), delta(1, -(large | 1)), delta(2, length)],
        Layout::MetaAndDeltas(more) => vec![meta(length + more), delta(0, -more)],
        Layout::OneBlob => vec![],
    }
}

/// The rows of a key.
fn rows(uk: &[u8], contents: &Contents) -> Vec<Row> {
    match contents {
        Contents::String(value) => vec![(made::string_key(uk), made::string_value(value, None))],
        Contents::Plain(value) => vec![(made::string_key(uk), value.clone())],
        Contents::Hash(fields, Layout::OneBlob) => {
            vec![(made::blob_key(Blob::Hash, uk), made::hash_blob(fields))]
        }
        Contents::Set(members, Layout::OneBlob) => {
            vec![(made::blob_key(Blob::Set, uk), made::set_blob(members))]
        }
        Contents::Zset(members, Layout::OneBlob) => {
            let members = members.iter().rev().map(|(member, (score, _))| (member, *score));
            vec![(made::blob_key(Blob::ZSet, uk), made::zset_blob(members))]
        }
        Contents::Hash(fields, layout) => {
            let rows = fields
                .iter()
                .map(|(name, value)| (made::element_key(Counted::Hash, uk, name), value.clone()));
            rows.chain(lengths(Counted::Hash, uk, fields.len(), *layout)).collect()
        }
        Contents::Set(members, layout) => {
            let rows = members.iter().map(|member| (made::element_key(Counted::Set, uk, member), vec![]));
            rows.chain(lengths(Counted::Set, uk, members.len(), *layout)).collect()
        }
        Contents::Zset(members, layout) => {
            let rows = members.iter().map(|(member, (score, _))| {
                (made::element_key(Counted::ZSet, uk, member), made::score(*score))
            });
            rows.chain(lengths(Counted::ZSet, uk, members.len(), *layout)).collect()
        }
        Contents::List(items, head) => {
            let tail = head + items.len() as i64;
            let rows = (*head..).zip(items).map(|(seq, item)| (made::list_item_key(uk, seq), item.clone()));
            let meta = made::list_meta(*head, tail, items.len() as u64, None);
            rows.chain([(made::list_meta_key(uk), meta)]).collect()
        }
        Contents::Stream(entries) => {
            let last = entries.keys().last().copied().unwrap_or_default();
            let rows = entries.iter().map(|((ms, seq), fields)| {
                (made::stream_entry_key(uk, *ms, *seq), made::stream_entry(b"id", fields))
            });
            let meta = made::stream_meta(entries.len() as u64, last, None, None);
            rows.chain([(made::stream_meta_key(uk), meta)]).collect()
        }
    }
}

/// The file of a key: path and contents.
fn file(uk: &[u8], contents: &Contents) -> (String, Bytes) {
    let name: String = uk
        .iter()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' => char::from(*byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect();
    let (path, text) = match contents {
        Contents::String(value) | Contents::Plain(value) => {
            return (format!("strings/{name}.bin"), value.clone());
        }
        Contents::Hash(fields, _) => {
            let fields: Vec<_> = fields.iter().collect();
            (format!("hashes/{name}.json"), expected::hash(&fields, None))
        }
        Contents::Set(members, _) => {
            let members: Vec<_> = members.iter().collect();
            (format!("sets/{name}.json"), expected::set(&members, None))
        }
        Contents::Zset(members, _) => {
            let members: Vec<_> = members.iter().map(|(member, (_, score))| (member, *score)).collect();
            (format!("zsets/{name}.json"), expected::zset(&members, None))
        }
        Contents::List(items, _) => (format!("lists/{name}.json"), expected::list(items, None)),
        Contents::Stream(entries) => {
            let lines =
                entries.iter().map(|((ms, seq), fields)| expected::entry(&format!("{ms}-{seq}"), fields));
            let last = entries.keys().last().copied().unwrap_or_default();
            let meta = expected::stream_meta(entries.len() as u64, last, None);
            (format!("streams/{name}.jsonl"), lines.collect::<String>() + &meta)
        }
    };
    (path, text.into_bytes())
}

/// Any well-formed row under one of a few keys, so that types meet, lengths disagree and expiries are lost.
fn any_row() -> impl Strategy<Value = Row> {
    let uk = || select(vec![&b""[..], b"a", b"b", b"d|", b"\xff"]);
    let name = || select(vec![&b""[..], b"x", b"y", b"\0\0\0\0\0\0\0\x01"]);
    let of = || select(vec![Counted::Hash, Counted::Set, Counted::ZSet]);
    let expiry = || option::of(select(vec![0, 1, support::NOW_MS, support::NOW_MS + 1, u64::MAX]));
    let number = || select(vec![0, 1, 2, 1 << 63, u64::MAX]);
    let change = || select(vec![i64::MIN, -2, -1, 0, 1, 2, i64::MAX]);
    let score = || scores().prop_map(|(score, _)| score);
    let blob = prop_oneof![
        vec((name(), name()), 0..3).prop_map(|fields| (Blob::Hash, made::hash_blob(fields))),
        vec(name(), 0..3).prop_map(|members| (Blob::Set, made::set_blob(members))),
        vec((name(), score()), 0..3).prop_map(|members| (Blob::ZSet, made::zset_blob(members))),
        vec((number(), number()), 0..3).prop_map(|ids| {
            let entries = ids.iter().map(|(ms, seq)| (format!("{ms}-{seq}"), vec!["n", "v"]));
            (Blob::Stream, made::stream_blob(entries))
        }),
    ];
    prop_oneof![
        (uk(), name(), expiry())
            .prop_map(|(uk, value, expiry)| (made::string_key(uk), made::string_value(value, expiry))),
        (uk(), name()).prop_map(|(uk, value)| (made::string_key(uk), value.to_vec())),
        (uk(), name(), expiry()).prop_map(|(uk, member, expiry)| (
            made::hll_key(uk),
            made::hll_value(&made::set_blob([member]), expiry)
        )),
        (uk(), name()).prop_map(|(uk, value)| (uk.to_vec(), value.to_vec())),
        (uk(), number()).prop_map(|(uk, expiry)| (made::ttl_key(uk), made::ttl_value(expiry))),
        (of(), uk(), 0..4u64, expiry()).prop_map(|(of, uk, count, expiry)| (
            made::count_meta_key(of, uk),
            made::count_meta(count, expiry)
        )),
        (of(), uk(), number(), 0..2u32, change()).prop_map(|(of, uk, ts, seq, change)| (
            made::count_delta_key(of, uk, ts, seq),
            made::count_delta(change)
        )),
        (of(), uk(), name(), score())
            .prop_map(|(of, uk, name, score)| (made::element_key(of, uk, name), made::score(score))),
        (uk(), 0..3i64, expiry()).prop_map(|(uk, length, expiry)| {
            (made::list_meta_key(uk), made::list_meta(-1, length - 1, length as u64, expiry))
        }),
        (uk(), change(), name()).prop_map(|(uk, seq, item)| (made::list_item_key(uk, seq), item.to_vec())),
        (uk(), number(), change(), change()).prop_map(|(uk, ts, head, change)| (
            made::list_delta_key(uk, ts, 0),
            made::list_delta(head, change)
        )),
        (uk(), 0..4u64, (number(), number()), expiry(), option::of((number(), number()))).prop_map(
            |(uk, length, last, expiry, trimmed)| {
                (made::stream_meta_key(uk), made::stream_meta(length, last, expiry, trimmed))
            }
        ),
        (uk(), number(), number(), vec((name(), name()), 0..3)).prop_map(|(uk, ms, seq, fields)| {
            let fields: Vec<_> = fields.iter().flat_map(|(name, value)| [*name, value]).collect();
            (made::stream_entry_key(uk, ms, seq), made::stream_entry(b"", &fields))
        }),
        (uk(), blob).prop_map(|(uk, (kind, blob))| (made::blob_key(kind, uk), blob)),
    ]
}

/// Rows with distinct keys, each with the file that it goes to.
fn placed_rows() -> impl Strategy<Value = Vec<(Row, usize)>> {
    vec((any_row(), 0..2usize), 0..40).prop_map(|rows| {
        let rows: BTreeMap<_, _> =
            rows.into_iter().map(|((key, value), file)| (key, (value, file))).collect();
        rows.into_iter().map(|(key, (value, file))| ((key, value), file)).collect()
    })
}

fn of_file(rows: &[(Row, usize)], file: usize) -> Vec<Row> {
    rows.iter().filter(|(_, of)| *of == file).map(|(row, _)| row.clone()).collect()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn what_was_put_in_comes_out(keys in btree_map(user_keys(), contents(), 0..12), cut: u64) {
        let rows: Vec<_> = keys.iter().flat_map(|(uk, contents)| rows(uk, contents)).collect();
        let files: BTreeMap<_, _> = keys.iter().map(|(uk, contents)| file(uk, contents)).collect();
        let dump = dump(&rows);
        prop_assert_eq!(&dump.files, &files);
        let known = ["redis_zset_nan_score"];
        prop_assert!(dump.warnings.keys().all(|kind| known.contains(kind)), "{:?}", dump.warnings);

        let halves: Vec<_> =
            rows.iter().enumerate().map(|(i, row)| (row.clone(), (cut >> (i % 64) & 1) as usize)).collect();
        let split = dump_files(&[of_file(&halves, 0), of_file(&halves, 1)]);
        prop_assert_eq!(split.files, files);
        prop_assert_eq!(split.warnings, dump.warnings);
    }

    #[test]
    fn any_rows_give_one_dump_however_they_are_spread_over_files(rows in placed_rows()) {
        let all: Vec<_> = rows.iter().map(|(row, _)| row.clone()).collect();
        let one = dump(&all);
        for order in [[0, 1], [1, 0]] {
            let two = dump_files(&order.map(|file| of_file(&rows, file)));
            prop_assert_eq!(two.shown(), one.shown());
            prop_assert_eq!(&two.warnings, &one.warnings);
        }
    }

    #[test]
    fn of_rows_that_files_share_those_of_the_first_count(
        first in placed_rows(),
        second in placed_rows(),
    ) {
        let rows = |rows: &[(Row, usize)]| rows.iter().map(|(row, _)| row.clone()).collect::<Vec<_>>();
        let (first, second) = (rows(&first), rows(&second));
        let mut union: BTreeMap<_, _> = second.iter().cloned().collect();
        let both = union.len() + first.len();
        union.extend(first.iter().cloned());
        let shared = (both - union.len()) as u64;
        let one = dump(&union.into_iter().collect::<Vec<_>>());
        let two = dump_files(&[first, second]);
        prop_assert_eq!(two.shown(), one.shown());
        let mut warnings = one.warnings.clone();
        if shared > 0 {
            warnings.insert("row_in_two_files", shared);
        }
        prop_assert_eq!(two.warnings, warnings);
    }
}
