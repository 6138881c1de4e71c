//! Row keys of the S3 adapter: from bytes to typed records, and back (`docs/format/s3.md` section 1.1). Pure functions
//! over byte slices. What values hold is left to `chunk_ref`, `manifest` and `bucket`.

use std::borrow::Cow;

/// A row, by its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record<'a> {
    /// Generation counters, garbage notes and routes: derived, or of use to a node only.
    Bookkeeping,
    /// A prefix of no known kind.
    Unknown,
    /// What a bucket is.
    BucketMeta {
        /// Its name.
        bucket: Segment<'a>,
    },
    /// The manifest of an object.
    Head(Object<'a>),
    /// Bytes of an object.
    Chunk(Chunk<'a>),
    /// The way to bytes of an object that lie elsewhere.
    ChunkRef(Chunk<'a>),
    /// Bytes under their own digest, kept by each node for itself.
    ChunkBlob {
        /// SHA-256 of the bytes, if they are whole.
        digest: [u8; 32],
    },
    /// A multipart upload that was begun.
    UploadMeta(Upload<'a>),
    /// A part of a multipart upload.
    UploadPart {
        /// The upload.
        upload: Upload<'a>,
        /// Number of the part.
        part: u64,
    },
}

/// One object of one generation of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Object<'a> {
    /// The bucket's name.
    pub bucket: Segment<'a>,
    /// Counts how often the bucket has been made.
    pub generation: u64,
    /// The object key: any bytes.
    pub object: Segment<'a>,
}

/// One upload of an object, in one piece or in parts: what chunks belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upload<'a> {
    /// The object.
    pub object: Object<'a>,
    /// The upload's own id: any bytes.
    pub upload_id: Segment<'a>,
    /// All of it as it stands in the row key, by which two can be compared.
    pub encoded: &'a [u8],
}

/// The place of a chunk in an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk<'a> {
    /// The upload.
    pub upload: Upload<'a>,
    /// Number of the part.
    pub part: u64,
    /// Number of the chunk in its part, from 0.
    pub chunk: u64,
    /// Version of the part (of the reference for offloaded chunks), 0 if the key has none.
    pub version: u64,
}

/// Bytes as they stand escaped in a row key, without their terminator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment<'a>(&'a [u8]);

impl<'a> Segment<'a> {
    /// The bytes themselves.
    pub fn decode(self) -> Cow<'a, [u8]> {
        if !self.0.contains(&0) {
            return Cow::Borrowed(self.0);
        }
        let mut bytes = Vec::with_capacity(self.0.len());
        let mut rest = self.0.iter();
        while let Some(&byte) = rest.next() {
            bytes.push(byte);
            if byte == 0 {
                rest.next();
            }
        }
        Cow::Owned(bytes)
    }
}

/// A row key that does not have the layout of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the row key does not have the layout of {0}")]
pub struct Malformed(&'static str);

const BUCKET_META: &[u8] = b"!s3|bucket|meta|";
const HEAD: &[u8] = b"!s3|obj|head|";
const CHUNK: &[u8] = b"!s3|blob|";
const CHUNK_REF: &[u8] = b"!s3|chunkref|";
const CHUNK_BLOB: &[u8] = b"!s3|chunkblob|";
/// Opens the keys of uploads that were begun.
pub const UPLOAD_META: &str = "!s3|upload|meta|";
/// Opens the keys of parts that were uploaded.
pub const UPLOAD_PART: &str = "!s3|upload|part|";
const BOOKKEEPING: [&[u8]; 3] = [b"!s3|bucket|gen|", b"!s3|gc|upload|", b"!s3route|"];

/// Takes a row key apart.
///
/// # Errors
/// The kind whose layout it does not have.
pub fn decode(user_key: &[u8]) -> Result<Record<'_>, Malformed> {
    let after = |prefix: &[u8]| user_key.strip_prefix(prefix);
    if let Some(rest) = after(CHUNK) {
        return chunk(rest).map(Record::Chunk).ok_or(Malformed("an S3 chunk"));
    }
    if let Some(rest) = after(HEAD) {
        return whole(object(rest)).map(Record::Head).ok_or(Malformed("an S3 object manifest"));
    }
    if let Some(rest) = after(CHUNK_REF) {
        return chunk(rest).map(Record::ChunkRef).ok_or(Malformed("an S3 chunk reference"));
    }
    if let Some(rest) = after(CHUNK_BLOB) {
        let digest = digest(rest).ok_or(Malformed("an S3 chunkblob"))?;
        return Ok(Record::ChunkBlob { digest });
    }
    if let Some(rest) = after(BUCKET_META) {
        let bucket = whole(segment(rest)).ok_or(Malformed("an S3 bucket"))?;
        return Ok(Record::BucketMeta { bucket });
    }
    if let Some(rest) = after(UPLOAD_META.as_bytes()) {
        return whole(upload(rest)).map(Record::UploadMeta).ok_or(Malformed("an S3 upload"));
    }
    if let Some(rest) = after(UPLOAD_PART.as_bytes()) {
        let found = upload(rest).and_then(|(upload, rest)| Some((upload, whole(be64(rest))?)));
        let (upload, part) = found.ok_or(Malformed("a part of an S3 upload"))?;
        return Ok(Record::UploadPart { upload, part });
    }
    if BOOKKEEPING.iter().any(|prefix| user_key.starts_with(prefix)) {
        return Ok(Record::Bookkeeping);
    }
    Ok(Record::Unknown)
}

/// The row key of a manifest.
pub fn head_key(bucket: &[u8], generation: u64, object: &[u8]) -> Vec<u8> {
    let mut key = HEAD.to_vec();
    push_object(bucket, generation, object, &mut key);
    key
}

/// The row key of an upload, or of one of its parts; `object` is bucket, generation and object key.
pub fn upload_key(object: (&[u8], u64, &[u8]), upload_id: &[u8], part: Option<u64>) -> Vec<u8> {
    let mut key = if part.is_some() { UPLOAD_PART } else { UPLOAD_META }.as_bytes().to_vec();
    push_object(object.0, object.1, object.2, &mut key);
    push_segment(upload_id, &mut key);
    key.extend(part.iter().flat_map(|part| part.to_be_bytes()));
    key
}

fn push_object(bucket: &[u8], generation: u64, object: &[u8], out: &mut Vec<u8>) {
    push_segment(bucket, out);
    out.extend_from_slice(&generation.to_be_bytes());
    push_segment(object, out);
}

fn push_segment(bytes: &[u8], out: &mut Vec<u8>) {
    for (i, run) in bytes.split(|&byte| byte == 0).enumerate() {
        if i > 0 {
            out.extend_from_slice(&[0, 0xFF]);
        }
        out.extend_from_slice(run);
    }
    out.extend_from_slice(&[0, 1]);
}

fn whole<T>(found: Option<(T, &[u8])>) -> Option<T> {
    found.and_then(|(found, rest)| rest.is_empty().then_some(found))
}

fn object(bytes: &[u8]) -> Option<(Object<'_>, &[u8])> {
    let (bucket, rest) = segment(bytes)?;
    let (generation, rest) = be64(rest)?;
    let (object, rest) = segment(rest)?;
    Some((Object { bucket, generation, object }, rest))
}

fn upload(bytes: &[u8]) -> Option<(Upload<'_>, &[u8])> {
    let (object, rest) = object(bytes)?;
    let (upload_id, rest) = segment(rest)?;
    let encoded = bytes.get(..bytes.len() - rest.len())?;
    Some((Upload { object, upload_id, encoded }, rest))
}

fn chunk(bytes: &[u8]) -> Option<Chunk<'_>> {
    let (upload, rest) = upload(bytes)?;
    let (part, rest) = be64(rest)?;
    let (chunk, rest) = be64(rest)?;
    // Version 0 is the short form, so that a chunk has one key only.
    let version = if rest.is_empty() { 0 } else { whole(be64(rest)).filter(|version| *version > 0)? };
    Some(Chunk { upload, part, chunk, version })
}

/// Up to its terminator; an escape that is none makes it malformed.
fn segment(bytes: &[u8]) -> Option<(Segment<'_>, &[u8])> {
    let mut at = 0;
    loop {
        at += bytes.get(at..)?.iter().position(|&byte| byte == 0)?;
        match bytes.get(at + 1)? {
            0x01 => return Some((Segment(bytes.get(..at)?), bytes.get(at + 2..)?)),
            0xFF => at += 2,
            _ => return None,
        }
    }
}

fn be64(bytes: &[u8]) -> Option<(u64, &[u8])> {
    bytes.split_first_chunk().map(|(field, rest)| (u64::from_be_bytes(*field), rest))
}

/// 64 hex digits, which writers and lookups spell in lower case.
fn digest(digits: &[u8]) -> Option<[u8; 32]> {
    let nibble = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut digest = [0; 32];
    if digits.len() != 64 {
        return None;
    }
    for (byte, pair) in digest.iter_mut().zip(digits.as_chunks().0) {
        let [high, low] = *pair;
        *byte = nibble(high)? << 4 | nibble(low)?;
    }
    Some(digest)
}

#[cfg(test)]
mod tests;
