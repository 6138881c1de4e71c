//! Redis records into their tables. Rows come in raw key order, so the elements of a collection come in a run and
//! follow under one number, which `collections` gives. Leaves one-blob collections to `blob`, and everything that
//! needs more than one row (TTLs, types, lengths) to the SQL of `reconcile` and `export`.

mod blob;
mod collections;
mod tables;
mod value;

use rusqlite::Connection;

use self::collections::Collections;
use self::tables::{BARE_STRINGS, ENTRIES, FIELDS, HLLS, ITEMS, SET_MEMBERS, STRINGS, TTLS, ZSET_MEMBERS};
use self::value::Value;
use super::entry;
use super::rows::{Delta, Malformed, Meta, Record, StringRow, Type, decode};
use crate::family::{Context, ROWS_BETWEEN_NOTES, RowError, Stage};
use crate::snapshot::{Payload, Readable, Row};
use crate::staging::{
    BulkInsert, Cell, Conflict, Duplicates, Kind, Staging, StagingError, U64, is_printable,
};

/// Takes Redis rows in.
pub struct RedisStage<'c> {
    connection: &'c Connection,
    duplicates: Duplicates,
    strings: BulkInsert<'c>,
    hlls: BulkInsert<'c>,
    bare_strings: BulkInsert<'c>,
    ttls: BulkInsert<'c>,
    fields: BulkInsert<'c>,
    set_members: BulkInsert<'c>,
    zset_members: BulkInsert<'c>,
    items: BulkInsert<'c>,
    entries: BulkInsert<'c>,
    collections: Collections<'c>,
    json: Vec<u8>,
    rows: u32,
}

impl<'c> RedisStage<'c> {
    pub(super) fn new(staging: &'c Staging, source: i64) -> Result<Self, StagingError> {
        let connection = staging.connection();
        // Row keys are unique within a file.
        let conflict = if source == 0 { Conflict::Refuse } else { Conflict::Note };
        let table = |table| BulkInsert::of_source(connection, table, conflict, source);
        Ok(Self {
            connection,
            duplicates: staging.duplicates().clone(),
            strings: table(&STRINGS),
            hlls: table(&HLLS),
            bare_strings: table(&BARE_STRINGS),
            ttls: table(&TTLS),
            fields: table(&FIELDS),
            set_members: table(&SET_MEMBERS),
            zset_members: table(&ZSET_MEMBERS),
            items: table(&ITEMS),
            entries: table(&ENTRIES),
            collections: Collections::new(connection, source)?,
            json: Vec::new(),
            rows: 0,
        })
    }

    fn meta(&mut self, meta: &Meta<'_>, context: &mut Context<'_, '_>) -> rusqlite::Result<()> {
        if !self.collections.meta(meta)? {
            note_duplicate(context, meta.of, "meta", meta.key);
        }
        Ok(())
    }

    fn delta(&mut self, delta: &Delta<'_>, context: &mut Context<'_, '_>) -> rusqlite::Result<()> {
        let id = self.collections.find_or_enter(delta.of, delta.key)?;
        let added = self
            .connection
            .prepare_cached(
                "INSERT OR IGNORE INTO redis_delta (collection, commit_ts, seq, length_delta, head_delta, source) \
                 VALUES (?, ?, ?, ?, ?, ?)",
            )?
            .execute((id, U64(delta.commit_ts), delta.seq, delta.length, delta.head, context.source))?;
        if added == 0 {
            note_duplicate(context, delta.of, "delta", delta.key);
        }
        self.connection
            .prepare_cached("UPDATE redis_collection SET has_delta = 1 WHERE id = ? AND has_delta = 0")?
            .execute([id])?;
        Ok(())
    }

    /// One stream entry, as JSON where it is not large.
    fn entry(
        &mut self,
        key: &[u8],
        (ms, seq): (u64, u64),
        payload: Payload<'_>,
        context: &Context<'_, '_>,
    ) -> Result<(), RowError> {
        if !payload.head().starts_with(entry::MAGIC) {
            return Err(RowError::malformed(Malformed::Magic("stream entry")));
        }
        let mut json = std::mem::take(&mut self.json);
        let fields = Value::new(payload.skip(entry::MAGIC.len()), context).entry_cell(&mut json)?;
        let id = self.collections.element_of(Type::Stream, key)?;
        let (mut ms_digits, mut seq_digits) = Default::default();
        self.entries.push([
            Cell::integer(id),
            Cell::unsigned(ms, &mut ms_digits),
            Cell::unsigned(seq, &mut seq_digits),
            fields,
        ])?;
        self.json = json;
        Ok(())
    }

    /// Rows of a second file do not count, neither as rows nor as elements.
    fn note_duplicates(&self, context: &mut Context<'_, '_>) -> Result<(), StagingError> {
        for duplicate in self.duplicates.drain("redis_") {
            let what = duplicate.table.strip_prefix("redis_").unwrap_or(&duplicate.table).replace('_', " ");
            let Some(id) = duplicate.collection else {
                context.warnings.add(Kind::RowInTwoFiles, format!("{what} {}", duplicate.part));
                continue;
            };
            let key: Vec<u8> = self
                .connection
                .prepare_cached(
                    "UPDATE redis_collection SET elements = elements - 1 WHERE id = ? RETURNING key",
                )?
                .query_row([id], |row| row.get(0))?;
            let sample = format!("{what} {} of {}", duplicate.part, Readable(&key));
            context.warnings.add(Kind::RowInTwoFiles, sample);
        }
        Ok(())
    }
}

impl Stage for RedisStage<'_> {
    #[inline]
    fn row(&mut self, row: &Row<'_>, context: &mut Context<'_, '_>) -> Result<(), RowError> {
        match decode(row.user_key, row.payload) {
            Err(rule) => return Err(RowError::malformed(rule)),
            Ok(Record::Ignored) => {}
            Ok(Record::String(string)) => push_string(&mut self.strings, string, context)?,
            Ok(Record::BareString(string)) => push_string(&mut self.bare_strings, string, context)?,
            Ok(Record::Hll(string)) => {
                Value::new(string.value, context).walk_blob(Type::Set, |_| Ok(()))?;
                push_string(&mut self.hlls, string, context)?;
            }
            Ok(Record::Ttl { key, expire_at_ms }) => {
                let text = Cell::flag(is_printable(key));
                self.ttls.push([Cell::blob(key), text, Cell::integer(expire_at_ms)])?;
            }
            Ok(Record::Meta(meta)) => self.meta(&meta, context)?,
            Ok(Record::Delta(delta)) => self.delta(&delta, context)?,
            Ok(Record::Field { key, name, value }) => {
                let value = context.cell(value.skip(0))?;
                let id = self.collections.element_of(Type::Hash, key)?;
                self.fields.push([Cell::integer(id), Cell::blob(name), value])?;
            }
            Ok(Record::SetMember { key, member }) => {
                let id = self.collections.element_of(Type::Set, key)?;
                self.set_members.push([Cell::integer(id), Cell::blob(member)])?;
            }
            Ok(Record::ZsetMember { key, member, score }) => {
                let id = self.collections.element_of(Type::Zset, key)?;
                if score.is_nan() {
                    self.collections.count_nan_score();
                }
                self.zset_members.push([Cell::integer(id), Cell::blob(member), Cell::real(score)])?;
            }
            Ok(Record::Item { key, seq, item }) => {
                let item = context.cell(item.skip(0))?;
                let id = self.collections.element_of(Type::List, key)?;
                self.items.push([Cell::integer(id), Cell::integer(seq), item])?;
            }
            Ok(Record::Entry { key, ms, seq, entry }) => self.entry(key, (ms, seq), entry, context)?,
            Ok(Record::Blob { of, key, blob }) => self.blob(of, key, blob.skip(0), context)?,
        }
        self.rows += 1;
        if self.rows == ROWS_BETWEEN_NOTES {
            self.rows = 0;
            self.note_duplicates(context)?;
        }
        Ok(())
    }

    fn flush(&mut self, context: &mut Context<'_, '_>) -> Result<(), StagingError> {
        for table in [
            &mut self.strings,
            &mut self.hlls,
            &mut self.bare_strings,
            &mut self.ttls,
            &mut self.fields,
            &mut self.set_members,
            &mut self.zset_members,
            &mut self.items,
            &mut self.entries,
        ] {
            table.flush()?;
        }
        self.collections.flush()?;
        self.note_duplicates(context)
    }
}

fn push_string(
    table: &mut BulkInsert<'_>,
    string: StringRow<'_>,
    context: &Context<'_, '_>,
) -> Result<(), StagingError> {
    table.push([
        Cell::blob(string.key),
        Cell::flag(is_printable(string.key)),
        Cell::flag(string.envelope),
        Cell::optional(string.expire_at_ms),
        context.cell(string.value)?,
    ])?;
    Ok(())
}

fn note_duplicate(context: &mut Context<'_, '_>, of: Type, row: &str, key: &[u8]) {
    context.warnings.add(Kind::RowInTwoFiles, format!("{} {row} row of {}", of.name(), Readable(key)));
}
