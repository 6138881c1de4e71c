//! The end of a table, from which its reading begins (`docs/format/sstable.md` section 2.1).

use super::super::error::{Fault, Magic};
use super::error::{SstCorruption, SstUnsupported};
use super::handle::Handle;

/// Bytes of the footer of table format 4.
pub(super) const FOOTER_BYTES: u64 = 53;

const MAGIC: &[u8] = b"\xf0\x9f\xaa\xb3\xf0\x9f\xaa\xb3";
const FORMAT: u32 = 4;
const CRC32C: u8 = 1;

/// Where to go on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Footer {
    pub metaindex: Handle,
    /// The index, or the top block of a two-level one.
    pub index: Handle,
}

impl Footer {
    /// Reads the last bytes of a table of `size` bytes. What tells the format stands at the same distance from the
    /// end in every format, so it is asked first.
    ///
    /// # Errors
    /// Another format, another writer, handles out of bounds.
    pub fn read(bytes: &[u8; FOOTER_BYTES as usize], size: u64) -> Result<Self, Fault> {
        let (rest, magic) = bytes.split_at(45);
        if magic != MAGIC {
            return Err(SstUnsupported::Magic(Magic(magic).to_string()).into());
        }
        let [kind, handles @ .., a, b, c, d] = rest else {
            return Err(SstCorruption::TableSize(size).into());
        };
        match u32::from_le_bytes([*a, *b, *c, *d]) {
            FORMAT => {}
            format @ 0..FORMAT => return Err(SstUnsupported::OldFormat(format).into()),
            format @ 5..=7 => return Err(SstUnsupported::Columnar(format).into()),
            format => return Err(SstUnsupported::NewFormat(format).into()),
        }
        if *kind != CRC32C {
            return Err(SstUnsupported::ChecksumKind(*kind).into());
        }
        let mut left = handles;
        let handles = Handle::read(&mut left).zip(Handle::read(&mut left));
        let (metaindex, index) = handles.ok_or(SstCorruption::FooterHandles)?;
        if left.iter().any(|&byte| byte != 0) {
            return Err(SstCorruption::FooterPadding.into());
        }
        Ok(Self { metaindex: metaindex.check(size)?, index: index.check(size)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of_table_a() -> [u8; 53] {
        let mut bytes = [0; 53];
        bytes[..6].copy_from_slice(b"\x01\xba\x04\x20\x60\x16");
        bytes[41] = 4;
        bytes[45..].copy_from_slice(MAGIC);
        bytes
    }

    #[test]
    fn the_footer_of_table_a_names_its_blocks() {
        let footer = Footer::read(&of_table_a(), 660).unwrap();
        assert_eq!(footer.metaindex, Handle { offset: 570, length: 32 });
        assert_eq!(footer.index, Handle { offset: 96, length: 22 });
    }

    proptest! {
        #[test]
        fn a_changed_footer_is_read_to_handles_in_bounds_or_refused(
            changes in proptest::collection::vec((0..53usize, any::<u8>()), 1..6),
            size in 53..2000u64,
        ) {
            let mut bytes = of_table_a();
            for (at, byte) in changes {
                bytes[at] = byte;
            }
            if let Ok(Footer { metaindex, index }) = Footer::read(&bytes, size) {
                prop_assert!(metaindex.end() <= size - FOOTER_BYTES && index.end() <= size - FOOTER_BYTES);
            }
        }
    }
}
