//! The data blocks of a table in order, as its index of one or two levels lists them (`docs/format/sstable.md`
//! section 2.3). Of a two-level index one lower block is held at a time. Leaves the rows to `table`.

use std::path::Path;

use super::super::error::{Fault, readable};
use super::block::{Block, KEY_TRAILER_BYTES};
use super::error::{InBlock, Located, SstCorruption};
use super::handle::Handle;
use super::properties::Properties;
use super::stretch::Stretch;

/// The trailer of a separator that is no row key.
const SEPARATOR_TRAILER: &[u8; KEY_TRAILER_BYTES] = b"\x11\xff\xff\xff\xff\xff\xff\xff";
/// The trailer of a row: a plain write with sequence number 0.
pub(super) const ROW_TRAILER: &[u8; KEY_TRAILER_BYTES] = b"\x01\0\0\0\0\0\0\0";

/// How far an index has been read.
pub(super) struct Index {
    /// The top block of a two-level index, or the only block.
    top: Level,
    lower: Option<Level>,
    is_two_level: bool,
    /// Lower blocks so far, the offset of the first, and where the next has to begin.
    partitions: u64,
    first: Option<u64>,
    lower_end: u64,
    /// Where the next data block has to begin.
    data_end: u64,
}

struct Level {
    handle: Handle,
    block: Block,
}

impl Index {
    /// Opens the index at `handle`.
    ///
    /// # Errors
    /// The block cannot be read.
    pub fn open(
        table: &Stretch,
        handle: Handle,
        properties: &Properties,
        spool: &Path,
    ) -> Result<Self, Located> {
        let block = Block::open(table, handle, spool, None).in_block(handle.offset)?;
        let is_two_level = properties.is_two_level;
        let top = Level { handle, block };
        Ok(Self { top, lower: None, is_two_level, partitions: 0, first: None, lower_end: 0, data_end: 0 })
    }

    /// Moves to the next data block; `None` after the last.
    ///
    /// # Errors
    /// A block of the index breaks a rule, or blocks do not adjoin.
    pub fn next(&mut self, table: &Stretch, spool: &Path) -> Result<Option<Handle>, Located> {
        loop {
            if !self.is_two_level {
                return self.next_in_block(table);
            }
            if self.lower.is_some() {
                if let Some(handle) = self.next_in_block(table)? {
                    return Ok(Some(handle));
                }
                self.check_partition_key()?;
            }
            let at = self.top.handle.offset;
            let Some(value) = self.top.block.next().in_block(at)? else { return Ok(None) };
            let handle = self.top.block.handle(value, table).in_block(at)?;
            if self.first.is_some() {
                handle.follows(self.lower_end, "index block").in_block(handle.offset)?;
            }
            self.first.get_or_insert(handle.offset);
            self.partitions += 1;
            self.lower_end = handle.end();
            let block = Block::open(table, handle, spool, None).in_block(handle.offset)?;
            self.lower = Some(Level { handle, block });
        }
    }

    fn next_in_block(&mut self, table: &Stretch) -> Result<Option<Handle>, Located> {
        let Level { handle, block } = self.lower.as_mut().unwrap_or(&mut self.top);
        let at = handle.offset;
        let Some(value) = block.next().in_block(at)? else { return Ok(None) };
        let handle = block.handle(value, table).in_block(at)?;
        handle.follows(self.data_end, "data block").in_block(handle.offset)?;
        self.data_end = handle.end();
        separator(block.key()).in_block(at)?;
        Ok(Some(handle))
    }

    /// The top block names the last key of each partition.
    fn check_partition_key(&self) -> Result<(), Located> {
        let last = self.lower.as_ref().map(|lower| lower.block.key()).unwrap_or_default();
        let named = self.top.block.key();
        if last == named {
            return Ok(());
        }
        let (last, named) = (readable(last), readable(named));
        Err(SstCorruption::PartitionKey { last, named }).in_block(self.top.handle.offset)
    }

    /// What stands in the index above the data block that [`Self::next`] has moved to, without its trailer; and whether
    /// that says that it is a row key.
    pub fn separator(&self) -> (&[u8], bool) {
        let level = self.lower.as_ref().unwrap_or(&self.top);
        separator(level.block.key()).unwrap_or_default()
    }

    /// After the last data block: the blocks of the index adjoin to the data blocks, and the properties to them.
    ///
    /// # Errors
    /// They do not, or there are more or fewer index blocks than the properties say.
    pub fn finish(&self, properties: &Properties, next: Handle) -> Result<(), Located> {
        let top = self.top.handle;
        if self.is_two_level {
            let first = Handle { offset: self.first.unwrap_or(top.offset), length: 0 };
            first.follows(self.data_end, "index block").in_block(first.offset)?;
            top.follows(self.lower_end, "top index block").in_block(top.offset)?;
        } else {
            top.follows(self.data_end, "index block").in_block(top.offset)?;
        }
        next.follows(top.end(), "properties block").in_block(next.offset)?;
        let (found, stated) = (self.partitions, properties.index_partitions);
        if found != stated || (self.is_two_level && found < 2) {
            return Err(SstCorruption::Count { what: "lower index blocks", found, stated })
                .in_block(top.offset);
        }
        Ok(())
    }
}

/// A separator without its trailer, and whether that is one of a row.
fn separator(key: &[u8]) -> Result<(&[u8], bool), Fault> {
    match key.split_last_chunk() {
        Some((separator, SEPARATOR_TRAILER)) => Ok((separator, false)),
        Some((separator, ROW_TRAILER)) => Ok((separator, true)),
        _ => Err(SstCorruption::SeparatorTrailer(readable(key)).into()),
    }
}
