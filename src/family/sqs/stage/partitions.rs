//! The table of partitions. Rows of one partition come in runs, a run per family of rows: the partition is looked up
//! once for each, entered if it is not there, and told how many of the rows were messages when the run has ended.

use rusqlite::{Connection, OptionalExtension};

use crate::family::sqs::rows::{Partition, text_of};
use crate::staging::{U64, is_printable};

pub(super) struct Partitions<'c> {
    connection: &'c Connection,
    run: Option<Run>,
    next_id: i64,
}

/// Rows of one partition that come one after the other.
struct Run {
    prefix: Vec<u8>,
    id: i64,
    messages: i64,
}

impl<'c> Partitions<'c> {
    pub(super) fn new(connection: &'c Connection) -> rusqlite::Result<Self> {
        let next_id =
            connection
                .query_row("SELECT 1 + coalesce(max(id), 0) FROM sqs_partition", [], |row| row.get(0))?;
        Ok(Self { connection, run: None, next_id })
    }

    /// The id of the partition whose row comes next; `messages` of its rows are messages.
    pub(super) fn id_of(
        &mut self,
        partition: &Partition<'_>,
        messages: i64,
        source: i64,
    ) -> rusqlite::Result<i64> {
        match &mut self.run {
            Some(run) if run.prefix == partition.prefix => {
                run.messages += messages;
                Ok(run.id)
            }
            _ => {
                self.end_run()?;
                let id = self.find_or_enter(partition, source)?;
                self.run = Some(Run { prefix: partition.prefix.to_vec(), id, messages });
                Ok(id)
            }
        }
    }

    /// Counts the messages of the run that has ended.
    pub(super) fn end_run(&mut self) -> rusqlite::Result<()> {
        if let Some(Run { id, messages, .. }) = self.run.take()
            && messages > 0
        {
            self.connection
                .prepare_cached("UPDATE sqs_partition SET messages = messages + ? WHERE id = ?")?
                .execute((messages, id))?;
        }
        Ok(())
    }

    /// The id of a partition, which is entered if it is not there.
    fn find_or_enter(&mut self, partition: &Partition<'_>, source: i64) -> rusqlite::Result<i64> {
        let known = self
            .connection
            .prepare_cached("SELECT id FROM sqs_partition WHERE prefix = ?")?
            .query_row([partition.prefix], |row| row.get(0))
            .optional()?;
        if let Some(id) = known {
            return Ok(id);
        }
        let id = self.next_id;
        self.next_id += 1;
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
}
