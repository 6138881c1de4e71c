//! Keys that are named like a row (`docs/format/redis.md` section 3). A node that is asked for a key looks for the bare
//! string before any collection, and takes whatever row has the key for its name: beside a string `x`, a collection
//! `!redis|str|x` is hidden by it. Such a row is staged as the bare string that a client sees. Leaves the conflict to
//! `reconcile`.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};

use crate::staging::{Cell, Extent, LargeValues, StagingError};

/// Rows of one key whose value can be told from the tables.
struct Named {
    /// What their row keys begin with.
    prefix: &'static str,
    /// Where the rest of the row key is the column `key`.
    table: &'static str,
    /// What else has to be so.
    condition: &'static str,
    /// Columns of which `head` makes the beginning of the row's value.
    columns: &'static str,
    head: fn(&Row<'_>) -> rusqlite::Result<Vec<u8>>,
    /// What follows the beginning: a column that holds bytes or the number of a large value.
    rest: &'static str,
}

const STRING_COLUMNS: &str = "t.envelope, t.expire_at_ms";

const NAMED: [Named; 4] = [
    Named {
        prefix: "!redis|str|",
        table: "redis_string",
        condition: "TRUE",
        columns: STRING_COLUMNS,
        head: |row| envelope([0xFF, 0x01], row),
        rest: "t.value",
    },
    Named {
        prefix: "!redis|hll|",
        table: "redis_hll",
        condition: "TRUE",
        columns: STRING_COLUMNS,
        head: |row| envelope([0xFF, 0x02], row),
        rest: "t.value",
    },
    Named {
        prefix: "!redis|ttl|",
        table: "redis_ttl",
        condition: "TRUE",
        columns: "t.expire_at_ms",
        head: numbers::<1>,
        rest: "x''",
    },
    Named {
        prefix: "!lst|meta|",
        table: "redis_collection",
        condition: "t.type = 'list' AND t.meta_length IS NOT NULL",
        columns: "t.list_head, t.list_tail, t.meta_length, t.meta_expire_at_ms",
        head: numbers::<4>,
        rest: "x''",
    },
];

/// Stages the rows that hide a collection named like them.
///
/// # Errors
/// Whatever SQLite says.
pub(super) fn stage(connection: &Connection, large_values: &LargeValues<'_>) -> Result<(), StagingError> {
    let mut insert = connection.prepare(
        "INSERT OR IGNORE INTO redis_bare_string (key, key_is_text, envelope, value, source) VALUES (?, ?, 0, ?, ?)",
    )?;
    for Named { prefix, table, condition, columns, head, rest } in NAMED {
        let (first, end, bytes) = (prefix.as_bytes(), after(prefix), prefix.len());
        let mut query = connection.prepare(&format!(
            "SELECT {columns}, {rest} AS rest, c.key, c.key_is_text, t.source FROM redis_collection_state c \
             CROSS JOIN {table} t ON t.key = CAST(substr(c.key, {bytes} + 1) AS BLOB) AND {condition} \
             WHERE c.key >= ? AND c.key < ? AND c.rank IS NOT NULL"
        ))?;
        let mut rows = query.query((first, end))?;
        while let Some(row) = rows.next()? {
            let mut value = head(row)?;
            let cell = match row.get_ref("rest")? {
                ValueRef::Integer(id) => {
                    let (value_only, before) = (large_values.find(id)?, value.len() as u64);
                    let (start, length) =
                        (value_only.start.saturating_sub(before), value_only.length + before);
                    Cell::integer(large_values.save(Extent { start, length, ..value_only })?)
                }
                ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
                    value.extend_from_slice(bytes);
                    Cell::text_or_blob(&value)
                }
                ValueRef::Null | ValueRef::Real(_) => continue,
            };
            let key: Vec<u8> = row.get("key")?;
            insert.execute((key, row.get::<_, i64>("key_is_text")?, cell, row.get::<_, i64>("source")?))?;
        }
    }
    Ok(())
}

/// What no text with this prefix reaches; none ends in 0xFF.
fn after(prefix: &str) -> Vec<u8> {
    let mut end = prefix.as_bytes().to_vec();
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    end
}

/// The envelope of a string or HyperLogLog, if it has one (`docs/format/redis.md` sections 2.1 and 2.2).
fn envelope(magic: [u8; 2], row: &Row<'_>) -> rusqlite::Result<Vec<u8>> {
    if !row.get::<_, bool>(0)? {
        return Ok(Vec::new());
    }
    let expire_at_ms: Option<i64> = row.get(1)?;
    let mut head = [&magic[..], &[u8::from(expire_at_ms.is_some())]].concat();
    if let Some(expire_at_ms) = expire_at_ms {
        head.extend_from_slice(&expire_at_ms.to_be_bytes());
    }
    Ok(head)
}

/// As many numbers as the row has.
fn numbers<const N: usize>(row: &Row<'_>) -> rusqlite::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(8 * N);
    for column in 0..N {
        if let Some(number) = row.get::<_, Option<i64>>(column)? {
            head.extend_from_slice(&number.to_be_bytes());
        }
    }
    Ok(head)
}
