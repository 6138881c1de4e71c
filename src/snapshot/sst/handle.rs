//! Where a block lies (`docs/format/sstable.md` section 2.1).

use super::super::error::Fault;
use super::checksum::TRAILER_BYTES;
use super::error::SstCorruption;
use super::footer::FOOTER_BYTES;

/// A varint at the beginning of `bytes`, which lose it; `None` if there is none of at most 10 bytes and 64 bits.
#[inline]
pub(super) fn varint(bytes: &mut &[u8]) -> Option<u64> {
    prost::decode_length_delimiter(bytes).ok().map(|number| number as u64)
}

/// Where a block lies in its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Handle {
    pub offset: u64,
    /// As stored, without the trailer.
    pub length: u64,
}

impl Handle {
    /// A handle at the beginning of `bytes`, which lose it.
    pub fn read(bytes: &mut &[u8]) -> Option<Self> {
        Some(Self { offset: varint(bytes)?, length: varint(bytes)? })
    }

    /// Does the block, with its trailer, lie before the footer of a table of `size` bytes?
    pub fn check(self, size: u64) -> Result<Self, Fault> {
        let Self { offset, length } = self;
        let end = offset.checked_add(length).and_then(|end| end.checked_add(TRAILER_BYTES + FOOTER_BYTES));
        if end.is_some_and(|end| end <= size) {
            Ok(self)
        } else {
            Err(SstCorruption::HandleBounds { offset, length, size }.into())
        }
    }

    /// Where the next block begins. To be asked of a handle that was checked.
    pub fn end(self) -> u64 {
        self.offset + self.length + TRAILER_BYTES
    }

    /// Blocks adjoin: does this one begin where the one before it ends?
    pub fn follows(self, end: u64, block: &'static str) -> Result<(), Fault> {
        if self.offset == end { Ok(()) } else { Err(SstCorruption::Gap { block, end }.into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_varint_has_at_most_ten_bytes_and_64_bits() {
        let read = |mut bytes: &[u8]| varint(&mut bytes).map(|number| (number, bytes.len()));
        assert_eq!(read(b"\x00\x01"), Some((0, 1)));
        assert_eq!(read(b"\xba\x03"), Some((442, 0)));
        assert_eq!(read(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), Some((u64::MAX, 0)));
        assert_eq!(read(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"), None);
        assert_eq!(read(b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00"), None);
        assert_eq!(read(b"\x80"), None);
        assert_eq!(read(b""), None);
    }

    #[test]
    fn a_block_ends_before_the_footer_whatever_its_handle_says() {
        let fits = |offset, length| Handle { offset, length }.check(1000).is_ok();
        assert!(fits(0, 942) && fits(942, 0));
        assert!(!fits(0, 943) && !fits(943, 0) && !fits(1, 942));
        assert!(!fits(u64::MAX, 1) && !fits(1, u64::MAX) && !fits(u64::MAX, u64::MAX));
    }
}
