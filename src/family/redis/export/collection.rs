//! What stands in the file of a collection (`docs/format/dump.md` section 3): the indented document of a hash, list, set
//! or sorted set, the lines of a stream, going on after any element. Leaves to `export` which collections there are,
//! and the names of their files.

use std::io::{self, BufReader};

use rusqlite::types::{FromSqlError, ValueRef};
use rusqlite::{Row, Statement};

use crate::dump::json::{self, Layout, Markup, is_plain, push_score, push_value};
use crate::dump::tree::Tree;
use crate::family::position::{numbers, position};
use crate::family::redis::entry::{self, EntryError};
use crate::family::redis::rows::Type;
use crate::family::wire::Wire;
use crate::family::{Export, ExportError};
use crate::staging::{Extent, LargeValues, U64, column};

/// Depth of a binary-safe value in the indented files: alone in a list, or in an object in a list.
const ALONE: Layout = Layout::Indented(2);
const IN_OBJECT: Layout = Layout::Indented(3);

/// What a collection's file needs beside its elements.
pub(super) struct Collection {
    pub of: Type,
    /// Number of the collection whose elements these are.
    pub contents: i64,
    pub expire_at_ms: Option<i64>,
    /// What the stream's meta row says; `None` for a one-blob stream.
    pub stream: Option<StreamMeta>,
}

pub(super) struct StreamMeta {
    pub length: i64,
    pub last: (u64, u64),
    pub trimmed: (u64, u64),
}

impl Collection {
    /// Appends the file, or what follows the elements up to and with `after`, which are there; `elements` is the query of
    /// [`elements_sql`] for all of them.
    pub(super) fn write(
        &self,
        run: &mut Export<'_, '_>,
        elements: &mut Statement<'_>,
        after: Option<Vec<u8>>,
    ) -> Result<(), ExportError> {
        match self.of {
            Type::Stream => self.write_stream(run, elements, after),
            Type::Hash | Type::List | Type::Set | Type::Zset => self.write_document(run, elements, after),
        }
    }

    /// An indented file: hash, list, set or sorted set.
    fn write_document(
        &self,
        run: &mut Export<'_, '_>,
        elements: &mut Statement<'_>,
        after: Option<Vec<u8>>,
    ) -> Result<(), ExportError> {
        let of = self.of;
        let list = match of {
            Type::Hash => "fields",
            Type::List => "items",
            Type::Set | Type::Zset | Type::Stream => "members",
        };
        let mut first = after.is_none();
        let mut remaining;
        let mut rows = match after {
            None => {
                run.tree.content().extend_from_slice(b"{\n  \"format_version\": 1,\n  \"");
                run.tree.content().extend_from_slice(list.as_bytes());
                run.tree.content().extend_from_slice(b"\": [");
                elements.query([self.contents])?
            }
            Some(position) => {
                remaining = run.staging.connection().prepare(&elements_sql(of, true))?;
                match of {
                    Type::List => remaining.query((self.contents, {
                        let [seq] = numbers(&position)?;
                        seq.cast_signed()
                    }))?,
                    _ => remaining.query((self.contents, position))?,
                }
            }
        };
        while let Some(row) = rows.next()? {
            let out = run.tree.content();
            out.extend_from_slice(if first { b"\n    " } else { b",\n    " });
            first = false;
            match of {
                Type::Hash => field(row, run.tree, run.large_values)?,
                Type::Zset => {
                    out.extend_from_slice(b"{\n      \"member\": ");
                    push_value(column::bytes(row, 0)?, IN_OBJECT, Markup::Escape, out);
                    out.extend_from_slice(b",\n      \"score\": ");
                    push_score(row.get::<_, Option<f64>>(1)?.unwrap_or(f64::NAN), out);
                    out.extend_from_slice(b"\n    }");
                }
                Type::List | Type::Set | Type::Stream => {
                    value(row, 0, ALONE, run.tree, run.large_values)?;
                }
            }
            if run.tree.is_note_due() {
                run.note(match of {
                    Type::List => position([row.get::<_, i64>(1)?.cast_unsigned()]),
                    _ => column::bytes(row, 0)?.to_vec(),
                })?;
            }
        }
        let out = run.tree.content();
        out.extend_from_slice(if first {
            b"],\n  \"expire_at_ms\": "
        } else {
            b"\n  ],\n  \"expire_at_ms\": "
        });
        push_expiry(self.expire_at_ms, out);
        out.extend_from_slice(b"\n}");
        Ok(())
    }

    /// One line per entry, then the line of the meta row.
    fn write_stream(
        &self,
        run: &mut Export<'_, '_>,
        elements: &mut Statement<'_>,
        after: Option<Vec<u8>>,
    ) -> Result<(), ExportError> {
        let trimmed = self.stream.as_ref().map_or((0, 0), |meta| meta.trimmed);
        let (mut entries, mut greatest) = match &after {
            None => (0, (0, 0)),
            Some(position) => {
                let [entries, ms, seq] = numbers(position)?;
                (entries.cast_signed(), (ms, seq))
            }
        };
        let from = if after.is_none() { trimmed } else { greatest };
        // No id is smaller than 0-0, and with nothing trimmed an entry 0-0 counts.
        let all = after.is_none() && trimmed == (0, 0);
        let mut rows = elements.query((self.contents, all, U64(from.0), U64(from.1)))?;
        while let Some(row) = rows.next()? {
            let id = (row.get::<_, U64>(0)?.0, row.get::<_, U64>(1)?.0);
            let out = run.tree.content();
            out.extend_from_slice(b"{\"id\":\"");
            push_id(id, out);
            out.extend_from_slice(b"\",\"fields\":");
            match row.get_ref(2)? {
                ValueRef::Integer(large) => {
                    large_entry(run.large_values, run.large_values.find(large)?, run.tree)?;
                }
                _ => out.extend_from_slice(column::bytes(row, 2)?),
            }
            run.tree.content().extend_from_slice(b"}\n");
            entries += 1;
            greatest = id;
            if run.tree.is_note_due() {
                run.note(position([entries.cast_unsigned(), id.0, id.1]))?;
            }
        }
        let (length, last) =
            self.stream.as_ref().map_or((entries, greatest), |meta| (meta.length, meta.last));
        let out = run.tree.content();
        out.extend_from_slice(b"{\"_meta\":true,\"length\":");
        push_number(length, out);
        out.extend_from_slice(b",\"last_ms\":");
        push_number(last.0, out);
        out.extend_from_slice(b",\"last_seq\":");
        push_number(last.1, out);
        out.extend_from_slice(b",\"expire_at_ms\":");
        push_expiry(self.expire_at_ms, out);
        out.extend_from_slice(b"}\n");
        Ok(())
    }
}

/// The table of the elements of all collections of a type.
pub(in crate::family::redis) fn elements_table(of: Type) -> &'static str {
    match of {
        Type::Hash => "redis_hash_field",
        Type::List => "redis_list_item",
        Type::Set => "redis_set_member",
        Type::Zset => "redis_zset_member",
        Type::Stream => "redis_stream_entry",
    }
}

/// The elements of a collection in their order: all, or those after the second parameter. A list is told by number, the
/// others by their first column; of streams, all of them or those after an id are asked for in one way.
pub(super) fn elements_sql(of: Type, remaining: bool) -> String {
    let table = elements_table(of);
    let (columns, order) = match of {
        Type::Hash => ("name, value", "name"),
        Type::List => ("item, seq", "seq"),
        Type::Set => ("member", "member"),
        Type::Zset => ("member, score", "member"),
        Type::Stream => ("ms, seq, fields", "ms, seq"),
    };
    let after = match of {
        Type::Stream => "AND (?2 OR (ms, seq) > (?3, ?4))".to_owned(),
        _ if remaining => format!("AND {order} > ?2"),
        _ => String::new(),
    };
    format!("SELECT {columns} FROM {table} WHERE collection = ?1 {after} ORDER BY {order}")
}

/// A field of a hash.
#[inline]
fn field(row: &Row<'_>, tree: &mut Tree, large_values: &LargeValues<'_>) -> Result<(), ExportError> {
    let (name, out) = (column::bytes(row, 0)?, tree.content());
    // Most are plain, and then few copies make them: there may be millions.
    if is_plain(name)
        && let ValueRef::Text(value) = row.get_ref(1)?
        && is_plain(value)
    {
        out.extend_from_slice(b"{\n      \"name\": \"");
        out.extend_from_slice(name);
        out.extend_from_slice(b"\",\n      \"value\": \"");
        out.extend_from_slice(value);
        out.extend_from_slice(b"\"\n    }");
        return Ok(());
    }
    out.extend_from_slice(b"{\n      \"name\": ");
    push_value(name, IN_OBJECT, Markup::Escape, out);
    out.extend_from_slice(b",\n      \"value\": ");
    value(row, 1, IN_OBJECT, tree, large_values)?;
    tree.content().extend_from_slice(b"\n    }");
    Ok(())
}

/// A binary-safe value from a column that holds it, or the number of a large value.
#[inline]
fn value(
    row: &Row<'_>,
    column: usize,
    layout: Layout,
    tree: &mut Tree,
    large_values: &LargeValues<'_>,
) -> Result<(), ExportError> {
    match row.get_ref(column) {
        Ok(ValueRef::Blob(bytes) | ValueRef::Text(bytes)) => {
            push_value(bytes, layout, Markup::Escape, tree.content());
            Ok(())
        }
        Ok(ValueRef::Integer(id)) => large_value(large_values, large_values.find(id)?, layout, tree),
        Ok(_) => Err(rusqlite::Error::from(FromSqlError::InvalidType).into()),
        Err(error) => Err(error.into()),
    }
}

/// Read twice, since the first bytes already depend on whether all of it is text.
fn large_value(
    large_values: &LargeValues<'_>,
    extent: Extent,
    layout: Layout,
    tree: &mut Tree,
) -> Result<(), ExportError> {
    let utf8 = json::is_utf8(large_values.open(extent)?).map_err(ExportError::LargeValue)?;
    json::write_value_from(large_values.open(extent)?, utf8, layout, Markup::Escape, tree)
        .map_err(ExportError::LargeValue)
}

fn large_entry(large_values: &LargeValues<'_>, extent: Extent, tree: &mut Tree) -> Result<(), ExportError> {
    let mut wire = Wire::new(BufReader::new(large_values.open(extent)?), 0, extent.length);
    let result = entry::write_fields(&mut wire, tree, |span, tree| {
        large_value(large_values, extent.slice(span.start, span.length), Layout::Compact, tree)
            .map_err(io::Error::other)
    });
    result.map_err(|error| {
        ExportError::LargeValue(match error {
            EntryError::Io(error) => error,
            // It was well-formed when it was staged: the bytes are not the same any more.
            EntryError::Malformed(_) => io::ErrorKind::InvalidData.into(),
        })
    })
}

fn push_id((ms, seq): (u64, u64), out: &mut Vec<u8>) {
    push_number(ms, out);
    out.push(b'-');
    push_number(seq, out);
}

fn push_expiry(expire_at_ms: Option<i64>, out: &mut Vec<u8>) {
    match expire_at_ms {
        Some(ms) => push_number(ms, out),
        None => out.extend_from_slice(b"null"),
    }
}

fn push_number(number: impl itoa::Integer, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}
