//! Every bound of the snapshot room, named. A length read from a file is compared with one of these before
//! anything is allocated for it. Leaves the bounds of the dump (file names) to `dump::name`.

/// Longest raw key accepted, in bytes (`docs/format/snapshot.md` section 2).
pub const MAX_KEY_BYTES: u64 = 16 << 20;

/// Longest raw key that the node's own restore accepts, in bytes: 1 MiB of user key and the 8-byte timestamp.
/// Longer ones are read and counted as `oversize_key` (`docs/format/snapshot.md` section 2).
pub const RESTORABLE_KEY_BYTES: u64 = (1 << 20) + 8;

/// Longest stored value accepted, in bytes: 256 MiB of payload, the 9-byte version header and the 34-byte
/// encryption envelope (`docs/format/snapshot.md` section 2).
pub const MAX_VALUE_BYTES: u64 = (256 << 20) + 9 + 34;

/// Longest user key of an `EKVMVCC2` body, in bytes (`docs/format/snapshot.md` section 3).
pub const MAX_MVCC_KEY_BYTES: u64 = 1 << 20;

/// Most versions of one key in an `EKVMVCC2` body (`docs/format/snapshot.md` section 3).
pub const MAX_MVCC_VERSIONS: u64 = 1 << 20;

/// Longest value of an `EKVMVCC2` body, in bytes (`docs/format/snapshot.md` section 3).
pub const MAX_MVCC_VALUE_BYTES: u64 = 256 << 20;

/// Shortest and longest rest of an `EKVTHLC2` header, in bytes (`docs/format/snapshot.md` section 1.1).
pub const HLC2_BYTES: std::ops::RangeInclusive<u16> = 16..=1024;

/// Longest sidecar with wrapped keys that is read, in bytes: some thousand keys (`docs/format/encryption.md` section 4).
pub const MAX_SIDECAR_BYTES: u64 = 1 << 20;

/// Payloads longer than this, in bytes, are handed on by reference instead of being copied.
pub const INLINE_PAYLOAD_BYTES: usize = 32 << 10;

/// Encrypted values up to this length, in bytes, are held until their tag has come: a chunk of an S3 object, and most
/// others.
pub const HELD_VALUE_BYTES: u64 = 2 << 20;

/// How many bytes of a payload handed on by reference come with it, so that envelopes and magics can be read
/// without going back to the file.
pub const LARGE_HEAD_BYTES: usize = 64;

/// Size of the reading window, in bytes. It grows only for a longer key, up to [`MAX_KEY_BYTES`].
pub const WINDOW_BYTES: usize = 256 << 10;

/// A batch carries a checkpoint after this many bytes of the file.
pub const CHECKPOINT_BYTES: u64 = 2 << 20;

/// A batch is handed on once it holds this many bytes …
pub const BATCH_BYTES: usize = 512 << 10;

/// … or this many rows …
pub const BATCH_ROWS: usize = 8 << 10;

/// … or once this many bytes were read for it, visible or not: a long stretch of old versions is to keep neither
/// progress nor an interruption waiting.
pub const BATCH_READ_BYTES: u64 = 8 << 20;

/// Longest `.snap` file accepted, in bytes: a token and the ids of the members, of which there may be thousands
/// (`docs/format/restore.md` section 2.1).
pub const MAX_SNAP_FILE_BYTES: u64 = 1 << 20;

/// Longest manifest of an SST bundle, in bytes (`docs/format/sstable.md` section 1).
pub const MAX_MANIFEST_BYTES: u64 = 64 << 20;

/// Most tables in an SST bundle (`docs/format/sstable.md` section 1).
pub const MAX_TABLES: u64 = 1 << 20;

/// Longest Snappy block, decompressed, in bytes: the largest row and what may stand before it
/// (`docs/format/sstable.md` section 4).
pub const MAX_SNAPPY_BYTES: u64 = (272 << 20) + (8 << 10);

/// A block of an SSTable that is longer than this, in bytes, stored or decompressed, does not lie in memory.
pub const BLOCK_IN_MEMORY_BYTES: u64 = 4 << 20;

/// Size of the window through which such a block is looked at, in bytes.
pub const BLOCK_WINDOW_BYTES: usize = 64 << 10;

/// How much of the manifest of a bundle, and of the list made from it, lies in memory before it goes to a temporary
/// file, in bytes.
pub const SPOOLED_IN_MEMORY_BYTES: usize = 1 << 20;
