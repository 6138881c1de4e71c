//! Queries into files: the SQS part of the dump (`docs/format/sqs.md` section 5). SQL gives queues and messages in their
//! order, sorting outside of memory where it has to; `document` formats them. What SQS keeps beside messages is left to
//! `side_records`, how files come into being to the tree.

mod side_records;

use std::io::BufReader;
use std::sync::Arc;

use base64::read::DecoderReader;
use rusqlite::types::{FromSqlError, ValueRef};
use rusqlite::{Row, Statement};

use self::side_records::SideRecords;
use super::document::{Line, QueueFile, Visibility, push_extra, push_queue};
use super::json_values::BASE64;
use super::reconcile::retention_expired;
use crate::dump::json::{self, Layout, Markup};
use crate::dump::keymap::SHA_FALLBACK;
use crate::dump::name::{NameKind, push_directory_name};
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

/// Bytes read ahead of a large value.
const READ_AHEAD_BYTES: usize = 64 << 10;

/// Messages of one queue that are kept.
const MESSAGES: &str = "FROM sqs_partition_state s JOIN sqs_queue q ON q.queue = s.queue \
     JOIN sqs_message m ON m.partition_id = s.id WHERE s.queue = ? AND s.unreachable IS NULL";

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
}

impl Exporter<'_, '_, '_> {
    fn everything(mut self) -> Result<Exported, ExportError> {
        let connection = self.run.staging.connection();
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
        };
        let mut side_records = match self.run.choices.include_sqs_side_records {
            true => Some(SideRecords::new(connection)?),
            false => None,
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
            if is_wanted(self.run, queue) {
                exported.keys += self.queue(queue, row, &mut queries, side_records.as_mut())?;
                exported.scopes.push(go_json::text(queue).into_owned());
            }
        }
        if let Some(side_records) = &mut side_records {
            side_records.write_orphans(self.run, &self.root)?;
        }
        Ok(exported)
    }

    /// The directory of one queue; the keys in it: itself and its messages.
    fn queue(
        &mut self,
        queue: &[u8],
        row: &Row<'_>,
        queries: &mut Queries<'_>,
        side_records: Option<&mut SideRecords<'_>>,
    ) -> Result<u64, ExportError> {
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
        if let Some(side_records) = side_records {
            side_records.write(self.run, queue, &directory)?;
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

fn is_wanted(run: &Export<'_, '_>, queue: &[u8]) -> bool {
    run.scopes.is_empty() || run.scopes.iter().any(|scope| scope.as_bytes() == queue)
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
