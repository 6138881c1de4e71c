//! `.snap` files of Raft members (`docs/format/restore.md` section 2.1).
//!
//! Owns: the two messages around a token, and their checksum. Leaves: which index, term and members to the caller.

use crate::protobuf::{bytes_field, varint_field};

/// The file that a member keeps beside the snapshot of this index and footer.
#[must_use]
pub fn snap_file(index: u64, term: u64, footer: u32, voters: &[u64]) -> Vec<u8> {
    let token = [&b"EKVT\x01"[..], &index.to_be_bytes(), &footer.to_be_bytes()].concat();
    let (mut members, mut metadata, mut data, mut file) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for voter in voters {
        varint_field(&mut members, 1, *voter);
    }
    bytes_field(&mut metadata, 1, &members);
    varint_field(&mut metadata, 2, index);
    varint_field(&mut metadata, 3, term);
    bytes_field(&mut data, 1, &token);
    bytes_field(&mut data, 2, &metadata);
    varint_field(&mut file, 1, u64::from(crc32c::crc32c(&data)));
    bytes_field(&mut file, 2, &data);
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_that_of_a_node() {
        let file = snap_file(4551, 7, 0x09ba_5132, &[0x08b3_7b07_b558_d4c0]);
        let hex: String = file.iter().map(|byte| format!("{byte:02x}")).collect();
        let expected =
            "08efeb95cd0812260a11454b56540100000000000011c709ba513212110a0a08c0a9e3aafbe0ded90810c7231807";
        assert_eq!(hex, expected);
    }
}
