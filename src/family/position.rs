//! Places in long files that another run may go on after, where numbers say which they are. What the numbers count is
//! the family's business, as is the form of any other place.

use rusqlite::types::FromSqlError;

use super::ExportError;

/// The place that these numbers say.
pub fn of_numbers<const N: usize>(numbers: [u64; N]) -> Vec<u8> {
    numbers.map(u64::to_be_bytes).concat()
}

/// The numbers that say a place.
///
/// # Errors
/// They are not as many.
pub fn numbers<const N: usize>(position: &[u8]) -> Result<[u64; N], ExportError> {
    <[[u8; 8]; N]>::try_from(position.as_chunks().0).map(|numbers| numbers.map(u64::from_be_bytes)).map_err(
        |_| {
            let error = FromSqlError::InvalidBlobSize { expected_size: 8 * N, blob_size: position.len() };
            rusqlite::Error::from(error).into()
        },
    )
}
