//! The protobuf wire format over a stream: fields are walked, strings are passed over and reported as spans, so a
//! value of any length is walked in constant memory. Knows no message; the families do.

use std::io::{self, BufReader, Read, Seek};

/// Bytes that can be read or passed over.
pub trait Source: Read {
    /// Moves past `n` bytes.
    ///
    /// # Errors
    /// Whatever reading would say; not the end of the bytes, which `Wire` watches itself.
    fn skip(&mut self, n: u64) -> io::Result<()>;
}

impl Source for &[u8] {
    fn skip(&mut self, n: u64) -> io::Result<()> {
        *self = usize::try_from(n).ok().and_then(|n| self.get(n..)).unwrap_or_default();
        Ok(())
    }
}

impl<R: Read + Seek> Source for BufReader<R> {
    fn skip(&mut self, n: u64) -> io::Result<()> {
        self.seek_relative(i64::try_from(n).map_err(|_| io::ErrorKind::InvalidInput)?)
    }
}

/// Why a walk ended early.
#[derive(Debug)]
pub enum WireError {
    /// The bytes are no protobuf.
    Malformed,
    /// They could not be read.
    Io(io::Error),
}

impl From<io::Error> for WireError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A stretch of the walked value, in bytes from its beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: u64,
    /// Number of bytes.
    pub length: u64,
}

impl Span {
    /// Its bytes, of a walked value that is in memory.
    pub fn of(self, value: &[u8]) -> &[u8] {
        usize::try_from(self.start)
            .ok()
            .zip(usize::try_from(self.length).ok())
            .and_then(|(start, length)| value.get(start..start.checked_add(length)?))
            .unwrap_or_default()
    }
}

/// The content of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// A length-delimited field; its bytes come next.
    Delimited(u64),
    /// A variable-length number: an integer, a boolean.
    Varint(u64),
    /// A 64-bit field.
    Fixed64(u64),
    /// Anything else; already passed over.
    Other,
}

/// Deepest nesting of (deprecated) groups that is passed over.
const DEEPEST_GROUP: usize = 32;

/// A walk over one value.
pub struct Wire<S> {
    source: S,
    position: u64,
    /// Where the message being walked ends.
    end: u64,
}

impl<S: Source> Wire<S> {
    /// Begins a walk over `source`, which holds the bytes from `start` to `end` of a value.
    pub fn new(source: S, start: u64, end: u64) -> Self {
        Self { source, position: start, end }
    }

    /// Where the walk stands, in bytes from the beginning of the value.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The next field of the message, or `None` at its end. A length-delimited field has to be taken by
    /// [`Self::string`] or [`Self::message`] before the next call.
    ///
    /// # Errors
    /// The bytes are no protobuf.
    pub fn field(&mut self) -> Result<Option<(u64, Content)>, WireError> {
        if self.position == self.end {
            return Ok(None);
        }
        let tag = self.varint()?;
        let number = tag >> 3;
        if number == 0 || number > (1 << 29) - 1 {
            return Err(WireError::Malformed);
        }
        let content = self.content(number, tag & 7, 0)?;
        Ok(Some((number, content)))
    }

    /// Passes over the length-delimited content just announced.
    ///
    /// # Errors
    /// The bytes could not be read.
    pub fn string(&mut self, length: u64) -> Result<Span, WireError> {
        let span = Span { start: self.position, length };
        self.source.skip(length)?;
        self.position += length;
        Ok(span)
    }

    /// Walks the message just announced.
    ///
    /// # Errors
    /// Whatever `walk` says; a message that does not end with its bytes.
    pub fn message<T, E: From<WireError>>(
        &mut self,
        length: u64,
        walk: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        let outer = std::mem::replace(&mut self.end, self.position + length);
        let result = walk(self)?;
        self.end = outer;
        Ok(result)
    }

    fn content(&mut self, number: u64, wire_type: u64, depth: usize) -> Result<Content, WireError> {
        match wire_type {
            0 => self.varint().map(Content::Varint),
            1 => Ok(Content::Fixed64(u64::from_le_bytes(self.take()?))),
            2 => {
                let length = self.varint()?;
                if length > self.end - self.position {
                    return Err(WireError::Malformed);
                }
                Ok(Content::Delimited(length))
            }
            3 if depth < DEEPEST_GROUP => self.group(number, depth + 1).map(|()| Content::Other),
            5 => self.take::<4>().map(|_| Content::Other),
            _ => Err(WireError::Malformed),
        }
    }

    fn group(&mut self, number: u64, depth: usize) -> Result<(), WireError> {
        loop {
            let tag = self.varint()?;
            match (tag >> 3, tag & 7) {
                (ended, 4) if ended == number => return Ok(()),
                (0, _) | (_, 4) => return Err(WireError::Malformed),
                (inner, wire_type) => {
                    if let Content::Delimited(length) = self.content(inner, wire_type, depth)? {
                        self.string(length)?;
                    }
                }
            }
        }
    }

    fn varint(&mut self) -> Result<u64, WireError> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let [byte] = self.take()?;
            value |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                // The tenth byte has room for one bit.
                return if shift == 63 && byte > 1 { Err(WireError::Malformed) } else { Ok(value) };
            }
        }
        Err(WireError::Malformed)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        if (N as u64) > self.end - self.position {
            return Err(WireError::Malformed);
        }
        let mut bytes = [0; N];
        self.source.read_exact(&mut bytes)?;
        self.position += N as u64;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests;
