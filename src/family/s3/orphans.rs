//! `_orphans`: chunks that belong to no object and to no upload in flight, a file each (`docs/format/s3.md` section 3.7).

use std::sync::Arc;

use rusqlite::Row;

use super::body::Bytes;
use super::path::{MAX_SEGMENT_BYTES, ORPHANS_FOLDER};
use super::reconcile::Named;
use super::verify::{has_blob, with_blob};
use crate::dump::name::{push_directory_name, push_fallback, push_file_name};
use crate::dump::tree::Directory;
use crate::family::{Begun, Content, Export, ExportError};
use crate::snapshot::Readable;
use crate::staging::column::blob;
use crate::staging::{Kind, U64, Warnings};

/// Bytes read at a time while a digest is looked at.
const READ_BYTES: usize = 64 << 10;

/// Writes the orphans of the bucket of this name.
pub(super) fn export(
    run: &mut Export<'_, '_>,
    bucket: &[u8],
    directory: &Arc<Directory>,
    warnings: &mut Warnings,
) -> Result<(), ExportError> {
    let connection = run.staging.connection();
    let mut uploads = connection.prepare_cached(
        "SELECT id, generation, object, upload_id FROM s3_upload WHERE bucket = ? \
         ORDER BY generation, object, upload_id",
    )?;
    let mut orphans = connection.prepare_cached(
        "SELECT part, chunk, version, offloaded, length, value, start, source, digest FROM s3_orphan \
         WHERE upload = ? ORDER BY offloaded, part, chunk, version",
    )?;
    let mut to = Orphans { run, directory, warnings, path: Vec::new(), buffer: vec![0; READ_BYTES] };
    let mut uploads = uploads.query([bucket])?;
    while let Some(row) = uploads.next()? {
        let upload = Upload {
            bucket,
            generation: row.get::<_, U64>(1)?.0,
            object: blob(row, 2)?,
            upload_id: blob(row, 3)?,
        };
        let mut rows = orphans.query([row.get::<_, i64>(0)?])?;
        while let Some(row) = rows.next()? {
            to.write(&upload, row)?;
        }
    }
    Ok(())
}

/// The folder that orphans are written to.
struct Orphans<'r, 'a, 'c> {
    run: &'r mut Export<'a, 'c>,
    directory: &'r Arc<Directory>,
    warnings: &'r mut Warnings,
    path: Vec<u8>,
    buffer: Vec<u8>,
}

impl Orphans<'_, '_, '_> {
    /// Writes one, if its bytes are there.
    fn write(&mut self, of: &Upload<'_>, row: &Row<'_>) -> Result<(), ExportError> {
        let number = |column| row.get::<_, U64>(column).map(|number| number.0);
        let [part, chunk, version] = [number(0)?, number(1)?, number(2)?];
        self.path.clear();
        of.push_path(row.get(3)?, [part, chunk, version], &mut self.path);
        if let Some(bytes) = Bytes::of(row, 4, self.run.large_values)? {
            return self.file(&bytes);
        }
        // A reference that cannot be read leads nowhere.
        let Some(digest) = row.get_ref(8)?.as_blob_or_null().map_err(rusqlite::Error::from)? else {
            return Ok(());
        };
        let (connection, large_values) = (self.run.staging.connection(), self.run.large_values);
        if has_blob(connection, large_values, digest, &mut self.buffer)? {
            with_blob(connection, large_values, digest, |bytes| self.file(bytes))?;
        } else {
            let (name, id) = (Named(of.bucket, of.object), Readable(of.upload_id));
            let sample = format!("{name}, upload {id}, part {part}, chunk {chunk}");
            self.warnings.add(Kind::S3OrphanWithoutChunkblob, sample);
        }
        Ok(())
    }

    fn file(&mut self, bytes: &Bytes<'_>) -> Result<(), ExportError> {
        if self.run.begin(Content::Other, self.directory, &self.path)? != Begun::Written {
            append(self.run, bytes)?;
            self.run.tree.end()?;
        }
        (self.run.written)(self.run.tree, 0)
    }
}

/// What orphans belong to.
struct Upload<'a> {
    bucket: &'a [u8],
    generation: u64,
    object: &'a [u8],
    upload_id: &'a [u8],
}

impl Upload<'_> {
    /// The path of an orphan below its bucket's folder.
    fn push_path(&self, offloaded: bool, [part, chunk, version]: [u64; 3], out: &mut Vec<u8>) {
        out.extend_from_slice(ORPHANS_FOLDER.as_bytes());
        out.push(b'/');
        // Nothing leads back from here to the key, whose object is not there.
        let _ = push_directory_name(self.object, out);
        let prefix = if offloaded { "ref_" } else { "" };
        out.extend_from_slice(format!("/gen-{}/{prefix}", self.generation).as_bytes());
        let rest = format!("_{part:016x}_{chunk:016x}_{version:016x}.bin");
        let (start, room) = (out.len(), MAX_SEGMENT_BYTES - prefix.len() - rest.len());
        let _ = push_file_name(self.upload_id, out);
        if out.len() - start > room {
            // No node makes such ids. The hash alone tells them apart.
            out.truncate(start);
            let _ = push_fallback(self.upload_id, out);
            out.truncate(start + FALLBACK_OPENING_BYTES);
        }
        out.extend_from_slice(rest.as_bytes());
    }
}

/// Bytes of a fallback name before what it shows of its key.
const FALLBACK_OPENING_BYTES: usize = 34;

/// Appends bytes of a chunk to the file being written.
pub(super) fn append(run: &mut Export<'_, '_>, bytes: &Bytes<'_>) -> Result<(), ExportError> {
    match bytes {
        Bytes::Inline(bytes) => {
            run.tree.content().extend_from_slice(bytes);
            Ok(run.tree.spill()?)
        }
        Bytes::Extent(extent) => run.copy(*extent),
    }
}

#[cfg(test)]
mod tests;
