//! The checksum of a block (`docs/format/sstable.md` section 2.2): CRC-32C, rotated and shifted so that a sum over
//! bytes that hold sums is as good as any other.

/// Bytes of the trailer after every block: compression, then the checksum.
pub(super) const TRAILER_BYTES: u64 = 5;

/// What stands in a trailer for this CRC-32C of the stored bytes and the compression byte.
pub(super) fn mask(crc32c: u32) -> u32 {
    crc32c.rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vectors_of_the_format_page_hold() {
        assert_eq!(mask(crc32c::crc32c(b"123456789")), 0xc78a_b0e5);
        assert_eq!(mask(crc32c::crc32c(b"\0")), 0x4925_8fd2);
    }
}
