//! What the views over all families must say of any staging database, whatever is in it: as many keys as the report has,
//! and as many leftovers as the warnings count.

use std::collections::BTreeMap;

use ekvsnap::report::Report;
use rusqlite::Connection;

/// Warnings whose rows `orphans` lists.
const ORPHANS: [&str; 13] = [
    "redis_orphan_ttl",
    "redis_stream_orphan_entries_without_meta",
    "ddb_orphan_items",
    "ddb_stale_generation_items",
    "s3_object_without_bucket",
    "s3_stale_generation_objects",
    "s3_orphan_chunks",
    "sqs_deleted_queue_messages",
    "sqs_messages_without_queue",
    "sqs_old_generation_messages",
    "sqs_future_generation_messages",
    "sqs_wrong_keyspace_messages",
    "sqs_partition_out_of_range_messages",
];

/// Warnings whose rows `conflicts` lists.
const CONFLICTS: [&str; 3] = ["redis_type_conflict", "redis_stale_bare_string", "ddb_migration_duplicates"];

/// Compares the views with what a run has reported.
#[track_caller]
pub fn assert_they_agree(staging: &Connection, report: &Report) {
    // Of a stream the warning counts the key, the view the entries.
    let rows = "iif(kind = 'redis_stream_orphan_entries_without_meta', 1, rows)";
    let orphans = counts(staging, &format!("SELECT kind, sum({rows}) FROM orphans GROUP BY kind"));
    assert_eq!(orphans, warned(report, &ORPHANS), "orphans");
    let kinds = CONFLICTS.map(|kind| format!("'{kind}'")).join(", ");
    let conflicts = format!("SELECT kind, count(*) FROM conflicts WHERE kind IN ({kinds}) GROUP BY kind");
    assert_eq!(counts(staging, &conflicts), warned(report, &CONFLICTS), "conflicts");
    let quarantined =
        counts(staging, "SELECT 'quarantined_row', count(*) FROM quarantined_rows HAVING count(*) > 0");
    assert_eq!(quarantined, warned(report, &["quarantined_row"]));

    let keys = counts(staging, "SELECT family || ' ' || type, count(*) FROM keys GROUP BY family, type");
    let reported = report.families.iter().flat_map(|family| {
        // Buckets hold keys, messages are elements.
        let kinds = family.kinds.iter().filter(|(kind, _)| kind != "bucket" && kind != "message");
        kinds.map(|(kind, count)| (format!("{} {kind}", family.family), *count))
    });
    assert_eq!(keys, reported.filter(|(_, count)| *count > 0).collect(), "keys");
    let rows = counts(staging, "SELECT class, sum(rows) FROM row_classes GROUP BY class");
    let reported = report.classes.iter().map(|class| (class.class.to_owned(), class.rows));
    assert_eq!(rows, reported.filter(|(_, rows)| *rows > 0).collect(), "row_classes");
}

fn warned(report: &Report, kinds: &[&str]) -> BTreeMap<String, u64> {
    let warnings = report.warnings.iter().filter(|warning| kinds.contains(&warning.kind));
    warnings.map(|warning| (warning.kind.to_owned(), warning.count)).collect()
}

fn counts(staging: &Connection, sql: &str) -> BTreeMap<String, u64> {
    let mut query = staging.prepare(sql).unwrap();
    let rows = query.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned())));
    rows.unwrap().map(Result::unwrap).collect()
}
