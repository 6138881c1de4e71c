//! The protobuf wire format, as far as values use it.
//!
//! Owns: bytes, varint and double fields, put one behind the other, repeated and unknown ones as the caller
//! likes. Hand-made, because the reader decodes with a crate or its own walk and the two must not agree by descent.
//! Leaves: which field means what to the row modules.

/// Appends a base-128 varint.
pub fn varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Appends a length-delimited field: a string, bytes or a nested message.
pub fn bytes_field(out: &mut Vec<u8>, field: u32, bytes: &[u8]) {
    varint(out, u64::from(field) << 3 | 2);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends a varint field.
pub fn varint_field(out: &mut Vec<u8>, field: u32, number: u64) {
    varint(out, u64::from(field) << 3);
    varint(out, number);
}

/// Appends a 64-bit field that holds a double.
pub fn double_field(out: &mut Vec<u8>, field: u32, number: f64) {
    varint(out, u64::from(field) << 3 | 1);
    out.extend(number.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_carry_tag_and_length_as_varints() {
        let mut out = Vec::new();
        bytes_field(&mut out, 2, &[b'x'; 300]);
        double_field(&mut out, 16, 1.0);
        assert_eq!(out[..3], [0x12, 0xac, 0x02]);
        assert_eq!(out[303..], *b"\x81\x01\0\0\0\0\0\0\xf0\x3f");
    }
}
