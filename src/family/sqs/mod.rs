//! The SQS family: queues and their messages, classic, FIFO and partitioned (`docs/format/sqs.md`).
//!
//! `rows` takes keys apart, `queue` and `message` the JSON of the values, read by `json_values` as nodes read it; `giant`
//! is for messages too long for memory; `partition` knows where a group belongs. `stage` puts records into tables,
//! `reconcile` looks at them as a whole, `export` writes the files and `document` knows their bytes.

mod document;
mod export;
mod giant;
mod json_values;
mod message;
mod partition;
mod queue;
mod reconcile;
mod rows;
mod stage;

use rusqlite::Connection;

use super::{Export, ExportError, Exported, Family, KeyPlace, Reconcile, Stage};
use crate::error::Error;
use crate::snapshot::Class;
use crate::staging::{Staging, StagingError};

/// The SQS family.
pub struct Sqs;

impl Family for Sqs {
    fn name(&self) -> &'static str {
        "sqs"
    }

    fn classes(&self) -> &'static [Class] {
        &[Class::Sqs]
    }

    fn stage<'c>(&self, staging: &'c Staging, source: i64) -> Result<Box<dyn Stage + 'c>, StagingError> {
        Ok(Box::new(stage::SqsStage::new(staging, source)?))
    }

    fn reconcile(&self, run: &mut Reconcile<'_, '_>) -> Result<(), Error> {
        reconcile::reconcile(run)
    }

    fn keys(&self, connection: &Connection) -> Result<Vec<(String, u64)>, StagingError> {
        let (queues, messages): (i64, i64) = connection.query_row(
            "SELECT (SELECT count(*) FROM sqs_queue), \
             (SELECT coalesce(sum(messages), 0) FROM sqs_partition_state WHERE unreachable IS NULL)",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        let counted = [("queue", queues), ("message", messages)].into_iter().filter(|(_, count)| *count > 0);
        Ok(counted.map(|(kind, count)| (kind.to_owned(), count.cast_unsigned())).collect())
    }

    fn places(&self, _: &Connection, name: &[u8]) -> Result<Vec<KeyPlace>, StagingError> {
        Ok(vec![KeyPlace { scope: name.to_vec(), key: name.to_vec() }])
    }

    fn export(&self, run: &mut Export<'_, '_>) -> Result<Exported, ExportError> {
        export::export(run)
    }
}
