//! What an operator should know although the run goes on: every kind of warning with its meaning, counted, with
//! the first few of each. The meanings decide the exit status (`docs/format/dump.md` section 4).

use std::collections::BTreeMap;

use rusqlite::Connection;

use super::StagingError;

/// How many of a kind are shown.
const SAMPLES: usize = 10;

macro_rules! kinds {
    ($($(#[doc = $meaning:literal])+ $variant:ident = $name:literal $(, $incomplete:ident)?;)+) => {
        /// The kinds of warnings. The documentation of each is what `--help` and the guide say of it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind {
            $($(#[doc = $meaning])+ $variant,)+
        }

        impl Kind {
            /// All kinds.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The name in SQL, JSON and messages.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// What it means, in a sentence.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => concat!($($meaning),+).trim_ascii_start(),)+ }
            }

            /// Does the dump lack something, or could something not be decided? Then the exit status is 1.
            pub fn means_incomplete(self) -> bool {
                match self { $(Self::$variant => kinds!(@ $($incomplete)?),)+ }
            }
        }
    };
    (@) => { false };
    (@ incomplete) => { true };
}

kinds! {
    /// Visible rows of the filesystem adapter, which has no format yet: they are counted, but not in the dump.
    FamilyNotRead = "family_not_read", incomplete;
    /// The file has no CRC-32C footer, so its integrity is not verified.
    NoFooter = "no_footer";
    /// The file has no footer, although it is empty, begins with a node's header or has a node's name: a node writes one, so the file may be cut off between two rows.
    FooterMissing = "footer_missing", incomplete;
    /// Row keys longer than the node's own restore accepts.
    OversizeKey = "oversize_key";
    /// The file was switched to encrypted Raft entries at another index than the sidecar says: they may not belong together.
    EncryptionCutoverMismatch = "encryption_cutover_mismatch";
    /// Key ids that nodes had used when the snapshot was taken and the sidecar lacks: it is older than the file. Rows that need one would have been refused.
    EncryptionKeyNotInSidecar = "encryption_key_not_in_sidecar";
    /// Malformed rows, kept in the table quarantine and left out of the dump.
    QuarantinedRow = "quarantined_row", incomplete;
    /// One row key is visible in two of the files; the first file counts.
    RowInTwoFiles = "row_in_two_files", incomplete;
    /// Transactions had not been finished when the snapshot was taken; their intents are not exported.
    TxnPendingIntents = "txn_pending_intents";
    /// Intents whose transaction has committed, by its commit record: writes that the dump lacks.
    TxnPendingIntentsCommitted = "txn_pending_intents_committed", incomplete;
    /// Item rows of a table that has no schema row: what a deleted table has left; a client does not see them, and they are not exported.
    DdbOrphanItems = "ddb_orphan_items";
    /// Item rows of an earlier life of a table, left by an unfinished cleanup: a client does not see them, and they are not exported.
    DdbStaleGenerationItems = "ddb_stale_generation_items";
    /// Rows of the legacy key encoding whose item exists under another spelling of its key or in the new encoding already; the one that a node would keep is exported.
    DdbMigrationDuplicates = "ddb_migration_duplicates";
    /// Items with a key number that a node cannot migrate, so that it fails every call on their table; they are exported.
    DdbUnmigratableKey = "ddb_unmigratable_key";
    /// Items with an empty set, which a node takes but cannot serve; they are exported.
    DdbEmptySet = "ddb_empty_set";
    /// Items with a key attribute of another type than the table declares, whose file name is tagged for it.
    DdbKeyTypeMismatch = "ddb_key_type_mismatch";
    /// Rows in the JSON of older nodes, which current nodes refuse to read; they are exported.
    DdbJsonValue = "ddb_json_value";
    /// Rows that begin like DynamoDB rows but are of no known kind; they are not in the dump.
    DdbUnknownRow = "ddb_unknown_row", incomplete;
    /// Tables whose generation counter is missing, cannot be read or is below their generation.
    DdbGenerationCounter = "ddb_generation_counter";
    /// DynamoDB rows that a transaction had locked when the snapshot was taken.
    DdbPendingTxnLocks = "ddb_pending_txn_locks";
    /// Tables of more than a million items, each in a file of its own; --dynamodb-bundle-mode jsonl writes few large files.
    DdbManyItemFiles = "ddb_many_item_files";
    /// A key has rows of two types; the one that comes first in the order of the format is exported.
    RedisTypeConflict = "redis_type_conflict", incomplete;
    /// A bare string under a key that has a newer string row; the newer one is exported.
    RedisStaleBareString = "redis_stale_bare_string";
    /// An expiry for a key that has no rows in these files.
    RedisOrphanTtl = "redis_orphan_ttl";
    /// A hash has more or fewer fields than its meta row and deltas say.
    RedisHashLengthMismatch = "redis_hash_length_mismatch";
    /// A list has more or fewer items than its meta row and deltas say.
    RedisListLengthMismatch = "redis_list_length_mismatch";
    /// A set has more or fewer members than its meta row and deltas say.
    RedisSetLengthMismatch = "redis_set_length_mismatch";
    /// A stream has more or fewer entries than its meta row says.
    RedisStreamLengthMismatch = "redis_stream_length_mismatch";
    /// A sorted set has more or fewer members than its meta row and deltas say.
    RedisZsetLengthMismatch = "redis_zset_length_mismatch";
    /// List items without a meta row or delta; the list is exported.
    RedisListItemsWithoutMeta = "redis_list_items_without_meta";
    /// Stream entries without a meta row: a client sees no such stream, and it is not exported.
    RedisStreamOrphanEntriesWithoutMeta = "redis_stream_orphan_entries_without_meta";
    /// A stream of the one-blob layout without a meta row; it is exported.
    RedisStreamLegacyBlob = "redis_stream_legacy_blob";
    /// Members of sorted sets whose score is NaN, written as "nan".
    RedisZsetNanScore = "redis_zset_nan_score";
    /// Keys whose expiry had passed when the snapshot was taken; they are exported with their expiry.
    RedisExpiredKey = "redis_expired_key";
    /// Rows under a prefix of the S3 adapter that this version does not know; they are counted, but not in the dump.
    S3UnknownRow = "s3_unknown_row", incomplete;
    /// Buckets whose name is empty, . or .. cannot be folders; nothing of them is in the dump.
    S3BucketRefused = "s3_bucket_refused", incomplete;
    /// Objects under a bucket that these files do not have: clients of a deleted bucket see none, but the bucket may be in the file of another Raft group. They are not in the dump.
    S3ObjectWithoutBucket = "s3_object_without_bucket", incomplete;
    /// Objects left from before their bucket was made anew; clients do not see them, and they are not exported.
    S3StaleGenerationObjects = "s3_stale_generation_objects";
    /// Chunks that belong neither to an object nor to an unfinished upload, as overwriting and aborting leave them; --include-orphans exports them.
    S3OrphanChunks = "s3_orphan_chunks";
    /// Orphaned references to chunks whose bytes this node lacks; --include-orphans exports the others.
    S3OrphanWithoutChunkblob = "s3_orphan_without_chunkblob";
    /// Chunks that an object names and the files lack; the object is not in the dump.
    S3MissingChunk = "s3_missing_chunk", incomplete;
    /// Offloaded chunks whose bytes this node lacks; the object is not in the dump. Decode a snapshot of one of the nodes that are named.
    S3MissingChunkblob = "s3_missing_chunkblob", incomplete;
    /// References to offloaded chunks that cannot be read; the object is not in the dump.
    S3InvalidChunkRef = "s3_invalid_chunk_ref", incomplete;
    /// Chunks, parts or objects of another size than their manifest says; the object is not in the dump.
    S3SizeMismatch = "s3_size_mismatch", incomplete;
    /// Parts that say that they have more or fewer chunks than they list; those listed are exported.
    S3ChunkCountMismatch = "s3_chunk_count_mismatch";
    /// The bytes of a part or an object do not have the MD5 that is its ETag; they are exported as they are.
    S3Md5Mismatch = "s3_md5_mismatch";
    /// Objects whose key cannot be a path here, left out because of --no-rename-collisions.
    S3NeedsRenaming = "s3_needs_renaming", incomplete;
    /// Objects left out because the name made of the hash of their key is the path of another object.
    S3PathTaken = "s3_path_taken", incomplete;
    /// Rows under !sqs| of no known family: nodes of today write none, and nobody knows what they hold.
    SqsUnknownRow = "sqs_unknown_row", incomplete;
    /// A queue's meta row names another queue than its key; the dump has the name of the value.
    SqsQueueNameMismatch = "sqs_queue_name_mismatch", incomplete;
    /// A message names another message id or generation than its key; the id of the key is exported.
    SqsMessageMismatch = "sqs_message_mismatch", incomplete;
    /// A group in another partition than that of its id: the client's bytes were not UTF-8, and the id is not what was hashed.
    SqsGroupInOtherPartition = "sqs_group_in_other_partition";
    /// Messages whose retention was over when the snapshot was taken: a client cannot receive them any more; they are exported.
    SqsRetentionExpired = "sqs_retention_expired";
    /// Messages of deleted queues, which the node had not swept yet; not exported.
    SqsDeletedQueueMessages = "sqs_deleted_queue_messages";
    /// Messages without a meta row, of a queue that was not deleted either: it stands in the file of another group; not exported.
    SqsMessagesWithoutQueue = "sqs_messages_without_queue", incomplete;
    /// Messages of generations that were purged, which the node had not swept yet; not exported.
    SqsOldGenerationMessages = "sqs_old_generation_messages";
    /// Messages of generations above the queue's own, which no consistent state has; not exported.
    SqsFutureGenerationMessages = "sqs_future_generation_messages", incomplete;
    /// Messages of the queue's generation under classic keys where it has partitions, or the other way round: no client can reach them; not exported.
    SqsWrongKeyspaceMessages = "sqs_wrong_keyspace_messages";
    /// Messages in partitions that the queue does not have: no client can reach them; not exported.
    SqsPartitionOutOfRangeMessages = "sqs_partition_out_of_range_messages";
}

impl Kind {
    /// The kind of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }
}

/// One kind of warning, with how often it came up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Warning {
    /// How often.
    pub count: u64,
    /// The first few, in readable form.
    pub samples: Vec<String>,
}

/// Warnings by kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Warnings(BTreeMap<&'static str, Warning>);

impl Warnings {
    /// Notes one.
    pub fn add(&mut self, kind: Kind, sample: impl Into<String>) {
        self.add_many(kind, 1, [sample.into()]);
    }

    /// Notes several, of which the first are shown.
    pub fn add_many(&mut self, kind: Kind, count: u64, samples: impl IntoIterator<Item = String>) {
        if count == 0 {
            return;
        }
        let warning = self.0.entry(kind.name()).or_default();
        warning.count += count;
        let room = SAMPLES - warning.samples.len();
        warning.samples.extend(samples.into_iter().take(room));
    }

    /// All kinds that came up, by name.
    pub fn iter(&self) -> impl Iterator<Item = (Kind, &Warning)> {
        self.0.iter().filter_map(|(name, warning)| Some((Kind::from_name(name)?, warning)))
    }

    /// Does any of them mean that the dump is not whole?
    pub fn mean_incomplete(&self) -> bool {
        self.iter().any(|(kind, _)| kind.means_incomplete())
    }

    /// Writes them down.
    ///
    /// # Errors
    /// Whatever SQLite says.
    pub fn save(&self, connection: &Connection) -> Result<(), StagingError> {
        connection.execute_batch("DELETE FROM warning_sample; DELETE FROM warning")?;
        for (kind, warning) in &self.0 {
            connection.execute(
                "INSERT INTO warning (kind, count) VALUES (?, ?)",
                (kind, warning.count.cast_signed()),
            )?;
            for (ordinal, sample) in warning.samples.iter().enumerate() {
                connection.execute(
                    "INSERT INTO warning_sample (kind, ordinal, sample) VALUES (?, ?, ?)",
                    (kind, ordinal as i64, sample),
                )?;
            }
        }
        Ok(())
    }

    /// Reads them back.
    ///
    /// # Errors
    /// Whatever SQLite says.
    pub fn read(connection: &Connection) -> Result<Self, StagingError> {
        let mut warnings = Self::default();
        let mut kinds = connection.prepare("SELECT kind, count FROM warning")?;
        let mut samples =
            connection.prepare("SELECT sample FROM warning_sample WHERE kind = ? ORDER BY ordinal")?;
        let mut rows = kinds.query([])?;
        while let Some(row) = rows.next()? {
            let (name, count): (String, i64) = (row.get(0)?, row.get(1)?);
            if let Some(kind) = Kind::from_name(&name) {
                let samples = samples.query_map([&name], |row| row.get(0))?.collect::<Result<Vec<_>, _>>()?;
                warnings.add_many(kind, count.cast_unsigned(), samples);
            }
        }
        Ok(warnings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_stands_in_the_documentation_with_its_meaning_and_its_exit_status() {
        let page = include_str!("../../docs/warnings.md");
        for kind in Kind::ALL {
            let exit = if kind.means_incomplete() { "**1**" } else { "0" };
            let line = format!("| `{}` | {exit} | {} |", kind.name(), kind.meaning());
            assert!(page.contains(&line), "docs/warnings.md lacks: {line}");
        }
    }
}
