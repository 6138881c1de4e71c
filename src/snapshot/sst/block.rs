//! One block: its checksum, its compression and the entries in it (`docs/format/sstable.md` sections 2.2 and 2.3).
//! What keys and values mean is left to those who read the block.

use std::path::Path;

use super::super::error::{Fault, readable, within};
use super::super::limits::{BLOCK_IN_MEMORY_BYTES, MAX_KEY_BYTES};
use super::checksum::{TRAILER_BYTES, mask};
use super::error::{SstCorruption, SstUnsupported};
use super::handle::{Handle, varint};
use super::snappy::decompress;
use super::stretch::{Bytes, Stretch, Window};

/// Bytes of the trailer after a row key, and after the keys of an index.
pub(super) const KEY_TRAILER_BYTES: usize = 8;
/// Bytes of a restart offset, and of their number.
const RESTART_BYTES: u64 = 4;
const RESTART_FLAG: u32 = 1 << 31;
/// Bytes of the three varints that begin an entry.
const ENTRY_HEADER_BYTES: usize = 30;
/// Bytes of the two varints of a handle, at most.
const HANDLE_BYTES: usize = 20;

/// How a block is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    Raw,
    Snappy,
}

/// A block, and how far it has been read.
pub(super) struct Block {
    pub compression: Compression,
    bytes: Bytes,
    /// For the restarts of a block that does not lie in memory.
    restart_bytes: Option<Bytes>,
    entries_end: u64,
    restarts: u32,
    restarts_met: u32,
    restart_fault: Option<Fault>,
    /// Where the next entry begins.
    at: u64,
    key: Vec<u8>,
}

/// The value of an entry: where it lies in the block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Value {
    pub start: u64,
    pub length: u64,
}

impl Block {
    /// Opens the block of a handle that was checked. `only_raw` names a kind of block that is never compressed.
    ///
    /// # Errors
    /// Its checksum, compression, length or number of restarts is wrong.
    pub fn open(
        table: &Stretch,
        handle: Handle,
        spool: &Path,
        only_raw: Option<&'static str>,
    ) -> Result<Self, Fault> {
        let stored = table.part(handle.offset, handle.length);
        let mut trailer = [0; TRAILER_BYTES as usize];
        table.read(handle.offset + handle.length, &mut trailer).map_err(Fault::Io)?;
        let [compression, checksum @ ..] = trailer;
        let (bytes, crc) = if handle.length <= BLOCK_IN_MEMORY_BYTES {
            let mut bytes = vec![0; handle.length as usize];
            stored.read(0, &mut bytes).map_err(Fault::Io)?;
            let crc = crc32c::crc32c(&bytes);
            (Bytes::Memory(bytes), crc)
        } else {
            let mut crc = 0;
            stored.pieces(0, |piece| crc = crc32c::crc32c_append(crc, piece)).map_err(Fault::Io)?;
            (Bytes::Seen(Window::new(stored)), crc)
        };
        let computed = mask(crc32c::crc32c_append(crc, &[compression]));
        let checksum = u32::from_le_bytes(checksum);
        if computed != checksum {
            return Err(SstCorruption::Checksum { computed, stored: checksum }.into());
        }
        match (compression, only_raw) {
            (0, _) => Self::new(bytes, Compression::Raw),
            (1, None) => Self::new(decompress(bytes, spool)?, Compression::Snappy),
            (1, Some(kind)) => Err(SstUnsupported::CompressedBlock(kind).into()),
            (other, _) => Err(SstUnsupported::Compression(other).into()),
        }
    }

    fn new(mut bytes: Bytes, compression: Compression) -> Result<Self, Fault> {
        let length = bytes.len();
        let most = length.saturating_sub(RESTART_BYTES) / RESTART_BYTES;
        let restarts = match length.checked_sub(RESTART_BYTES) {
            Some(at) => number(&mut bytes, at)?,
            None => 0,
        };
        if restarts == 0 || u64::from(restarts) > most {
            return Err(SstCorruption::RestartCount { restarts, length }.into());
        }
        let entries_end = length - RESTART_BYTES * (1 + u64::from(restarts));
        let restart_bytes = bytes.second();
        Ok(Self {
            compression,
            bytes,
            restart_bytes,
            entries_end,
            restarts,
            restarts_met: 0,
            restart_fault: None,
            at: 0,
            key: Vec::new(),
        })
    }

    /// Moves to the next entry, and says where its value is; `None` after the last.
    ///
    /// # Errors
    /// The entry breaks a rule of sections 2.3 and 4.
    pub fn next(&mut self) -> Result<Option<Value>, Fault> {
        let entry = self.at;
        let room = self.entries_end - entry;
        if room == 0 {
            return self.end();
        }
        let bounds = || Fault::from(SstCorruption::EntryBounds { entry, restarts: self.entries_end });
        let shown = self.bytes.show(entry, ENTRY_HEADER_BYTES)?;
        let mut header = &shown[..room.min(shown.len().min(ENTRY_HEADER_BYTES) as u64) as usize];
        let header_bytes = header.len();
        let lengths = (varint(&mut header), varint(&mut header), varint(&mut header));
        let (Some(shared), Some(rest), Some(length)) = lengths else { return Err(bounds()) };
        let header_bytes = (header_bytes - header.len()) as u64;
        let previous = self.key.len() as u64;
        if shared > previous {
            return Err(SstCorruption::Shared { entry, shared, previous }.into());
        }
        within("key", shared.saturating_add(rest), MAX_KEY_BYTES + KEY_TRAILER_BYTES as u64)?;
        if rest.checked_add(length).is_none_or(|bytes| bytes > room - header_bytes) {
            return Err(bounds());
        }
        self.check_restart(entry, shared)?;
        self.key.truncate(shared as usize);
        self.bytes.append(entry + header_bytes, rest as usize, &mut self.key)?;
        let start = entry + header_bytes + rest;
        self.at = start + length;
        Ok(Some(Value { start, length }))
    }

    /// Every restart is the beginning of an entry that shares nothing with the one before it. One that is not is told
    /// at the end: a wrong number of restarts shows as an entry that runs into them.
    fn check_restart(&mut self, entry: u64, shared: u64) -> Result<(), Fault> {
        if self.restart_fault.is_some() || self.restarts_met == self.restarts {
            return Ok(());
        }
        let restart = self.next_restart()?;
        if restart & RESTART_FLAG != 0 {
            self.restart_fault = Some(SstUnsupported::RestartFlag.into());
        } else if u64::from(restart) == entry && shared == 0 {
            self.restarts_met += 1;
        } else if u64::from(restart) <= entry || entry == 0 {
            self.restart_fault = Some(SstCorruption::Restart { restart }.into());
        }
        Ok(())
    }

    fn end(&mut self) -> Result<Option<Value>, Fault> {
        if let Some(fault) = self.restart_fault.take() {
            return Err(fault);
        }
        if self.restarts_met < self.restarts {
            let restart = self.next_restart()?;
            return Err(SstCorruption::Restart { restart }.into());
        }
        Ok(None)
    }

    /// The first restart that no entry has met.
    fn next_restart(&mut self) -> Result<u32, Fault> {
        let at = self.entries_end + RESTART_BYTES * u64::from(self.restarts_met);
        number(self.restart_bytes.as_mut().unwrap_or(&mut self.bytes), at)
    }

    /// The key of the entry, trailer included.
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// The key of the entry and the value, or `n` bytes of it if it is longer.
    pub fn entry(&mut self, value: Value, n: usize) -> Result<(&[u8], &[u8]), Fault> {
        let n = usize::try_from(value.length).unwrap_or(usize::MAX).min(n);
        let shown = self.bytes.show(value.start, n)?;
        Ok((&self.key, &shown[..n.min(shown.len())]))
    }

    /// The bytes of the block from `at` on, some at least.
    pub fn show(&mut self, at: u64) -> Result<&[u8], Fault> {
        self.bytes.show(at, 1)
    }

    /// The entry's value, if it is nothing but a handle.
    ///
    /// # Errors
    /// It is something else, or out of bounds.
    pub fn handle(&mut self, value: Value, table: &Stretch) -> Result<Handle, Fault> {
        let (key, mut shown) = self.entry(value, HANDLE_BYTES + 1)?;
        let handle = Handle::read(&mut shown).ok_or_else(|| SstCorruption::NoHandle(readable(key)))?;
        if !shown.is_empty() {
            return Err(SstUnsupported::BlockProperties(readable(key)).into());
        }
        handle.check(table.len())
    }
}

fn number(bytes: &mut Bytes, at: u64) -> Result<u32, Fault> {
    let shown = bytes.show(at, RESTART_BYTES as usize)?.first_chunk().copied();
    shown.map(u32::from_le_bytes).ok_or_else(|| Fault::Io(std::io::ErrorKind::UnexpectedEof.into()))
}
