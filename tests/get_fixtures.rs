//! `get` against the dump: every key of every fixture, found by its name, by its escaped name and by its bytes, gives its
//! file, and no file of a dump is left over.

#![allow(clippy::unwrap_used, clippy::panic, reason = "this is test code, if not inside a test function")]

mod decode_support;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use decode_support::*;
use ekvsnap::dump::name::key_of_name;
use ekvsnap::family::{ADAPTERS, Content};
use ekvsnap::keys::{Called, Filter, Found, Order, find, get, list, stored_content};
use ekvsnap::progress::Silent;
use ekvsnap::query::Database;
use ekvsnap::snapshot::Escaped;
use ekvsnap::staging::Staging;
use std::ops::ControlFlow;

#[derive(Clone, Default)]
struct Taken(Arc<Mutex<Vec<u8>>>);

impl Write for Taken {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn everything() -> Filter {
    Filter::of_adapters(ADAPTERS.map(str::to_owned).to_vec())
}

/// Family, name and `key_order`, of all keys.
fn all_keys(staging: &Staging) -> Vec<(String, Vec<u8>, Vec<u8>)> {
    let mut keys = Vec::new();
    list::<ekvsnap::error::Error>(staging, &everything(), Order::Key, None, |key| {
        let hex: Vec<u8> = key.key_hex.into();
        keys.push((key.family.to_owned(), key.name.to_vec(), ekvsnap::staging::parse_hex(&hex).unwrap()));
        Ok(ControlFlow::Continue(()))
    })
    .unwrap();
    keys
}

fn file(staging: &Staging, found: &Found, content: Content) -> Option<(PathBuf, Vec<u8>)> {
    let taken = Taken::default();
    let path =
        get(staging, None, found, content, Path::new("taken"), Box::new(taken.clone()), &Silent).unwrap()?;
    let bytes = taken.0.lock().unwrap().clone();
    Some((OsString::from_vec(path).into(), bytes))
}

#[track_caller]
fn assert_found(staging: &Staging, called: &Called, found: &Found) {
    let filter = Filter { adapters: vec![found.family.to_owned()], ..Filter::default() };
    let called_so = find(staging, &filter, called).unwrap();
    assert!(called_so.contains(found), "{called:?} does not lead to {found:?}");
    // Only items of one table share a name: the number 1 and the text, where the type is not the declared one.
    let has_its_name = |other: &Found| (&other.name, &other.place.scope) == (&found.name, &found.place.scope);
    assert!(called_so.iter().all(has_its_name), "{called:?} leads to {called_so:?}");
}

#[test]
fn every_key_of_every_fixture_gives_the_file_of_the_dump() {
    for name in NAMES {
        let folder = scratch();
        decode(&inputs(&Path::new(FIXTURES).join(name)), &load_options(), folder.path(), 1).unwrap();
        let mut files = tree(&folder.path().join("dump"));
        let database = Database::open(&folder.path().join("staging.db")).unwrap();
        let staging = database.staging();
        let keys = all_keys(staging);
        assert!(!keys.is_empty());
        for (family, key, order) in keys {
            let filter = Filter { adapters: vec![family.clone()], ..Filter::default() };
            let mut found = find(staging, &filter, &Called::Order(order)).unwrap();
            found.retain(|found| found.name == key);
            assert_eq!(found.len(), 1, "{name}: {} is not found by its bytes", Escaped(&key));
            let found = found.remove(0);
            assert_found(staging, &Called::Name(key.clone()), &found);
            assert_found(staging, &Called::Name(Escaped(&key).to_string().into_bytes()), &found);
            let Some((path, bytes)) = file(staging, &found, Content::Value) else {
                assert_eq!(found.family, "sqs", "{name}: {} has no file", Escaped(&key));
                assert!(file(staging, &found, Content::About).is_some());
                continue;
            };
            let expected =
                files.remove(&path).unwrap_or_else(|| panic!("{name}: {} is not there", path.display()));
            assert!(bytes == expected, "{name}: {} differs", path.display());
            if found.family == "redis" {
                let stem = path.file_name().unwrap().to_str().unwrap().rsplit_once('.').unwrap().0;
                assert!(key_of_name(stem).unwrap().is_none_or(|of| of == key), "{}", path.display());
            }
            if let Some((path, bytes)) = file(staging, &found, Content::About) {
                // A table's schema belongs to all its items.
                let shared = found.family == "dynamodb";
                let expected = if shared { files.get(&path).cloned() } else { files.remove(&path) };
                assert!(expected == Some(bytes), "{name}: {} differs", path.display());
            }
        }
        let is_of_no_key = |path: &Path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            name.ends_with("_ttl.jsonl")
                || [
                    "MANIFEST.json",
                    "CHECKSUMS",
                    "KEYMAP.jsonl",
                    "_schema.json",
                    "_bucket.json",
                    "_queue.json",
                    "_extra.json",
                ]
                .contains(&name)
        };
        let left: Vec<_> = files.keys().filter(|path| !is_of_no_key(path)).collect();
        assert_eq!(left, Vec::<&PathBuf>::new(), "{name}: files that no key gives");
    }
}

#[test]
fn stored_bytes_are_those_of_the_row() {
    for (name, sql) in [
        ("redis-small", "SELECT 'string', key_hex, value FROM redis_strings WHERE value IS NOT NULL"),
        (
            "dynamodb-small",
            "SELECT 'item', hex(identity), value FROM dynamodb_exported_item WHERE typeof(value) = 'blob'",
        ),
    ] {
        let folder = scratch();
        decode(&inputs(&Path::new(FIXTURES).join(name)), &load_options(), folder.path(), 1).unwrap();
        let database = Database::open(&folder.path().join("staging.db")).unwrap();
        let staging = database.staging();
        let mut query = database.connection().prepare(sql).unwrap();
        let rows = query.query_map([], |row| {
            let value = row.get_ref(2)?;
            let bytes = value.as_bytes().unwrap().to_vec();
            Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, bytes))
        });
        let mut stored = BTreeMap::<_, Vec<_>>::new();
        for row in rows.unwrap() {
            let (key_type, hex, bytes) = row.unwrap();
            stored.entry((key_type, hex)).or_default().push(bytes);
        }
        assert!(!stored.is_empty());
        for ((key_type, hex), values) in stored {
            let called = Called::Order(ekvsnap::staging::parse_hex(hex.as_bytes()).unwrap());
            let filter = Filter { types: vec![key_type.clone()], ..everything() };
            // Keys of several tables may be alike.
            let mut given: Vec<_> = find(staging, &filter, &called)
                .unwrap()
                .iter()
                .map(|found| file(staging, found, stored_content(&found.key_type).unwrap()).unwrap().1)
                .collect();
            let mut values = values;
            given.sort();
            values.sort();
            assert!(given == values, "{name}: {hex}");
        }
    }
}

/// A reader that goes away.
struct Closed;

impl Write for Closed {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_stream_that_takes_nothing_is_an_error_that_names_it() {
    let folder = scratch();
    decode(&inputs(&Path::new(FIXTURES).join("redis-small")), &load_options(), folder.path(), 1).unwrap();
    let database = Database::open(&folder.path().join("staging.db")).unwrap();
    let found =
        &find(database.staging(), &everything(), &Called::Name(b"metrics:big:607712".to_vec())).unwrap()[0];
    let given = get(
        database.staging(),
        None,
        found,
        Content::Value,
        Path::new("the reader"),
        Box::new(Closed),
        &Silent,
    );
    assert_eq!(given.unwrap_err().to_string(), "cannot write the reader");
}
