//! One snapshot into the staging database: the snapshot room reads ahead (parse, checksum, choose versions) while this
//! thread feeds SQLite. Which snapshots, and whether a load may go on, is decided by its neighbours.

use std::fs::File;
use std::sync::Arc;

use super::malformed::Policy;
use super::source::{Input, Opened};
use super::{INTERRUPT_POLL, LoadOptions, is_staged};
use crate::error::Error;
use crate::family::{Context, FAMILIES, RowError, Stage};
use crate::progress::Progress;
use crate::snapshot::encryption::Keyring;
use crate::snapshot::{Batch, Class, Closing, Next, ReadAhead, SnapshotError, Tables, is_node_name};
use crate::staging::{
    Authentic, Kind, LargeValues, MalformedRow, Staging, U64, Warnings, read_checkpoint, save_checkpoint,
    save_counts, save_states,
};

/// A transaction is committed after this many bytes of a snapshot: what a killed load has to do again.
const COMMIT_BYTES: u64 = 16 << 20;

/// Reads one snapshot to its end, or on from where an interrupted load stood. If it was read here from its beginning, what
/// is in it need not be opened again to know that it is authentic.
pub(super) fn load_one(
    source: i64,
    opened: Opened<'_>,
    staging: &Staging,
    options: &LoadOptions,
    warnings: &mut Warnings,
    progress: &dyn Progress,
) -> Result<Option<Authentic>, Error> {
    let Opened { input, mut reader, mut file, identity } = opened;
    let complete = "SELECT complete FROM source WHERE id = ?";
    if staging.connection().query_row(complete, [source], |row| row.get(0))? {
        progress.advance(identity.bytes.unwrap_or(0));
        return Ok(None);
    }
    let mut writer = Writer::new(source, identity.name, staging, options)?;
    writer.cutover_index = reader.opening().header.and_then(|header| header.cutover_index);
    if let (Input::File(located), Some(checkpoint)) = (input, read_checkpoint(staging.connection(), source)?)
    {
        progress.advance(checkpoint.offset);
        (writer.offset, writer.committed) = (checkpoint.offset, checkpoint.offset);
        let unreadable = |source| SnapshotError::Io { name: input.name(), source };
        reader = reader.resume(File::open(&located.path).map_err(unreadable)?, checkpoint)?;
        // What stands before the checkpoint was opened by another process.
        file = None;
    }
    if let Some(directory) = staging.path().parent().filter(|path| !path.as_os_str().is_empty()) {
        reader.spool_in(directory);
    }
    let resumable = identity.fingerprint.is_some() && reader.leaves_checkpoints();
    let mut ahead = ReadAhead::start(reader);
    loop {
        // A run that can go on stops at its next checkpoint instead.
        if progress.is_interrupted() && !resumable {
            return Err(Error::Interrupted);
        }
        match ahead.next(INTERRUPT_POLL)? {
            Next::Batch(batch) => {
                writer.take(&batch, warnings, progress)?;
                ahead.give_back(batch);
            }
            Next::End(closing) => {
                writer.finish(&closing, input, warnings)?;
                return Ok(file.map(|file| Authentic { source, file }));
            }
            Next::NothingYet => {}
            Next::Died => return Err(Error::ReaderDied),
        }
    }
}

/// The side that feeds SQLite.
struct Writer<'c> {
    source: i64,
    name: String,
    staging: &'c Staging,
    large_values: LargeValues<'c>,
    /// The stage for each class of rows; `None` for rows that are only counted.
    stages: Vec<Box<dyn Stage + 'c>>,
    stage_of: [Option<usize>; Class::ALL.len()],
    policy: Policy<'c>,
    keys: Option<Arc<Keyring>>,
    /// Of the header.
    cutover_index: Option<u64>,
    offset: u64,
    committed: u64,
}

impl<'c> Writer<'c> {
    fn new(source: i64, name: String, staging: &'c Staging, options: &LoadOptions) -> Result<Self, Error> {
        let mut stages = Vec::new();
        let mut stage_of = [None; Class::ALL.len()];
        for family in FAMILIES.iter().filter(|family| is_staged(family.name(), options)) {
            for class in family.classes() {
                stage_of[*class as usize] = Some(stages.len());
            }
            stages.push(family.stage(staging, source)?);
        }
        let large_values = LargeValues::new(staging.connection(), options.keys.clone());
        let policy = Policy { staging, on_error: options.on_error };
        Ok(Self {
            source,
            name,
            staging,
            large_values,
            stages,
            stage_of,
            policy,
            keys: options.keys.clone(),
            cutover_index: None,
            offset: 0,
            committed: 0,
        })
    }

    fn take(&mut self, batch: &Batch, warnings: &mut Warnings, progress: &dyn Progress) -> Result<(), Error> {
        if let Some(piece) = batch.piece() {
            self.large_values.keep(self.source, piece)?;
        }
        let mut context = Context { source: self.source, large_values: &self.large_values, warnings };
        for row in batch.rows() {
            let Some(stage) = self.stage_of[row.class as usize] else { continue };
            self.large_values.keep_envelope(self.source, &row)?;
            match self.stages[stage].row(&row, &mut context) {
                Ok(()) => {}
                Err(RowError::Staging(error)) => return Err(error.into()),
                Err(RowError::Malformed(rule)) => {
                    let row = MalformedRow::of(&row, self.source, &self.large_values)?;
                    self.policy.take(&row, rule, context.warnings)?;
                }
            }
        }
        progress.advance(batch.offset - self.offset);
        self.offset = batch.offset;
        let stop = progress.is_interrupted();
        if let Some(checkpoint) = &batch.checkpoint
            && (stop || self.offset - self.committed >= COMMIT_BYTES)
        {
            self.flush(warnings)?;
            save_checkpoint(self.staging.connection(), self.source, checkpoint)?;
            self.commit(warnings)?;
            if stop {
                return Err(Error::Interrupted);
            }
        }
        Ok(())
    }

    fn flush(&mut self, warnings: &mut Warnings) -> Result<(), Error> {
        let mut context = Context { source: self.source, large_values: &self.large_values, warnings };
        for stage in &mut self.stages {
            stage.flush(&mut context)?;
        }
        Ok(())
    }

    fn commit(&mut self, warnings: &Warnings) -> Result<(), Error> {
        warnings.save(self.staging.connection())?;
        self.staging.connection().execute_batch("COMMIT; BEGIN")?;
        self.committed = self.offset;
        Ok(())
    }

    /// Enters what is known of the file after its last byte.
    fn finish(mut self, closing: &Closing, input: &Input, warnings: &mut Warnings) -> Result<(), Error> {
        self.flush(warnings)?;
        let connection = self.staging.connection();
        save_counts(connection, self.source, &closing.counts)?;
        let tables = |number: fn(&Tables) -> u64| closing.tables.as_ref().map(number).map(u64::cast_signed);
        save_states(connection, self.source, &closing.states)?;
        connection.execute(
            "UPDATE source SET min_retained_ts = ?, applied_index = ?, oversize_keys = ?, crc32c = ?, bytes = ?, \
             tables = ?, table_bytes = ?, raw_blocks = ?, snappy_blocks = ?, complete = 1 WHERE id = ?",
            (
                U64(closing.min_retained_ts.0),
                closing.applied_index.map(U64),
                closing.oversize_keys.cast_signed(),
                closing.crc32c,
                closing.bytes.cast_signed(),
                tables(|tables| tables.tables),
                tables(|tables| tables.bytes),
                tables(|tables| tables.raw_blocks),
                tables(|tables| tables.snappy_blocks),
                self.source,
            ),
        )?;
        // Pieces of values that turned out not to count.
        connection.execute(
            "DELETE FROM large_value_piece WHERE source = ?1 AND payload NOT IN \
             (SELECT payload FROM large_value WHERE source = ?1 AND payload IS NOT NULL)",
            [self.source],
        )?;
        if let Some(keys) = &self.keys {
            let (theirs, ours) = (self.cutover_index.unwrap_or(0), keys.raft_cutover_index());
            if theirs != 0 && theirs != ours {
                let name = &self.name;
                let detail = format!("{name}: Raft cutover at index {theirs}, in the sidecar at {ours}");
                warnings.add(Kind::EncryptionCutoverMismatch, detail);
            }
        }
        let unlisted = &closing.unlisted;
        let name = |id| format!("{}: key id {id}", self.name);
        warnings.add_many(Kind::EncryptionKeyNotInSidecar, unlisted.count, unlisted.first.iter().map(name));
        warnings.add_many(Kind::OversizeKey, closing.oversize_keys, [self.name.clone()]);
        if closing.crc32c.is_none() {
            // A node writes the footer with the header, and to every file that it names. An empty file is what is left
            // of many a failed copy.
            let by_a_node = match input {
                Input::File(located) => is_node_name(&located.path),
                Input::Stdin => false,
            };
            let kind = if self.has_header()? || by_a_node || closing.bytes == 0 {
                Kind::FooterMissing
            } else {
                Kind::NoFooter
            };
            warnings.add(kind, self.name.clone());
        }
        connection.execute("DELETE FROM checkpoint WHERE source = ?", [self.source])?;
        self.commit(warnings)
    }

    fn has_header(&self) -> Result<bool, Error> {
        let sql = "SELECT header IS NOT NULL FROM source WHERE id = ?";
        Ok(self.staging.connection().query_row(sql, [self.source], |row| row.get(0))?)
    }
}
