//! An ordinary snapshot as a bundle with the same rows, as a node that was set so would have written it.
//!
//! Owns: where a node cuts tables (`docs/format/sstable.md` section 5) and what its manifest repeats of the rows.
//! Leaves: bytes to [`crate::sst_writer`].

use crate::container::{Footer, HlcHeader, frame};
use crate::split::raw_rows;
use crate::sst_writer::{Bundle, Cut, RawRow, Table};
use crate::writer::{APPLIED_INDEX, MIN_RETAINED_TS};

/// A table of a node ends with the row that brings it to so many bytes of keys and values.
pub const TABLE_BYTES: usize = 64 << 20;

/// The bundle with the rows of an `EKVPBBL1` file that has an `EKVTHLC1` header and a footer.
pub fn bundled(file: &[u8], table_bytes: usize, cut: &Cut) -> Vec<u8> {
    const HEADER_BYTES: usize = 16;
    let number = |bytes: &[u8]| bytes.first_chunk().map_or(0, |&bytes| u64::from_le_bytes(bytes));
    let rows = raw_rows(file, HEADER_BYTES, true);
    let of = |name: &[u8]| rows.iter().find(|(key, _)| *key == name).map(|(_, value)| number(value));
    let mut bundle = Bundle {
        tables: Vec::new(),
        last_commit_ts: number(file.get(HEADER_BYTES + 8..).unwrap_or_default()),
        min_retained_ts: of(MIN_RETAINED_TS).unwrap_or(0),
        applied_index: of(APPLIED_INDEX),
    };
    let (mut table, mut bytes): (Vec<RawRow>, usize) = (Vec::new(), 0);
    for (key, value) in &rows {
        table.push((key.to_vec(), value.to_vec()));
        bytes += key.len() + value.len();
        if bytes >= table_bytes {
            bundle.tables.push(Table::of(&table, cut));
            (table, bytes) = (Vec::new(), 0);
        }
    }
    if !table.is_empty() {
        bundle.tables.push(Table::of(&table, cut));
    }
    let header = file.get(..HEADER_BYTES).unwrap_or_default().to_vec();
    frame(&HlcHeader::Bytes(header), &bundle.to_bytes(), Footer::Good)
}
