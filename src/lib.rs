//! **ekvsnap** reads the binary snapshots of elastickv nodes: bytes become rows, rows become tables, queries
//! become files.
//!
//! The rooms, from left to right; each knows only what its left neighbour hands on:
//! * [`snapshot`]: the file's layers, its checksums, and which version of a key counts;
//! * [`dump`]: the files of the tree: names, JSON, manifest, checksums.

pub mod dump;
pub mod snapshot;
