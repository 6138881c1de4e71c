//! One-blob collections into the tables of elements. Of a name, member or id given twice the last counts, so
//! these rows replace each other; of the rows of two files the first counts.

use rusqlite::Connection;

use super::RedisStage;
use super::value::{Stored, Value, push_entry};
use crate::family::redis::blob::{Element, parse_id};
use crate::family::redis::rows::{Malformed, Type};
use crate::family::wire::Span;
use crate::family::{Context, RowError};
use crate::snapshot::Skipped;
use crate::snapshot::limits::MAX_KEY_BYTES;
use crate::staging::{Cell, U64};

impl RedisStage<'_> {
    /// A whole collection in one value. It is walked twice: once to see that it is well-formed, since half of a
    /// malformed one must not be staged.
    pub(super) fn blob(
        &mut self,
        of: Type,
        key: &[u8],
        blob: Skipped<'_>,
        context: &mut Context<'_, '_>,
    ) -> Result<(), RowError> {
        let value = Value::new(blob, context);
        value.walk_blob(of, |element| check(element, &value))?;
        let collection = self.collections.find_or_enter(of, key)?;
        let taken: Option<i64> = self
            .connection
            .prepare_cached("SELECT blob_id FROM redis_collection WHERE id = ?")?
            .query_row([collection], |row| row.get(0))?;
        if taken.is_some() {
            super::note_duplicate(context, of, "one-blob", key);
            return Ok(());
        }
        let id = self.collections.number();
        let Self { connection, json, .. } = self;
        value.walk_blob(of, |element| insert(connection, id, element, &value, context.source, json))?;
        let table = match of {
            Type::Hash => "redis_hash_field",
            Type::Set => "redis_set_member",
            Type::Zset => "redis_zset_member",
            Type::List | Type::Stream => "redis_stream_entry",
        };
        let nan = if of == Type::Zset { "count(*) FILTER (WHERE score IS NULL)" } else { "0" };
        connection
            .prepare_cached(&format!(
                "UPDATE redis_collection SET blob_id = ?1, (blob_elements, blob_nan_scores) = \
                 (SELECT count(*), {nan} FROM {table} WHERE collection = ?1) WHERE id = ?2"
            ))?
            .execute((id, collection))?;
        Ok(())
    }
}

/// What the walk itself does not see: names too long for memory, ids that are none.
fn check(element: Element, value: &Value<'_, '_, '_>) -> Result<(), RowError> {
    match element {
        Element::Field { name, .. } | Element::Member(name) | Element::Scored { member: name, .. } => {
            if name.length > MAX_KEY_BYTES {
                return Err(RowError::malformed(Malformed::NameLength(name.length)));
            }
        }
        Element::Entry { id, .. } => {
            entry_id(id, value)?;
        }
    }
    Ok(())
}

fn entry_id(text: Span, value: &Value<'_, '_, '_>) -> Result<(u64, u64), RowError> {
    let id = if text.length > MAX_KEY_BYTES { None } else { parse_id(&value.bytes(text)?) };
    id.ok_or_else(|| RowError::malformed(Malformed::EntryId))
}

fn insert(
    connection: &Connection,
    collection: i64,
    element: Element,
    value: &Value<'_, '_, '_>,
    source: i64,
    json: &mut Vec<u8>,
) -> Result<(), RowError> {
    match element {
        Element::Field { name, value: content } => {
            let (name, content) = (value.bytes(name)?, value.stored(content)?);
            connection
                .prepare_cached(
                    "INSERT OR REPLACE INTO redis_hash_field (collection, name, value, source) \
                     VALUES (?, ?, ?, ?)",
                )?
                .execute((collection, &name, content.cell(), source))?
        }
        Element::Member(member) => {
            let member = value.bytes(member)?;
            connection
                .prepare_cached(
                    "INSERT OR REPLACE INTO redis_set_member (collection, member, source) VALUES (?, ?, ?)",
                )?
                .execute((collection, &member, source))?
        }
        Element::Scored { member, score } => {
            let member = value.bytes(member)?;
            connection
                .prepare_cached(
                    "INSERT OR REPLACE INTO redis_zset_member (collection, member, score, source) \
                     VALUES (?, ?, ?, ?)",
                )?
                .execute((collection, &member, Cell::real(score), source))?
        }
        Element::Entry { id, message } => {
            let (ms, seq) = entry_id(id, value)?;
            let fields = match value.stored(message)? {
                Stored::Large(large) => Cell::integer(large),
                Stored::Bytes(message) => push_entry(&message, json)?,
            };
            connection
                .prepare_cached(
                    "INSERT OR REPLACE INTO redis_stream_entry (collection, ms, seq, fields, source) \
                     VALUES (?, ?, ?, ?, ?)",
                )?
                .execute((collection, U64(ms), U64(seq), fields, source))?
        }
    };
    Ok(())
}
