//! A writer of `EKVMVCC2` bodies, the in-memory store's format.
//!
//! Owns: `docs/format/snapshot.md` section 3. The checksum stands before what it covers, so the body
//! is kept in memory. Nothing is checked, except by [`mvcc_file`], which sorts its keys.
//! Leaves: header and footer to [`crate::container`].

use std::collections::BTreeMap;

use crate::container::{Footer, HlcHeader, frame};
use crate::version::Version;

/// The body's own checksum, CRC-32 IEEE, which the file's footer does not replace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Checksum {
    /// The right one.
    #[default]
    Good,
    /// One that differs in every bit.
    Wrong,
}

/// Builds one `EKVMVCC2` body, key by key in the order of the calls.
#[derive(Debug, Clone)]
pub struct MvccWriter {
    summed: Vec<u8>,
}

impl MvccWriter {
    /// Starts a body with its two timestamps (HLC).
    pub fn new(last_commit_ts: u64, min_retained_ts: u64) -> Self {
        Self { summed: [last_commit_ts.to_le_bytes(), min_retained_ts.to_le_bytes()].concat() }
    }

    /// One key with its versions in the order given; the `user_key` field of each is not looked at.
    pub fn key<'a>(&mut self, user_key: &[u8], versions: impl IntoIterator<Item = &'a Version>) {
        let versions: Vec<_> = versions.into_iter().collect();
        self.number(user_key.len() as u64);
        self.bytes(user_key);
        self.number(versions.len() as u64);
        for version in versions {
            self.number(version.commit_ts);
            self.bytes(&[u8::from(version.tombstone)]);
            self.number(version.expire_at);
            self.number(version.payload.len() as u64);
            self.bytes(&version.payload);
        }
    }

    /// Any bytes, for half entries and lengths that lie. The checksum covers them.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.summed.extend_from_slice(bytes);
    }

    /// The body: magic, format version 1, checksum, and what was added.
    pub fn body(&self, checksum: Checksum) -> Vec<u8> {
        let crc = match checksum {
            Checksum::Good => crc32fast::hash(&self.summed),
            Checksum::Wrong => !crc32fast::hash(&self.summed),
        };
        [b"EKVMVCC2".as_slice(), &1u32.to_le_bytes(), &crc.to_le_bytes(), &self.summed].concat()
    }

    fn number(&mut self, number: u64) {
        self.bytes(&number.to_le_bytes());
    }
}

/// A correct file: keys ascending, versions of one key in the order given, right checksum and footer.
pub fn mvcc_file<'a>(
    header: &HlcHeader,
    last_commit_ts: u64,
    min_retained_ts: u64,
    versions: impl IntoIterator<Item = &'a Version>,
) -> Vec<u8> {
    let mut keys: BTreeMap<&[u8], Vec<&Version>> = BTreeMap::new();
    for version in versions {
        keys.entry(&version.user_key).or_default().push(version);
    }
    let mut writer = MvccWriter::new(last_commit_ts, min_retained_ts);
    for (user_key, versions) in keys {
        writer.key(user_key, versions);
    }
    frame(header, &writer.body(Checksum::Good), Footer::Good)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_file_has_exactly_the_bytes_of_the_format() {
        let versions =
            [Version::put("b", 1, "v"), Version::tombstone("a", 5), Version::expiring("b", 2, 7, "")];
        let mut summed = b"\x09\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0".to_vec();
        summed.extend(b"\x01\0\0\0\0\0\0\0a\x01\0\0\0\0\0\0\0");
        summed.extend(b"\x05\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
        summed.extend(b"\x01\0\0\0\0\0\0\0b\x02\0\0\0\0\0\0\0");
        summed.extend(b"\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0v");
        summed.extend(b"\x02\0\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
        let crc = crc32fast::hash(&summed).to_le_bytes();
        let body = [b"EKVMVCC2\x01\0\0\0".as_slice(), &crc, &summed].concat();
        let file = mvcc_file(&HlcHeader::None, 9, 3, &versions);
        assert_eq!(file, frame(&HlcHeader::None, &body, Footer::Good));
    }

    #[test]
    fn the_checksum_is_the_ieee_one() {
        let mut writer = MvccWriter { summed: Vec::new() };
        writer.bytes(b"123456789");
        assert_eq!(writer.body(Checksum::Good)[12..16], [0x26, 0x39, 0xf4, 0xcb]);
        assert_eq!(writer.body(Checksum::Wrong)[12..16], [0xd9, 0xc6, 0x0b, 0x34]);
    }
}
