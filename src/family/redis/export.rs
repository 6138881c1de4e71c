//! Queries into files: the Redis part of the dump (`docs/format/dump.md` section 3). SQL gives keys and elements in
//! their order; this module formats them. How files come into being is the tree's business.

use std::io::{self, BufReader};
use std::sync::Arc;

use rusqlite::types::{FromSqlError, ValueRef};
use rusqlite::{Row, Statement};

use super::entry::{self, EntryError};
use super::rows::Type;
use crate::dump::json::{self, Layout, Markup, push_score, push_value};
use crate::dump::keymap::SHA_FALLBACK;
use crate::dump::name::{NameKind, push_file_name};
use crate::dump::tree::{Directory, Tree};
use crate::dump::ttl_list;
use crate::family::position::{numbers, position};
use crate::family::wire::Wire;
use crate::family::{Begun, Content, Export, ExportError, Exported};
use crate::staging::{Extent, LargeValues, U64};

/// The only database that elastickv has.
const DATABASE: &str = "redis/db_0";

/// Depth of a binary-safe value in the indented files: alone in a list, or in an object in a list.
const ALONE: Layout = Layout::Indented(2);
const IN_OBJECT: Layout = Layout::Indented(3);

pub(super) fn export(run: &mut Export<'_, '_>) -> Result<Exported, ExportError> {
    let mut keys = 0;
    if run.scopes.is_empty() || run.scopes.iter().any(|scope| super::is_database(scope)) {
        let mut exporter = Exporter { run, name: Vec::new() };
        keys += exporter.strings("redis_exported_string", "strings")?;
        keys += exporter.strings("redis_exported_hll", "hll")?;
        for of in Type::ALL {
            keys += exporter.collections(of)?;
        }
    }
    let scopes = if keys > 0 { vec!["0".to_owned()] } else { Vec::new() };
    Ok(Exported { keys, scopes, ..Exported::default() })
}

struct Exporter<'r, 'a, 'c> {
    run: &'r mut Export<'a, 'c>,
    /// Encoded name of the key being written, with its extension.
    name: Vec<u8>,
}

/// What a collection's file needs beside its elements.
struct Collection {
    /// Number of the collection whose elements these are.
    contents: i64,
    expire_at_ms: Option<i64>,
    /// What the stream's meta row says; `None` for a one-blob stream.
    stream: Option<StreamMeta>,
}

struct StreamMeta {
    length: i64,
    last: (u64, u64),
    trimmed: (u64, u64),
}

impl Exporter<'_, '_, '_> {
    /// Values as files of their own, and the list of their expiries.
    fn strings(&mut self, view: &str, folder: &str) -> Result<u64, ExportError> {
        let connection = self.run.staging.connection();
        let kept = self.kept();
        let only = self.run.only_if("key", 1);
        let sql = format!("SELECT key, value FROM {view} WHERE {kept} AND {only}");
        let mut query = connection.prepare(&sql)?;
        let mut rows = query.query([self.run.only_key()])?;
        let (mut keys, mut directory) = (0, None);
        while let Some(row) = rows.next()? {
            let key = row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?;
            keys += 1;
            if self.begin(&mut directory, folder, key, ".bin")? == Begun::Written {
                continue;
            }
            match row.get_ref(1)? {
                ValueRef::Integer(id) => {
                    let extent = self.run.large_values.find(id)?;
                    self.run.copy(extent)?;
                }
                _ => self.run.tree.content().extend_from_slice(bytes_at(row, 1)?),
            }
            self.end()?;
        }
        drop(rows);
        if keys == 0 || !self.run.wants(Content::Other) {
            return Ok(keys);
        }
        let sql = format!(
            "SELECT key, expire_at_ms FROM {view} WHERE expire_at_ms IS NOT NULL AND {kept} ORDER BY key"
        );
        let mut query = connection.prepare(&sql)?;
        let mut rows = query.query([])?;
        let mut name = Vec::new();
        let (database, list) = (self.run.tree.directory(DATABASE)?, format!("{folder}_ttl.jsonl"));
        let mut begun = false;
        while let Some(row) = rows.next()? {
            if !begun {
                if self.run.begin(Content::Other, &database, list.as_bytes())? == Begun::Written {
                    break;
                }
                begun = true;
            }
            name.clear();
            // The KEYMAP line was written with the file.
            let _ = push_file_name(row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?, &mut name);
            ttl_list::push_line(&name, row.get(1)?, self.run.tree.content());
            self.run.tree.spill()?;
        }
        if begun {
            self.run.tree.end()?;
        }
        Ok(keys)
    }

    fn collections(&mut self, of: Type) -> Result<u64, ExportError> {
        let connection = self.run.staging.connection();
        let sql = format!(
            "SELECT key, contents, expire_at_ms, meta_length, stream_last_ms, stream_last_seq, \
             coalesce(stream_trimmed_ms, 0), coalesce(stream_trimmed_seq, 0) \
             FROM redis_exported_collection WHERE type = ?1 AND {} AND {} ORDER BY id",
            self.kept(),
            self.run.only_if("key", 2)
        );
        let mut query = connection.prepare(&sql)?;
        let mut elements = connection.prepare(&elements_sql(of, false))?;
        let mut rows = query.query((of.name(), self.run.only_key()))?;
        let (mut keys, mut directory) = (0, None);
        let (folder, extension) = match of {
            Type::Hash => ("hashes", ".json"),
            Type::List => ("lists", ".json"),
            Type::Set => ("sets", ".json"),
            Type::Stream => ("streams", ".jsonl"),
            Type::Zset => ("zsets", ".json"),
        };
        while let Some(row) = rows.next()? {
            let length: Option<i64> = row.get(3)?;
            let stream = match length {
                Some(length) if of == Type::Stream => Some(StreamMeta {
                    length,
                    last: (row.get::<_, U64>(4)?.0, row.get::<_, U64>(5)?.0),
                    trimmed: (row.get::<_, U64>(6)?.0, row.get::<_, U64>(7)?.0),
                }),
                _ => None,
            };
            let collection = Collection { contents: row.get(1)?, expire_at_ms: row.get(2)?, stream };
            let key = row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?;
            keys += 1;
            let after = match self.begin(&mut directory, folder, key, extension)? {
                Begun::Written => continue,
                Begun::Now => None,
                Begun::After(position) => Some(position),
            };
            if of == Type::Stream {
                self.stream(&mut elements, &collection, after)?;
            } else {
                self.document(of, &mut elements, &collection, after)?;
            }
            self.end()?;
        }
        Ok(keys)
    }

    /// An indented file: hash, list, set or sorted set; without the elements up to and with `after`, which are there.
    fn document(
        &mut self,
        of: Type,
        elements: &mut Statement<'_>,
        collection: &Collection,
        after: Option<Vec<u8>>,
    ) -> Result<(), ExportError> {
        let run = &mut *self.run;
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
                elements.query([collection.contents])?
            }
            Some(position) => {
                remaining = run.staging.connection().prepare(&elements_sql(of, true))?;
                match of {
                    Type::List => remaining.query((collection.contents, {
                        let [seq] = numbers(&position)?;
                        seq.cast_signed()
                    }))?,
                    _ => remaining.query((collection.contents, position))?,
                }
            }
        };
        while let Some(row) = rows.next()? {
            let out = run.tree.content();
            out.extend_from_slice(if first { b"\n    " } else { b",\n    " });
            first = false;
            match of {
                Type::Hash => {
                    out.extend_from_slice(b"{\n      \"name\": ");
                    push_value(bytes_at(row, 0)?, IN_OBJECT, Markup::Escape, out);
                    out.extend_from_slice(b",\n      \"value\": ");
                    value(row, 1, IN_OBJECT, run.tree, run.large_values)?;
                    run.tree.content().extend_from_slice(b"\n    }");
                }
                Type::Zset => {
                    out.extend_from_slice(b"{\n      \"member\": ");
                    push_value(bytes_at(row, 0)?, IN_OBJECT, Markup::Escape, out);
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
                    _ => bytes_at(row, 0)?.to_vec(),
                })?;
            }
        }
        let out = run.tree.content();
        out.extend_from_slice(if first {
            b"],\n  \"expire_at_ms\": "
        } else {
            b"\n  ],\n  \"expire_at_ms\": "
        });
        push_expiry(collection.expire_at_ms, out);
        out.extend_from_slice(b"\n}");
        Ok(())
    }

    /// One line per entry, then the line of the meta row; without the entries up to and with `after`, which are there.
    fn stream(
        &mut self,
        elements: &mut Statement<'_>,
        collection: &Collection,
        after: Option<Vec<u8>>,
    ) -> Result<(), ExportError> {
        let run = &mut *self.run;
        let trimmed = collection.stream.as_ref().map_or((0, 0), |meta| meta.trimmed);
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
        let mut rows = elements.query((collection.contents, all, U64(from.0), U64(from.1)))?;
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
                _ => out.extend_from_slice(bytes_at(row, 2)?),
            }
            run.tree.content().extend_from_slice(b"}\n");
            entries += 1;
            greatest = id;
            if run.tree.is_note_due() {
                run.note(position([entries.cast_unsigned(), id.0, id.1]))?;
            }
        }
        let (length, last) =
            collection.stream.as_ref().map_or((entries, greatest), |meta| (meta.length, meta.last));
        let out = run.tree.content();
        out.extend_from_slice(b"{\"_meta\":true,\"length\":");
        push_number(length, out);
        out.extend_from_slice(b",\"last_ms\":");
        push_number(last.0, out);
        out.extend_from_slice(b",\"last_seq\":");
        push_number(last.1, out);
        out.extend_from_slice(b",\"expire_at_ms\":");
        push_expiry(collection.expire_at_ms, out);
        out.extend_from_slice(b"}\n");
        Ok(())
    }

    /// Begins the file of a key, and notes a name that cannot be turned back.
    fn begin(
        &mut self,
        directory: &mut Option<Arc<Directory>>,
        folder: &str,
        key: &[u8],
        extension: &str,
    ) -> Result<Begun, ExportError> {
        let directory = match directory {
            Some(directory) => directory,
            None => directory.insert(self.run.tree.directory(&format!("{DATABASE}/{folder}"))?),
        };
        self.name.clear();
        if push_file_name(key, &mut self.name) == NameKind::Fallback {
            self.run.note_name(DATABASE, key, &self.name, SHA_FALLBACK)?;
        }
        self.name.extend_from_slice(extension.as_bytes());
        let begun = self.run.begin(Content::Value, directory, &self.name)?;
        if begun == Begun::Written {
            (self.run.written)(self.run.tree, 1)?;
        }
        Ok(begun)
    }

    fn end(&mut self) -> Result<(), ExportError> {
        self.run.tree.end()?;
        (self.run.written)(self.run.tree, 1)
    }

    fn kept(&self) -> String {
        if self.run.choices.drop_expired {
            format!("(expire_at_ms IS NULL OR expire_at_ms > {})", self.run.snapshot_ms)
        } else {
            "1".to_owned()
        }
    }
}

/// The table of the elements of all collections of a type.
pub(super) fn elements_table(of: Type) -> &'static str {
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
fn elements_sql(of: Type, remaining: bool) -> String {
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

/// Of a column that holds bytes, whether they are text or not. Columns are taken apart where they are asked for: they
/// are what an export of collections asks for most.
#[inline]
fn bytes_at<'r>(row: &'r Row<'_>, column: usize) -> Result<&'r [u8], ExportError> {
    match row.get_ref(column) {
        Ok(ValueRef::Blob(bytes) | ValueRef::Text(bytes)) => Ok(bytes),
        Ok(_) => Err(rusqlite::Error::from(FromSqlError::InvalidType).into()),
        Err(error) => Err(error.into()),
    }
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
