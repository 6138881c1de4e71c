//! A streaming writer of `EKVPBBL1` files.
//!
//! Owns: `docs/format/snapshot.md` section 2, row by row in the order of the calls, in constant
//! memory. It checks nothing: a wrong order or an impossible row is what some tests want.
//! Leaves: the right order to [`crate::sorted`], contents of keys and payloads to the row modules.

use std::io::{self, BufWriter, Write};

use crate::container::{Footer, HlcHeader};
use crate::version::{FLAG_TOMBSTONE, Version};

/// The operational row with the last commit timestamp (`docs/format/snapshot.md` section 2).
pub const LAST_COMMIT_TS: &[u8] = b"_meta_last_commit_ts";
/// The operational row that bounds time travel.
pub const MIN_RETAINED_TS: &[u8] = b"_meta_min_retained_ts";
/// The operational row of a compaction under way.
pub const PENDING_MIN_RETAINED_TS: &[u8] = b"_meta_pending_min_retained_ts";
/// The operational row with the applied Raft index.
pub const APPLIED_INDEX: &[u8] = b"_meta_applied_index";

// Checksum and system calls work on pieces of this size, whatever the size of a row.
const BUFFER_BYTES: usize = 256 << 10;

/// Sums what passes. It sits below the buffer, so that it sees few large pieces.
#[derive(Debug)]
struct Summing<W> {
    inner: W,
    crc: u32,
}

impl<W: Write> Write for Summing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.crc = crc32c::crc32c_append(self.crc, &bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Writes one `EKVPBBL1` file to `W`; it buffers by itself, so `W` may be a bare file.
#[derive(Debug)]
pub struct SnapshotWriter<W: Write> {
    out: BufWriter<Summing<W>>,
    offset: u64,
}

impl<W: Write> SnapshotWriter<W> {
    /// Starts a file: header, magic and the body's `last_commit_ts` (HLC).
    pub fn new(out: W, header: &HlcHeader, last_commit_ts: u64) -> io::Result<Self> {
        let out = BufWriter::with_capacity(BUFFER_BYTES, Summing { inner: out, crc: 0 });
        let mut writer = Self { out, offset: 0 };
        writer.put(&header.to_bytes())?;
        writer.put(b"EKVPBBL1")?;
        writer.put(&last_commit_ts.to_le_bytes())?;
        Ok(writer)
    }

    /// The byte offset in the file at which the next row begins.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// A value without expiry.
    pub fn version(&mut self, user_key: &[u8], commit_ts: u64, payload: &[u8]) -> io::Result<()> {
        self.flagged(user_key, commit_ts, 0, 0, payload)
    }

    /// A value that ends at the HLC timestamp `expire_at`.
    pub fn expiring(
        &mut self,
        user_key: &[u8],
        commit_ts: u64,
        expire_at: u64,
        payload: &[u8],
    ) -> io::Result<()> {
        self.flagged(user_key, commit_ts, 0, expire_at, payload)
    }

    /// A deletion.
    pub fn tombstone(&mut self, user_key: &[u8], commit_ts: u64) -> io::Result<()> {
        self.flagged(user_key, commit_ts, FLAG_TOMBSTONE, 0, &[])
    }

    /// A versioned row with any flag byte, reserved bits included.
    pub fn flagged(
        &mut self,
        user_key: &[u8],
        commit_ts: u64,
        flags: u8,
        expire_at: u64,
        payload: &[u8],
    ) -> io::Result<()> {
        self.put(&(user_key.len() as u64 + 8).to_le_bytes())?;
        self.put(user_key)?;
        self.put(&(!commit_ts).to_be_bytes())?;
        self.put(&(payload.len() as u64 + 9).to_le_bytes())?;
        self.put(&[flags])?;
        self.put(&expire_at.to_le_bytes())?;
        self.put(payload)
    }

    /// A version as a value of its own type.
    pub fn row(&mut self, version: &Version) -> io::Result<()> {
        self.raw(&version.raw_key(), &version.raw_value())
    }

    /// An operational row: `name` is its whole raw key, such as [`APPLIED_INDEX`].
    pub fn operational(&mut self, name: &[u8], number: u64) -> io::Result<()> {
        self.raw(name, &number.to_le_bytes())
    }

    /// Any raw key with any raw value.
    pub fn raw(&mut self, raw_key: &[u8], raw_value: &[u8]) -> io::Result<()> {
        self.put(&(raw_key.len() as u64).to_le_bytes())?;
        self.put(raw_key)?;
        self.put(&(raw_value.len() as u64).to_le_bytes())?;
        self.put(raw_value)
    }

    /// Bytes outside any row, for half rows and lengths that lie. The footer covers them.
    pub fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.put(bytes)
    }

    /// Writes the footer, flushes and hands `W` back.
    pub fn finish(mut self, footer: Footer) -> io::Result<W> {
        self.out.flush()?;
        let crc = self.out.get_ref().crc;
        self.out.write_all(&footer.to_bytes(crc))?;
        self.out.flush()?;
        let summing = self.out.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok(summing.inner)
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.offset += bytes.len() as u64;
        self.out.write_all(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::frame;

    fn written(header: &HlcHeader, footer: Footer) -> Vec<u8> {
        let mut writer = SnapshotWriter::new(Vec::new(), header, 0x0102).unwrap();
        writer.version(b"k", 1, b"v").unwrap();
        writer.operational(APPLIED_INDEX, 4711).unwrap();
        writer.finish(footer).unwrap()
    }

    #[test]
    fn a_small_file_has_exactly_the_bytes_of_the_format() {
        let mut expected = b"EKVPBBL1\x02\x01\0\0\0\0\0\0".to_vec();
        expected.extend(b"\x09\0\0\0\0\0\0\0k\xff\xff\xff\xff\xff\xff\xff\xfe");
        expected.extend(b"\x0a\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0v");
        expected.extend(b"\x13\0\0\0\0\0\0\0_meta_applied_index\x08\0\0\0\0\0\0\0\x67\x12\0\0\0\0\0\0");
        assert_eq!(written(&HlcHeader::None, Footer::None), expected);
    }

    #[test]
    fn the_footer_covers_header_and_body() {
        let header = HlcHeader::V1 { ceiling_ms: 5 };
        let body = written(&HlcHeader::None, Footer::None);
        for footer in [Footer::Good, Footer::None, Footer::Wrong] {
            assert_eq!(written(&header, footer), frame(&header, &body, footer));
        }
    }

    #[test]
    fn the_checksum_is_right_beyond_one_buffer_and_through_short_writes() {
        struct Short(Vec<u8>);
        impl Write for Short {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                let some = &bytes[..bytes.len().min(1000)];
                self.0.extend_from_slice(some);
                Ok(some.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut writer = SnapshotWriter::new(Short(Vec::new()), &HlcHeader::None, 1).unwrap();
        for i in 0..9000u32 {
            writer.version(&i.to_be_bytes(), 1, &[7; 100]).unwrap();
        }
        writer.version(b"large", 1, &vec![8; 2 * BUFFER_BYTES]).unwrap();
        let end = writer.offset() as usize;
        let file = writer.finish(Footer::Good).unwrap().0;
        assert_eq!(file, frame(&HlcHeader::None, &file[..end], Footer::Good));
    }

    #[test]
    fn a_version_value_and_the_direct_calls_give_the_same_row() {
        let mut direct = SnapshotWriter::new(Vec::new(), &HlcHeader::None, 1).unwrap();
        direct.expiring(b"a", 3, 9, b"x").unwrap();
        direct.tombstone(b"b", 2).unwrap();
        let mut by_value = SnapshotWriter::new(Vec::new(), &HlcHeader::None, 1).unwrap();
        by_value.row(&Version::expiring("a", 3, 9, "x")).unwrap();
        by_value.row(&Version::tombstone("b", 2)).unwrap();
        assert_eq!(direct.finish(Footer::Good).unwrap(), by_value.finish(Footer::Good).unwrap());
    }
}
