//! Takes an `EKVPBBL1` file apart again, for this crate's own tests.
//!
//! Owns: just enough to see order and number of rows in a file known to be well-formed.
//! Leaves: real reading to the crate under test.

/// The raw rows of a file that has a header of `header_len` bytes and, if `footer`, a footer.
pub(crate) fn raw_rows(file: &[u8], header_len: usize, footer: bool) -> Vec<(&[u8], &[u8])> {
    fn take<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
        let len = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
        let (field, after) = rest[8..].split_at(len);
        *rest = after;
        field
    }
    let end = file.len() - if footer { 4 } else { 0 };
    let mut rest = file[header_len..end].strip_prefix(b"EKVPBBL1").unwrap()[8..].as_ref();
    let mut rows = Vec::new();
    while !rest.is_empty() {
        rows.push((take(&mut rest), take(&mut rest)));
    }
    rows
}
