//! Queries into files: the DynamoDB part of the dump (`docs/format/dynamodb.md` section 3). SQL gives the items of a
//! table in their order; this module gives them their places. How files come into being is the tree's business.

use std::io::{self, Write};
use std::sync::Arc;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};

use super::item::Item;
use super::malformed::Malformed;
use super::name::Path;
use super::parts::Parts;
use super::schema::Schema;
use super::value::Value;
use crate::dump::json::Layout;
use crate::dump::keymap::SHA_FALLBACK;
use crate::dump::name::push_directory_name;
use crate::dump::tree::{Directory, Tree};
use crate::family::{Begun, Content, DynamoDbLayout, Export, ExportError, Exported};
use crate::staging::column;

/// The folder of the adapter.
const ROOT: &str = "dynamodb";

/// The folder of a table's items.
const ITEMS: &str = "items";

pub(super) fn export(run: &mut Export<'_, '_>) -> Result<Exported, ExportError> {
    let connection = run.staging.connection();
    let mut exported = Exported::default();
    let mut tables = connection.prepare(&format!(
        "SELECT t.id, t.value FROM dynamodb_table t JOIN dynamodb_table_name n ON n.id = t.id WHERE {} ORDER BY n.name",
        run.only_if("n.segment", 1)
    ))?;
    let mut rows = tables.query([run.only_scope()])?;
    while let Some(row) = rows.next()? {
        let schema = Schema::decode_value(column::blob(row, 1)?).map_err(changed)?;
        if !run.scopes.is_empty() && !run.scopes.contains(&schema.table_name) {
            continue;
        }
        let mut segment = Vec::new();
        // The way back from a fallback stands in the schema file.
        let _ = push_directory_name(schema.table_name.as_bytes(), &mut segment);
        let folder = format!("{ROOT}/{}", String::from_utf8_lossy(&segment));
        let directory = run.tree.directory(&folder)?;
        let table = Table { id: row.get(0)?, schema, folder, directory };
        table.write_schema(run)?;
        exported.keys += match run.choices.dynamodb_layout {
            DynamoDbLayout::PerItem => table.write_items(run, connection)?,
            DynamoDbLayout::Jsonl { part_bytes } => table.write_bundles(run, connection, part_bytes)?,
        };
        exported.scopes.push(table.schema.table_name);
    }
    Ok(exported)
}

/// A table on its way into the tree.
struct Table {
    id: i64,
    schema: Schema,
    folder: String,
    directory: Arc<Directory>,
}

impl Table {
    fn write_schema(&self, run: &mut Export<'_, '_>) -> Result<(), ExportError> {
        const NAME: &[u8] = b"_schema.json";
        if run.begin(Content::About, &self.directory, NAME)? != Begun::Written {
            self.schema.push_document(Layout::Indented(0), run.tree.content());
            run.tree.end()?;
        }
        Ok(())
    }

    /// One file per item.
    fn write_items(&self, run: &mut Export<'_, '_>, connection: &Connection) -> Result<u64, ExportError> {
        let mut query = connection.prepare(&format!(
            "SELECT value, parts FROM dynamodb_exported_item WHERE table_id = ?1 AND {} ORDER BY identity",
            run.only_if("identity", 2)
        ))?;
        let mut rows = query.query((self.id, run.only_key()))?;
        let items = self.directory.child(ITEMS);
        // Items of one hash come one after the other.
        let mut folder: Option<(String, Arc<Directory>)> = None;
        let (mut keys, mut buffer) = (0, Vec::new());
        while let Some(row) = rows.next()? {
            keys += 1;
            if run.wants(Content::Stored) {
                self.write_stored(run, &items, row)?;
                continue;
            }
            match Value::of(row.get_ref(0)?, run.large_values, &mut buffer)?.map_err(changed)? {
                Value::Memory(bytes) => {
                    let item = Item::decode(bytes).map_err(changed)?;
                    let (hash_key, range_key) = (self.schema.hash_key(), self.schema.range_key());
                    let key = item.key(hash_key, range_key).map_err(changed)?;
                    if self.begin(run, &items, &mut folder, &Path::of(&key, &self.schema))? {
                        item.push_document(Layout::Indented(0), run.tree.content());
                        run.tree.end()?;
                    }
                }
                Value::Long(extent) => {
                    let parts = Parts::of(connection, run.large_values, extent, row.get(1)?);
                    let key = parts.key(&self.schema)?.map_err(changed)?;
                    if self.begin(run, &items, &mut folder, &Path::of(&key.get(), &self.schema))? {
                        parts.write(Layout::Indented(0), run.tree)?;
                        run.tree.end()?;
                    }
                }
            }
            (run.written)(run.tree, 1)?;
        }
        Ok(keys)
    }

    /// Begins the file of an item, and notes names that do not lead back to their key; false if an earlier run has
    /// written it.
    fn begin(
        &self,
        run: &mut Export<'_, '_>,
        items: &Arc<Directory>,
        folder: &mut Option<(String, Arc<Directory>)>,
        path: &Path<'_>,
    ) -> Result<bool, ExportError> {
        for segment in path.segments() {
            if let Some(original) = &segment.fallback_of {
                run.note_name(&self.folder, original, segment.name.as_bytes(), SHA_FALLBACK)?;
            }
        }
        let directory = match &path.folder {
            None => items,
            Some(segment) => {
                if folder.as_ref().is_none_or(|(name, _)| *name != segment.name) {
                    *folder = Some((segment.name.clone(), items.child(&segment.name)));
                }
                folder.as_ref().map_or(items, |(_, directory)| directory)
            }
        };
        let name = format!("{}.json", path.file.name);
        Ok(run.begin(Content::Value, directory, name.as_bytes())? != Begun::Written)
    }

    /// The value of an item as its row has it, as a file that no dump has.
    fn write_stored(
        &self,
        run: &mut Export<'_, '_>,
        items: &Arc<Directory>,
        row: &Row<'_>,
    ) -> Result<(), ExportError> {
        run.begin(Content::Stored, items, b"stored")?;
        match row.get_ref(0)? {
            ValueRef::Integer(id) => run.copy(run.large_values.find(id)?)?,
            _ => run.tree.content().extend_from_slice(column::blob(row, 0)?),
        }
        Ok(run.tree.end()?)
    }

    /// Many items to a file, one per line.
    fn write_bundles(
        &self,
        run: &mut Export<'_, '_>,
        connection: &Connection,
        part_bytes: u64,
    ) -> Result<u64, ExportError> {
        let mut query = connection.prepare(
            "SELECT value, parts, item FROM dynamodb_exported_item WHERE table_id = ? ORDER BY identity",
        )?;
        let mut rows = query.query([self.id])?;
        let mut bundle = Bundle { items: self.directory.child(ITEMS), part_bytes, part: None, number: 0 };
        let (mut keys, mut buffer, mut line) = (0, Vec::new(), Vec::new());
        while let Some(row) = rows.next()? {
            keys += 1;
            if let ValueRef::Text(item) = row.get_ref(2)? {
                bundle.line(run, item.len() as u64, |tree| {
                    tree.content().extend_from_slice(item);
                    Ok(())
                })?;
            } else {
                match Value::of(row.get_ref(0)?, run.large_values, &mut buffer)?.map_err(changed)? {
                    Value::Memory(bytes) => {
                        line.clear();
                        Item::decode(bytes).map_err(changed)?.push_document(Layout::Compact, &mut line);
                        bundle.line(run, line.len() as u64, |tree| {
                            tree.content().extend_from_slice(&line);
                            Ok(())
                        })?;
                    }
                    Value::Long(extent) => {
                        let parts = Parts::of(connection, run.large_values, extent, row.get(1)?);
                        let mut length = Length(0);
                        parts.write(Layout::Compact, &mut length)?;
                        bundle.line(run, length.0, |tree| parts.write(Layout::Compact, tree))?;
                    }
                }
            }
            (run.written)(run.tree, 1)?;
        }
        bundle.end(run)?;
        Ok(keys)
    }
}

/// The files that the items of one table are spread over.
struct Bundle {
    items: Arc<Directory>,
    part_bytes: u64,
    part: Option<Part>,
    number: u64,
}

/// The file that lines go to.
struct Part {
    bytes: u64,
    /// An earlier run has written it; lines are only counted.
    is_written: bool,
}

impl Bundle {
    /// Writes a line of so many bytes without its end, into a new part if it would be too much for this one.
    fn line(
        &mut self,
        run: &mut Export<'_, '_>,
        bytes: u64,
        write: impl FnOnce(&mut Tree) -> Result<(), ExportError>,
    ) -> Result<(), ExportError> {
        let length = bytes + 1;
        if self.part.as_ref().is_some_and(|part| part.bytes + length > self.part_bytes) {
            self.end(run)?;
        }
        let part = match &mut self.part {
            Some(part) => part,
            None => {
                self.number += 1;
                let name = format!("data-{:05}.jsonl", self.number);
                let is_written = run.begin(Content::Other, &self.items, name.as_bytes())? == Begun::Written;
                self.part.insert(Part { bytes: 0, is_written })
            }
        };
        part.bytes += length;
        if !part.is_written {
            write(run.tree)?;
            run.tree.content().push(b'\n');
            run.tree.spill()?;
        }
        Ok(())
    }

    fn end(&mut self, run: &mut Export<'_, '_>) -> Result<(), ExportError> {
        match self.part.take() {
            Some(Part { is_written: false, .. }) => Ok(run.tree.end()?),
            _ => Ok(()),
        }
    }
}

/// Counts the bytes that a document will have.
struct Length(u64);

impl Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// It was well-formed when it was staged: the bytes are not the same any more.
fn changed(rule: Malformed) -> ExportError {
    ExportError::LargeValue(io::Error::new(io::ErrorKind::InvalidData, rule))
}
