//! The Redis family: strings, HyperLogLogs, hashes, lists, sets, sorted sets and streams, in every layout that
//! nodes have written (`docs/format/redis.md`).
//!
//! `rows` takes rows apart; `blob` and `entry` walk the protobuf inside values; `stage` puts records into
//! tables; `reconcile` looks at them as a whole; `export` writes the files; `glob` knows the
//! patterns that keys are asked for by.

mod blob;
mod entry;
mod export;
pub mod glob;
mod reconcile;
mod row_names;
pub mod rows;
mod stage;

use rusqlite::Connection;

use self::rows::Type;
use super::{Export, ExportError, Exported, Family, KeyPlace, Reconcile, Stage};
use crate::error::Error;
use crate::snapshot::{Class, Readable};
use crate::staging::{Staging, StagingError, column};

/// Is it the name of the only database, by itself or as its folder has it?
pub fn is_database(scope: &str) -> bool {
    matches!(scope, "0" | "db_0")
}

/// The Redis family.
pub struct Redis;

impl Family for Redis {
    fn name(&self) -> &'static str {
        "redis"
    }

    fn classes(&self) -> &'static [Class] {
        &[Class::Redis, Class::Bare]
    }

    fn stage<'c>(&self, staging: &'c Staging, source: i64) -> Result<Box<dyn Stage + 'c>, StagingError> {
        Ok(Box::new(stage::RedisStage::new(staging, source)?))
    }

    fn reconcile(&self, run: &mut Reconcile<'_, '_>) -> Result<(), Error> {
        row_names::stage(run.staging.connection(), run.large_values)?;
        Ok(reconcile::reconcile(run.staging.connection(), run.snapshot_ms, run.warnings)?)
    }

    fn keys(&self, connection: &Connection) -> Result<Vec<(String, u64)>, StagingError> {
        // One pass that counts, where GROUP BY would sort every collection there is.
        const KINDS: [&str; 7] = ["string", "hll", "hash", "list", "set", "stream", "zset"];
        let counts: [i64; KINDS.len()] = connection.query_row(
            "SELECT (SELECT count(*) FROM redis_exported_string), (SELECT count(*) FROM redis_exported_hll), \
             count(*) FILTER (WHERE type = 'hash'), count(*) FILTER (WHERE type = 'list'), \
             count(*) FILTER (WHERE type = 'set'), count(*) FILTER (WHERE type = 'stream'), \
             count(*) FILTER (WHERE type = 'zset') FROM redis_exported_collection",
            [],
            |row| {
                let mut counts = [0; KINDS.len()];
                for (column, count) in counts.iter_mut().enumerate() {
                    *count = row.get(column)?;
                }
                Ok(counts)
            },
        )?;
        let counted = KINDS.into_iter().zip(counts).filter(|(_, count)| *count > 0);
        Ok(counted.map(|(kind, count)| (kind.to_owned(), count.cast_unsigned())).collect())
    }

    fn count_again(
        &self,
        connection: &Connection,
        counted: &mut dyn FnMut(&str, i64, i64),
    ) -> Result<(), StagingError> {
        for of in Type::ALL {
            let elements = export::elements_table(of);
            let mut query = connection.prepare(&format!(
                "SELECT * FROM (\
                 SELECT key, elements AS stated, (SELECT count(*) FROM {elements} WHERE collection = c.id) AS found \
                 FROM redis_collection c WHERE type = ?1 UNION ALL \
                 SELECT key, blob_elements, (SELECT count(*) FROM {elements} WHERE collection = c.blob_id) \
                 FROM redis_collection c WHERE type = ?1 AND blob_id IS NOT NULL) WHERE stated <> found"
            ))?;
            let mut rows = query.query([of.name()])?;
            while let Some(row) = rows.next()? {
                let key = column::blob(row, 0)?;
                let what = format!("elements of the {} {}", of.name(), Readable(key));
                counted(&what, row.get(1)?, row.get(2)?);
            }
        }
        Ok(())
    }

    fn places(&self, _: &Connection, name: &[u8]) -> Result<Vec<KeyPlace>, StagingError> {
        Ok(vec![KeyPlace { scope: name.to_vec(), key: name.to_vec() }])
    }

    fn export(&self, run: &mut Export<'_, '_>) -> Result<Exported, ExportError> {
        export::export(run)
    }
}
