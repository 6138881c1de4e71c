//! Snapshots of real nodes that lost bytes or had some changed: never a panic, and never exit status 0 with another
//! tree (`docs/format/snapshot.md` section 1.2).
//!
//! Every run takes samples. `EKVSNAP_SWEEP=complete cargo test --profile quick --test decode_damage` takes every length
//! and every byte, which keeps all cores busy for a while.
//!
//! What the reader refuses, a decode refuses: samples prove that with whole decodes, and the rest of the sweep asks
//! the reader alone unless it lets a file pass. Bytes that are changed under a mended checksum reach the families, so
//! there every one is loaded and exported, in a file of the few rows around it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "this is test code, if not inside a test function")]

mod decode_support;

use std::collections::BTreeMap;
use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use decode_support::*;
use ekvsnap::dump::target::Target;
use ekvsnap::error::Error;
use ekvsnap::export::export;
use ekvsnap::load::{LoadOptions, OnError, load};
use ekvsnap::progress::Silent;
use ekvsnap::snapshot::{Batch, Reader, SnapshotError};
use ekvsnap::staging::Staging;
use tempfile::TempDir;

const SMALL: &str = "tests/fixtures/redis-small/00000000000002ef.fsm";
const LEGACY: &str = "tests/fixtures/redis-legacy/0000000000000097.fsm";
const QUEUES: &str = "tests/fixtures/sqs-small/0000000000000353.fsm";

/// Where the rows of these files begin: header, magic and timestamp stand before.
const ROWS_AT: usize = 32;

/// A file of a few rows has about this many bytes of them.
const FEW_ROWS: usize = 2048;

fn is_complete() -> bool {
    std::env::var_os("EKVSNAP_SWEEP").is_some_and(|value| value == "complete")
}

/// All numbers below `end`, or so many samples, the first and the last ones among them.
fn sweep(end: usize, samples: usize) -> Vec<usize> {
    if is_complete() {
        return (0..end).collect();
    }
    let mut all: Vec<_> = (0..end).step_by((end / samples).max(1)).chain(end - 9..end).collect();
    all.dedup();
    all
}

/// Does the work on all cores, each with a folder of its own. A panic in one of them is one of the test.
fn on_all_cores(work: &[usize], act: impl Fn(usize, &TempDir) + Sync) {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for core in 0..cores {
            let act = &act;
            scope.spawn(move || {
                let folder = scratch();
                work.iter().skip(core).step_by(cores).for_each(|item| act(*item, &folder));
            });
        }
    });
}

fn reads(file: &[u8]) -> Result<(), SnapshotError> {
    let mut reader = Reader::open(Box::new(Cursor::new(file.to_vec())), "f.fsm".to_owned(), true)?;
    let mut batch = Batch::default();
    while reader.fill(&mut batch)? {}
    Ok(())
}

/// Decodes under a name that says nothing of a node, and looks at the promise. True if the file was refused.
fn is_refused(file: &[u8], whole: &BTreeMap<PathBuf, Vec<u8>>, folder: &TempDir, what: &str) -> bool {
    let path = folder.path().join("f.fsm");
    fs::write(&path, file).unwrap();
    match decode(&inputs(&path), &load_options(), folder.path(), 1) {
        Err(error) => {
            check_is_no_death(&error, what);
            true
        }
        Ok(dumped) => {
            let same = without_source(tree(&folder.path().join("dump"))) == *whole;
            assert!(same || dumped.report.is_incomplete(), "{what}: another tree, and all is well");
            false
        }
    }
}

/// Threads that died are panics of which only the silence is heard.
fn check_is_no_death(error: &Error, what: &str) {
    assert!(!matches!(error, Error::ReaderDied), "{what}: {error}");
    if let Error::Tree(error) = error {
        assert!(!error.source.to_string().contains("died"), "{what}: {error}");
    }
}

/// Two dumps of one file from two folders differ in nothing else.
fn without_source(mut tree: BTreeMap<PathBuf, Vec<u8>>) -> BTreeMap<PathBuf, Vec<u8>> {
    tree.remove(Path::new("CHECKSUMS"));
    tree.retain(|path, _| path != Path::new("MANIFEST.json"));
    tree
}

fn whole(file: &str) -> (Vec<u8>, BTreeMap<PathBuf, Vec<u8>>) {
    let folder = scratch();
    decode(&inputs(Path::new(file)), &load_options(), folder.path(), 1).unwrap();
    let tree = without_source(tree(&folder.path().join("dump")));
    assert!(tree.len() > 30);
    (fs::read(file).unwrap(), tree)
}

/// Where rows end, the beginning of the first one included.
fn row_boundaries(file: &[u8]) -> Vec<usize> {
    let field = |at: usize| u64::from_le_bytes(file[at..at + 8].try_into().unwrap()) as usize;
    let mut boundaries = vec![ROWS_AT];
    let mut at = ROWS_AT;
    while at + 4 < file.len() {
        at += 8 + field(at);
        at += 8 + field(at);
        boundaries.push(at);
    }
    assert_eq!(at + 4, file.len());
    boundaries
}

#[test]
fn a_snapshot_cut_anywhere_is_refused_or_said_to_be_incomplete() {
    for (file, samples) in [(SMALL, 40), (LEGACY, 40), (QUEUES, 20)] {
        let (file, whole) = whole(file);
        let boundaries = row_boundaries(&file);
        on_all_cores(&sweep(file.len(), samples), |length, folder| {
            let cut = &file[..length];
            let what = format!("{length} of {} bytes", file.len());
            // Whole decodes here and there show that the reader's word is the decode's.
            let refused = reads(cut).is_err();
            if !refused || !is_complete() || length % 1009 == 0 {
                assert_eq!(is_refused(cut, &whole, folder, &what), refused, "{what}");
            }
            let between_rows = [0, 16].contains(&length) || boundaries.binary_search(&length).is_ok();
            assert_eq!(refused, !between_rows, "{what}");
        });
    }
}

#[test]
fn a_snapshot_cut_between_two_rows_is_said_to_be_incomplete() {
    let (file, whole) = whole(LEGACY);
    let boundaries = row_boundaries(&file);
    on_all_cores(&sweep(boundaries.len(), 40), |row, folder| {
        let what = format!("{row} rows");
        assert!(!is_refused(&file[..boundaries[row]], &whole, folder, &what), "{what}");
        assert!(
            boundaries[row] == file.len() - 4 || tree(&folder.path().join("dump")).len() <= whole.len() + 2
        );
    });
}

#[test]
fn a_snapshot_with_one_changed_byte_is_refused_or_said_to_be_incomplete() {
    for (file, samples) in [(SMALL, 40), (LEGACY, 40), (QUEUES, 20)] {
        let (file, whole) = whole(file);
        on_all_cores(&sweep(file.len(), samples), |at, folder| {
            for change in [0xff, 1 << (at % 8)] {
                let mut changed = file.clone();
                changed[at] ^= change;
                let what = format!("byte {at} changed by {change:#04x}");
                let refused = reads(&changed).is_err();
                if !refused || !is_complete() || at % 1009 == 0 {
                    assert_eq!(is_refused(&changed, &whole, folder, &what), refused, "{what}");
                }
            }
        });
    }
}

/// A file of the rows around a byte, and where the byte is in it.
fn around(file: &[u8], boundaries: &[usize], at: usize) -> (Vec<u8>, usize) {
    let row = boundaries.partition_point(|boundary| *boundary <= at) - 1;
    let first = boundaries[..=row].partition_point(|boundary| at - *boundary > FEW_ROWS / 2);
    let first = boundaries[first.min(row)];
    let last = boundaries.partition_point(|boundary| *boundary < first + FEW_ROWS).max(row + 1);
    let last = boundaries[last.min(boundaries.len() - 1)];
    let mut few = file[..ROWS_AT].to_vec();
    few.extend_from_slice(&file[first..last]);
    (few, ROWS_AT + at - first)
}

#[test]
fn a_changed_byte_under_a_mended_checksum_panics_nowhere_and_loses_no_row() {
    let options = LoadOptions { on_error: OnError::Quarantine, ..load_options() };
    let templates = scratch();
    let template = templates.path().join("empty.db");
    Staging::create(&template).unwrap().close().unwrap();
    for (file, samples) in [(SMALL, 150), (LEGACY, 150), (QUEUES, 250)] {
        let file = fs::read(file).unwrap();
        let boundaries = row_boundaries(&file);
        let rows = file.len() - 4 - ROWS_AT;
        on_all_cores(&sweep(rows, samples), |at, folder| {
            let (few, at_few) = around(&file, &boundaries, ROWS_AT + at);
            let (path, database) = (folder.path().join("f.fsm"), folder.path().join("s.db"));
            // All bits of one byte, one bit of the next.
            let change = if at % 2 == 0 { 0xff } else { 1 << (at / 2 % 8) };
            let mut changed = few.clone();
            changed[at_few] ^= change;
            let checksum = crc32c::crc32c(&changed);
            changed.extend(checksum.to_be_bytes());
            fs::write(&path, &changed).unwrap();
            // An empty database is copied faster than made.
            fs::copy(&template, &database).unwrap();
            let staging = Staging::open(&database).unwrap();
            let what = format!("byte {} changed by {change:#04x}", ROWS_AT + at);
            match load(&inputs(&path), &staging, &options, &Silent) {
                Err(error) => check_is_no_death(&error, &what),
                Ok(()) => {
                    let target = Target::new(&folder.path().join("dump"), true, &[]).unwrap();
                    let dumped = export(&staging, target.begin().unwrap(), &export_options(1), &Silent)
                        .unwrap_or_else(|error| panic!("{what}: {error}"));
                    let report = dumped.report;
                    let by_class: u64 = report.classes.iter().map(|class| class.rows).sum();
                    assert_eq!(by_class, report.rows, "{what}");
                    // A length that swallows the footer leaves the file unverified.
                    let is_verified = report.sources[0].crc32c == Some(format!("{checksum:08x}"));
                    let is_whole = is_verified && report.quarantined_rows == 0;
                    assert!(is_whole || report.is_incomplete(), "{what}");
                }
            }
        });
    }
}
