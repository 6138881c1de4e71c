//! `strings_ttl.jsonl` and `hll_ttl.jsonl`: the expiries of keys whose files are raw bytes and cannot hold one.
//!
//! Owns the form of a line (`docs/format/dump.md` section 3). The order, and which keys have an expiry, are left to the
//! caller.

/// Appends the line of one key: `encoded` is its file name without the extension, `expire_at_ms` Unix milliseconds.
pub fn push_line(encoded: &[u8], expire_at_ms: i64, out: &mut Vec<u8>) {
    // An encoded name holds no byte that JSON escapes.
    out.extend_from_slice(br#"{"key":""#);
    out.extend_from_slice(encoded);
    out.extend_from_slice(br#"","expire_at_ms":"#);
    out.extend_from_slice(itoa::Buffer::new().format(expire_at_ms).as_bytes());
    out.extend_from_slice(b"}\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_holds_the_encoded_name_and_the_expiry() {
        let mut out = Vec::new();
        push_line(b"user%3A1", 1_714_400_000_000, &mut out);
        push_line(b"", i64::MAX, &mut out);
        assert_eq!(
            String::from_utf8_lossy(&out),
            concat!(
                "{\"key\":\"user%3A1\",\"expire_at_ms\":1714400000000}\n",
                "{\"key\":\"\",\"expire_at_ms\":9223372036854775807}\n"
            )
        );
    }
}
