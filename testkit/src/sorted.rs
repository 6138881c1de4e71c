//! Correct `EKVPBBL1` files from rows in any order.
//!
//! Owns: the strictly ascending raw-key order of `docs/format/snapshot.md` section 2, operational rows
//! included. Leaves: bytes to [`crate::writer`], and wrong files to whoever calls that directly.

use std::collections::BTreeMap;
use std::io::{self, Write};

use crate::container::{Footer, HlcHeader};
use crate::version::Version;
use crate::writer::SnapshotWriter;

/// Collects rows in memory and writes them in the order of their raw keys.
#[derive(Debug, Clone)]
pub struct SortedSnapshot {
    /// What stands before the body; none unless set.
    pub header: HlcHeader,
    /// The body's `last_commit_ts` (HLC).
    pub last_commit_ts: u64,
    /// What stands after the body; the right checksum unless set.
    pub footer: Footer,
    rows: BTreeMap<Vec<u8>, Vec<u8>>,
    repeated: bool,
}

impl SortedSnapshot {
    /// A snapshot without rows or header, with a footer.
    pub fn new(last_commit_ts: u64) -> Self {
        let (header, footer) = (HlcHeader::None, Footer::Good);
        Self { header, last_commit_ts, footer, rows: BTreeMap::new(), repeated: false }
    }

    /// The same with this header.
    pub fn header(self, header: HlcHeader) -> Self {
        Self { header, ..self }
    }

    /// The same with this footer.
    pub fn footer(self, footer: Footer) -> Self {
        Self { footer, ..self }
    }

    /// Adds one version.
    pub fn version(self, version: &Version) -> Self {
        self.raw(version.raw_key(), version.raw_value())
    }

    /// Adds versions in any order.
    pub fn versions<'a>(self, versions: impl IntoIterator<Item = &'a Version>) -> Self {
        versions.into_iter().fold(self, Self::version)
    }

    /// Adds an operational row; `name` is its whole raw key, such as [`crate::writer::APPLIED_INDEX`].
    pub fn operational(self, name: &[u8], number: u64) -> Self {
        self.raw(name, number.to_le_bytes())
    }

    /// Adds a row with any raw key and raw value, in its sorted place.
    pub fn raw(mut self, raw_key: impl Into<Vec<u8>>, raw_value: impl Into<Vec<u8>>) -> Self {
        self.repeated |= self.rows.insert(raw_key.into(), raw_value.into()).is_some();
        self
    }

    /// Writes the file to `out`. A raw key added twice is `InvalidInput`: no correct file holds it.
    pub fn write_to<W: Write>(&self, out: W) -> io::Result<W> {
        if self.repeated {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a raw key was added twice"));
        }
        let mut writer = SnapshotWriter::new(out, &self.header, self.last_commit_ts)?;
        for (raw_key, raw_value) in &self.rows {
            writer.raw(raw_key, raw_value)?;
        }
        writer.finish(self.footer)
    }

    /// The file as bytes; fails like [`SortedSnapshot::write_to`].
    pub fn to_bytes(&self) -> io::Result<Vec<u8>> {
        self.write_to(Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::split::raw_rows;
    use crate::writer::{APPLIED_INDEX, LAST_COMMIT_TS};

    #[test]
    fn rows_in_any_order_come_out_ascending_with_operational_rows_in_their_place() {
        let file = SortedSnapshot::new(9)
            .header(HlcHeader::V1 { ceiling_ms: 1 })
            .operational(LAST_COMMIT_TS, 9)
            .versions(&[Version::put("z", 1, "old"), Version::put("z", 2, "new"), Version::put("A", 1, "")])
            .operational(APPLIED_INDEX, 3)
            .to_bytes()
            .unwrap();
        let keys: Vec<_> = raw_rows(&file, 16, true).into_iter().map(|(key, _)| key.to_vec()).collect();
        let [a, z2, z1] = [("A", 1), ("z", 2), ("z", 1)].map(|(k, ts)| Version::put(k, ts, "").raw_key());
        assert_eq!(keys, [a, APPLIED_INDEX.to_vec(), LAST_COMMIT_TS.to_vec(), z2, z1]);
    }

    #[test]
    fn one_version_given_twice_is_refused() {
        let twice = SortedSnapshot::new(9).versions(&[Version::put("k", 1, "a"), Version::put("k", 1, "b")]);
        assert_eq!(twice.to_bytes().unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}
