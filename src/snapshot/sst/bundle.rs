//! The body `EKVSSTI1`: a manifest, and tables that hold the rows of an ordinary body (`docs/format/sstable.md`
//! sections 1 and 3). Each table is passed twice: once as the file goes by, for its digest and the checksum of the file,
//! and then, if it is the table that the manifest names, at the places where its index says that rows are.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::super::batch::Batch;
use super::super::checkpoint::Checkpoint;
use super::super::error::{Fault, SnapshotError, readable};
use super::super::facts::Facts;
use super::super::input::Input;
use super::super::row::{Framed, Judge, Judged, VERSION_HEADER_BYTES, shown_bytes};
use super::super::step::{LargePayload, Step};
use super::super::versions::ReadAt;
use super::error::{InBlock, Located, SstCorruption};
use super::manifest::{List, Listed, Manifest, hex, name_of, read_manifest};
use super::stretch::Stretch;
use super::table::Table;

/// What a bundle is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tables {
    /// Number of tables.
    pub tables: u64,
    /// Bytes of all tables.
    pub bytes: u64,
    /// Data blocks stored as they are.
    pub raw_blocks: u64,
    /// Data blocks stored compressed.
    pub snappy_blocks: u64,
}

/// Where the reading of a bundle stands. A table that was begun is begun again: its digest has to be verified before
/// another row of it is believed, and then its rows so far are passed over, which also counts them again. A node's table
/// has about 64 MiB of rows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableCheckpoint {
    /// Number of the table in progress, from 0.
    pub table: u64,
    /// Rows of it that were taken.
    pub rows: u64,
    /// Bytes of row keys and values in the tables before it.
    pub row_bytes: u64,
    /// Data blocks in the tables before it that are stored as they are.
    pub raw_blocks: u64,
    /// Data blocks in the tables before it that are compressed.
    pub snappy_blocks: u64,
}

/// Bytes of the footer of the file (`docs/format/snapshot.md` section 1).
const FOOTER_BYTES: u64 = 4;

/// The state of the body between two rows.
pub(in crate::snapshot) struct Bundle {
    judge: Judge,
    manifest: Manifest,
    list: List,
    /// Where tables are read: in the file itself, if it can be read at any offset, or else in unnamed files in `spool`.
    file: Option<Arc<File>>,
    spool: PathBuf,
    state: State,
    /// Number of the table in progress, or the next one, and sums over those before it.
    before: TableCheckpoint,
    /// Rows in the tables before it.
    rows: u64,
    /// Rows of it that an earlier reader has taken.
    taken: u64,
    /// Offset of it in the file, and the CRC-32C of everything before it.
    start: u64,
    crc32c: u32,
    /// Last row key of the table before it.
    floor: Vec<u8>,
}

enum State {
    Between,
    /// The table goes by.
    Passing {
        listed: Listed,
        hash: Sha256,
        spooled: Option<File>,
        left: u64,
    },
    /// Its rows are read.
    Reading {
        listed: Listed,
        table: Box<Table>,
    },
}

impl Bundle {
    /// Reads the manifest.
    ///
    /// # Errors
    /// See [`read_manifest`].
    pub fn open(input: &mut Input) -> Result<Self, SnapshotError> {
        let (manifest, list) = read_manifest(input)?;
        Ok(Self {
            judge: Judge::default(),
            manifest,
            list,
            file: None,
            spool: std::env::temp_dir(),
            state: State::Between,
            before: TableCheckpoint::default(),
            rows: 0,
            taken: 0,
            start: input.offset(),
            crc32c: input.crc32c(),
            floor: Vec::new(),
        })
    }

    /// What the manifest says.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// What the rows so far decide.
    pub fn judge(&self) -> &Judge {
        &self.judge
    }

    /// Puts what cannot be read where it lies into unnamed files in this directory.
    pub fn spool_in(&mut self, directory: &Path) {
        directory.clone_into(&mut self.spool);
    }

    /// Reads tables in the file itself, which has to be as long as the manifest says. To be called before the first
    /// step.
    ///
    /// # Errors
    /// It has another length.
    pub fn read_in(&mut self, file: File, input: &Input) -> Result<(), SnapshotError> {
        let metadata = file.metadata().map_err(|error| input.fault(self.start, Fault::Io(error)))?;
        let (length, end) = (metadata.len(), self.start.saturating_add(self.manifest.total_file_bytes));
        if length < end {
            let (name, offset) = (input.name().to_owned(), self.start);
            return Err(SnapshotError::Truncated { name, offset, end: length, inside: "body" });
        }
        if length - end != 0 && length - end != FOOTER_BYTES {
            let fault = SstCorruption::FileLength { end, length };
            return Err(input.fault(end, fault.into()));
        }
        self.file = Some(Arc::new(file));
        Ok(())
    }

    /// The state at a checkpoint, with [`Self::start`] where the input has to stand.
    ///
    /// # Errors
    /// The list of tables cannot be read.
    pub fn resumed(self, checkpoint: &Checkpoint) -> Result<Self, Fault> {
        let TableCheckpoint { rows: taken, .. } = checkpoint.table;
        let mut resumed = Self {
            judge: Judge::resumed(checkpoint),
            before: TableCheckpoint { rows: 0, ..checkpoint.table.clone() },
            rows: checkpoint.counts.total().saturating_sub(taken),
            taken,
            crc32c: checkpoint.crc32c,
            ..self
        };
        for _ in 0..checkpoint.table.table {
            let Some(listed) = resumed.list.next().map_err(Fault::Spool)? else { break };
            resumed.start += listed.size;
            resumed.floor = listed.largest;
        }
        Ok(resumed)
    }

    /// Offset of the table in progress, in bytes from the start of the file.
    pub fn start(&self) -> u64 {
        self.start
    }

    /// How far rows have been read: the offset of a block or of a table.
    pub fn position(&self) -> u64 {
        match &self.state {
            State::Between | State::Passing { .. } => self.start,
            State::Reading { table, .. } => self.start + table.block(),
        }
    }

    /// What it takes to go on here, and the CRC-32C of everything before the table in progress.
    pub fn checkpoint(&self) -> (TableCheckpoint, u32) {
        let rows = match &self.state {
            State::Reading { table, .. } => table.rows().max(self.taken),
            State::Between | State::Passing { .. } => self.taken,
        };
        (TableCheckpoint { rows, ..self.before.clone() }, self.crc32c)
    }

    /// What the tables were. To be asked at the end.
    pub fn tables(&self) -> Tables {
        Tables {
            tables: self.manifest.tables,
            bytes: self.manifest.total_file_bytes,
            raw_blocks: self.before.raw_blocks,
            snappy_blocks: self.before.snappy_blocks,
        }
    }

    /// Reads one row, and puts it into the batch if it is visible; or lets a piece of a table go by.
    pub fn step(
        &mut self,
        input: &mut Input,
        read_at: &ReadAt,
        facts: &mut Facts,
        batch: &mut Batch,
    ) -> Result<Step, SnapshotError> {
        match &self.state {
            State::Between => self.begin_table(input),
            State::Passing { .. } => self.pass(input),
            State::Reading { .. } => {
                let row = self.row(read_at, facts, batch);
                let row = row.map_err(|located| self.located(input, located))?;
                row.map_or_else(|| self.end_table(input), Ok)
            }
        }
    }

    /// Bytes of the payload that the row in progress has in pieces, from the one on that has `left` bytes left.
    ///
    /// # Errors
    /// The table cannot be read.
    pub fn piece(&mut self, input: &Input, left: u64) -> Result<&[u8], SnapshotError> {
        let start = self.start;
        match &mut self.state {
            State::Reading { table, .. } => table.piece(left).map_err(|fault| input.fault(start, fault)),
            State::Between | State::Passing { .. } => Ok(&[]),
        }
    }

    fn begin_table(&mut self, input: &Input) -> Result<Step, SnapshotError> {
        let listed = self.list.next().map_err(|error| input.fault(self.start, Fault::Spool(error)))?;
        let Some(listed) = listed else {
            self.check_sums(self.rows, self.before.row_bytes, |found, stated| found != stated)
                .map_err(|fault| input.fault(self.start, fault))?;
            return Ok(Step::End);
        };
        if listed.smallest > listed.largest || listed.smallest <= self.floor {
            let (number, rule) =
                (self.before.table, "one whose rows do not come after those before".to_owned());
            return Err(input.fault(self.start, SstCorruption::Listed { number, rule }.into()));
        }
        let spooled = match &self.file {
            Some(_) => None,
            None => {
                let made = tempfile::tempfile_in(&self.spool);
                Some(made.map_err(|error| input.fault(self.start, Fault::Spool(error)))?)
            }
        };
        let (hash, left) = (Sha256::new(), listed.size);
        self.state = State::Passing { listed, hash, spooled, left };
        Ok(Step::Row)
    }

    fn pass(&mut self, input: &mut Input) -> Result<Step, SnapshotError> {
        let State::Passing { hash, spooled, left, .. } = &mut self.state else { return Ok(Step::Row) };
        if *left > 0 {
            let shown = input.peek(1)?;
            let piece = &shown[..(*left).min(shown.len() as u64) as usize];
            let passed = piece.len();
            if passed == 0 {
                return Err(input.truncated(self.start, "table"));
            }
            hash.update(piece);
            if let Some(spooled) = spooled {
                spooled.write_all(piece).map_err(|error| input.fault(self.start, Fault::Spool(error)))?;
            }
            input.consume(passed);
            *left -= passed as u64;
            return Ok(Step::Row);
        }
        let State::Passing { listed, hash, spooled, .. } = std::mem::replace(&mut self.state, State::Between)
        else {
            return Ok(Step::Row);
        };
        let table =
            self.open_table(&listed, hash, spooled).map_err(|located| self.located(input, located))?;
        self.state = State::Reading { listed, table: Box::new(table) };
        Ok(Step::Row)
    }

    /// Opens a table that has gone by. Not a byte of it is looked at before its digest was found right.
    fn open_table(&self, listed: &Listed, hash: Sha256, spooled: Option<File>) -> Result<Table, Located> {
        let (computed, stored) = (hex(&hash.finalize()), &listed.sha256);
        if computed != *stored {
            return Err(SstCorruption::TableDigest { computed, stored: stored.clone() }).in_block(0);
        }
        let bytes = match (spooled, &self.file) {
            (Some(spooled), _) => Stretch::new(Arc::new(spooled), 0, listed.size),
            (None, Some(file)) => Stretch::new(Arc::clone(file), self.start, listed.size),
            (None, None) => return Err(Fault::Io(io::ErrorKind::NotFound.into())).in_block(0),
        };
        Table::open(bytes, &self.spool)
    }

    /// Reads the next row of the table; `None` after the last.
    fn row(
        &mut self,
        read_at: &ReadAt,
        facts: &mut Facts,
        batch: &mut Batch,
    ) -> Result<Option<Step>, Located> {
        let State::Reading { listed, table } = &mut self.state else { return Ok(None) };
        let Some(value_bytes) = table.next()? else { return Ok(None) };
        let block = table.block();
        if table.rows() == 1 {
            check_bound("first", table.row_key(), &listed.smallest).in_block(block)?;
        }
        let (rows, row_bytes) = (table.rows(), table.row_bytes());
        // At once, not at the end: long shared prefixes make a small block into gigabytes.
        self.check_sums(
            self.rows.saturating_add(rows),
            self.before.row_bytes.saturating_add(row_bytes),
            |found, stated| found > stated,
        )
        .in_block(block)?;
        if rows <= self.taken {
            return Ok(Some(Step::Row));
        }
        let State::Reading { table, .. } = &mut self.state else { return Ok(None) };
        let (offset, value_at) = (self.start + block, table.value_at());
        let (raw_key, value) = table.row(shown_bytes(value_bytes)).in_block(block)?;
        let value_at = value_at.filter(|_| facts.rereadable).map(|at| self.start + at);
        let row = Framed { raw_key, value, value_bytes, offset, value_at };
        Ok(Some(match self.judge.take(&row, read_at, facts, batch).in_block(block)? {
            Judged::Done => Step::Row,
            Judged::Streams(streams) => {
                let remaining = (value_bytes - VERSION_HEADER_BYTES) as u64;
                let (number, part_of) = (facts.next_number(), ("row", offset));
                Step::Large(LargePayload { number, remaining, part_of, streams })
            }
        }))
    }

    fn end_table(&mut self, input: &mut Input) -> Result<Step, SnapshotError> {
        let State::Reading { listed, table } = std::mem::replace(&mut self.state, State::Between) else {
            return Ok(Step::Row);
        };
        check_bound("last", table.row_key(), &listed.largest)
            .in_block(table.block())
            .map_err(|located| self.located(input, located))?;
        self.rows += table.rows();
        self.taken = 0;
        self.before.table += 1;
        self.before.row_bytes += table.row_bytes();
        self.before.raw_blocks += table.raw_blocks;
        self.before.snappy_blocks += table.snappy_blocks;
        self.start = input.offset();
        self.crc32c = input.crc32c();
        self.floor = listed.largest;
        Ok(Step::Row)
    }

    fn check_sums(
        &self,
        rows: u64,
        row_bytes: u64,
        is_wrong: impl Fn(u64, u64) -> bool,
    ) -> Result<(), Fault> {
        for (what, found, stated) in [
            ("rows in all tables", rows, self.manifest.entry_count),
            ("bytes of rows in all tables", row_bytes, self.manifest.uncompressed_bytes),
        ] {
            if is_wrong(found, stated) {
                return Err(SstCorruption::Count { what, found, stated }.into());
            }
        }
        Ok(())
    }

    /// Names table and file.
    fn located(&self, input: &Input, located: Located) -> SnapshotError {
        let offset = self.start + located.block;
        input.fault(offset, located.in_table(&name_of(self.before.table)))
    }
}

fn check_bound(which: &'static str, found: &[u8], stated: &[u8]) -> Result<(), Fault> {
    if found == stated {
        return Ok(());
    }
    let (found, stated) = (readable(found), readable(stated));
    Err(SstCorruption::Bound { which, found, stated }.into())
}
