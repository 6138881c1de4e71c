//! What a table says of itself (`docs/format/sstable.md` section 2.4): the layout of its index, and numbers to compare
//! what was read with.

use std::path::Path;

use super::super::error::{Fault, readable};
use super::block::{Block, Value};
use super::error::{InBlock, Located, SstCorruption, SstUnsupported};
use super::handle::{Handle, varint};
use super::stretch::Stretch;

const COMPARATOR: &[u8] = b"leveldb.BytewiseComparator";
/// No value that is looked at is longer, in bytes.
const VALUE_BYTES: usize = 64;
/// What a node never writes, so these count nothing.
const ZEROS: [&str; 4] =
    ["rocksdb.deleted.keys", "rocksdb.merge.operands", "rocksdb.num.range-deletions", "rocksdb.filter.size"];

/// The properties that matter.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Properties {
    /// Is there an index of index blocks?
    pub is_two_level: bool,
    /// Blocks of the lower level; 0 in an index of one level.
    pub index_partitions: u64,
    pub data_blocks: u64,
    pub entries: u64,
    /// Bytes of all row keys with their trailers.
    pub key_bytes: u64,
    /// Bytes of all row values, without their prefixes.
    pub value_bytes: u64,
}

/// The values of one table, as they are found.
#[derive(Default)]
struct Found {
    numbers: [Option<u64>; 4],
    zeros: [Option<u64>; 4],
    partitions: Option<u64>,
    index_type: Option<u32>,
    comparator: bool,
}

const NUMBERS: [&str; 4] =
    ["rocksdb.num.data.blocks", "rocksdb.num.entries", "rocksdb.raw.key.size", "rocksdb.raw.value.size"];
const PARTITIONS: &str = "rocksdb.index.partitions";
const INDEX_TYPE: &str = "rocksdb.block.based.table.index.type";
const COMPARATOR_NAME: &str = "rocksdb.comparator";

impl Properties {
    /// Reads the properties that the metaindex names; with the handle of their block.
    ///
    /// # Errors
    /// Another block beside the properties, a property that is missing or wrong, or one that a node's table has not.
    pub fn read(table: &Stretch, metaindex: Handle, spool: &Path) -> Result<(Self, Handle), Located> {
        let handle = in_metaindex(table, metaindex, spool).in_block(metaindex.offset)?;
        metaindex.follows(handle.end(), "metaindex block").in_block(metaindex.offset)?;
        let properties = Self::of_block(table, handle, spool).in_block(handle.offset)?;
        Ok((properties, handle))
    }

    fn of_block(table: &Stretch, handle: Handle, spool: &Path) -> Result<Self, Fault> {
        let mut block = Block::open(table, handle, spool, Some("properties block"))?;
        let (mut found, mut previous) = (Found::default(), Vec::new());
        let mut is_first = true;
        while let Some(value) = block.next()? {
            if !is_first && block.key() <= &previous[..] {
                return Err(SstCorruption::PropertyOrder(readable(block.key())).into());
            }
            is_first = false;
            previous.clear();
            previous.extend_from_slice(block.key());
            found.take(&mut block, value)?;
        }
        found.judge()
    }
}

impl Found {
    fn take(&mut self, block: &mut Block, value: Value) -> Result<(), Fault> {
        let (name, shown) = block.entry(value, VALUE_BYTES)?;
        let position = |names: &[&str]| names.iter().position(|known| known.as_bytes() == name);
        let number = |name: &'static str| {
            let mut left = shown;
            varint(&mut left).filter(|_| left.is_empty()).ok_or(SstCorruption::Property(name))
        };
        if let Some(at) = position(&NUMBERS) {
            self.numbers[at] = Some(number(NUMBERS[at])?);
        } else if let Some(at) = position(&ZEROS) {
            self.zeros[at] = Some(number(ZEROS[at])?);
        } else if name == PARTITIONS.as_bytes() {
            self.partitions = Some(number(PARTITIONS)?);
        } else if name == INDEX_TYPE.as_bytes() {
            let bytes = shown.try_into().map_err(|_| SstCorruption::Property(INDEX_TYPE))?;
            self.index_type = Some(u32::from_le_bytes(bytes));
        } else if name == COMPARATOR_NAME.as_bytes() {
            if shown != COMPARATOR {
                return Err(SstUnsupported::Comparator(readable(shown)).into());
            }
            self.comparator = true;
        }
        Ok(())
    }

    fn judge(self) -> Result<Properties, Fault> {
        for (name, value) in ZEROS.into_iter().zip(self.zeros) {
            match value.ok_or(SstCorruption::MissingProperty(name))? {
                0 => {}
                value => return Err(SstUnsupported::ForeignProperty { name, value }.into()),
            }
        }
        if !self.comparator {
            return Err(SstCorruption::MissingProperty(COMPARATOR_NAME).into());
        }
        let is_two_level = match self.index_type.ok_or(SstCorruption::MissingProperty(INDEX_TYPE))? {
            0 => false,
            2 => true,
            other => return Err(SstUnsupported::IndexType(other).into()),
        };
        let mut numbers = [0; NUMBERS.len()];
        for (number, (name, value)) in numbers.iter_mut().zip(NUMBERS.into_iter().zip(self.numbers)) {
            *number = value.ok_or(SstCorruption::MissingProperty(name))?;
        }
        let index_partitions = match (self.partitions, is_two_level) {
            (Some(partitions), _) => partitions,
            (None, false) => 0,
            (None, true) => return Err(SstCorruption::MissingProperty(PARTITIONS).into()),
        };
        let [data_blocks, entries, key_bytes, value_bytes] = numbers;
        Ok(Properties { is_two_level, index_partitions, data_blocks, entries, key_bytes, value_bytes })
    }
}

/// The one block that the metaindex names.
fn in_metaindex(table: &Stretch, metaindex: Handle, spool: &Path) -> Result<Handle, Fault> {
    let mut block = Block::open(table, metaindex, spool, Some("metaindex block"))?;
    let mut properties = None;
    while let Some(value) = block.next()? {
        if block.key() != b"rocksdb.properties" || properties.is_some() {
            return Err(SstUnsupported::MetaBlock(readable(block.key())).into());
        }
        properties = Some(block.handle(value, table)?);
    }
    properties.ok_or_else(|| SstCorruption::NoProperties.into())
}
