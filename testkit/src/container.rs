//! The outer layers of a snapshot file: HLC header and CRC footer.
//!
//! Owns: `docs/format/snapshot.md` section 1, well-formed and deliberately wrong.
//! Leaves: every body format to its own writer.

/// What stands before the body (`docs/format/snapshot.md` section 1.1).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum HlcHeader {
    /// No header at all: an old file, or a payload made by a tool.
    #[default]
    None,
    /// `EKVTHLC1`.
    V1 {
        /// Ceiling in Unix milliseconds.
        ceiling_ms: u64,
    },
    /// `EKVTHLC2`; its length field is 16 plus the length of `extra`, cut to 16 bits.
    V2 {
        /// Ceiling in Unix milliseconds.
        ceiling_ms: u64,
        /// Raft-envelope cutover index.
        cutover_index: u64,
        /// Bytes a reader has to skip.
        extra: Vec<u8>,
    },
    /// Exactly these bytes, for unknown magics and wrong lengths.
    Bytes(Vec<u8>),
}

impl HlcHeader {
    /// The header as it stands in a file.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::None => Vec::new(),
            Self::V1 { ceiling_ms } => [b"EKVTHLC1".as_slice(), &ceiling_ms.to_be_bytes()].concat(),
            Self::V2 { ceiling_ms, cutover_index, extra } => [
                b"EKVTHLC2".as_slice(),
                &((16 + extra.len()) as u16).to_be_bytes(),
                &ceiling_ms.to_be_bytes(),
                &cutover_index.to_be_bytes(),
                extra,
            ]
            .concat(),
            Self::Bytes(bytes) => bytes.clone(),
        }
    }
}

/// What stands after the body (`docs/format/snapshot.md` sections 1 and 1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Footer {
    /// The CRC-32C of everything before it, big-endian.
    #[default]
    Good,
    /// No footer: a payload exported by a tool.
    None,
    /// Four bytes that differ from the right ones in every bit.
    Wrong,
}

impl Footer {
    /// The footer's bytes after a file whose CRC-32C so far is `crc`.
    pub fn to_bytes(self, crc: u32) -> Vec<u8> {
        match self {
            Self::Good => crc.to_be_bytes().to_vec(),
            Self::None => Vec::new(),
            Self::Wrong => (!crc).to_be_bytes().to_vec(),
        }
    }
}

/// Header, body and footer as one file; an empty `body` gives the legal empty state.
pub fn frame(header: &HlcHeader, body: &[u8], footer: Footer) -> Vec<u8> {
    let mut file = header.to_bytes();
    file.extend_from_slice(body);
    file.extend(footer.to_bytes(crc32c::crc32c(&file)));
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_state_without_a_header_is_four_zero_bytes() {
        assert_eq!(frame(&HlcHeader::None, b"", Footer::Good), [0; 4]);
        assert_eq!(frame(&HlcHeader::None, b"", Footer::None), b"");
    }

    #[test]
    fn the_second_header_counts_its_extra_bytes() {
        let header = HlcHeader::V2 { ceiling_ms: 1, cutover_index: 2, extra: vec![7; 3] };
        assert_eq!(header.to_bytes(), b"EKVTHLC2\0\x13\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x02\x07\x07\x07");
    }

    #[test]
    fn the_footer_is_the_castagnoli_check_value_in_big_endian() {
        assert_eq!(frame(&HlcHeader::None, b"123456789", Footer::Good)[9..], [0xe3, 0x06, 0x92, 0x83]);
        assert_eq!(frame(&HlcHeader::None, b"123456789", Footer::Wrong)[9..], [0x1c, 0xf9, 0x6d, 0x7c]);
    }
}
