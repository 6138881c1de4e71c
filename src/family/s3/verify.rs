//! Is everything there that the objects' manifests name, and is it what they say? The checks of `docs/format/s3.md`
//! section 2.10. What is missing, or of another size, makes an object one that is reported and not written; an MD5 that
//! disagrees is reported only.

use std::fmt::Write;

use md5::{Digest, Md5};
use rusqlite::{Connection, OptionalExtension, Row, Statement};
use sha2::Sha256;

use super::body::Bytes;
use super::reconcile::Named;
use crate::error::Error;
use crate::family::Reconcile;
use crate::progress::Progress;
use crate::snapshot::Readable;
use crate::staging::column::{blob, text};
use crate::staging::{Kind, LargeValues, StagingError, U64, Warnings};

/// Bytes read at a time.
const READ_BYTES: usize = 256 << 10;

const PARTS: &str = "SELECT ordinal, part_no, etag, size_bytes, chunk_count, chunks FROM s3_part WHERE upload = ? ORDER BY ordinal";

const CHUNKS: &str = "SELECT chunk, size, offloaded, length, value, start, source, digest, ref_size, source_peer, \
     replicas, invalid FROM s3_selected_chunk WHERE upload = ? AND part = ? ORDER BY chunk";

/// Looks at every object, and notes in `s3_fault` what is wrong.
pub(super) fn verify(run: &mut Reconcile<'_, '_>) -> Result<(), Error> {
    let connection = run.staging.connection();
    let (mut parts, mut chunks) = (connection.prepare(PARTS)?, connection.prepare(CHUNKS)?);
    let mut checks = Checks {
        connection,
        large_values: run.large_values,
        progress: run.progress,
        warnings: run.warnings,
        buffer: vec![0; READ_BYTES],
        any_damaged: false,
    };
    let mut query = connection.prepare(
        "SELECT o.upload, o.etag, o.size_bytes, o.parts, b.name, o.object FROM s3_bucket b \
         CROSS JOIN s3_object o ON o.bucket = b.id ORDER BY b.name, o.object",
    )?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let object = Object {
            upload: row.get(0)?,
            etag: text(row, 1)?,
            size: row.get(2)?,
            parts: row.get(3)?,
            name: Named(blob(row, 4)?, blob(row, 5)?),
        };
        checks.object(&object, &mut parts, &mut chunks)?;
    }
    if checks.any_damaged {
        connection.execute(
            "UPDATE s3_object SET damaged = 1 WHERE upload IN \
             (SELECT upload FROM s3_fault WHERE kind NOT IN ('s3_md5_mismatch', 's3_chunk_count_mismatch'))",
            [],
        )?;
    }
    Ok(())
}

/// Does a blob lie under this digest whose bytes have it? Of the versions of all files any will do.
pub(super) fn has_blob(
    connection: &Connection,
    large_values: &LargeValues<'_>,
    digest: &[u8],
    buffer: &mut [u8],
) -> Result<bool, StagingError> {
    loop {
        let known = connection
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM s3_chunk_blob WHERE digest = ? AND is_whole = 1)")?
            .query_row([digest], |row| row.get(0))?;
        if known {
            return Ok(true);
        }
        let mut unknown = connection.prepare_cached(
            "SELECT length, value, start, source, commit_ts FROM s3_chunk_blob \
             WHERE digest = ? AND is_whole IS NULL LIMIT 1",
        )?;
        let mut rows = unknown.query([digest])?;
        let Some(row) = rows.next()? else { return Ok(false) };
        let mut hash = Sha256::new();
        if let Some(bytes) = Bytes::of(row, 0, large_values)? {
            bytes.read(large_values, buffer, |piece| hash.update(piece))?;
        }
        let (source, commit_ts): (i64, U64) = (row.get(3)?, row.get(4)?);
        drop(rows);
        connection
            .prepare_cached(
                "UPDATE s3_chunk_blob SET is_whole = ? WHERE digest = ? AND source = ? AND commit_ts = ?",
            )?
            .execute((hash.finalize()[..] == *digest, digest, source, commit_ts))?;
    }
}

/// Calls a closure with the bytes under a digest, if [`has_blob`] has found any.
pub(super) fn with_blob<T, E: From<StagingError>>(
    connection: &Connection,
    large_values: &LargeValues<'_>,
    digest: &[u8],
    take: impl FnOnce(&Bytes<'_>) -> Result<T, E>,
) -> Result<Option<T>, E> {
    let failed = |error: rusqlite::Error| StagingError::from(error);
    let mut query = connection
        .prepare_cached(
            "SELECT length, value, start, source FROM s3_chunk_blob WHERE digest = ? AND is_whole = 1 LIMIT 1",
        )
        .map_err(failed)?;
    let mut rows = query.query([digest]).map_err(failed)?;
    let Some(row) = rows.next().map_err(failed)? else { return Ok(None) };
    match Bytes::of(row, 0, large_values)? {
        Some(bytes) => take(&bytes).map(Some),
        None => Ok(None),
    }
}

struct Object<'a> {
    upload: i64,
    etag: &'a str,
    size: i64,
    parts: i64,
    name: Named<'a>,
}

struct Part<'a> {
    ordinal: i64,
    number: u64,
    etag: &'a str,
    size: i64,
}

struct Checks<'a, 'c> {
    connection: &'c Connection,
    large_values: &'a LargeValues<'c>,
    progress: &'a dyn Progress,
    warnings: &'a mut Warnings,
    buffer: Vec<u8>,
    any_damaged: bool,
}

impl Checks<'_, '_> {
    fn object(
        &mut self,
        object: &Object<'_>,
        parts: &mut Statement<'_>,
        chunks: &mut Statement<'_>,
    ) -> Result<(), Error> {
        let (mut total, mut whole) = (0, true);
        // The MD5 of the last part, unless it has been compared with the same ETag already.
        let mut last: Option<[u8; 16]> = Some(Md5::digest(b"").into());
        // The MD5s of the parts, as long as all of them are known.
        let mut composite = Some(Md5::new());
        let mut rows = parts.query([object.upload])?;
        while let Some(row) = rows.next()? {
            let part = Part {
                ordinal: row.get(0)?,
                number: row.get::<_, U64>(1)?.0,
                etag: text(row, 2)?,
                size: row.get(3)?,
            };
            let (chunk_count, listed) = (row.get::<_, U64>(4)?.0, row.get::<_, i64>(5)?);
            if chunk_count != listed.cast_unsigned() {
                let detail = format!("it says that it has {chunk_count} chunks, and lists {listed}");
                self.fault(Kind::S3ChunkCountMismatch, object, Some(part.number), None, detail)?;
            }
            let sum = self.part(object, &part, chunks, &mut total, &mut whole)?;
            let stated = md5_of(part.etag);
            if let (Some(stated), Some(sum)) = (stated, sum)
                && stated != sum
            {
                let detail = format!("the MD5 of its bytes is {}, its ETag {}", hex(&sum), part.etag);
                self.fault(Kind::S3Md5Mismatch, object, Some(part.number), None, detail)?;
            }
            match (&mut composite, stated) {
                (Some(composite), Some(stated)) => composite.update(stated),
                _ => composite = None,
            }
            last = sum.filter(|_| part.etag != object.etag);
        }
        if total != i128::from(object.size) {
            let detail = format!("its parts add up to {total} bytes, it says that it has {}", object.size);
            whole = false;
            self.fault(Kind::S3SizeMismatch, object, None, None, detail)?;
        }
        if !whole {
            self.any_damaged = true;
            return Ok(());
        }
        let (sum, what) = match (md5_of(object.etag).and(last), composite) {
            (Some(sum), _) if object.parts <= 1 => (hex(&sum), "the MD5 of its body"),
            (None, Some(composite)) if is_composite(object.etag, object.parts) => (
                format!("{}-{}", hex(&composite.finalize()), object.parts),
                "the MD5 of the MD5s of its parts",
            ),
            _ => return Ok(()),
        };
        if !sum.eq_ignore_ascii_case(object.etag) {
            let detail = format!("{what} is {sum}, its ETag {}", object.etag);
            self.fault(Kind::S3Md5Mismatch, object, None, None, detail)?;
        }
        Ok(())
    }

    /// Adds the size of a part to `total`, and says what its MD5 is, if something depends on that and all of it is there.
    fn part(
        &mut self,
        object: &Object<'_>,
        part: &Part<'_>,
        chunks: &mut Statement<'_>,
        total: &mut i128,
        whole: &mut bool,
    ) -> Result<Option<[u8; 16]>, Error> {
        let wanted = md5_of(part.etag).is_some() || object.parts == 1 && md5_of(object.etag).is_some();
        let (mut md5, mut sum, mut part_whole) = (Md5::new(), 0, true);
        let mut rows = chunks.query((object.upload, part.ordinal))?;
        while let Some(row) = rows.next()? {
            if self.progress.is_interrupted() {
                return Err(Error::Interrupted);
            }
            let size = row.get::<_, U64>(1)?.0;
            sum += i128::from(size);
            if let Some((kind, detail)) = self.chunk(row, size)? {
                part_whole = false;
                self.fault(kind, object, Some(part.number), Some(row.get(0)?), detail)?;
            } else if wanted && *whole && part_whole {
                let (large_values, buffer) = (self.large_values, &mut self.buffer);
                let mut hash =
                    |bytes: &Bytes<'_>| bytes.read(large_values, buffer, |piece| md5.update(piece));
                match Bytes::of(row, 3, large_values)? {
                    Some(bytes) => hash(&bytes)?,
                    None => drop(with_blob(self.connection, large_values, blob(row, 7)?, hash)?),
                }
            }
        }
        if sum != i128::from(part.size) {
            part_whole = false;
            let detail = format!("its chunks add up to {sum} bytes, it says that it has {}", part.size);
            self.fault(Kind::S3SizeMismatch, object, Some(part.number), None, detail)?;
        }
        *total += i128::from(part.size);
        *whole &= part_whole;
        Ok((wanted && *whole).then(|| md5.finalize().into()))
    }

    /// What is wrong with a chunk of this size.
    fn chunk(&mut self, row: &Row<'_>, size: u64) -> Result<Option<(Kind, String)>, Error> {
        let offloaded: bool = row.get(2)?;
        if !offloaded {
            return Ok(match row.get::<_, Option<i64>>(3)? {
                None => Some((Kind::S3MissingChunk, format!("its {size} bytes are missing"))),
                Some(length) if length.cast_unsigned() != size => {
                    Some((Kind::S3SizeMismatch, format!("it has {length} bytes instead of {size}")))
                }
                Some(_) => None,
            });
        }
        if let Some(invalid) = row.get_ref(11)?.as_str_or_null().map_err(rusqlite::Error::from)? {
            return Ok(Some((Kind::S3InvalidChunkRef, invalid.to_owned())));
        }
        let Some(digest) = row.get_ref(7)?.as_blob_or_null().map_err(rusqlite::Error::from)? else {
            return Ok(Some((Kind::S3MissingChunk, format!("the reference to its {size} bytes is missing"))));
        };
        let ref_size = row.get::<_, U64>(8)?.0;
        if ref_size != size {
            let detail = format!("its reference is to {ref_size} bytes instead of {size}");
            return Ok(Some((Kind::S3SizeMismatch, detail)));
        }
        if !has_blob(self.connection, self.large_values, digest, &mut self.buffer)? {
            let peer = Readable(row.get_ref(9)?.as_bytes().map_err(rusqlite::Error::from)?).to_string();
            let detail = format!(
                "this node lacks chunkblob {} of {size} bytes; written on {peer}, replicas {}",
                hex(digest),
                text(row, 10)?
            );
            return Ok(Some((Kind::S3MissingChunkblob, detail)));
        }
        let length = self
            .connection
            .prepare_cached("SELECT length FROM s3_chunk_blob WHERE digest = ? AND is_whole = 1 LIMIT 1")?
            .query_row([digest], |row| row.get::<_, i64>(0))
            .optional()?;
        Ok(length.filter(|length| length.cast_unsigned() != size).map(|length| {
            (Kind::S3SizeMismatch, format!("the bytes under its digest are {length} instead of {size}"))
        }))
    }

    fn fault(
        &mut self,
        kind: Kind,
        object: &Object<'_>,
        part: Option<u64>,
        chunk: Option<i64>,
        detail: String,
    ) -> Result<(), StagingError> {
        self.connection
            .prepare_cached(
                "INSERT INTO s3_fault (upload, part_no, chunk, kind, detail) VALUES (?, ?, ?, ?, ?)",
            )?
            .execute((object.upload, part.map(U64), chunk, kind.name(), &detail))?;
        let mut sample = object.name.to_string();
        // Writing to a string does not fail.
        if let Some(part) = part {
            let _ = write!(sample, ", part {part}");
        }
        if let Some(chunk) = chunk {
            let _ = write!(sample, ", chunk {chunk}");
        }
        self.warnings.add(kind, format!("{sample}: {detail}"));
        Ok(())
    }
}

/// The MD5 that an ETag is, if it is one.
fn md5_of(etag: &str) -> Option<[u8; 16]> {
    let digits = etag.as_bytes();
    if digits.len() != 32 {
        return None;
    }
    let mut md5 = [0; 16];
    for (byte, pair) in md5.iter_mut().zip(digits.as_chunks::<2>().0) {
        let digit = |digit: u8| char::from(digit).to_digit(16).map(|digit| digit as u8);
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(md5)
}

/// Does an ETag end as that of an object of so many parts does?
fn is_composite(etag: &str, parts: i64) -> bool {
    etag.rsplit_once('-').is_some_and(|(_, count)| parts > 0 && count == parts.to_string())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
