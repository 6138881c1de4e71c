//! SST bundles as a whole: the vectors of `docs/format/sstable.md` section 8 that are read, what the manifest says, and
//! what section 1 refuses. Every spoilt manifest has a digest that fits, so that only the rule in question can object.

mod snapshot_support;

use ekvsnap::snapshot::limits::SPOOLED_IN_MEMORY_BYTES;
use ekvsnap::snapshot::{BodyFormat, Hlc, SnapshotError, Tables};
use ekvsnap_testkit::container::{Footer, HlcHeader, frame};
use ekvsnap_testkit::sst_writer::{Bundle, Cut, Parts, Table};
use ekvsnap_testkit::version::Version;
use ekvsnap_testkit::writer::{APPLIED_INDEX, MIN_RETAINED_TS};
use snapshot_support::sst::{TS, assert_corrupt, assert_unsupported, bundle, file, row, rows_of_table_a};
use snapshot_support::{read, refusal, seen};

/// Offset of table A in the files that are made here.
const TABLE_AT: u64 = 48 + 380;

fn bundle_b() -> Vec<u8> {
    file(&bundle(vec![Table::of(&rows_of_table_a(), &Cut::default())]))
}

#[test]
fn bundle_b_holds_its_three_rows() {
    let bytes = bundle_b();
    assert_eq!((bytes.len(), &bytes[1088..]), (1092, &[0x19, 0x3b, 0x8f, 0xf1][..]));
    let seen = seen(&bytes, None);
    assert_eq!(seen.opening.body, BodyFormat::Sst);
    assert_eq!(seen.opening.last_commit_ts, Hlc(TS));
    assert_eq!(seen.values(), [(b"!redis|str|a".to_vec(), b"hello".to_vec())].into());
    assert_eq!((seen.closing.counts.total(), seen.closing.applied_index), (3, Some(42)));
    let tables = Tables { tables: 1, bytes: 660, raw_blocks: 0, snappy_blocks: 1 };
    assert_eq!(seen.closing.tables, Some(tables));
    assert_eq!(seen.rows[0].offset, TABLE_AT);
}

#[test]
fn the_moment_before_the_newer_version_shows_the_tombstone() {
    assert!(seen(&bundle_b(), Some(TS - 1)).rows.is_empty());
}

#[test]
fn an_empty_store_has_no_tables_and_is_read() {
    let bytes = frame(&HlcHeader::None, &Bundle::default().to_bytes(), Footer::Good);
    assert_eq!(bytes.len(), 201 + 4);
    let seen = seen(&bytes, None);
    assert_eq!((seen.rows.len(), seen.closing.tables), (0, Some(Tables::default())));
}

#[test]
fn on_disagreement_the_manifest_wins_over_the_rows() {
    let number = |number: u64| number.to_le_bytes().to_vec();
    let rows = vec![(APPLIED_INDEX.to_vec(), number(1)), (MIN_RETAINED_TS.to_vec(), number(2))];
    let mut bundle = Bundle::of(&rows, 2, &Cut::default(), 9);
    (bundle.applied_index, bundle.min_retained_ts) = (Some(3), 4);
    let closing = seen(&file(&bundle), None).closing;
    assert_eq!((closing.applied_index, closing.min_retained_ts), (Some(3), Hlc(4)));
    assert!(matches!(refusal(&file(&bundle), Some(3)), SnapshotError::HistoryGone { .. }));
    bundle.applied_index = None;
    assert_eq!(seen(&file(&bundle), None).closing.applied_index, Some(1));
}

#[test]
fn a_refusal_names_the_table_and_the_offset_of_the_block() {
    let rows: Vec<_> = (0..40u8).map(|i| row(&Version::put([i], 1, vec![i; 300]))).collect();
    let mut bundle = Bundle::of(&rows, 20, &Cut::default(), 9);
    let mut parts = Parts::of(&rows[20..], &Cut::default());
    let offset = parts.data[0].0.bytes.len() + 5;
    parts.data[1].0.bytes.push(0);
    bundle.tables[1] = Table::with(parts.to_bytes(), &rows[20..]);
    let at = 48 + bundle.manifest().len() + bundle.tables[0].bytes.len() + offset;
    let said = refusal(&file(&bundle), None).to_string();
    assert!(said.contains(&format!("at byte {at}: 000001.sst, byte {offset}: ")), "{said}");
}

#[test]
fn the_sums_in_the_manifest_are_those_of_the_rows() {
    for change in [-1i64, 1] {
        let mut bundle = bundle(vec![Table::of(&rows_of_table_a(), &Cut::default())]);
        bundle.tables[0].rows = bundle.tables[0].rows.saturating_add_signed(change);
        assert_corrupt(&refusal(&file(&bundle), None), "rows in all tables");
        bundle.tables[0].rows = 3;
        bundle.tables[0].row_bytes = bundle.tables[0].row_bytes.saturating_add_signed(change);
        assert_corrupt(&refusal(&file(&bundle), None), "bytes of rows in all tables");
    }
}

#[test]
fn the_first_and_last_rows_are_those_of_the_manifest() {
    let with = |bounds: fn(&mut Table)| {
        let mut bundle = bundle(vec![Table::of(&rows_of_table_a(), &Cut::default())]);
        bounds(&mut bundle.tables[0]);
        refusal(&file(&bundle), None)
    };
    assert_corrupt(&with(|table| table.smallest = b"!".to_vec()), "the first row is");
    assert_corrupt(&with(|table| table.largest = b"x".to_vec()), "the last row is");
    assert_corrupt(&with(|table| table.largest = b"!".to_vec()), "do not come after those before");
    assert_corrupt(&with(|table| table.smallest.clear()), "an empty row key");
}

#[test]
fn tables_do_not_overlap() {
    let rows = rows_of_table_a();
    let twice = vec![Table::of(&rows, &Cut::default()); 2];
    assert_corrupt(&refusal(&file(&bundle(twice)), None), "as table 1 one whose rows do not come after");
}

#[test]
fn a_manifest_that_breaks_a_rule_is_refused() {
    let bundle = bundle(vec![Table::of(&rows_of_table_a(), &Cut::default())]);
    let manifest = bundle.manifest();
    let with = |from: &str, to: &str| {
        assert_eq!(manifest.matches(from).count(), 1, "{from}");
        let body = bundle.with_manifest(&manifest.replace(from, to));
        refusal(&frame(&HlcHeader::None, &body, Footer::Good), None)
    };
    assert_unsupported(&with("\"version\":1", "\"version\":2"), "a manifest of version 2");
    assert_unsupported(&with("\"version\":1", "\"version\":0,\"new\":1"), "a manifest of version 0");
    for (from, to, what) in [
        ("\"version\":1,", "", "missing field `version`"),
        ("\"version\":1,", "\"version\":1,\"version\":1,", "duplicate field"),
        ("\"version\":1,", "\"version\":1,\"other\":1,", "unknown field `other`"),
        ("{\"name\"", "{\"other\":0,\"name\"", "unknown field `other`"),
        ("\"min_retained_ts\":0,\"p", "\"p", "missing field `min_retained_ts`"),
        ("\"entry_count\":3", "\"entry_count\":-3", "invalid value"),
        ("\"entry_count\":3", "\"entry_count\":3.0", "invalid type"),
        ("\"entry_count\":3", "\"entry_count\":18446744073709551616", "invalid type"),
        ("\"files\":[", "\"files\":7,\"x\":[", "invalid type"),
        ("\"total_file_bytes\":660", "\"total_file_bytes\":661", "their sizes add up to 660"),
        ("\"size\":660", "\"size\":0", "an empty one"),
        ("\"size\":660", "\"size\":9223372036854775808", "larger than any file"),
        ("000000.sst", "000001.sst", "one of another name"),
        ("000000.sst", "0.sst", "one of another name"),
        ("a075ac4e", "A075ac4e", "64 lower-case hex digits"),
        ("a075ac4e", "075ac4e", "64 lower-case hex digits"),
        ("IXJlZGlz", "IXJlZGl", "cannot be read"),
        ("IXJlZGlz", "IXJl.Glz", "cannot be read"),
        ("a075ac4e", "a075ac4f", "its SHA-256 is a075ac4e"),
    ] {
        assert_corrupt(&with(from, to), what);
    }
    for tail in ["{}", "x", ","] {
        let body = bundle.with_manifest(&format!("{manifest}{tail}"));
        let error = refusal(&frame(&HlcHeader::None, &body, Footer::Good), None);
        assert_corrupt(&error, "the manifest of the bundle cannot be read");
    }
}

#[test]
fn numbers_beyond_the_reach_of_a_double_are_read_to_the_digit() {
    let mut bundle = bundle(vec![Table::of(&rows_of_table_a(), &Cut::default())]);
    bundle.last_commit_ts = u64::MAX - 1;
    bundle.min_retained_ts = (1 << 53) + 1;
    let seen = seen(&file(&bundle), None);
    assert_eq!(seen.opening.last_commit_ts, Hlc(u64::MAX - 1));
    assert_eq!(seen.closing.min_retained_ts, Hlc((1 << 53) + 1));
}

#[test]
fn a_manifest_of_some_megabytes_does_not_lie_in_memory_and_is_read() {
    let version = |number: u8| Version::put([vec![b'k'; 600_000], vec![number]].concat(), 1, vec![number]);
    let rows: Vec<_> = (0..5).map(|number| row(&version(number))).collect();
    let bundle = Bundle::of(&rows, 1, &Cut::default(), 9);
    assert!(bundle.manifest().len() > 4 * SPOOLED_IN_MEMORY_BYTES);
    let seen = seen(&file(&bundle), None);
    assert_eq!(seen.rows.iter().map(|row| row.payload[0]).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    assert_eq!(seen.closing.tables.map(|tables| tables.tables), Some(5));
}

#[test]
fn the_length_of_a_manifest_is_checked_before_it_is_believed() {
    let body = |length: i64| [&b"EKVSSTI1"[..], &length.to_be_bytes(), &[0; 32], b"{}"].concat();
    for length in [0, -1, i64::MIN] {
        assert_corrupt(&refusal(&body(length), None), "says that its manifest has");
    }
    for length in [(64 << 20) + 1, i64::MAX] {
        assert_corrupt(&refusal(&body(length), None), "a manifest of");
    }
    assert!(matches!(refusal(&body(64 << 20), None), SnapshotError::Truncated { offset: 48, end: 50, .. }));
    for length in 8..48 {
        assert!(matches!(refusal(&body(2)[..length], None), SnapshotError::Truncated { offset: 8, .. }));
    }
    assert_corrupt(&refusal(&body(2), None), "the SHA-256 of the manifest is");
}

#[test]
fn nothing_but_a_footer_follows_the_last_table() {
    let body = bundle(vec![Table::of(&rows_of_table_a(), &Cut::default())]).to_bytes();
    assert_eq!(seen(&body, None).closing.crc32c, None);
    for more in [1, 2, 3, 5, 100] {
        let file = [&body[..], &vec![0; more]].concat();
        for how in snapshot_support::BOTH {
            let error = read(&file, how, None).map(|_| ());
            assert!(matches!(
                error,
                Err(SnapshotError::Corrupt { .. } | SnapshotError::Truncated { inside: "footer", .. })
            ));
        }
    }
    let wrong = frame(&HlcHeader::None, &body, Footer::Wrong);
    assert_corrupt(&refusal(&wrong, None), "its footer says");
}
