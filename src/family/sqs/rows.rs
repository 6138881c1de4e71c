//! SQS rows: from the bytes of a key to a typed record (`docs/format/sqs.md` section 1), and the small values of
//! section 2.3. Pure functions over byte slices: no database, no files. Queues and messages, whose values are JSON, are
//! left to `queue` and `message`; which rows count is left to the SQL of the views.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// A family of rows that only help to find others, in the order of their keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum SideFamily {
    /// `msg|byage`: messages by send time.
    ByAge,
    /// `msg|dedup`: the send window of FIFO queues.
    Dedup,
    /// `msg|group`: locks on FIFO groups in flight.
    Group,
    /// `msg|vis`: messages by the time at which they become visible.
    Vis,
    /// `queue|seq`: the FIFO sequence number issued last.
    Seq,
    /// `queue|tombstone`: a generation that waits for the reaper.
    Tombstone,
}

impl SideFamily {
    /// All of them, in the order of their keys.
    pub const ALL: [Self; 6] = [Self::ByAge, Self::Dedup, Self::Group, Self::Vis, Self::Seq, Self::Tombstone];

    /// How classic keys begin; the keys of partitioned queues go on with `p|`.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::ByAge => "!sqs|msg|byage|",
            Self::Dedup => "!sqs|msg|dedup|",
            Self::Group => "!sqs|msg|group|",
            Self::Vis => "!sqs|msg|vis|",
            Self::Seq => "!sqs|queue|seq|",
            Self::Tombstone => "!sqs|queue|tombstone|",
        }
    }

    /// How its rows are called in messages.
    pub fn kind(self) -> &'static str {
        match self {
            Self::ByAge => "byage row",
            Self::Dedup => "dedup row",
            Self::Group => "group row",
            Self::Vis => "vis row",
            Self::Seq => "seq row",
            Self::Tombstone => "tombstone",
        }
    }
}

/// One row's key, taken apart. `segment` is always the base64url text of a queue's name ([`text_of`] undoes it).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record<'a> {
    /// `queue|meta`: the queue exists. The segment may be empty.
    Queue {
        /// The queue.
        segment: &'a [u8],
    },
    /// `queue|gen`: the generation issued last.
    Generation {
        /// The queue.
        segment: &'a [u8],
    },
    /// `queue|seq`.
    Sequence {
        /// The queue.
        segment: &'a [u8],
    },
    /// `queue|tombstone`.
    Tombstone {
        /// The queue.
        segment: &'a [u8],
        /// The generation given up.
        generation: u64,
    },
    /// `msg|data`.
    Message {
        /// Whose it is.
        partition: Partition<'a>,
        /// base64url text of the message id, not empty.
        message: &'a [u8],
    },
    /// `msg|vis`, `msg|byage`, `msg|dedup`, `msg|group`.
    Side {
        /// Which of them.
        family: SideFamily,
        /// Whose it is.
        partition: Partition<'a>,
        /// Unix ms in the key of an index row, 0 in the others.
        time_ms: u64,
        /// The rest of the key, unchecked.
        rest: &'a [u8],
    },
    /// Of no known family; nodes do not write such rows.
    Unknown,
}

/// What the keys of messages begin with: their queue, one generation of it, and the partition if it has any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partition<'a> {
    /// The queue.
    pub segment: &'a [u8],
    /// Its number; `None` in classic keys.
    pub number: Option<u32>,
    /// The generation.
    pub generation: u64,
    /// The bytes of the key that say all this: the same in every family.
    pub prefix: &'a [u8],
}

/// The rules of `docs/format/sqs.md` that a key, or a value without JSON, can break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// Section 1: the name of the queue.
    #[error("the queue in the key of the {0} is not written in base64url without padding")]
    Queue(&'static str),
    /// Section 1: fixed-width fields that are cut short, or no message id.
    #[error("the row key does not have the layout of a {0}")]
    KeyLayout(&'static str),
    /// Section 1: the message id.
    #[error("the message id in the key is not written in base64url without padding")]
    MessageId,
    /// Section 2.3: a generation or sequence number.
    #[error("the value of the {0} is not a decimal number of 64 bits")]
    Counter(&'static str),
}

/// Takes the key of a visible row apart.
///
/// # Errors
/// The rule that the key breaks.
pub fn decode(user_key: &[u8]) -> Result<Record<'_>, Malformed> {
    let Some(rest) = user_key.strip_prefix(b"!sqs|") else { return Ok(Record::Unknown) };
    if let Some(rest) = rest.strip_prefix(b"msg|") {
        return decode_message(rest);
    }
    let Some(rest) = rest.strip_prefix(b"queue|") else { return Ok(Record::Unknown) };
    if let Some(segment) = rest.strip_prefix(b"meta|") {
        return match is_base64url(segment) {
            true => Ok(Record::Queue { segment }),
            false => Err(Malformed::Queue("queue meta")),
        };
    }
    if let Some(segment) = rest.strip_prefix(b"gen|") {
        return Ok(Record::Generation { segment: named(segment, "gen row")? });
    }
    if let Some(segment) = rest.strip_prefix(b"seq|") {
        return Ok(Record::Sequence { segment: named(segment, "seq row")? });
    }
    if let Some(rest) = rest.strip_prefix(b"tombstone|") {
        let (segment, generation) = rest.split_last_chunk().ok_or(Malformed::KeyLayout("tombstone"))?;
        let segment = named(segment, "tombstone")?;
        return Ok(Record::Tombstone { segment, generation: u64::from_be_bytes(*generation) });
    }
    Ok(Record::Unknown)
}

fn decode_message(rest: &[u8]) -> Result<Record<'_>, Malformed> {
    if let Some(rest) = rest.strip_prefix(b"data|") {
        let (partition, message) = partition(rest, "message")?;
        return match message {
            b"" => Err(Malformed::KeyLayout("message")),
            message if is_base64url(message) => Ok(Record::Message { partition, message }),
            _ => Err(Malformed::MessageId),
        };
    }
    let families: [(&[u8], SideFamily); 4] = [
        (b"vis|", SideFamily::Vis),
        (b"byage|", SideFamily::ByAge),
        (b"dedup|", SideFamily::Dedup),
        (b"group|", SideFamily::Group),
    ];
    for (prefix, family) in families {
        if let Some(rest) = rest.strip_prefix(prefix) {
            let (partition, rest) = partition(rest, family.kind())?;
            let is_index = matches!(family, SideFamily::Vis | SideFamily::ByAge);
            let (time_ms, rest) =
                if is_index { be64(rest).ok_or(Malformed::KeyLayout(family.kind()))? } else { (0, rest) };
            return Ok(Record::Side { family, partition, time_ms, rest });
        }
    }
    Ok(Record::Unknown)
}

/// What the keys of both keyspaces begin with after their family, and the rest.
fn partition<'a>(key: &'a [u8], kind: &'static str) -> Result<(Partition<'a>, &'a [u8]), Malformed> {
    let layout = Malformed::KeyLayout(kind);
    let (segment, number, rest) = match key.strip_prefix(b"p|") {
        // No classic key begins so: `p` alone is not a whole base64 text.
        Some(rest) => {
            let end = rest.iter().position(|&byte| byte == b'|').ok_or(layout)?;
            let (segment, rest) = rest.split_at(end);
            let (number, rest) = rest[1..].split_first_chunk().ok_or(layout)?;
            (segment, Some(u32::from_be_bytes(*number)), rest)
        }
        // A generation begins with a zero byte, which no base64 text holds.
        None => {
            let end = key.iter().position(|&byte| !is_digit(byte)).unwrap_or(key.len());
            let (segment, rest) = key.split_at(end);
            (segment, None, rest)
        }
    };
    let segment = named(segment, kind)?;
    let (generation, rest) = be64(rest).ok_or(layout)?;
    let prefix = &key[..key.len() - rest.len()];
    Ok((Partition { segment, number, generation, prefix }, rest))
}

/// A segment that names a queue.
fn named<'a>(segment: &'a [u8], kind: &'static str) -> Result<&'a [u8], Malformed> {
    if !segment.is_empty() && is_base64url(segment) { Ok(segment) } else { Err(Malformed::Queue(kind)) }
}

fn is_digit(byte: u8) -> bool {
    matches!(byte, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_')
}

/// Is it base64url without padding, as encoders write it: with no bit set that belongs to no byte?
fn is_base64url(text: &[u8]) -> bool {
    // Whole groups of four digits have no spare bits.
    let (_, last) = text.split_at(text.len() - text.len() % 4);
    text.iter().all(|&byte| is_digit(byte)) && URL_SAFE_NO_PAD.decode_slice(last, &mut [0; 3]).is_ok()
}

/// The bytes that a segment of a key stands for.
pub fn text_of(segment: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    push_text_of(segment, &mut bytes);
    bytes
}

/// Appends the bytes that a segment of a key stands for; `decode` has made sure that it stands for some.
pub fn push_text_of(segment: &[u8], out: &mut Vec<u8>) {
    let decoded = URL_SAFE_NO_PAD.decode_vec(segment, out);
    debug_assert!(decoded.is_ok(), "a segment that was not checked");
}

/// The number of a generation or sequence row (section 2.3).
///
/// # Errors
/// The value is no decimal number, or one of more than 64 bits. White space around it is passed over.
pub fn counter(value: &[u8], kind: &'static str) -> Result<u64, Malformed> {
    str::from_utf8(value)
        .ok()
        .map(str::trim)
        .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|digits| digits.parse().ok())
        .ok_or(Malformed::Counter(kind))
}

/// How many partitions the generation of a tombstone had (section 2.3): 1 for whatever is not a number from 1 to 32.
pub fn tombstone_partitions(value: &[u8]) -> u64 {
    let partitions = value.try_into().map_or(1, u64::from_be_bytes);
    if (1..=32).contains(&partitions) { partitions } else { 1 }
}

fn be64(bytes: &[u8]) -> Option<(u64, &[u8])> {
    bytes.split_first_chunk().map(|(field, rest)| (u64::from_be_bytes(*field), rest))
}

#[cfg(test)]
mod tests;
