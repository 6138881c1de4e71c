//! **ekvsnap** reads the binary snapshots of elastickv nodes: bytes become rows, rows become tables, queries
//! become files.
//!
//! The rooms, from left to right; each knows only what its left neighbour hands on:
//! * [`snapshot`]: the file's layers, its checksums, and which version of a key counts;
//! * [`staging`]: the SQLite database that holds the visible rows;
//! * [`family`]: what rows mean, the tables they go to, and the queries that give them back, per family;
//! * [`dump`]: the files of the tree: names, JSON, manifest, checksums;
//! * [`query`]: what people ask of the database themselves, and what helps them to;
//! * [`keys`]: which keys there are, one key's file, and counts.
//!
//! Two runs lead through them: [`load`] from snapshots to a staging database, [`export`] from there to a tree. A third,
//! [`verify`], looks whether what they read and wrote is whole.

pub mod dump;
pub mod error;
pub mod export;
pub mod family;
pub mod keys;
pub mod load;
pub mod progress;
pub mod query;
pub mod report;
pub mod snapshot;
pub mod staging;
pub mod verify;
