//! Inputs for ekvsnap's tests: a snapshot writer, row builders, generators and an oracle.
//!
//! Owns: turning a wish ("this key, these versions, a wrong footer") into the bytes that
//! `docs/format/` prescribes. It shares no code with the reader, so one misreading of the format
//! cannot hide in both.
//!
//! Leaves: judging the reader against what real nodes write. That is the fixtures' part; a file made
//! here proves only that reader and writer agree about the text of the format.
//!
//! | module | makes |
//! | --- | --- |
//! | [`container`] | HLC header and CRC footer around any body |
//! | [`version`] | one version of one key, as the value the other modules pass around |
//! | [`writer`] | `EKVPBBL1` files, streamed, deliberate defects included |
//! | [`sorted`] | correct `EKVPBBL1` files from rows in any order |
//! | [`mvcc_writer`] | `EKVMVCC2` files |
//! | [`sst_writer`] | `EKVSSTI1` bodies, also spoilt ones whose sums fit |
//! | [`bundled`] | bundles with the rows of `EKVPBBL1` files, which [`split`] takes apart |
//! | [`encryption`] | encrypted values, sidecars, whole files encrypted |
//! | [`redis_rows`], [`dynamodb_rows`], [`s3_rows`], [`sqs_rows`], [`txn_rows`] | keys and values of single rows |
//! | [`protobuf`] | the few wire types that Redis values need |
//! | [`snap_file`] | the file by which a Raft log refers to a snapshot |
//! | [`oracle`] | which version counts, the obvious way |
//! | [`strategies`] | version sets that interleave, for properties |
//! | [`scenarios`] | large files for measuring |
//! | [`floor`] | the least that a run through SQLite costs, for measuring |

pub mod bundled;
pub mod container;
pub mod dynamodb_rows;
pub mod encryption;
pub mod floor;
pub mod mvcc_writer;
pub mod oracle;
pub mod protobuf;
pub mod redis_rows;
pub mod s3_rows;
pub mod scenarios;
pub mod snap_file;
pub mod sorted;
pub mod split;
pub mod sqs_rows;
pub mod sst_writer;
pub mod strategies;
pub mod txn_rows;
pub mod version;
pub mod writer;
