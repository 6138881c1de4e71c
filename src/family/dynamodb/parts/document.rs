//! The JSON of an item in parts, in constant memory: SQL gives members and elements in their order, strings are copied
//! from the value. The bytes are those of `Item::push_document`.

use std::io::{self, Write};

use base64::engine::general_purpose::STANDARD;
use base64::write::EncoderWriter;
use rusqlite::types::FromSqlError;
use rusqlite::{Connection, Row};

use super::{Part, Strings};
use crate::dump::json::{Layout, Markup, push_string, write_line_break, write_value_from};
use crate::family::ExportError;
use crate::family::dynamodb::walk::Type;
use crate::family::wire::Span;
use crate::staging::column;

/// Writes JSON from the table.
pub(super) struct Writer<'w, 'c, W> {
    connection: &'w Connection,
    strings: Strings<'c>,
    /// Steps of indentation of the line that is being written; `None` for a compact document.
    depth: Option<usize>,
    out: &'w mut W,
}

impl<'w, 'c, W: Write> Writer<'w, 'c, W> {
    pub fn new(connection: &'w Connection, strings: Strings<'c>, layout: Layout, out: &'w mut W) -> Self {
        let depth = match layout {
            Layout::Compact => None,
            Layout::Indented(depth) => Some(depth),
        };
        Self { connection, strings, depth, out }
    }

    /// An object: the members of a map, by the bytes of their names.
    pub fn members(&mut self, container: i64) -> Result<(), ExportError> {
        self.each(container, b"{", b"}", |writer, row| {
            let name = column::blob(row, 0)?;
            // It was UTF-8 when the parts were taken.
            let name = str::from_utf8(name).map_err(|_| rusqlite::Error::from(FromSqlError::InvalidType))?;
            writer.name(name)?;
            writer.attribute(&Part::of(row, 1)?)
        })
    }

    /// A type and its value.
    fn attribute(&mut self, part: &Part) -> Result<(), ExportError> {
        let of = part.of.ok_or(rusqlite::Error::from(FromSqlError::InvalidType))?;
        self.begin(b"{")?;
        self.line_break()?;
        self.name(of.name())?;
        match of {
            Type::S | Type::N | Type::B => self.string(of, part.span)?,
            Type::Bool | Type::Null => {
                self.put(if part.span.length == 0 { b"false" } else { b"true" })?;
            }
            Type::Ss | Type::Ns | Type::Bs => self.each(part.elements, b"[", b"]", |writer, row| {
                let Part { of, span, .. } = Part::of(row, 1)?;
                writer.string(of.unwrap_or(Type::B), span)
            })?,
            Type::L => {
                self.each(part.elements, b"[", b"]", |writer, row| writer.attribute(&Part::of(row, 1)?))?
            }
            Type::M => self.members(part.elements)?,
        }
        self.end(b"}", false)
    }

    /// What a container holds, between brackets.
    fn each(
        &mut self,
        container: i64,
        opening: &[u8],
        closing: &[u8],
        mut write: impl FnMut(&mut Self, &Row<'_>) -> Result<(), ExportError>,
    ) -> Result<(), ExportError> {
        let mut query = self.connection.prepare_cached(
            "SELECT key, type, start, length, elements FROM dynamodb_part WHERE container = ? ORDER BY key",
        )?;
        let mut rows = query.query([container])?;
        self.begin(opening)?;
        let mut is_empty = true;
        while let Some(row) = rows.next()? {
            if !is_empty {
                self.put(b",")?;
            }
            is_empty = false;
            self.line_break()?;
            write(self, row)?;
        }
        self.end(closing, is_empty)
    }

    fn string(&mut self, of: Type, span: Span) -> Result<(), ExportError> {
        let Self { strings, out, .. } = self;
        let mut write = || -> io::Result<()> {
            if of == Type::B {
                out.write_all(b"\"")?;
                let mut encoder = EncoderWriter::new(&mut **out, &STANDARD);
                io::copy(&mut strings.open(span)?, &mut encoder)?;
                encoder.finish()?;
                drop(encoder);
                return out.write_all(b"\"");
            }
            if !Strings::is_short(span) {
                return write_value_from(strings.open(span)?, true, Layout::Compact, Markup::Escape, *out);
            }
            let text = str::from_utf8(strings.read(span)?).map_err(io::Error::other)?;
            let mut quoted = Vec::new();
            push_string(text, Markup::Escape, &mut quoted);
            out.write_all(&quoted)
        };
        write().map_err(ExportError::LargeValue)
    }

    fn name(&mut self, name: &str) -> Result<(), ExportError> {
        let mut quoted = Vec::new();
        push_string(name, Markup::Escape, &mut quoted);
        quoted.extend_from_slice(if self.depth.is_some() { b": " } else { b":" });
        self.put(&quoted)
    }

    fn begin(&mut self, bracket: &[u8]) -> Result<(), ExportError> {
        self.depth = self.depth.map(|depth| depth + 1);
        self.put(bracket)
    }

    fn end(&mut self, bracket: &[u8], is_empty: bool) -> Result<(), ExportError> {
        self.depth = self.depth.map(|depth| depth - 1);
        if !is_empty {
            self.line_break()?;
        }
        self.put(bracket)
    }

    fn line_break(&mut self) -> Result<(), ExportError> {
        match self.depth {
            None => Ok(()),
            Some(depth) => write_line_break(depth, self.out).map_err(ExportError::LargeValue),
        }
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), ExportError> {
        self.out.write_all(bytes).map_err(ExportError::LargeValue)
    }
}
