//! Rows as comma-separated values, quoted as in RFC 4180, lines ended by a line feed. NULL is an empty field, a blob
//! the literal that SQL has for it.

use std::io::{self, Write};

use rusqlite::types::ValueRef;

use super::sheet::{Sheet, push_blob_literal, push_real};

/// A result as comma-separated values.
pub struct CsvSheet<W: Write> {
    /// Until they are written.
    columns: Option<Vec<String>>,
    records: csv::Writer<W>,
    field: Vec<u8>,
}

impl<W: Write> CsvSheet<W> {
    pub fn new(columns: Vec<String>, out: W) -> Self {
        Self { columns: Some(columns), records: csv::Writer::from_writer(out), field: Vec::new() }
    }

    fn write_header(&mut self) -> io::Result<()> {
        self.columns.take().map_or(Ok(()), |columns| self.records.write_record(columns)).map_err(into_io)
    }
}

impl<W: Write> Sheet for CsvSheet<W> {
    fn row(&mut self, values: &[ValueRef<'_>]) -> io::Result<()> {
        self.write_header()?;
        for value in values {
            self.field.clear();
            match value {
                ValueRef::Null => {}
                ValueRef::Text(bytes) => {
                    self.records.write_field(bytes).map_err(into_io)?;
                    continue;
                }
                ValueRef::Integer(number) => write!(self.field, "{number}")?,
                ValueRef::Real(number) => push_real(*number, &mut self.field),
                ValueRef::Blob(bytes) => push_blob_literal(bytes, &mut self.field),
            }
            self.records.write_field(&self.field).map_err(into_io)?;
        }
        self.records.write_record(None::<&[u8]>).map_err(into_io)
    }

    fn end(mut self: Box<Self>) -> io::Result<u64> {
        self.write_header()?;
        self.records.flush()?;
        Ok(0)
    }
}

/// With the kind that it had: whether the reader is gone matters.
fn into_io(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        kind => io::Error::other(format!("{kind:?}")),
    }
}
