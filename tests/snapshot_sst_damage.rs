//! SST bundles that lost bytes or had some changed, with sums that notice and with sums made to fit
//! (`docs/format/sstable.md`).

mod snapshot_support;

use std::sync::LazyLock;

use ekvsnap::snapshot::SnapshotError;
use ekvsnap_testkit::container::{Footer, HlcHeader, frame};
use ekvsnap_testkit::sst_writer::{Bundle, Compress, Cut, Parts, RawRow, Table, mend};
use ekvsnap_testkit::version::Version;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use snapshot_support::{BOTH, How, Seen, read, seen};

fn rows() -> Vec<RawRow> {
    let put = |number: u8, ts| Version::put(format!("!redis|str|{number}"), ts, vec![number; 30]);
    let mut rows: Vec<RawRow> = (0..12u8)
        .flat_map(|number| [put(number, 5), put(number, 4)])
        .map(|version| (version.raw_key(), version.raw_value()))
        .collect();
    rows.sort();
    rows
}

const CUT: Cut = Cut { block_bytes: 200, index_entries: 3, restart_every: 2, compress: Compress::IfItSaves };

fn small_file(footer: Footer) -> Vec<u8> {
    frame(&HlcHeader::V1 { ceiling_ms: 9 }, &Bundle::of(&rows(), 16, &CUT, 9).to_bytes(), footer)
}

fn is_damage(result: &Result<Seen, SnapshotError>) -> bool {
    matches!(
        result,
        Err(SnapshotError::Corrupt { .. }
            | SnapshotError::Truncated { .. }
            | SnapshotError::Unsupported { .. })
    )
}

#[test]
fn a_bundle_cut_anywhere_but_before_its_footer_is_refused() {
    let file = small_file(Footer::Good);
    for how in BOTH {
        for length in 0..file.len() {
            let result = read(&file[..length], how, None);
            // Without its body the file is an empty state, and without its footer it is whole and not verified.
            if [0, 16, file.len() - 4].contains(&length) {
                assert_eq!(result.map(|seen| seen.closing.crc32c).ok(), Some(None));
            } else {
                assert!(is_damage(&result), "{length} bytes: {result:?}");
            }
        }
    }
}

#[test]
fn one_changed_byte_anywhere_is_an_error_with_and_without_a_footer() {
    for (footer, checked) in [(Footer::Good, 0), (Footer::None, 16)] {
        let file = small_file(footer);
        for at in checked..file.len() {
            for (number, change) in [1, 0x80, 0xff].into_iter().enumerate() {
                let mut changed = file.clone();
                changed[at] ^= change;
                let result = read(&changed, BOTH[(at + number) % 2], None);
                assert!(is_damage(&result), "byte {at} changed by {change:#x}: {result:?}");
            }
        }
    }
}

#[test]
fn damage_shows_before_a_row_of_its_table_is_handed_on() {
    let file = small_file(Footer::Good);
    let whole = seen(&file, None);
    let second = whole.rows.iter().map(|row| row.offset).max().unwrap_or(0) as usize;
    let mut changed = file;
    changed[second] ^= 1;
    for how in BOTH {
        let Err(error) = read(&changed, how, None) else { panic!("read to its end") };
        assert!(error.to_string().contains("000001.sst, byte 0: its SHA-256 is"), "{error}");
    }
}

/// Offset and length of a block.
type Place = (usize, usize);

/// A file with one table of those rows, whose bytes are what `change` leaves, and whose sums all fit.
fn made_to_fit(change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    static WHOLE: LazyLock<(Vec<u8>, Vec<Place>)> = LazyLock::new(|| {
        let table = Parts::of(&rows(), &CUT).to_bytes();
        let blocks = blocks(&table);
        (table, blocks)
    });
    let rows = rows();
    let (mut table, blocks) = WHOLE.clone();
    change(&mut table);
    for (offset, length) in blocks {
        if offset + length + 5 <= table.len() {
            mend(&mut table, offset, length);
        }
    }
    let bundle = Bundle { tables: vec![Table::with(table, &rows)], last_commit_ts: 9, ..Bundle::default() };
    frame(&HlcHeader::None, &bundle.to_bytes(), Footer::Good)
}

/// Where the blocks of a whole table are: each ends with a checksum that fits.
fn blocks(table: &[u8]) -> Vec<Place> {
    let (mut blocks, mut at) = (Vec::new(), 0);
    while at + 53 < table.len() {
        let fits = |length: &usize| {
            let mut copy = table[..at + length + 5].to_vec();
            mend(&mut copy, at, *length);
            copy == table[..at + length + 5]
        };
        let Some(length) = (0..table.len() - 53 - 4 - at).find(fits) else { break };
        blocks.push((at, length));
        at += length + 5;
    }
    blocks
}

#[test]
fn the_blocks_of_a_whole_table_are_found() {
    assert!(blocks(&Parts::of(&rows(), &CUT).to_bytes()).len() > 8);
    assert_eq!(seen(&made_to_fit(|_| {}), None).rows.len(), 12);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_changed_table_whose_sums_fit_never_panics(
        changes in vec((any::<Index>(), prop_oneof![any::<u8>(), 0..4u8, Just(0x80), Just(0xff)]), 1..6),
    ) {
        let file = made_to_fit(|table| {
            for (at, byte) in &changes {
                let at = at.index(table.len());
                table[at] = *byte;
            }
        });
        let [reread, in_pieces] = BOTH.map(|how| read(&file, how, None).map(|seen| seen.rows));
        let said = |result: &Result<_, SnapshotError>| result.as_ref().err().map(ToString::to_string);
        prop_assert_eq!(said(&reread), said(&in_pieces));
    }

    #[test]
    fn a_changed_bundle_is_refused(changes in vec((any::<Index>(), 1..=255u8), 1..4)) {
        let whole = small_file(Footer::Good);
        let mut file = whole.clone();
        for (at, change) in changes {
            let at = at.index(file.len());
            file[at] ^= change;
        }
        prop_assume!(file != whole);
        for how in BOTH {
            prop_assert!(read(&file, how, None).is_err());
        }
    }

    #[test]
    fn bytes_after_the_magic_never_panic(bytes in vec(any::<u8>(), 0..200), length in 0..200u64) {
        let file = [&b"EKVSSTI1"[..], &length.to_be_bytes(), &bytes].concat();
        prop_assert!(read(&file, How::InPieces, None).is_err());
    }
}
