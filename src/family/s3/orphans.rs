//! `_orphans`: chunks that belong to no object and to no upload in flight, a file each (`docs/format/s3.md` section 3.7).

use std::sync::Arc;

use super::body::Bytes;
use super::path::{MAX_SEGMENT_BYTES, ORPHANS_FOLDER};
use super::reconcile::Named;
use super::verify::{has_blob, with_blob};
use crate::dump::name::{push_directory_name, push_fallback, push_file_name};
use crate::dump::tree::Directory;
use crate::family::{Begun, Export, ExportError};
use crate::snapshot::Readable;
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
    let mut query = connection.prepare_cached(
        "SELECT u.generation, u.object, u.upload_id, o.part, o.chunk, o.version, o.offloaded, o.digest, \
         o.length, o.value, o.start, o.source FROM s3_upload u CROSS JOIN s3_orphan o ON o.upload = u.id \
         WHERE u.bucket = ? ORDER BY u.generation, u.object, u.upload_id, o.offloaded, o.part, o.chunk, o.version",
    )?;
    let mut rows = query.query([bucket])?;
    let (mut path, mut buffer) = (Vec::new(), vec![0; READ_BYTES]);
    while let Some(row) = rows.next()? {
        let blob = |column| -> rusqlite::Result<&[u8]> { Ok(row.get_ref(column)?.as_blob()?) };
        let number = |column| row.get::<_, U64>(column).map(|number| number.0);
        let (offloaded, object): (bool, _) = (row.get(6)?, blob(1)?);
        let numbers = [number(3)?, number(4)?, number(5)?];
        path.clear();
        push_path(object, number(0)?, offloaded, blob(2)?, numbers, &mut path);
        if !offloaded {
            if let Some(bytes) = Bytes::of(row, 8, run.large_values)?
                && run.begin(directory, &path)? != Begun::Written
            {
                append(run, &bytes)?;
                run.tree.end()?;
            }
            continue;
        }
        // A reference that cannot be read leads nowhere.
        let Some(digest) = row.get_ref(7)?.as_blob_or_null().map_err(rusqlite::Error::from)? else {
            continue;
        };
        if !has_blob(connection, run.large_values, digest, &mut buffer)? {
            let [part, chunk, _] = numbers;
            let id = Readable(blob(2)?).to_string();
            let sample = format!("{}, upload {id}, part {part}, chunk {chunk}", Named(bucket, object));
            warnings.add(Kind::S3OrphanWithoutChunkblob, sample);
            continue;
        }
        if run.begin(directory, &path)? == Begun::Written {
            continue;
        }
        with_blob(connection, run.large_values, digest, |bytes| append(run, bytes))?;
        run.tree.end()?;
    }
    Ok(())
}

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

/// The path of an orphan below its bucket's folder; `numbers` are part, chunk and version.
fn push_path(
    object: &[u8],
    generation: u64,
    offloaded: bool,
    upload_id: &[u8],
    numbers: [u64; 3],
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(ORPHANS_FOLDER.as_bytes());
    out.push(b'/');
    // Nothing leads back from here to the key, whose object is not there.
    let _ = push_directory_name(object, out);
    let prefix = if offloaded { "ref_" } else { "" };
    out.extend_from_slice(format!("/gen-{generation}/{prefix}").as_bytes());
    let [part, chunk, version] = numbers;
    let rest = format!("_{part:016x}_{chunk:016x}_{version:016x}.bin");
    let (start, room) = (out.len(), MAX_SEGMENT_BYTES - prefix.len() - rest.len());
    let _ = push_file_name(upload_id, out);
    if out.len() - start > room {
        // No node makes such ids. The hash alone tells them apart.
        out.truncate(start);
        let _ = push_fallback(upload_id, out);
        out.truncate(start + room.min(FALLBACK_OPENING_BYTES));
    }
    out.extend_from_slice(rest.as_bytes());
}

/// Bytes of a fallback name before what it shows of its key.
const FALLBACK_OPENING_BYTES: usize = 34;

#[cfg(test)]
mod tests;
