//! Stream entries: protobuf `{1: id, 2: repeated name, value, …}` (`docs/format/redis.md` section 2.6), and the JSON
//! that they become (`docs/format/dump.md` section 3). The JSON is made once, when the entry is staged, so that SQL
//! can look into it; only an entry too long to be staged is walked again for the dump.

use std::io::{self, Write};

use super::rows::Malformed;
use crate::dump::json::{Layout, Markup, push_value};
use crate::family::wire::{Content, Source, Span, Wire, WireError};

/// The magic of an entry row's value.
pub const MAGIC: &[u8] = b"\0RXE\x01";

const NAME: &str = "stream entry";

/// Why an entry could not be walked.
#[derive(Debug)]
pub enum EntryError {
    /// It breaks a rule; that of protobuf, too.
    Malformed(Malformed),
    /// It could not be read, or what was made of it not written.
    Io(io::Error),
}

impl From<WireError> for EntryError {
    fn from(error: WireError) -> Self {
        match error {
            WireError::Malformed => Self::Malformed(Malformed::Protobuf(NAME)),
            WireError::Io(error) => Self::Io(error),
        }
    }
}

impl From<io::Error> for EntryError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Walks the message, hands every string of its fields to `visit`, and returns where the id lies.
///
/// # Errors
/// No protobuf; an odd number of fields; whatever reading or `visit` says.
pub fn walk<S: Source>(
    wire: &mut Wire<S>,
    mut visit: impl FnMut(Span) -> io::Result<()>,
) -> Result<Span, EntryError> {
    let (mut id, mut strings) = (Span::default(), 0u64);
    while let Some((number, content)) = wire.field()? {
        if let Content::Delimited(bytes) = content {
            let span = wire.string(bytes)?;
            match number {
                1 => id = span,
                2 => {
                    visit(span)?;
                    strings += 1;
                }
                _ => {}
            }
        }
    }
    if strings % 2 == 1 { Err(EntryError::Malformed(Malformed::OddFields)) } else { Ok(id) }
}

/// Writes the fields as `[{"name":…,"value":…},…]`. `write_string` writes the string at a span as JSON.
///
/// # Errors
/// As [`walk`]; whatever writing says.
pub fn write_fields<S: Source, W: Write>(
    wire: &mut Wire<S>,
    out: &mut W,
    mut write_string: impl FnMut(Span, &mut W) -> io::Result<()>,
) -> Result<(), EntryError> {
    let mut strings = 0u64;
    out.write_all(b"[")?;
    walk(wire, |span| {
        let before: &[u8] = match (strings, strings % 2) {
            (0, _) => b"{\"name\":",
            (_, 0) => b",{\"name\":",
            _ => b",\"value\":",
        };
        out.write_all(before)?;
        write_string(span, out)?;
        strings += 1;
        if strings.is_multiple_of(2) { out.write_all(b"}") } else { Ok(()) }
    })?;
    Ok(out.write_all(b"]")?)
}

/// The JSON of the fields of an entry that is in memory, appended to `out`.
///
/// # Errors
/// As [`walk`].
pub fn push_fields(message: &[u8], out: &mut Vec<u8>) -> Result<(), EntryError> {
    let mut wire = Wire::new(message, 0, message.len() as u64);
    write_fields(&mut wire, out, |span, out| {
        push_value(span.of(message), Layout::Compact, Markup::Escape, out);
        Ok(())
    })
}

#[cfg(test)]
mod tests;
