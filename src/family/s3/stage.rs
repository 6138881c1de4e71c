//! S3 rows into their tables. Rows come in raw key order, so the chunks of an upload come in a run: the upload is looked
//! up once for it. Nothing is judged here that depends on other rows: which objects there are is for `reconcile` to say.

use std::borrow::Cow;
use std::io::Read;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension};

use super::body::cells;
use super::bucket::BucketMeta;
use super::chunk_ref::{self, Invalid, MAX_CHUNK_REF_BYTES, Replicas};
use super::json_fields::{read_slice, read_stream};
use super::rows::{Chunk, Object, Record, Upload, decode};
use crate::dump::json::{Layout, Markup, push_value};
use crate::family::{Context, ROWS_BETWEEN_NOTES, RowError, Stage};
use crate::snapshot::{Large, Payload, Readable, Row};
use crate::staging::{
    BulkInsert, Cell, Conflict, Duplicates, Extent, Kind, Staging, StagingError, Table, U64, is_printable,
};

const HEADS: Table = Table {
    name: "s3_head",
    columns: &[
        "bucket",
        "generation",
        "object",
        "value",
        "byte_offset",
        "key_suffix",
        "value_header",
        "source",
    ],
    key: 3,
};
const CHUNKS: Table = Table {
    name: "s3_chunk",
    columns: &["upload", "part", "chunk", "version", "length", "value", "start", "source"],
    key: 4,
};
const CHUNK_REFS: Table = Table {
    name: "s3_chunk_ref",
    columns: &[
        "upload",
        "part",
        "chunk",
        "version",
        "digest",
        "size",
        "source_peer",
        "replicas",
        "invalid",
        "source",
    ],
    key: 4,
};
const CHUNK_BLOBS: Table = Table {
    name: "s3_chunk_blob",
    columns: &["digest", "source", "commit_ts", "length", "value", "start"],
    key: 3,
};

/// Takes S3 rows in.
pub(super) struct S3Stage<'c> {
    connection: &'c Connection,
    duplicates: Duplicates,
    heads: BulkInsert<'c>,
    chunks: BulkInsert<'c>,
    chunk_refs: BulkInsert<'c>,
    chunk_blobs: BulkInsert<'c>,
    /// The upload of the chunk before, as its key has it, and its number.
    upload: Option<(Vec<u8>, i64)>,
    rows: u32,
}

/// A value that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the value of the bucket cannot be read: {0}")]
struct UnreadableBucket(serde_json::Error);

impl<'c> S3Stage<'c> {
    pub(super) fn new(staging: &'c Staging, source: i64) -> Result<Self, StagingError> {
        let connection = staging.connection();
        // Row keys are unique within a file.
        let conflict = if source == 0 { Conflict::Refuse } else { Conflict::Note };
        let table = |table| BulkInsert::new(connection, table, conflict);
        Ok(Self {
            connection,
            duplicates: staging.duplicates().clone(),
            heads: table(&HEADS),
            chunks: table(&CHUNKS),
            chunk_refs: table(&CHUNK_REFS),
            // Every file may have its own copy.
            chunk_blobs: BulkInsert::new(connection, &CHUNK_BLOBS, Conflict::Refuse),
            upload: None,
            rows: 0,
        })
    }

    fn bucket(
        &self,
        name: &[u8],
        payload: Payload<'_>,
        context: &mut Context<'_, '_>,
    ) -> Result<(), RowError> {
        // A node takes an empty value for no bucket.
        if payload.is_empty() {
            return Ok(());
        }
        let mut meta = BucketMeta::default();
        let read = match payload {
            Payload::Inline(json) => read_slice(json, &mut meta),
            Payload::Large { large: &Large { place, length }, .. } => {
                read_stream(context.large_values.open(Extent::of(context.source, place, length))?, &mut meta)
            }
        };
        read.map_err(|error| unreadable(error, UnreadableBucket))?;
        let refused = matches!(name, b"" | b"." | b"..");
        let added = self
            .connection
            .prepare_cached(
                "INSERT OR IGNORE INTO s3_bucket (name, name_is_text, refused, generation, created_at_hlc, owner, \
                 region, acl, source) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute((
                name,
                is_printable(name),
                refused,
                U64(meta.generation),
                U64(meta.created_at_hlc),
                meta.owner.0,
                meta.region.0,
                meta.acl.0,
                context.source,
            ))?;
        if added == 0 {
            context.warnings.add(Kind::RowInTwoFiles, format!("s3 bucket {}", Readable(name)));
        }
        Ok(())
    }

    fn head(&mut self, head: &Object<'_>, row: &Row<'_>, context: &Context<'_, '_>) -> Result<(), RowError> {
        let value = match row.payload {
            Payload::Inline(json) => Cell::blob(json),
            Payload::Large { large: &Large { place, length }, .. } => {
                Cell::integer(context.large_values.save(Extent::of(context.source, place, length))?)
            }
        };
        let header = row.raw_value.len() - row.payload.head().len();
        let (bucket, object) = (head.bucket.decode(), head.object.decode());
        self.heads.push([
            Cell::blob(&bucket),
            Cell::unsigned(head.generation, &mut String::new()),
            Cell::blob(&object),
            value,
            Cell::integer(row.offset.cast_signed()),
            Cell::blob(&row.raw_key[row.user_key.len()..]),
            Cell::blob(&row.raw_value[..header]),
            Cell::integer(context.source),
        ])?;
        Ok(())
    }

    /// The number of the upload of a chunk.
    fn upload_of(&mut self, upload: &Upload<'_>) -> Result<i64, StagingError> {
        if let Some((encoded, id)) = &self.upload
            && encoded == upload.encoded
        {
            return Ok(*id);
        }
        let Object { bucket, generation, object } = upload.object;
        let (bucket, object, upload_id) = (bucket.decode(), object.decode(), upload.upload_id.decode());
        let id = number_of_upload(self.connection, &bucket, U64(generation), &object, &upload_id)?;
        // In the buffer of the one before.
        let (encoded, number) = self.upload.get_or_insert_default();
        encoded.clear();
        encoded.extend_from_slice(upload.encoded);
        *number = id;
        Ok(id)
    }

    fn chunk(&mut self, chunk: &Chunk<'_>, row: &Row<'_>, context: &Context<'_, '_>) -> Result<(), RowError> {
        let upload = self.upload_of(&chunk.upload)?;
        let [length, value, start] = cells(row, context)?;
        self.chunks.push([
            Cell::integer(upload),
            Cell::unsigned(chunk.part, &mut String::new()),
            Cell::unsigned(chunk.chunk, &mut String::new()),
            Cell::unsigned(chunk.version, &mut String::new()),
            length,
            value,
            start,
            Cell::integer(context.source),
        ])?;
        Ok(())
    }

    /// One that cannot be read is kept with the reason: it matters only if an object needs it.
    fn chunk_ref(
        &mut self,
        chunk: &Chunk<'_>,
        payload: Payload<'_>,
        context: &Context<'_, '_>,
    ) -> Result<(), RowError> {
        let upload = self.upload_of(&chunk.upload)?;
        let value = match payload {
            Payload::Inline(bytes) => Ok(Cow::Borrowed(bytes)),
            Payload::Large { large: &Large { length, .. }, .. } if length > MAX_CHUNK_REF_BYTES => {
                Err(Invalid::TooLong(length))
            }
            Payload::Large { large: &Large { place, length }, .. } => {
                let mut bytes = Vec::new();
                let mut reader = context.large_values.open(Extent::of(context.source, place, length))?;
                reader.read_to_end(&mut bytes).map_err(StagingError::LargeValue)?;
                Ok(Cow::Owned(bytes))
            }
        };
        let (mut size, mut json) = (String::new(), Vec::new());
        let (null, invalid) = (Cell(ValueRef::Null), &mut String::new());
        let decoded = value.as_ref().map_err(|error| *error).and_then(|bytes| chunk_ref::decode(bytes));
        let fields = match &decoded {
            Ok(found) => {
                push_replicas(found.replicas, &mut json);
                [
                    Cell::blob(&found.digest),
                    Cell::unsigned(found.size, &mut size),
                    Cell::text_or_blob(found.source_peer),
                    Cell(ValueRef::Text(&json)),
                    null,
                ]
            }
            Err(error) => {
                *invalid = error.to_string();
                [null, null, null, null, Cell(ValueRef::Text(invalid.as_bytes()))]
            }
        };
        let [digest, size, source_peer, replicas, invalid] = fields;
        self.chunk_refs.push([
            Cell::integer(upload),
            Cell::unsigned(chunk.part, &mut String::new()),
            Cell::unsigned(chunk.chunk, &mut String::new()),
            Cell::unsigned(chunk.version, &mut String::new()),
            digest,
            size,
            source_peer,
            replicas,
            invalid,
            Cell::integer(context.source),
        ])?;
        Ok(())
    }

    /// A row of an upload that was begun, or of one of its parts.
    fn in_flight(
        &mut self,
        upload: &Upload<'_>,
        part: Option<u64>,
        payload: Payload<'_>,
        context: &mut Context<'_, '_>,
    ) -> Result<(), RowError> {
        let id = self.upload_of(upload)?;
        let value = match payload {
            Payload::Inline(json) => Cell::blob(json),
            Payload::Large { large: &Large { place, length }, .. } => {
                Cell::integer(context.large_values.save(Extent::of(context.source, place, length))?)
            }
        };
        let added = match part {
            None => self
                .connection
                .prepare_cached(
                    "INSERT OR IGNORE INTO s3_upload_meta (upload, value, source) VALUES (?, ?, ?)",
                )?
                .execute((id, value, context.source))?,
            Some(part) => self
                .connection
                .prepare_cached(
                    "INSERT OR IGNORE INTO s3_upload_part (upload, part, value, source) VALUES (?, ?, ?, ?)",
                )?
                .execute((id, U64(part), value, context.source))?,
        };
        if added == 0 {
            let object = upload.object.object.decode();
            context.warnings.add(Kind::RowInTwoFiles, format!("s3 upload row of {}", Readable(&object)));
        }
        Ok(())
    }

    fn note_duplicates(&self, context: &mut Context<'_, '_>) -> Result<(), StagingError> {
        for duplicate in self.duplicates.drain("s3_") {
            let what = duplicate.table.replace('_', " ");
            let sample = match duplicate.collection {
                None => format!("{what} {}", duplicate.part),
                Some(upload) => {
                    let object: Vec<u8> = self
                        .connection
                        .prepare_cached("SELECT object FROM s3_upload WHERE id = ?")?
                        .query_row([upload], |row| row.get(0))?;
                    format!("{what} {} of {}", duplicate.part, Readable(&object))
                }
            };
            context.warnings.add(Kind::RowInTwoFiles, sample);
        }
        Ok(())
    }
}

impl Stage for S3Stage<'_> {
    fn row(&mut self, row: &Row<'_>, context: &mut Context<'_, '_>) -> Result<(), RowError> {
        match decode(row.user_key).map_err(RowError::malformed)? {
            Record::Bookkeeping => {}
            Record::Unknown => context.warnings.add(Kind::S3UnknownRow, Readable(row.user_key).to_string()),
            Record::BucketMeta { bucket } => self.bucket(&bucket.decode(), row.payload, context)?,
            Record::Head(head) => self.head(&head, row, context)?,
            Record::Chunk(chunk) => self.chunk(&chunk, row, context)?,
            Record::ChunkRef(chunk) => self.chunk_ref(&chunk, row.payload, context)?,
            Record::ChunkBlob { digest } => {
                let [length, value, start] = cells(row, context)?;
                self.chunk_blobs.push([
                    Cell::blob(&digest),
                    Cell::integer(context.source),
                    Cell::unsigned(row.commit_ts, &mut String::new()),
                    length,
                    value,
                    start,
                ])?;
            }
            Record::UploadMeta(upload) => self.in_flight(&upload, None, row.payload, context)?,
            Record::UploadPart { upload, part } => {
                self.in_flight(&upload, Some(part), row.payload, context)?;
            }
        }
        self.rows += 1;
        if self.rows == ROWS_BETWEEN_NOTES {
            self.rows = 0;
            self.note_duplicates(context)?;
        }
        Ok(())
    }

    fn flush(&mut self, context: &mut Context<'_, '_>) -> Result<(), StagingError> {
        for table in [&mut self.heads, &mut self.chunks, &mut self.chunk_refs, &mut self.chunk_blobs] {
            table.flush()?;
        }
        self.note_duplicates(context)
    }
}

/// The number of an upload, which gets one if it has none.
pub(super) fn number_of_upload(
    connection: &Connection,
    bucket: &[u8],
    generation: U64,
    object: &[u8],
    upload_id: &[u8],
) -> Result<i64, StagingError> {
    let known = connection
        .prepare_cached(
            "SELECT id FROM s3_upload WHERE bucket = ? AND generation = ? AND object = ? AND upload_id = ?",
        )?
        .query_row((bucket, generation, object, upload_id), |row| row.get(0))
        .optional()?;
    if let Some(id) = known {
        return Ok(id);
    }
    connection
        .prepare_cached("INSERT INTO s3_upload (bucket, generation, object, upload_id) VALUES (?, ?, ?, ?)")?
        .execute((bucket, generation, object, upload_id))?;
    Ok(connection.last_insert_rowid())
}

/// A value that is no JSON breaks a rule; one that cannot be read again ends the run.
pub(super) fn unreadable<R: std::error::Error + Send + Sync + 'static>(
    error: serde_json::Error,
    rule: impl FnOnce(serde_json::Error) -> R,
) -> RowError {
    match error.io_error_kind() {
        None | Some(std::io::ErrorKind::InvalidData) => RowError::malformed(rule(error)),
        Some(_) => RowError::Staging(StagingError::LargeValue(error.into())),
    }
}

fn push_replicas(replicas: Replicas<'_>, out: &mut Vec<u8>) {
    out.push(b'[');
    for (i, (node, address)) in replicas.enumerate() {
        out.extend_from_slice(if i == 0 { b"{\"node\":" } else { b",{\"node\":" });
        push_value(node, Layout::Compact, Markup::Keep, out);
        out.extend_from_slice(b",\"address\":");
        push_value(address, Layout::Compact, Markup::Keep, out);
        out.push(b'}');
    }
    out.push(b']');
}
