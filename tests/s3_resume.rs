//! An export goes on in the middle of a large object, at the last chunk that was noted; a load can be told to stop while
//! it looks at objects.

#![allow(clippy::unwrap_used, reason = "test code")]

mod decode_support;

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use decode_support::*;
use ekvsnap::dump::target::Target;
use ekvsnap::error::Error;
use ekvsnap::export::export;
use ekvsnap::load::{LoadOptions, load};
use ekvsnap::progress::{Phase, Progress, Silent};
use ekvsnap::staging::Staging;
use ekvsnap_testkit::s3_rows::{Part, Upload, bucket_key, bucket_meta};
use ekvsnap_testkit::sorted::SortedSnapshot;
use ekvsnap_testkit::version::Version;

const UPLOAD: Upload<'_> = Upload { bucket: b"b", generation: 1, object: b"folder/large", id: b"u" };

/// An object of two parts and 24 chunks, some of which are read and some copied by the kernel.
fn snapshot(path: &Path) -> Vec<u8> {
    let chunks: Vec<Vec<u8>> = (0..24u8)
        .map(|i| vec![b'a' + i; if i % 3 == 0 { 20_000 } else { 300_000 + usize::from(i) }])
        .collect();
    let part = |number, chunks: &[Vec<u8>]| Part {
        number,
        chunks: chunks.iter().map(|chunk| chunk.len() as u64).collect(),
        version: 9,
        ..Part::default()
    };
    let parts = [part(1, &chunks[..10]), part(4, &chunks[10..])];
    let mut rows = vec![
        Version::put(bucket_key(b"b"), 1, bucket_meta("b", 1, "")),
        Version::put(UPLOAD.head_key(), 1, UPLOAD.manifest("e", 0, &parts, "")),
    ];
    rows.extend(chunks.iter().enumerate().map(|(i, chunk)| {
        let (part, at) = if i < 10 { (1, i) } else { (4, i - 10) };
        Version::put(UPLOAD.chunk_key(part, at as u64, 9), 1, chunk.clone())
    }));
    SortedSnapshot::new(9).versions(&rows).write_to(File::create(path).unwrap()).unwrap();
    chunks.concat()
}

#[test]
fn a_large_object_is_gone_on_with_after_every_chunk_that_was_noted() {
    for (self_contained, threads) in [(false, 1), (true, 3)] {
        let folder = scratch();
        let (input, database, dump) =
            (folder.path().join("in.fsm"), folder.path().join("s.db"), folder.path().join("dump"));
        let body = snapshot(&input);
        let staging = Staging::create(&database).unwrap();
        load(&inputs(&input), &staging, &LoadOptions { self_contained, ..load_options() }, &Silent).unwrap();
        staging.close().unwrap();
        let run = |progress: &dyn Progress| {
            let staging = Staging::open(&database).unwrap();
            let partial = Target::new(&dump, false, &[]).unwrap().begin().unwrap();
            export(&staging, partial, &export_options(threads), progress).map(drop)
        };
        let (mut inode, mut noted) = (None, Vec::new());
        loop {
            // The bucket, then the first chunk that is due for a note.
            match run(&Stop::at(2)) {
                Ok(()) => break,
                Err(error) => assert!(matches!(error, Error::Interrupted), "{error}"),
            }
            let staging = rusqlite::Connection::open(&database).unwrap();
            let found =
                staging.query_row("SELECT bytes FROM dump_unfinished_file", [], |row| row.get::<_, i64>(0));
            let Ok(bytes) = found else { break };
            let metadata = fs::metadata(folder.path().join("dump.partial/s3/b/folder/large")).unwrap();
            assert_eq!(*inode.get_or_insert(metadata.ino()), metadata.ino(), "the object was begun anew");
            noted.push(bytes);
        }
        if !dump.exists() {
            run(&Silent).unwrap();
        }
        assert!(noted.is_sorted() && noted.len() > 10, "{noted:?}");
        assert!(fs::read(dump.join("s3/b/folder/large")).unwrap() == body);
        let check = std::process::Command::new("sha256sum")
            .args(["--quiet", "-c", "CHECKSUMS"])
            .current_dir(&dump)
            .status();
        assert!(check.unwrap().success());
    }
}

#[test]
fn a_load_stops_between_two_chunks_and_ends_with_the_same_dump() {
    let folder = scratch();
    let (input, database) = (folder.path().join("in.fsm"), folder.path().join("s.db"));
    let body = snapshot(&input);
    // The last phase asks before the manifest, then before every chunk.
    for at in [1, 2, 9] {
        let staging = Staging::create(&database).or_else(|_| Staging::open(&database)).unwrap();
        let error = load(&inputs(&input), &staging, &load_options(), &Stop::in_phase(at, Phase::Reconcile))
            .unwrap_err();
        assert!(matches!(error, Error::Interrupted), "{error}");
        assert!(staging.fact::<i64>("complete").unwrap().is_none());
    }
    let staging = Staging::open(&database).unwrap();
    load(&inputs(&input), &staging, &load_options(), &Silent).unwrap();
    let partial = Target::new(&folder.path().join("dump"), false, &[]).unwrap().begin().unwrap();
    export(&staging, partial, &export_options(1), &Silent).unwrap();
    assert!(fs::read(folder.path().join("dump/s3/b/folder/large")).unwrap() == body);
}
