//! What can be wrong with an SST bundle, and the place in a table at which it shows. Leaves the name of the file to
//! whoever reads it, and what is wrong with a row itself to [`Corruption`](super::super::Corruption).

use super::super::error::{Corruption, Fault, Unsupported};

/// How a bundle contradicts `docs/format/sstable.md`.
#[derive(Debug, thiserror::Error)]
pub enum SstCorruption {
    /// A manifest of no length, or of a negative one (section 1).
    #[error("the bundle says that its manifest has {0} bytes")]
    ManifestLength(i64),
    /// The bytes of the manifest are not those that were written.
    #[error("the SHA-256 of the manifest is {computed}, the bundle says {stored}")]
    ManifestDigest {
        /// Over the bytes read, 64 hex digits.
        computed: String,
        /// As stored.
        stored: String,
    },
    /// It is not JSON, or its fields are not those of section 1.
    #[error("the manifest of the bundle cannot be read: {0}")]
    Manifest(#[source] serde_json::Error),
    /// A table in the manifest that breaks a rule of section 1.
    #[error("the manifest names as table {number} {rule}")]
    Listed {
        /// Counted from 0.
        number: u64,
        /// What it should not name.
        rule: String,
    },
    /// The sizes in the manifest do not add up, or not to a file.
    #[error("the manifest says that all tables have {stated} bytes; their sizes add up to {sum}")]
    TotalBytes {
        /// As stored.
        stated: u64,
        /// The sum.
        sum: u64,
    },
    /// The file has another length than the manifest accounts for.
    #[error("by its manifest the bundle ends at byte {end}, but the file has {length} bytes")]
    FileLength {
        /// Offset at which footer or nothing should be.
        end: u64,
        /// Length of the file in bytes.
        length: u64,
    },
    /// More than a footer follows the last table.
    #[error("by its manifest the bundle ends here, but more than a footer follows")]
    TrailingBytes,
    /// The bytes of a table are not those that were written.
    #[error("its SHA-256 is {computed}, the manifest says {stored}")]
    TableDigest {
        /// Over the bytes read, 64 hex digits.
        computed: String,
        /// As stored.
        stored: String,
    },
    /// Too short for a footer.
    #[error("it has {0} bytes; a footer alone has 53")]
    TableSize(u64),
    /// A footer whose handles cannot be read.
    #[error("the footer has no handles")]
    FooterHandles,
    /// Something stands where the footer should be filled up with zeros.
    #[error("the footer has bytes after its handles that should be zero")]
    FooterPadding,
    /// An entry of an index or metaindex without a handle.
    #[error("the entry {0} has no handle")]
    NoHandle(String),
    /// A block that would not end before the footer.
    #[error("a handle of {length} bytes at {offset} reaches beyond the blocks of a table of {size} bytes")]
    HandleBounds {
        /// In the table.
        offset: u64,
        /// Without the trailer.
        length: u64,
        /// Of the table.
        size: u64,
    },
    /// Blocks that leave a gap, overlap, or stand in another order than that of section 2.
    #[error("the {block} begins here, but what stands before it ends at byte {end}")]
    Gap {
        /// Which block.
        block: &'static str,
        /// Where it should begin.
        end: u64,
    },
    /// The checksum of a block (section 2.2).
    #[error("the checksum of the block is {computed:08x}, its trailer says {stored:08x}")]
    Checksum {
        /// Over the bytes read.
        computed: u32,
        /// As stored.
        stored: u32,
    },
    /// A compressed block that claims to be longer than it can be (section 4).
    #[error(
        "the block says that it has {declared} bytes decompressed; {stored} stored bytes hold at most {most}"
    )]
    DeclaredLength {
        /// As stored.
        declared: u64,
        /// Length of the block as stored.
        stored: u64,
        /// The most that is believed.
        most: u64,
    },
    /// Bytes that Snappy does not decompress.
    #[error("the block cannot be decompressed: {0}")]
    Snappy(String),
    /// A number of restarts that the block has no room for (section 4).
    #[error("the block of {length} bytes says that it has {restarts} restarts")]
    RestartCount {
        /// As stored.
        restarts: u32,
        /// Length of the block decompressed.
        length: u64,
    },
    /// A restart that is not the beginning of an entry with a whole key, or out of order (section 4).
    #[error("restart {restart} of the block is no beginning of an entry with a whole key")]
    Restart {
        /// The offset in the block.
        restart: u32,
    },
    /// An entry that claims more of the key before it than that has.
    #[error("the entry at byte {entry} of the block shares {shared} bytes with a key of {previous}")]
    Shared {
        /// Offset in the block.
        entry: u64,
        /// As stored.
        shared: u64,
        /// Length of the key before it; 0 for the first entry.
        previous: u64,
    },
    /// An entry that does not end before the restarts.
    #[error("the entry at byte {entry} of the block runs into the restarts at byte {restarts}")]
    EntryBounds {
        /// Offset in the block.
        entry: u64,
        /// Where the entries have to end.
        restarts: u64,
    },
    /// A row key without its trailer.
    #[error("the key {0} has no room for its trailer of 8 bytes")]
    NoTrailer(String),
    /// A value without its prefix.
    #[error("the value of row {0} has no prefix")]
    NoPrefix(String),
    /// A row that its block should not hold (section 2.3).
    #[error("row {key} does not belong beside the separator {separator} of the index")]
    Separator {
        /// The row key.
        key: String,
        /// The separator above its block, or below it.
        separator: String,
    },
    /// A separator with another trailer than section 2.3 has.
    #[error("the separator {0} of the index has another trailer than a separator has")]
    SeparatorTrailer(String),
    /// A top index that does not name the last key of a partition.
    #[error("the index block ends with {last}, but the index above it names {named}")]
    PartitionKey {
        /// The last key of the partition.
        last: String,
        /// As the top block says.
        named: String,
    },
    /// Two numbers that should be the same.
    #[error("{found} {what}, but {stated} are stated")]
    Count {
        /// What is counted.
        what: &'static str,
        /// As counted.
        found: u64,
        /// As stored.
        stated: u64,
    },
    /// A first or last row that the manifest does not name.
    #[error("the {which} row is {found}, the manifest says {stated}")]
    Bound {
        /// First or last.
        which: &'static str,
        /// The row key.
        found: String,
        /// As stored.
        stated: String,
    },
    /// A metaindex without the one entry that it has.
    #[error("the metaindex does not name the properties")]
    NoProperties,
    /// A property that is not there (section 2.4).
    #[error("the property {0} is missing")]
    MissingProperty(&'static str),
    /// A property that cannot be read.
    #[error("the property {0} cannot be read")]
    Property(&'static str),
    /// Properties that do not ascend.
    #[error("the property {0} does not come after the one before it")]
    PropertyOrder(String),
}

/// What a bundle may hold without ekvsnap being able to read it (`docs/format/sstable.md` section 6).
#[derive(Debug, thiserror::Error)]
pub enum SstUnsupported {
    /// A manifest of a later version.
    #[error("an SST bundle with a manifest of version {0}; only version 1 is known")]
    ManifestVersion(u64),
    /// A table by another writer.
    #[error("a table with the magic {0}, which is not one of a node")]
    Magic(String),
    /// An older table format of Pebble.
    #[error("table format {0}, which no node writes; its values are stored by other rules")]
    OldFormat(u32),
    /// A newer table format of Pebble.
    #[error(
        "table format {0}, with columnar blocks, which are not read; take a snapshot on a node without \
         ELASTICKV_PEBBLE_SST_INGEST_SNAPSHOT: it holds the same rows in a body that is read"
    )]
    Columnar(u32),
    /// A table format that nobody knows yet.
    #[error("table format {0}, which is not known")]
    NewFormat(u32),
    /// Blocks without CRC-32C.
    #[error("block checksums of kind {0}; a node uses kind 1, CRC-32C")]
    ChecksumKind(u8),
    /// A block that Snappy does not decompress.
    #[error("a block of compression {0}; a node uses 0, none, and 1, Snappy")]
    Compression(u8),
    /// A compressed block of a kind that is never compressed.
    #[error("a compressed {0}, which a node never compresses")]
    CompressedBlock(&'static str),
    /// A block that would change or hide rows, or keep values elsewhere.
    #[error("a block {0}, which no node writes and which may change what the rows say")]
    MetaBlock(String),
    /// An index of another layout.
    #[error("an index of type {0}; a node writes types 0 and 2")]
    IndexType(u32),
    /// Another order of keys.
    #[error("keys in the order of the comparator {0}; a node uses leveldb.BytewiseComparator")]
    Comparator(String),
    /// Rows that are no plain writes.
    #[error("a property {name} of {value}; in a table of a node it is 0")]
    ForeignProperty {
        /// Name of the property.
        name: &'static str,
        /// Its value.
        value: u64,
    },
    /// A row that is no plain write.
    #[error(
        "row {key} with the trailer {trailer:016x}, which is no plain write: it may delete or replace another row"
    )]
    RowKind {
        /// The row key.
        key: String,
        /// Its trailer, as the bytes stand.
        trailer: u64,
    },
    /// A value that is stored elsewhere.
    #[error("row {key} with the value prefix {prefix:#04x}: its value is stored elsewhere")]
    ValueHandle {
        /// The row key.
        key: String,
        /// The prefix.
        prefix: u8,
    },
    /// Properties of a block beside its handle.
    #[error("block properties in the index entry {0}, which no node writes")]
    BlockProperties(String),
    /// A flag in a restart.
    #[error("a restart with its highest bit set, which no node sets")]
    RestartFlag,
}

impl From<SstCorruption> for Fault {
    fn from(what: SstCorruption) -> Self {
        Self::Corrupt(what.into())
    }
}

impl From<SstUnsupported> for Fault {
    fn from(what: SstUnsupported) -> Self {
        Self::Unsupported(what.into())
    }
}

/// What is wrong, and where in the table it shows.
#[derive(Debug)]
pub(super) struct Located {
    /// Offset of the block in the table.
    pub block: u64,
    pub fault: Fault,
}

impl Located {
    /// The same with the name of the table.
    pub fn in_table(self, table: &str) -> Fault {
        let (table, block) = (table.to_owned(), self.block);
        match self.fault {
            Fault::Corrupt(what) => Corruption::InTable { table, block, what: Box::new(what) }.into(),
            Fault::Unsupported(what) => Unsupported::InTable { table, block, what: Box::new(what) }.into(),
            // A row is named by its key, and the others are of no table.
            other @ (Fault::Encrypted { .. } | Fault::Io(_) | Fault::Spool(_)) => other,
        }
    }
}

/// Says of a result which block it is about.
pub(super) trait InBlock<T> {
    /// `block` is the offset of the block in the table.
    fn in_block(self, block: u64) -> Result<T, Located>;
}

impl<T, E: Into<Fault>> InBlock<T> for Result<T, E> {
    fn in_block(self, block: u64) -> Result<T, Located> {
        self.map_err(|fault| Located { block, fault: fault.into() })
    }
}
