//! The staged rows as a whole: which type a key has, what is missing, what does not add up
//! (`docs/format/redis.md` section 3). All of it is SQL; what comes out are warnings and the table of type conflicts.

use rusqlite::Connection;

use crate::snapshot::Readable;
use crate::staging::{Kind, StagingError, Warnings};

/// Tables with one row per key, of which a key should be in one only. Collections meet each other in their own
/// table.
const KEY_TABLES: [&str; 4] = ["redis_string", "redis_hll", "redis_bare_string", "redis_collection"];

/// Fills `redis_type_conflict` and notes what is odd. `snapshot_ms` is the snapshot's own time in Unix ms.
pub(super) fn reconcile(
    connection: &Connection,
    snapshot_ms: i64,
    warnings: &mut Warnings,
) -> Result<(), StagingError> {
    find_conflicts(connection)?;
    recount_nan_scores(connection)?;
    let mut note = |kind, sql: &str| note(connection, warnings, kind, sql);
    note(
        Kind::RedisTypeConflict,
        "SELECT key, type || ' beside ' || winner FROM redis_type_conflict \
         WHERE (type, winner) <> ('bare string', 'string')",
    )?;
    note(
        Kind::RedisStaleBareString,
        "SELECT key, NULL FROM redis_type_conflict WHERE (type, winner) = ('bare string', 'string')",
    )?;
    note(
        Kind::RedisOrphanTtl,
        "SELECT key, NULL FROM redis_ttl t \
         WHERE NOT EXISTS (SELECT 1 FROM redis_string s WHERE s.key = t.key) \
         AND NOT EXISTS (SELECT 1 FROM redis_collection c WHERE c.key = t.key) \
         AND NOT EXISTS (SELECT 1 FROM redis_hll h WHERE h.key = t.key) \
         AND NOT EXISTS (SELECT 1 FROM redis_bare_string b WHERE b.key = t.key)",
    )?;
    for (kind, of) in [
        (Kind::RedisHashLengthMismatch, "hash"),
        (Kind::RedisListLengthMismatch, "list"),
        (Kind::RedisSetLengthMismatch, "set"),
        (Kind::RedisStreamLengthMismatch, "stream"),
        (Kind::RedisZsetLengthMismatch, "zset"),
    ] {
        let sql = format!(
            "SELECT key, 'declared ' || declared || ', found ' || found FROM redis_exported_collection \
             WHERE type = '{of}' AND declared <> found"
        );
        note(kind, &sql)?;
    }
    note(
        Kind::RedisListItemsWithoutMeta,
        "SELECT key, NULL FROM redis_exported_collection \
         WHERE type = 'list' AND meta_length IS NULL AND NOT has_delta",
    )?;
    note(
        Kind::RedisStreamOrphanEntriesWithoutMeta,
        "SELECT key, elements || ' entries' FROM redis_collection \
         WHERE type = 'stream' AND meta_length IS NULL AND elements > 0",
    )?;
    note(
        Kind::RedisStreamLegacyBlob,
        "SELECT key, NULL FROM redis_exported_collection WHERE type = 'stream' AND meta_length IS NULL",
    )?;
    let expired = format!(
        "SELECT key, 'at ' || expire_at_ms || ' ms' FROM redis_exported_string WHERE expire_at_ms <= {snapshot_ms} \
         UNION ALL SELECT key, 'at ' || expire_at_ms || ' ms' FROM redis_exported_hll \
         WHERE expire_at_ms <= {snapshot_ms} \
         UNION ALL SELECT key, 'at ' || expire_at_ms || ' ms' FROM redis_exported_collection \
         WHERE expire_at_ms <= {snapshot_ms}"
    );
    note(Kind::RedisExpiredKey, &expired)?;
    let nan_scores: i64 = connection.query_row(
        "SELECT coalesce(sum(nan_scores), 0) FROM redis_exported_collection WHERE nan_scores > 0",
        [],
        |row| row.get(0),
    )?;
    let samples = samples(
        connection,
        "SELECT key, nan_scores || ' members' FROM redis_exported_collection WHERE nan_scores > 0",
    )?;
    warnings.add_many(Kind::RedisZsetNanScore, nan_scores.cast_unsigned(), samples);
    Ok(())
}

/// Which keys have rows of several types, and which type wins. Candidates come from joins of the tables that are
/// not empty, the smaller one driving: on a healthy snapshot most tables share no key, and one type alone costs
/// nothing.
fn find_conflicts(connection: &Connection) -> Result<(), StagingError> {
    connection.execute_batch(
        "DELETE FROM redis_type_conflict;
         CREATE TEMP TABLE conflict_candidate (key BLOB NOT NULL PRIMARY KEY) WITHOUT ROWID;
         INSERT INTO conflict_candidate SELECT key FROM redis_collection GROUP BY key HAVING count(*) > 1;",
    )?;
    let mut tables = Vec::new();
    for table in KEY_TABLES {
        let rows: i64 =
            connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))?;
        if rows > 0 {
            tables.push((rows, table));
        }
    }
    tables.sort_unstable();
    for (i, (_, small)) in tables.iter().enumerate() {
        for (_, large) in &tables[i + 1..] {
            connection.execute_batch(&format!(
                "INSERT OR IGNORE INTO conflict_candidate \
                 SELECT s.key FROM {small} s CROSS JOIN {large} l ON l.key = s.key"
            ))?;
        }
    }
    // The joins stand inside the union, where they find a candidate by its key; outside of it they would copy
    // every key there is.
    connection.execute_batch(
        "INSERT INTO redis_type_conflict (key, type, winner)
         WITH type_of (key, type, rank) AS (
             SELECT c.key, 'string', 1 FROM conflict_candidate c CROSS JOIN redis_string t ON t.key = c.key
             UNION ALL
             SELECT c.key, 'hll', 2 FROM conflict_candidate c CROSS JOIN redis_hll t ON t.key = c.key
             UNION ALL
             SELECT c.key, 'bare string', 3
             FROM conflict_candidate c CROSS JOIN redis_bare_string t ON t.key = c.key
             UNION ALL
             SELECT c.key, t.type, t.rank
             FROM conflict_candidate c CROSS JOIN redis_collection_state t ON t.key = c.key
             WHERE t.rank IS NOT NULL)
         SELECT key, type, winner FROM (
             SELECT key, type, first_value(type) OVER (PARTITION BY key ORDER BY rank) AS winner FROM type_of)
         WHERE type <> winner;
         DROP TABLE conflict_candidate;",
    )?;
    Ok(())
}

/// The load counts the NaN scores of every file; members of a second file do not count.
fn recount_nan_scores(connection: &Connection) -> Result<(), StagingError> {
    connection.execute_batch(
        "UPDATE redis_collection SET nan_scores = (
             SELECT count(*) FROM redis_zset_member m WHERE m.collection = id AND m.score IS NULL)
         WHERE nan_scores > 0",
    )?;
    Ok(())
}

/// Counts what a query of (key, remark) finds, and shows the first of it.
fn note(connection: &Connection, warnings: &mut Warnings, kind: Kind, sql: &str) -> Result<(), StagingError> {
    let count: i64 = connection.query_row(&format!("SELECT count(*) FROM ({sql})"), [], |row| row.get(0))?;
    if count > 0 {
        warnings.add_many(kind, count.cast_unsigned(), samples(connection, sql)?);
    }
    Ok(())
}

fn samples(connection: &Connection, sql: &str) -> Result<Vec<String>, StagingError> {
    let mut query = connection.prepare(&format!("{sql} LIMIT 10"))?;
    let shown = query.query_map([], |row| {
        let key: Vec<u8> = row.get(0)?;
        let remark: Option<String> = row.get(1)?;
        Ok(match remark {
            Some(remark) => format!("{}: {remark}", Readable(&key)),
            None => Readable(&key).to_string(),
        })
    })?;
    Ok(shown.collect::<Result<_, _>>()?)
}
