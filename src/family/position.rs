//! Places in long files that an export notes, where a few numbers say which they are.

use rusqlite::types::FromSqlError;

use super::ExportError;

/// What [`Export::note`](super::Export::note) takes.
pub fn position<const N: usize>(numbers: [u64; N]) -> Vec<u8> {
    numbers.map(u64::to_be_bytes).concat()
}

/// The numbers of a [`position`].
///
/// # Errors
/// It is none of so many numbers.
pub fn numbers<const N: usize>(position: &[u8]) -> Result<[u64; N], ExportError> {
    <[[u8; 8]; N]>::try_from(position.as_chunks().0).map(|numbers| numbers.map(u64::from_be_bytes)).map_err(
        |_| {
            let error = FromSqlError::InvalidBlobSize { expected_size: 8 * N, blob_size: position.len() };
            rusqlite::Error::from(error).into()
        },
    )
}
