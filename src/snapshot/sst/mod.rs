//! The body `EKVSSTI1`: SSTables with the rows of an ordinary body, and a manifest that names them
//! (`docs/format/sstable.md`).
//!
//! From the outside in: the manifest (`manifest`) and the tables one after the other (`bundle`); of a table its end
//! (`footer`), what it says of itself (`properties`), where its rows are (`index`, `handle`) and the rows (`table`); of
//! a block its entries (`block`), its sum (`checksum`) and its decompression (`snappy`). `stretch` holds bytes that may
//! be too many for memory. What rows mean is left to `row`, as in any body.

mod block;
mod bundle;
mod checksum;
mod error;
mod footer;
mod handle;
mod index;
mod manifest;
mod properties;
mod snappy;
mod stretch;
mod table;

pub(super) use bundle::Bundle;
pub use bundle::{TableCheckpoint, Tables};
pub use error::{SstCorruption, SstUnsupported};
