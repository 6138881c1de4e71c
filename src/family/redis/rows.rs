//! Redis rows: from the bytes of a key and a payload to a typed record (`docs/format/redis.md` sections 1 and 2).
//! Pure functions over byte slices: no database, no files. Protobuf inside payloads is left to `blob` and `entry`,
//! since it may be too long to be in memory; joining rows to keys is left to the SQL of `reconcile` and `export`.

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

/// Takes a visible row apart.
///
/// # Errors
/// The rule that the row breaks.
pub fn decode<'a>(user_key: &'a [u8], payload: Payload<'a>) -> Result<Record<'a>, Malformed> {
    if let Some(rest) = user_key.strip_prefix(b"!redis|") {
        return decode_redis(rest, payload);
    }
    if let Some(rest) = user_key.strip_prefix(b"!hs|") {
        return match rest.strip_prefix(b"fld|") {
            Some(rest) => {
                let (key, name) = length_prefixed(rest).ok_or(Malformed::KeyLayout("hash field"))?;
                Ok(Record::Field { key, name, value: payload })
            }
            None => decode_counted(Type::Hash, rest, payload),
        };
    }
    if let Some(rest) = user_key.strip_prefix(b"!zs|") {
        return match rest.strip_prefix(b"mem|") {
            Some(rest) => {
                let (key, member) = length_prefixed(rest).ok_or(Malformed::KeyLayout("zset member"))?;
                let score = f64::from_bits(u64::from_be_bytes(sized(payload, "zset member value", "8")?));
                Ok(Record::ZsetMember { key, member, score })
            }
            None if rest.starts_with(b"scr|") => Ok(Record::Ignored),
            None => decode_counted(Type::Zset, rest, payload),
        };
    }
    if let Some(rest) = user_key.strip_prefix(b"!st|") {
        return match rest.strip_prefix(b"mem|") {
            Some(rest) => {
                let (key, member) = length_prefixed(rest).ok_or(Malformed::KeyLayout("set member"))?;
                Ok(Record::SetMember { key, member })
            }
            None => decode_counted(Type::Set, rest, payload),
        };
    }
    if let Some(rest) = user_key.strip_prefix(b"!lst|") {
        return decode_list(rest, payload);
    }
    if let Some(rest) = user_key.strip_prefix(b"!stream|entry|") {
        let (key, id) = length_prefixed(rest).ok_or(Malformed::KeyLayout("stream entry"))?;
        let id: [u8; 16] = id.try_into().map_err(|_| Malformed::KeyLayout("stream entry"))?;
        return Ok(Record::Entry { key, ms: be64_at(&id, 0), seq: be64_at(&id, 8), entry: payload });
    }
    if let Some(rest) = user_key.strip_prefix(b"!stream|meta|") {
        return decode_stream_meta(rest, payload);
    }
    let value = payload.skip(0);
    Ok(Record::BareString(StringRow { key: user_key, value, envelope: false, expire_at_ms: None }))
}

fn decode_redis<'a>(rest: &'a [u8], payload: Payload<'a>) -> Result<Record<'a>, Malformed> {
    const FENCES: [&[u8]; 5] =
        [b"txn-wide-hash|", b"txn-wide-list|", b"txn-wide-set|", b"txn-wide-zset|", b"route|"];
    if let Some(key) = rest.strip_prefix(b"str|") {
        return Ok(Record::String(string_row(key, payload, [0xFF, 0x01])?));
    }
    if let Some(key) = rest.strip_prefix(b"ttl|") {
        let expire_at_ms = clamp(u64::from_be_bytes(sized(payload, "TTL row's value", "8")?));
        return Ok(Record::Ttl { key, expire_at_ms });
    }
    if FENCES.iter().any(|fence| rest.starts_with(fence)) {
        return Ok(Record::Ignored);
    }
    if let Some(key) = rest.strip_prefix(b"hll|") {
        return Ok(Record::Hll(string_row(key, payload, [0xFF, 0x02])?));
    }
    let blobs: [(&[u8], Type); 4] =
        [(b"hash|", Type::Hash), (b"set|", Type::Set), (b"zset|", Type::Zset), (b"stream|", Type::Stream)];
    for (prefix, of) in blobs {
        if let Some(key) = rest.strip_prefix(prefix) {
            return Ok(Record::Blob { of, key, blob: payload });
        }
    }
    Err(Malformed::UnknownKind)
}

/// Section 2.1 and 2.2: magic, flags, expiry if flag bit 0 is set, user value; or the user value alone.
fn string_row<'a>(key: &'a [u8], payload: Payload<'a>, magic: [u8; 2]) -> Result<StringRow<'a>, Malformed> {
    let head = payload.head();
    if !head.starts_with(&magic) {
        return Ok(StringRow { key, value: payload.skip(0), envelope: false, expire_at_ms: None });
    }
    let flags = head.get(2).ok_or(Malformed::Envelope)?;
    let (skipped, expire_at_ms) = if flags & 1 == 0 {
        (3, None)
    } else {
        let expiry = head.get(3..).and_then(<[u8]>::first_chunk).ok_or(Malformed::Envelope)?;
        (11, Some(clamp(u64::from_be_bytes(*expiry))))
    };
    Ok(StringRow { key, value: payload.skip(skipped), envelope: true, expire_at_ms })
}

/// Metas and deltas of hashes, sets and sorted sets. No user key is long enough for a length that begins with
/// `d|`, so the prefix alone tells a delta.
fn decode_counted<'a>(of: Type, rest: &'a [u8], payload: Payload<'a>) -> Result<Record<'a>, Malformed> {
    if let Some(rest) = rest.strip_prefix(b"meta|d|") {
        let (key, commit_ts, seq) = delta_key(rest).ok_or(Malformed::KeyLayout("length delta"))?;
        let length = i64::from_be_bytes(sized(payload, "length delta", "8")?);
        return Ok(Record::Delta(Delta { of, key, commit_ts, seq, length, head: None }));
    }
    let rest = rest.strip_prefix(b"meta|").ok_or(Malformed::UnknownKind)?;
    let key = whole_key(rest).ok_or(Malformed::KeyLayout("meta row"))?;
    let fields = fields(payload, &[8, 16]).ok_or_else(|| size("meta value", "8 or 16", payload))?;
    let length = length(be64_at(fields, 0))?;
    let expire_at_ms = (fields.len() == 16).then(|| clamp(be64_at(fields, 8)));
    Ok(Record::Meta(Meta { of, key, length, expire_at_ms, detail: MetaDetail::Counted }))
}

fn decode_list<'a>(rest: &'a [u8], payload: Payload<'a>) -> Result<Record<'a>, Malformed> {
    if let Some(rest) = rest.strip_prefix(b"itm|") {
        let (key, seq) = rest.split_last_chunk().ok_or(Malformed::KeyLayout("list item"))?;
        let seq = (u64::from_be_bytes(*seq) ^ 1 << 63).cast_signed();
        return Ok(Record::Item { key, seq, item: payload });
    }
    if rest.starts_with(b"claim|") {
        return Ok(Record::Ignored);
    }
    let key = rest.strip_prefix(b"meta|").ok_or(Malformed::UnknownKind)?;
    // A list meta's key has no length, so the user key `d|…` looks like a delta: shape and value size decide.
    if let (Some((key, commit_ts, seq)), Some(deltas)) =
        (key.strip_prefix(b"d|").and_then(delta_key), fields(payload, &[16]))
    {
        let (head, length) = (be64_at(deltas, 0).cast_signed(), be64_at(deltas, 8).cast_signed());
        return Ok(Record::Delta(Delta { of: Type::List, key, commit_ts, seq, length, head: Some(head) }));
    }
    let fields = fields(payload, &[24, 32]).ok_or_else(|| size("list meta value", "24 or 32", payload))?;
    let (head, tail) = (be64_at(fields, 0).cast_signed(), be64_at(fields, 8).cast_signed());
    let length = length(be64_at(fields, 16))?;
    if head.checked_add(length) != Some(tail) {
        return Err(Malformed::ListEnds { head, tail, length });
    }
    let expire_at_ms = (fields.len() == 32).then(|| clamp(be64_at(fields, 24)));
    let detail = MetaDetail::List { head, tail };
    Ok(Record::Meta(Meta { of: Type::List, key, length, expire_at_ms, detail }))
}

fn decode_stream_meta<'a>(rest: &'a [u8], payload: Payload<'a>) -> Result<Record<'a>, Malformed> {
    let key = whole_key(rest).ok_or(Malformed::KeyLayout("stream meta"))?;
    let fields =
        fields(payload, &[24, 32, 48]).ok_or_else(|| size("stream meta value", "24, 32 or 48", payload))?;
    let length = length(be64_at(fields, 0))?;
    let trimmed = if fields.len() == 48 { (be64_at(fields, 32), be64_at(fields, 40)) } else { (0, 0) };
    let detail = MetaDetail::Stream { last: (be64_at(fields, 8), be64_at(fields, 16)), trimmed };
    let expire_at_ms = (fields.len() > 24).then(|| clamp(be64_at(fields, 24)));
    Ok(Record::Meta(Meta { of: Type::Stream, key, length, expire_at_ms, detail }))
}

/// `len4 uk rest`: lengths are compared as u64, so no length wraps.
fn length_prefixed(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

fn whole_key(bytes: &[u8]) -> Option<&[u8]> {
    length_prefixed(bytes).and_then(|(key, rest)| rest.is_empty().then_some(key))
}

/// `len4 uk be64 commit_ts be32 seq`, used up exactly.
fn delta_key(bytes: &[u8]) -> Option<(&[u8], u64, u32)> {
    let (key, rest) = length_prefixed(bytes)?;
    let (commit_ts, seq) = rest.split_first_chunk()?;
    Some((key, u64::from_be_bytes(*commit_ts), u32::from_be_bytes(seq.try_into().ok()?)))
}

/// The payload, if it has one of these sizes, all of which are inline.
fn fields<'a>(payload: Payload<'a>, sizes: &[usize]) -> Option<&'a [u8]> {
    match payload {
        Payload::Inline(bytes) if sizes.contains(&bytes.len()) => Some(bytes),
        _ => None,
    }
}

fn sized<const N: usize>(
    payload: Payload<'_>,
    kind: &'static str,
    allowed: &'static str,
) -> Result<[u8; N], Malformed> {
    fields(payload, &[N]).and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| size(kind, allowed, payload))
}

fn size(kind: &'static str, allowed: &'static str, payload: Payload<'_>) -> Malformed {
    Malformed::ValueSize { kind, allowed, found: payload.len() }
}

fn length(stored: u64) -> Result<i64, Malformed> {
    i64::try_from(stored).map_err(|_| Malformed::Length(stored))
}

/// An expiry above i64::MAX clamps to it, wherever it stands.
fn clamp(expire_at_ms: u64) -> i64 {
    i64::try_from(expire_at_ms).unwrap_or(i64::MAX)
}

/// The callers have checked the size; a field beyond it would read as 0.
fn be64_at(fields: &[u8], at: usize) -> u64 {
    fields.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |field| u64::from_be_bytes(*field))
}

#[cfg(test)]
mod tests;
