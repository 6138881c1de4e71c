//! The bodies behind one face: which one a file has, and what each of them answers when the reader asks
//! (`docs/format/snapshot.md` sections 2 to 4). Leaves how rows are found to `pebble`, `mvcc` and `sst`, and what follows
//! from a step to the reader.

use super::batch::Batch;
use super::checkpoint::Checkpoint;
use super::error::{Corruption, Fault, SnapshotError};
use super::facts::Facts;
use super::header::BodyFormat;
use super::hlc::Hlc;
use super::input::Input;
use super::mvcc;
use super::operational::OperationalFacts;
use super::pebble;
use super::row::Judge;
use super::sst::{Bundle, TableCheckpoint, Tables};
use super::step::Step;
use super::versions::ReadAt;

pub(super) enum Body {
    Pebble(pebble::Rows),
    Mvcc { keys: mvcc::Keys, checksum: u32 },
    Sst(Box<Bundle>),
    Empty,
}

/// What stands before the first row.
pub(super) struct Begun {
    pub body: Body,
    pub last_commit_ts: Hlc,
    pub operational: OperationalFacts,
}

/// Where a body stands, for a checkpoint.
pub(super) struct Stood<'b> {
    pub judge: &'b Judge,
    pub table: TableCheckpoint,
    /// Of the bytes before it, or before the table that it is in.
    pub crc32c: u32,
}

impl Body {
    /// Reads what a body of this format begins with.
    pub fn begin(format: BodyFormat, input: &mut Input) -> Result<Begun, SnapshotError> {
        let mut operational = OperationalFacts::default();
        let (body, last_commit_ts) = match format {
            BodyFormat::Empty => (Self::Empty, Hlc(0)),
            BodyFormat::Pebble => {
                let last_commit_ts = pebble::read_last_commit_ts(input)?;
                (Self::Pebble(pebble::Rows::default()), last_commit_ts)
            }
            BodyFormat::Mvcc => {
                let prelude = mvcc::read_prelude(input)?;
                operational.min_retained_ts = Some(prelude.min_retained_ts.0);
                let body = Self::Mvcc { keys: mvcc::Keys::default(), checksum: prelude.checksum };
                (body, prelude.last_commit_ts)
            }
            BodyFormat::Sst => {
                let bundle = Bundle::open(input)?;
                let manifest = bundle.manifest();
                operational.min_retained_ts = Some(manifest.min_retained_ts);
                operational.applied_index = manifest.applied_index;
                let last_commit_ts = Hlc(manifest.last_commit_ts);
                (Self::Sst(Box::new(bundle)), last_commit_ts)
            }
        };
        Ok(Begun { body, last_commit_ts, operational })
    }

    /// The body where a checkpoint stands, and the offset in the file from which it reads on.
    pub fn resumed(self, checkpoint: &Checkpoint) -> Result<(Self, u64), Fault> {
        Ok(match self {
            Self::Pebble(_) => (Self::Pebble(pebble::Rows::resumed(checkpoint)), checkpoint.offset),
            Self::Sst(bundle) => {
                let bundle = bundle.resumed(checkpoint)?;
                let start = bundle.start();
                (Self::Sst(Box::new(bundle)), start)
            }
            other @ (Self::Mvcc { .. } | Self::Empty) => (other, checkpoint.offset),
        })
    }

    /// Are its rows in an order in which reading can go on anywhere?
    pub fn leaves_checkpoints(&self) -> bool {
        matches!(self, Self::Pebble(_) | Self::Sst(_))
    }

    /// The bundle that it is, if it is one.
    pub fn bundle(&mut self) -> Option<&mut Bundle> {
        match self {
            Self::Sst(bundle) => Some(bundle),
            Self::Pebble(_) | Self::Mvcc { .. } | Self::Empty => None,
        }
    }

    /// Moves past the next row.
    #[inline]
    pub fn step(
        &mut self,
        input: &mut Input,
        read_at: &ReadAt,
        facts: &mut Facts,
        batch: &mut Batch,
    ) -> Result<Step, SnapshotError> {
        match self {
            Self::Pebble(rows) => rows.step(input, read_at, facts, batch),
            Self::Mvcc { keys, .. } => keys.step(input, read_at, facts, batch),
            Self::Sst(bundle) => bundle.step(input, read_at, facts, batch),
            Self::Empty => Ok(Step::End),
        }
    }

    /// Where it stands; `None` if it leaves no checkpoints.
    pub fn stands(&self, input: &mut Input) -> Option<Stood<'_>> {
        match self {
            Self::Pebble(rows) => {
                let (table, crc32c) = (TableCheckpoint::default(), input.crc32c());
                Some(Stood { judge: rows.judge(), table, crc32c })
            }
            Self::Sst(bundle) => {
                let (table, crc32c) = bundle.checkpoint();
                Some(Stood { judge: bundle.judge(), table, crc32c })
            }
            Self::Mvcc { .. } | Self::Empty => None,
        }
    }

    /// How far its rows reach, in bytes from the start of the file, if that is not how far the file has been read.
    pub fn position(&self) -> Option<u64> {
        match self {
            Self::Sst(bundle) => Some(bundle.position()),
            Self::Pebble(_) | Self::Mvcc { .. } | Self::Empty => None,
        }
    }

    /// After the last row: compares the checksum of its own, if it has one.
    pub fn check(&self, input: &mut Input) -> Result<(), SnapshotError> {
        if let Self::Mvcc { checksum: stored, .. } = *self {
            let (computed, end) = (input.ieee(), input.offset());
            if computed != stored {
                return Err(input.corrupt(end, Corruption::BodyChecksum { computed, stored }));
            }
        }
        Ok(())
    }

    /// The tables of a bundle.
    pub fn tables(&self) -> Option<Tables> {
        match self {
            Self::Sst(bundle) => Some(bundle.tables()),
            Self::Pebble(_) | Self::Mvcc { .. } | Self::Empty => None,
        }
    }
}
