//! `EKVSSTI1` bodies: SSTables with rows, and the manifest that names them.
//!
//! Owns: `docs/format/sstable.md` section 1, as a node writes it, with every digest and sum made to fit. It holds
//! everything in memory.
//! Leaves: what is inside a table to `parts`, header and footer to [`crate::container`].

mod parts;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

pub use self::parts::{
    Compress, Cut, FOOTER_BYTES, Parts, RawRow, SEPARATOR_TRAILER, Stored, block, data_block, mend,
};

/// A table as the manifest of a bundle names it.
#[derive(Clone, Debug)]
pub struct Table {
    /// All of it.
    pub bytes: Vec<u8>,
    /// First and last row key.
    pub smallest: Vec<u8>,
    /// See above.
    pub largest: Vec<u8>,
    /// Number of rows.
    pub rows: u64,
    /// Bytes of row keys and row values.
    pub row_bytes: u64,
}

impl Table {
    /// A table of these rows, which are in order.
    pub fn of(rows: &[RawRow], cut: &Cut) -> Self {
        Self::with(Parts::of(rows, cut).to_bytes(), rows)
    }

    /// These bytes as the table of these rows.
    pub fn with(bytes: Vec<u8>, rows: &[RawRow]) -> Self {
        let key = |row: Option<&RawRow>| row.map(|(key, _)| key.clone()).unwrap_or_default();
        let row_bytes = rows.iter().map(|(key, value)| (key.len() + value.len()) as u64).sum();
        let (smallest, largest) = (key(rows.first()), key(rows.last()));
        Self { bytes, smallest, largest, rows: rows.len() as u64, row_bytes }
    }
}

/// A bundle before it is put together.
#[derive(Clone, Debug, Default)]
pub struct Bundle {
    /// The tables, in order.
    pub tables: Vec<Table>,
    /// The commit timestamp of the newest write (HLC).
    pub last_commit_ts: u64,
    /// The oldest moment that can be read (HLC).
    pub min_retained_ts: u64,
    /// The Raft index applied last.
    pub applied_index: Option<u64>,
}

impl Bundle {
    /// A bundle of these rows in tables of so many.
    pub fn of(rows: &[RawRow], table_rows: usize, cut: &Cut, last_commit_ts: u64) -> Self {
        let tables = rows.chunks(table_rows.max(1)).map(|rows| Table::of(rows, cut)).collect();
        Self { tables, last_commit_ts, ..Self::default() }
    }

    /// The manifest as a node writes it.
    pub fn manifest(&self) -> String {
        let files: Vec<_> =
            self.tables.iter().enumerate().map(|(number, table)| file(number, table)).collect();
        let files = if files.is_empty() { "null".to_owned() } else { format!("[{}]", files.join(",")) };
        let applied_index = self.applied_index.map(|index| format!("\"applied_index\":{index},"));
        let sum = |of: fn(&Table) -> u64| self.tables.iter().map(of).sum::<u64>();
        format!(
            "{{\"version\":1,\"last_commit_ts\":{},\"min_retained_ts\":{},\"pending_min_retained_ts\":0,{}\
             \"entry_count\":{},\"uncompressed_bytes\":{},\"total_file_bytes\":{},\"files\":{files}}}",
            self.last_commit_ts,
            self.min_retained_ts,
            applied_index.unwrap_or_default(),
            sum(|table| table.rows),
            sum(|table| table.row_bytes),
            sum(|table| table.bytes.len() as u64),
        )
    }

    /// The body with this manifest, whose length and digest are made to fit.
    pub fn with_manifest(&self, manifest: &str) -> Vec<u8> {
        let mut body = b"EKVSSTI1".to_vec();
        body.extend((manifest.len() as u64).to_be_bytes());
        body.extend(Sha256::digest(manifest));
        body.extend(manifest.as_bytes());
        self.tables.iter().for_each(|table| body.extend(&table.bytes));
        body
    }

    /// The body.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.with_manifest(&self.manifest())
    }
}

fn file(number: usize, table: &Table) -> String {
    let digest: String = Sha256::digest(&table.bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!(
        "{{\"name\":\"{number:06}.sst\",\"size\":{},\"sha256\":\"{digest}\",\"smallest\":\"{}\",\"largest\":\"{}\"}}",
        table.bytes.len(),
        STANDARD.encode(&table.smallest),
        STANDARD.encode(&table.largest)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::{Footer, HlcHeader, frame};
    use crate::version::Version;
    use crate::writer::APPLIED_INDEX;

    fn rows_of_table_a() -> Vec<RawRow> {
        let put = Version::put("!redis|str|a", 0x0102_0304_0506_0708, "hello");
        let deleted = Version::tombstone("!redis|str|a", 7);
        vec![
            (put.raw_key(), put.raw_value()),
            (deleted.raw_key(), deleted.raw_value()),
            (APPLIED_INDEX.to_vec(), 42u64.to_le_bytes().to_vec()),
        ]
    }

    #[test]
    fn table_a_and_bundle_b_of_the_format_page_come_out_to_the_byte() {
        let rows = rows_of_table_a();
        let table = Table::of(&rows, &Cut::default());
        assert_eq!(table.bytes.len(), 660);
        let digest: String = Sha256::digest(&table.bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(digest, "a075ac4e6e525dee9e18920f3f80a64bc98c761e3aa03f4df9b9c4c7dff59677");
        let bundle = Bundle {
            tables: vec![table],
            last_commit_ts: 0x0102_0304_0506_0708,
            min_retained_ts: 0,
            applied_index: Some(42),
        };
        let file = frame(&HlcHeader::None, &bundle.to_bytes(), Footer::Good);
        assert_eq!(file.len(), 1092);
        assert_eq!(file[1088..], [0x19, 0x3b, 0x8f, 0xf1]);
    }

    #[test]
    fn an_empty_store_is_a_manifest_alone() {
        let body = Bundle::default().to_bytes();
        assert_eq!(body.len(), 201);
        assert_eq!(body[16..20], [0xb8, 0x6c, 0xd6, 0x0a]);
    }
}
