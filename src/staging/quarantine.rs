//! Malformed rows, kept whole with the rule they break, so that a run can go on and nothing is lost
//! (`docs/format/redis.md` section 4, for every family).

use std::fmt::Display;

use rusqlite::Connection;

use super::StagingError;
use super::cell::Cell;
use super::values::{Extent, LargeValues};
use crate::snapshot::{Payload, Row};

/// Keeps a row that its family cannot read.
///
/// # Errors
/// Whatever SQLite says.
pub fn quarantine(
    connection: &Connection,
    large_values: &LargeValues<'_>,
    source: i64,
    row: &Row<'_>,
    rule: &dyn Display,
) -> Result<(), StagingError> {
    let raw_value = match row.payload {
        Payload::Inline(_) => Cell::blob(row.raw_value),
        Payload::Large { place, length, .. } => {
            Cell::integer(large_values.save(Extent::of(source, place, length))?)
        }
    };
    connection
        .prepare_cached(
            "INSERT INTO quarantine (source, class, byte_offset, raw_key, raw_value, rule) VALUES (?, ?, ?, ?, ?, ?)",
        )?
        .execute((source, row.class.name(), row.offset.cast_signed(), row.raw_key, raw_value, rule.to_string()))?;
    Ok(())
}
