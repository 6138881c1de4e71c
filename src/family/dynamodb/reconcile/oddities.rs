//! What is odd about tables and item rows, once it is known which rows are items (`docs/format/dynamodb.md` section
//! 3.7).

use super::Items;
use crate::error::Error;
use crate::family::{Reconcile, txn};
use crate::snapshot::Readable;
use crate::staging::{Kind, U64, column};

/// More items than this in files of their own are a burden for most file systems (`docs/format/dynamodb.md` section 3.7).
const MANY_ITEMS: u64 = 1_000_000;

impl Items<'_, '_, '_> {
    /// Notes what is odd about the table and its items.
    pub(super) fn note_oddities(&mut self) -> Result<(), Error> {
        let Self { connection, table, .. } = *self;
        let name = table.name();
        let mut warn = |kind, count, what: &str| {
            self.run.warnings.add_many(kind, count, [format!("table {name}: {}", counted(count, what))]);
        };
        warn(Kind::DdbMigrationDuplicates, self.duplicates, "row");
        let [unmigratable, empty_set, type_mismatch, json_value] = connection
            .prepare_cached(
                "SELECT count(*) FILTER (WHERE unmigratable), count(*) FILTER (WHERE empty_set), \
                 count(*) FILTER (WHERE type_mismatch), count(*) FILTER (WHERE json_value) \
                 FROM dynamodb_item WHERE table_id = ?",
            )?
            .query_row([table.id], |row| {
                let mut counts = [0u64; 4];
                for (column, count) in counts.iter_mut().enumerate() {
                    *count = row.get::<_, i64>(column)?.cast_unsigned();
                }
                Ok(counts)
            })?;
        warn(Kind::DdbUnmigratableKey, unmigratable, "item");
        warn(Kind::DdbEmptySet, empty_set, "item");
        warn(Kind::DdbKeyTypeMismatch, type_mismatch, "item");
        warn(Kind::DdbJsonValue, json_value + u64::from(table.is_json_schema), "row");
        if self.items > MANY_ITEMS {
            self.run.warnings.add(Kind::DdbManyItemFiles, format!("table {name}: {} items", self.items));
        }
        self.note_stale_rows(&name)?;
        self.note_counter(&name)
    }

    fn note_stale_rows(&mut self, name: &str) -> Result<(), Error> {
        let (id, generation) = (self.table.id, self.table.schema.generation);
        let legacy = self.table.legacy_generation();
        let stale: i64 = self
            .connection
            .prepare_cached(
                "SELECT coalesce(sum(rows), 0) FROM dynamodb_generation \
                 WHERE table_id = ? AND generation NOT IN (?, ?)",
            )?
            .query_row((id, U64(generation), U64(legacy.unwrap_or(generation))), |row| row.get(0))?;
        let active = match legacy {
            Some(legacy) if legacy != generation => {
                format!("generation {generation} is active, {legacy} is being migrated")
            }
            _ => format!("generation {generation} is active"),
        };
        let sample = format!("table {name}: {}; {active}", counted(stale.cast_unsigned(), "row"));
        self.run.warnings.add_many(Kind::DdbStaleGenerationItems, stale.cast_unsigned(), [sample]);
        Ok(())
    }

    fn note_counter(&mut self, name: &str) -> Result<(), Error> {
        let counter: Option<Option<U64>> = self
            .connection
            .prepare_cached("SELECT counter FROM dynamodb_generation_counter WHERE table_id = ?")?
            .query_row([self.table.id], |row| row.get(0))
            .map(Some)
            .or_else(|error| match error {
                rusqlite::Error::QueryReturnedNoRows => Ok(None),
                error => Err(error),
            })?;
        let generation = self.table.schema.generation;
        let what = match counter {
            None => "the counter is missing".to_owned(),
            Some(None) => "the counter cannot be read".to_owned(),
            Some(Some(U64(counter))) if counter < generation => format!("the counter is {counter}"),
            Some(Some(_)) => return Ok(()),
        };
        let sample = format!("table {name}: {what}, the generation {generation}");
        self.run.warnings.add(Kind::DdbGenerationCounter, sample);
        Ok(())
    }
}

/// Item rows without a table.
pub(super) fn note_orphans(run: &mut Reconcile<'_, '_>) -> Result<(), Error> {
    let connection = run.staging.connection();
    let mut query = connection.prepare(
        "SELECT n.segment, sum(g.rows) FROM dynamodb_generation g JOIN dynamodb_table_name n ON n.id = g.table_id \
         WHERE NOT EXISTS (SELECT 1 FROM dynamodb_table t WHERE t.id = g.table_id) GROUP BY g.table_id",
    )?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let count: i64 = row.get(1)?;
        let sample = format!(
            "encoded table {}: {}",
            Readable(column::blob(row, 0)?),
            counted(count.cast_unsigned(), "row")
        );
        run.warnings.add_many(Kind::DdbOrphanItems, count.cast_unsigned(), [sample]);
    }
    Ok(())
}

/// Rows of the family that a transaction had locked.
pub(super) fn note_locks(run: &mut Reconcile<'_, '_>) -> Result<(), Error> {
    let (locks, samples) = txn::locks_on(run.staging.connection(), b"!ddb|")?;
    run.warnings.add_many(Kind::DdbPendingTxnLocks, locks, samples);
    Ok(())
}

fn counted(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
