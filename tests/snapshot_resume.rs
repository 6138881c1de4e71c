//! A reader that goes on from a checkpoint sees what the first one would have seen. Checkpoints come only every few
//! MiB, so the versions here carry payloads of that size: nearly every row is then followed by one.

#![allow(clippy::unwrap_used)]

use std::io::{Cursor, Read};

use ekvsnap::snapshot::{Batch, Checkpoint, Closing, Reader};
use ekvsnap_testkit::sorted::SortedSnapshot;
use ekvsnap_testkit::strategies::histories;
use proptest::prelude::*;

const PAYLOAD_BYTES: usize = 3 << 20;

type Seen = Vec<(Vec<u8>, u64, u64)>;

/// The rows from here to the end, the checkpoints with the number of rows before each, and the end.
fn read_all(mut reader: Reader) -> (Seen, Vec<(usize, Checkpoint)>, Closing) {
    let (mut seen, mut checkpoints, mut batch) = (Vec::new(), Vec::new(), Batch::default());
    while reader.fill(&mut batch).unwrap() {
        seen.extend(batch.rows().map(|row| (row.raw_key.to_vec(), row.payload.len(), row.offset)));
        checkpoints.extend(batch.checkpoint.take().map(|checkpoint| (seen.len(), *checkpoint)));
    }
    (seen, checkpoints, reader.closing().unwrap().clone())
}

fn open(bytes: &[u8]) -> Reader {
    let source: Box<dyn Read + Send> = Box::new(Cursor::new(bytes.to_vec()));
    Reader::open(source, "test".into(), true).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_resumed_reader_sees_the_rest_of_the_rows_and_the_same_end(history in histories(b"")) {
        let mut versions = history.versions;
        versions.truncate(12);
        for version in versions.iter_mut().filter(|version| !version.tombstone) {
            version.payload.resize(PAYLOAD_BYTES, 7);
        }
        let bytes = SortedSnapshot::new(history.last_commit_ts).versions(&versions).to_bytes().unwrap();
        let (seen, checkpoints, closing) = read_all(open(&bytes));
        for (rows_before, checkpoint) in checkpoints {
            let (rest, _, again) = read_all(open(&bytes).resume(Cursor::new(bytes.clone()), checkpoint).unwrap());
            prop_assert_eq!(&rest[..], &seen[rows_before..]);
            prop_assert_eq!(&again, &closing);
        }
    }
}

#[test]
fn a_file_of_some_size_leaves_checkpoints() {
    let versions: Vec<_> =
        (0..9u8).map(|i| ekvsnap_testkit::version::Version::put([i], 1, vec![i; PAYLOAD_BYTES])).collect();
    let bytes = SortedSnapshot::new(1).versions(&versions).to_bytes().unwrap();
    assert!(read_all(open(&bytes)).1.len() >= 2);
}
