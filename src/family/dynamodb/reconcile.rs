//! Which of the staged rows are items that a client sees (`docs/format/dynamodb.md` section 2). Rows are judged by their
//! value here, since only the schema says which of them count. What is odd about tables and rows is noted by
//! `oddities`.

mod oddities;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row, params};

use super::item::{Item, is_json};
use super::key::{Key, KeyValue, is_legacy, is_ordered};
use super::malformed::Malformed;
use super::name::Path;
use super::number::KeyNumber;
use super::parts::Parts;
use super::rows::item_key;
use super::schema::Schema;
use super::value::Value;
use crate::error::Error;
use crate::family::Reconcile;
use crate::snapshot::limits::INLINE_PAYLOAD_BYTES;
use crate::snapshot::{Class, Readable};
use crate::staging::{Cell, MalformedRow, U64, column};

/// What a query for rows to be judged selects.
const ROW_COLUMNS: &str = "generation, value, source, byte_offset, raw_key_suffix, value_header";

/// Fills `dynamodb_item` and notes what is odd.
pub(super) fn reconcile(run: &mut Reconcile<'_, '_>) -> Result<(), Error> {
    let connection = run.staging.connection();
    connection.execute_batch(
        "DELETE FROM dynamodb_item; DELETE FROM dynamodb_part; \
         CREATE TEMP TABLE IF NOT EXISTS dynamodb_path (path TEXT NOT NULL PRIMARY KEY) WITHOUT ROWID",
    )?;
    let mut next_container = 1;
    let mut tables = connection.prepare(
        "SELECT t.id, n.segment, t.value FROM dynamodb_table t JOIN dynamodb_table_name n ON n.id = t.id \
         ORDER BY t.id",
    )?;
    let mut rows = tables.query([])?;
    while let Some(row) = rows.next()? {
        let value: Vec<u8> = row.get(2)?;
        // It was well-formed when it was staged.
        let Ok(schema) = Schema::decode_value(&value) else { continue };
        let table = Table { id: row.get(0)?, segment: row.get(1)?, is_json_schema: is_json(&value), schema };
        let mut items = Items {
            run: &mut *run,
            connection,
            table: &table,
            next_container: &mut next_container,
            items: 0,
            duplicates: 0,
            could_be_taken: false,
        };
        items.resolve()?;
        items.note_oddities()?;
    }
    oddities::note_orphans(run)?;
    oddities::note_locks(run)
}

struct Table {
    id: i64,
    segment: Vec<u8>,
    schema: Schema,
    is_json_schema: bool,
}

impl Table {
    fn name(&self) -> String {
        Readable(self.schema.table_name.as_bytes()).to_string()
    }

    /// The generation whose rows are legacy and count where nothing else does; `None` if there is none.
    fn legacy_generation(&self) -> Option<u64> {
        let Schema { generation, migrating_from_generation, .. } = self.schema;
        if !self.schema.is_ordered() {
            Some(generation)
        } else {
            Some(migrating_from_generation).filter(|migrating| *migrating != 0)
        }
    }
}

/// How the payloads of a pass over rows are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Ordered,
    Legacy,
}

/// What is entered of an item beside its key.
struct Facts {
    empty_set: bool,
    json_value: bool,
    parts: Option<i64>,
}

/// The items of one table.
struct Items<'r, 'a, 'c> {
    run: &'r mut Reconcile<'a, 'c>,
    connection: &'a Connection,
    table: &'r Table,
    next_container: &'r mut i64,
    items: u64,
    duplicates: u64,
    could_be_taken: bool,
}

impl Items<'_, '_, '_> {
    /// Passes over the rows that count, those that win over others first.
    fn resolve(&mut self) -> Result<(), Error> {
        let (generation, legacy) = (self.table.schema.generation, self.table.legacy_generation());
        if !self.table.schema.is_ordered() {
            self.pass(generation, Encoding::Legacy, "")?;
        } else if legacy == Some(generation) {
            self.pass(generation, Encoding::Ordered, "AND substr(payload, -2) = x'0001'")?;
            self.pass(generation, Encoding::Legacy, "AND substr(payload, -2) <> x'0001'")?;
        } else {
            self.pass(generation, Encoding::Ordered, "")?;
            if let Some(legacy) = legacy {
                self.pass(legacy, Encoding::Legacy, "")?;
            }
        }
        if self.could_be_taken { self.refuse_taken_paths() } else { Ok(()) }
    }

    fn pass(&mut self, generation: u64, encoding: Encoding, shape: &str) -> Result<(), Error> {
        let mut query = self.connection.prepare(&format!(
            "SELECT payload, {ROW_COLUMNS} FROM dynamodb_item_row WHERE table_id = ? AND generation = ? {shape} \
             ORDER BY payload"
        ))?;
        let mut rows = query.query((self.table.id, U64(generation)))?;
        let mut buffer = Vec::new();
        while let Some(row) = rows.next()? {
            let payload = column::blob(row, 0)?;
            let judged = match Value::of(row.get_ref(2)?, self.run.large_values, &mut buffer)? {
                Ok(value) => self.judge(row, generation, encoding, payload, value)?,
                Err(rule) => Err(rule),
            };
            if let Err(rule) = judged {
                self.refuse(row, payload, rule)?;
            }
        }
        Ok(())
    }

    /// Enters the item in a row, unless it is there already.
    fn judge(
        &mut self,
        row: &Row<'_>,
        generation: u64,
        encoding: Encoding,
        payload: &[u8],
        value: Value<'_>,
    ) -> Result<Result<(), Malformed>, Error> {
        let schema = &self.table.schema;
        let values = if schema.range_key().is_some() { 2 } else { 1 };
        let has_encoding = match encoding {
            Encoding::Ordered => is_ordered(payload, values),
            Encoding::Legacy => is_legacy(payload),
        };
        if !has_encoding {
            let is_ordered = encoding == Encoding::Ordered;
            return Ok(Err(if is_ordered { Malformed::NotOrdered } else { Malformed::NotLegacy }));
        }
        match value {
            Value::Memory(bytes) => {
                let item = match Item::decode(bytes) {
                    Ok(item) => item,
                    Err(rule) => return Ok(Err(rule)),
                };
                let facts = Facts { empty_set: item.has_empty_set, json_value: is_json(bytes), parts: None };
                match item.key(schema.hash_key(), schema.range_key()) {
                    Ok(key) => self.enter(row, generation, encoding, payload, &key, &facts),
                    Err(rule) => Ok(Err(rule)),
                }
            }
            Value::Long(extent) => {
                let large_values = self.run.large_values;
                let parts = match Parts::take(self.connection, large_values, extent, self.next_container)? {
                    Ok(parts) => parts,
                    Err(rule) => return Ok(Err(rule)),
                };
                let empty_set = match parts.has_empty_set()? {
                    Ok(empty_set) => empty_set,
                    Err(rule) => return Ok(Err(rule)),
                };
                let facts = Facts { empty_set, json_value: false, parts: Some(parts.container) };
                match parts.key(schema)? {
                    Ok(key) => self.enter(row, generation, encoding, payload, &key.get(), &facts),
                    Err(rule) => Ok(Err(rule)),
                }
            }
        }
    }

    fn enter(
        &mut self,
        row: &Row<'_>,
        generation: u64,
        encoding: Encoding,
        payload: &[u8],
        key: &Key<'_>,
        facts: &Facts,
    ) -> Result<Result<(), Malformed>, Error> {
        let mut identity = Vec::new();
        let mut unmigratable = false;
        if encoding == Encoding::Legacy {
            key.push_legacy(&mut identity);
            if identity != payload {
                return Ok(Err(Malformed::OtherKey));
            }
            identity.clear();
            unmigratable = !key.push_ordered(&mut identity);
            if unmigratable {
                identity = item_key(&self.table.segment, generation, payload);
            }
        } else if !key.is_ordered_as(payload) {
            return Ok(Err(Malformed::OtherKey));
        }
        let path = Path::of(key, &self.table.schema);
        let (hash, range) = (Column::of(&key.hash), key.range.as_ref().map(Column::of));
        let stored_payload = (encoding == Encoding::Legacy).then_some(payload);
        let identity = if encoding == Encoding::Legacy { &identity[..] } else { payload };
        let insert = |or: &str| {
            self.connection
                .prepare_cached(&format!(
                    "INSERT OR {or} INTO dynamodb_item (table_id, identity, generation, payload, hash_type, hash, \
                     hash_number, range_type, range, range_number, unmigratable, empty_set, type_mismatch, json_value, \
                     parts) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
                ))?
                .execute(params![
                    self.table.id,
                    identity,
                    U64(generation),
                    stored_payload,
                    hash.of,
                    hash.value,
                    hash.number,
                    range.as_ref().map(|range| range.of),
                    range.as_ref().map(|range| range.value),
                    range.as_ref().map(|range| range.number),
                    unmigratable,
                    facts.empty_set,
                    path.is_type_tagged(),
                    facts.json_value,
                    facts.parts,
                ])
        };
        if insert("IGNORE")? == 0 {
            self.duplicates += 1;
            let raw_key = [payload, column::blob(row, 5)?].concat();
            if self.comes_after(identity, &raw_key)? {
                insert("REPLACE")?;
            }
        } else {
            self.items += 1;
        }
        self.could_be_taken |= path.could_be_taken();
        Ok(Ok(()))
    }

    /// Is the item of this identity there because of a legacy row whose raw key comes after `raw_key`? Rows come in the
    /// order of their payloads, which is not that of raw keys where one payload begins with another.
    fn comes_after(&self, identity: &[u8], raw_key: &[u8]) -> rusqlite::Result<bool> {
        self.connection
            .prepare_cached(
                "SELECT CAST(payload || raw_key_suffix AS BLOB) > ?3 FROM dynamodb_exported_item \
                 WHERE table_id = ?1 AND identity = ?2 AND payload IS NOT NULL",
            )?
            .query_row((self.table.id, identity, raw_key), |row| row.get(0))
            .or_else(|error| match error {
                rusqlite::Error::QueryReturnedNoRows => Ok(false),
                error => Err(error),
            })
    }

    /// Of the items that have one path the first keeps it.
    fn refuse_taken_paths(&mut self) -> Result<(), Error> {
        self.connection.execute_batch("DELETE FROM temp.dynamodb_path")?;
        let mut query = self.connection.prepare(&format!(
            "SELECT row_payload, {ROW_COLUMNS}, parts, identity FROM dynamodb_exported_item WHERE table_id = ? \
             ORDER BY identity"
        ))?;
        let mut rows = query.query([self.table.id])?;
        let mut buffer = Vec::new();
        while let Some(row) = rows.next()? {
            let value = Value::of(row.get_ref(2)?, self.run.large_values, &mut buffer)?;
            let path = match (value, row.get(7)?) {
                (Ok(Value::Memory(bytes)), _) => {
                    let schema = &self.table.schema;
                    Item::decode(bytes)
                        .and_then(|item| {
                            let key = item.key(schema.hash_key(), schema.range_key())?;
                            let path = Path::of(&key, schema);
                            Ok((path.could_be_taken(), path.text()))
                        })
                        .ok()
                }
                (Ok(Value::Long(extent)), Some(container)) => {
                    let parts = Parts::of(self.connection, self.run.large_values, extent, container);
                    let key = parts.key(&self.table.schema)?.ok();
                    key.map(|key| {
                        let path = Path::of(&key.get(), &self.table.schema);
                        (path.could_be_taken(), path.text())
                    })
                }
                _ => None,
            };
            let Some((true, path)) = path else { continue };
            let added = self
                .connection
                .prepare_cached("INSERT OR IGNORE INTO temp.dynamodb_path (path) VALUES (?)")?
                .execute([&path])?;
            if added == 0 {
                self.connection
                    .prepare_cached("DELETE FROM dynamodb_item WHERE table_id = ? AND identity = ?")?
                    .execute((self.table.id, column::blob(row, 8)?))?;
                self.items -= 1;
                self.refuse(row, column::blob(row, 0)?, Malformed::PathTaken(path))?;
            }
        }
        Ok(())
    }

    /// Hands a row to the policy of the run, and takes it out of the staged ones.
    fn refuse(&mut self, row: &Row<'_>, payload: &[u8], rule: Malformed) -> Result<(), Error> {
        let U64(generation) = row.get(1)?;
        let user_key = item_key(&self.table.segment, generation, payload);
        let raw_key = [&user_key[..], column::blob(row, 5)?].concat();
        let stored;
        let raw_value = match row.get_ref(2)? {
            ValueRef::Blob(value) => {
                stored = [column::blob(row, 6)?, value].concat();
                Cell::blob(&stored)
            }
            number => Cell(number),
        };
        let malformed = MalformedRow {
            source: row.get(3)?,
            class: Class::Dynamodb,
            offset: row.get::<_, i64>(4)?.cast_unsigned(),
            user_key: &user_key,
            raw_key: &raw_key,
            raw_value,
        };
        self.run.malformed(&malformed, rule)?;
        self.connection
            .prepare_cached(
                "DELETE FROM dynamodb_item_row WHERE table_id = ? AND generation = ? AND payload = ?",
            )?
            .execute((self.table.id, U64(generation), payload))?;
        Ok(())
    }
}

/// A key attribute as its columns hold it.
struct Column<'a> {
    of: &'static str,
    value: Cell<'a>,
    number: Option<f64>,
}

impl<'a> Column<'a> {
    fn of(value: &KeyValue<'a>) -> Self {
        let cell = match *value {
            _ if value.legacy_bytes().len() > INLINE_PAYLOAD_BYTES => Cell::optional(None),
            KeyValue::S(text) | KeyValue::N(text) => Cell::text_or_blob(text.as_bytes()),
            KeyValue::B(bytes) => Cell::blob(bytes),
        };
        let number = match *value {
            KeyValue::N(text) => KeyNumber::parse(text).map(|number| number.approximate()),
            KeyValue::S(_) | KeyValue::B(_) => None,
        };
        Self { of: value.type_name(), value: cell, number }
    }
}
