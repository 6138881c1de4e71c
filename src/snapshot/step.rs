//! What a body tells the reader after each step. Leaves to the reader what follows from it.

use super::row::Streams;

/// What a body did in one step.
pub(super) enum Step {
    /// It moved past a row or a version.
    Row,
    /// It stands at the first byte of a payload that has to stream past.
    Large(LargePayload),
    /// It stands where the footer begins, or at the end.
    End,
}

/// A large payload that streams past.
pub(super) struct LargePayload {
    pub number: u64,
    pub remaining: u64,
    /// What ends too early if the payload does, and the offset at which that begins.
    pub part_of: (&'static str, u64),
    /// What is done with it. The row that belongs to it follows its last byte, unless the body hands that on later.
    pub streams: Box<Streams>,
}
