//! How the library tells of long work, and is told to stop. It draws nothing; whoever calls it may.

/// What a run is busy with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Reading snapshots into the staging database; counted in bytes.
    Load,
    /// Looking at the staged rows as a whole; not counted.
    Reconcile,
    /// Writing the tree; counted in files.
    Export,
    /// Looking for keys in the staging database; counted in keys.
    Look,
    /// Reading the files of a tree; counted in bytes.
    Verify,
}

/// Somebody who wants to know how far a run is. Called from the thread that runs.
pub trait Progress {
    /// A phase begins; `total` is what it will count to, if that is known.
    fn begin(&self, _phase: Phase, _total: Option<u64>) {}

    /// This much more of the phase is done.
    fn advance(&self, _by: u64) {}

    /// The phase is over.
    fn end(&self) {}

    /// Should the run stop? Asked every few milliseconds.
    fn is_interrupted(&self) -> bool {
        false
    }
}

/// Nobody wants to know.
pub struct Silent;

impl Progress for Silent {}
