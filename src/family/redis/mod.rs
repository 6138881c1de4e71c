//! The Redis family: strings, HyperLogLogs, hashes, lists, sets, sorted sets and streams, in every layout that
//! nodes have written (`docs/format/redis.md`).
//!
//! `rows` takes rows apart; `blob`, `entry` and `wire` walk the protobuf inside values; `stage` puts records into
//! tables; `reconcile` looks at them as a whole; `export` writes the files.

mod blob;
mod entry;
mod export;
mod reconcile;
pub mod rows;
mod stage;
mod wire;

use rusqlite::Connection;

use super::{Export, ExportError, Exported, Family, Stage};
use crate::snapshot::Class;
use crate::staging::{Staging, StagingError, Warnings};

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

    fn reconcile(
        &self,
        staging: &Staging,
        snapshot_ms: i64,
        warnings: &mut Warnings,
    ) -> Result<(), StagingError> {
        reconcile::reconcile(staging.connection(), snapshot_ms, warnings)
    }

    fn keys(&self, connection: &Connection) -> Result<Vec<(String, u64)>, StagingError> {
        let mut query = connection.prepare(
            "SELECT 'string', count(*) FROM redis_exported_string UNION ALL \
             SELECT 'hll', count(*) FROM redis_exported_hll UNION ALL \
             SELECT type, count(*) FROM redis_exported_collection GROUP BY type",
        )?;
        let counts = query.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned())))?;
        Ok(counts.filter(|count| !matches!(count, Ok((_, 0)))).collect::<Result<_, _>>()?)
    }

    fn export(&self, run: &mut Export<'_, '_>) -> Result<Exported, ExportError> {
        export::export(run)
    }
}
