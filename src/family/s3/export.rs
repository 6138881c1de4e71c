//! Queries into files: the S3 part of the dump (`docs/format/s3.md` section 3). Objects are written in the order of
//! their keys; their bytes go from where they lie into the file. Where an object is written is decided here, since that
//! depends on what may be renamed.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::{Connection, Row};

use super::body::Bytes;
use super::document::{ObjectDocument, push_bucket, push_object};
use super::orphans::{self, append};
use super::path::{BUCKET_FILE, Keys, META_SUFFIX, Place, place};
use super::reconcile::Named;
use super::uploads;
use super::verify::with_blob;
use crate::dump::name::push_directory_name;
use crate::dump::tree::Directory;
use crate::family::position::{numbers, position};
use crate::family::{Begun, Content, Export, ExportError, Exported};
use crate::staging::column::{blob, text};
use crate::staging::{Kind, StagingError, U64, Warnings};

/// Objects of a bucket; a condition on `object` and their order follow.
const OBJECTS: &str = "SELECT object, upload, etag, size_bytes, last_modified_hlc, content_type, content_encoding, \
     cache_control, content_disposition, user_metadata FROM s3_object WHERE bucket = ?1 AND NOT damaged";

/// Of an upload, behind a part and a chunk.
const CHUNKS: &str = "SELECT length, value, start, source, digest, part, chunk FROM s3_selected_chunk \
     WHERE upload = ? AND (part, chunk) > (?, ?) ORDER BY part, chunk";

/// Buckets, and names under which only chunks are there: those have an id of NULL. A condition on `name` and their order
/// follow.
const BUCKETS: &str = "SELECT * FROM (SELECT id, name, created_at_hlc, owner, region, acl FROM s3_bucket WHERE NOT refused \
     UNION ALL \
     SELECT NULL, bucket, 0, '', '', '' FROM (SELECT DISTINCT bucket FROM s3_upload) u \
     WHERE ?1 AND bucket NOT IN (x'', x'2e', x'2e2e') AND NOT EXISTS (SELECT 1 FROM s3_bucket b WHERE b.name = u.bucket))";

pub(super) fn export(run: &mut Export<'_, '_>) -> Result<Exported, ExportError> {
    let connection = run.staging.connection();
    let mut exported = Exported::default();
    let mut query =
        connection.prepare(&format!("{BUCKETS} WHERE {} ORDER BY name", run.only_if("name", 2)))?;
    let mut rows = query.query((run.choices.include_orphans, run.only_scope()))?;
    while let Some(row) = rows.next()? {
        let name = blob(row, 1)?;
        if !run.scopes.is_empty() && !run.scopes.iter().any(|scope| scope.as_bytes() == name) {
            continue;
        }
        let mut folder = b"s3/".to_vec();
        // The bucket's own file leads back to its name.
        let _ = push_directory_name(name, &mut folder);
        let folder = String::from_utf8_lossy(&folder).into_owned();
        let Some(id) = row.get::<_, Option<i64>>(0)? else {
            let directory = run.tree.lazy_directory(&folder);
            orphans::export(run, name, &directory, &mut exported.warnings)?;
            continue;
        };
        let directory = run.tree.directory(&folder)?;
        if run.begin(Content::Other, &directory, BUCKET_FILE.as_bytes())? != Begun::Written {
            let texts = [text(row, 3)?, text(row, 4)?, text(row, 5)?];
            push_bucket(name, row.get::<_, U64>(2)?.0, texts, run.tree.content());
            run.tree.end()?;
        }
        (run.written)(run.tree, 1)?;
        let mut bucket = Bucket {
            run,
            id,
            name,
            folder: &folder,
            directory: &directory,
            warnings: &mut exported.warnings,
        };
        exported.keys += 1 + bucket.objects()?;
        exported.scopes.push(String::from_utf8_lossy(name).into_owned());
        if run.choices.include_incomplete_uploads {
            uploads::export(run, id, name, &directory)?;
        }
        if run.choices.include_orphans {
            orphans::export(run, name, &directory, &mut exported.warnings)?;
        }
    }
    Ok(exported)
}

struct Bucket<'b, 'r, 'a, 'c> {
    run: &'b mut Export<'a, 'c>,
    id: i64,
    name: &'r [u8],
    /// Relative to the root of the tree.
    folder: &'r str,
    directory: &'r Arc<Directory>,
    warnings: &'b mut Warnings,
}

impl Bucket<'_, '_, '_, '_> {
    /// Writes every object with the file beside it, and says how many there are.
    fn objects(&mut self) -> Result<u64, ExportError> {
        let connection = self.run.staging.connection();
        let rename = self.run.choices.rename_s3_collisions;
        let keys = StagedKeys { connection, bucket: self.id, rename };
        let mut query = connection
            .prepare(&format!("{OBJECTS} AND {} ORDER BY object", self.run.only_if("object", 2)))?;
        let mut chunks = connection.prepare(CHUNKS)?;
        let mut rows = query.query((self.id, self.run.only_key()))?;
        let (mut path, mut beside, mut written) = (Vec::new(), Vec::new(), 0);
        while let Some(row) = rows.next()? {
            let key = blob(row, 0)?;
            let kind = match place(key, rename, &keys, &mut path)? {
                Place::At(kind) => kind,
                Place::NeedsRenaming => {
                    self.warnings.add(Kind::S3NeedsRenaming, Named(self.name, key).to_string());
                    continue;
                }
                Place::Taken => {
                    self.warnings.add(Kind::S3PathTaken, Named(self.name, key).to_string());
                    continue;
                }
            };
            if let Some(kind) = kind.name() {
                self.run.note_name(self.folder, key, &path, kind)?;
            }
            let behind = match self.run.begin(Content::Value, self.directory, &path)? {
                Begun::Written => None,
                Begun::Now => Some([-1, -1]),
                Begun::After(position) => Some(numbers(&position)?.map(u64::cast_signed)),
            };
            if let Some([part, chunk]) = behind {
                let mut rows = chunks.query((row.get::<_, i64>(1)?, part, chunk))?;
                while let Some(chunk) = rows.next()? {
                    self.chunk(chunk)?;
                    if self.run.tree.is_note_due() {
                        let (part, chunk): (i64, i64) = (chunk.get(5)?, chunk.get(6)?);
                        self.run.note(position([part, chunk].map(i64::cast_unsigned)))?;
                    }
                }
                self.run.tree.end()?;
            }
            beside.clear();
            beside.extend_from_slice(&path);
            beside.extend_from_slice(META_SUFFIX);
            if self.run.begin(Content::About, self.directory, &beside)? != Begun::Written {
                self.document(row)?;
                self.run.tree.end()?;
            }
            written += 1;
            (self.run.written)(self.run.tree, 1)?;
        }
        Ok(written)
    }

    /// Appends a chunk to the body being written.
    fn chunk(&mut self, row: &Row<'_>) -> Result<(), ExportError> {
        if let Some(bytes) = Bytes::of(row, 0, self.run.large_values)? {
            return append(self.run, &bytes);
        }
        let (connection, large_values) = (self.run.staging.connection(), self.run.large_values);
        match with_blob(connection, large_values, blob(row, 4)?, |bytes| append(self.run, bytes))? {
            Some(()) => Ok(()),
            // It was there when the rows were staged.
            None => Err(StagingError::LargeValue(std::io::ErrorKind::NotFound.into()).into()),
        }
    }

    fn document(&mut self, row: &Row<'_>) -> Result<(), ExportError> {
        let mut headers = <[Cow<'_, str>; 4]>::default();
        for (header, column) in headers.iter_mut().zip(5..) {
            *header = text(row, column)?.into();
        }
        let document = ObjectDocument {
            etag: text(row, 2)?.into(),
            size_bytes: row.get(3)?,
            last_modified_hlc: row.get::<_, U64>(4)?.0,
            headers,
        };
        let metadata: BTreeMap<Cow<'_, str>, Cow<'_, str>> =
            match row.get_ref(9)?.as_str_or_null().map_err(rusqlite::Error::from)? {
                Some(json) => serde_json::from_str(json).map_err(StagingError::Checkpoint)?,
                None => BTreeMap::new(),
            };
        let metadata = metadata.iter().map(|(name, value)| (&**name, &**value));
        push_object(&document, metadata, self.run.tree.content());
        Ok(())
    }
}

/// The objects of a bucket in the staging database.
struct StagedKeys<'c> {
    connection: &'c Connection,
    bucket: i64,
    rename: bool,
}

impl Keys for StagedKeys<'_> {
    type Error = ExportError;

    fn is_key(&self, path: &[u8]) -> Result<bool, ExportError> {
        let mut query = self
            .connection
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM s3_object WHERE bucket = ? AND object = ?)")?;
        Ok(query.query_row((self.bucket, path), |row| row.get(0))?)
    }

    fn is_folder(&self, path: &[u8]) -> Result<bool, ExportError> {
        // Behind `/` comes `0`.
        let (from, to) = ([path, b"/"].concat(), [path, b"0"].concat());
        let least = if self.rename { 1 } else { 2 };
        let mut query = self.connection.prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM s3_object WHERE bucket = ? AND object >= ? AND object < ? AND stays >= ?)",
        )?;
        Ok(query.query_row((self.bucket, from, to, least), |row| row.get(0))?)
    }
}
