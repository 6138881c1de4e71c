//! The staged rows as a whole: which messages are their queue's, and what is odd about them (`docs/format/sqs.md`
//! sections 3 and 4). All of it is SQL; what comes out are warnings, and malformed rows where a queue's own message
//! cannot be read.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};

use crate::error::Error;
use crate::family::Reconcile;
use crate::snapshot::{Class, Readable};
use crate::staging::{Cell, Kind, MalformedRow, StagingError, Warnings};

/// What keeps a partition's messages from being reached, as the view `sqs_partition_state` has it.
const UNREACHABLE: [(Kind, &str); 6] = [
    (Kind::SqsDeletedQueueMessages, "deleted queue"),
    (Kind::SqsMessagesWithoutQueue, "no queue"),
    (Kind::SqsOldGenerationMessages, "old generation"),
    (Kind::SqsFutureGenerationMessages, "future generation"),
    (Kind::SqsWrongKeyspaceMessages, "wrong keyspace"),
    (Kind::SqsPartitionOutOfRangeMessages, "partition out of range"),
];

/// Characters of a name or id that a sample shows.
const SHOWN: usize = 100;

/// Messages of queues, with their partition and their queue.
const LIVE: &str = "sqs_partition_state s JOIN sqs_queue q ON q.queue = s.queue \
     JOIN sqs_message m ON m.partition_id = s.id WHERE s.unreachable IS NULL";

pub(super) fn reconcile(run: &mut Reconcile<'_, '_>) -> Result<(), Error> {
    refuse_unreadable(run)?;
    let connection = run.staging.connection();
    for (kind, why) in UNREACHABLE {
        note_unreachable(connection, run.warnings, kind, why)?;
    }
    note_queue_names(connection, run.warnings)?;
    note_messages(connection, run.snapshot_ms, run.warnings)
}

/// An SQL condition on a queue `q` and its message `m`: its retention was over at this time.
pub(super) fn retention_expired(at_ms: i64) -> String {
    format!("(q.message_retention_seconds > 0 AND {at_ms} - m.send_ms > q.message_retention_seconds * 1000)")
}

/// Messages of queues whose value cannot be read, in the order of the files.
fn refuse_unreadable(run: &mut Reconcile<'_, '_>) -> Result<(), Error> {
    let connection = run.staging.connection();
    let mut query = connection.prepare(
        "SELECT u.partition_id, u.id_text, u.user_key_bytes, u.raw_key, u.raw_value, u.rule, u.byte_offset, u.source \
         FROM sqs_unreadable_message u JOIN sqs_partition_state s ON s.id = u.partition_id \
         JOIN sqs_message m ON m.partition_id = u.partition_id AND m.id_text = u.id_text AND m.source = u.source \
         WHERE s.unreachable IS NULL ORDER BY u.source, u.byte_offset",
    )?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        refuse(run, row)?;
    }
    drop(rows);
    connection.execute_batch(
        "CREATE TEMP TABLE unreadable (partition_id INTEGER NOT NULL, id_text BLOB NOT NULL);
         INSERT INTO unreadable
         SELECT u.partition_id, u.id_text FROM sqs_unreadable_message u
         JOIN sqs_partition_state s ON s.id = u.partition_id
         JOIN sqs_message m ON m.partition_id = u.partition_id AND m.id_text = u.id_text AND m.source = u.source
         WHERE s.unreachable IS NULL;
         DELETE FROM sqs_message WHERE (partition_id, id_text) IN (SELECT * FROM unreadable);
         UPDATE sqs_partition SET messages = messages
             - (SELECT count(*) FROM unreadable WHERE partition_id = sqs_partition.id)
         WHERE id IN (SELECT partition_id FROM unreadable);
         DROP TABLE unreadable;
         DELETE FROM sqs_unreadable_message;",
    )?;
    Ok(())
}

fn refuse(run: &mut Reconcile<'_, '_>, row: &Row<'_>) -> Result<(), Error> {
    let raw_key: Vec<u8> = row.get(3)?;
    let user_key_bytes = usize::try_from(row.get::<_, i64>(2)?).unwrap_or(0);
    let raw_value = match row.get_ref(4)? {
        ValueRef::Integer(number) => Cell::integer(number),
        value => Cell::blob(value.as_bytes().map_err(rusqlite::Error::from)?),
    };
    let malformed = MalformedRow {
        source: row.get(7)?,
        class: Class::Sqs,
        offset: row.get::<_, i64>(6)?.cast_unsigned(),
        user_key: raw_key.get(..user_key_bytes).unwrap_or(&raw_key),
        raw_key: &raw_key,
        raw_value,
    };
    run.malformed(&malformed, row.get::<_, String>(5)?)
}

/// Messages that no client can reach for this reason, a sample for each partition.
fn note_unreachable(
    connection: &Connection,
    warnings: &mut Warnings,
    kind: Kind,
    why: &str,
) -> Result<(), StagingError> {
    let messages: i64 = connection.query_row(
        "SELECT coalesce(sum(messages), 0) FROM sqs_partition_state WHERE unreachable = ?",
        [why],
        |row| row.get(0),
    )?;
    let mut query = connection.prepare(
        "SELECT queue, 'generation ' || generation || coalesce(', partition ' || partition, '') || ': ' || messages \
         || iif(messages = 1, ' message', ' messages') \
         FROM sqs_partition_state WHERE unreachable = ? AND messages > 0 ORDER BY id LIMIT 10",
    )?;
    let samples = query.query_map([why], sample)?.collect::<Result<Vec<_>, _>>()?;
    warnings.add_many(kind, messages.cast_unsigned(), samples);
    Ok(())
}

fn note_queue_names(connection: &Connection, warnings: &mut Warnings) -> Result<(), StagingError> {
    let named = "FROM sqs_queue WHERE name <> '' AND CAST(name AS BLOB) <> queue";
    let count: i64 = connection.query_row(&format!("SELECT count(*) {named}"), [], |row| row.get(0))?;
    let sql = format!("SELECT queue, 'named ' || substr(quote(name), 1, {SHOWN}) {named} LIMIT 10");
    let samples = connection.prepare(&sql)?.query_map([], sample)?.collect::<Result<Vec<_>, _>>()?;
    warnings.add_many(Kind::SqsQueueNameMismatch, count.cast_unsigned(), samples);
    Ok(())
}

/// What is odd about single messages of queues: one pass that counts, and another only where there is something to
/// show.
fn note_messages(connection: &Connection, snapshot_ms: i64, warnings: &mut Warnings) -> Result<(), Error> {
    let expired = retention_expired(snapshot_ms);
    let odd = [
        (
            Kind::SqsMessageMismatch,
            "(m.value_message_id IS NOT NULL OR m.queue_generation <> s.generation)",
            format!(
                "'message ' || substr(quote(m.message_id), 1, {SHOWN}) || ' of generation ' || s.generation \
                 || ' says ' || iif(m.value_message_id IS NULL, 'generation ' || m.queue_generation, \
                 'message ' || substr(quote(m.value_message_id), 1, {SHOWN}))"
            ),
        ),
        (
            Kind::SqsGroupInOtherPartition,
            "(s.partition IS NOT NULL AND q.fifo_throughput_limit <> 'perQueue' \
             AND coalesce(m.group_hash & (q.partition_count - 1), 0) <> s.partition)",
            format!("'group ' || substr(quote(m.group_id), 1, {SHOWN}) || ' in partition ' || s.partition"),
        ),
        (Kind::SqsRetentionExpired, expired.as_str(), "'sent at ' || m.send_ms || ' ms'".to_owned()),
    ];
    let counts = odd.each_ref().map(|(_, condition, _)| format!("count(*) FILTER (WHERE {condition})"));
    let counts: [i64; 3] =
        connection.query_row(&format!("SELECT {} FROM {LIVE}", counts.join(", ")), [], |row| {
            Ok([row.get(0)?, row.get(1)?, row.get(2)?])
        })?;
    for ((kind, condition, remark), count) in odd.iter().zip(counts) {
        if count > 0 {
            let sql = format!("SELECT s.queue, {remark} FROM {LIVE} AND {condition} LIMIT 10");
            let samples = connection.prepare(&sql)?.query_map([], sample)?.collect::<Result<Vec<_>, _>>()?;
            warnings.add_many(*kind, count.cast_unsigned(), samples);
        }
    }
    Ok(())
}

fn sample(row: &Row<'_>) -> rusqlite::Result<String> {
    let (queue, remark): (Vec<u8>, String) = (row.get(0)?, row.get(1)?);
    Ok(format!("{}: {remark}", Readable(&queue)))
}
