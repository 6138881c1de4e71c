//! What SQS keeps beside messages, as raw rows (`docs/format/sqs.md` section 5.6): the file of side records of a queue, in
//! the order of the snapshot, and those of queues that are gone. Which queues there are is left to `export`.

use std::io::{self, BufReader};
use std::sync::Arc;

use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::write::EncoderWriter;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Statement};

use super::{READ_AHEAD_BYTES, is_wanted};
use crate::dump::json;
use crate::dump::name::{NameKind, push_fallback, push_file_name};
use crate::dump::push_hex;
use crate::dump::tree::Directory;
use crate::family::sqs::document::{SIDE_END, SIDE_VALUE, push_side_head};
use crate::family::sqs::rows::SideFamily;
use crate::family::{Begun, Content, Export, ExportError};
use crate::staging::{U64, column};

/// The file of side records, in a folder `_internals`.
const NAME: &[u8] = b"side_records.jsonl";

/// Bytes of a key turned into hex digits at a time.
const KEY_PIECE_BYTES: usize = 32 << 10;

/// Side rows of one queue with the raw keys that they come in the order of: family prefix, rest of the key, version.
const OF_PARTITIONS: &str = "\
    SELECT prefix, iif(family IN (0, 3), time_ms, NULL), rest, r.value \
    FROM sqs_partition p CROSS JOIN sqs_side_row r ON r.partition_id = p.id \
    WHERE p.queue = ?1 AND r.family = ?2 \
    ORDER BY prefix, time_ms, rest || version";

/// The statements that are run for every queue.
pub(super) struct SideRecords<'c> {
    of_partitions: Statement<'c>,
    sequence: Statement<'c>,
    tombstones: Statement<'c>,
}

impl<'c> SideRecords<'c> {
    pub(super) fn new(connection: &'c Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            of_partitions: connection.prepare(OF_PARTITIONS)?,
            sequence: connection
                .prepare("SELECT value FROM sqs_counter WHERE kind = 'sequence' AND queue = ?")?,
            tombstones: connection
                .prepare("SELECT generation, value FROM sqs_tombstone WHERE queue = ? ORDER BY generation")?,
        })
    }

    /// All side rows of one queue, in the order of the snapshot.
    pub(super) fn write(
        &mut self,
        run: &mut Export<'_, '_>,
        queue: &[u8],
        directory: &Arc<Directory>,
    ) -> Result<(), ExportError> {
        let directory = directory.child("_internals");
        let mut segment = Vec::new();
        json::push_base64url(queue, &mut segment);
        let mut file = SideFile { directory: &directory, begun: None, run };
        for family in SideFamily::ALL {
            match family {
                SideFamily::Seq => {
                    let mut rows = self.sequence.query([queue])?;
                    while let Some(row) = rows.next()? {
                        file.record(family, &[&segment], row.get_ref(0)?)?;
                    }
                }
                SideFamily::Tombstone => {
                    let mut rows = self.tombstones.query([queue])?;
                    while let Some(row) = rows.next()? {
                        let generation = row.get::<_, U64>(0)?.0.to_be_bytes();
                        file.record(family, &[&segment, &generation], row.get_ref(1)?)?;
                    }
                }
                SideFamily::ByAge | SideFamily::Dedup | SideFamily::Group | SideFamily::Vis => {
                    let mut rows = self.of_partitions.query((queue, family as i64))?;
                    while let Some(row) = rows.next()? {
                        let time = row.get::<_, Option<U64>>(1)?.map(|time| time.0.to_be_bytes());
                        let time = time.as_ref().map_or(&[][..], <[u8; 8]>::as_slice);
                        file.record(
                            family,
                            &[column::bytes(row, 0)?, time, column::bytes(row, 2)?],
                            row.get_ref(3)?,
                        )?;
                    }
                }
            }
        }
        file.end()
    }

    /// All side rows of queues without a meta row, in folders below `root`.
    pub(super) fn write_orphans(
        &mut self,
        run: &mut Export<'_, '_>,
        root: &Arc<Directory>,
    ) -> Result<(), ExportError> {
        let connection = run.staging.connection();
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
            if !is_wanted(run, queue) {
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
            let directory = root.child(&String::from_utf8_lossy(&name));
            self.write(run, queue, &directory)?;
        }
        Ok(())
    }
}

/// A file of side records, which there is only if there is one.
struct SideFile<'t, 'a, 'c> {
    directory: &'t Arc<Directory>,
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
            None => self.begun.insert(self.run.begin(Content::Other, self.directory, NAME)?),
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
