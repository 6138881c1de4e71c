//! DynamoDB rows into their tables. Keys are judged here, values once the schema is known (`reconcile`): items come
//! before the schema of their table.

use std::io::Read;

use rusqlite::{Connection, OptionalExtension};

use super::item::{self, Item, MAX_ITEM_BYTES, is_json};
use super::key::canonical_base64url;
use super::malformed::Malformed;
use super::rows::{self, RowKey};
use super::schema::{MAX_SCHEMA_BYTES, Schema};
use crate::dump::json::Layout;
use crate::family::{Context, ROWS_BETWEEN_NOTES, RowError, Stage};
use crate::snapshot::{Large, Payload, Readable, Row};
use crate::staging::{
    BulkInsert, Cell, Conflict, Duplicates, Extent, Kind, Staging, StagingError, Table, U64,
};

const ITEM_ROWS: Table = Table {
    name: "dynamodb_item_row",
    columns: &[
        "table_id",
        "generation",
        "payload",
        "value",
        "item",
        "raw_key_suffix",
        "value_header",
        "byte_offset",
        "source",
    ],
    key: 3,
};

/// Rows go to the table once they hold this many bytes: a statement keeps what is bound to it.
const BOUND_BYTES: usize = 1 << 20;

/// Takes DynamoDB rows in.
pub struct DynamoDbStage<'c> {
    connection: &'c Connection,
    duplicates: Duplicates,
    items: BulkInsert<'c>,
    bound_bytes: usize,
    run: Option<Run>,
    next_id: i64,
    json: Vec<u8>,
    value: Vec<u8>,
    rows: u32,
}

/// Rows of one table, and of one generation of it if they are items, that come one after the other.
struct Run {
    segment: Vec<u8>,
    table_id: i64,
    generation: Option<u64>,
    rows: i64,
}

impl<'c> DynamoDbStage<'c> {
    pub(super) fn new(staging: &'c Staging, source: i64) -> Result<Self, StagingError> {
        let connection = staging.connection();
        let next_id =
            connection.query_row("SELECT 1 + coalesce(max(id), 0) FROM dynamodb_table_name", [], |row| {
                row.get(0)
            })?;
        // Row keys are unique within a file.
        let conflict = if source == 0 { Conflict::Refuse } else { Conflict::Note };
        Ok(Self {
            connection,
            duplicates: staging.duplicates().clone(),
            items: BulkInsert::new(connection, &ITEM_ROWS, conflict),
            bound_bytes: 0,
            run: None,
            next_id,
            json: Vec::new(),
            value: Vec::new(),
            rows: 0,
        })
    }

    /// Counts one more row of a table, and of one of its generations if it is an item; returns the table's number.
    fn count(&mut self, segment: &[u8], generation: Option<u64>) -> rusqlite::Result<i64> {
        match &mut self.run {
            Some(run) if run.generation == generation && run.segment == segment => {
                run.rows += 1;
                Ok(run.table_id)
            }
            _ => {
                self.end_run()?;
                let table_id = self.table_id(segment)?;
                self.run = Some(Run { segment: segment.to_vec(), table_id, generation, rows: 1 });
                Ok(table_id)
            }
        }
    }

    fn end_run(&mut self) -> rusqlite::Result<()> {
        let Some(Run { table_id, generation, rows, .. }) = self.run.take() else { return Ok(()) };
        match generation {
            None => self
                .connection
                .prepare_cached("UPDATE dynamodb_table_name SET index_rows = index_rows + ? WHERE id = ?")?
                .execute((rows, table_id))?,
            Some(generation) => self
                .connection
                .prepare_cached(
                    "INSERT INTO dynamodb_generation (table_id, generation, rows) VALUES (?, ?, ?) \
                     ON CONFLICT (table_id, generation) DO UPDATE SET rows = rows + excluded.rows",
                )?
                .execute((table_id, U64(generation), rows))?,
        };
        Ok(())
    }

    /// The number of a table, which gets one if it has none.
    fn table_id(&mut self, segment: &[u8]) -> rusqlite::Result<i64> {
        let known = self
            .connection
            .prepare_cached("SELECT id FROM dynamodb_table_name WHERE segment = ?")?
            .query_row([segment], |row| row.get(0))
            .optional()?;
        if let Some(id) = known {
            return Ok(id);
        }
        let id = self.next_id;
        self.next_id += 1;
        self.connection
            .prepare_cached("INSERT INTO dynamodb_table_name (id, segment, name) VALUES (?, ?, ?)")?
            .execute((id, segment, canonical_base64url(segment)))?;
        Ok(id)
    }

    fn item(
        &mut self,
        row: &Row<'_>,
        segment: &[u8],
        generation: u64,
        payload: &[u8],
        context: &Context<'_, '_>,
    ) -> Result<(), RowError> {
        let table_id = self.count(segment, Some(generation))?;
        let Self { json, value, .. } = self;
        json.clear();
        let stored = match row.payload {
            Payload::Inline(bytes) => {
                push_json(bytes, json);
                Cell::blob(bytes)
            }
            Payload::Large { large: &Large { place, length }, .. } => {
                let extent = Extent::of(context.source, place, length);
                if length <= MAX_ITEM_BYTES + item::MAGIC.len() as u64 {
                    read_whole(extent, context, value)?;
                    push_json(value, json);
                }
                Cell::integer(context.large_values.save(extent)?)
            }
        };
        let header = row.raw_value.len() - row.payload.head().len();
        let mut digits = String::new();
        self.bound_bytes += payload.len() + row.raw_value.len() + self.json.len();
        self.items.push([
            Cell::integer(table_id),
            Cell::unsigned(generation, &mut digits),
            Cell::blob(payload),
            stored,
            if self.json.is_empty() { Cell::optional(None) } else { Cell::text_or_blob(&self.json) },
            Cell::blob(&row.raw_key[row.user_key.len()..]),
            Cell::blob(&row.raw_value[..header]),
            Cell::integer(row.offset.cast_signed()),
            Cell::integer(context.source),
        ])?;
        if self.bound_bytes >= BOUND_BYTES {
            self.items.flush()?;
            self.bound_bytes = 0;
        }
        Ok(())
    }

    fn schema(
        &mut self,
        row: &Row<'_>,
        segment: &[u8],
        context: &mut Context<'_, '_>,
    ) -> Result<(), RowError> {
        let mut whole = Vec::new();
        let value = match row.payload {
            _ if row.payload.len() > MAX_SCHEMA_BYTES => {
                let (bytes, limit) = (row.payload.len(), MAX_SCHEMA_BYTES);
                return Err(RowError::malformed(Malformed::TooLong { what: "the schema", bytes, limit }));
            }
            Payload::Inline(bytes) => bytes,
            Payload::Large { large: &Large { place, length }, .. } => {
                read_whole(Extent::of(context.source, place, length), context, &mut whole)?;
                &whole
            }
        };
        let schema = Schema::decode_value(value).map_err(RowError::malformed)?;
        let name = canonical_base64url(segment).unwrap_or_default();
        if schema.table_name.as_bytes() != name {
            let (key, schema) = (Readable(&name).to_string(), schema.table_name);
            return Err(RowError::malformed(Malformed::TableName { key, schema }));
        }
        let mut definition = Vec::new();
        schema.push_document(Layout::Compact, &mut definition);
        let (hash_key, range_key) = (schema.hash_key(), schema.range_key());
        let added = self
            .connection
            .prepare_cached(
                "INSERT OR IGNORE INTO dynamodb_table (id, definition, hash_key, hash_type, range_key, range_type, \
                 generation, key_encoding_version, migrating_from_generation, value, byte_offset, source) \
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute((
                self.table_id(segment)?,
                Cell::text_or_blob(&definition),
                text(hash_key),
                schema.declared(hash_key).map(text),
                range_key.map(text),
                range_key.and_then(|name| schema.declared(name)).map(text),
                U64(schema.generation),
                U64(schema.key_encoding_version),
                U64(schema.migrating_from_generation),
                value,
                row.offset.cast_signed(),
                context.source,
            ))?;
        if added == 0 {
            context.warnings.add(Kind::RowInTwoFiles, format!("schema of table {}", Readable(&name)));
        }
        Ok(())
    }

    fn counter(
        &mut self,
        row: &Row<'_>,
        segment: &[u8],
        context: &mut Context<'_, '_>,
    ) -> Result<(), RowError> {
        let counter = match row.payload {
            Payload::Inline(value) => rows::counter(value).map(U64),
            Payload::Large { .. } => None,
        };
        let table_id = self.table_id(segment)?;
        let added = self
            .connection
            .prepare_cached(
                "INSERT OR IGNORE INTO dynamodb_generation_counter (table_id, counter, source) VALUES (?, ?, ?)",
            )?
            .execute((table_id, counter, context.source))?;
        if added == 0 {
            context.warnings.add(Kind::RowInTwoFiles, Readable(row.user_key).to_string());
        }
        Ok(())
    }

    /// Rows of a second file do not count.
    fn note_duplicates(&mut self, context: &mut Context<'_, '_>) -> Result<(), StagingError> {
        let found = self.duplicates.drain("dynamodb_");
        if found.is_empty() {
            return Ok(());
        }
        self.end_run()?;
        for duplicate in found {
            let Some(table_id) = duplicate.collection else { continue };
            let (generation, _) = duplicate.part.split_once('-').unwrap_or((&duplicate.part, ""));
            let generation = generation.parse().map(U64).unwrap_or(U64(0));
            let name: Option<Vec<u8>> = self
                .connection
                .prepare_cached("SELECT name FROM dynamodb_table_name WHERE id = ?")?
                .query_row([table_id], |row| row.get(0))?;
            self.connection
                .prepare_cached(
                    "UPDATE dynamodb_generation SET rows = rows - 1 WHERE table_id = ? AND generation = ?",
                )?
                .execute((table_id, generation))?;
            let table = name.unwrap_or_default();
            let sample = format!("item row {} of table {}", duplicate.part, Readable(&table));
            context.warnings.add(Kind::RowInTwoFiles, sample);
        }
        Ok(())
    }
}

impl Stage for DynamoDbStage<'_> {
    fn row(&mut self, row: &Row<'_>, context: &mut Context<'_, '_>) -> Result<(), RowError> {
        match rows::decode(row.user_key).map_err(RowError::malformed)? {
            RowKey::Item { segment, generation, payload } => {
                self.item(row, segment, generation, payload, context)?;
            }
            RowKey::Schema { segment } => self.schema(row, segment, context)?,
            RowKey::Counter { segment } => self.counter(row, segment, context)?,
            RowKey::Index { segment } => {
                self.count(segment, None)?;
            }
            RowKey::Unknown => {
                context.warnings.add(Kind::DdbUnknownRow, Readable(row.user_key).to_string());
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
        self.items.flush()?;
        self.bound_bytes = 0;
        self.end_run()?;
        self.note_duplicates(context)
    }
}

/// Appends the JSON of an item, if its value can be decoded and is short enough to be looked into.
fn push_json(value: &[u8], json: &mut Vec<u8>) {
    if is_json(value) && value.len() as u64 > MAX_ITEM_BYTES {
        return;
    }
    if let Ok(item) = Item::decode(value) {
        item.push_document(Layout::Compact, json);
    }
}

/// A large value in memory; its length has been compared with a limit.
fn read_whole(extent: Extent, context: &Context<'_, '_>, value: &mut Vec<u8>) -> Result<(), StagingError> {
    value.clear();
    let mut reader = context.large_values.open(extent)?;
    reader.read_to_end(value).map_err(StagingError::LargeValue)?;
    Ok(())
}

fn text(text: &str) -> Cell<'_> {
    Cell::text_or_blob(text.as_bytes())
}
