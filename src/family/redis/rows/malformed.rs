//! The rules that a row of this family can break, each with its own words. Looking for them is left to `rows` and, inside
//! values, to `blob`, `entry` and `stage`.

/// The rules of `docs/format/redis.md` that a row can break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// Section 1: a Redis namespace, but no row kind.
    #[error("the key begins like a Redis row but is of no known kind")]
    UnknownKind,
    /// Section 1: the layout does not use the key up exactly.
    #[error("the row key does not have the layout of a {0}")]
    KeyLayout(&'static str),
    /// Section 2: a value of a size that its kind does not have.
    #[error("a {kind} has {allowed} bytes, this one has {found}")]
    ValueSize {
        /// Which row kind.
        kind: &'static str,
        /// The sizes it may have.
        allowed: &'static str,
        /// The size found, in bytes.
        found: u64,
    },
    /// Sections 2.1 and 2.2: the envelope ends early.
    #[error("the envelope of the value ends before its flags or its expiry")]
    Envelope,
    /// Sections 2.3 to 2.5: more elements than an i64 counts.
    #[error("a length of {0} does not fit a signed 64-bit number")]
    Length(u64),
    /// Section 2.4: tail = head + length.
    #[error("the list meta has head {head}, tail {tail} and length {length}, which do not agree")]
    ListEnds {
        /// As stored.
        head: i64,
        /// As stored.
        tail: i64,
        /// As stored.
        length: i64,
    },
    /// Sections 2.6 and 2.7: another beginning than the magic.
    #[error("the value does not begin with the magic of a {0}")]
    Magic(&'static str),
    /// Sections 2.6 and 2.7: protobuf that does not parse.
    #[error("the protobuf of the {0} does not parse")]
    Protobuf(&'static str),
    /// Section 2.6: names and values come in pairs.
    #[error("the stream entry has an odd number of fields")]
    OddFields,
    /// Section 2.7: an id that is not two decimal numbers.
    #[error("an entry id of the one-blob stream is not of the form ms-seq")]
    EntryId,
    /// A name or member of a one-blob collection that is longer than any row key could be.
    #[error("a name or member of {0} bytes; at most 16777216 are read")]
    NameLength(u64),
}
