//! Malformed rows, kept whole with the rule they break, so that a run can go on and nothing is lost
//! (`docs/format/redis.md` section 4, for every family).

use std::fmt::Display;

use rusqlite::Connection;

use super::StagingError;
use super::cell::Cell;
use super::values::{Extent, LargeValues};
use crate::snapshot::{Class, Large, Payload, Row};

/// A row that its family cannot read, as it stands in its file.
#[derive(Clone, Copy, Debug)]
pub struct MalformedRow<'a> {
    /// The snapshot it came with.
    pub source: i64,
    /// Who owns it.
    pub class: Class,
    /// Where it begins, in bytes from the start of the file.
    pub offset: u64,
    /// The key without its timestamp.
    pub user_key: &'a [u8],
    /// The key as stored.
    pub raw_key: &'a [u8],
    /// The value as stored, or the number of a large value: the payload.
    pub raw_value: Cell<'a>,
}

impl<'a> MalformedRow<'a> {
    /// A row on its way into the staging database.
    ///
    /// # Errors
    /// Whatever SQLite says.
    pub fn of(row: &Row<'a>, source: i64, large_values: &LargeValues<'_>) -> Result<Self, StagingError> {
        let raw_value = match row.payload {
            Payload::Inline(_) => Cell::blob(row.raw_value),
            Payload::Large { large: &Large { place, length }, .. } => {
                Cell::integer(large_values.save(Extent::of(source, place, length))?)
            }
        };
        let Row { class, offset, user_key, raw_key, .. } = *row;
        Ok(Self { source, class, offset, user_key, raw_key, raw_value })
    }
}

/// Keeps a malformed row together with the rule that it breaks.
///
/// # Errors
/// Whatever SQLite says.
pub fn quarantine(
    connection: &Connection,
    row: &MalformedRow<'_>,
    rule: &dyn Display,
) -> Result<(), StagingError> {
    let MalformedRow { source, class, offset, raw_key, raw_value, .. } = *row;
    connection
        .prepare_cached(
            "INSERT INTO quarantine (source, class, byte_offset, raw_key, raw_value, rule) VALUES (?, ?, ?, ?, ?, ?)",
        )?
        .execute((source, class.name(), offset.cast_signed(), raw_key, raw_value, rule.to_string()))?;
    Ok(())
}
