//! Takes an `EKVPBBL1` file apart again.
//!
//! Owns: just enough to see order and number of rows in a file known to be well-formed.
//! Leaves: real reading to the crate under test.

/// The raw rows of a file that has a header of `header_len` bytes and, if `footer`, a footer; as far as it is well-formed.
pub fn raw_rows(file: &[u8], header_len: usize, footer: bool) -> Vec<(&[u8], &[u8])> {
    fn take<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
        let (length, after) = rest.split_first_chunk()?;
        let (field, after) = after.split_at_checked(u64::from_le_bytes(*length) as usize)?;
        *rest = after;
        Some(field)
    }
    let end = file.len() - if footer { 4 } else { 0 };
    let body = file.get(header_len..end).and_then(|body| body.strip_prefix(b"EKVPBBL1"));
    let mut rest = body.and_then(|body| body.get(8..)).unwrap_or_default();
    let mut rows = Vec::new();
    while let Some(key) = take(&mut rest) {
        let Some(value) = take(&mut rest) else { break };
        rows.push((key, value));
    }
    rows
}
