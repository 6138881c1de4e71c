//! The dump: the bytes and the names of the tree that an export leaves behind.
//!
//! This room owns how a key becomes a file name, how a value becomes JSON, and what stands in the side files and in
//! the manifest (`docs/format/dump.md`). Everything here appends to a buffer of the caller's or passes a stream on;
//! nothing decides what is exported or in which order. It knows no staging table and no family.

pub mod checksums;
pub mod json;
pub mod keymap;
pub mod manifest;
pub mod name;
pub mod target;
pub mod tree;
pub mod ttl_list;

/// Appends two lower-case hex digits per byte.
pub fn push_hex(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.extend(
        bytes.iter().flat_map(|&byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]),
    );
}
