//! Keys and values of every Redis row kind.
//!
//! Owns: `docs/format/redis.md` sections 1 and 2. Keys are user keys in the sense of snapshot.md (the
//! writers add the timestamp); `uk` is the key a Redis client used; all times are Unix milliseconds.
//! Nothing is checked, so lengths, counts and texts may contradict each other.
//!
//! Leaves: what a set of rows means to section 3 and the code under test. A bare string is its own
//! row: key `uk`, value unwrapped.

use crate::protobuf::{bytes_field, double_field};

/// The types whose meta row is a count and whose elements are rows of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// `!hs|`, elements are fields.
    Hash,
    /// `!st|`, elements are members.
    Set,
    /// `!zs|`, elements are members.
    ZSet,
}

impl Counted {
    fn namespace(self) -> &'static str {
        match self {
            Self::Hash => "!hs|",
            Self::Set => "!st|",
            Self::ZSet => "!zs|",
        }
    }
}

/// The types that older nodes kept in one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blob {
    /// `!redis|hash|`
    Hash,
    /// `!redis|set|`
    Set,
    /// `!redis|zset|`
    ZSet,
    /// `!redis|stream|`
    Stream,
}

/// The types that have transaction fences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fence {
    /// `!redis|txn-wide-hash|`
    Hash,
    /// `!redis|txn-wide-set|`
    Set,
    /// `!redis|txn-wide-list|`
    List,
    /// `!redis|txn-wide-zset|`
    ZSet,
}

fn joined(prefix: &str, parts: &[&[u8]]) -> Vec<u8> {
    [prefix.as_bytes(), &parts.concat()].concat()
}

fn with_length(prefix: &str, uk: &[u8], rest: &[&[u8]]) -> Vec<u8> {
    joined(prefix, &[&(uk.len() as u32).to_be_bytes(), uk, &rest.concat()])
}

// Flipping the sign bit makes byte order numeric order.
fn ordered(seq: i64) -> [u8; 8] {
    (seq as u64 ^ 1 << 63).to_be_bytes()
}

/// Key of a string.
pub fn string_key(uk: &[u8]) -> Vec<u8> {
    joined("!redis|str|", &[uk])
}

/// Key of a HyperLogLog.
pub fn hll_key(uk: &[u8]) -> Vec<u8> {
    joined("!redis|hll|", &[uk])
}

/// Key of a row of the TTL scan index.
pub fn ttl_key(uk: &[u8]) -> Vec<u8> {
    joined("!redis|ttl|", &[uk])
}

/// Key of the meta row of a hash, set or zset.
pub fn count_meta_key(kind: Counted, uk: &[u8]) -> Vec<u8> {
    joined(kind.namespace(), &[&with_length("meta|", uk, &[])])
}

/// Key of a length delta of a hash, set or zset.
pub fn count_delta_key(kind: Counted, uk: &[u8], commit_ts: u64, seq: u32) -> Vec<u8> {
    let rest = with_length("meta|d|", uk, &[&commit_ts.to_be_bytes(), &seq.to_be_bytes()]);
    joined(kind.namespace(), &[&rest])
}

/// Key of a hash field, set member or zset member.
pub fn element_key(kind: Counted, uk: &[u8], element: &[u8]) -> Vec<u8> {
    let row = if kind == Counted::Hash { "fld|" } else { "mem|" };
    joined(kind.namespace(), &[&with_length(row, uk, &[element])])
}

/// Key of a row of a zset's score index. Readers ignore these rows and the format leaves open what
/// follows the prefix; here it is length, key, the score's bits and the member.
pub fn score_key(uk: &[u8], score: f64, member: &[u8]) -> Vec<u8> {
    with_length("!zs|scr|", uk, &[&score.to_be_bytes(), member])
}

/// Key of a list's meta row; it has no length, hence trap (a) of section 1.
pub fn list_meta_key(uk: &[u8]) -> Vec<u8> {
    joined("!lst|meta|", &[uk])
}

/// Key of a list item.
pub fn list_item_key(uk: &[u8], seq: i64) -> Vec<u8> {
    joined("!lst|itm|", &[uk, &ordered(seq)])
}

/// Key of a list delta.
pub fn list_delta_key(uk: &[u8], commit_ts: u64, seq: u32) -> Vec<u8> {
    with_length("!lst|meta|d|", uk, &[&commit_ts.to_be_bytes(), &seq.to_be_bytes()])
}

/// Key of a claim that a POP left behind.
pub fn list_claim_key(uk: &[u8], seq: i64) -> Vec<u8> {
    with_length("!lst|claim|", uk, &[&ordered(seq)])
}

/// Key of a stream's meta row.
pub fn stream_meta_key(uk: &[u8]) -> Vec<u8> {
    with_length("!stream|meta|", uk, &[])
}

/// Key of a stream entry with the id `ms-seq`.
pub fn stream_entry_key(uk: &[u8], ms: u64, seq: u64) -> Vec<u8> {
    with_length("!stream|entry|", uk, &[&ms.to_be_bytes(), &seq.to_be_bytes()])
}

/// Key of a one-blob collection.
pub fn blob_key(kind: Blob, uk: &[u8]) -> Vec<u8> {
    let prefix = match kind {
        Blob::Hash => "!redis|hash|",
        Blob::Set => "!redis|set|",
        Blob::ZSet => "!redis|zset|",
        Blob::Stream => "!redis|stream|",
    };
    joined(prefix, &[uk])
}

/// Key of a transaction fence.
pub fn fence_key(kind: Fence, uk: &[u8]) -> Vec<u8> {
    let prefix = match kind {
        Fence::Hash => "!redis|txn-wide-hash|",
        Fence::Set => "!redis|txn-wide-set|",
        Fence::List => "!redis|txn-wide-list|",
        Fence::ZSet => "!redis|txn-wide-zset|",
    };
    joined(prefix, &[uk])
}

/// Key of a routing row.
pub fn route_key(uk: &[u8]) -> Vec<u8> {
    joined("!redis|route|", &[uk])
}

fn envelope(kind: u8, payload: &[u8], expiry: Option<u64>) -> Vec<u8> {
    let expiry_bytes = expiry.map(u64::to_be_bytes);
    let expiry_bytes = expiry_bytes.as_ref().map_or([].as_slice(), <[u8; 8]>::as_slice);
    [&[0xff, kind, u8::from(expiry.is_some())], expiry_bytes, payload].concat()
}

/// A string in its envelope (2.1).
pub fn string_value(value: &[u8], expiry: Option<u64>) -> Vec<u8> {
    envelope(1, value, expiry)
}

/// A HyperLogLog in its envelope (2.2); `set` is a [`set_blob`], which may also stand alone.
pub fn hll_value(set: &[u8], expiry: Option<u64>) -> Vec<u8> {
    envelope(2, set, expiry)
}

/// The value of a TTL row.
pub fn ttl_value(expiry: u64) -> Vec<u8> {
    expiry.to_be_bytes().to_vec()
}

/// The meta value of a hash, set or zset (2.3): short, or with `expiry` (0 = none) long.
pub fn count_meta(count: u64, expiry: Option<u64>) -> Vec<u8> {
    count.to_be_bytes().into_iter().chain(expiry.into_iter().flat_map(u64::to_be_bytes)).collect()
}

/// The value of a length delta of a hash, set or zset.
pub fn count_delta(length: i64) -> Vec<u8> {
    length.to_be_bytes().to_vec()
}

/// The value of a zset member row.
pub fn score(score: f64) -> Vec<u8> {
    score.to_be_bytes().to_vec()
}

/// The meta value of a list (2.4): short, or with `expiry` (0 = none) long.
pub fn list_meta(head: i64, tail: i64, length: u64, expiry: Option<u64>) -> Vec<u8> {
    [head.to_be_bytes().as_slice(), &tail.to_be_bytes(), &count_meta(length, expiry)].concat()
}

/// The value of a list delta.
pub fn list_delta(head: i64, length: i64) -> Vec<u8> {
    [head.to_be_bytes(), length.to_be_bytes()].concat()
}

/// The meta value of a stream (2.5); ids are (ms, seq). 24 bytes, with `expiry` 32, with `trimmed` 48;
/// the longest shape has room for an expiry in any case, and `None` puts 0 there.
pub fn stream_meta(
    length: u64,
    last: (u64, u64),
    expiry: Option<u64>,
    trimmed: Option<(u64, u64)>,
) -> Vec<u8> {
    let mut numbers = vec![length, last.0, last.1];
    numbers.extend(expiry.or(trimmed.map(|_| 0)));
    numbers.extend(trimmed.into_iter().flat_map(|(ms, seq)| [ms, seq]));
    numbers.into_iter().flat_map(u64::to_be_bytes).collect()
}

fn entry_message<F: AsRef<[u8]>>(id: &[u8], fields: &[F]) -> Vec<u8> {
    let mut out = Vec::new();
    bytes_field(&mut out, 1, id);
    fields.iter().for_each(|field| bytes_field(&mut out, 2, field.as_ref()));
    out
}

fn repeated(magic: &[u8; 4], messages: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Vec<u8> {
    let mut out = magic.to_vec();
    messages.into_iter().for_each(|message| bytes_field(&mut out, 1, message.as_ref()));
    out
}

/// The value of a stream entry row (2.6); `fields` is name, value, name, value …
pub fn stream_entry<F: AsRef<[u8]>>(id: &[u8], fields: &[F]) -> Vec<u8> {
    [b"\x00RXE\x01", entry_message(id, fields).as_slice()].concat()
}

/// A one-blob hash (2.7) of (field, value) pairs in this order.
pub fn hash_blob<K: AsRef<[u8]>, V: AsRef<[u8]>>(entries: impl IntoIterator<Item = (K, V)>) -> Vec<u8> {
    let messages = entries.into_iter().map(|(field, value)| {
        let mut message = Vec::new();
        bytes_field(&mut message, 1, field.as_ref());
        bytes_field(&mut message, 2, value.as_ref());
        message
    });
    repeated(b"\x00RH\x01", messages)
}

/// A one-blob set (2.7), also the payload of a HyperLogLog.
pub fn set_blob(members: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Vec<u8> {
    repeated(b"\x00RS\x01", members)
}

/// A one-blob zset (2.7) of (member, score) pairs in this order. As proto3 encoders do, it leaves an
/// empty member and a score of +0 out.
pub fn zset_blob<M: AsRef<[u8]>>(entries: impl IntoIterator<Item = (M, f64)>) -> Vec<u8> {
    let messages = entries.into_iter().map(|(member, score)| {
        let mut message = Vec::new();
        if !member.as_ref().is_empty() {
            bytes_field(&mut message, 1, member.as_ref());
        }
        if score.to_bits() != 0 {
            double_field(&mut message, 2, score);
        }
        message
    });
    repeated(b"\x00RZ\x01", messages)
}

/// A one-blob stream (2.7) of entries: id text and fields as in [`stream_entry`].
pub fn stream_blob<I: AsRef<[u8]>, F: AsRef<[u8]>>(
    entries: impl IntoIterator<Item = (I, Vec<F>)>,
) -> Vec<u8> {
    repeated(b"\x00RX\x01", entries.into_iter().map(|(id, fields)| entry_message(id.as_ref(), &fields)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_spelled_as_the_format_says() {
        let ts_seq = b"\0\0\0\0\0\0\0\x07\0\0\0\x09";
        let cases: [(Vec<u8>, &[u8]); 24] = [
            (string_key(b"u"), b"!redis|str|u"),
            (hll_key(b"u"), b"!redis|hll|u"),
            (ttl_key(b"u"), b"!redis|ttl|u"),
            (count_meta_key(Counted::Hash, b"u"), b"!hs|meta|\0\0\0\x01u"),
            (count_meta_key(Counted::Set, b"u"), b"!st|meta|\0\0\0\x01u"),
            (count_delta_key(Counted::ZSet, b"u", 7, 9), &[b"!zs|meta|d|\0\0\0\x01u", &ts_seq[..]].concat()),
            (element_key(Counted::Hash, b"u", b"f"), b"!hs|fld|\0\0\0\x01uf"),
            (element_key(Counted::Set, b"", b""), b"!st|mem|\0\0\0\0"),
            (element_key(Counted::ZSet, b"u", b"m"), b"!zs|mem|\0\0\0\x01um"),
            (score_key(b"u", 1.0, b"m"), b"!zs|scr|\0\0\0\x01u\x3f\xf0\0\0\0\0\0\0m"),
            (list_meta_key(b"u"), b"!lst|meta|u"),
            (list_item_key(b"u", 1), b"!lst|itm|u\x80\0\0\0\0\0\0\x01"),
            (list_item_key(b"u", -1), b"!lst|itm|u\x7f\xff\xff\xff\xff\xff\xff\xff"),
            (list_delta_key(b"u", 7, 9), &[b"!lst|meta|d|\0\0\0\x01u", &ts_seq[..]].concat()),
            (list_claim_key(b"u", 0), b"!lst|claim|\0\0\0\x01u\x80\0\0\0\0\0\0\0"),
            (stream_meta_key(b"u"), b"!stream|meta|\0\0\0\x01u"),
            (stream_entry_key(b"", 1, 2), b"!stream|entry|\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x02"),
            (blob_key(Blob::Hash, b"u"), b"!redis|hash|u"),
            (blob_key(Blob::Set, b"u"), b"!redis|set|u"),
            (blob_key(Blob::ZSet, b"u"), b"!redis|zset|u"),
            (blob_key(Blob::Stream, b"u"), b"!redis|stream|u"),
            (fence_key(Fence::Hash, b"u"), b"!redis|txn-wide-hash|u"),
            (fence_key(Fence::List, b"u"), b"!redis|txn-wide-list|u"),
            (route_key(b"u"), b"!redis|route|u"),
        ];
        for (made, expected) in cases {
            assert_eq!(made.escape_ascii().to_string(), expected.escape_ascii().to_string());
        }
    }

    #[test]
    fn envelopes_carry_their_expiry_behind_a_flag() {
        assert_eq!(string_value(b"v", None), b"\xff\x01\0v");
        assert_eq!(string_value(b"v", Some(3)), b"\xff\x01\x01\0\0\0\0\0\0\0\x03v");
        assert_eq!(hll_value(&set_blob(["m"]), None), b"\xff\x02\0\0RS\x01\x0a\x01m");
    }

    #[test]
    fn meta_values_have_the_lengths_the_format_tells_them_apart_by() {
        assert_eq!([None, Some(1)].map(|expiry| count_meta(1, expiry).len()), [8, 16]);
        assert_eq!([None, Some(1)].map(|expiry| list_meta(0, 1, 1, expiry).len()), [24, 32]);
        let stream = [(None, None), (Some(1), None), (None, Some((1, 2))), (Some(1), Some((1, 2)))];
        let lengths = stream.map(|(expiry, trimmed)| stream_meta(1, (1, 0), expiry, trimmed).len());
        assert_eq!(lengths, [24, 32, 48, 48]);
        assert_eq!((count_delta(-1).len(), list_delta(1, -1).len()), (8, 16));
    }

    #[test]
    fn collections_in_one_blob_are_a_magic_and_repeated_messages() {
        assert_eq!(hash_blob([("f", "v")]), b"\0RH\x01\x0a\x06\x0a\x01f\x12\x01v");
        assert_eq!(zset_blob([("m", 1.0)]), b"\0RZ\x01\x0a\x0c\x0a\x01m\x11\0\0\0\0\0\0\xf0\x3f");
        assert_eq!(zset_blob([("", 0.0)]), b"\0RZ\x01\x0a\0");
        assert_eq!(stream_blob([("1-0", vec!["n", "v"])]), b"\0RX\x01\x0a\x0b\x0a\x031-0\x12\x01n\x12\x01v");
        assert_eq!(stream_entry(b"1-0", &["n"]), b"\0RXE\x01\x0a\x031-0\x12\x01n");
    }
}
