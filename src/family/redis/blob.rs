//! Collections in one value, of the older layout, and the set blob of a HyperLogLog: a magic and a protobuf message
//! (`docs/format/redis.md` sections 2.2 and 2.7). Walked, never collected: elements are reported as spans of the
//! value. Leaves stream entries to `entry`.

use super::entry::{self, EntryError};
use super::rows::{Malformed, Type};
use crate::family::wire::{Content, Source, Span, Wire, WireError};

/// Bytes of every magic.
pub const MAGIC_BYTES: usize = 4;

/// One element of a one-blob collection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Element {
    /// A hash field.
    Field {
        /// Where its name lies.
        name: Span,
        /// Where its value lies.
        value: Span,
    },
    /// A set member.
    Member(Span),
    /// A sorted set member.
    Scored {
        /// Where the member lies.
        member: Span,
        /// Its score.
        score: f64,
    },
    /// A stream entry.
    Entry {
        /// Where its id lies, as text.
        id: Span,
        /// The message that holds it.
        message: Span,
    },
}

/// Why a walk ended early.
#[derive(Debug)]
pub enum BlobError<E> {
    /// The value breaks a rule.
    Malformed(Malformed),
    /// The value could not be read.
    Io(std::io::Error),
    /// The visitor stopped it.
    Visitor(E),
}

/// The magic and the name of a one-blob collection; lists never had one.
fn magic(of: Type) -> ([u8; MAGIC_BYTES], &'static str) {
    match of {
        Type::Hash => (*b"\0RH\x01", "one-blob hash"),
        Type::Set => (*b"\0RS\x01", "one-blob set"),
        Type::Zset => (*b"\0RZ\x01", "one-blob zset"),
        Type::Stream | Type::List => (*b"\0RX\x01", "one-blob stream"),
    }
}

/// Walks the elements of a one-blob collection of `length` bytes in the order in which they are stored. An empty
/// value is an empty collection.
///
/// # Errors
/// The rule that the value breaks, a failed read, or what the visitor says.
pub fn walk<S: Source, E>(
    of: Type,
    mut source: S,
    length: u64,
    mut visit: impl FnMut(Element) -> Result<(), E>,
) -> Result<(), BlobError<E>> {
    let (magic, name) = magic(of);
    if length == 0 {
        return Ok(());
    }
    let mut found = [0; MAGIC_BYTES];
    if length < MAGIC_BYTES as u64 {
        return Err(BlobError::Malformed(Malformed::Magic(name)));
    }
    source.read_exact(&mut found).map_err(BlobError::Io)?;
    if found != magic {
        return Err(BlobError::Malformed(Malformed::Magic(name)));
    }
    let broken = |error| match error {
        WireError::Malformed => BlobError::Malformed(Malformed::Protobuf(name)),
        WireError::Io(error) => BlobError::Io(error),
    };
    let mut wire = Wire::new(source, MAGIC_BYTES as u64, length);
    while let Some((number, content)) = wire.field().map_err(broken)? {
        let Content::Delimited(bytes) = content else { continue };
        let element = match (number, of) {
            (1, Type::Hash) => wire.message(bytes, field).map_err(broken)?,
            (1, Type::Set) => Element::Member(wire.string(bytes).map_err(broken)?),
            (1, Type::Zset) => wire.message(bytes, scored).map_err(broken)?,
            (1, Type::Stream) => stream_entry(&mut wire, bytes).map_err(|error| match error {
                EntryError::Malformed(rule) => BlobError::Malformed(rule),
                EntryError::Io(error) => BlobError::Io(error),
            })?,
            _ => {
                wire.string(bytes).map_err(broken)?;
                continue;
            }
        };
        visit(element).map_err(BlobError::Visitor)?;
    }
    Ok(())
}

/// A map entry `{1: key, 2: value}`; an absent string is empty, of one given twice the last counts.
fn field<S: Source>(wire: &mut Wire<S>) -> Result<Element, WireError> {
    let (mut name, mut value) = Default::default();
    while let Some((number, content)) = wire.field()? {
        if let Content::Delimited(bytes) = content {
            let span = wire.string(bytes)?;
            match number {
                1 => name = span,
                2 => value = span,
                _ => {}
            }
        }
    }
    Ok(Element::Field { name, value })
}

/// `{1: member, 2: score}`; an absent score is 0.
fn scored<S: Source>(wire: &mut Wire<S>) -> Result<Element, WireError> {
    let (mut member, mut score) = (Span::default(), 0.0);
    while let Some((number, content)) = wire.field()? {
        match (number, content) {
            (_, Content::Delimited(bytes)) => {
                let span = wire.string(bytes)?;
                if number == 1 {
                    member = span;
                }
            }
            (2, Content::Fixed64(bits)) => score = f64::from_bits(bits),
            _ => {}
        }
    }
    Ok(Element::Scored { member, score })
}

fn stream_entry<S: Source>(wire: &mut Wire<S>, bytes: u64) -> Result<Element, EntryError> {
    let start = wire.position();
    let id = wire.message(bytes, |wire| entry::walk(wire, |_| Ok(())))?;
    Ok(Element::Entry { id, message: Span { start, length: bytes } })
}

/// The id text of a one-blob stream's entry: two decimal u64.
pub fn parse_id(text: &[u8]) -> Option<(u64, u64)> {
    let decimal = |digits: &str| {
        let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| digits.parse().ok())?
    };
    let (ms, seq) = str::from_utf8(text).ok()?.split_once('-')?;
    Some((decimal(ms)?, decimal(seq)?))
}

#[cfg(test)]
mod tests;
