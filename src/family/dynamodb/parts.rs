//! Items too long for memory: their attributes as rows of `dynamodb_part`, put there by one walk over the value. Strings
//! and bytes stay where they are. `document` writes the JSON from there. What is said of an item, and what becomes of
//! it, is what `item` gives for the same value.

mod document;

use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};

use rusqlite::types::FromSqlError;
use rusqlite::{Connection, OptionalExtension, Row};

use self::document::Writer;
use super::item::{MAGIC, MAX_DEPTH};
use super::key::{Key, KeyValue};
use super::malformed::Malformed;
use super::schema::Schema;
use super::walk::{self, Attribute, Type, Visit, WalkError};
use crate::dump::json::{self, Layout};
use crate::family::ExportError;
use crate::family::wire::{Span, Wire};
use crate::snapshot::Readable;
use crate::snapshot::limits::{INLINE_PAYLOAD_BYTES, MAX_KEY_BYTES};
use crate::staging::{Extent, LargeReader, LargeValues, StagingError};

/// Bytes read ahead of a walk.
const READ_AHEAD_BYTES: usize = 64 << 10;

/// An item in parts.
pub(super) struct Parts<'v, 'c> {
    connection: &'v Connection,
    large_values: &'v LargeValues<'c>,
    value: Extent,
    /// The container of its attributes.
    pub container: i64,
}

impl<'v, 'c> Parts<'v, 'c> {
    /// The item whose parts stand in the table already.
    pub fn of(
        connection: &'v Connection,
        large_values: &'v LargeValues<'c>,
        value: Extent,
        container: i64,
    ) -> Self {
        Self { connection, large_values, value, container }
    }

    /// Puts the parts of a value into the table; `next_container` is a number that no container has yet.
    ///
    /// # Errors
    /// The value or the table cannot be used; inside, the rule that the value breaks.
    pub fn take(
        connection: &'v Connection,
        large_values: &'v LargeValues<'c>,
        value: Extent,
        next_container: &mut i64,
    ) -> Result<Result<Self, Malformed>, StagingError> {
        let mut reader = BufReader::with_capacity(READ_AHEAD_BYTES, large_values.open(value)?);
        let start = MAGIC.len() as u64;
        reader.seek_relative(start.cast_signed()).map_err(StagingError::LargeValue)?;
        let mut wire = Wire::new(reader, start, value.length);
        let strings = Strings { reader: large_values.open(value)?, buffer: Vec::new() };
        let mut shredder = Shredder { connection, next_container, strings };
        match walk::walk(&mut wire, &mut shredder) {
            Ok(container) => Ok(Ok(Self { connection, large_values, value, container })),
            Err(WalkError::Malformed(rule) | WalkError::Visitor(Refused::Malformed(rule))) => Ok(Err(rule)),
            Err(WalkError::Io(error)) => Err(StagingError::LargeValue(error)),
            Err(WalkError::Visitor(Refused::Staging(error))) => Err(error),
        }
    }

    /// Does it hold an empty set? Found by looking at everything that is in it.
    ///
    /// # Errors
    /// Whatever SQLite says; inside, what a node refuses although it is protobuf.
    pub fn has_empty_set(&self) -> Result<Result<bool, Malformed>, StagingError> {
        let mut has_empty_set = false;
        Ok(self.check(self.container, 1, &mut has_empty_set)?.map(|()| has_empty_set))
    }

    fn check(
        &self,
        container: i64,
        depth: usize,
        has_empty_set: &mut bool,
    ) -> Result<Result<(), Malformed>, StagingError> {
        let mut query = self
            .connection
            .prepare_cached("SELECT type, start, length, elements FROM dynamodb_part WHERE container = ?")?;
        let mut rows = query.query([container])?;
        while let Some(row) = rows.next()? {
            if depth > MAX_DEPTH {
                return Ok(Err(Malformed::Depth));
            }
            let part = Part::of(row, 0)?;
            match part.of {
                None => return Ok(Err(Malformed::NoValue)),
                Some(Type::Null) if part.span.length == 0 => return Ok(Err(Malformed::NullFalse)),
                Some(Type::Ss | Type::Ns | Type::Bs) => {
                    *has_empty_set |= !self
                        .connection
                        .prepare_cached("SELECT 1 FROM dynamodb_part WHERE container = ?")?
                        .exists([part.elements])?;
                }
                Some(Type::L | Type::M) => {
                    if let Err(rule) = self.check(part.elements, depth + 1, has_empty_set)? {
                        return Ok(Err(rule));
                    }
                }
                Some(Type::S | Type::N | Type::B | Type::Bool | Type::Null) => {}
            }
        }
        Ok(Ok(()))
    }

    /// Its key attributes.
    ///
    /// # Errors
    /// The value cannot be read; inside, that one is not there, of a type that cannot be a key, or longer than any.
    pub fn key(&self, schema: &Schema) -> Result<Result<OwnedKey, Malformed>, StagingError> {
        let hash = match self.key_value(schema.hash_key())? {
            Ok(hash) => hash,
            Err(rule) => return Ok(Err(rule)),
        };
        let range = match schema.range_key().map(|name| self.key_value(name)).transpose()? {
            Some(Ok(range)) => Some(range),
            Some(Err(rule)) => return Ok(Err(rule)),
            None => None,
        };
        Ok(Ok(OwnedKey { hash, range }))
    }

    fn key_value(&self, name: &str) -> Result<Result<OwnedKeyValue, Malformed>, StagingError> {
        let shown = || Readable(name.as_bytes()).to_string();
        let part = self
            .connection
            .prepare_cached(
                "SELECT type, start, length, elements FROM dynamodb_part WHERE container = ? AND key = ?",
            )?
            .query_row((self.container, name.as_bytes()), |row| Part::of(row, 0))
            .optional()?;
        let Some(Part { of: Some(of), span, .. }) = part else {
            return Ok(Err(Malformed::NoKeyAttribute(shown())));
        };
        if !matches!(of, Type::S | Type::N | Type::B) {
            return Ok(Err(Malformed::KeyAttributeType(shown())));
        }
        if span.length > MAX_KEY_BYTES {
            let (what, bytes, limit) = ("a key attribute", span.length, MAX_KEY_BYTES);
            return Ok(Err(Malformed::TooLong { what, bytes, limit }));
        }
        let mut bytes = Vec::new();
        let reader = self.large_values.open(self.value.slice(span.start, span.length))?;
        reader.take(span.length).read_to_end(&mut bytes).map_err(StagingError::LargeValue)?;
        if of == Type::B {
            return Ok(Ok(OwnedKeyValue::B(bytes)));
        }
        // It was UTF-8 when the parts were taken.
        let text = String::from_utf8(bytes).map_err(io::Error::other).map_err(StagingError::LargeValue)?;
        Ok(Ok(if of == Type::N { OwnedKeyValue::N(text) } else { OwnedKeyValue::S(text) }))
    }

    /// Writes the document of the item: indented for a file of its own, compact for a line.
    ///
    /// # Errors
    /// The value cannot be read, or is not the same any more; those of `out`.
    pub fn write(&self, layout: Layout, out: &mut impl Write) -> Result<(), ExportError> {
        let reader = self.large_values.open(self.value)?;
        let strings = Strings { reader, buffer: Vec::new() };
        Writer::new(self.connection, strings, layout, out).members(self.container)
    }
}

/// A key that is not borrowed from an item in memory.
pub(super) struct OwnedKey {
    hash: OwnedKeyValue,
    range: Option<OwnedKeyValue>,
}

enum OwnedKeyValue {
    S(String),
    N(String),
    B(Vec<u8>),
}

impl OwnedKey {
    /// The key.
    pub fn get(&self) -> Key<'_> {
        Key { hash: self.hash.get(), range: self.range.as_ref().map(OwnedKeyValue::get) }
    }
}

impl OwnedKeyValue {
    fn get(&self) -> KeyValue<'_> {
        match self {
            Self::S(text) => KeyValue::S(text),
            Self::N(text) => KeyValue::N(text),
            Self::B(bytes) => KeyValue::B(bytes),
        }
    }
}

/// One row of the table.
struct Part {
    of: Option<Type>,
    span: Span,
    elements: i64,
}

impl Part {
    /// From the columns type, start, length and elements, of which the first is number `first`.
    fn of(row: &Row<'_>, first: usize) -> rusqlite::Result<Self> {
        let of = match row.get_ref(first)?.as_str_or_null()? {
            None => None,
            Some(name) => Some(Type::from_name(name).ok_or(FromSqlError::InvalidType)?),
        };
        let number = |column| row.get::<_, i64>(first + column).map(i64::cast_unsigned);
        Ok(Self { of, span: Span { start: number(1)?, length: number(2)? }, elements: row.get(first + 3)? })
    }
}

/// The strings of a value, by their spans. One reader serves all, since it remembers where it is.
struct Strings<'c> {
    reader: LargeReader<'c>,
    buffer: Vec<u8>,
}

impl<'c> Strings<'c> {
    fn open(&mut self, span: Span) -> io::Result<io::Take<&mut LargeReader<'c>>> {
        self.reader.seek(SeekFrom::Start(span.start))?;
        Ok((&mut self.reader).take(span.length))
    }

    fn read(&mut self, span: Span) -> io::Result<&[u8]> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        let result = self.open(span).and_then(|mut reader| reader.read_to_end(&mut buffer));
        self.buffer = buffer;
        match result? as u64 {
            length if length == span.length => Ok(&self.buffer),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    fn is_short(span: Span) -> bool {
        span.length <= INLINE_PAYLOAD_BYTES as u64
    }
}

enum Refused {
    Malformed(Malformed),
    Staging(StagingError),
}

impl<E: Into<StagingError>> From<E> for Refused {
    fn from(error: E) -> Self {
        Self::Staging(error.into())
    }
}

/// Puts what a walk finds into the table.
struct Shredder<'s, 'c> {
    connection: &'s Connection,
    next_container: &'s mut i64,
    strings: Strings<'c>,
}

impl Visit for Shredder<'_, '_> {
    type Error = Refused;

    fn container(&mut self) -> i64 {
        let container = *self.next_container;
        *self.next_container += 1;
        container
    }

    fn is_utf8(&mut self, text: Span) -> Result<bool, Refused> {
        let is_utf8 = if Strings::is_short(text) {
            self.strings.read(text).map(|bytes| str::from_utf8(bytes).is_ok())
        } else {
            self.strings.open(text).and_then(json::is_utf8)
        };
        Ok(is_utf8.map_err(StagingError::LargeValue)?)
    }

    fn member(&mut self, container: i64, name: Span, attribute: &Attribute) -> Result<(), Refused> {
        if name.length > MAX_KEY_BYTES {
            let (what, bytes, limit) = ("the name of an attribute", name.length, MAX_KEY_BYTES);
            return Err(Refused::Malformed(Malformed::TooLong { what, bytes, limit }));
        }
        let name = self.strings.read(name).map_err(StagingError::LargeValue)?;
        Ok(insert(self.connection, container, name, attribute)?)
    }

    fn element(&mut self, container: i64, ordinal: u64, attribute: &Attribute) -> Result<(), Refused> {
        Ok(insert(self.connection, container, ordinal.cast_signed(), attribute)?)
    }
}

fn insert(
    connection: &Connection,
    container: i64,
    key: impl rusqlite::ToSql,
    attribute: &Attribute,
) -> rusqlite::Result<()> {
    let Attribute { of, span, flag, container: elements, .. } = attribute;
    let length = if *flag { 1 } else { span.length.cast_signed() };
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO dynamodb_part (container, key, type, start, length, elements) \
             VALUES (?, ?, ?, ?, ?, ?)",
        )?
        .execute((container, key, of.map(Type::name), span.start.cast_signed(), length, elements))?;
    Ok(())
}

#[cfg(test)]
mod tests;
