//! From `table/hash` or `table/hash/range`, as the view `keys` shows items, to where an item stands. Which of them is meant
//! where a value holds a slash is left to the caller: all that are there are named.

use rusqlite::Connection;
use rusqlite::types::Value;

use crate::dump::json::push_base64url;
use crate::family::KeyPlace;
use crate::staging::{StagingError, blob_literal};

pub(super) fn places(connection: &Connection, name: &[u8]) -> Result<Vec<KeyPlace>, StagingError> {
    let mut table = connection.prepare(
        "SELECT id FROM dynamodb_table WHERE id IN \
         (SELECT id FROM dynamodb_table_name WHERE segment = ?)",
    )?;
    let mut of_hash = connection.prepare(
        "SELECT identity FROM dynamodb_item WHERE table_id = ? AND hash = ? AND range_type IS NULL",
    )?;
    let mut of_both = connection
        .prepare("SELECT identity FROM dynamodb_item WHERE table_id = ? AND hash = ? AND range = ?")?;
    // What stands beside an item that is not there.
    let item = "SELECT identity FROM dynamodb_item WHERE table_id = ?1 AND hash";
    let mut beside = [
        connection.prepare(&format!("{item} >= ?2 ORDER BY hash LIMIT 1"))?,
        connection.prepare(&format!("{item} < ?2 ORDER BY hash DESC LIMIT 1"))?,
    ];
    let mut places = Vec::new();
    for (table_name, rest) in splits(name) {
        let mut scope = Vec::new();
        push_base64url(table_name, &mut scope);
        let ids = table.query_map([&scope], |row| row.get(0))?.collect::<Result<Vec<i64>, _>>()?;
        let mut add = |key| places.push(KeyPlace { scope: scope.clone(), key });
        for id in ids {
            add(Vec::new());
            // An item whose hash is too long to be shown is called by its encoded key attributes.
            blob_literal(rest).into_iter().for_each(&mut add);
            for hash in values(rest) {
                of_hash.query_map((id, &hash), |row| row.get(0))?.try_for_each(|key| key.map(&mut add))?;
                for query in &mut beside {
                    query.query_map((id, &hash), |row| row.get(0))?.try_for_each(|key| key.map(&mut add))?;
                }
            }
            for (hash, range) in splits(rest) {
                for hash in values(hash) {
                    for range in values(range) {
                        of_both
                            .query_map((id, &hash, range), |row| row.get(0))?
                            .try_for_each(|key| key.map(&mut add))?;
                    }
                }
            }
        }
    }
    Ok(places)
}

/// What stands before and behind each slash.
fn splits(name: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let slashes = name.iter().enumerate().filter(|(_, byte)| **byte == b'/');
    slashes.map(|(at, _)| (&name[..at], &name[at + 1..]))
}

/// What a column holds that is shown so: a text, or bytes as a blob literal.
fn values(shown: &[u8]) -> impl Iterator<Item = Value> {
    let text = str::from_utf8(shown).ok().map(|text| Value::Text(text.to_owned()));
    text.into_iter().chain(blob_literal(shown).map(Value::Blob))
}
