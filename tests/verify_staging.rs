//! What `verify` finds in a staging database.

#![allow(clippy::unwrap_used, reason = "this is test code, if not inside a test function")]

mod decode_support;

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use decode_support::*;
use ekvsnap::error::Error;
use ekvsnap::load::{Input, LoadOptions, load};
use ekvsnap::progress::{Phase, Progress, Silent};
use ekvsnap::snapshot::Located;
use ekvsnap::staging::Staging;
use ekvsnap::verify::{Finding, Severity, verify_staging};
use ekvsnap_testkit::redis_rows::{string_key, string_value};
use ekvsnap_testkit::sorted::SortedSnapshot;
use ekvsnap_testkit::version::Version;
use rusqlite::Connection;
use tempfile::TempDir;

fn loaded(inputs: &[Input], options: &LoadOptions) -> (TempDir, PathBuf) {
    let folder = scratch();
    let path = folder.path().join("staging.db");
    let staging = Staging::create(&path).unwrap();
    load(inputs, &staging, options, &Silent).unwrap();
    staging.close().unwrap();
    (folder, path)
}

fn fixture(name: &str) -> (TempDir, PathBuf) {
    loaded(&inputs(&Path::new(FIXTURES).join(name)), &load_options())
}

fn verify(path: &Path) -> Vec<Finding> {
    let mut findings = Vec::new();
    verify_staging(path, &Silent, &mut |finding| findings.push(finding)).unwrap();
    findings
}

fn found(path: &Path) -> Vec<&'static str> {
    let findings = verify(path).into_iter().filter(|finding| finding.severity == Severity::Finding);
    findings.map(|finding| finding.kind.name()).collect()
}

#[test]
fn a_database_that_was_just_loaded_has_no_findings() {
    for name in NAMES {
        let (_folder, path) = fixture(name);
        assert_eq!(found(&path), [""; 0], "{name}");
    }
}

#[test]
fn counters_that_do_not_add_up_are_found() {
    for (fixture_name, sql) in [
        ("redis-small", "UPDATE row_count SET class = 'mystery' WHERE class = 'cluster'"),
        ("redis-small", "UPDATE row_count SET rows = -rows WHERE class = 'cluster'"),
        (
            "redis-small",
            "UPDATE redis_collection SET elements = elements + 1 WHERE id = (SELECT min(id) FROM redis_collection)",
        ),
        (
            "redis-small",
            "DELETE FROM redis_hash_field WHERE (collection, name) = (SELECT collection, name FROM redis_hash_field LIMIT 1)",
        ),
        (
            "redis-legacy",
            "UPDATE redis_collection SET blob_elements = 99 WHERE key = (SELECT key FROM redis_collection WHERE blob_id IS NOT NULL LIMIT 1)",
        ),
        ("redis-small", "INSERT INTO warning VALUES ('quarantined_row', 3)"),
        ("redis-small", "INSERT INTO warning VALUES ('of_tomorrow', 3)"),
        ("redis-small", "UPDATE warning SET count = 0"),
        ("redis-small", "UPDATE source SET complete = 0"),
    ] {
        let (_folder, path) = fixture(fixture_name);
        assert_eq!(Connection::open(&path).unwrap().execute(sql, []).map(|rows| rows > 0), Ok(true), "{sql}");
        let kinds = found(&path);
        assert!(!kinds.is_empty() && kinds.iter().all(|kind| *kind == "count_mismatch"), "{sql}: {kinds:?}");
    }
}

#[test]
fn a_damaged_file_is_found() {
    let (_folder, path) = fixture("redis-small");
    let whole = fs::read(&path).unwrap();
    const PAGE: usize = 32 << 10;
    for page in 1..whole.len() / PAGE {
        fs::write(&path, &whole).unwrap();
        let file = File::options().write(true).open(&path).unwrap();
        file.write_all_at(&[0xA5; 4096], (page * PAGE) as u64).unwrap();
        assert!(found(&path).contains(&"database_damaged"), "page {page}");
    }
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    assert!(found(&path).contains(&"database_damaged"));
    fs::write(&path, &whole).unwrap();
    let connection = Connection::open(&path).unwrap();
    connection
        .execute_batch("PRAGMA foreign_keys = OFF; INSERT INTO row_count VALUES (77, 'redis', 'visible', 0)")
        .unwrap();
    drop(connection);
    assert_eq!(found(&path), ["database_damaged"]);
    fs::write(&path, &whole).unwrap();
    Connection::open(&path).unwrap().execute_batch("DROP TABLE redis_ttl").unwrap();
    assert!(found(&path).contains(&"database_damaged"));
}

fn with_large_value(folder: &Path) -> Vec<Input> {
    let ts = 1_714_400_000_000 << 16;
    let value = string_value(&[b'x'; 3_000_000], None);
    let bytes =
        SortedSnapshot::new(ts).version(&Version::put(string_key(b"k"), ts, value)).to_bytes().unwrap();
    let path = folder.join("large.fsm");
    fs::write(&path, bytes).unwrap();
    vec![Input::File(Located::new(&path).unwrap())]
}

#[test]
fn a_snapshot_that_is_gone_or_changed_is_found_if_large_values_lie_in_it() {
    let sources = scratch();
    let snapshot = sources.path().join("large.fsm");
    for (self_contained, found_gone, found_changed) in
        [(false, vec!["source_gone"], vec!["source_changed"]), (true, vec![], vec![])]
    {
        let inputs = with_large_value(sources.path());
        let (_folder, path) = loaded(&inputs, &LoadOptions { self_contained, ..load_options() });
        assert_eq!(found(&path), [""; 0]);
        fs::write(&snapshot, "another").unwrap();
        assert_eq!(found(&path), found_changed);
        fs::remove_file(&snapshot).unwrap();
        assert_eq!(found(&path), found_gone);
        let all: Vec<_> = verify(&path).iter().map(|finding| finding.kind.name()).collect();
        assert!(all.contains(&"source_gone"), "it is a note at least");
    }
}

#[test]
fn a_large_value_without_its_bytes_is_found() {
    let sources = scratch();
    let inputs = with_large_value(sources.path());
    for (self_contained, sql) in [
        (false, "UPDATE large_value SET length = 9000000"),
        (false, "UPDATE large_value SET start = -5"),
        (true, "DELETE FROM large_value_piece WHERE start > 0"),
        (true, "DELETE FROM large_value_piece WHERE start = 0"),
        (true, "DELETE FROM large_value_piece"),
        (true, "UPDATE large_value SET length = 9000000"),
    ] {
        let (_folder, path) = loaded(&inputs, &LoadOptions { self_contained, ..load_options() });
        assert_ne!(Connection::open(&path).unwrap().execute(sql, []).unwrap(), 0, "{sql}");
        assert_eq!(found(&path), ["large_value_missing"], "{sql}");
    }
}

#[test]
fn a_load_that_was_interrupted_is_found() {
    let folder = scratch();
    let path = folder.path().join("staging.db");
    let staging = Staging::create(&path).unwrap();
    let input = inputs(&Path::new(FIXTURES).join("redis-small"));
    assert!(load(&input, &staging, &load_options(), &Stop::in_phase(1, Phase::Load)).is_err());
    staging.close().unwrap();
    assert!(found(&path).contains(&"load_unfinished"));
}

struct Never;

impl Progress for Never {
    fn is_interrupted(&self) -> bool {
        true
    }
}

#[test]
fn a_verification_stops_when_it_is_told_to() {
    let (_folder, path) = fixture("redis-small");
    let result = verify_staging(&path, &Never, &mut |_| {});
    assert!(matches!(result, Err(Error::Interrupted)));
}
