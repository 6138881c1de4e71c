//! The staged rows as a whole (`docs/format/s3.md` section 2): which objects there are is known once every bucket is.
//! Only their manifests are read; those of other generations may hold anything. Whether everything that they name is
//! there is looked at by `verify`.

use std::fmt::Display;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};

use super::manifest::{self, Event, Manifest, Stop};
use super::path::{Stays, stays, user_data_path};
use super::rows::head_key;
use super::stage::{number_of_upload, unreadable};
use super::verify;
use crate::error::Error;
use crate::family::{Reconcile, RowError};
use crate::snapshot::{Class, Readable};
use crate::staging::column::blob;
use crate::staging::{
    BulkInsert, Cell, Conflict, Kind, LargeValues, MalformedRow, StagingError, Table, U64, Warnings,
    is_printable,
};

const OBJECTS: Table = Table {
    name: "s3_object",
    columns: &[
        "bucket",
        "object",
        "object_is_text",
        "stays",
        "upload",
        "etag",
        "size_bytes",
        "last_modified_hlc",
        "content_type",
        "content_encoding",
        "cache_control",
        "content_disposition",
        "user_metadata",
        "parts",
        "damaged",
    ],
    key: 2,
};
const PARTS: Table = Table {
    name: "s3_part",
    columns: &[
        "upload",
        "ordinal",
        "part_no",
        "etag",
        "size_bytes",
        "chunk_count",
        "chunks",
        "part_version",
        "chunk_ref_version",
        "offloaded",
    ],
    key: 2,
};
const PART_CHUNKS: Table =
    Table { name: "s3_part_chunk", columns: &["upload", "part", "chunk", "size"], key: 3 };

/// Examples of a kind of warning.
const SAMPLES: usize = 10;

/// A value that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the manifest cannot be read: {0}")]
struct UnreadableManifest(serde_json::Error);

/// Fills the tables of objects, and notes what is odd.
pub(super) fn reconcile(run: &mut Reconcile<'_, '_>) -> Result<(), Error> {
    let connection = run.staging.connection();
    Objects::new(connection)?.read_manifests(run)?;
    connection.execute(
        "UPDATE s3_object SET stays = 0 WHERE stays = 1 AND EXISTS (SELECT 1 FROM s3_object o \
         WHERE o.bucket = s3_object.bucket AND o.object = user_data_path(s3_object.object))",
        [],
    )?;
    verify::verify(run)?;
    note_leftovers(connection, run.warnings)?;
    Ok(())
}

/// The tables that manifests fill.
struct Objects<'c> {
    connection: &'c Connection,
    objects: BulkInsert<'c>,
    parts: BulkInsert<'c>,
    part_chunks: BulkInsert<'c>,
}

impl<'c> Objects<'c> {
    fn new(connection: &'c Connection) -> Result<Self, StagingError> {
        use rusqlite::functions::FunctionFlags;
        connection.create_scalar_function(
            "user_data_path",
            1,
            FunctionFlags::SQLITE_DETERMINISTIC,
            |context| Ok(user_data_path(context.get_raw(0).as_blob().unwrap_or_default())),
        )?;
        let table = |table| BulkInsert::new(connection, table, Conflict::Refuse);
        Ok(Self {
            connection,
            objects: table(&OBJECTS),
            parts: table(&PARTS),
            part_chunks: table(&PART_CHUNKS),
        })
    }

    /// Reads the manifests of the current generation of every bucket, in the order of names and keys.
    fn read_manifests(mut self, run: &mut Reconcile<'_, '_>) -> Result<(), Error> {
        let mut query = self.connection.prepare(
            "SELECT b.id, b.name, h.generation, h.object, h.value, h.source, h.byte_offset, h.key_suffix, \
             h.value_header FROM s3_bucket b CROSS JOIN s3_head h ON h.bucket = b.name AND h.generation = b.generation \
             WHERE NOT b.refused ORDER BY b.name, h.object",
        )?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            if run.progress.is_interrupted() {
                return Err(Error::Interrupted);
            }
            // A node takes an empty value for no object.
            if matches!(row.get_ref(4)?, ValueRef::Blob([])) {
                continue;
            }
            match self.object(row, run.large_values) {
                Ok(()) => {}
                Err(RowError::Staging(error)) => return Err(error.into()),
                Err(RowError::Malformed(rule)) => {
                    let user_key = head_key(blob(row, 1)?, row.get::<_, U64>(2)?.0, blob(row, 3)?);
                    let raw_key = [&user_key, blob(row, 7)?].concat();
                    let raw_value = match row.get_ref(4)? {
                        ValueRef::Integer(_) => Vec::new(),
                        _ => [blob(row, 8)?, blob(row, 4)?].concat(),
                    };
                    let malformed = MalformedRow {
                        source: row.get(5)?,
                        class: Class::S3,
                        offset: row.get::<_, i64>(6)?.cast_unsigned(),
                        user_key: &user_key,
                        raw_key: &raw_key,
                        raw_value: match row.get_ref(4)? {
                            ValueRef::Integer(id) => Cell::integer(id),
                            _ => Cell::blob(&raw_value),
                        },
                    };
                    run.malformed(&malformed, rule)?;
                    self.connection
                        .prepare_cached(
                            "DELETE FROM s3_head WHERE bucket = ? AND generation = ? AND object = ?",
                        )?
                        .execute((blob(row, 1)?, row.get::<_, U64>(2)?, blob(row, 3)?))?;
                }
            }
        }
        for table in [&mut self.objects, &mut self.parts, &mut self.part_chunks] {
            table.flush()?;
        }
        Ok(())
    }

    fn object(&mut self, row: &Row<'_>, large_values: &LargeValues<'_>) -> Result<(), RowError> {
        let value = row.get_ref(4)?;
        let (bucket, key, generation) = (blob(row, 1)?, blob(row, 3)?, row.get::<_, U64>(2)?);
        // Read twice: the upload that parts belong to may stand behind them, and what is malformed leaves no trace.
        let found = read(value, large_values, &mut |_| Ok(()))?;
        let upload = number_of_upload(self.connection, bucket, generation, key, found.upload_id.as_bytes())?;
        let parts = self.parts(upload, value, large_values)?;
        let metadata = match found.user_metadata.is_empty() {
            true => None,
            false => Some(serde_json::to_string(&found.user_metadata).map_err(StagingError::Checkpoint)?),
        };
        let stays = match stays(key) {
            Stays::Always => 2,
            Stays::IfRenamed => 1,
            Stays::Never(_) => 0,
        };
        self.objects.push([
            Cell::integer(row.get(0)?),
            Cell::blob(key),
            Cell::flag(is_printable(key)),
            Cell::integer(stays),
            Cell::integer(upload),
            text(&found.etag),
            Cell::integer(found.size_bytes),
            Cell::unsigned(found.last_modified_hlc, &mut String::new()),
            text(&found.content_type),
            text(&found.content_encoding),
            text(&found.cache_control),
            text(&found.content_disposition),
            metadata.as_deref().map_or(Cell(ValueRef::Null), text),
            Cell::integer(parts),
            Cell::flag(false),
        ])?;
        Ok(())
    }

    /// Puts the parts of a manifest that is known to be well-formed into their tables, and says how many there are.
    fn parts(
        &mut self,
        upload: i64,
        value: ValueRef<'_>,
        large_values: &LargeValues<'_>,
    ) -> Result<i64, RowError> {
        let (mut ordinal, mut chunk, mut failed) = (0, 0, None);
        let read = read(value, large_values, &mut |event| {
            self.take(upload, event, &mut ordinal, &mut chunk).map_err(|error| {
                failed = Some(error);
                Stop
            })
        });
        match failed {
            Some(error) => Err(error.into()),
            None => read.map(|_| ordinal),
        }
    }

    fn take(
        &mut self,
        upload: i64,
        event: Event,
        ordinal: &mut i64,
        chunk: &mut i64,
    ) -> rusqlite::Result<()> {
        match event {
            // Of several lists the last one counts.
            Event::Parts => {
                if *ordinal > 0 {
                    self.forget("DELETE FROM s3_part WHERE upload = ?", [upload])?;
                    self.forget("DELETE FROM s3_part_chunk WHERE upload = ?", [upload])?;
                }
                (*ordinal, *chunk) = (0, 0);
            }
            Event::Chunks => {
                if *chunk > 0 {
                    self.forget(
                        "DELETE FROM s3_part_chunk WHERE upload = ? AND part = ?",
                        [upload, *ordinal],
                    )?;
                }
                *chunk = 0;
            }
            Event::Chunk(size) => {
                self.part_chunks.push([
                    Cell::integer(upload),
                    Cell::integer(*ordinal),
                    Cell::integer(*chunk),
                    Cell::unsigned(size, &mut String::new()),
                ])?;
                *chunk += 1;
            }
            Event::Part(part) => {
                self.parts.push([
                    Cell::integer(upload),
                    Cell::integer(*ordinal),
                    Cell::unsigned(part.part_no, &mut String::new()),
                    text(&part.etag),
                    Cell::integer(part.size_bytes),
                    Cell::unsigned(part.chunk_count, &mut String::new()),
                    Cell::integer(part.chunks.cast_signed()),
                    Cell::unsigned(part.part_version, &mut String::new()),
                    Cell::unsigned(part.chunk_ref_version, &mut String::new()),
                    Cell::flag(part.offloaded),
                ])?;
                *ordinal += 1;
                *chunk = 0;
            }
        }
        Ok(())
    }

    fn forget(&mut self, sql: &str, of: impl rusqlite::Params) -> rusqlite::Result<()> {
        self.parts.flush()?;
        self.part_chunks.flush()?;
        self.connection.prepare_cached(sql)?.execute(of)?;
        Ok(())
    }
}

fn read(
    value: ValueRef<'_>,
    large_values: &LargeValues<'_>,
    take: &mut manifest::Take<'_>,
) -> Result<Manifest, RowError> {
    let read = match value {
        ValueRef::Integer(id) => manifest::read_from(large_values.open(large_values.find(id)?)?, take),
        value => manifest::read(value.as_blob().map_err(rusqlite::Error::from)?, take),
    };
    read.map_err(|error| unreadable(error, UnreadableManifest))
}

/// Text as it is, with every byte that it has.
fn text(text: &str) -> Cell<'_> {
    Cell(ValueRef::Text(text.as_bytes()))
}

/// What belongs to no object that clients see.
fn note_leftovers(connection: &Connection, warnings: &mut Warnings) -> Result<(), StagingError> {
    let mut note = |kind, sql: &str, show: &dyn Fn(&Row<'_>) -> rusqlite::Result<String>| {
        note(connection, warnings, kind, sql, show)
    };
    note(
        Kind::S3BucketRefused,
        "SELECT 1, CAST(name AS BLOB) FROM s3_bucket WHERE refused ORDER BY name",
        &|row| Ok(format!("bucket {:?}", Readable(blob(row, 1)?).to_string())),
    )?;
    let of_object = |row: &Row<'_>| {
        let (bucket, generation, object) = (blob(row, 1)?, row.get::<_, U64>(2)?.0, blob(row, 3)?);
        Ok(format!("{}, generation {generation}", Named(bucket, object)))
    };
    note(
        Kind::S3ObjectWithoutBucket,
        "SELECT 1, bucket, generation, object FROM s3_head h \
         WHERE NOT EXISTS (SELECT 1 FROM s3_bucket b WHERE b.name = h.bucket) ORDER BY bucket, generation, object",
        &of_object,
    )?;
    note(
        Kind::S3StaleGenerationObjects,
        "SELECT 1, h.bucket, h.generation, h.object FROM s3_head h JOIN s3_bucket b \
         ON b.name = h.bucket AND b.generation <> h.generation ORDER BY h.bucket, h.generation, h.object",
        &of_object,
    )?;
    note(
        Kind::S3OrphanChunks,
        "SELECT o.chunks, u.bucket, u.generation, u.object FROM \
         (SELECT upload, count(*) AS chunks FROM s3_orphan GROUP BY upload) o JOIN s3_upload u ON u.id = o.upload \
         ORDER BY o.upload",
        &|row| Ok(format!("{}: {} chunks", of_object(row)?, row.get::<_, i64>(0)?)),
    )
}

/// Adds up the first column of a query, and shows its first rows.
fn note(
    connection: &Connection,
    warnings: &mut Warnings,
    kind: Kind,
    sql: &str,
    show: &dyn Fn(&Row<'_>) -> rusqlite::Result<String>,
) -> Result<(), StagingError> {
    let mut query = connection.prepare(sql)?;
    let mut rows = query.query([])?;
    let (mut count, mut samples) = (0, Vec::new());
    while let Some(row) = rows.next()? {
        count += row.get::<_, i64>(0)?;
        if samples.len() < SAMPLES {
            samples.push(show(row)?);
        }
    }
    warnings.add_many(kind, count.cast_unsigned(), samples);
    Ok(())
}

/// An object, for people.
pub(super) struct Named<'a>(pub &'a [u8], pub &'a [u8]);

impl Display for Named<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "bucket {}, key {}", Readable(self.0), Readable(self.1))
    }
}
