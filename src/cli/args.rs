//! Arguments that several commands share, and what they mean together: what a snapshot is read with (`reading`), what
//! is meant of it (`which`), how it is written (`export`), and the numbers that they have in common (this module).

mod export;
mod reading;
mod which;

use bytesize::ByteSize;

pub use self::export::ExportArgs;
pub use self::reading::{Inputs, KeyArgs, LoadArgs, ReadArgs, inputs_at};
pub use self::which::{AdapterArgs, WhichKeys, parse_scope};

/// How long a bundle of DynamoDB items gets (`docs/format/dynamodb.md` section 3.6).
pub const BUNDLE_SIZE: ByteSize = ByteSize::mib(64);

/// The number of threads, if none is given as many as the machine has.
pub fn threads(given: Option<u16>) -> usize {
    given.map_or_else(|| std::thread::available_parallelism().map_or(1, usize::from), usize::from)
}

/// A number of bytes, which is not 0.
pub fn parse_size(text: &str) -> Result<ByteSize, String> {
    let size: ByteSize = text.parse().map_err(|_| "a size has the form 65536, 500KB or 64MiB")?;
    if size.as_u64() == 0 { Err("the size is 0".to_owned()) } else { Ok(size) }
}
