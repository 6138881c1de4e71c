//! The table of messages, and of those whose value cannot be read. All of them are taken in; which ones are a queue's is
//! left to the views, and what that makes of values that cannot be read to `reconcile`.

use rusqlite::Connection;
use rusqlite::types::ValueRef;

use super::MAX_VALUE_IN_MEMORY_BYTES;
use crate::family::sqs::giant;
use crate::family::sqs::message::{self, Body, Message};
use crate::family::sqs::partition::group_hash;
use crate::family::sqs::rows::{Partition, push_text_of};
use crate::family::{Context, RowError, Rule};
use crate::snapshot::limits::INLINE_PAYLOAD_BYTES;
use crate::snapshot::{Payload, Row};
use crate::staging::{BulkInsert, Cell, Conflict, MalformedRow, StagingError, Table};

pub(super) const MESSAGES: Table = Table {
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

pub(super) struct Messages<'c> {
    connection: &'c Connection,
    table: BulkInsert<'c>,
    message_id: Vec<u8>,
}

impl<'c> Messages<'c> {
    pub(super) fn new(connection: &'c Connection, conflict: Conflict, source: i64) -> Self {
        let table = BulkInsert::of_source(connection, &MESSAGES, conflict, source);
        Self { connection, table, message_id: Vec::new() }
    }

    /// Takes in the row of a message of the partition with this id; `id_text` is the end of its key.
    pub(super) fn push(
        &mut self,
        partition: &Partition<'_>,
        id: i64,
        id_text: &[u8],
        row: &Row<'_>,
        context: &mut Context<'_, '_>,
    ) -> Result<(), RowError> {
        self.message_id.clear();
        push_text_of(id_text, &mut self.message_id);
        let keyed = MessageRow { partition, id, id_text, message_id: &self.message_id };
        let table = &mut self.table;
        let decoded: Result<Result<(), StagingError>, Rule> = if row.payload.len() > MAX_VALUE_IN_MEMORY_BYTES
        {
            let extent = context.extent(row.payload.skip(0));
            giant::decode(context.large_values, extent, |message| keyed.push(message, row, table, context))?
                .map_err(Into::into)
        } else {
            let value = context.whole(row.payload.skip(0))?;
            message::decode(&value, |message| keyed.push(message, row, table, context)).map_err(Into::into)
        };
        match decoded {
            Ok(pushed) => pushed?,
            Err(rule) => {
                keyed.push(&Message::default(), row, table, context)?;
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

    /// Sends everything taken so far to the table.
    pub(super) fn flush(&mut self) -> rusqlite::Result<()> {
        self.table.flush()
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
