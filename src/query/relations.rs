//! What the tables and views of a staging database hold, in a line each, for whoever looks around in one. The words
//! are those of `docs/staging.md`, which has the columns, too; how the relations are made stands in `migrations/`.

use rusqlite::Connection;

/// Every table and view with what one row of it is, the views for people first in each room. In the order of
/// `docs/staging.md`.
pub const RELATIONS: &[(&str, &str)] = &[
    ("keys", "every key of the dump: a Redis key, a DynamoDB item, an S3 object, an SQS queue"),
    (
        "biggest_keys",
        "one of the hundred keys with the most bytes, the biggest first; for those of a family, order keys",
    ),
    ("expiries_by_day", "a day on which keys of a family expire"),
    (
        "orphans",
        "rows that lead nowhere: a TTL without key, entries without meta, items of deleted tables, chunks of no object, messages of no queue",
    ),
    (
        "conflicts",
        "rows of which another one counts: two types under a key, an item twice, a row in two files",
    ),
    ("row_classes", "a class of rows with a verdict; all of them together are all rows that were read"),
    ("quarantined_rows", "a malformed row, with --on-error quarantine"),
    ("run", "a fact about the run"),
    ("source", "a snapshot"),
    ("row_count", "rows of a source by class and verdict"),
    ("row_state_count", "versions of keys by the state of their value"),
    ("checkpoint", "where the reading of a source stood; empty after a whole load"),
    ("warning", "a kind of warning"),
    ("warning_sample", "the first ten of a kind"),
    ("quarantine", "a malformed row as it is"),
    ("large_value", "a value too long to be copied"),
    ("envelope", "an encrypted value that stays in the file; reading it takes the key, which is not here"),
    (
        "large_value_piece",
        "a piece of a payload whose source cannot be read twice, or of one with --self-contained",
    ),
    ("redis_keys", "a Redis key of the dump"),
    ("ttl", "a key that expires"),
    ("mismatches", "a collection that holds more or fewer elements than its meta row and deltas say"),
    ("redis_strings", "a string"),
    ("redis_hash_fields", "a field of a hash"),
    ("redis_set_members", "a member of a set"),
    ("redis_zset_members", "a member of a sorted set"),
    ("redis_list_items", "an item of a list"),
    ("redis_stream_entries", "an entry of a stream"),
    ("redis_string", "a string row"),
    ("redis_hll", "a HyperLogLog row"),
    ("redis_bare_string", "a string of the oldest layout, whose row key is the user key itself"),
    ("redis_ttl", "an expiry in a row of its own"),
    ("redis_collection", "a key and collection type"),
    ("redis_delta", "an unmerged change of a collection's length"),
    ("redis_hash_field", "a field of a hash"),
    ("redis_set_member", "a member of a set"),
    ("redis_zset_member", "a member of a sorted set"),
    ("redis_list_item", "an item of a list"),
    ("redis_stream_entry", "an entry of a stream"),
    ("redis_type_conflict", "a second type under a key"),
    (
        "redis_collection_state",
        "what can be said of a collection: where its contents stand, what it should hold and what it holds",
    ),
    ("redis_exported_string", "a string of the dump, of either layout"),
    ("redis_exported_hll", "a HyperLogLog of the dump"),
    ("redis_exported_collection", "a collection of the dump"),
    ("dynamodb_tables", "a table that exists"),
    ("dynamodb_items", "an item"),
    ("dynamodb_attributes", "a top-level attribute of an item"),
    ("dynamodb_other_rows", "an item row that no client sees"),
    ("dynamodb_table_name", "a table that rows speak of, whether it exists or not"),
    ("dynamodb_table", "a table that exists"),
    ("dynamodb_generation_counter", "the last generation ever given to a name"),
    ("dynamodb_generation", "item rows of a table and generation"),
    ("dynamodb_item_row", "a visible item row, whether an item or not"),
    ("dynamodb_item", "an item that a client sees"),
    (
        "dynamodb_part",
        "an attribute, member of a map, element of a list or set, of an item too long for one JSON text",
    ),
    ("dynamodb_exported_item", "an item with its row"),
    ("s3_buckets", "a bucket that exists"),
    ("s3_objects", "an object"),
    ("s3_faults", "something that is missing or wrong about an object"),
    ("s3_missing_chunks", "of these, a chunk that is not there"),
    ("s3_orphan_chunks", "a chunk that belongs to no object and to no unfinished upload"),
    ("s3_open_uploads", "a multipart upload that was begun and not finished"),
    ("s3_bucket", "a bucket that exists"),
    ("s3_head", "a manifest of any generation"),
    ("s3_upload", "what chunks belong to: an upload of an object, in one piece or in parts"),
    ("s3_upload_meta", "a multipart upload that was begun"),
    ("s3_upload_part", "a part of one"),
    ("s3_chunk", "a chunk"),
    ("s3_chunk_ref", "a reference to a chunk whose bytes lie under their digest"),
    ("s3_chunk_blob", "a version of the bytes under a digest"),
    ("s3_object", "an object that clients see"),
    ("s3_part", "a part that the manifest of an object names"),
    ("s3_part_chunk", "a chunk that it names"),
    ("s3_fault", "something that is missing or wrong"),
    (
        "s3_selected_chunk",
        "a chunk that an object consists of, with its bytes or its reference as far as they are there",
    ),
    ("s3_open_upload", "an unfinished upload of the bucket's current generation"),
    ("s3_orphan", "a chunk that belongs to nothing"),
    ("sqs_queues", "a queue"),
    ("sqs_messages", "a message of the dump"),
    ("sqs_unreachable_messages", "a generation or partition whose messages no client can reach"),
    ("sqs_side_rows", "a row of an index, a deduplication window or a group lock"),
    (
        "sqs_index_rows_without_message",
        "an index row of a queue's own messages that leads to none, or to one of another time",
    ),
    ("sqs_messages_without_index_row", "a message that a node does not find"),
    ("sqs_queue", "a queue that exists"),
    ("sqs_counter", "the generation or sequence number that a queue issued last; it outlives the queue"),
    ("sqs_partition", "what keys of messages begin with: a generation of a queue, or a partition of it"),
    ("sqs_message", "a message row"),
    ("sqs_unreadable_message", "a message row whose value cannot be read; empty after a whole load"),
    ("sqs_side_row", "a row that only helps to find messages, or to refuse some"),
    ("sqs_tombstone", "a generation that waits for the reaper"),
    ("sqs_partition_state", "a partition, and why a client cannot reach its messages"),
    ("txn_pending", "an intent, with what is known of its transaction"),
    ("txn_intent", "an intent"),
    ("txn_lock", "a lock"),
    ("txn_commit", "a commit record"),
    ("dump_file", "a file of the dump"),
    ("dump_unfinished_file", "the file that is half-written, if any"),
    ("dump_keymap", "a name that cannot be turned back into its key"),
];

/// A table or view of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relation {
    /// Its name.
    pub name: String,
    /// Or a table.
    pub is_view: bool,
    /// What one row of it is; empty for a relation that ekvsnap has not made.
    pub holds: &'static str,
    /// Names of its columns.
    pub columns: Vec<String>,
}

/// All tables and views that a database has, in the order of [`RELATIONS`]; unknown ones come last.
///
/// # Errors
/// Whatever SQLite says.
pub fn relations(connection: &Connection) -> rusqlite::Result<Vec<Relation>> {
    let mut names = connection.prepare(
        "SELECT name, type = 'view' FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' \
         ESCAPE '\\' ORDER BY name",
    )?;
    let mut columns = connection.prepare("SELECT name FROM pragma_table_info(?)")?;
    let mut all = names
        .query_map([], |row| {
            let name: String = row.get(0)?;
            let columns = columns.query_map([&name], |row| row.get(0))?.collect::<Result<_, _>>()?;
            let holds = RELATIONS.iter().find(|(known, _)| *known == name).map_or("", |(_, holds)| holds);
            Ok(Relation { name, is_view: row.get(1)?, holds, columns })
        })?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    all.sort_by_key(|relation| {
        RELATIONS.iter().position(|(known, _)| *known == relation.name).unwrap_or(usize::MAX)
    });
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::staging::Staging;

    #[test]
    fn every_table_and_view_says_what_it_holds() {
        let directory = tempfile::tempdir().unwrap();
        let staging = Staging::create(&directory.path().join("s.db")).unwrap();
        let all = relations(staging.connection()).unwrap();
        for relation in &all {
            assert!(!relation.holds.is_empty(), "{} says nothing", relation.name);
            assert!(!relation.columns.is_empty());
        }
        assert_eq!(all.len(), RELATIONS.len(), "a relation is described that is not there");
    }

    #[test]
    fn the_words_are_those_of_the_documentation() {
        let page = include_str!("../../docs/staging.md");
        let documented: Vec<_> = page
            .lines()
            .filter_map(|line| {
                let (name, rest) = line.strip_prefix("| **`")?.split_once("`** | ")?;
                let (_, holds) = rest.strip_suffix(" |")?.split_once(" | ")?;
                Some((name, holds.replace('`', "")))
            })
            .collect();
        for ((name, holds), words) in RELATIONS.iter().zip(&documented) {
            assert_eq!((*name, holds.to_string()), *words);
        }
        assert_eq!(RELATIONS.len(), documented.len());
    }
}
