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
    note(
        Kind::RedisStreamOrphanEntriesWithoutMeta,
        "SELECT key, elements || ' entries' FROM redis_collection \
         WHERE type = 'stream' AND meta_length IS NULL AND elements > 0",
    )?;
    let expired = format!("expire_at_ms <= {snapshot_ms}");
    note(
        Kind::RedisExpiredKey,
        &format!(
            "SELECT key, {EXPIRY} FROM redis_exported_string WHERE {expired} \
             UNION ALL SELECT key, {EXPIRY} FROM redis_exported_hll WHERE {expired}"
        ),
    )?;
    note_collections(connection, warnings, &expired)
}

/// What can be odd about a collection that is exported.
struct Oddity<'a> {
    kind: Kind,
    condition: &'a str,
    /// How much each one adds to the count.
    weight: &'a str,
    remark: &'a str,
}

const LENGTHS: &str = "'declared ' || declared || ', found ' || found";
const EXPIRY: &str = "'at ' || expire_at_ms || ' ms'";

/// All oddities are counted in one pass, since there may be as many collections as there are keys. Only those that
/// come up cost another one.
fn note_collections(
    connection: &Connection,
    warnings: &mut Warnings,
    expired: &str,
) -> Result<(), StagingError> {
    let oddity = |kind, condition, remark| Oddity { kind, condition, weight: "1", remark };
    let oddities = [
        oddity(Kind::RedisHashLengthMismatch, "type = 'hash' AND declared <> found", LENGTHS),
        oddity(Kind::RedisListLengthMismatch, "type = 'list' AND declared <> found", LENGTHS),
        oddity(Kind::RedisSetLengthMismatch, "type = 'set' AND declared <> found", LENGTHS),
        oddity(Kind::RedisStreamLengthMismatch, "type = 'stream' AND declared <> found", LENGTHS),
        oddity(Kind::RedisZsetLengthMismatch, "type = 'zset' AND declared <> found", LENGTHS),
        oddity(
            Kind::RedisListItemsWithoutMeta,
            "type = 'list' AND meta_length IS NULL AND NOT has_delta",
            "NULL",
        ),
        oddity(Kind::RedisStreamLegacyBlob, "type = 'stream' AND meta_length IS NULL", "NULL"),
        oddity(Kind::RedisExpiredKey, expired, EXPIRY),
        Oddity {
            kind: Kind::RedisZsetNanScore,
            condition: "nan_scores > 0",
            weight: "nan_scores",
            remark: "nan_scores || ' members'",
        },
    ];
    let counts = oddities.each_ref().map(|Oddity { condition, weight, .. }| {
        format!("coalesce(sum({weight}) FILTER (WHERE {condition}), 0)")
    });
    // Where one of the nine holds, so does one of these four, which settle almost every collection in less time.
    let sql = format!(
        "SELECT {} FROM redis_exported_collection \
         WHERE declared <> found OR meta_length IS NULL OR nan_scores > 0 OR {expired}",
        counts.join(", ")
    );
    let counts: Vec<i64> =
        connection.query_row(&sql, [], |row| (0..oddities.len()).map(|column| row.get(column)).collect())?;
    for (Oddity { kind, condition, remark, .. }, count) in oddities.into_iter().zip(counts) {
        if count > 0 {
            let sql = format!("SELECT key, {remark} FROM redis_exported_collection WHERE {condition}");
            warnings.add_many(kind, count.cast_unsigned(), samples(connection, &sql)?);
        }
    }
    Ok(())
}

/// Which keys have rows of several types, and which type wins. Candidates come from joins of the tables that are
/// not empty, the smaller one driving: on a healthy snapshot most tables share no key, and one type alone costs
/// nothing.
fn find_conflicts(connection: &Connection) -> Result<(), StagingError> {
    connection.execute_batch(
        "DELETE FROM redis_type_conflict;
         CREATE TEMP TABLE conflict_candidate (key BLOB NOT NULL PRIMARY KEY) WITHOUT ROWID;",
    )?;
    let ask = |sql: String| connection.query_row(&sql, [], |row| row.get::<_, i64>(0));
    // Keys are unique within a type.
    let other = "SELECT 1 FROM redis_collection WHERE type <> (SELECT type FROM redis_collection LIMIT 1)";
    if ask(format!("SELECT EXISTS ({other})"))? != 0 {
        connection.execute_batch(
            "INSERT INTO conflict_candidate SELECT key FROM redis_collection GROUP BY key HAVING count(*) > 1",
        )?;
    }
    let mut filled = Vec::new();
    for table in KEY_TABLES {
        if ask(format!("SELECT EXISTS (SELECT 1 FROM {table})"))? != 0 {
            filled.push(table);
        }
    }
    let mut tables = Vec::new();
    if filled.len() > 1 {
        for table in filled {
            tables.push((ask(format!("SELECT count(*) FROM {table}"))?, table));
        }
        tables.sort_unstable();
    }
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
