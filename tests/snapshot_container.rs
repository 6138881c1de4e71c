//! The layers around the rows: headers, empty states, footers, operational rows, and what a file is counted as.

mod snapshot_support;

use ekvsnap::snapshot::{BodyFormat, Class, Closing, Header, Hlc, RowCounts, Verdict};
use ekvsnap_testkit::container::{Footer, HlcHeader, frame};
use ekvsnap_testkit::mvcc_writer::{Checksum, MvccWriter, mvcc_file};
use ekvsnap_testkit::sorted::SortedSnapshot;
use ekvsnap_testkit::version::Version;
use ekvsnap_testkit::writer::{APPLIED_INDEX, LAST_COMMIT_TS, MIN_RETAINED_TS, PENDING_MIN_RETAINED_TS};
use snapshot_support::seen;

const V1: HlcHeader = HlcHeader::V1 { ceiling_ms: 1_714_400_000_000 };

#[test]
fn an_empty_state_is_read_with_and_without_header_and_footer() {
    for header in [HlcHeader::None, V1, HlcHeader::V2 { ceiling_ms: 1, cutover_index: 0, extra: vec![1; 7] }]
    {
        for footer in [Footer::None, Footer::Good] {
            let file = frame(&header, b"", footer);
            for as_of in [None, Some(0), Some(u64::MAX)] {
                let seen = seen(&file, as_of);
                assert_eq!((seen.opening.body, seen.opening.last_commit_ts), (BodyFormat::Empty, Hlc(0)));
                assert_eq!(seen.opening.header.is_some(), header != HlcHeader::None);
                assert_eq!((seen.rows.len(), seen.closing.counts.total()), (0, 0));
                assert_eq!(seen.closing.crc32c.is_some(), footer == Footer::Good);
            }
        }
    }
}

#[test]
fn an_empty_file_and_a_footer_of_zeros_are_empty_states() {
    assert_eq!(seen(b"", None).closing.crc32c, None);
    assert_eq!(seen(&[0; 4], None).closing.crc32c, Some(0));
}

#[test]
fn a_body_without_rows_is_read() {
    let mvcc = MvccWriter::new(9, 0).body(Checksum::Good);
    for footer in [Footer::None, Footer::Good] {
        let pebble = SortedSnapshot::new(9).header(V1).footer(footer).to_bytes().unwrap();
        for file in [pebble, frame(&V1, &mvcc, footer)] {
            let seen = seen(&file, None);
            assert_eq!((seen.opening.last_commit_ts, seen.closing.counts.total()), (Hlc(9), 0));
        }
    }
}

#[test]
fn a_key_of_an_in_memory_body_may_have_no_versions() {
    let mut writer = MvccWriter::new(9, 0);
    writer.key(b"a", []);
    writer.key(b"b", [&Version::put("b", 1, "v")]);
    writer.key(b"c", []);
    let seen = seen(&frame(&V1, &writer.body(Checksum::Good), Footer::Good), None);
    assert_eq!((seen.rows.len(), seen.closing.counts.total()), (1, 1));
}

#[test]
fn both_headers_are_understood_before_both_bodies() {
    let v2 = HlcHeader::V2 { ceiling_ms: 77, cutover_index: 88, extra: vec![0xee; 1008] };
    let second = Header { version: 2, ceiling_ms: 77, cutover_index: Some(88) };
    let first = Header { version: 1, ceiling_ms: 1_714_400_000_000, cutover_index: None };
    let version = Version::put("k", 1, "v");
    for (header, expected) in [(HlcHeader::None, None), (V1, Some(first)), (v2, Some(second))] {
        let pebble = SortedSnapshot::new(9).header(header.clone()).version(&version).to_bytes().unwrap();
        let mvcc = mvcc_file(&header, 9, 0, [&version]);
        for (file, body) in [(pebble, BodyFormat::Pebble), (mvcc, BodyFormat::Mvcc)] {
            let seen = seen(&file, None);
            assert_eq!((seen.opening.header, seen.opening.body), (expected, body));
            assert_eq!((seen.opening.last_commit_ts, seen.rows.len()), (Hlc(9), 1));
        }
    }
}

#[test]
fn the_footer_is_told_as_it_stands_in_the_file() {
    let version = Version::put("k", 1, "v");
    let file = SortedSnapshot::new(9).header(V1).version(&version).to_bytes().unwrap();
    let footer: [u8; 4] = file[file.len() - 4..].try_into().unwrap();
    assert_eq!(seen(&file, None).closing.crc32c, Some(u32::from_be_bytes(footer)));
    assert_eq!(seen(&file[..file.len() - 4], None).closing.crc32c, None);
}

#[test]
fn operational_rows_are_bare_counted_and_never_handed_on() {
    let writers = |member: u32, number: u16| {
        [&b"!encryption|writers|"[..], &member.to_be_bytes(), b"|", &number.to_be_bytes()].concat()
    };
    let file = SortedSnapshot::new(9)
        .operational(LAST_COMMIT_TS, 9)
        .operational(MIN_RETAINED_TS, 3)
        .operational(PENDING_MIN_RETAINED_TS, 4)
        .operational(APPLIED_INDEX, 4711)
        .raw(writers(1, 2), [0xff; 12])
        .version(&Version::put("_meta_", 1, "a key like any other"))
        .to_bytes()
        .unwrap();
    let seen = seen(&file, None);
    assert_eq!(seen.rows.iter().map(|row| &row.user_key[..]).collect::<Vec<_>>(), [b"_meta_"]);
    let Closing { counts, min_retained_ts, applied_index, .. } = seen.closing;
    assert_eq!((min_retained_ts, applied_index), (Hlc(3), Some(4711)));
    assert_eq!(counts.of_class(Class::Operational), 5);
    assert_eq!((counts.of_class(Class::Bare), counts.total()), (1, 6));
}

#[test]
fn a_key_that_only_begins_like_a_writers_row_is_versioned() {
    let near = Version::put("!encryption|writers|\0\0\0\x01|\0\x02", 1, "abc");
    // The shape of a writers row with a value of 13 bytes: a user key of 19 bytes under an odd timestamp.
    let shape = [&b"!encryption|writers|"[..], &[0, 0, 0, 1], b"|", &[0, 2]].concat();
    let file = SortedSnapshot::new(u64::MAX).version(&near).raw(shape, [&[0; 9][..], b"four"].concat());
    let seen = seen(&file.to_bytes().unwrap(), None);
    assert_eq!(seen.closing.counts.of_class(Class::Cluster), 2);
    assert_eq!(seen.closing.counts.of_class(Class::Operational), 0);
    let keys: Vec<_> = seen.rows.iter().map(|row| &row.user_key[..]).collect();
    assert_eq!(keys, [&b"!encryption|writers"[..], &near.user_key]);
}

#[test]
fn every_row_is_counted_under_one_class_and_the_classes_add_up() {
    let keys: [(&str, Class); 20] = [
        ("!redis|str|k", Class::Redis),
        ("!hs|", Class::Redis),
        ("!lst|x", Class::Redis),
        ("!st|x", Class::Redis),
        ("!zs|x", Class::Redis),
        ("!stream|meta|x", Class::Redis),
        ("!stream|entry|x", Class::Redis),
        ("!stream|other|x", Class::Bare),
        ("!ddb|x", Class::Dynamodb),
        ("!s3|x", Class::S3),
        ("!s3route|x", Class::S3),
        ("!sqs|x", Class::Sqs),
        ("!fs|x", Class::Internal),
        ("!txn|lock|x", Class::Txn),
        ("!dist|x", Class::Cluster),
        ("!encryption|x", Class::Cluster),
        ("!admin|x", Class::Cluster),
        ("!redis", Class::Bare),
        ("!", Class::Bare),
        ("key", Class::Bare),
    ];
    let versions: Vec<_> =
        keys.iter().flat_map(|(key, _)| [Version::put(*key, 2, *key), Version::tombstone(*key, 1)]).collect();
    let pebble = SortedSnapshot::new(9).versions(&versions).to_bytes().unwrap();
    for file in [pebble, mvcc_file(&V1, 9, 0, &versions)] {
        let seen = seen(&file, None);
        let mut expected = RowCounts::default();
        for (_, class) in keys {
            expected.add(class, Verdict::Visible);
            expected.add(class, Verdict::Superseded);
        }
        assert_eq!(seen.closing.counts, expected);
        assert_eq!(expected.iter().map(|(_, _, rows)| rows).sum::<u64>(), expected.total());
        for row in &seen.rows {
            assert_eq!(
                keys.iter().find(|(key, _)| key.as_bytes() == row.user_key).map(|k| k.1),
                Some(row.class)
            );
        }
    }
}
