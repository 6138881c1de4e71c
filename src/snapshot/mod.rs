//! The snapshot room: from the bytes of a file to the visible rows in it.
//!
//! It owns the container (`header`, the footer in `reader`), the bodies (`pebble`, `mvcc`, `sst`), their rows (`row`),
//! the rule that says which version of a key counts (`versions`), the classes rows are counted under (`namespace`),
//! every bound on lengths (`limits`), the question which files to read (`locate`), and what refers to such a file
//! (`token`, `snap_file`). A whole run reads on a thread of its own (`read_ahead`); of the encrypted values
//! (`encryption`) long ones are opened on another (`watcher`). It knows no family and no database: what leaves it are
//! batches of keys and payloads, each with its offset.

mod batch;
mod body;
mod checkpoint;
pub mod encryption;
mod error;
mod facts;
mod header;
mod hlc;
mod input;
pub mod limits;
mod locate;
mod mvcc;
mod namespace;
mod operational;
mod pebble;
mod read_ahead;
mod readable;
mod reader;
mod row;
mod snap_file;
mod sst;
mod step;
mod token;
mod versions;
mod watcher;

pub use batch::{Batch, Large, Payload, Piece, Place, Row, RowCounts, Skipped};
pub use checkpoint::Checkpoint;
pub use error::{Corruption, SnapshotError, Unsupported};
pub use facts::{Closing, Opening};
pub use header::{BodyFormat, Header};
pub use hlc::{Hlc, NotATimestamp, rfc3339};
pub use locate::{Located, index_of, is_node_name, locate, newest_in};
pub use namespace::{Class, is_node_local};
pub use read_ahead::{Next, ReadAhead};
pub use readable::{Escaped, Readable, UnknownEscape, unescape};
pub use reader::Reader;
pub use snap_file::{SnapFile, SnapFileError};
pub use sst::{SstCorruption, SstUnsupported, TableCheckpoint, Tables};
pub use token::{TOKEN_BYTES, Token, TokenError};
pub use versions::{ReadAt, Verdict, Versions, split_raw_key};
