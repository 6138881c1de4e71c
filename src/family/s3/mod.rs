//! The S3 family: buckets, objects and the chunks that they consist of (`docs/format/s3.md`).
//!
//! `rows` takes row keys apart, `bucket`, `manifest` and `chunk_ref` values, the first two read by `json_fields`;
//! `stage` puts rows into tables; `reconcile` finds the objects that clients see and `verify` looks whether all of them
//! is there; `path` says where they go, `document` what stands beside them; `export` writes the files.

mod body;
mod bucket;
mod chunk_ref;
mod document;
mod export;
mod json_fields;
mod manifest;
mod orphans;
mod path;
mod reconcile;
mod rows;
mod stage;
mod uploads;
mod verify;

use rusqlite::Connection;

pub use self::path::{BUCKET_FILE, META_SUFFIX, ORPHANS_FOLDER, UPLOADS_FOLDER};
use super::{Export, ExportError, Exported, Family, KeyPlace, Reconcile, Stage};
use crate::error::Error;
use crate::snapshot::Class;
use crate::staging::{Staging, StagingError};

/// The S3 family.
pub struct S3;

impl Family for S3 {
    fn name(&self) -> &'static str {
        "s3"
    }

    fn classes(&self) -> &'static [Class] {
        &[Class::S3]
    }

    fn stage<'c>(&self, staging: &'c Staging, source: i64) -> Result<Box<dyn Stage + 'c>, StagingError> {
        Ok(Box::new(stage::S3Stage::new(staging, source)?))
    }

    fn reconcile(&self, run: &mut Reconcile<'_, '_>) -> Result<(), Error> {
        reconcile::reconcile(run)
    }

    fn keys(&self, connection: &Connection) -> Result<Vec<(String, u64)>, StagingError> {
        let (buckets, objects): (i64, i64) = connection.query_row(
            "SELECT (SELECT count(*) FROM s3_bucket WHERE NOT refused), \
             (SELECT count(*) FROM s3_object WHERE NOT damaged)",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        let counted = [("bucket", buckets), ("object", objects)].into_iter().filter(|(_, count)| *count > 0);
        Ok(counted.map(|(kind, count)| (kind.to_owned(), count.cast_unsigned())).collect())
    }

    fn places(&self, _: &Connection, name: &[u8]) -> Result<Vec<KeyPlace>, StagingError> {
        let slashes = name.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        let place = |(at, _)| KeyPlace { scope: name[..at].to_vec(), key: name[at + 1..].to_vec() };
        Ok(slashes.map(place).collect())
    }

    fn export(&self, run: &mut Export<'_, '_>) -> Result<Exported, ExportError> {
        export::export(run)
    }
}
