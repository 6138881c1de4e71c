//! Large payloads and keys, and how much of them is ever held at once.

mod snapshot_support;

use ekvsnap::snapshot::limits::{
    BATCH_BYTES, BATCH_READ_BYTES, BATCH_ROWS, INLINE_PAYLOAD_BYTES, MAX_KEY_BYTES, RESTORABLE_KEY_BYTES,
    WINDOW_BYTES,
};
use ekvsnap::snapshot::{Corruption, Verdict};
use ekvsnap_testkit::container::HlcHeader;
use ekvsnap_testkit::mvcc_writer::mvcc_file;
use ekvsnap_testkit::oracle::judge;
use ekvsnap_testkit::sorted::SortedSnapshot;
use ekvsnap_testkit::version::Version;
use proptest::collection::vec;
use proptest::prelude::*;
use snapshot_support::{How, corruption, read, seen};

/// Bytes that differ from place to place, so that a shift shows.
fn payload(length: usize, seed: u64) -> Vec<u8> {
    (0..length as u64).map(|i| ((i + seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
}

fn both(versions: &[Version]) -> [Vec<u8>; 2] {
    let pebble = SortedSnapshot::new(9).versions(versions).to_bytes().unwrap_or_default();
    [pebble, mvcc_file(&HlcHeader::None, 9, 0, versions)]
}

#[test]
fn a_payload_of_any_length_comes_whole() {
    let lengths = [
        0,
        1,
        INLINE_PAYLOAD_BYTES - 1,
        INLINE_PAYLOAD_BYTES,
        INLINE_PAYLOAD_BYTES + 1,
        WINDOW_BYTES - 1,
        WINDOW_BYTES,
        WINDOW_BYTES + 1,
        BATCH_BYTES + 1,
        3_000_000,
    ];
    let versions: Vec<_> = lengths
        .iter()
        .enumerate()
        .map(|(i, &length)| Version::put(format!("k{i:02}"), 1, payload(length, i as u64)))
        .collect();
    for file in both(&versions) {
        let seen = seen(&file, None);
        assert!(seen.rows.iter().map(|row| &row.payload).eq(versions.iter().map(|version| &version.payload)));
        assert_eq!(seen.rows.iter().filter(|row| row.large).count(), 6);
    }
}

#[test]
fn of_a_node_local_key_every_version_with_a_value_comes_whatever_counts() {
    let key = "!s3|chunkblob|00";
    let versions = [
        Version::put(key, 30, payload(100_000, 30)),
        Version::tombstone(key, 25),
        Version::put(key, 20, payload(5, 20)),
        Version::expiring(key, 10, 11, payload(40_000, 10)),
        Version::put("!s3|chunkref|00", 30, *b"newer"),
        Version::put("!s3|chunkref|00", 10, *b"older"),
    ];
    for file in both(&versions) {
        let seen = seen(&file, Some(29));
        let mut local: Vec<_> = seen.rows.iter().filter(|row| row.user_key == key.as_bytes()).collect();
        local.sort_by_key(|row| std::cmp::Reverse(row.commit_ts));
        let expected = [&versions[0], &versions[2], &versions[3]];
        assert!(
            local
                .iter()
                .map(|row| (row.commit_ts, &row.payload))
                .eq(expected.iter().map(|version| (version.commit_ts, &version.payload)))
        );
        assert_eq!(seen.rows.len(), 4);
        assert_eq!(seen.rows[3].payload, b"older");
        let verdicts = Verdict::ALL.map(|verdict| seen.count(verdict));
        assert_eq!(verdicts, [1, 2, 1, 0, 2]);
    }
}

#[test]
fn a_large_payload_that_is_not_visible_gives_no_row() {
    let large = |ts: u64| Version::put("k", ts, payload(100_000, ts));
    let deleted = [large(1), large(3), Version::tombstone("k", 4), large(2)];
    let expired = [large(1), Version::expiring("k", 4, 9, payload(100_000, 9))];
    for file in both(&deleted).into_iter().chain(both(&expired)) {
        let seen = seen(&file, None);
        assert_eq!((seen.rows.len(), seen.closing.counts.total()), (0, seen.count(Verdict::Superseded) + 1));
    }
}

#[test]
fn pieces_come_before_the_row_that_names_them_in_whatever_order_versions_come() {
    for order in [[1u64, 2, 3], [1, 3, 2], [2, 1, 3], [2, 3, 1], [3, 1, 2], [3, 2, 1]] {
        let mut versions: Vec<_> = order.map(|ts| Version::put("k", ts, payload(300_000, ts))).into();
        versions.push(Version::put("l", 1, "small"));
        versions.push(Version::put("m", 1, payload(300_000, 7)));
        let seen = seen(&mvcc_file(&HlcHeader::None, 9, 0, &versions), None);
        assert_eq!(seen.values(), judge(&versions, None, 9).values);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn any_mixture_of_lengths_gives_the_same_rows_both_ways(
        rows in vec((0..4u8, 1..6u64, prop_oneof![0..100usize, 32_000..34_000usize, 200_000..600_000usize]), 1..12),
        read_ts in proptest::option::of(1..6u64),
    ) {
        let mut versions: Vec<Version> = Vec::new();
        for (key, ts, length) in rows {
            if !versions.iter().any(|version| version.user_key == [key] && version.commit_ts == ts) {
                versions.push(Version::put([key], ts, payload(length, ts)));
            }
        }
        for file in both(&versions) {
            prop_assert!(seen(&file, read_ts).values() == judge(&versions, read_ts, 9).values);
        }
    }
}

#[test]
fn a_key_of_16_mib_is_read_and_one_byte_more_is_refused() {
    let file = |raw_bytes: u64| {
        let long = Version::put(vec![b'k'; raw_bytes as usize - 8], 1, "v");
        let rows = [Version::put("a", 1, "before"), long, Version::put("z", 1, "after")];
        SortedSnapshot::new(9).versions(&rows).to_bytes().unwrap()
    };
    let seen = seen(&file(MAX_KEY_BYTES), None);
    assert_eq!(
        seen.rows.iter().map(|row| &row.payload[..]).collect::<Vec<_>>(),
        [&b"before"[..], b"v", b"after"]
    );
    assert_eq!(seen.rows[1].raw_key.len() as u64, MAX_KEY_BYTES);
    assert_eq!(seen.closing.oversize_keys, 1);
    let (offset, what) = corruption(&file(MAX_KEY_BYTES + 1));
    assert!(matches!(what, Corruption::TooLong { length, .. } if length == MAX_KEY_BYTES + 1));
    assert_eq!(offset, 16 + 8 + 9 + 8 + 9 + 6);
}

#[test]
fn keys_that_the_node_would_not_restore_are_counted_and_read() {
    let key = |bytes: u64, last: u8| [&vec![b'k'; bytes as usize - 1][..], &[last]].concat();
    let user_bytes = RESTORABLE_KEY_BYTES - 8;
    let versions = [
        Version::put(key(user_bytes, b'a'), 1, "fits"),
        Version::put(key(user_bytes + 1, b'b'), 1, payload(100_000, 1)),
        Version::put(key(user_bytes + 1, b'b'), 2, payload(100_000, 2)),
    ];
    let seen = seen(&SortedSnapshot::new(9).versions(&versions).to_bytes().unwrap(), None);
    assert_eq!(seen.values(), judge(&versions, None, 9).values);
    assert_eq!(seen.closing.oversize_keys, 2);
}

#[test]
fn a_batch_ends_with_the_row_that_reaches_one_of_its_limits() {
    // `read` holds every batch to the limits; these files make sure that both are reached.
    let small: Vec<_> = (0..2 * BATCH_ROWS + 1).map(|i| Version::put(format!("{i:06}"), 1, "")).collect();
    let wide: Vec<_> =
        (0..100).map(|i| Version::put(format!("{i:06}"), 1, payload(INLINE_PAYLOAD_BYTES, i))).collect();
    for file in both(&small) {
        assert_eq!(read(&file, How::Rereadable, None).unwrap().batches, 3);
    }
    for file in both(&wide) {
        let seen = read(&file, How::Rereadable, None).unwrap();
        assert_eq!(seen.batches, 100_usize.div_ceil(BATCH_BYTES / INLINE_PAYLOAD_BYTES));
    }
}

#[test]
fn a_long_stretch_of_old_versions_comes_in_several_batches() {
    let old = (1..1000).map(|ts| Version::put("k", ts, payload(20_000, ts)));
    let versions: Vec<_> = old.chain([Version::tombstone("k", 1000)]).collect();
    for file in both(&versions) {
        let seen = seen(&file, None);
        assert_eq!((seen.rows.len(), seen.count(Verdict::Superseded)), (0, 999));
        assert_eq!(seen.batches as u64, (file.len() as u64).div_ceil(BATCH_READ_BYTES));
    }
}
