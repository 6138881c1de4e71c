//! Counts over all keys of a family, in one pass and constant memory: by type, by prefix, by when they expire.

use std::ops::ControlFlow;

use rusqlite::Row;
use serde::Serialize;

use super::prefix::{OtherPrefixes, Prefixes};
use super::top::Top;
use super::{BigKey, Filter, Order, PrefixStats, Separators, TYPES, select};
use crate::error::Error;
use crate::progress::Progress;
use crate::staging::{Staging, column};

const HOUR_MS: i64 = 3_600_000;

/// When keys expire, from the snapshot's own time on: the names of the classes, and how long each reaches, in ms.
pub const EXPIRY_CLASSES: [(&str, Option<i64>); 7] = [
    ("expired", Some(0)),
    ("within_1_hour", Some(HOUR_MS)),
    ("within_1_day", Some(24 * HOUR_MS)),
    ("within_7_days", Some(7 * 24 * HOUR_MS)),
    ("within_30_days", Some(30 * 24 * HOUR_MS)),
    ("later", Some(i64::MAX)),
    ("never", None),
];

/// How to count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatsOptions {
    /// Where prefixes end.
    pub separators: Separators,
    /// How many prefixes, and of each type how many of the biggest keys, are named.
    pub top: usize,
}

/// The keys of a type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TypeStats {
    /// One of [`TYPES`].
    #[serde(rename = "type")]
    pub key_type: &'static str,
    /// How many.
    pub keys: u64,
    /// Of their values.
    pub bytes: i64,
    /// Fields, members, items, entries or messages.
    pub elements: i64,
    /// Those with the most bytes.
    pub biggest: Vec<BigKey>,
}

/// Keys by when they expire: one count for each of [`EXPIRY_CLASSES`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expiries(pub [u64; EXPIRY_CLASSES.len()]);

impl Serialize for Expiries {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(EXPIRY_CLASSES.iter().map(|(name, _)| name).zip(&self.0))
    }
}

impl Expiries {
    fn add(&mut self, expire_at_ms: Option<i64>, snapshot_ms: i64) {
        let class = EXPIRY_CLASSES.iter().position(|(_, reach)| match (expire_at_ms, reach) {
            (Some(at), Some(reach)) => at <= snapshot_ms.saturating_add(*reach),
            (at, reach) => at.is_none() && reach.is_none(),
        });
        if let Some(count) = class.and_then(|class| self.0.get_mut(class)) {
            *count += 1;
        }
    }
}

/// The keys of a family.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FamilyStats {
    /// The adapter.
    pub family: String,
    /// How many.
    pub keys: u64,
    /// Of their values.
    pub bytes: i64,
    /// The types that there are.
    pub types: Vec<TypeStats>,
    /// The prefixes with the most bytes.
    pub prefixes: Vec<PrefixStats>,
    /// The other prefixes together.
    pub other_prefixes: OtherPrefixes,
    /// By when they expire.
    pub expiries: Expiries,
}

/// Counts the keys of every adapter that has any.
///
/// # Errors
/// Somebody asked for the end; whatever SQLite says.
pub fn stats(
    staging: &Staging,
    filter: &Filter,
    options: &StatsOptions,
    progress: &dyn Progress,
) -> Result<Vec<FamilyStats>, Error> {
    let snapshot_ms = staging.fact("snapshot_ms")?.unwrap_or_default();
    let mut all = Vec::new();
    for family in filter.families() {
        let filter = Filter { adapters: vec![family.to_owned()], ..filter.clone() };
        let mut prefixes = Prefixes::new(&options.separators, options.top);
        let mut types = TYPES.map(|_| OfType::new(options.top));
        let mut expiries = Expiries::default();
        select(staging, &filter, COUNTED, Order::Key, i64::MAX, |row| {
            let counted = Counted::of(row)?;
            prefixes.push(counted.name, counted.bytes);
            expiries.add(counted.expire_at_ms, snapshot_ms);
            let of_type = TYPES.iter().zip(&mut types).find(|(name, _)| **name == counted.key_type);
            of_type.into_iter().for_each(|(_, of)| of.add(&counted));
            progress.advance(1);
            if progress.is_interrupted() { Err(Error::Interrupted) } else { Ok(ControlFlow::Continue(())) }
        })?;
        let types: Vec<_> = TYPES
            .into_iter()
            .zip(types)
            .filter(|(_, of)| of.keys > 0)
            .map(|(name, of)| of.finish(name))
            .collect();
        let keys = types.iter().map(|of| of.keys).sum();
        if keys == 0 {
            continue;
        }
        let (prefixes, other_prefixes) = prefixes.finish();
        all.push(FamilyStats {
            family: family.to_owned(),
            keys,
            bytes: types.iter().fold(0, |sum, of| sum.saturating_add(of.bytes)),
            types,
            prefixes,
            other_prefixes,
            expiries,
        });
    }
    Ok(all)
}

/// What is read of a key to count it.
const COUNTED: &str = "type, bytes, elements, expire_at_ms, name, scope_order, key_order";

/// A row of these columns.
struct Counted<'r> {
    key_type: &'r str,
    bytes: i64,
    elements: Option<i64>,
    expire_at_ms: Option<i64>,
    name: &'r [u8],
}

impl<'r> Counted<'r> {
    fn of(row: &'r Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            key_type: row.get_ref(0)?.as_str()?,
            bytes: row.get(1)?,
            elements: row.get(2)?,
            expire_at_ms: row.get(3)?,
            name: column::bytes(row, 4)?,
        })
    }
}

/// The keys of a type so far.
struct OfType {
    keys: u64,
    bytes: i64,
    elements: i64,
    biggest: Top<BigKey>,
}

impl OfType {
    fn new(top: usize) -> Self {
        Self { keys: 0, bytes: 0, elements: 0, biggest: Top::new(top) }
    }

    fn add(&mut self, key: &Counted<'_>) {
        self.keys += 1;
        self.bytes = self.bytes.saturating_add(key.bytes);
        self.elements = self.elements.saturating_add(key.elements.unwrap_or_default());
        if self.biggest.admits(key.bytes) {
            self.biggest.push(key.bytes, BigKey::new(key.name, key.bytes, key.elements));
        }
    }

    fn finish(self, key_type: &'static str) -> TypeStats {
        let Self { keys, bytes, elements, biggest } = self;
        TypeStats { key_type, keys, bytes, elements, biggest: biggest.into_sorted() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expiry_counts_in_the_first_class_that_reaches_it() {
        let now = 1_714_400_000_000;
        let class = |expire_at_ms| {
            let mut expiries = Expiries::default();
            expiries.add(expire_at_ms, now);
            EXPIRY_CLASSES[expiries.0.iter().position(|count| *count == 1).unwrap()].0
        };
        assert_eq!(class(None), "never");
        assert_eq!([class(Some(0)), class(Some(now))], ["expired"; 2]);
        assert_eq!([class(Some(now + 1)), class(Some(now + HOUR_MS))], ["within_1_hour"; 2]);
        assert_eq!(class(Some(now + HOUR_MS + 1)), "within_1_day");
        assert_eq!(class(Some(now + 24 * HOUR_MS + 1)), "within_7_days");
        assert_eq!(class(Some(now + 7 * 24 * HOUR_MS + 1)), "within_30_days");
        assert_eq!([class(Some(now + 30 * 24 * HOUR_MS + 1)), class(Some(i64::MAX))], ["later"; 2]);
    }
}
