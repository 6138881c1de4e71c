//! A table in parts, which a test can spoil before they are put together.
//!
//! Owns: `docs/format/sstable.md` section 2 as a node writes it, with every checksum and handle made to fit.
//! Leaves: the order of rows to the caller, the manifest that names the table to [`super::Bundle`].

use crate::protobuf::varint;

/// The trailer of a row key: sequence number 0, kind "set".
const ROW_TRAILER: [u8; 8] = [1, 0, 0, 0, 0, 0, 0, 0];
/// The trailer of a separator that is no row key.
pub const SEPARATOR_TRAILER: [u8; 8] = [0x11, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
/// Bytes of the footer of a table.
pub const FOOTER_BYTES: usize = 53;

const RAW: u8 = 0;
const SNAPPY: u8 = 1;

/// A raw key and a raw value.
pub type RawRow = (Vec<u8>, Vec<u8>);

/// When a block is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Compress {
    /// If that saves 12 %, as a node does.
    #[default]
    IfItSaves,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// How a table is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// A data block ends before it would be longer than this.
    pub block_bytes: usize,
    /// So many entries in an index block; a table of more data blocks has an index of two levels.
    pub index_entries: usize,
    /// A restart after so many entries of a data block.
    pub restart_every: usize,
    /// Of data and index blocks.
    pub compress: Compress,
}

impl Default for Cut {
    /// About what a node does.
    fn default() -> Self {
        Self { block_bytes: 4096, index_entries: 128, restart_every: 16, compress: Compress::default() }
    }
}

/// A block as it is to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Without the trailer.
    pub bytes: Vec<u8>,
    /// The first byte of the trailer.
    pub compression: u8,
}

impl Stored {
    /// A block as it is.
    pub fn raw(bytes: Vec<u8>) -> Self {
        Self { bytes, compression: RAW }
    }

    /// A compressed block.
    pub fn snappy(block: &[u8]) -> Self {
        let bytes = snap::raw::Encoder::new().compress_vec(block).unwrap_or_default();
        Self { bytes, compression: SNAPPY }
    }

    fn new(block: Vec<u8>, compress: Compress) -> Self {
        let compressed = Self::snappy(&block);
        match compress {
            Compress::Always => compressed,
            Compress::IfItSaves if compressed.bytes.len() < block.len() - block.len() * 12 / 100 => {
                compressed
            }
            _ => Self::raw(block),
        }
    }
}

/// A table before it is put together. What is changed here ends up in a table whose checksums and handles are right.
#[derive(Clone, Debug)]
pub struct Parts {
    /// The data blocks, and the key above each in the index.
    pub data: Vec<(Stored, Vec<u8>)>,
    /// Bytes after the handle in every index entry; a node writes none.
    pub after_handles: Vec<u8>,
    /// Names and values, in the order of the block.
    pub properties: Vec<(Vec<u8>, Vec<u8>)>,
    /// Compression byte of the properties block, which is stored as it is.
    pub properties_compression: u8,
    /// The metaindex; every entry gets the handle of the properties.
    pub metaindex: Vec<Vec<u8>>,
    /// Bytes between the data blocks and the index; a node writes none.
    pub gap: Vec<u8>,
    /// See [`Cut::index_entries`].
    pub index_entries: usize,
    /// See [`Cut::compress`].
    pub compress: Compress,
}

impl Parts {
    /// The parts of a table with these rows, which are in order.
    pub fn of(rows: &[RawRow], cut: &Cut) -> Self {
        let mut blocks: Vec<&[RawRow]> = Vec::new();
        let (mut begin, mut bytes) = (0, 0);
        for (at, (key, value)) in rows.iter().enumerate() {
            let row = key.len() + value.len() + 12;
            if at > begin && bytes + row > cut.block_bytes {
                blocks.push(&rows[begin..at]);
                (begin, bytes) = (at, 0);
            }
            bytes += row;
        }
        blocks.push(&rows[begin..]);
        let mut data = Vec::new();
        for (number, rows) in blocks.iter().enumerate() {
            let last = rows.last().map(|(key, _)| &key[..]).unwrap_or_default();
            let next = blocks.get(number + 1).and_then(|rows| rows.first()).map(|(key, _)| &key[..]);
            data.push((
                Stored::new(data_block(rows, cut.restart_every), cut.compress),
                separator(last, next),
            ));
        }
        let key_bytes = rows.iter().map(|(key, _)| key.len() as u64 + 8).sum();
        let value_bytes = rows.iter().map(|(_, value)| value.len() as u64).sum();
        let is_two_level = data.len() > cut.index_entries;
        let properties = properties(&data, rows.len() as u64, key_bytes, value_bytes, is_two_level, cut);
        Self {
            data,
            after_handles: Vec::new(),
            properties,
            properties_compression: RAW,
            metaindex: vec![b"rocksdb.properties".to_vec()],
            gap: Vec::new(),
            index_entries: cut.index_entries,
            compress: cut.compress,
        }
    }

    /// Gives a property another value.
    pub fn set_property(&mut self, name: &str, value: impl Into<Vec<u8>>) {
        let value = value.into();
        match self.properties.iter_mut().find(|(known, _)| known == name.as_bytes()) {
            Some((_, old)) => *old = value,
            None => {
                self.properties.push((name.into(), value));
                self.properties.sort();
            }
        }
    }

    /// The table.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut table = Vec::new();
        let mut entries = Vec::new();
        for (block, separator) in &self.data {
            let handle = append(&mut table, block);
            entries.push((separator.clone(), [handle, self.after_handles.clone()].concat()));
        }
        table.extend(&self.gap);
        let partitions: Vec<_> = entries.chunks(self.index_entries.max(1)).collect();
        let index = if partitions.len() > 1 {
            let mut top = Vec::new();
            for entries in partitions {
                let last = entries.last().map(|(key, _)| key.clone()).unwrap_or_default();
                top.push((last, append(&mut table, &Stored::new(block(entries, 1), self.compress))));
            }
            append(&mut table, &Stored::new(block(&top, 1), self.compress))
        } else {
            append(&mut table, &Stored::new(block(&entries, 1), self.compress))
        };
        let bytes = block(&self.properties, usize::MAX);
        let properties = append(&mut table, &Stored { bytes, compression: self.properties_compression });
        let entries: Vec<_> = self.metaindex.iter().map(|name| (name.clone(), properties.clone())).collect();
        let metaindex = append(&mut table, &Stored::raw(block(&entries, 1)));
        let mut footer = [&[1], &metaindex[..], &index].concat();
        footer.resize(41, 0);
        table.extend(footer);
        table.extend(4u32.to_le_bytes());
        table.extend(b"\xf0\x9f\xaa\xb3\xf0\x9f\xaa\xb3");
        table
    }
}

/// A data block with these rows.
pub fn data_block(rows: &[RawRow], restart_every: usize) -> Vec<u8> {
    let stored = |(key, value): &RawRow| ([&key[..], &ROW_TRAILER].concat(), [&[0], &value[..]].concat());
    block(&rows.iter().map(stored).collect::<Vec<_>>(), restart_every)
}

/// Any block with these entries.
pub fn block(entries: &[(Vec<u8>, Vec<u8>)], restart_every: usize) -> Vec<u8> {
    let (mut block, mut restarts): (Vec<u8>, Vec<u32>) = (Vec::new(), Vec::new());
    let mut previous: &[u8] = &[];
    for (number, (key, value)) in entries.iter().enumerate() {
        let mut shared = key.iter().zip(previous).take_while(|(a, b)| a == b).count();
        if number % restart_every.max(1) == 0 {
            restarts.push(block.len() as u32);
            shared = 0;
        }
        for length in [shared, key.len() - shared, value.len()] {
            varint(&mut block, length as u64);
        }
        block.extend(&key[shared..]);
        block.extend(value);
        previous = key;
    }
    restarts.iter().for_each(|restart| block.extend(restart.to_le_bytes()));
    block.extend((restarts.len() as u32).to_le_bytes());
    block
}

/// Makes the checksum of a block in a table fit its bytes again; `length` is that of its handle.
pub fn mend(table: &mut [u8], offset: usize, length: usize) {
    let checksum = checksum(&table[offset..offset + length + 1]);
    table[offset + length + 1..][..4].copy_from_slice(&checksum.to_le_bytes());
}

/// The checksum of stored bytes and the compression byte after them.
fn checksum(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// Appends a block with its trailer, and says where it is.
fn append(table: &mut Vec<u8>, block: &Stored) -> Vec<u8> {
    let mut handle = Vec::new();
    varint(&mut handle, table.len() as u64);
    varint(&mut handle, block.bytes.len() as u64);
    let begin = table.len();
    table.extend(&block.bytes);
    table.push(block.compression);
    let checksum = checksum(&table[begin..]);
    table.extend(checksum.to_le_bytes());
    handle
}

/// A short key from `last` on and before `next`, with its trailer.
fn separator(last: &[u8], next: Option<&[u8]>) -> Vec<u8> {
    let differs = match next {
        Some(next) => last
            .iter()
            .zip(next)
            .position(|(a, b)| a != b)
            .filter(|&at| next[at].saturating_sub(last[at]) > 1),
        None => last.iter().position(|&byte| byte != 0xff),
    };
    match differs {
        Some(at) if at + 1 < last.len() || next.is_none() => {
            [&last[..at], &[last[at] + 1], &SEPARATOR_TRAILER].concat()
        }
        _ => [last, &ROW_TRAILER].concat(),
    }
}

fn properties(
    data: &[(Stored, Vec<u8>)],
    rows: u64,
    key_bytes: u64,
    value_bytes: u64,
    is_two_level: bool,
    cut: &Cut,
) -> Vec<(Vec<u8>, Vec<u8>)> {
    let number = |number: u64| {
        let mut bytes = Vec::new();
        varint(&mut bytes, number);
        bytes
    };
    let stored = |(block, _): &(Stored, Vec<u8>)| block.bytes.len() as u64 + 5;
    let index_type = if is_two_level { 2u32 } else { 0 };
    let options =
        "window_bits=-14; level=32767; strategy=0; max_dict_bytes=0; zstd_max_train_bytes=0; enabled=0; ";
    let mut properties: Vec<(&str, Vec<u8>)> = vec![
        ("obsolete-key", vec![0]),
        ("rocksdb.block.based.table.index.type", index_type.to_le_bytes().to_vec()),
        ("rocksdb.comparator", b"leveldb.BytewiseComparator".to_vec()),
        ("rocksdb.compression", b"Snappy".to_vec()),
        ("rocksdb.compression_options", options.into()),
        ("rocksdb.data.size", number(data.iter().map(stored).sum())),
        ("rocksdb.deleted.keys", number(0)),
        ("rocksdb.filter.size", number(0)),
        ("rocksdb.merge.operands", number(0)),
        ("rocksdb.merge.operator", b"pebble.concatenate".to_vec()),
        ("rocksdb.num.data.blocks", number(data.len() as u64)),
        ("rocksdb.num.entries", number(rows)),
        ("rocksdb.num.range-deletions", number(0)),
        ("rocksdb.property.collectors", b"[obsolete-key]".to_vec()),
        ("rocksdb.raw.key.size", number(key_bytes)),
        ("rocksdb.raw.value.size", number(value_bytes)),
    ];
    if is_two_level {
        let partitions = data.len().div_ceil(cut.index_entries.max(1)) as u64;
        properties.push(("rocksdb.index.partitions", number(partitions)));
    } else {
        let entries: Vec<_> = index_entries(data);
        let index = Stored::new(block(&entries, 1), cut.compress);
        properties.push(("rocksdb.index.size", number(index.bytes.len() as u64 + 5)));
    }
    properties.sort();
    properties.into_iter().map(|(name, value)| (name.into(), value)).collect()
}

fn index_entries(data: &[(Stored, Vec<u8>)]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut at = 0;
    let mut entries = Vec::new();
    for (block, separator) in data {
        let mut handle = Vec::new();
        varint(&mut handle, at);
        varint(&mut handle, block.bytes.len() as u64);
        at += block.bytes.len() as u64 + 5;
        entries.push((separator.clone(), handle));
    }
    entries
}
