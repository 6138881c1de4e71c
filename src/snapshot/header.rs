//! The outermost layer of a file: the HLC header, and the choice of body that its magic makes
//! (`docs/format/snapshot.md` sections 1 and 1.1). Leaves the bodies to their own modules.

use super::error::{Corruption, Magic, SnapshotError, Unsupported};
use super::input::Input;
use super::limits::HLC2_BYTES;

/// An HLC header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// 1 for `EKVTHLC1`, 2 for `EKVTHLC2`.
    pub version: u8,
    /// No timestamp of the node exceeds this wall time, in Unix milliseconds.
    pub ceiling_ms: u64,
    /// Raft index from which on the log was enveloped (`EKVTHLC2` only).
    pub cutover_index: Option<u64>,
}

/// The body formats of `docs/format/snapshot.md` sections 2 to 4, and no body at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyFormat {
    /// `EKVPBBL1`, the ordinary one.
    Pebble,
    /// `EKVMVCC2`, of the in-memory store.
    Mvcc,
    /// `EKVSSTI1`, a bundle of SSTables.
    Sst,
    /// Zero bytes: the state is empty.
    Empty,
}

impl BodyFormat {
    /// The magic, or `empty`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pebble => "EKVPBBL1",
            Self::Mvcc => "EKVMVCC2",
            Self::Sst => "EKVSSTI1",
            Self::Empty => "empty",
        }
    }
}

const MAGIC_BYTES: usize = 8;
const HEADER_STEM: &[u8] = b"EKVTHLC";

/// Reads the header, if there is one.
///
/// # Errors
/// A newer header, a length out of range, the end of the file inside the header.
pub fn read_header(input: &mut Input) -> Result<Option<Header>, SnapshotError> {
    let start = input.offset();
    let shown = input.peek(MAGIC_BYTES + 2 + usize::from(*HLC2_BYTES.end()))?;
    if shown.len() < MAGIC_BYTES || !shown.starts_with(HEADER_STEM) {
        return Ok(None);
    }
    let rest = &shown[MAGIC_BYTES..];
    let (header, length) = match shown[HEADER_STEM.len()] {
        b'1' => match be64(rest) {
            Some(ceiling_ms) => (Header { version: 1, ceiling_ms, cutover_index: None }, MAGIC_BYTES + 8),
            None => return Err(input.truncated(start, "header")),
        },
        b'2' => {
            let Some(&[high, low]) = rest.first_chunk() else {
                return Err(input.truncated(start, "header"));
            };
            let length = u16::from_be_bytes([high, low]);
            if !HLC2_BYTES.contains(&length) {
                return Err(input.corrupt(start, Corruption::HeaderLength(length)));
            }
            let fields = rest.get(2..2 + usize::from(length)).unwrap_or_default();
            match (be64(fields), fields.get(8..).and_then(be64)) {
                (Some(ceiling_ms), cutover_index @ Some(_)) => {
                    (Header { version: 2, ceiling_ms, cutover_index }, MAGIC_BYTES + 2 + usize::from(length))
                }
                _ => return Err(input.truncated(start, "header")),
            }
        }
        _ => {
            let magic = Magic(&shown[..MAGIC_BYTES]).to_string();
            return Err(input.unsupported(start, Unsupported::Header(magic)));
        }
    };
    input.consume(length);
    Ok(Some(header))
}

/// Reads the magic of the body. Leaves a body that is empty, and the footer after it, untouched.
///
/// # Errors
/// Bytes that are no known body.
pub fn read_body_magic(input: &mut Input) -> Result<BodyFormat, SnapshotError> {
    let start = input.offset();
    let shown = input.peek(MAGIC_BYTES)?;
    let Some(magic) = shown.first_chunk::<MAGIC_BYTES>() else {
        // Nothing, or the four bytes of a footer: `Reader` looks at them as at the end of any other body.
        return match shown.len() {
            0 | 4 => Ok(BodyFormat::Empty),
            _ => Err(input.truncated(start, "body")),
        };
    };
    let format = match magic {
        b"EKVPBBL1" => BodyFormat::Pebble,
        b"EKVMVCC2" => BodyFormat::Mvcc,
        b"EKVSSTI1" => BodyFormat::Sst,
        other => {
            let known_stem = [&b"EKVPBBL"[..], b"EKVMVCC", b"EKVSSTI"].iter().any(|s| other.starts_with(s));
            let magic = Magic(other).to_string();
            return Err(if known_stem {
                input.unsupported(start, Unsupported::Body(magic))
            } else {
                input.corrupt(start, Corruption::NotASnapshot(magic))
            });
        }
    };
    input.consume(MAGIC_BYTES);
    Ok(format)
}

fn be64(bytes: &[u8]) -> Option<u64> {
    bytes.first_chunk().map(|&chunk| u64::from_be_bytes(chunk))
}
