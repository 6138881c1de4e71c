//! The value of an item row, from where staging keeps it: in memory if it is short enough to be decoded there, as a
//! stretch of the snapshot otherwise.

use std::io::Read;

use rusqlite::types::{FromSqlError, ValueRef};

use super::item::{MAGIC, MAX_ITEM_BYTES, MAX_JSON_ITEM_BYTES, is_json};
use super::malformed::Malformed;
use crate::staging::{Extent, LargeValues, StagingError};

/// The value of an item row.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'a> {
    /// In memory: to be decoded whole.
    Memory(&'a [u8]),
    /// Protobuf, magic included, that is too long for it.
    Long(Extent),
}

impl<'a> Value<'a> {
    /// The value in a column; `buffer` takes one that is not in the database.
    ///
    /// # Errors
    /// The value cannot be read; inside, the rule that a value breaks which is not worth decoding.
    pub fn of(
        column: ValueRef<'a>,
        large_values: &LargeValues<'_>,
        buffer: &'a mut Vec<u8>,
    ) -> Result<Result<Self, Malformed>, StagingError> {
        match column {
            ValueRef::Blob(bytes) => Ok(Ok(Self::Memory(bytes))),
            ValueRef::Integer(id) => Self::at(large_values.find(id)?, large_values, buffer),
            _ => Err(rusqlite::Error::from(FromSqlError::InvalidType).into()),
        }
    }

    /// The value at an extent.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub fn at(
        extent: Extent,
        large_values: &LargeValues<'_>,
        buffer: &'a mut Vec<u8>,
    ) -> Result<Result<Self, Malformed>, StagingError> {
        let mut reader = large_values.open(extent)?;
        let mut read = |limit: u64, buffer: &mut Vec<u8>| {
            (&mut reader).take(limit).read_to_end(buffer).map_err(StagingError::LargeValue)
        };
        buffer.clear();
        read(MAGIC.len() as u64, buffer)?;
        let is_json = is_json(buffer);
        let limit = if is_json { MAX_JSON_ITEM_BYTES } else { MAX_ITEM_BYTES };
        if extent.length <= limit {
            read(limit, buffer)?;
        } else if is_json {
            return Ok(Err(Malformed::TooLong { what: "the JSON of the item", bytes: extent.length, limit }));
        } else if buffer == MAGIC {
            return Ok(Ok(Self::Long(extent)));
        }
        // What begins otherwise breaks a rule, however it goes on.
        Ok(Ok(Self::Memory(buffer)))
    }
}
