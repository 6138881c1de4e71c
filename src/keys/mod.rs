//! The keys room: questions about the keys of a staging database, put to its view `keys`. It owns which keys are asked for
//! and the stream of those that are (this module), how people call a key and which one they mean (`find`), one key's file
//! (`get`), and counts (`stats`, by prefix in `prefix`, the biggest in `top`). What a key is stands in the views, what its
//! file holds with the families; how answers are shown is left to the command line.

mod find;
mod get;
mod prefix;
mod stats;
mod top;

use std::ops::ControlFlow;

use rusqlite::types::Value;
use rusqlite::{Row, params_from_iter};
use serde::Serialize;

pub use self::find::{Called, Found, find, near};
pub use self::get::{get, stored_content};
pub use self::prefix::{OtherPrefixes, PrefixStats, Separators};
pub use self::stats::{EXPIRY_CLASSES, Expiries, FamilyStats, StatsOptions, TypeStats, stats};
pub use self::top::BigKey;
use crate::dump::json::push_base64url;
use crate::error::Error;
use crate::family::ADAPTERS;
use crate::family::redis::{glob, is_database};
use crate::staging::{Staging, column};

/// Every type of key, as the view has it.
pub const TYPES: [&str; 10] =
    ["string", "hll", "hash", "list", "set", "stream", "zset", "item", "object", "queue"];

/// What is read of a key; [`Key::of`] knows the order.
const COLUMNS: &str = "family, scope, key, type, bytes, elements, expires, expire_at_ms, key_hex, name, \
     scope_order, key_order";

/// A key, as the view `keys` has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Key<'r> {
    /// The adapter.
    pub family: &'r str,
    /// Database, table, bucket or queue.
    pub scope: &'r str,
    /// Text, or a blob literal where it is none.
    pub key: &'r str,
    /// One of [`TYPES`].
    #[serde(rename = "type")]
    pub key_type: &'r str,
    /// What its value has.
    pub bytes: i64,
    /// Fields, members, items, entries or messages; `None` for what has none.
    pub elements: Option<i64>,
    /// When it expires, as text; `None`: never, or beyond the year 9999.
    pub expires: Option<&'r str>,
    /// The same in Unix ms; `None`: never.
    pub expire_at_ms: Option<i64>,
    /// The bytes of the key; of an item, of its encoded key attributes.
    pub key_hex: &'r str,
    /// What people call it: the key, with its table or bucket and a slash before it.
    #[serde(skip)]
    pub name: &'r [u8],
}

impl<'r> Key<'r> {
    /// From a row of [`COLUMNS`].
    fn of(row: &'r Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            family: row.get_ref(0)?.as_str()?,
            scope: row.get_ref(1)?.as_str()?,
            key: row.get_ref(2)?.as_str()?,
            key_type: row.get_ref(3)?.as_str()?,
            bytes: row.get(4)?,
            elements: row.get(5)?,
            expires: row.get_ref(6)?.as_str_or_null()?,
            expire_at_ms: row.get(7)?,
            key_hex: row.get_ref(8)?.as_str()?,
            name: column::bytes(row, 9)?,
        })
    }
}

/// When keys expire that are asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expires {
    /// Whenever, or never.
    #[default]
    Any,
    /// Before this moment, in Unix ms.
    Before(i64),
    /// Never.
    Never,
}

/// Which keys are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of these adapters.
    pub adapters: Vec<String>,
    /// Adapter and name of a database, table, bucket or queue: of that adapter only these.
    pub scopes: Vec<(String, String)>,
    /// Of these types; empty for all.
    pub types: Vec<String>,
    /// Whose name matches this pattern of Redis'.
    pub pattern: Option<Vec<u8>>,
    /// With more bytes than this.
    pub larger_than: Option<u64>,
    /// By expiry.
    pub expires: Expires,
}

/// The order of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Family by family, scope by scope, by the bytes of the key: as they are read, without sorting.
    #[default]
    Key,
    /// The one with the most bytes first.
    Size,
    /// The one that expires first comes first, those that never do come last.
    Expiry,
}

/// A part of a query, and its parameters in their order.
struct Condition {
    sql: String,
    values: Vec<Value>,
}

impl Condition {
    fn and(&mut self, sql: &str, values: impl IntoIterator<Item = Value>) {
        self.sql.push_str(" AND ");
        self.sql.push_str(sql);
        self.values.extend(values);
    }
}

impl Filter {
    /// Everything of these adapters.
    pub fn of_adapters(adapters: Vec<String>) -> Self {
        Self { adapters, ..Self::default() }
    }

    /// The adapters asked for, in the order of the view.
    fn families(&self) -> impl Iterator<Item = &'static str> {
        let mut families = ADAPTERS;
        families.sort_unstable();
        families.into_iter().filter(|name| self.adapters.iter().any(|asked| asked == name))
    }

    fn of_family(&self, family: &str) -> Condition {
        let mut condition =
            Condition { sql: "family = ?".to_owned(), values: vec![family.to_owned().into()] };
        let scopes: Vec<_> =
            self.scopes.iter().filter(|(of, _)| of == family).map(|(_, scope)| scope.as_str()).collect();
        match family {
            _ if scopes.is_empty() => {}
            // There is one database, and its keys have no scope before them.
            "redis" => condition.and("?", [scopes.iter().copied().any(is_database).into()]),
            _ => {
                let orders = scopes.iter().map(|scope| scope_order(family, scope));
                condition.and(&among("scope_order", scopes.len()), orders);
            }
        }
        if !self.types.is_empty() {
            let types = self.types.iter().map(|of| of.clone().into());
            condition.and(&among("type", self.types.len()), types);
        }
        if let Some(pattern) = &self.pattern {
            // An index leads to keys that begin with what the pattern begins with, where the name is the key.
            let prefix = glob::literal_prefix(pattern);
            if matches!(family, "redis" | "sqs") && !prefix.is_empty() {
                condition.and("key_order >= ?", [prefix.clone().into()]);
                if let Some(end) = behind(prefix) {
                    condition.and("key_order < ?", [end.into()]);
                }
            }
            condition.and("redis_glob(?, name)", [pattern.clone().into()]);
        }
        if let Some(bytes) = self.larger_than {
            condition.and("bytes > ?", [i64::try_from(bytes).unwrap_or(i64::MAX).into()]);
        }
        match self.expires {
            Expires::Any => {}
            Expires::Before(ms) => condition.and("expire_at_ms < ?", [ms.into()]),
            Expires::Never => condition.and("expire_at_ms IS NULL", []),
        }
        condition
    }
}

fn among(column: &str, count: usize) -> String {
    format!("{column} IN ({})", vec!["?"; count].join(", "))
}

/// A scope as the view sorts it.
fn scope_order(family: &str, scope: &str) -> Value {
    match family {
        "dynamodb" => {
            let mut segment = Vec::new();
            push_base64url(scope.as_bytes(), &mut segment);
            segment.into()
        }
        _ => scope.as_bytes().to_vec().into(),
    }
}

/// The least bytes that are greater than all that begin with `prefix`; `None` if nothing is.
fn behind(mut prefix: Vec<u8>) -> Option<Vec<u8>> {
    while let Some(last) = prefix.pop() {
        if let Some(next) = last.checked_add(1) {
            prefix.push(next);
            return Some(prefix);
        }
    }
    None
}

/// Hands over the keys that are asked for, at most `limit` of them, until `each` breaks. In the order of keys the first
/// one comes at once; any other order looks at all of them before.
///
/// # Errors
/// Those of `each`; whatever SQLite says.
pub fn list<E: From<Error>>(
    staging: &Staging,
    filter: &Filter,
    order: Order,
    limit: Option<u64>,
    mut each: impl FnMut(&Key<'_>) -> Result<ControlFlow<()>, E>,
) -> Result<(), E> {
    let limit = limit.map_or(i64::MAX, |limit| i64::try_from(limit).unwrap_or(i64::MAX));
    select(staging, filter, COLUMNS, order, limit, |row| each(&Key::of(row).map_err(Error::from)?))
}

/// As [`list`], for whoever needs only some columns. Among them must be what keys are in order of.
fn select<E: From<Error>>(
    staging: &Staging,
    filter: &Filter,
    columns: &str,
    order: Order,
    mut limit: i64,
    mut each: impl FnMut(&Row<'_>) -> Result<ControlFlow<()>, E>,
) -> Result<(), E> {
    let conditions = filter.families().map(|family| filter.of_family(family));
    // Family by family, each in the order of its index; or all of them sorted together.
    let (groups, by): (Vec<Vec<_>>, _) = match order {
        Order::Key => (conditions.map(|one| vec![one]).collect(), "scope_order, key_order"),
        Order::Size => (vec![conditions.collect()], "bytes DESC, family, scope_order, key_order"),
        Order::Expiry => {
            (vec![conditions.collect()], "expire_at_ms NULLS LAST, family, scope_order, key_order")
        }
    };
    for group in groups {
        let selects: Vec<_> =
            group.iter().map(|one| format!("SELECT {columns} FROM keys WHERE {}", one.sql)).collect();
        let sql = format!("{} ORDER BY {by} LIMIT ?", selects.join(" UNION ALL "));
        let values = group.into_iter().flat_map(|one| one.values).chain([limit.into()]);
        let mut query = staging.connection().prepare(&sql).map_err(Error::from)?;
        let mut rows = query.query(params_from_iter(values)).map_err(Error::from)?;
        while let Some(row) = rows.next().map_err(Error::from)? {
            limit -= 1;
            if each(row)?.is_break() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// The adapters among those asked for that the database was loaded with; all of them if none was asked for.
///
/// # Errors
/// One was asked for and not loaded; whatever SQLite says.
pub fn adapters(staging: &Staging, asked: Option<Vec<String>>) -> Result<Vec<String>, Error> {
    let loaded: String = staging.fact("adapters")?.unwrap_or_default();
    let loaded: Vec<String> = loaded.split(',').map(str::to_owned).collect();
    let Some(asked) = asked else { return Ok(loaded) };
    match asked.iter().find(|adapter| !loaded.contains(adapter)) {
        Some(adapter) => {
            Err(Error::NotStaged { staging: staging.path().to_owned(), adapter: adapter.clone() })
        }
        None => Ok(asked),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_behind_a_prefix_are_the_least_that_do_not_begin_with_it() {
        assert_eq!(behind(b"user:".to_vec()), Some(b"user;".to_vec()));
        assert_eq!(behind(b"a\xff\xff".to_vec()), Some(b"b".to_vec()));
        assert_eq!(behind(b"\xff\xff".to_vec()), None);
    }
}
