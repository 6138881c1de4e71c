//! A bundle holds the rows of an ordinary body: however it is cut, compressed and read, and wherever reading goes on,
//! the same rows come out as of the `EKVPBBL1` body with the same rows.

#![allow(clippy::unwrap_used, reason = "this is test code, if not inside a test function")]

mod snapshot_support;

use std::io::Cursor;

use ekvsnap::snapshot::{Batch, Checkpoint, Closing, Payload, Reader};
use ekvsnap_testkit::container::{Footer, HlcHeader, frame};
use ekvsnap_testkit::sorted::SortedSnapshot;
use ekvsnap_testkit::sst_writer::{Bundle, Compress, Cut, RawRow};
use ekvsnap_testkit::strategies::histories;
use ekvsnap_testkit::version::Version;
use proptest::prelude::*;
use snapshot_support::{Seen, SeenRow, on_disk, seen};

fn cut() -> impl Strategy<Value = Cut> {
    let compress = prop_oneof![Just(Compress::IfItSaves), Just(Compress::Always), Just(Compress::Never)];
    (1..3000usize, 1..6usize, 1..20usize, compress).prop_map(
        |(block_bytes, index_entries, restart_every, compress)| Cut {
            block_bytes,
            index_entries,
            restart_every,
            compress,
        },
    )
}

fn rows(versions: &[Version]) -> Vec<RawRow> {
    let mut rows: Vec<_> = versions.iter().map(|version| (version.raw_key(), version.raw_value())).collect();
    rows.sort();
    rows
}

fn bundle_file(versions: &[Version], table_rows: usize, cut: &Cut, last_commit_ts: u64) -> Vec<u8> {
    let bundle = Bundle::of(&rows(versions), table_rows, cut, last_commit_ts);
    frame(&HlcHeader::V1 { ceiling_ms: 7 }, &bundle.to_bytes(), Footer::Good)
}

/// Everything about the rows but where they lie.
fn contents(mut seen: Seen) -> Vec<SeenRow> {
    seen.rows.iter_mut().for_each(|row| row.offset = 0);
    seen.rows
}

fn assert_same(bundle: &[u8], versions: &[Version], last_commit_ts: u64, as_of: Option<u64>) {
    let ordinary = SortedSnapshot::new(last_commit_ts).versions(versions).to_bytes().unwrap_or_default();
    let (bundle, ordinary) = (seen(bundle, as_of), seen(&ordinary, as_of));
    assert_eq!(bundle.closing.counts, ordinary.closing.counts);
    assert_eq!(bundle.opening.last_commit_ts, ordinary.opening.last_commit_ts);
    assert!(contents(bundle) == contents(ordinary));
}

proptest! {
    #[test]
    fn a_bundle_gives_the_rows_of_an_ordinary_body(
        history in histories(b"!redis|str|"),
        table_rows in 1..70usize,
        cut in cut(),
    ) {
        let file = bundle_file(&history.versions, table_rows, &cut, history.last_commit_ts);
        assert_same(&file, &history.versions, history.last_commit_ts, history.read_ts);
    }
}

/// Bytes that Snappy cannot make fewer.
fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u8
    };
    (0..bytes).map(|_| next()).collect()
}

/// Rows of every size: copied, handed on by reference, and in blocks that do not lie in memory.
fn rows_of_every_size() -> Vec<Version> {
    let mut versions = Vec::new();
    for (number, bytes) in [10, 40_000, 5 << 20, 300, 33_000, 0].into_iter().enumerate() {
        let number = number as u8;
        versions.push(Version::put([b'k', number], 5, noise(u64::from(number), bytes)));
        versions.push(Version::put([b'k', number], 4, vec![number; bytes]));
    }
    // Keys that share nearly all of their bytes with the one before.
    for last in [1, 2] {
        versions.push(Version::put([vec![b'z'; 5 << 20], vec![last]].concat(), 9, vec![last]));
    }
    versions
}

#[test]
fn rows_of_every_size_come_out_of_every_kind_of_block() {
    let versions = rows_of_every_size();
    for (compress, block_bytes, table_rows) in
        [(Compress::Always, 1 << 30, 100), (Compress::Never, 1 << 30, 100), (Compress::IfItSaves, 40_000, 5)]
    {
        let cut = Cut { block_bytes, compress, ..Cut::default() };
        assert_same(&bundle_file(&versions, table_rows, &cut, 9), &versions, 9, None);
    }
}

type Rest = Vec<(Vec<u8>, u64)>;

/// The rows from here to the end, the checkpoints with the number of rows before each, and the end.
fn read_on(mut reader: Reader) -> (Rest, Vec<(usize, Checkpoint)>, Closing) {
    let (mut seen, mut checkpoints, mut batch) = (Vec::new(), Vec::new(), Batch::default());
    let mut offset = 0;
    while reader.fill(&mut batch).unwrap() {
        assert!(batch.offset >= offset);
        offset = batch.offset;
        seen.extend(batch.rows().map(|row| {
            assert!(matches!(row.payload, Payload::Inline(_) | Payload::Large { .. }));
            (row.raw_key.to_vec(), row.payload.len())
        }));
        checkpoints.extend(batch.checkpoint.take().map(|checkpoint| (seen.len(), *checkpoint)));
    }
    (seen, checkpoints, reader.closing().unwrap().clone())
}

fn open(file: &[u8], spool: bool) -> Reader {
    let mut reader = Reader::open(Box::new(Cursor::new(file.to_vec())), "test".into(), true).unwrap();
    if !spool {
        reader.read_tables_in(on_disk(file)).unwrap();
    }
    reader
}

#[test]
fn a_resumed_reader_sees_the_rest_of_the_rows_and_the_same_end() {
    let versions: Vec<_> = (0..14u8)
        .map(|number| Version::put([number / 2], u64::from(number), noise(number.into(), 800_000)))
        .collect();
    let mut resumed = 0;
    for (table_rows, compress) in [(100, Compress::Never), (7, Compress::Always), (2, Compress::IfItSaves)] {
        let file =
            bundle_file(&versions, table_rows, &Cut { compress, index_entries: 3, ..Cut::default() }, 99);
        for spool in [false, true] {
            let (seen, checkpoints, closing) = read_on(open(&file, spool));
            assert!(!checkpoints.is_empty());
            for (rows_before, checkpoint) in checkpoints {
                let reader = open(&file, spool).resume(Cursor::new(file.clone()), checkpoint).unwrap();
                let (rest, _, again) = read_on(reader);
                assert!(rest == seen[rows_before..]);
                assert_eq!(again, closing);
                resumed += 1;
            }
        }
    }
    assert!(resumed > 9, "{resumed}");
}

#[test]
fn a_resumed_reader_notices_that_the_table_in_progress_has_changed() {
    let versions: Vec<_> = (0..9u8).map(|number| Version::put([number], 1, noise(1, 1 << 20))).collect();
    let file = bundle_file(&versions, 100, &Cut::default(), 9);
    let (_, checkpoints, _) = read_on(open(&file, false));
    let mut changed = file.clone();
    // In rows that had been read when the checkpoint was left.
    changed[500_000] ^= 1;
    for (_, checkpoint) in checkpoints {
        let mut reader = open(&changed, false).resume(Cursor::new(changed.clone()), checkpoint).unwrap();
        let mut batch = Batch::default();
        let error = std::iter::repeat_with(|| reader.fill(&mut batch)).find_map(Result::err).unwrap();
        assert!(error.to_string().contains("000000.sst, byte 0: its SHA-256 is"), "{error}");
    }
}
