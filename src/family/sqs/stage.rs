//! SQS records into their tables. Rows of one partition come in runs, a run per family of rows: the partition is looked
//! up once for each. Messages come before the meta row that says which generation is current, so all of them are taken
//! in; which ones count is left to the views, and what that makes of values that cannot be read to `reconcile`.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension};

use super::giant;
use super::message::{self, Body, Message};
use super::partition::group_hash;
use super::queue;
use super::rows::{self, Partition, Record, SideFamily, decode, push_text_of, text_of};
use crate::family::{Context, RowError, Rule, Stage};
use crate::snapshot::limits::INLINE_PAYLOAD_BYTES;
use crate::snapshot::{Payload, Readable, Row, Skipped};
use crate::staging::{
    BulkInsert, Cell, Conflict, Duplicates, Kind, MalformedRow, Staging, StagingError, Table, U64,
    is_printable,
};

/// Longest value of a queue or counter that is read, and longest value of a message that is decoded in memory, in
/// bytes. The API takes 256 KiB of body and attributes, of which JSON can make six times as much.
pub const MAX_VALUE_IN_MEMORY_BYTES: u64 = 2 << 20;

/// Duplicates are taken note of after this many rows, so that they do not pile up in memory.
const ROWS_BETWEEN_NOTES: u32 = 4 << 10;

const MESSAGES: Table = Table {
    name: "sqs_message",
    columns: &[
        "partition_id",
        "id_text",
        "message_id",
        "send_ms",
        "sequence_number",
        "available_ms",
        "visible_ms",
        "receive_count",
        "first_receive_ms",
        "receipt_token",
        "queue_generation",
        "group_id",
        "deduplication_id",
        "dead_letter_source_arn",
        "sender_id",
        "md5_of_body",
        "md5_of_message_attributes",
        "message_attributes",
        "body",
        "value_message_id",
        "group_hash",
    ],
    key: 2,
};

const SIDE_ROWS: Table = Table {
    name: "sqs_side_row",
    columns: &["family", "partition_id", "time_ms", "rest", "version", "value"],
    key: 4,
};

/// Takes SQS rows in.
pub struct SqsStage<'c> {
    connection: &'c Connection,
    duplicates: Duplicates,
    messages: BulkInsert<'c>,
    side_rows: BulkInsert<'c>,
    run: Option<Run>,
    next_partition: i64,
    message_id: Vec<u8>,
    rows: u32,
}

/// Rows of one partition that come one after the other.
struct Run {
    prefix: Vec<u8>,
    id: i64,
    messages: i64,
}

/// A value that is too long for its kind.
#[derive(Debug, thiserror::Error)]
#[error("the value of the {0} has {1} bytes; at most {MAX_VALUE_IN_MEMORY_BYTES} are read")]
struct TooLong(&'static str, u64);

impl<'c> SqsStage<'c> {
    pub(super) fn new(staging: &'c Staging, source: i64) -> Result<Self, StagingError> {
        let connection = staging.connection();
        let next_partition =
            connection
                .query_row("SELECT 1 + coalesce(max(id), 0) FROM sqs_partition", [], |row| row.get(0))?;
        // Row keys are unique within a file.
        let conflict = if source == 0 { Conflict::Refuse } else { Conflict::Note };
        Ok(Self {
            connection,
            duplicates: staging.duplicates().clone(),
            messages: BulkInsert::of_source(connection, &MESSAGES, conflict, source),
            side_rows: BulkInsert::of_source(connection, &SIDE_ROWS, conflict, source),
            run: None,
            next_partition,
            message_id: Vec::new(),
            rows: 0,
        })
    }

    /// The number of the partition whose row comes next; `messages` of its rows are messages.
    fn partition(&mut self, partition: &Partition<'_>, messages: i64, source: i64) -> rusqlite::Result<i64> {
        match &mut self.run {
            Some(run) if run.prefix == partition.prefix => {
                run.messages += messages;
                Ok(run.id)
            }
            _ => {
                self.end_run()?;
                let id = self.find_partition(partition, source)?;
                self.run = Some(Run { prefix: partition.prefix.to_vec(), id, messages });
                Ok(id)
            }
        }
    }

    fn end_run(&mut self) -> rusqlite::Result<()> {
        if let Some(Run { id, messages, .. }) = self.run.take()
            && messages > 0
        {
            self.connection
                .prepare_cached("UPDATE sqs_partition SET messages = messages + ? WHERE id = ?")?
                .execute((messages, id))?;
        }
        Ok(())
    }

    /// The number of a partition, which is entered if it is not there.
    fn find_partition(&mut self, partition: &Partition<'_>, source: i64) -> rusqlite::Result<i64> {
        let known = self
            .connection
            .prepare_cached("SELECT id FROM sqs_partition WHERE prefix = ?")?
            .query_row([partition.prefix], |row| row.get(0))
            .optional()?;
        if let Some(id) = known {
            return Ok(id);
        }
        let id = self.next_partition;
        self.next_partition += 1;
        let queue = text_of(partition.segment);
        self.connection
            .prepare_cached(
                "INSERT INTO sqs_partition (id, queue, queue_is_text, partition, generation, prefix, source) \
                 VALUES (?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute((
                id,
                &queue,
                is_printable(&queue),
                partition.number,
                U64(partition.generation),
                partition.prefix,
                source,
            ))?;
        Ok(id)
    }

    fn queue(
        &mut self,
        segment: &[u8],
        payload: Payload<'_>,
        context: &mut Context<'_, '_>,
    ) -> Result<(), RowError> {
        let value = in_memory("queue meta", payload)?;
        let meta = queue::decode(&context.whole(value)?).map_err(malformed)?;
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
        let number = rows::counter(&value, what).map_err(malformed)?;
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

    fn message(
        &mut self,
        partition: &Partition<'_>,
        id_text: &[u8],
        row: &Row<'_>,
        context: &mut Context<'_, '_>,
    ) -> Result<(), RowError> {
        let id = self.partition(partition, 1, context.source)?;
        self.message_id.clear();
        push_text_of(id_text, &mut self.message_id);
        let stage = MessageRow { partition, id, id_text, message_id: &self.message_id };
        let messages = &mut self.messages;
        let decoded: Result<Result<(), StagingError>, Rule> = if row.payload.len() > MAX_VALUE_IN_MEMORY_BYTES
        {
            let extent = context.extent(row.payload.skip(0));
            giant::decode(context.large_values, extent, |message| {
                stage.push(message, row, messages, context)
            })?
            .map_err(Into::into)
        } else {
            let value = context.whole(row.payload.skip(0))?;
            message::decode(&value, |message| stage.push(message, row, messages, context)).map_err(Into::into)
        };
        match decoded {
            Ok(pushed) => pushed?,
            Err(rule) => {
                stage.push(&Message::default(), row, messages, context)?;
                self.keep_unreadable(id, id_text, row, &rule, context)?;
            }
        }
        Ok(())
    }

    /// Whether such a row is malformed is known once it is known which messages are the queue's.
    fn keep_unreadable(
        &self,
        id: i64,
        id_text: &[u8],
        row: &Row<'_>,
        rule: &Rule,
        context: &Context<'_, '_>,
    ) -> Result<(), StagingError> {
        let kept = MalformedRow::of(row, context.source, context.large_values)?;
        self.connection
            .prepare_cached(
                "INSERT INTO sqs_unreadable_message (partition_id, id_text, user_key_bytes, raw_key, raw_value, \
                 rule, byte_offset, source) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute((
                id,
                id_text,
                row.user_key.len() as i64,
                kept.raw_key,
                kept.raw_value,
                rule.to_string(),
                row.offset.cast_signed(),
                context.source,
            ))?;
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
        match decode(row.user_key).map_err(malformed)? {
            Record::Queue { segment } => self.queue(segment, row.payload, context)?,
            Record::Generation { segment } => {
                self.counter(("generation", "gen row"), segment, row, context)?;
            }
            Record::Sequence { segment } => self.counter(("sequence", "seq row"), segment, row, context)?,
            Record::Tombstone { segment, generation } => self.tombstone(segment, generation, row, context)?,
            Record::Message { partition, message } => self.message(&partition, message, row, context)?,
            Record::Side { family, partition, time_ms, rest } => {
                let id = self.partition(&partition, 0, context.source)?;
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
        self.end_run()?;
        self.note_duplicates(context)
    }
}

/// What the key of a message says, on its way into the table.
struct MessageRow<'a> {
    partition: &'a Partition<'a>,
    id: i64,
    id_text: &'a [u8],
    message_id: &'a [u8],
}

impl MessageRow<'_> {
    fn push(
        &self,
        message: &Message<'_>,
        row: &Row<'_>,
        table: &mut BulkInsert<'_>,
        context: &Context<'_, '_>,
    ) -> Result<(), StagingError> {
        let (mut sequence_digits, mut generation_digits) = Default::default();
        let agrees = message.message_id.as_bytes() == self.message_id;
        let group = message.message_group_id.as_bytes();
        let group_hash = self.partition.number.filter(|_| !group.is_empty()).map(|_| group_hash(group));
        table.push([
            Cell::integer(self.id),
            Cell::blob(self.id_text),
            Cell::blob(self.message_id),
            Cell::integer(message.send_timestamp_millis),
            Cell::unsigned(message.sequence_number, &mut sequence_digits),
            Cell::integer(message.available_at_millis),
            Cell::integer(message.visible_at_millis),
            Cell::integer(message.receive_count),
            Cell::integer(message.first_receive_millis),
            Cell::blob(&message.current_receipt_token),
            Cell::unsigned(message.queue_generation, &mut generation_digits),
            text(&message.message_group_id),
            text(&message.message_deduplication_id),
            text(&message.dead_letter_source_arn),
            text(&message.sender_id),
            text(&message.md5_of_body),
            text(&message.md5_of_message_attributes),
            Cell::text_or_blob(&message.message_attributes),
            body_cell(&message.body, row, context)?,
            if agrees { Cell(ValueRef::Null) } else { text(&message.message_id) },
            Cell::optional(group_hash.map(i64::from)),
        ])?;
        Ok(())
    }
}

fn text(text: &str) -> Cell<'_> {
    Cell::text_or_blob(text.as_bytes())
}

/// A long body stays where its text is.
fn body_cell<'a>(body: &'a Body, row: &Row<'_>, context: &Context<'_, '_>) -> Result<Cell<'a>, StagingError> {
    match body.text {
        Some((start, length))
            if length > INLINE_PAYLOAD_BYTES as u64 && matches!(row.payload, Payload::Large { .. }) =>
        {
            let extent = context.extent(row.payload.skip(0)).slice(start, length);
            Ok(Cell::integer(context.large_values.save(extent)?))
        }
        _ => Ok(Cell::text_or_blob(&body.bytes)),
    }
}

fn in_memory<'a>(what: &'static str, payload: Payload<'a>) -> Result<Skipped<'a>, RowError> {
    if payload.len() > MAX_VALUE_IN_MEMORY_BYTES {
        return Err(malformed(TooLong(what, payload.len())));
    }
    Ok(payload.skip(0))
}

/// The end of the raw key: what orders the rows of a snapshot where one key goes on with another's bytes.
fn version_of<'a>(row: &Row<'a>) -> &'a [u8] {
    row.raw_key.get(row.user_key.len()..).unwrap_or_default()
}

fn malformed(rule: impl std::error::Error + Send + Sync + 'static) -> RowError {
    RowError::Malformed(Box::new(rule))
}

fn note_duplicate(added: usize, what: &str, queue: &[u8], context: &mut Context<'_, '_>) {
    if added == 0 {
        context.warnings.add(Kind::RowInTwoFiles, format!("{what} of {}", Readable(queue)));
    }
}
