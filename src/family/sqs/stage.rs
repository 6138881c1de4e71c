//! SQS records into their tables: queues, counters, tombstones and side rows here, messages in `messages`, and the
//! partitions of both in `partitions`. Messages come before the meta row that says which generation is current, so
//! nothing here asks whose they are.

mod messages;
mod partitions;

use rusqlite::Connection;
use rusqlite::types::ValueRef;

use self::messages::{MESSAGES, Messages};
use self::partitions::Partitions;
use super::queue;
use super::rows::{self, Record, SideFamily, decode, text_of};
use crate::family::{Context, ROWS_BETWEEN_NOTES, RowError, Stage};
use crate::snapshot::{Payload, Readable, Row, Skipped};
use crate::staging::{
    BulkInsert, Cell, Conflict, Duplicates, Kind, Staging, StagingError, Table, U64, is_printable,
};

/// Longest value of a queue or counter that is read, and longest value of a message that is decoded in memory, in
/// bytes. The API takes 256 KiB of body and attributes, of which JSON can make six times as much.
pub const MAX_VALUE_IN_MEMORY_BYTES: u64 = 2 << 20;

const SIDE_ROWS: Table = Table {
    name: "sqs_side_row",
    columns: &["family", "partition_id", "time_ms", "rest", "version", "value"],
    key: 4,
};

/// Takes SQS rows in.
pub struct SqsStage<'c> {
    connection: &'c Connection,
    duplicates: Duplicates,
    partitions: Partitions<'c>,
    messages: Messages<'c>,
    side_rows: BulkInsert<'c>,
    rows: u32,
}

/// A value that is too long for its kind.
#[derive(Debug, thiserror::Error)]
#[error("the value of the {0} has {1} bytes; at most {MAX_VALUE_IN_MEMORY_BYTES} are read")]
struct TooLong(&'static str, u64);

impl<'c> SqsStage<'c> {
    pub(super) fn new(staging: &'c Staging, source: i64) -> Result<Self, StagingError> {
        let connection = staging.connection();
        // Row keys are unique within a file.
        let conflict = if source == 0 { Conflict::Refuse } else { Conflict::Note };
        Ok(Self {
            connection,
            duplicates: staging.duplicates().clone(),
            partitions: Partitions::new(connection)?,
            messages: Messages::new(connection, conflict, source),
            side_rows: BulkInsert::of_source(connection, &SIDE_ROWS, conflict, source),
            rows: 0,
        })
    }

    fn queue(
        &mut self,
        segment: &[u8],
        payload: Payload<'_>,
        context: &mut Context<'_, '_>,
    ) -> Result<(), RowError> {
        let value = in_memory("queue meta", payload)?;
        let meta = queue::decode(&context.whole(value)?).map_err(RowError::malformed)?;
        let queue = text_of(segment);
        let optional = |json| if json == b"" { Cell(ValueRef::Null) } else { Cell::text_or_blob(json) };
        let added = self
            .connection
            .prepare_cached(
                "INSERT OR IGNORE INTO sqs_queue (queue, queue_is_text, name, generation, incarnation, \
                 created_at_hlc, is_fifo, content_based_deduplication, visibility_timeout_seconds, \
                 message_retention_seconds, delay_seconds, receive_message_wait_seconds, maximum_message_size, \
                 redrive_policy, redrive_allow_policy, tags, throttle, last_purged_at_ms, created_at_ms, \
                 last_modified_at_ms, partition_count, fifo_throughput_limit, deduplication_scope, source) \
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute(rusqlite::params![
                &queue,
                is_printable(&queue),
                Cell::text_or_blob(meta.name.as_bytes()),
                U64(meta.generation),
                U64(meta.incarnation),
                U64(meta.created_at_hlc),
                meta.is_fifo,
                meta.content_based_dedup,
                meta.visibility_timeout_seconds,
                meta.message_retention_seconds,
                meta.delay_seconds,
                meta.receive_message_wait_seconds,
                meta.maximum_message_size,
                Cell::text_or_blob(meta.redrive_policy.as_bytes()),
                Cell::text_or_blob(meta.redrive_allow_policy.as_bytes()),
                optional(&meta.tags),
                optional(&meta.throttle),
                meta.last_purged_at_millis,
                meta.created_at_millis,
                meta.last_modified_at_millis,
                meta.partition_count,
                Cell::text_or_blob(meta.fifo_throughput_limit.as_bytes()),
                Cell::text_or_blob(meta.deduplication_scope.as_bytes()),
                context.source,
            ])?;
        note_duplicate(added, "queue meta", &queue, context);
        Ok(())
    }

    fn counter(
        &mut self,
        (kind, what): (&str, &'static str),
        segment: &[u8],
        row: &Row<'_>,
        context: &mut Context<'_, '_>,
    ) -> Result<(), RowError> {
        let value = context.whole(in_memory(what, row.payload)?)?;
        let number = rows::counter(&value, what).map_err(RowError::malformed)?;
        let queue = text_of(segment);
        let added = self
            .connection
            .prepare_cached(
                "INSERT OR IGNORE INTO sqs_counter (kind, queue, number, value, version, source) \
                 VALUES (?, ?, ?, ?, ?, ?)",
            )?
            .execute((
                kind,
                &queue,
                U64(number),
                Cell::text_or_blob(&value),
                version_of(row),
                context.source,
            ))?;
        note_duplicate(added, what, &queue, context);
        Ok(())
    }

    fn tombstone(
        &mut self,
        segment: &[u8],
        generation: u64,
        row: &Row<'_>,
        context: &mut Context<'_, '_>,
    ) -> Result<(), RowError> {
        let queue = text_of(segment);
        let partitions = match row.payload {
            Payload::Inline(value) => rows::tombstone_partitions(value),
            Payload::Large { .. } => 1,
        };
        let added = self
            .connection
            .prepare_cached(
                "INSERT OR IGNORE INTO sqs_tombstone (queue, generation, partitions, value, version, source) \
                 VALUES (?, ?, ?, ?, ?, ?)",
            )?
            .execute((
                &queue,
                U64(generation),
                U64(partitions),
                context.cell(row.payload.skip(0))?,
                version_of(row),
                context.source,
            ))?;
        note_duplicate(added, "tombstone", &queue, context);
        Ok(())
    }

    /// Rows of a second file do not count.
    fn note_duplicates(&self, context: &mut Context<'_, '_>) -> Result<(), StagingError> {
        for duplicate in self.duplicates.drain("sqs_") {
            if duplicate.table == MESSAGES.name {
                let queue: Vec<u8> = self
                    .connection
                    .prepare_cached(
                        "UPDATE sqs_partition SET messages = messages - 1 WHERE id = ? RETURNING queue",
                    )?
                    .query_row([duplicate.collection], |row| row.get(0))?;
                let sample = format!("message {} of {}", duplicate.part, Readable(&queue));
                context.warnings.add(Kind::RowInTwoFiles, sample);
            } else {
                // The family stands in the place of a collection; then come the partition, the time and the rest.
                let family =
                    SideFamily::ALL.iter().find(|family| Some(**family as i64) == duplicate.collection);
                let partition = duplicate.part.split('-').next().unwrap_or_default();
                let queue: Vec<u8> = self
                    .connection
                    .prepare_cached("SELECT queue FROM sqs_partition WHERE id = CAST(? AS INTEGER)")?
                    .query_row([partition], |row| row.get(0))?;
                let what = family.map_or("side row", |family| family.kind());
                context.warnings.add(Kind::RowInTwoFiles, format!("{what} of {}", Readable(&queue)));
            }
        }
        Ok(())
    }
}

impl Stage for SqsStage<'_> {
    fn row(&mut self, row: &Row<'_>, context: &mut Context<'_, '_>) -> Result<(), RowError> {
        match decode(row.user_key).map_err(RowError::malformed)? {
            Record::Queue { segment } => self.queue(segment, row.payload, context)?,
            Record::Generation { segment } => {
                self.counter(("generation", "gen row"), segment, row, context)?;
            }
            Record::Sequence { segment } => self.counter(("sequence", "seq row"), segment, row, context)?,
            Record::Tombstone { segment, generation } => self.tombstone(segment, generation, row, context)?,
            Record::Message { partition, message } => {
                let id = self.partitions.id_of(&partition, 1, context.source)?;
                self.messages.push(&partition, id, message, row, context)?;
            }
            Record::Side { family, partition, time_ms, rest } => {
                let id = self.partitions.id_of(&partition, 0, context.source)?;
                let mut digits = String::new();
                self.side_rows.push([
                    Cell::integer(family as i64),
                    Cell::integer(id),
                    Cell::unsigned(time_ms, &mut digits),
                    Cell::blob(rest),
                    Cell::blob(version_of(row)),
                    context.cell(row.payload.skip(0))?,
                ])?;
            }
            Record::Unknown => {
                context.warnings.add(Kind::SqsUnknownRow, Readable(row.user_key).to_string());
            }
        }
        self.rows += 1;
        if self.rows == ROWS_BETWEEN_NOTES {
            self.rows = 0;
            self.note_duplicates(context)?;
        }
        Ok(())
    }

    fn flush(&mut self, context: &mut Context<'_, '_>) -> Result<(), StagingError> {
        self.messages.flush()?;
        self.side_rows.flush()?;
        self.partitions.end_run()?;
        self.note_duplicates(context)
    }
}

fn in_memory<'a>(what: &'static str, payload: Payload<'a>) -> Result<Skipped<'a>, RowError> {
    if payload.len() > MAX_VALUE_IN_MEMORY_BYTES {
        return Err(RowError::malformed(TooLong(what, payload.len())));
    }
    Ok(payload.skip(0))
}

/// The end of the raw key: what orders the rows of a snapshot where one key goes on with another's bytes.
fn version_of<'a>(row: &Row<'a>) -> &'a [u8] {
    row.raw_key.get(row.user_key.len()..).unwrap_or_default()
}

fn note_duplicate(added: usize, what: &str, queue: &[u8], context: &mut Context<'_, '_>) {
    if added == 0 {
        context.warnings.add(Kind::RowInTwoFiles, format!("{what} of {}", Readable(queue)));
    }
}
