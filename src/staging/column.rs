//! Bytes in columns, borrowed from their row. What else a column holds, rusqlite and `cell` read.

use rusqlite::Row;
use rusqlite::types::{FromSqlError, ValueRef};

/// The bytes of a column that holds a BLOB.
///
/// # Errors
/// It holds something else, or is not there.
pub fn blob<'r>(row: &'r Row<'_>, column: usize) -> rusqlite::Result<&'r [u8]> {
    Ok(row.get_ref(column)?.as_blob()?)
}

/// The bytes of a column that holds them as [`super::Cell::text_or_blob`] put them there. Matched in one go: an export of
/// collections asks for little else.
///
/// # Errors
/// It holds something else, or is not there.
#[inline]
pub fn bytes<'r>(row: &'r Row<'_>, column: usize) -> rusqlite::Result<&'r [u8]> {
    match row.get_ref(column) {
        Ok(ValueRef::Blob(bytes) | ValueRef::Text(bytes)) => Ok(bytes),
        Ok(_) => Err(FromSqlError::InvalidType.into()),
        Err(error) => Err(error),
    }
}
