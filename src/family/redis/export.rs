//! Queries into files: the Redis part of the dump (`docs/format/dump.md` section 3). Owns which keys become files, in
//! the order that SQL gives them in, and the files of strings with the lists of their expiries. What stands in the file
//! of a collection is left to `collection`, how files come into being to the tree.

mod collection;

use std::sync::Arc;

use rusqlite::types::ValueRef;

pub(super) use self::collection::elements_table;
use self::collection::{Collection, StreamMeta, elements_sql};
use super::rows::Type;
use crate::dump::keymap::SHA_FALLBACK;
use crate::dump::name::{NameKind, push_file_name};
use crate::dump::tree::Directory;
use crate::dump::ttl_list;
use crate::family::{Begun, Content, Export, ExportError, Exported};
use crate::staging::{U64, column};

/// The only database that elastickv has.
const DATABASE: &str = "redis/db_0";

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
            let key = column::blob(row, 0)?;
            keys += 1;
            if self.begin(&mut directory, folder, key, ".bin")? == Begun::Written {
                continue;
            }
            match row.get_ref(1)? {
                ValueRef::Integer(id) => {
                    let extent = self.run.large_values.find(id)?;
                    self.run.copy(extent)?;
                }
                _ => self.run.tree.content().extend_from_slice(column::bytes(row, 1)?),
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
            let _ = push_file_name(column::blob(row, 0)?, &mut name);
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
            let collection = Collection { of, contents: row.get(1)?, expire_at_ms: row.get(2)?, stream };
            let key = column::blob(row, 0)?;
            keys += 1;
            let after = match self.begin(&mut directory, folder, key, extension)? {
                Begun::Written => continue,
                Begun::Now => None,
                Begun::After(position) => Some(position),
            };
            collection.write(self.run, &mut elements, after)?;
            self.end()?;
        }
        Ok(keys)
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
