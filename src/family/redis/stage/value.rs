//! Values on their way into a column: bytes in memory, or a stretch of a large value that is read where it lies.

use std::cell::RefCell;
use std::io::{self, BufReader, Read, Seek};

use crate::family::redis::blob::{self, BlobError, Element};
use crate::family::redis::entry::{self, EntryError};
use crate::family::redis::rows::Type;
use crate::family::wire::{Span, Wire};
use crate::family::{Context, RowError};
use crate::snapshot::limits::INLINE_PAYLOAD_BYTES;
use crate::snapshot::{Payload, Skipped};
use crate::staging::{Cell, Extent, LargeReader, LargeValues, StagingError};

/// Bytes read ahead of a walk over a large value.
const READ_AHEAD_BYTES: usize = 64 << 10;

/// A value whose parts are read at spans.
pub(super) enum Value<'a, 'v, 'c> {
    Inline(&'a [u8]),
    Large(Box<Large<'v, 'c>>),
}

pub(super) struct Large<'v, 'c> {
    extent: Extent,
    large_values: &'v LargeValues<'c>,
    /// Spans come in the order of the bytes, so one reader that stays where it is reads each byte once.
    reader: RefCell<Option<BufReader<LargeReader<'c>>>>,
}

/// What a column holds: the bytes, or the number of a large value.
pub(super) enum Stored {
    Bytes(Vec<u8>),
    Large(i64),
}

impl Stored {
    pub(super) fn cell(&self) -> Cell<'_> {
        match self {
            Self::Bytes(bytes) => Cell::text_or_blob(bytes),
            Self::Large(id) => Cell::integer(*id),
        }
    }
}

impl<'a, 'v, 'c> Value<'a, 'v, 'c> {
    pub(super) fn new(value: Skipped<'a>, context: &Context<'v, 'c>) -> Self {
        match value.payload {
            Payload::Inline(bytes) => Self::Inline(bytes.get(value.skipped..).unwrap_or_default()),
            Payload::Large { .. } => Self::Large(Box::new(Large {
                extent: context.extent(value),
                large_values: context.large_values,
                reader: RefCell::default(),
            })),
        }
    }

    /// Walks a one-blob collection.
    pub(super) fn walk_blob(
        &self,
        of: Type,
        visit: impl FnMut(Element) -> Result<(), RowError>,
    ) -> Result<(), RowError> {
        let result = match self {
            Self::Inline(bytes) => blob::walk(of, *bytes, bytes.len() as u64, visit),
            Self::Large(large) => {
                blob::walk(of, open(large.large_values, large.extent)?, large.extent.length, visit)
            }
        };
        result.map_err(|error| match error {
            BlobError::Malformed(rule) => RowError::malformed(rule),
            BlobError::Io(error) => RowError::Staging(StagingError::LargeValue(error)),
            BlobError::Visitor(error) => error,
        })
    }

    /// A stream entry's message as its column holds it; `json` takes the fields of one that is in memory.
    pub(super) fn entry_cell<'j>(&self, json: &'j mut Vec<u8>) -> Result<Cell<'j>, RowError> {
        match self {
            Self::Inline(message) => push_entry(message, json),
            Self::Large(large) => {
                let mut wire = Wire::new(open(large.large_values, large.extent)?, 0, large.extent.length);
                entry::walk(&mut wire, |_| Ok(())).map_err(entry_error)?;
                Ok(Cell::integer(large.large_values.save(large.extent)?))
            }
        }
    }

    /// The bytes at a span.
    pub(super) fn bytes(&self, span: Span) -> Result<Vec<u8>, StagingError> {
        match self {
            Self::Inline(bytes) => Ok(span.of(bytes).to_vec()),
            Self::Large(large) => large.bytes(span),
        }
    }

    /// The value at a span as its column holds it.
    pub(super) fn stored(&self, span: Span) -> Result<Stored, StagingError> {
        match self {
            Self::Large(large) if span.length > INLINE_PAYLOAD_BYTES as u64 => {
                let extent = large.extent.slice(span.start, span.length);
                Ok(Stored::Large(large.large_values.save(extent)?))
            }
            value => Ok(Stored::Bytes(value.bytes(span)?)),
        }
    }
}

impl Large<'_, '_> {
    fn bytes(&self, span: Span) -> Result<Vec<u8>, StagingError> {
        let mut slot = self.reader.borrow_mut();
        let reader = match &mut *slot {
            Some(reader) => reader,
            None => slot.insert(open(self.large_values, self.extent)?),
        };
        read_at(reader, span).map_err(StagingError::LargeValue)
    }
}

fn read_at(reader: &mut BufReader<LargeReader<'_>>, span: Span) -> io::Result<Vec<u8>> {
    let position = reader.stream_position()?;
    // Not `seek`, which would forget what was read ahead.
    reader.seek_relative(span.start.cast_signed() - position.cast_signed())?;
    let mut bytes = Vec::new();
    reader.take(span.length).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == span.length { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// The fields of a stream entry that is in memory, as JSON in `json`.
pub(super) fn push_entry<'j>(message: &[u8], json: &'j mut Vec<u8>) -> Result<Cell<'j>, RowError> {
    json.clear();
    entry::push_fields(message, json).map_err(entry_error)?;
    Ok(Cell::text_or_blob(json))
}

fn entry_error(error: EntryError) -> RowError {
    match error {
        EntryError::Malformed(rule) => RowError::malformed(rule),
        EntryError::Io(error) => RowError::Staging(StagingError::LargeValue(error)),
    }
}

fn open<'c>(
    large_values: &LargeValues<'c>,
    extent: Extent,
) -> Result<BufReader<LargeReader<'c>>, StagingError> {
    Ok(BufReader::with_capacity(READ_AHEAD_BYTES, large_values.open(extent)?))
}
