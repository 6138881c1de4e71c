//! SST bundles: the vectors of `docs/format/sstable.md` section 8, and everything that sections 1, 4 and 6 refuse. Every
//! spoilt table has checksums, digest and manifest that fit, so that only the rule in question can object.

mod snapshot_support;

use ekvsnap::snapshot::limits::SPOOLED_IN_MEMORY_BYTES;
use ekvsnap::snapshot::{BodyFormat, Hlc, SnapshotError, Tables};
use ekvsnap_testkit::container::{Footer, HlcHeader, frame};
use ekvsnap_testkit::sst_writer::{
    Bundle, Cut, FOOTER_BYTES, Parts, RawRow, SEPARATOR_TRAILER, Stored, Table, block, data_block, mend,
};
use ekvsnap_testkit::version::Version;
use ekvsnap_testkit::writer::{APPLIED_INDEX, MIN_RETAINED_TS};
use snapshot_support::{How, read, refusal, seen};

/// `0102030405060708` hex.
const TS: u64 = 0x0102_0304_0506_0708;

fn row(version: &Version) -> RawRow {
    (version.raw_key(), version.raw_value())
}

fn rows_of_table_a() -> Vec<RawRow> {
    vec![
        row(&Version::put("!redis|str|a", TS, "hello")),
        row(&Version::tombstone("!redis|str|a", 7)),
        (APPLIED_INDEX.to_vec(), 42u64.to_le_bytes().to_vec()),
    ]
}

fn parts_of_table_a() -> Parts {
    Parts::of(&rows_of_table_a(), &Cut::default())
}

/// Offset of table A in the files that are made here, and of its blocks in it.
const TABLE_AT: u64 = 48 + 380;
const INDEX: (usize, usize) = (96, 22);
const PROPERTIES: (usize, usize) = (123, 442);
const METAINDEX: (usize, usize) = (570, 32);
const FOOTER: usize = 607;

fn bundle(tables: Vec<Table>) -> Bundle {
    Bundle { tables, last_commit_ts: TS, min_retained_ts: 0, applied_index: Some(42) }
}

fn file(bundle: &Bundle) -> Vec<u8> {
    frame(&HlcHeader::None, &bundle.to_bytes(), Footer::Good)
}

fn bundle_b() -> Vec<u8> {
    file(&bundle(vec![Table::of(&rows_of_table_a(), &Cut::default())]))
}

/// A file whose one table has these bytes, and is said to hold the rows of table A.
fn with_table(bytes: Vec<u8>) -> Vec<u8> {
    file(&bundle(vec![Table::with(bytes, &rows_of_table_a())]))
}

/// What is said of a file whose table A was built from spoilt parts.
fn spoilt(spoil: impl FnOnce(&mut Parts)) -> SnapshotError {
    let mut parts = parts_of_table_a();
    spoil(&mut parts);
    refusal(&with_table(parts.to_bytes()), None)
}

/// What is said of a file whose table A had bytes changed, all checksums mended.
fn changed(change: impl FnOnce(&mut Vec<u8>)) -> SnapshotError {
    let mut table = parts_of_table_a().to_bytes();
    change(&mut table);
    for (offset, length) in [(0, 91), INDEX, PROPERTIES, METAINDEX] {
        mend(&mut table, offset, length);
    }
    refusal(&with_table(table), None)
}

/// What is said of a file whose data block, stored raw, had bytes changed.
fn changed_data(change: impl FnOnce(&mut Vec<u8>)) -> SnapshotError {
    spoilt(|parts| {
        let mut block = data_block(&rows_of_table_a(), 16);
        change(&mut block);
        parts.data[0].0 = Stored::raw(block);
    })
}

#[track_caller]
fn assert_corrupt(error: &SnapshotError, what: &str) {
    let said = error.to_string();
    assert!(matches!(error, SnapshotError::Corrupt { .. }), "not corrupt, but: {said}");
    assert!(said.contains(what), "{said}");
}

#[track_caller]
fn assert_unsupported(error: &SnapshotError, what: &str) {
    let said = error.to_string();
    assert!(matches!(error, SnapshotError::Unsupported { .. }), "not unsupported, but: {said}");
    assert!(said.contains(what), "{said}");
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
fn the_refusals_of_the_format_page_are_refused_for_their_own_reasons() {
    assert_unsupported(&changed(|table| table[FOOTER] = 3), "block checksums of kind 3");
    let columnar = changed(|table| table[FOOTER + 41] = 5);
    assert_unsupported(&columnar, "table format 5, with columnar blocks");
    assert_unsupported(&columnar, "without ELASTICKV_PEBBLE_SST_INGEST_SNAPSHOT");
    assert_unsupported(&changed(|table| table[INDEX.0 + INDEX.1] = 7), "compression 7");
    let trailer =
        data_block(&rows_of_table_a(), 16).windows(8).position(|eight| eight == [1, 0, 0, 0, 0, 0, 0, 0]);
    for kind in [0, 2, 7, 18, 23, 0x41] {
        let error = changed_data(|block| block[trailer.unwrap_or(0)] = kind);
        assert_unsupported(&error, &format!("with the trailer {kind:02x}00000000000000"));
        assert_unsupported(&error, "!redis|str|a");
    }
    let value = 3 + 28;
    for prefix in [0x80, 0x40, 0x20, 1] {
        let error = changed_data(|block| block[value] = prefix);
        assert_unsupported(&error, &format!("value prefix {prefix:#04x}"));
    }
    let second = value + 15;
    let error = changed_data(|block| {
        assert_eq!(block[second..second + 3], [0x0c, 0x10, 0x0a]);
        block[second] = 0x1d;
    });
    assert_corrupt(&error, "shares 29 bytes with a key of 28");
    let error = changed_data(|block| *block.last_chunk_mut().unwrap_or(&mut [0; 4]) = [2, 0, 0, 0]);
    assert_corrupt(&error, "runs into the restarts");
    let error = spoilt(|parts| {
        let rest = parts.data[0].0.bytes.split_off(1);
        assert_eq!(parts.data[0].0.bytes, [0x7a]);
        parts.data[0].0.bytes = [&b"\xff\xff\xff\xff\x0f"[..], &rest].concat();
    });
    assert_corrupt(&error, "4294967295 bytes decompressed");
    let error = changed(|table| {
        let name = table.windows(18).rposition(|name| name == b"rocksdb.properties").unwrap_or(0);
        table[name..name + 18].copy_from_slice(b"rocksdb.range_del2");
    });
    assert_unsupported(&error, "rocksdb.range_del2");
    let error = changed(|table| {
        let handle = INDEX.0 + 3 + 9;
        assert_eq!(table[handle..handle + 2], [0, 91]);
        table[handle + 1] = 90;
    });
    assert_corrupt(&error, "the checksum of the block is");
    let error = spoilt(|parts| parts.set_property("rocksdb.num.entries", [4]));
    assert_corrupt(&error, "3 rows, but 4 are stated");
    let mut rows = rows_of_table_a();
    rows.swap(0, 1);
    let table = Table::with(Parts::of(&rows, &Cut::default()).to_bytes(), &rows);
    assert_corrupt(&refusal(&file(&bundle(vec![table])), None), "does not come after the row before it");
}

#[test]
fn other_table_formats_and_magics_are_refused() {
    for format in 1..4 {
        let error = changed(|table| table[FOOTER + 41] = format);
        assert_unsupported(&error, &format!("table format {format}, which no node writes"));
    }
    for format in [6, 7] {
        let error = changed(|table| table[FOOTER + 41] = format);
        assert_unsupported(&error, "columnar");
    }
    assert_unsupported(&changed(|table| table[FOOTER + 41] = 8), "which is not known");
    for magic in [b"\x57\xfb\x80\x8b\x24\x75\x47\xdb", b"\xf7\xcf\xf4\x85\xb7\x41\xe2\x88", b"whatever"] {
        let error = changed(|table| *table.last_chunk_mut().unwrap_or(&mut [0; 8]) = *magic);
        assert_unsupported(&error, "a table with the magic");
    }
    for kind in [0, 2] {
        assert_unsupported(&changed(|table| table[FOOTER] = kind), "block checksums of kind");
    }
}

#[test]
fn other_compressions_are_refused_and_some_blocks_have_none() {
    for compression in [2, 7, 8, 255] {
        let error = spoilt(|parts| parts.data[0].0.compression = compression);
        assert_unsupported(&error, &format!("compression {compression}"));
    }
    assert_unsupported(&spoilt(|parts| parts.properties_compression = 1), "a compressed properties block");
    let error = changed(|table| table[METAINDEX.0 + METAINDEX.1] = 1);
    assert_unsupported(&error, "a compressed metaindex block");
}

#[test]
fn other_meta_blocks_are_refused() {
    for name in
        ["rocksdb.range_del", "rocksdb.range_del2", "pebble.range_key", "pebble.value_index", "fullfilter.x"]
    {
        let error = spoilt(|parts| parts.metaindex.push(name.into()));
        assert_unsupported(&error, name);
        let error = spoilt(|parts| parts.metaindex.insert(0, name.into()));
        assert_unsupported(&error, name);
    }
    let error = spoilt(|parts| parts.metaindex.push(b"rocksdb.properties".to_vec()));
    assert_unsupported(&error, "rocksdb.properties");
    assert_corrupt(&spoilt(|parts| parts.metaindex.clear()), "restart");
}

#[test]
fn properties_that_a_node_does_not_write_are_refused() {
    for index_type in [1, 3] {
        let error = spoilt(|parts| {
            parts.set_property("rocksdb.block.based.table.index.type", [index_type, 0, 0, 0]);
        });
        assert_unsupported(&error, &format!("an index of type {index_type}"));
    }
    let error = spoilt(|parts| parts.set_property("rocksdb.comparator", "reverse"));
    assert_unsupported(&error, "the comparator reverse");
    for name in [
        "rocksdb.deleted.keys",
        "rocksdb.merge.operands",
        "rocksdb.num.range-deletions",
        "rocksdb.filter.size",
    ] {
        assert_unsupported(
            &spoilt(|parts| parts.set_property(name, [5])),
            &format!("a property {name} of 5"),
        );
    }
}

#[test]
fn properties_that_are_missing_wrong_or_disagree_are_refused() {
    let names = [
        "rocksdb.block.based.table.index.type",
        "rocksdb.comparator",
        "rocksdb.num.data.blocks",
        "rocksdb.num.entries",
        "rocksdb.raw.key.size",
        "rocksdb.raw.value.size",
        "rocksdb.deleted.keys",
        "rocksdb.merge.operands",
        "rocksdb.num.range-deletions",
        "rocksdb.filter.size",
    ];
    for name in names {
        let error = spoilt(|parts| parts.properties.retain(|(known, _)| known != name.as_bytes()));
        assert_corrupt(&error, &format!("the property {name} is missing"));
    }
    for name in &names[2..] {
        for bytes in [&b""[..], b"\x80", b"\x01\x00"] {
            let error = spoilt(|parts| parts.set_property(name, bytes));
            assert_corrupt(&error, &format!("the property {name} cannot be read"));
        }
    }
    let counts =
        [("num.data.blocks", "data blocks"), ("raw.key.size", "row keys"), ("raw.value.size", "row values")];
    for (name, what) in counts {
        assert_corrupt(&spoilt(|parts| parts.set_property(&format!("rocksdb.{name}"), [2])), what);
    }
    let error = spoilt(|parts| parts.set_property("rocksdb.index.partitions", [1]));
    assert_corrupt(&error, "lower index blocks");
    assert_corrupt(&spoilt(|parts| parts.properties.reverse()), "does not come after the one before it");
}

#[test]
fn foreign_index_entries_and_restart_flags_are_refused() {
    assert_unsupported(&spoilt(|parts| parts.after_handles = vec![0]), "block properties in the index entry");
    let error = changed_data(|block| {
        let restart = block.len() - 5;
        block[restart] = 0x80;
    });
    assert_unsupported(&error, "highest bit");
}

#[test]
fn bytes_that_nothing_accounts_for_are_refused() {
    assert_corrupt(&spoilt(|parts| parts.gap = vec![0; 3]), "the index block begins here");
    assert_corrupt(&changed(|table| table[FOOTER + 20] = 1), "that should be zero");
    // Between metaindex and footer, and before the first block.
    let error = changed(|table| drop(table.splice(FOOTER..FOOTER, [0; 7])));
    assert_corrupt(&error, "the footer begins here");
    let mut table = parts_of_table_a().to_bytes();
    table.splice(0..0, [0; 5]);
    assert!(read(&with_table(table), How::Rereadable, None).is_err());
}

#[test]
fn handles_beyond_the_blocks_are_refused_before_they_are_looked_at() {
    let footer = |handles: &[u8]| {
        changed(|table| {
            table[FOOTER + 1..FOOTER + 41].fill(0);
            table[FOOTER + 1..][..handles.len()].copy_from_slice(handles);
        })
    };
    for handles in [
        &b"\xba\x04\x21\x60\x16"[..],
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x60\x16",
        b"\xba\x04\x20\xff\xff\xff\xff\x0f\x16",
        b"\xba\x04\x20\x60\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    ] {
        assert_corrupt(&footer(handles), "reaches beyond the blocks");
    }
    assert_corrupt(&footer(&[0xff; 40]), "the footer has no handles");
    for length in [0, 1, FOOTER_BYTES - 1] {
        let error = refusal(&with_table(vec![7; length.max(1)]), None);
        assert_corrupt(&error, "a footer alone has 53");
    }
}

#[test]
fn separators_that_do_not_separate_are_refused() {
    let separator = |key: &[u8], trailer: &[u8]| spoilt(|parts| parts.data[0].1 = [key, trailer].concat());
    assert_corrupt(&separator(b"_meta", &SEPARATOR_TRAILER), "does not belong beside the separator");
    assert_corrupt(&separator(b"`", &[1, 0, 0, 0, 0, 0, 0, 0]), "does not belong beside the separator");
    assert_corrupt(&separator(b"`", &[0x11; 8]), "another trailer");
    assert_corrupt(&separator(b"", b"short"), "another trailer");
    let rows: Vec<_> = (0..40u8).map(|i| row(&Version::put([i], 1, vec![i; 300]))).collect();
    let mut parts = Parts::of(&rows, &Cut::default());
    parts.data[0].1 = [&b"\x20"[..], &SEPARATOR_TRAILER].concat();
    let error = refusal(&file(&bundle(vec![Table::with(parts.to_bytes(), &rows)])), None);
    assert_corrupt(&error, "does not belong beside the separator");
}

#[test]
fn an_index_of_two_levels_names_the_last_key_of_each_block_and_has_two_at_least() {
    let rows: Vec<_> = (0..60u8).map(|i| row(&Version::put([i], 1, vec![i; 900]))).collect();
    let cut = Cut { index_entries: 4, ..Cut::default() };
    let whole = file(&bundle(vec![Table::of(&rows, &cut)]));
    assert_eq!(seen(&whole, None).rows.len(), 60);
    for (name, value, what) in
        [("rocksdb.index.partitions", 9, "lower index blocks"), ("rocksdb.num.data.blocks", 9, "data blocks")]
    {
        let mut parts = Parts::of(&rows, &cut);
        parts.set_property(name, [value]);
        assert_corrupt(&refusal(&file(&bundle(vec![Table::with(parts.to_bytes(), &rows)])), None), what);
    }
    // Read as an index of two levels, one of one level names data blocks.
    let mut parts = Parts::of(&rows, &Cut { index_entries: 1000, ..cut });
    parts.set_property("rocksdb.block.based.table.index.type", [2, 0, 0, 0]);
    parts.set_property("rocksdb.index.partitions", [2]);
    assert!(read(&file(&bundle(vec![Table::with(parts.to_bytes(), &rows)])), How::Rereadable, None).is_err());
}

#[test]
fn restarts_stand_in_order_at_entries_with_whole_keys() {
    let rows = rows_of_table_a();
    let of = |restarts: &[u32]| {
        spoilt(|parts| parts.data[0].0 = Stored::raw(block_with_restarts(&rows, restarts)))
    };
    for restarts in [&[1][..], &[0, 0], &[0, 1], &[0, 46], &[0, 75, 46], &[0, 500]] {
        assert_corrupt(&of(restarts), "is no beginning of an entry with a whole key");
    }
    // The third entry shares nothing with the second.
    let mut parts = parts_of_table_a();
    parts.data[0].0 = Stored::raw(block_with_restarts(&rows, &[0, 75]));
    assert_eq!(seen(&with_table(parts.to_bytes()), None).rows.len(), 1);
    for count in [0u32, 31, 0x4000_0000, u32::MAX] {
        let error = changed_data(|block| {
            let at = block.len() - 4;
            block[at..].copy_from_slice(&count.to_le_bytes());
        });
        assert_corrupt(&error, &format!("says that it has {count} restarts"));
    }
    for bytes in [vec![], vec![1, 0, 0]] {
        assert_corrupt(&spoilt(|parts| parts.data[0].0 = Stored::raw(bytes)), "restarts");
    }
}

fn block_with_restarts(rows: &[RawRow], restarts: &[u32]) -> Vec<u8> {
    let whole = data_block(rows, 16);
    let mut bytes = whole[..whole.len() - 8].to_vec();
    restarts.iter().for_each(|restart| bytes.extend(restart.to_le_bytes()));
    bytes.extend((restarts.len() as u32).to_le_bytes());
    bytes
}

#[test]
fn entries_with_keys_too_long_or_too_short_are_refused() {
    let with = |entry: (Vec<u8>, Vec<u8>)| spoilt(|parts| parts.data[0].0 = Stored::raw(block(&[entry], 16)));
    assert_corrupt(&with((b"short".to_vec(), vec![0])), "no room for its trailer");
    let trailer = [1, 0, 0, 0, 0, 0, 0, 0];
    assert_corrupt(&with(([&b"key"[..], &trailer].concat(), vec![])), "has no prefix");
    let huge = 16 << 20;
    let error = spoilt(|parts| {
        let mut bytes = vec![0];
        bytes.extend([0x89, 0x80, 0x80, 0x08, 0]);
        bytes.extend([0; 20 + 4]);
        bytes.extend([1, 0, 0, 0]);
        parts.data[0].0 = Stored::raw(bytes);
    });
    assert_corrupt(&error, &format!("a key of {} bytes; at most {}", huge + 9, huge + 8));
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
