//! A whole file, from its first byte to its footer, as batches of visible rows
//! (`docs/format/snapshot.md` sections 1 and 5). The body reads rows; this module puts the layers together,
//! verifies the checksums, and says at the end what the file was.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use super::batch::{Batch, Large, Place, RowCounts};
use super::body::{Begun, Body, Stood};
use super::checkpoint::Checkpoint;
use super::encryption::{Keyring, Opener, RowStates, UnlistedKeyIds};
use super::error::{Corruption, Fault, SnapshotError, earlier};
use super::facts::{Closing, Facts, Opening};
use super::header::{read_body_magic, read_header};
use super::hlc::Hlc;
use super::input::Input;
use super::limits::{BATCH_BYTES, BATCH_READ_BYTES, CHECKPOINT_BYTES};
use super::operational::OperationalFacts;
use super::row::Streams;
use super::sst::SstCorruption;
use super::step::{LargePayload, Step};
use super::versions::ReadAt;
use super::watcher::Watcher;

/// Reads one snapshot.
pub struct Reader {
    input: Input,
    body: Body,
    opening: Opening,
    read_at: ReadAt,
    facts: Facts,
    large: Option<LargePayload>,
    watcher: Watcher,
    closing: Option<Closing>,
    failed: bool,
    /// How the file ended, until all batches are handed on.
    last: Option<Result<Option<Closing>, SnapshotError>>,
    seekable: bool,
    /// Offset of the last checkpoint.
    checkpointed: u64,
}

impl Reader {
    /// Reads the beginning of a file, up to its first row. `name` stands in errors; `rereadable` says that the
    /// file can be read again at an offset, so that large payloads are handed on as [`Place::File`].
    ///
    /// # Errors
    /// Whatever keeps the beginning from being read: see [`SnapshotError`].
    pub fn open(source: Box<dyn Read + Send>, name: String, rereadable: bool) -> Result<Self, SnapshotError> {
        let mut input = Input::new(source, name);
        let header = read_header(&mut input)?;
        let format = read_body_magic(&mut input)?;
        let Begun { body, last_commit_ts, operational } = Body::begin(format, &mut input)?;
        Ok(Self {
            input,
            body,
            opening: Opening { header, body: format, last_commit_ts },
            read_at: ReadAt { as_of: None, last_commit_ts },
            facts: Facts {
                counts: RowCounts::default(),
                states: RowStates::default(),
                unlisted: UnlistedKeyIds::default(),
                oversize_keys: 0,
                operational,
                opener: Opener::default(),
                unopened: None,
                rereadable,
                passes_over_versions: false,
                numbers: 0,
            },
            large: None,
            watcher: Watcher::new(None),
            closing: None,
            failed: false,
            last: None,
            seekable: rereadable,
            checkpointed: 0,
        })
    }

    /// Looks at the store as it was at `as_of`. To be called before the first batch.
    pub fn read_as_of(&mut self, as_of: Hlc) {
        self.read_at.as_of = Some(as_of);
    }

    /// Opens encrypted values with these keys. To be called before the first batch.
    pub fn decrypt_with(&mut self, keys: Arc<Keyring>) {
        self.watcher = Watcher::new(Some(Arc::clone(&keys)));
        self.facts.opener = Opener::new(Some(keys));
    }

    /// Passes over all versions of keys, for whom only the file as a whole matters: encrypted ones then need no keys.
    /// To be called before the first batch.
    pub fn pass_over_versions(&mut self) {
        self.facts.passes_over_versions = true;
    }

    /// Goes on where a reader of the same file stood. To be called before the first batch; only bodies of rows in key
    /// order ever leave checkpoints.
    ///
    /// # Errors
    /// The source cannot be read.
    pub fn resume<S: Read + Seek + Send + 'static>(
        self,
        mut source: S,
        checkpoint: Checkpoint,
    ) -> Result<Self, SnapshotError> {
        let name = self.input.name().to_owned();
        let resumed = self.body.resumed(&checkpoint);
        let (body, start) = resumed.map_err(|fault| self.input.fault(0, fault))?;
        let unreadable = |source| SnapshotError::Io { name: name.clone(), source };
        source.seek(SeekFrom::Start(start)).map_err(unreadable)?;
        let operational = OperationalFacts {
            min_retained_ts: checkpoint.min_retained_ts,
            applied_index: checkpoint.applied_index,
        };
        let Checkpoint { offset, crc32c, counts, states, unlisted, oversize_keys, payloads, .. } = checkpoint;
        Ok(Self {
            input: Input::resumed(Box::new(source), name, start, crc32c),
            body,
            facts: Facts {
                counts,
                states,
                unlisted,
                oversize_keys,
                operational,
                numbers: payloads,
                ..self.facts
            },
            checkpointed: offset,
            ..self
        })
    }

    /// Reads the tables of an SST bundle in the file that the source is, instead of spooling each. To be called before
    /// the first batch; other bodies need no file.
    ///
    /// # Errors
    /// It has not the length that the manifest says.
    pub fn read_tables_in(&mut self, file: File) -> Result<(), SnapshotError> {
        self.body.bundle().map_or(Ok(()), |bundle| bundle.read_in(file, &self.input))
    }

    /// Makes temporary files in this directory instead of that of the system: what an SST bundle holds may be too much
    /// for memory. To be called before the first batch.
    pub fn spool_in(&mut self, directory: &Path) {
        if let Some(bundle) = self.body.bundle() {
            bundle.spool_in(directory);
        }
    }

    /// Hands on large payloads in pieces, although the file can be read again: nobody will need it after the last
    /// batch. To be called before the first batch.
    pub fn hand_on_everything(&mut self) {
        self.facts.rereadable = false;
    }

    /// Will batches carry checkpoints from time to time?
    pub fn leaves_checkpoints(&self) -> bool {
        self.body.leaves_checkpoints() && self.seekable
    }

    /// The name of the file, as it stands in errors.
    pub(super) fn name(&self) -> &str {
        self.input.name()
    }

    /// The keys that encrypted values are opened with.
    pub(super) fn keys(&self) -> Option<Arc<Keyring>> {
        self.facts.opener.shared_keys()
    }

    /// What the beginning of the file says.
    pub fn opening(&self) -> &Opening {
        &self.opening
    }

    /// Rows read so far, by class and verdict.
    pub fn counts(&self) -> &RowCounts {
        &self.facts.counts
    }

    /// What is known of the file after its last byte; `None` before that.
    pub fn closing(&self) -> Option<&Closing> {
        self.closing.as_ref()
    }

    /// Fills a batch with the next visible rows, or with a piece of a large payload; false once the file has been
    /// read to its end and its checksums have been found right, or after an error.
    ///
    /// # Errors
    /// See [`SnapshotError`]. A read timestamp below `min_retained_ts` shows soon after the place where the file
    /// says so, which may be its end. The batch of a failed call is empty.
    pub fn fill(&mut self, batch: &mut Batch) -> Result<bool, SnapshotError> {
        let filled = self.fill_unopened(batch)?;
        self.open_in(batch);
        Ok(filled)
    }

    /// Opens what [`Self::fill_unopened`] has left to be opened. If something does not open, the batch is empty
    /// afterwards, and this reader will end with that.
    pub(super) fn open_in(&mut self, batch: &mut Batch) {
        if let Some(keys) = self.facts.opener.keys()
            && let Err(unopened) = batch.open(keys)
        {
            self.facts.unopened = earlier(self.facts.unopened.take(), Some(unopened));
            batch.clear();
        }
    }

    /// What [`Self::fill`] does, but for short encrypted values in the batch: nobody may look at it before they have been
    /// opened.
    ///
    /// # Errors
    /// Those of [`Self::fill`].
    pub(super) fn fill_unopened(&mut self, batch: &mut Batch) -> Result<bool, SnapshotError> {
        batch.clear();
        while self.last.is_none() && self.closing.is_none() && !self.failed {
            match self.fill_behind(batch) {
                Ok(true) => return Ok(true),
                Ok(false) => {}
                Err(fault) => {
                    self.failed = true;
                    return Err(self.input.fault(0, fault));
                }
            }
        }
        if self.failed {
            return Ok(false);
        }
        if self.watcher.next(batch) {
            return Ok(true);
        }
        let Some(last) = self.last.take() else { return Ok(false) };
        let unopened = earlier(self.facts.unopened.take(), self.watcher.take_fault());
        // What follows a bad place must not pass for rows, least of all for a good end.
        self.failed = unopened.is_some() || last.is_err();
        match unopened {
            Some((offset, fault)) => Err(self.input.fault(offset, fault).before(last.err())),
            None => {
                self.closing = last?;
                Ok(false)
            }
        }
    }

    /// Fills a batch, and exchanges it for one that no long value holds up; false if there is none yet.
    fn fill_behind(&mut self, batch: &mut Batch) -> Result<bool, Fault> {
        if self.watcher.relieve(batch)? {
            return Ok(true);
        }
        let filled = self.fill_empty(batch);
        // A resumed reader passes over some of the file again.
        batch.offset = self.position().max(self.checkpointed);
        if filled.is_err() || self.facts.unopened.is_some() || self.watcher.has_fault() {
            batch.forget_rows();
        }
        if filled.is_err() || self.closing.is_some() {
            self.last = Some(filled.map(|()| self.closing.take()));
            return self.watcher.finish(batch).map(|()| false);
        }
        self.watcher.exchange(batch)
    }

    fn fill_empty(&mut self, batch: &mut Batch) -> Result<(), SnapshotError> {
        self.check_history()?;
        let stop = self.work() + BATCH_READ_BYTES;
        while !batch.is_full() && self.work() < stop {
            if let Some(mut large) = self.large.take() {
                if large.remaining > 0 {
                    self.piece(&mut large, batch)?;
                    self.large = Some(large);
                    // An envelope has bytes of which nothing is handed on.
                    if batch.is_empty() {
                        continue;
                    }
                    break;
                }
                self.end_stream(large, batch);
                // The next row may be of this kind again: then this is the moment at which a checkpoint can be left.
                if self.is_checkpoint_due() {
                    break;
                }
            }
            match self.body.step(&mut self.input, &self.read_at, &mut self.facts, batch)? {
                Step::Row => {}
                Step::Large(large) if large.streams.in_pieces => {
                    self.large = Some(large);
                    // Its pieces need a batch of their own.
                    if !batch.is_empty() {
                        break;
                    }
                }
                Step::Large(mut large) => {
                    if let Some(watch) = large.streams.watch.take() {
                        self.watcher.watch(watch).map_err(|fault| self.input.fault(0, fault))?;
                    }
                    while large.remaining > 0 {
                        self.piece(&mut large, batch)?;
                    }
                    self.watcher.end_watch().map_err(|fault| self.input.fault(0, fault))?;
                    self.end_stream(large, batch);
                }
                Step::End => {
                    self.close()?;
                    break;
                }
            }
        }
        if self.is_checkpoint_due() && self.facts.unopened.is_none() {
            batch.checkpoint = self.checkpoint().map(Box::new);
        }
        Ok(())
    }

    fn checkpoint(&mut self) -> Option<Checkpoint> {
        if !self.leaves_checkpoints() || self.closing.is_some() || self.large.is_some() {
            return None;
        }
        let Stood { judge, table, crc32c } = self.body.stands(&mut self.input)?;
        self.checkpointed = self.position().max(self.checkpointed);
        Some(Checkpoint {
            offset: self.checkpointed,
            crc32c,
            table,
            last_key: judge.versions().last().to_vec(),
            open_keys: judge.versions().open_keys(),
            counts: self.facts.counts.clone(),
            states: self.facts.states.clone(),
            unlisted: self.facts.unlisted.clone(),
            oversize_keys: self.facts.oversize_keys,
            payloads: self.facts.numbers,
            min_retained_ts: self.facts.operational.min_retained_ts,
            applied_index: self.facts.operational.applied_index,
        })
    }

    fn is_checkpoint_due(&self) -> bool {
        self.position().saturating_sub(self.checkpointed) >= CHECKPOINT_BYTES
    }

    /// How far the rows so far reach, in bytes from the start of the file.
    fn position(&self) -> u64 {
        match self.body.position() {
            Some(position) if self.closing.is_none() => position,
            _ => self.input.offset(),
        }
    }

    /// Bytes read so far; those of a table count once when it goes by, and once when its rows are read.
    fn work(&self) -> u64 {
        self.input.offset() + self.body.position().unwrap_or(0)
    }

    /// Lets the next bytes of a payload pass, into the batch if they are wanted there.
    fn piece(&mut self, large: &mut LargePayload, batch: &mut Batch) -> Result<(), SnapshotError> {
        let (shown, in_table) = match self.body.bundle() {
            Some(bundle) => (bundle.piece(&self.input, large.remaining)?, true),
            None => (self.input.peek(1)?, false),
        };
        let bytes = (shown.len() as u64).min(large.remaining).min(BATCH_BYTES as u64) as usize;
        if bytes == 0 {
            let (inside, offset) = large.part_of;
            return Err(self.input.truncated(offset, inside));
        }
        if large.streams.in_pieces {
            let opening = large.streams.watch.as_mut().map(|watch| &mut *watch.opening);
            batch.set_piece(large.number, &shown[..bytes], opening);
            if !in_table {
                self.input.consume(bytes);
            }
        } else if in_table {
            self.watcher.show(&shown[..bytes]).map_err(|fault| self.input.fault(0, fault))?;
        } else {
            self.watcher.show_next(&mut self.input, bytes)?;
        }
        large.remaining -= bytes as u64;
        Ok(())
    }

    /// The last byte of a payload has passed: its row follows if it is what it says.
    fn end_stream(&mut self, large: LargePayload, batch: &mut Batch) {
        let Streams { row, length, watch, .. } = *large.streams;
        if let Some(Err(fault)) = watch.map(|watch| watch.finish()) {
            self.facts.unopened.get_or_insert(fault);
            return;
        }
        if let Some(row) = row {
            let place = row.place.unwrap_or(Place::Pieces { number: large.number });
            let whole = Some(Large { place, length });
            batch.push(row.class, &row.raw_key, &row.raw_value, row.shape, whole, row.stand);
        }
    }

    /// Verifies what stands after the last row: nothing, or the footer.
    fn close(&mut self) -> Result<(), SnapshotError> {
        let start = self.input.offset();
        let computed = self.input.crc32c();
        self.body.check(&mut self.input)?;
        let crc32c = match *self.input.peek(5)? {
            [] => None,
            [a, b, c, d] => Some(u32::from_be_bytes([a, b, c, d])),
            [_, _, _, _, ..] => return Err(self.input.fault(start, SstCorruption::TrailingBytes.into())),
            _ => return Err(self.input.truncated(start, "footer")),
        };
        if let Some(footer) = crc32c {
            if footer != computed {
                return Err(self.input.corrupt(start, Corruption::Footer { computed, footer }));
            }
            self.input.consume(4);
        }
        self.check_history()?;
        self.closing = Some(Closing {
            counts: self.facts.counts.clone(),
            states: self.facts.states.clone(),
            unlisted: self.facts.unlisted.clone(),
            oversize_keys: self.facts.oversize_keys,
            min_retained_ts: self.min_retained_ts(),
            applied_index: self.facts.operational.applied_index,
            crc32c,
            bytes: self.input.offset(),
            tables: self.body.tables(),
        });
        Ok(())
    }

    /// As far as the file has told yet; 0 if it has not.
    fn min_retained_ts(&self) -> Hlc {
        Hlc(self.facts.operational.min_retained_ts.unwrap_or(0))
    }

    /// Refuses a read timestamp below the oldest retained version, as far as the file has told that yet.
    fn check_history(&self) -> Result<(), SnapshotError> {
        let oldest = self.min_retained_ts();
        match self.read_at.as_of {
            Some(asked) if asked < oldest => {
                let name = self.input.name().to_owned();
                Err(SnapshotError::HistoryGone { name, asked, oldest })
            }
            _ => Ok(()),
        }
    }
}
