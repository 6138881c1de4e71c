//! Everything that is refused, each with its own error and the offset at which it shows.

mod snapshot_support;

use std::io::Cursor;

use ekvsnap::snapshot::encryption::OpenError;
use ekvsnap::snapshot::limits::MAX_VALUE_BYTES;
use ekvsnap::snapshot::limits::{MAX_KEY_BYTES, MAX_MVCC_KEY_BYTES, MAX_MVCC_VALUE_BYTES, MAX_MVCC_VERSIONS};
use ekvsnap::snapshot::{Batch, Corruption, Hlc, Reader, SnapshotError, Unsupported, Verdict};
use ekvsnap_testkit::container::{Footer, HlcHeader, frame};
use ekvsnap_testkit::mvcc_writer::{Checksum, MvccWriter, mvcc_file};
use ekvsnap_testkit::sorted::SortedSnapshot;
use ekvsnap_testkit::version::Version;
use ekvsnap_testkit::writer::SnapshotWriter;
use ekvsnap_testkit::writer::{APPLIED_INDEX, LAST_COMMIT_TS, MIN_RETAINED_TS, PENDING_MIN_RETAINED_TS};
use snapshot_support::{corruption, refusal, seen, truncation, unsupported};

/// A file with a header, the row `a`, and then whatever `bad` writes; with the offset at which that begins.
fn bad_row(bad: impl FnOnce(&mut SnapshotWriter<Vec<u8>>) -> std::io::Result<()>) -> (u64, Vec<u8>) {
    let write = || {
        let mut writer = SnapshotWriter::new(Vec::new(), &HlcHeader::V1 { ceiling_ms: 5 }, 9)?;
        writer.version(b"a", 1, b"v")?;
        let at = writer.offset();
        bad(&mut writer)?;
        Ok::<_, std::io::Error>((at, writer.finish(Footer::Good)?))
    };
    write().unwrap_or_default()
}

/// A file with the key `a`, and then whatever `bad` writes; with the offset at which that begins.
fn bad_key(bad: impl FnOnce(&mut MvccWriter)) -> (u64, Vec<u8>) {
    let mut writer = MvccWriter::new(9, 0);
    writer.key(b"a", [&Version::put("a", 1, "v")]);
    let at = writer.body(Checksum::Good).len() as u64;
    bad(&mut writer);
    (at, frame(&HlcHeader::None, &writer.body(Checksum::Good), Footer::Good))
}

fn lengths(numbers: &[u64]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

#[test]
fn a_header_of_a_newer_version_is_refused() {
    for last in [b'0', b'3', b'9', b'x', 0, 0xff] {
        let header = [&b"EKVTHLC"[..], &[last], &[0; 8]].concat();
        let file = frame(&HlcHeader::Bytes(header), b"", Footer::Good);
        assert!(
            matches!(unsupported(&file), (0, Unsupported::Header(magic)) if magic.starts_with("\"EKVTHLC"))
        );
    }
}

#[test]
fn a_second_header_outside_its_length_range_is_refused_and_inside_it_is_skipped() {
    let header = |length: u16| {
        let bytes = [&b"EKVTHLC2"[..], &length.to_be_bytes(), &vec![0; usize::from(length)]].concat();
        frame(&HlcHeader::Bytes(bytes), b"", Footer::Good)
    };
    for length in [0, 15, 1025, u16::MAX] {
        let (at, what) = corruption(&header(length));
        assert!(matches!(what, Corruption::HeaderLength(found) if found == length));
        assert_eq!(at, 0);
    }
    for length in [16, 17, 1023, 1024] {
        assert_eq!(seen(&header(length), None).opening.header.map(|header| header.version), Some(2));
    }
}

#[test]
fn a_body_of_an_unknown_format_is_refused_and_other_bytes_are_no_snapshot() {
    for magic in [b"EKVPBBL2", b"EKVMVCC1", b"EKVMVCC3", b"EKVSSTI2"] {
        let file = frame(&HlcHeader::V1 { ceiling_ms: 1 }, &[&magic[..], &[0; 40]].concat(), Footer::Good);
        assert!(matches!(unsupported(&file), (16, Unsupported::Body(_))));
    }
    for bytes in [&b"SQLite format 3\0"[..], b"ekvpbbl1........", b"EKVTHLX1........", &[0; 8]] {
        assert!(matches!(corruption(bytes), (0, Corruption::NotASnapshot(_))));
    }
}

#[test]
fn an_encrypted_row_is_refused_without_keys_whatever_its_verdict_would_be() {
    let envelope = [&[1, 0, 0, 0, 0, 4][..], &[9; 40]].concat();
    let refused = |file: &[u8]| match refusal(file, None) {
        SnapshotError::Encrypted(row) => (row.offset, row.key, row.commit_ts, row.what),
        other => panic!("{other}"),
    };
    for ts in [2, 100] {
        let (at, file) = bad_row(|writer| writer.flagged(b"b", ts, 0b10, 0, &envelope));
        assert_eq!(refused(&file), (at, "b".to_owned(), Hlc(ts), OpenError::NoKeys(4)));
    }
    let (_, superseded) = bad_row(|writer| {
        writer.version(b"b", 2, b"clear")?;
        writer.flagged(b"b", 1, 0b10, 0, &envelope)
    });
    let (_, expired) = bad_row(|writer| writer.flagged(b"b", 2, 0b10, 1, &envelope));
    let (_, deleted) = bad_row(|writer| writer.flagged(b"b", 2, 0b11, 0, &envelope));
    for file in [superseded, expired, deleted] {
        assert_eq!(refused(&file).3, OpenError::NoKeys(4));
    }
}

#[test]
fn every_reserved_flag_bit_is_refused_also_on_tombstones() {
    for bit in 2..8 {
        for low in 0..4 {
            let (at, file) = bad_row(|writer| writer.flagged(b"b", 2, 1 << bit | low, 0, &[1; 40]));
            let (offset, what) = unsupported(&file);
            assert!(matches!(what, Unsupported::Flags { bits, .. } if bits == 1 << bit), "{what}");
            assert_eq!(offset, at);
        }
    }
}

#[test]
fn a_row_out_of_order_is_refused() {
    let newer = Version::put("a", 2, "").raw_key();
    let smaller = Version::put("Z", 1, "").raw_key();
    let prefix = &Version::put("a", 1, "").raw_key()[..8];
    for raw_key in [&newer[..], &smaller, prefix, APPLIED_INDEX, b""] {
        let (at, file) = bad_row(|writer| writer.raw(raw_key, &[0; 9]));
        assert!(matches!(corruption(&file), (offset, Corruption::OutOfOrder { .. }) if offset == at));
    }
}

#[test]
fn a_raw_key_twice_is_refused() {
    let (at, file) = bad_row(|writer| writer.version(b"a", 1, b"v"));
    assert!(matches!(corruption(&file), (offset, Corruption::OutOfOrder { .. }) if offset == at));
    let (_, file) = bad_row(|writer| {
        writer.raw(b"b12345678", &[0; 9])?;
        writer.raw(b"b12345678", &[1; 9])
    });
    assert!(matches!(corruption(&file), (_, Corruption::OutOfOrder { key, previous }) if key == previous));
}

#[test]
fn a_key_without_room_for_its_timestamp_is_refused() {
    for length in 1..8 {
        let (at, file) = bad_row(|writer| writer.raw(&vec![b'b'; length], &[0; 9]));
        assert!(matches!(corruption(&file), (offset, Corruption::ShortKey(_)) if offset == at), "{length}");
    }
    let (_, file) = bad_row(|writer| writer.raw(&[b'b'; 8], &[0; 9]));
    assert_eq!(seen(&file, None).rows[1].user_key, b"");
}

#[test]
fn a_value_without_room_for_its_version_header_is_refused() {
    for length in 0..9 {
        let (at, file) = bad_row(|writer| writer.raw(b"b12345678", &vec![0; length as usize]));
        let (offset, what) = corruption(&file);
        assert!(matches!(what, Corruption::ShortValue { length: found, .. } if found == length));
        assert_eq!(offset, at);
    }
}

#[test]
fn an_operational_row_of_another_size_is_refused() {
    for key in [LAST_COMMIT_TS, MIN_RETAINED_TS, PENDING_MIN_RETAINED_TS, APPLIED_INDEX] {
        for length in [0, 7, 9, 100_000] {
            let row = SortedSnapshot::new(9).raw(key, vec![0; length]);
            let (offset, what) = corruption(&row.to_bytes().unwrap());
            assert!(matches!(what, Corruption::OperationalValue { length: l, .. } if l == length as u64));
            assert_eq!(offset, 16);
        }
    }
}

#[test]
fn a_length_above_its_limit_is_refused_before_a_byte_of_it_is_looked_for() {
    for length in [MAX_KEY_BYTES + 1, u64::MAX] {
        let (at, file) = bad_row(|writer| writer.bytes(&lengths(&[length])));
        let (offset, what) = corruption(&file);
        assert!(
            matches!(what, Corruption::TooLong { field: "row key", length: l, limit: MAX_KEY_BYTES } if l == length)
        );
        assert_eq!(offset, at);
    }
    for length in [MAX_VALUE_BYTES + 1, u64::MAX] {
        let bad = [&lengths(&[9])[..], b"b12345678", &lengths(&[length])].concat();
        let (at, file) = bad_row(|writer| writer.bytes(&bad));
        let (offset, what) = corruption(&file);
        assert!(
            matches!(what, Corruption::TooLong { field: "value", length: l, limit: MAX_VALUE_BYTES } if l == length)
        );
        assert_eq!(offset, at);
    }
}

#[test]
fn a_length_at_its_limit_is_believed_and_found_to_be_truncated() {
    let (at, file) = bad_row(|writer| writer.bytes(&lengths(&[MAX_KEY_BYTES])));
    assert_eq!(truncation(&file), (at, file.len() as u64));
    let bad = [&lengths(&[9])[..], b"b12345678", &lengths(&[MAX_VALUE_BYTES]), &[0; 100]].concat();
    let (at, file) = bad_row(|writer| writer.bytes(&bad));
    assert_eq!(truncation(&file), (at, file.len() as u64));
}

#[test]
fn lengths_of_an_in_memory_body_have_limits_of_their_own() {
    let version =
        |length: u64| [&lengths(&[1])[..], b"b", &lengths(&[1, 7]), &[0], &lengths(&[0, length])].concat();
    let versions = |count: u64| [&lengths(&[1])[..], b"b", &lengths(&[count])].concat();
    // A value's length stands in its version, 17 bytes after the key began.
    for (bytes, into, limit) in [
        (lengths(&[MAX_MVCC_KEY_BYTES + 1]), 0, MAX_MVCC_KEY_BYTES),
        (versions(MAX_MVCC_VERSIONS + 1), 0, MAX_MVCC_VERSIONS),
        (version(MAX_MVCC_VALUE_BYTES + 1), 17, MAX_MVCC_VALUE_BYTES),
    ] {
        let (at, file) = bad_key(|writer| writer.bytes(&bytes));
        let (offset, what) = corruption(&file);
        assert!(
            matches!(what, Corruption::TooLong { length, limit: l, .. } if l == limit && length == limit + 1)
        );
        assert_eq!(offset, at + into);
    }
    for (bytes, into) in [
        (lengths(&[MAX_MVCC_KEY_BYTES]), 0),
        (versions(MAX_MVCC_VERSIONS), 17),
        (version(MAX_MVCC_VALUE_BYTES), 17),
    ] {
        let (at, file) = bad_key(|writer| writer.bytes(&bytes));
        assert_eq!(truncation(&file), (at + into, file.len() as u64));
    }
}

#[test]
fn keys_of_an_in_memory_body_ascend_strictly() {
    for key in ["a", "Z", ""] {
        let (at, file) = bad_key(|writer| writer.key(key.as_bytes(), [&Version::put(key, 2, "v")]));
        assert!(matches!(corruption(&file), (offset, Corruption::OutOfOrder { .. }) if offset == at));
    }
}

#[test]
fn a_tombstone_byte_other_than_0_and_1_is_refused() {
    for mark in [2, 3, 0xff] {
        let bytes = [&lengths(&[1])[..], b"b", &lengths(&[1, 7]), &[mark], &lengths(&[0, 0])].concat();
        let (at, file) = bad_key(|writer| writer.bytes(&bytes));
        let (offset, what) = corruption(&file);
        assert!(matches!(what, Corruption::TombstoneMark { mark: found, .. } if found == mark));
        assert_eq!(offset, at + 17);
    }
}

#[test]
fn two_versions_of_one_timestamp_are_refused_wherever_they_stand_among_the_others() {
    for order in [[5, 5, 9], [5, 9, 5], [9, 5, 5], [9, 9, 5], [9, 5, 9], [5, 9, 9]] {
        let twin = if order.iter().filter(|ts| **ts == 5).count() == 2 { 5 } else { 9 };
        let versions = order.map(|ts| Version::put("b", ts, "v"));
        let (at, file) = bad_key(|writer| writer.key(b"b", &versions));
        let (offset, what) = corruption(&file);
        assert!(matches!(what, Corruption::TwinVersions { commit_ts, .. } if commit_ts == twin), "{order:?}");
        assert_eq!(offset, at);
        // Nor does it help that they are out of sight.
        assert!(refusal(&file, Some(1)).to_string().contains("two versions"));
    }
}

#[test]
fn an_in_memory_body_of_another_version_is_refused() {
    for version in [0u32, 2, u32::MAX] {
        let body = [&b"EKVMVCC2"[..], &version.to_le_bytes(), &[0; 20]].concat();
        let file = frame(&HlcHeader::V1 { ceiling_ms: 1 }, &body, Footer::Good);
        assert!(matches!(unsupported(&file), (24, Unsupported::MvccVersion(found)) if found == version));
    }
}

#[test]
fn a_body_checksum_that_disagrees_is_refused_even_if_the_footer_is_right() {
    let mut writer = MvccWriter::new(9, 0);
    writer.key(b"a", [&Version::put("a", 1, "v")]);
    let body = writer.body(Checksum::Wrong);
    for footer in [Footer::Good, Footer::None] {
        let (offset, what) = corruption(&frame(&HlcHeader::None, &body, footer));
        assert!(matches!(what, Corruption::BodyChecksum { computed, stored } if computed == !stored));
        assert_eq!(offset, body.len() as u64);
    }
}

#[test]
fn a_footer_that_disagrees_is_refused_after_every_body_and_after_none() {
    let versions = [Version::put("a", 1, "v")];
    let pebble = SortedSnapshot::new(9).versions(&versions).footer(Footer::None).to_bytes().unwrap();
    let mvcc = mvcc_file(&HlcHeader::None, 9, 0, &versions);
    for body in [&pebble[..], &mvcc[..mvcc.len() - 4], b""] {
        for header in [HlcHeader::None, HlcHeader::V1 { ceiling_ms: 7 }] {
            let file = frame(&header, body, Footer::Wrong);
            let (offset, what) = corruption(&file);
            assert!(matches!(what, Corruption::Footer { computed, footer } if computed == !footer));
            assert_eq!(offset, file.len() as u64 - 4);
        }
    }
}

#[test]
fn left_overs_other_than_a_footer_are_a_truncated_row() {
    let body =
        SortedSnapshot::new(9).version(&Version::put("a", 1, "v")).footer(Footer::None).to_bytes().unwrap();
    let mvcc = mvcc_file(&HlcHeader::None, 9, 0, &[Version::put("a", 1, "v")]);
    for body in [&body[..], &mvcc[..mvcc.len() - 4], &[]] {
        for left in [1, 2, 3, 5, 6, 7] {
            let file = [body, &vec![0; left]].concat();
            assert_eq!(truncation(&file), (body.len() as u64, file.len() as u64));
        }
    }
    assert_eq!(seen(&body, None).count(Verdict::Visible), 1);
}

#[test]
fn a_row_too_short_for_its_version_is_refused_where_versions_are_passed_over_too() {
    let passed_over = |file: Vec<u8>| {
        let mut reader = Reader::open(Box::new(Cursor::new(file)), "test".into(), false).unwrap();
        reader.pass_over_versions();
        let mut batch = Batch::default();
        loop {
            match reader.fill(&mut batch) {
                Ok(true) => assert!(batch.rows().next().is_none()),
                Ok(false) => return None,
                Err(error) => return Some(error),
            }
        }
    };
    let (_, short_key) = bad_row(|writer| writer.raw(b"b", &[0; 9]));
    let (_, short_value) = bad_row(|writer| writer.raw(b"b12345678", &[0; 8]));
    let (_, encrypted) = bad_row(|writer| writer.raw(b"b12345678", &[2, 0, 0, 0, 0, 0, 0, 0, 0, 1]));
    for (file, is_read) in [(short_key, false), (short_value, false), (encrypted, true)] {
        let refused = passed_over(file);
        assert_eq!(refused.is_none(), is_read, "{refused:?}");
    }
}
