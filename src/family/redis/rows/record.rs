//! What a Redis row is once it is taken apart (`docs/format/redis.md` sections 1 and 2): types that borrow from the row.
//! How bytes become them is left to `rows`, what becomes of them to `stage`.

use crate::snapshot::{Payload, Skipped};

/// The collection types, as they are called in SQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    /// Fields by name.
    Hash,
    /// Items by position.
    List,
    /// Members.
    Set,
    /// Entries by id.
    Stream,
    /// Members with scores.
    Zset,
}

impl Type {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Hash, Self::List, Self::Set, Self::Stream, Self::Zset];

    /// The name in SQL, messages and warning kinds.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hash => "hash",
            Self::List => "list",
            Self::Set => "set",
            Self::Stream => "stream",
            Self::Zset => "zset",
        }
    }
}

/// What a meta row says beside its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetaDetail {
    /// Hash, set and zset metas say no more.
    Counted,
    /// Positions of a list: tail = head + length.
    List {
        /// Sequence number of the first item.
        head: i64,
        /// Sequence number after the last item.
        tail: i64,
    },
    /// Ids of a stream.
    Stream {
        /// The greatest id ever given: ms and seq.
        last: (u64, u64),
        /// Entries up to this id are gone; (0, 0) for none.
        trimmed: (u64, u64),
    },
}

/// One row, taken apart. `key` is always the user key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Record<'a> {
    /// `!redis|str|`.
    String(StringRow<'a>),
    /// `!redis|hll|`; the value is a set blob that is still to be validated.
    Hll(StringRow<'a>),
    /// A key outside every namespace.
    BareString(StringRow<'a>),
    /// `!redis|ttl|`.
    Ttl {
        /// The user key.
        key: &'a [u8],
        /// Unix ms.
        expire_at_ms: i64,
    },
    /// The meta row of a collection.
    Meta(Meta<'a>),
    /// An unmerged change of a length.
    Delta(Delta<'a>),
    /// A hash field.
    Field {
        /// The user key.
        key: &'a [u8],
        /// The field's name, which may be empty.
        name: &'a [u8],
        /// The field's value.
        value: Payload<'a>,
    },
    /// A set member.
    SetMember {
        /// The user key.
        key: &'a [u8],
        /// The member.
        member: &'a [u8],
    },
    /// A sorted set member.
    ZsetMember {
        /// The user key.
        key: &'a [u8],
        /// The member.
        member: &'a [u8],
        /// Its score; NaN is legal.
        score: f64,
    },
    /// A list item.
    Item {
        /// The user key.
        key: &'a [u8],
        /// Its place.
        seq: i64,
        /// The item.
        item: Payload<'a>,
    },
    /// A stream entry; the payload is magic and protobuf, still to be validated.
    Entry {
        /// The user key.
        key: &'a [u8],
        /// Milliseconds of the id.
        ms: u64,
        /// Sequence number of the id.
        seq: u64,
        /// Magic and protobuf.
        entry: Payload<'a>,
    },
    /// A whole collection in one row, of the older layout; still to be validated.
    Blob {
        /// Of which type.
        of: Type,
        /// The user key.
        key: &'a [u8],
        /// Magic and protobuf.
        blob: Payload<'a>,
    },
    /// Fences, routes, claims and the score index: nothing to restore.
    Ignored,
}

/// A string, or what is kept like one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StringRow<'a> {
    /// The user key.
    pub key: &'a [u8],
    /// The user value, without its envelope.
    pub value: Skipped<'a>,
    /// With the envelope the row itself decides on the expiry; without it the TTL row does.
    pub envelope: bool,
    /// Unix ms.
    pub expire_at_ms: Option<i64>,
}

/// The meta row of a collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta<'a> {
    /// Of which type.
    pub of: Type,
    /// The user key.
    pub key: &'a [u8],
    /// Elements, without unmerged deltas.
    pub length: i64,
    /// Unix ms, 0 for none; `None` in the short shape, which does not speak of expiry.
    pub expire_at_ms: Option<i64>,
    /// What else the type keeps there.
    pub detail: MetaDetail,
}

/// An unmerged change of a length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delta<'a> {
    /// Of which type.
    pub of: Type,
    /// The user key.
    pub key: &'a [u8],
    /// HLC.
    pub commit_ts: u64,
    /// Number within the commit.
    pub seq: u32,
    /// To be added to the length.
    pub length: i64,
    /// To be added to the head (lists only).
    pub head: Option<i64>,
}
