//! One SSTable: its rows in order, and the proof that nothing else is in it (`docs/format/sstable.md` sections 2 and
//! 3). What a row means is left to the bundle's reader.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};

use super::super::error::{Fault, readable, within};
use super::super::limits::MAX_VALUE_BYTES;
use super::block::{Block, Compression, KEY_TRAILER_BYTES, Value};
use super::error::{InBlock, Located, SstCorruption, SstUnsupported};
use super::footer::{FOOTER_BYTES, Footer};
use super::handle::Handle;
use super::index::{Index, ROW_TRAILER};
use super::properties::Properties;
use super::stretch::Stretch;

/// The prefix of a value that stands in its row.
const VALUE_FOLLOWS: u8 = 0;

/// A table, and how far it has been read.
pub(super) struct Table {
    bytes: Stretch,
    spool: PathBuf,
    properties: Properties,
    properties_block: Handle,
    index: Index,
    /// The data block that rows come from.
    data: Option<(Handle, Block)>,
    /// The separator above the data block before it, until its first row has been compared with that.
    floor: Option<Vec<u8>>,
    row: Value,
    rows: u64,
    /// Sums over the row keys with their trailers, and over the values without their prefixes.
    key_bytes: u64,
    value_bytes: u64,
    /// Data blocks by compression.
    pub raw_blocks: u64,
    pub snappy_blocks: u64,
}

impl Table {
    /// Opens a table whose digest was found right. `spool` is a directory for what is too long for memory.
    ///
    /// # Errors
    /// It is no table of a node, or its footer, properties or index are wrong.
    pub fn open(bytes: Stretch, spool: &Path) -> Result<Self, Located> {
        let size = bytes.len();
        let footer_at = size.checked_sub(FOOTER_BYTES).ok_or(SstCorruption::TableSize(size)).in_block(0)?;
        let mut footer = [0; FOOTER_BYTES as usize];
        bytes.read(footer_at, &mut footer).map_err(Fault::Io).in_block(footer_at)?;
        let footer = Footer::read(&footer, size).in_block(footer_at)?;
        let end = Handle { offset: footer_at, length: 0 };
        end.follows(footer.metaindex.end(), "footer").in_block(footer_at)?;
        let (properties, properties_block) = Properties::read(&bytes, footer.metaindex, spool)?;
        let index = Index::open(&bytes, footer.index, &properties, spool)?;
        Ok(Self {
            bytes,
            spool: spool.to_owned(),
            properties,
            properties_block,
            index,
            data: None,
            floor: None,
            row: Value::default(),
            rows: 0,
            key_bytes: 0,
            value_bytes: 0,
            raw_blocks: 0,
            snappy_blocks: 0,
        })
    }

    /// Moves to the next row, and says how long its value is; `None` after the last, once everything about the table
    /// has been found right.
    ///
    /// # Errors
    /// See the rules of sections 2 to 4 and 6.
    pub fn next(&mut self) -> Result<Option<usize>, Located> {
        loop {
            if let Some((handle, block)) = &mut self.data {
                let at = handle.offset;
                if let Some(value) = block.next().in_block(at)? {
                    self.row = value;
                    return self.take().in_block(at).map(Some);
                }
                self.check_ceiling().in_block(at)?;
                self.floor = Some(self.index.separator().0.to_vec());
            }
            let Some(handle) = self.index.next(&self.bytes, &self.spool)? else {
                self.finish()?;
                return Ok(None);
            };
            let block = Block::open(&self.bytes, handle, &self.spool, None).in_block(handle.offset)?;
            match block.compression {
                Compression::Raw => self.raw_blocks += 1,
                Compression::Snappy => self.snappy_blocks += 1,
            }
            self.data = Some((handle, block));
        }
    }

    /// Takes the row that the block stands at.
    fn take(&mut self) -> Result<usize, Fault> {
        let Some((_, block)) = &mut self.data else { return Ok(0) };
        let (key, value) = block.entry(self.row, 1)?;
        let Some((row_key, &trailer)) = key.split_last_chunk::<KEY_TRAILER_BYTES>() else {
            return Err(SstCorruption::NoTrailer(readable(key)).into());
        };
        if trailer != *ROW_TRAILER {
            let (key, trailer) = (readable(row_key), u64::from_be_bytes(trailer));
            return Err(SstUnsupported::RowKind { key, trailer }.into());
        }
        match value {
            [VALUE_FOLLOWS] => {}
            [] => return Err(SstCorruption::NoPrefix(readable(row_key)).into()),
            &[prefix, ..] => {
                return Err(SstUnsupported::ValueHandle { key: readable(row_key), prefix }.into());
            }
        }
        let value_bytes = within("value", self.row.length - 1, MAX_VALUE_BYTES)?;
        if let Some(floor) = self.floor.take().filter(|floor| row_key <= &floor[..]) {
            return Err(outside(row_key, &floor));
        }
        self.rows += 1;
        self.key_bytes = self.key_bytes.saturating_add(key.len() as u64);
        self.value_bytes = self.value_bytes.saturating_add(value_bytes as u64);
        Ok(value_bytes)
    }

    /// The key of the row, and its value or the first `n` bytes of that.
    ///
    /// # Errors
    /// The table cannot be read.
    pub fn row(&mut self, n: usize) -> Result<(&[u8], &[u8]), Fault> {
        let Some((_, block)) = &mut self.data else { return Ok((&[], &[])) };
        let (key, value) = block.entry(self.row, 1 + n)?;
        Ok((row_key(key), value.get(1..).unwrap_or_default()))
    }

    /// The key of the row that came last.
    pub fn row_key(&self) -> &[u8] {
        self.data.as_ref().map(|(_, block)| row_key(block.key())).unwrap_or_default()
    }

    /// Offset of the row's data block in the table.
    pub fn block(&self) -> u64 {
        self.data.as_ref().map_or(0, |(handle, _)| handle.offset)
    }

    /// Offset of the row's value in the table, if it stands there as it is.
    pub fn value_at(&self) -> Option<u64> {
        let (handle, block) = self.data.as_ref()?;
        (block.compression == Compression::Raw).then_some(handle.offset + self.row.start + 1)
    }

    /// The value of the row from the byte on that has `left` bytes left, itself included: some of them at least.
    ///
    /// # Errors
    /// The table cannot be read.
    pub fn piece(&mut self, left: u64) -> Result<&[u8], Fault> {
        let Some((_, block)) = &mut self.data else { return Ok(&[]) };
        let shown = block.show((self.row.start + self.row.length).saturating_sub(left))?;
        Ok(&shown[..left.min(shown.len() as u64) as usize])
    }

    /// Rows so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Bytes of the row keys and row values so far.
    pub fn row_bytes(&self) -> u64 {
        let trailers = self.rows * KEY_TRAILER_BYTES as u64;
        (self.key_bytes - trailers).saturating_add(self.value_bytes)
    }

    /// The last row of a block does not exceed the separator above it, and is the separator if that has a row's trailer.
    fn check_ceiling(&self) -> Result<(), Fault> {
        let (separator, is_row) = self.index.separator();
        match self.row_key().cmp(separator) {
            Ordering::Less if !is_row => Ok(()),
            Ordering::Equal => Ok(()),
            _ => Err(outside(self.row_key(), separator)),
        }
    }

    fn finish(&self) -> Result<(), Located> {
        let properties = &self.properties;
        self.index.finish(properties, self.properties_block)?;
        let blocks = self.raw_blocks + self.snappy_blocks;
        for (what, found, stated) in [
            ("data blocks", blocks, properties.data_blocks),
            ("rows", self.rows, properties.entries),
            ("bytes of row keys", self.key_bytes, properties.key_bytes),
            ("bytes of row values", self.value_bytes, properties.value_bytes),
        ] {
            if found != stated {
                let fault = SstCorruption::Count { what, found, stated };
                return Err(fault).in_block(self.properties_block.offset);
            }
        }
        Ok(())
    }
}

fn row_key(key: &[u8]) -> &[u8] {
    &key[..key.len().saturating_sub(KEY_TRAILER_BYTES)]
}

fn outside(key: &[u8], separator: &[u8]) -> Fault {
    let (key, separator) = (readable(key), readable(separator));
    SstCorruption::Separator { key, separator }.into()
}
