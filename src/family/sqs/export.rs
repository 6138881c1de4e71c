//! Queries into files: the SQS part of the dump (`docs/format/sqs.md` section 5). SQL gives queues, messages and side
//! rows in their order, sorting outside of memory where it has to; `document` formats them. How files come into being
//! is the tree's business.

use std::io::{self, BufReader};
use std::sync::Arc;

use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::read::DecoderReader;
use base64::write::EncoderWriter;
use rusqlite::types::{FromSqlError, ValueRef};
use rusqlite::{OptionalExtension, Row, Statement};

use super::document::{
    Line, QueueFile, SIDE_END, SIDE_VALUE, Visibility, push_extra, push_queue, push_side_head,
};
use super::json_values::BASE64;
use super::reconcile::retention_expired;
use super::rows::SideFamily;
use crate::dump::json::{self, Layout, Markup};
use crate::dump::keymap::SHA_FALLBACK;
use crate::dump::name::{NameKind, push_directory_name, push_fallback, push_file_name};
use crate::dump::push_hex;
use crate::dump::tree::{Directory, Tree};
use crate::family::go_json;
use crate::family::position::{numbers, position};
use crate::family::{Begun, Content, Export, ExportError, Exported};
use crate::staging::{Extent, LargeValues, U64, column};

/// The folder of the family, which is also the scope of its KEYMAP.
const FOLDER: &str = "sqs";

/// Commit timestamps run up to this far ahead of the wall clock: a message expired for less may still have been
/// readable (`docs/format/sqs.md` section 4).
const CLOCK_LEAD_MS: i64 = 10_000;

/// Bytes of a key turned into hex digits at a time.
const KEY_PIECE_BYTES: usize = 32 << 10;

/// Bytes read ahead of a large value.
const READ_AHEAD_BYTES: usize = 64 << 10;

/// Messages of one queue that are kept.
const MESSAGES: &str = "FROM sqs_partition_state s JOIN sqs_queue q ON q.queue = s.queue \
     JOIN sqs_message m ON m.partition_id = s.id WHERE s.queue = ? AND s.unreachable IS NULL";

/// Side rows of one queue with the raw keys that they come in the order of: family prefix, rest of the key, version.
const SIDE_ROWS: &str = "\
    SELECT family, partition IS NOT NULL, prefix, iif(family IN (0, 3), time_ms, NULL), rest, version, r.value \
    FROM sqs_partition p CROSS JOIN sqs_side_row r ON r.partition_id = p.id \
    WHERE p.queue = ?1 AND r.family = ?2 \
    ORDER BY prefix, time_ms, rest || version";

pub(super) fn export(run: &mut Export<'_, '_>) -> Result<Exported, ExportError> {
    let drop = run.choices.drop_expired;
    let kept = if drop {
        format!("AND NOT {}", retention_expired(run.snapshot_ms.saturating_sub(CLOCK_LEAD_MS)))
    } else {
        String::new()
    };
    // Made with its first file.
    let root = run.tree.directory("")?.child(FOLDER);
    Exporter { root, run, kept }.everything()
}

struct Exporter<'r, 'a, 'c> {
    run: &'r mut Export<'a, 'c>,
    root: Arc<Directory>,
    /// SQL condition on a queue `q` and its message `m`.
    kept: String,
}

/// The statements that are run for every queue.
struct Queries<'c> {
    messages: Statement<'c>,
    count: Statement<'c>,
    side_rows: Option<SideQueries<'c>>,
}

struct SideQueries<'c> {
    of_partitions: Statement<'c>,
    sequence: Statement<'c>,
    tombstones: Statement<'c>,
}

impl Exporter<'_, '_, '_> {
    fn everything(mut self) -> Result<Exported, ExportError> {
        let connection = self.run.staging.connection();
        let side_rows = match self.run.choices.include_sqs_side_records {
            true => Some(SideQueries {
                of_partitions: connection.prepare(SIDE_ROWS)?,
                sequence: connection
                    .prepare("SELECT version, value FROM sqs_counter WHERE kind = 'sequence' AND queue = ?")?,
                tombstones: connection.prepare(
                    "SELECT generation, version, value FROM sqs_tombstone WHERE queue = ? ORDER BY generation",
                )?,
            }),
            false => None,
        };
        let mut queries = Queries {
            messages: connection.prepare(&format!(
                "SELECT s.partition, m.message_id, m.send_ms, m.sequence_number, m.available_ms, m.visible_ms, \
                 m.receive_count, m.first_receive_ms, m.receipt_token, m.queue_generation, m.group_id, \
                 m.deduplication_id, m.dead_letter_source_arn, m.sender_id, m.md5_of_body, \
                 m.md5_of_message_attributes, m.message_attributes, m.body {MESSAGES} {} \
                 ORDER BY m.send_ms, m.sequence_number, m.message_id, m.source, s.prefix",
                self.kept
            ))?,
            count: connection.prepare(&format!("SELECT count(*) {MESSAGES} {}", self.kept))?,
            side_rows,
        };
        let mut exported = Exported::default();
        let mut query = connection.prepare(&format!(
            "SELECT queue, name, is_fifo, content_based_deduplication, visibility_timeout_seconds, \
             message_retention_seconds, delay_seconds, receive_message_wait_seconds, maximum_message_size, \
             redrive_policy, redrive_allow_policy, partition_count, fifo_throughput_limit, deduplication_scope, \
             tags, throttle FROM sqs_queue WHERE {} ORDER BY queue",
            self.run.only_if("queue", 1)
        ))?;
        let mut rows = query.query([self.run.only_key()])?;
        while let Some(row) = rows.next()? {
            let queue = column::bytes(row, 0)?;
            if self.is_wanted(queue) {
                exported.keys += self.queue(queue, row, &mut queries)?;
                exported.scopes.push(go_json::text(queue).into_owned());
            }
        }
        if let Some(side_rows) = &mut queries.side_rows {
            self.orphans(side_rows)?;
        }
        Ok(exported)
    }

    fn is_wanted(&self, queue: &[u8]) -> bool {
        self.run.scopes.is_empty() || self.run.scopes.iter().any(|scope| scope.as_bytes() == queue)
    }

    /// The directory of one queue; the keys in it: itself and its messages.
    fn queue(&mut self, queue: &[u8], row: &Row<'_>, queries: &mut Queries<'_>) -> Result<u64, ExportError> {
        let mut name = Vec::new();
        if push_directory_name(queue, &mut name) == NameKind::Fallback {
            self.run.note_name(FOLDER, queue, &name, SHA_FALLBACK)?;
        }
        let directory = self.root.child(&String::from_utf8_lossy(&name));
        if self.begin(Content::About, &directory, "_queue.json")? {
            let named = text(row, 1)?;
            let name = if named.is_empty() { go_json::text(queue) } else { named.into() };
            let file = QueueFile {
                format_version: 1,
                name: &name,
                fifo: row.get(2)?,
                content_based_deduplication: row.get(3)?,
                visibility_timeout_seconds: row.get(4)?,
                message_retention_seconds: row.get(5)?,
                delay_seconds: row.get(6)?,
                receive_message_wait_seconds: row.get(7)?,
                maximum_message_size: row.get(8)?,
                redrive_policy: text(row, 9)?,
                redrive_allow_policy: text(row, 10)?,
                partition_count: row.get(11)?,
                fifo_throughput_limit: text(row, 12)?,
                deduplication_scope: text(row, 13)?,
            };
            push_queue(&file, self.run.tree.content()).map_err(not_json)?;
            self.run.tree.end()?;
        }
        let (tags, throttle) = (optional_text(row, 14)?, optional_text(row, 15)?);
        if (tags.is_some() || throttle.is_some()) && self.begin(Content::Other, &directory, "_extra.json")? {
            push_extra(tags, throttle, self.run.tree.content()).map_err(not_json)?;
            self.run.tree.end()?;
        }
        (self.run.written)(self.run.tree, 1)?;
        if !self.run.wants(Content::Value) {
            return Ok(1);
        }
        let messages = self.messages(queue, &directory, queries)?;
        if let Some(side_rows) = &mut queries.side_rows {
            self.side_rows(queue, &directory, side_rows)?;
        }
        Ok(1 + messages)
    }

    fn messages(
        &mut self,
        queue: &[u8],
        directory: &Arc<Directory>,
        queries: &mut Queries<'_>,
    ) -> Result<u64, ExportError> {
        const NAME: &str = "messages.jsonl";
        let mut rows = queries.messages.query([queue])?;
        // Messages that an earlier run has written are passed over.
        let (mut count, mut written) = (0, 0);
        while let Some(row) = rows.next()? {
            if count == 0 {
                written = match self.run.begin(Content::Value, directory, NAME.as_bytes())? {
                    Begun::Now => 0,
                    Begun::After(position) => {
                        let [messages] = numbers(&position)?;
                        messages
                    }
                    Begun::Written => {
                        drop(rows);
                        let count: i64 = queries.count.query_row([queue], |row| row.get(0))?;
                        (self.run.written)(self.run.tree, count.cast_unsigned())?;
                        return Ok(count.cast_unsigned());
                    }
                };
                (self.run.written)(self.run.tree, written)?;
            }
            count += 1;
            if count <= written {
                continue;
            }
            let visibility = match self.run.choices.preserve_sqs_visibility {
                true => Visibility {
                    visible_at_millis: row.get(5)?,
                    receive_count: row.get(6)?,
                    first_receive_millis: row.get(7)?,
                    current_receipt_token: column::bytes(row, 8)?,
                },
                false => Visibility::default(),
            };
            let line = Line {
                partition: row.get(0)?,
                message_id: column::bytes(row, 1)?,
                send_timestamp_millis: row.get(2)?,
                sequence_number: row.get::<_, U64>(3)?.0,
                available_at_millis: row.get(4)?,
                visibility,
                queue_generation: row.get::<_, U64>(9)?.0,
                message_group_id: text(row, 10)?,
                message_deduplication_id: text(row, 11)?,
                dead_letter_source_arn: text(row, 12)?,
                sender_id: text(row, 13)?,
                md5_of_body: text(row, 14)?,
                md5_of_message_attributes: text(row, 15)?,
                message_attributes: text(row, 16)?,
            };
            line.push_head(self.run.tree.content());
            match row.get_ref(17)? {
                ValueRef::Integer(number) => {
                    let extent = self.run.large_values.find(number)?;
                    large_body(self.run.large_values, extent, self.run.tree)?;
                }
                _ => Line::push_body(column::bytes(row, 17)?, self.run.tree.content()),
            }
            line.push_tail(self.run.tree.content());
            self.run.tree.spill()?;
            (self.run.written)(self.run.tree, 1)?;
            if self.run.tree.is_note_due() {
                self.run.note(position([count]))?;
            }
        }
        if count > 0 {
            self.run.tree.end()?;
        }
        Ok(count)
    }

    /// Side rows of queues without a meta row.
    fn orphans(&mut self, queries: &mut SideQueries<'_>) -> Result<(), ExportError> {
        let connection = self.run.staging.connection();
        let mut query = connection.prepare(
            "SELECT queue FROM sqs_partition p WHERE EXISTS (SELECT 1 FROM sqs_side_row r \
             WHERE r.family IN (0, 1, 2, 3) AND r.partition_id = p.id) \
             UNION SELECT queue FROM sqs_counter WHERE kind = 'sequence' UNION SELECT queue FROM sqs_tombstone \
             EXCEPT SELECT queue FROM sqs_queue ORDER BY queue",
        )?;
        let mut is_taken = connection.prepare("SELECT 1 FROM sqs_queue WHERE queue = ?")?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            let queue = column::bytes(row, 0)?;
            if !self.is_wanted(queue) {
                continue;
            }
            let mut segment = Vec::new();
            json::push_base64url(queue, &mut segment);
            let mut name = Vec::new();
            let kind = push_file_name(&segment, &mut name);
            name.extend_from_slice(b".orphan");
            // No client can name a queue like that, but a file can.
            if kind == NameKind::Reversible && is_taken.query_row([&name], |_| Ok(())).optional()?.is_some() {
                name.clear();
                let _ = push_fallback(&segment, &mut name);
                name.extend_from_slice(b".orphan");
            }
            let directory = self.root.child(&String::from_utf8_lossy(&name));
            self.side_rows(queue, &directory, queries)?;
        }
        Ok(())
    }

    /// All side rows of one queue, in the order of the snapshot.
    fn side_rows(
        &mut self,
        queue: &[u8],
        directory: &Arc<Directory>,
        queries: &mut SideQueries<'_>,
    ) -> Result<(), ExportError> {
        const NAME: &str = "side_records.jsonl";
        let directory = directory.child("_internals");
        let mut segment = Vec::new();
        json::push_base64url(queue, &mut segment);
        let mut file = SideFile { directory: &directory, name: NAME, begun: None, run: self.run };
        for family in SideFamily::ALL {
            match family {
                SideFamily::Seq => {
                    let mut rows = queries.sequence.query([queue])?;
                    while let Some(row) = rows.next()? {
                        file.record(family, &[&segment], row.get_ref(1)?)?;
                    }
                }
                SideFamily::Tombstone => {
                    let mut rows = queries.tombstones.query([queue])?;
                    while let Some(row) = rows.next()? {
                        let generation = row.get::<_, U64>(0)?.0.to_be_bytes();
                        file.record(family, &[&segment, &generation], row.get_ref(2)?)?;
                    }
                }
                SideFamily::ByAge | SideFamily::Dedup | SideFamily::Group | SideFamily::Vis => {
                    let mut rows = queries.of_partitions.query((queue, family as i64))?;
                    while let Some(row) = rows.next()? {
                        let time = row.get::<_, Option<U64>>(3)?.map(|time| time.0.to_be_bytes());
                        let time = time.as_ref().map_or(&[][..], <[u8; 8]>::as_slice);
                        file.record(
                            family,
                            &[column::bytes(row, 2)?, time, column::bytes(row, 4)?],
                            row.get_ref(6)?,
                        )?;
                    }
                }
            }
        }
        file.end()
    }

    /// Begins a file; false if an earlier run has written it.
    fn begin(
        &mut self,
        content: Content,
        directory: &Arc<Directory>,
        name: &str,
    ) -> Result<bool, ExportError> {
        Ok(self.run.begin(content, directory, name.as_bytes())? != Begun::Written)
    }
}

/// A file of side records, which there is only if there is one.
struct SideFile<'t, 'a, 'c> {
    directory: &'t Arc<Directory>,
    name: &'static str,
    begun: Option<Begun>,
    run: &'t mut Export<'a, 'c>,
}

impl SideFile<'_, '_, '_> {
    /// Writes a line; `parts` are the key after the prefix of its family.
    fn record(
        &mut self,
        family: SideFamily,
        parts: &[&[u8]],
        value: ValueRef<'_>,
    ) -> Result<(), ExportError> {
        let begun = match &self.begun {
            Some(begun) => begun,
            None => {
                self.begun.insert(self.run.begin(Content::Other, self.directory, self.name.as_bytes())?)
            }
        };
        if *begun == Begun::Written {
            return Ok(());
        }
        let Export { tree, large_values, .. } = &mut *self.run;
        push_side_head(family.prefix(), tree.content());
        for part in [family.prefix().as_bytes()].iter().chain(parts) {
            for piece in part.chunks(KEY_PIECE_BYTES) {
                push_hex(piece, tree.content());
                tree.spill()?;
            }
        }
        tree.content().extend_from_slice(SIDE_VALUE);
        match value {
            ValueRef::Integer(number) => {
                let extent = large_values.find(number)?;
                let mut value = BufReader::with_capacity(READ_AHEAD_BYTES, large_values.open(extent)?);
                let mut encoder = EncoderWriter::new(&mut **tree, &URL_SAFE_NO_PAD);
                let copied = io::copy(&mut value, &mut encoder).and_then(|_| encoder.finish().map(|_| ()));
                drop(encoder);
                copied.map_err(ExportError::LargeValue)?;
            }
            value => json::push_base64url(value.as_bytes().map_err(rusqlite::Error::from)?, tree.content()),
        }
        tree.content().extend_from_slice(SIDE_END);
        Ok(tree.spill()?)
    }

    fn end(self) -> Result<(), ExportError> {
        match self.begun {
            Some(Begun::Now | Begun::After(_)) => Ok(self.run.tree.end()?),
            Some(Begun::Written) | None => Ok(()),
        }
    }
}

/// A body whose base64 text lies elsewhere. Read twice, since the first byte already depends on whether all of it is
/// text.
fn large_body(large_values: &LargeValues<'_>, extent: Extent, tree: &mut Tree) -> Result<(), ExportError> {
    let open = || -> Result<_, ExportError> {
        let text = BufReader::with_capacity(READ_AHEAD_BYTES, large_values.open(extent)?);
        Ok(DecoderReader::new(text, &BASE64))
    };
    let utf8 = json::is_utf8(open()?).map_err(ExportError::LargeValue)?;
    json::write_value_from(open()?, utf8, Layout::Compact, Markup::Escape, tree)
        .map_err(ExportError::LargeValue)
}

/// A text, which is a blob if it holds a NUL.
fn text<'r>(row: &'r Row<'_>, column: usize) -> Result<&'r str, ExportError> {
    str::from_utf8(column::bytes(row, column)?).map_err(|error| rusqlite::Error::from(error).into())
}

fn optional_text<'r>(row: &'r Row<'_>, column: usize) -> Result<Option<&'r str>, ExportError> {
    match row.get_ref(column)? {
        ValueRef::Null => Ok(None),
        _ => text(row, column).map(Some),
    }
}

/// JSON that this program has staged itself.
fn not_json(error: serde_json::Error) -> ExportError {
    rusqlite::Error::from(FromSqlError::Other(Box::new(error))).into()
}
