//! Files that lost bytes or had some changed, and bytes that never were a snapshot
//! (`docs/format/snapshot.md` section 1.2).

mod snapshot_support;

use ekvsnap_testkit::container::{Footer, HlcHeader, frame};
use ekvsnap_testkit::mvcc_writer::mvcc_file;
use ekvsnap_testkit::sorted::SortedSnapshot;
use ekvsnap_testkit::strategies::histories;
use ekvsnap_testkit::version::Version;
use ekvsnap_testkit::writer::{APPLIED_INDEX, MIN_RETAINED_TS, SnapshotWriter};
use proptest::collection::vec;
use proptest::prelude::*;
use snapshot_support::{BOTH, How, read, refusal, seen};

const HEADER: HlcHeader = HlcHeader::V1 { ceiling_ms: 0x0001_0203_0405_0607 };

/// A file of rows of every kind, and the offsets between two of its parts.
fn small_file() -> std::io::Result<(Vec<u8>, Vec<usize>)> {
    let mut writer = SnapshotWriter::new(Vec::new(), &HEADER, 9)?;
    let mut boundaries = vec![0, 16, 32];
    let mut end = |writer: &SnapshotWriter<_>| boundaries.push(writer.offset() as usize);
    writer.version(b"!redis|str|a", 5, b"new")?;
    end(&writer);
    writer.version(b"!redis|str|a", 4, b"old")?;
    end(&writer);
    writer.tombstone(b"!redis|str|b", 5)?;
    end(&writer);
    writer.expiring(b"!zs|", 5, 7, b"gone")?;
    end(&writer);
    writer.version(b"9 \\o/", 1, b"")?;
    end(&writer);
    writer.operational(APPLIED_INDEX, 12)?;
    end(&writer);
    writer.operational(MIN_RETAINED_TS, 3)?;
    end(&writer);
    Ok((writer.finish(Footer::Good)?, boundaries))
}

fn small_mvcc_file() -> Vec<u8> {
    let versions = [
        Version::put("!redis|str|a", 5, "new"),
        Version::put("!redis|str|a", 4, "old"),
        Version::tombstone("b", 5),
        Version::expiring("c", 5, 7, "gone"),
    ];
    mvcc_file(&HEADER, 9, 3, &versions)
}

#[test]
fn a_truncated_file_is_refused_or_ends_between_two_rows_and_is_not_verified() {
    let (file, boundaries) = small_file().unwrap();
    assert!(seen(&file, None).closing.crc32c.is_some());
    let whole = seen(&file, None).rows;
    for length in 0..file.len() {
        let cut = &file[..length];
        if boundaries.contains(&length) {
            let seen = seen(cut, None);
            assert_eq!(seen.closing.crc32c, None, "{length}");
            assert!(whole.starts_with(&seen.rows));
            assert_eq!(
                seen.closing.counts.total() as usize,
                boundaries.iter().filter(|b| **b <= length && **b > 32).count()
            );
        } else {
            refusal(cut, None);
        }
    }
}

#[test]
fn a_truncated_in_memory_body_is_always_refused() {
    let file = small_mvcc_file();
    let body_end = file.len() - 4;
    for length in 0..file.len() {
        // Without its body the file is an empty state, and without its footer it is whole.
        if [0, 16, body_end].contains(&length) {
            assert_eq!(seen(&file[..length], None).closing.crc32c, None);
        } else {
            refusal(&file[..length], None);
        }
    }
}

#[test]
fn a_large_payload_cut_anywhere_is_refused_with_the_offset_of_its_row() {
    let version = Version::put("large", 1, vec![7; 600_000]);
    let pebble = SortedSnapshot::new(9).version(&version).footer(Footer::None).to_bytes().unwrap();
    let mvcc = mvcc_file(&HlcHeader::None, 9, 0, [&version]);
    for file in [&pebble[..], &mvcc[..mvcc.len() - 4]] {
        seen(file, None);
        for missing in (1..600_000).step_by(77_777) {
            refusal(&file[..file.len() - missing], None);
        }
    }
}

#[test]
fn one_changed_byte_anywhere_is_an_error() {
    for file in [small_file().unwrap().0, small_mvcc_file()] {
        for at in 0..file.len() {
            for change in [1, 2, 4, 8, 16, 32, 64, 128, 0xff] {
                let mut changed = file.clone();
                changed[at] ^= change;
                refusal(&changed, None);
            }
        }
    }
}

#[test]
fn a_length_that_swallows_the_footer_leaves_the_file_unverified() {
    // The format cannot tell such a file from one without a footer: no error, but no verified checksum either.
    let row = Version::put("k", 1, "v");
    let mut file = SortedSnapshot::new(9).version(&row).to_bytes().unwrap();
    let length_at = file.len() - 4 - row.raw_value().len() - 8;
    file[length_at] += 4;
    let seen = seen(&file, None);
    assert_eq!(seen.closing.crc32c, None);
    assert_eq!(seen.rows[0].payload.len(), 5);
}

/// Beginnings that lead deep into the reader.
fn beginning() -> impl Strategy<Value = Vec<u8>> {
    let mvcc = frame(&HlcHeader::None, b"EKVMVCC2\x01\0\0\0", Footer::None);
    let (header, pebble) = (HEADER.to_bytes(), b"EKVPBBL1\x09\0\0\0\0\0\0\0".to_vec());
    prop_oneof![
        Just(Vec::new()),
        Just(b"EKVTHLC".to_vec()),
        Just(b"EKVTHLC2\0".to_vec()),
        Just([&header[..], &pebble].concat()),
        Just([header, mvcc].concat()),
        Just(pebble),
        Just(b"EKVPBBL1".to_vec()),
        Just(b"EKVMVCC2\x01\0\0\0\0\0\0\0".to_vec()),
    ]
}

/// Small numbers, as lengths and counts have to be to be believed, and bytes.
fn soup() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        (0..40u64).prop_map(|number| number.to_le_bytes().to_vec()),
        any::<u64>().prop_map(|number| number.to_le_bytes().to_vec()),
        vec(any::<u8>(), 0..40),
        vec(0..2u8, 0..20),
    ];
    vec(part, 0..30).prop_map(|parts| parts.concat())
}

fn read_all_ways(file: &[u8], as_of: Option<u64>) -> [bool; 2] {
    BOTH.map(|how| read(file, how, as_of).is_ok())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn arbitrary_bytes_never_panic(begin in beginning(), bytes in vec(any::<u8>(), 0..400), as_of: Option<u64>) {
        let [reread, in_pieces] = read_all_ways(&[begin, bytes].concat(), as_of);
        prop_assert_eq!(reread, in_pieces);
    }

    #[test]
    fn plausible_lengths_over_nonsense_never_panic(begin in beginning(), soup in soup(), as_of: Option<u64>) {
        let [reread, in_pieces] = read_all_ways(&[begin, soup].concat(), as_of);
        prop_assert_eq!(reread, in_pieces);
    }

    #[test]
    fn a_changed_file_never_panics_and_is_never_verified(
        history in histories(b""),
        in_memory: bool,
        changes in vec((any::<prop::sample::Index>(), 1..=255u8), 1..4),
    ) {
        let mut file = if in_memory {
            mvcc_file(&HEADER, history.last_commit_ts, 0, &history.versions)
        } else {
            let rows = SortedSnapshot::new(history.last_commit_ts).header(HEADER).versions(&history.versions);
            rows.to_bytes().unwrap()
        };
        let whole = file.clone();
        for (at, change) in changes {
            let length = file.len();
            file[at.index(length)] ^= change;
        }
        prop_assume!(file != whole);
        for how in BOTH {
            if let Ok(seen) = read(&file, how, history.read_ts) {
                prop_assert_eq!(seen.closing.crc32c, None);
            }
        }
    }
}

#[test]
fn nothing_is_read_after_an_error_not_even_a_flawless_end() {
    // `read` tries that after every error. Here the reader has passed all bytes there are when it notices.
    let file = SortedSnapshot::new(9).version(&Version::put("k", 1, vec![7; 600_000])).footer(Footer::None);
    let file = file.to_bytes().unwrap();
    assert!(read(&file[..file.len() - 1], How::Rereadable, None).is_err());
}
