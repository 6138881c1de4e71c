//! Bytes of chunks, wherever they are kept: in the snapshot, among the large values, or in the table itself.

use std::io::Read;

use rusqlite::Row;
use rusqlite::types::ValueRef;

use crate::family::Context;
use crate::snapshot;
use crate::snapshot::{Large, Payload, Place};
use crate::staging::{Cell, Extent, LargeValues, StagingError};

/// What the columns `length`, `value`, `start` of a chunk say of a payload: its bytes are not copied if they can be read
/// again in the snapshot.
pub(super) fn cells<'a>(
    row: &snapshot::Row<'a>,
    context: &Context<'_, '_>,
) -> Result<[Cell<'a>; 3], StagingError> {
    let (value, start) = match (row.payload_at, row.payload) {
        (Some(at), _)
        | (None, Payload::Large { large: &Large { place: Place::File { offset: at }, .. }, .. }) => {
            (Cell(ValueRef::Null), Cell::integer(at.cast_signed()))
        }
        (None, Payload::Inline(bytes)) => (Cell::blob(bytes), Cell(ValueRef::Null)),
        (None, Payload::Large { large: &Large { place, length }, .. }) => {
            let id = context.large_values.save(Extent::of(context.source, place, length))?;
            (Cell::integer(id), Cell(ValueRef::Null))
        }
    };
    Ok([Cell::integer(row.payload.len().cast_signed()), value, start])
}

/// Bytes of a chunk.
pub(super) enum Bytes<'r> {
    Inline(&'r [u8]),
    Extent(Extent),
}

impl<'r> Bytes<'r> {
    /// Of the four columns `length`, `value`, `start`, `source` from `first` on; `None` if there is no chunk.
    pub fn of(
        row: &'r Row<'_>,
        first: usize,
        large_values: &LargeValues<'_>,
    ) -> Result<Option<Self>, StagingError> {
        let Some(length) = row.get::<_, Option<i64>>(first)? else { return Ok(None) };
        Ok(Some(match row.get_ref(first + 1)? {
            ValueRef::Integer(id) => Self::Extent(large_values.find(id)?),
            ValueRef::Blob(bytes) | ValueRef::Text(bytes) => Self::Inline(bytes),
            ValueRef::Null | ValueRef::Real(_) => Self::Extent(Extent {
                source: row.get(first + 3)?,
                payload: None,
                start: row.get::<_, i64>(first + 2)?.cast_unsigned(),
                length: length.cast_unsigned(),
                sealed: None,
            }),
        }))
    }

    /// Hands all of them on, in pieces that fit into `buffer`.
    pub fn read(
        &self,
        large_values: &LargeValues<'_>,
        buffer: &mut [u8],
        mut take: impl FnMut(&[u8]),
    ) -> Result<(), StagingError> {
        match self {
            Self::Inline(bytes) => take(bytes),
            Self::Extent(extent) => {
                let mut reader = large_values.open(*extent)?;
                let mut left = extent.length;
                while left > 0 {
                    let step = left.min(buffer.len() as u64) as usize;
                    let piece = &mut buffer[..step];
                    reader.read_exact(piece).map_err(StagingError::LargeValue)?;
                    take(piece);
                    left -= step as u64;
                }
            }
        }
        Ok(())
    }
}
