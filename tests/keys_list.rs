//! `keys` and `stats` against plain SQL on the same database: every filter alone, and the sums of every family.

#![allow(clippy::unwrap_used, reason = "this is test code, if not inside a test function")]

mod decode_support;

use std::ops::ControlFlow;
use std::path::Path;

use decode_support::*;
use ekvsnap::error::Error;
use ekvsnap::family::ADAPTERS;
use ekvsnap::keys::{Expires, Filter, Order, Separators, StatsOptions, list, stats};
use ekvsnap::progress::Silent;
use ekvsnap::query::Database;
use ekvsnap::snapshot::Escaped;

fn everything() -> Filter {
    Filter::of_adapters(ADAPTERS.map(str::to_owned).to_vec())
}

fn listed(database: &Database, filter: &Filter, order: Order, limit: Option<u64>) -> Vec<String> {
    let mut keys = Vec::new();
    list::<Error>(database.staging(), filter, order, limit, |key| {
        keys.push(format!("{} {} {}", key.family, key.key_type, Escaped(key.name)));
        Ok(ControlFlow::Continue(()))
    })
    .unwrap();
    keys
}

fn asked(database: &Database, what: &str) -> Vec<String> {
    let sql = format!("SELECT family || ' ' || type || ' ' || readable(name) FROM keys {what}");
    let mut query = database.connection().prepare(&sql).unwrap();
    query.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

fn with_each_fixture(mut act: impl FnMut(&str, &Database)) {
    for name in NAMES {
        let folder = scratch();
        decode(&inputs(&Path::new(FIXTURES).join(name)), &load_options(), folder.path(), 1).unwrap();
        act(name, &Database::open(&folder.path().join("staging.db")).unwrap());
    }
}

#[test]
fn each_filter_keeps_what_sql_keeps() {
    const IN_ORDER: &str = "ORDER BY family, scope_order, key_order";
    let mut found = [0; 9];
    with_each_fixture(|name, database| {
        let now: i64 = database.staging().fact("snapshot_ms").unwrap().unwrap();
        let all = everything();
        let cases = [
            (all.clone(), "TRUE".to_owned()),
            (Filter { types: vec!["hash".into(), "item".into()], ..all.clone() }, "type IN ('hash', 'item')".into()),
            (Filter { pattern: Some(b"user:*".to_vec()), ..all.clone() }, "redis_glob('user:*', name)".into()),
            (Filter { pattern: Some(b"*[0-9]?".to_vec()), ..all.clone() }, "redis_glob('*[0-9]?', name)".into()),
            (Filter { larger_than: Some(100), ..all.clone() }, "bytes > 100".into()),
            (Filter { expires: Expires::Before(now), ..all.clone() }, format!("expire_at_ms < {now}")),
            (Filter { expires: Expires::Never, ..all.clone() }, "expire_at_ms IS NULL".into()),
            (Filter { adapters: vec!["redis".into(), "s3".into()], ..all.clone() }, "family IN ('redis', 's3')".into()),
            (
                Filter { scopes: vec![("dynamodb".into(), "life_xjnt".into()), ("sqs".into(), "q".into()), ("redis".into(), "7".into())], ..all.clone() },
                "(family <> 'dynamodb' OR scope = 'life_xjnt') AND (family <> 'sqs' OR scope = 'q') AND family <> 'redis'".into(),
            ),
        ];
        for (case, (filter, sql)) in cases.iter().enumerate() {
            let keys = listed(database, filter, Order::Key, None);
            let expected = asked(database, &format!("WHERE {sql} {IN_ORDER}"));
            let differs = keys.iter().zip(&expected).find(|(key, expected)| key != expected);
            assert_eq!((differs, keys.len()), (None, expected.len()), "{name}: {sql}");
            found[case] += keys.len();
        }
    });
    assert!(
        found.iter().all(|keys| *keys > 0),
        "a filter that lets nothing through tells nothing: {found:?}"
    );
}

#[test]
fn an_order_holds_over_all_families_and_a_limit_takes_its_beginning() {
    with_each_fixture(|name, database| {
        for (order, sql) in [
            (Order::Size, "bytes DESC, family, scope_order, key_order"),
            (Order::Expiry, "expire_at_ms IS NULL, expire_at_ms, family, scope_order, key_order"),
        ] {
            let keys = asked(database, &format!("ORDER BY {sql}"));
            assert_eq!(listed(database, &everything(), order, None), keys, "{name}");
            let first: Vec<_> = keys.into_iter().take(7).collect();
            assert_eq!(listed(database, &everything(), order, Some(7)), first, "{name}");
        }
        let all = listed(database, &everything(), Order::Key, None);
        assert_eq!(listed(database, &everything(), Order::Key, Some(5)), all[..5]);
        assert!(listed(database, &everything(), Order::Key, Some(0)).is_empty());
    });
}

#[test]
fn a_listing_reads_keys_in_the_order_of_an_index() {
    with_each_fixture(|name, database| {
        for family in ADAPTERS {
            let sql = format!(
                "EXPLAIN QUERY PLAN SELECT name, bytes, scope_order, key_order FROM keys \
                 WHERE family = '{family}' AND redis_glob('*', name) ORDER BY scope_order, key_order LIMIT 5"
            );
            let mut query = database.connection().prepare(&sql).unwrap();
            let plan = query.query_map([], |row| Ok((row.get::<_, i64>(1)?, row.get::<_, String>(3)?)));
            let plan: Vec<_> = plan.unwrap().map(Result::unwrap).collect();
            // The types under one Redis key are in no order; there are seven at most.
            let is_of_one_key = |parent| {
                plan.iter()
                    .any(|(of, step)| *of == parent && step.contains("sqlite_autoindex_redis_collection"))
            };
            let sorted: Vec<_> = plan
                .iter()
                .filter(|(parent, step)| step.contains("TEMP B-TREE") && !is_of_one_key(*parent))
                .map(|(_, step)| step)
                .collect();
            assert_eq!(sorted, Vec::<&String>::new(), "{name}, {family}");
        }
    });
}

#[test]
fn statistics_add_up_to_what_sql_counts() {
    with_each_fixture(|name, database| {
        let options =
            |depth, top| StatsOptions { separators: Separators { bytes: b":/".to_vec(), depth }, top };
        for depth in [1, 2, 3] {
            let (all, few) = (options(depth, 100_000), options(depth, 2));
            let all = stats(database.staging(), &everything(), &all, &Silent).unwrap();
            let few = stats(database.staging(), &everything(), &few, &Silent).unwrap();
            assert_eq!(all.len(), few.len());
            for (all, few) in all.iter().zip(&few) {
                let ask = |what: &str| -> Vec<(String, i64, i64)> {
                    let sql = format!(
                        "SELECT {what}, count(*), sum(bytes) FROM keys WHERE family = '{}' GROUP BY 1 ORDER BY 1",
                        all.family
                    );
                    let mut query = database.connection().prepare(&sql).unwrap();
                    let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
                    rows.unwrap().map(Result::unwrap).collect()
                };
                let mut types: Vec<_> =
                    all.types.iter().map(|of| (of.key_type.to_owned(), of.keys as i64, of.bytes)).collect();
                types.sort();
                assert_eq!(types, ask("type"), "{name}");
                for of in &all.types {
                    assert_eq!(of.biggest.len() as u64, of.keys);
                    assert!(of.biggest.is_sorted_by(|a, b| a.bytes >= b.bytes));
                }
                assert_eq!(all.expiries.0.iter().sum::<u64>(), all.keys);
                let prefixes = |keys: &dyn Fn(&(u64, i64)) -> u64| -> u64 {
                    all.prefixes.iter().map(|prefix| keys(&(prefix.keys, prefix.bytes))).sum()
                };
                assert_eq!(prefixes(&|(keys, _)| *keys), all.keys);
                assert_eq!(all.other_prefixes.prefixes, 0);
                // The first few are the first of all, the rest is together what they are not.
                assert_eq!(few.prefixes[..], all.prefixes[..few.prefixes.len()]);
                let left = &all.prefixes[few.prefixes.len()..];
                assert_eq!(few.other_prefixes.prefixes, left.len() as u64);
                assert_eq!(few.other_prefixes.keys, left.iter().map(|prefix| prefix.keys).sum::<u64>());
                assert_eq!(few.other_prefixes.bytes, left.iter().map(|prefix| prefix.bytes).sum::<i64>());
                let named: std::collections::BTreeSet<_> =
                    all.prefixes.iter().map(|prefix| &prefix.prefix).collect();
                // But for items whose keys of several types are shown alike.
                assert!(
                    all.family == "dynamodb" && depth > 1 || named.len() == all.prefixes.len(),
                    "{name}: a prefix counts twice"
                );
            }
        }
    });
}
