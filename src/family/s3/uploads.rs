//! `_incomplete_uploads/records.jsonl`: the rows of uploads in flight, as they are (`docs/format/s3.md` section 3.6).

use std::sync::Arc;

use rusqlite::types::ValueRef;

use super::document::write_record;
use super::path::UPLOADS_FOLDER;
use super::rows::{UPLOAD_META, UPLOAD_PART, upload_key};
use crate::dump::tree::Directory;
use crate::family::{Begun, Content, Export, ExportError};
use crate::staging::U64;
use crate::staging::column::blob;

/// Writes the records of a bucket's uploads in flight, if there are any: all uploads, then all parts.
pub(super) fn export(
    run: &mut Export<'_, '_>,
    bucket: i64,
    name: &[u8],
    directory: &Arc<Directory>,
) -> Result<(), ExportError> {
    let path = format!("{UPLOADS_FOLDER}/records.jsonl");
    let connection = run.staging.connection();
    let mut begun = false;
    for (prefix, sql) in [
        (
            UPLOAD_META,
            "SELECT generation, object, upload_id, value, NULL FROM s3_open_upload WHERE bucket = ? \
             ORDER BY object, upload_id",
        ),
        (
            UPLOAD_PART,
            "SELECT u.generation, u.object, u.upload_id, p.value, p.part FROM s3_open_upload u \
             JOIN s3_upload_part p ON p.upload = u.id WHERE u.bucket = ? ORDER BY u.object, u.upload_id, p.part",
        ),
    ] {
        let mut query = connection.prepare_cached(sql)?;
        let mut rows = query.query([bucket])?;
        while let Some(row) = rows.next()? {
            if !begun {
                if run.begin(Content::Other, directory, path.as_bytes())? == Begun::Written {
                    return Ok(());
                }
                begun = true;
            }
            let (generation, part): (U64, Option<U64>) = (row.get(0)?, row.get(4)?);
            let key = upload_key((name, generation.0, blob(row, 1)?), blob(row, 2)?, part.map(|part| part.0));
            let written = match row.get_ref(3)? {
                ValueRef::Integer(id) => {
                    let value = run.large_values.open(run.large_values.find(id)?)?;
                    write_record(prefix, &key, value, run.tree)
                }
                _ => write_record(prefix, &key, blob(row, 3)?, run.tree),
            };
            written.map_err(ExportError::LargeValue)?;
        }
    }
    if begun {
        run.tree.end()?;
    }
    Ok(())
}
