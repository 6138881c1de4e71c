//! Redis rows: from the bytes of a key and a payload to a typed record (`docs/format/redis.md` sections 1 and 2).
//! Pure functions over byte slices: no database, no files. What a record can be stands in `record`, the rules that bytes
//! can break in `malformed`. Protobuf inside payloads is left to `blob` and `entry`, since it may be too long to be in
//! memory; joining rows to keys is left to the SQL of `reconcile` and `export`.

mod malformed;
mod record;

pub use self::malformed::Malformed;
pub use self::record::{Delta, Meta, MetaDetail, Record, StringRow, Type};
use crate::snapshot::Payload;

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
