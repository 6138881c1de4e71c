//! From what people call a key to the key that they mean, and to those nearby if there is none.

use rusqlite::types::Value;
use rusqlite::{Row, params_from_iter};

use super::{COLUMNS, Filter, Key};
use crate::error::Error;
use crate::family::{KeyPlace, named};
use crate::snapshot::unescape;
use crate::staging::{Staging, blob_literal, column};

/// How many keys are named instead of one that is not there.
const MAX_NEAR: usize = 4;

/// What a key is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Called {
    /// By its name: the key, of an item or object with its table or bucket and a slash before it. As it is, with the
    /// escapes that messages show, or as the blob literal that views show.
    Name(Vec<u8>),
    /// By the bytes that the view `keys` calls `key_order`.
    Order(Vec<u8>),
}

/// A key that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The adapter.
    pub family: &'static str,
    /// One of [`super::TYPES`].
    pub key_type: String,
    /// What people call it.
    pub name: Vec<u8>,
    /// Where it stands.
    pub place: KeyPlace,
}

/// The keys that are called so, among those that the filter lets through: more than one if families share a name, or a
/// slash can be read in two ways.
///
/// # Errors
/// Whatever SQLite says.
pub fn find(staging: &Staging, filter: &Filter, called: &Called) -> Result<Vec<Found>, Error> {
    match called {
        Called::Order(key) => look_up(staging, filter, "key_order = ?", |_| Ok(vec![vec![key.clone()]])),
        Called::Name(name) => {
            for name in readings(name) {
                let mut found = look_up(staging, filter, "scope_order = ? AND key_order = ?", |family| {
                    let places = places(staging, family, &name)?;
                    Ok(places.into_iter().map(|place| vec![place.scope, place.key]).collect())
                })?;
                // A place may be that of another key, whose encoded attributes are the bytes that this one is shown by.
                found.retain(|found| found.name == name);
                if !found.is_empty() {
                    return Ok(found);
                }
            }
            Ok(Vec::new())
        }
    }
}

/// Names of keys that stand beside where the one that is not there would, those that are most like it first.
///
/// # Errors
/// Whatever SQLite says.
pub fn near(staging: &Staging, filter: &Filter, called: &Called) -> Result<Vec<Vec<u8>>, Error> {
    let (Called::Name(name) | Called::Order(name)) = called;
    let mut names = Vec::new();
    for name in readings(name) {
        for family in filter.families() {
            for place in places(staging, family, &name)? {
                // A table or bucket is looked at alone; elsewhere the scope is the key itself.
                let scope = if place.scope == place.key { "" } else { " AND scope_order = ?3" };
                for (sign, direction) in [("<", "DESC"), (">=", "ASC")] {
                    let sql = format!(
                        "SELECT name, scope_order, key_order FROM keys WHERE family = ?1 AND key_order {sign} ?2 {scope} \
                         ORDER BY scope_order {direction}, key_order {direction} LIMIT {MAX_NEAR}"
                    );
                    let mut values: Vec<Value> = vec![family.to_owned().into(), place.key.clone().into()];
                    if !scope.is_empty() {
                        values.push(place.scope.clone().into());
                    }
                    let mut query = staging.connection().prepare(&sql)?;
                    let mut rows = query.query(params_from_iter(values))?;
                    while let Some(row) = rows.next()? {
                        names.push(column::bytes(row, 0)?.to_vec());
                    }
                }
            }
        }
    }
    let shared = |other: &[u8]| name.iter().zip(other).take_while(|(a, b)| a == b).count();
    // What shares nothing but perhaps its first byte is no help.
    names.retain(|other| shared(other) > 1 || shared(other) == name.len());
    names.sort_by(|a, b| shared(b).cmp(&shared(a)).then_with(|| a.cmp(b)));
    names.dedup();
    names.truncate(MAX_NEAR);
    Ok(names)
}

/// What a name may stand for: the first that is there is meant.
fn readings(name: &[u8]) -> Vec<Vec<u8>> {
    let unescaped = str::from_utf8(name).ok().and_then(|text| unescape(text).ok());
    let mut readings = vec![name.to_vec()];
    readings.extend(unescaped.filter(|unescaped| unescaped != name));
    readings.extend(blob_literal(name));
    readings
}

fn places(staging: &Staging, family: &str, name: &[u8]) -> Result<Vec<KeyPlace>, Error> {
    match named(family) {
        Some(family) => Ok(family.places(staging.connection(), name)?),
        None => Ok(Vec::new()),
    }
}

/// The keys of each family that meet `sql` with any of the parameters that `parameters` gives for it.
fn look_up(
    staging: &Staging,
    filter: &Filter,
    sql: &str,
    parameters: impl Fn(&'static str) -> Result<Vec<Vec<Vec<u8>>>, Error>,
) -> Result<Vec<Found>, Error> {
    let mut found = Vec::new();
    for family in filter.families() {
        for bytes in parameters(family)? {
            let mut condition = filter.of_family(family);
            condition.and(sql, bytes.into_iter().map(Into::into));
            let sql = format!("SELECT {COLUMNS} FROM keys WHERE {}", condition.sql);
            let mut query = staging.connection().prepare(&sql)?;
            let mut rows = query.query(params_from_iter(condition.values))?;
            while let Some(row) = rows.next()? {
                found.push(Found::of(family, row)?);
            }
        }
    }
    found.sort_by(|a, b| (a.family, &a.place).cmp(&(b.family, &b.place)));
    found.dedup();
    Ok(found)
}

impl Found {
    fn of(family: &'static str, row: &Row<'_>) -> rusqlite::Result<Self> {
        let key = Key::of(row)?;
        Ok(Self {
            family,
            key_type: key.key_type.to_owned(),
            name: key.name.to_vec(),
            place: KeyPlace { scope: row.get(10)?, key: row.get(11)? },
        })
    }
}
