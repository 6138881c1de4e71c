//! The tables of SST bundles: everything that `docs/format/sstable.md` sections 4 and 6 refuse of them, and the refusals
//! of its section 8. Every spoilt table has checksums, digest and manifest that fit, so that only the rule in question
//! can object.

mod snapshot_support;

use ekvsnap::snapshot::SnapshotError;
use ekvsnap_testkit::sst_writer::{
    Cut, FOOTER_BYTES, Parts, RawRow, SEPARATOR_TRAILER, Stored, Table, block, data_block, mend,
};
use ekvsnap_testkit::version::Version;
use snapshot_support::sst::{assert_corrupt, assert_unsupported, bundle, file, row, rows_of_table_a};
use snapshot_support::{How, read, refusal, seen};

/// Offset and length of the blocks of table A, and the offset of its footer.
const INDEX: (usize, usize) = (96, 22);
const PROPERTIES: (usize, usize) = (123, 442);
const METAINDEX: (usize, usize) = (570, 32);
const FOOTER: usize = 607;

fn parts_of_table_a() -> Parts {
    Parts::of(&rows_of_table_a(), &Cut::default())
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
