//! Which version counts, held against an oracle that looks at all versions of a key at once
//! (`docs/format/snapshot.md` section 5).

mod snapshot_support;

use ekvsnap::snapshot::{Class, Hlc, SnapshotError, Verdict};
use ekvsnap_testkit::container::HlcHeader;
use ekvsnap_testkit::mvcc_writer::mvcc_file;
use ekvsnap_testkit::oracle::{Fate, judge};
use ekvsnap_testkit::sorted::SortedSnapshot;
use ekvsnap_testkit::strategies::{History, histories};
use ekvsnap_testkit::version::Version;
use ekvsnap_testkit::writer::MIN_RETAINED_TS;
use proptest::prelude::*;
use snapshot_support::{Seen, refusal, seen};

const PAIRS: [(Verdict, Fate); 5] = [
    (Verdict::Visible, Fate::Visible),
    (Verdict::Superseded, Fate::Superseded),
    (Verdict::Tombstone, Fate::Tombstone),
    (Verdict::Expired, Fate::Expired),
    (Verdict::AfterReadTimestamp, Fate::TooNew),
];

fn pebble(versions: &[Version], last_commit_ts: u64) -> Vec<u8> {
    SortedSnapshot::new(last_commit_ts).versions(versions).to_bytes().unwrap_or_default()
}

/// Both bodies with the same versions.
fn both(versions: &[Version], last_commit_ts: u64) -> [Vec<u8>; 2] {
    [pebble(versions, last_commit_ts), mvcc_file(&HlcHeader::None, last_commit_ts, 0, versions)]
}

fn agrees(seen: &Seen, history: &History, read_ts: Option<u64>) -> Result<(), TestCaseError> {
    let expected = judge(&history.versions, read_ts, history.last_commit_ts);
    prop_assert_eq!(&seen.values(), &expected.values);
    for (verdict, fate) in PAIRS {
        prop_assert_eq!(seen.count(verdict), expected.count(fate) as u64, "{:?}", fate);
    }
    prop_assert_eq!(seen.closing.counts.total(), history.versions.len() as u64);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn both_bodies_show_the_values_of_the_oracle_and_give_every_version_its_verdict(history in histories(b"")) {
        for file in both(&history.versions, history.last_commit_ts) {
            agrees(&seen(&file, None), &history, None)?;
            if history.read_ts.is_some() {
                agrees(&seen(&file, history.read_ts), &history, history.read_ts)?;
            }
        }
    }

    #[test]
    fn every_version_is_counted_under_the_class_of_its_key(history in histories(b"!txn|int|")) {
        for file in both(&history.versions, history.last_commit_ts) {
            let seen = seen(&file, history.read_ts);
            prop_assert_eq!(seen.closing.counts.of_class(Class::Txn), history.versions.len() as u64);
            prop_assert!(seen.rows.iter().all(|row| row.class == Class::Txn));
        }
    }
}

#[test]
fn rows_of_a_pebble_body_come_in_its_order_with_their_offsets() {
    let versions = [
        Version::put("a", 3, "x"),
        Version::tombstone("b", 3),
        Version::put("b", 2, "y"),
        Version::put("c", 1, ""),
    ];
    let seen = seen(&pebble(&versions, 3), None);
    let rows: Vec<_> =
        seen.rows.iter().map(|row| (&row.user_key[..], &row.raw_key, &row.raw_value)).collect();
    let [a, c] = [&versions[0], &versions[3]];
    assert_eq!(rows, [(&b"a"[..], &a.raw_key(), &a.raw_value()), (&b"c"[..], &c.raw_key(), &c.raw_value())]);
    // Magic and last_commit_ts; then rows of two lengths, a 9-byte raw key and a value of 9 bytes and the payload.
    assert_eq!(seen.rows.iter().map(|row| row.offset).collect::<Vec<_>>(), [16, 16 + 35 + 34 + 35]);
}

#[test]
fn a_longer_key_between_two_versions_resurrects_nothing() {
    // The complement of 9 sorts before that of 5: k@9, then the longer keys, then k@5.
    let middle = Version::put("k", 7, "").raw_key();
    let deeper = [&middle[..], &(!6u64).to_be_bytes()].concat();
    let versions = [
        Version::tombstone("k", 9),
        Version::put(middle.clone(), 8, "new"),
        Version::put(deeper.clone(), 3, "deep"),
        Version::put(deeper, 2, "deep, old"),
        Version::put(middle, 4, "old"),
        Version::put("k", 5, "deleted"),
    ];
    for file in both(&versions, 9) {
        let seen = seen(&file, None);
        assert_eq!(seen.rows.iter().map(|row| &row.payload[..]).collect::<Vec<_>>(), [&b"new"[..], b"deep"]);
        assert_eq!((seen.count(Verdict::Superseded), seen.count(Verdict::Tombstone)), (3, 1));
    }
}

#[test]
fn a_shorter_key_that_comes_after_a_longer_one_does_not_reopen_it() {
    let short = Version::put("k", 0x8000_0000, "short");
    let long = b"k\xff\xff\xff\xff";
    let versions =
        [Version::put(*long, 0xf000_0000_0000_0000, "new"), short.clone(), Version::put(*long, 1, "old")];
    let keys: Vec<_> = versions.iter().map(Version::raw_key).collect();
    assert!(keys.is_sorted(), "the short key's row lies between those of the long one");
    let seen = seen(&pebble(&versions, u64::MAX), None);
    assert_eq!(seen.rows.iter().map(|row| &row.payload[..]).collect::<Vec<_>>(), [&b"new"[..], b"short"]);
}

#[test]
fn versions_of_an_in_memory_body_may_come_in_any_order() {
    let versions = [2u64, 5, 1, 4, 3].map(|ts| Version::put("k", ts, ts.to_string()));
    let file = mvcc_file(&HlcHeader::None, 5, 0, &versions);
    assert_eq!(seen(&file, None).rows[0].payload, b"5");
    assert_eq!(seen(&file, Some(3)).rows[0].payload, b"3");
    assert_eq!(seen(&file, Some(3)).count(Verdict::AfterReadTimestamp), 2);
    assert_eq!(seen(&file, Some(0)).rows, []);
}

#[test]
fn a_time_before_the_oldest_retained_version_is_refused_and_that_version_is_not() {
    let version = Version::put("zz", 100, "v");
    let pebble = SortedSnapshot::new(100).version(&version).operational(MIN_RETAINED_TS, 50);
    for file in [pebble.to_bytes().unwrap(), mvcc_file(&HlcHeader::None, 100, 50, [&version])] {
        match refusal(&file, Some(49)) {
            SnapshotError::HistoryGone { asked, oldest, .. } => {
                assert_eq!((asked, oldest), (Hlc(49), Hlc(50)))
            }
            other => panic!("{other}"),
        }
        assert_eq!(seen(&file, Some(50)).count(Verdict::AfterReadTimestamp), 1);
        assert_eq!(seen(&file, None).closing.min_retained_ts, Hlc(50));
    }
}

#[test]
fn a_pebble_body_without_min_retained_ts_can_be_read_at_any_time() {
    let seen = seen(&pebble(&[Version::put("k", 100, "v")], 100), Some(0));
    assert_eq!((seen.rows.len(), seen.closing.min_retained_ts), (0, Hlc(0)));
}
