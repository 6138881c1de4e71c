//! An export goes on in the middle of a long file, at the last element that was noted, whatever the collection.

#![allow(clippy::unwrap_used, reason = "test code")]

mod decode_support;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use decode_support::*;
use ekvsnap::dump::target::Target;
use ekvsnap::error::Error;
use ekvsnap::export::export;
use ekvsnap::load::{LoadOptions, load};
use ekvsnap::progress::{Progress, Silent};
use ekvsnap::staging::Staging;
use ekvsnap_testkit::redis_rows::*;
use ekvsnap_testkit::sorted::SortedSnapshot;
use ekvsnap_testkit::version::Version;
use tempfile::TempDir;

const ELEMENTS: usize = 9000;

const FILES: [&str; 7] = [
    "hashes/hash.json",
    "lists/list.json",
    "sets/set.json",
    "streams/blob.jsonl",
    "streams/stream.jsonl",
    "streams/trimmed.jsonl",
    "zsets/zset.json",
];

/// One long collection of each kind, with values that are copied from the snapshot among the others.
fn snapshot(path: &Path) {
    let mut rows = Vec::new();
    let mut put = |key: Vec<u8>, value: Vec<u8>| rows.push(Version::put(key, 1, value));
    for number in 0..ELEMENTS {
        let name = format!("element:{number:06}").repeat(6).into_bytes();
        let long = if number % 500 == 3 { 50_000 } else { 50 };
        let value = vec![b'a' + (number % 26) as u8; long];
        put(element_key(Counted::Hash, b"hash", &name), value.clone());
        put(list_item_key(b"list", number as i64 - 4000), value.clone());
        put(element_key(Counted::Set, b"set", &name), Vec::new());
        put(element_key(Counted::ZSet, b"zset", &name), score(number as f64 / 3.0));
        for (stream, ms) in [(&b"stream"[..], u64::MAX - 3), (b"trimmed", 7)] {
            let id = format!("{ms}-{number}");
            put(stream_entry_key(stream, ms, number as u64), stream_entry(id.as_bytes(), &[&name, &value]));
        }
    }
    for (kind, key) in [(Counted::Hash, &b"hash"[..]), (Counted::Set, b"set"), (Counted::ZSet, b"zset")] {
        put(count_meta_key(kind, key), count_meta(ELEMENTS as u64, None));
    }
    put(list_meta_key(b"list"), list_meta(-4000, ELEMENTS as i64 - 4000, ELEMENTS as u64, None));
    put(stream_meta_key(b"stream"), stream_meta(9000, (u64::MAX - 3, 8999), None, None));
    put(stream_meta_key(b"trimmed"), stream_meta(8000, (7, 8999), Some(5), Some((7, 999))));
    let entries = (0..ELEMENTS).map(|number| (format!("{number}-0"), vec![vec![b'n'; 30], vec![b'v'; 30]]));
    put(blob_key(Blob::Stream, b"blob"), stream_blob(entries));
    let snapshot = SortedSnapshot::new(9).versions(&rows);
    snapshot.write_to(File::create(path).unwrap()).unwrap();
}

struct Staged {
    folder: TempDir,
    expected: BTreeMap<PathBuf, Vec<u8>>,
}

impl Staged {
    fn new(self_contained: bool) -> Self {
        let folder = scratch();
        snapshot(&folder.path().join("in.fsm"));
        let options = LoadOptions { self_contained, ..load_options() };
        let staging = Staging::create(&folder.path().join("s.db")).unwrap();
        load(&inputs(&folder.path().join("in.fsm")), &staging, &options, &Silent).unwrap();
        staging.close().unwrap();
        let mut staged = Self { folder, expected: BTreeMap::new() };
        staged.export(2, &Silent).unwrap();
        staged.expected = tree(&staged.dump());
        fs::remove_dir_all(staged.dump()).unwrap();
        staged
    }

    fn dump(&self) -> PathBuf {
        self.folder.path().join("dump")
    }

    fn partial(&self, file: &str) -> PathBuf {
        self.folder.path().join("dump.partial/redis/db_0").join(file)
    }

    fn export(&self, threads: usize, progress: &dyn Progress) -> Result<(), Error> {
        let staging = Staging::open(&self.folder.path().join("s.db")).unwrap();
        let partial = Target::new(&self.dump(), false, &[]).unwrap().begin().unwrap();
        export(&staging, partial, &export_options(threads), progress).map(drop)
    }

    fn assert_same(&self) {
        let found = tree(&self.dump());
        assert!(found.keys().eq(self.expected.keys()));
        for (path, bytes) in found {
            assert!(bytes == self.expected[&path], "{} differs", path.display());
        }
    }

    /// The collections that an unfinished export has written.
    fn finished(&self) -> usize {
        let staging = rusqlite::Connection::open(self.folder.path().join("s.db")).unwrap();
        let sql = "SELECT count(*) FROM dump_file \
                   WHERE path LIKE 'redis/%' AND EXISTS (SELECT 1 FROM run WHERE name = 'export_plan')";
        staging.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap() as usize
    }

    /// Path and length of the half-written file.
    fn unfinished(&self) -> Option<(String, u64)> {
        let staging = rusqlite::Connection::open(self.folder.path().join("s.db")).unwrap();
        let sql = "SELECT CAST(path AS TEXT), bytes FROM dump_unfinished_file";
        staging.query_row(sql, [], |row| Ok((row.get(0)?, row.get::<_, i64>(1)? as u64))).ok()
    }
}

#[test]
fn an_export_interrupted_after_every_part_of_every_file_ends_with_the_same_bytes() {
    for (self_contained, threads) in [(false, 1), (true, 3)] {
        let staged = Staged::new(self_contained);
        let (mut inodes, mut noted) = (BTreeMap::new(), BTreeMap::new());
        while staged.finished() < FILES.len() {
            // It asks after every file that is finished already, then after the first new part.
            let error = staged.export(threads, &Stop::at(staged.finished() + 1)).unwrap_err();
            assert!(matches!(error, Error::Interrupted), "{error}");
            if let Some((path, bytes)) = staged.unfinished() {
                let file = path.trim_start_matches("redis/db_0/").to_owned();
                assert_eq!(fs::metadata(staged.partial(&file)).unwrap().len(), bytes, "{file}");
                noted.entry(file).or_insert_with(Vec::new).push(bytes);
            }
            for file in FILES {
                if let Ok(metadata) = fs::metadata(staged.partial(file)) {
                    assert_eq!(*inodes.entry(file).or_insert(metadata.ino()), metadata.ino(), "{file} anew");
                }
            }
        }
        staged.export(threads, &Silent).unwrap();
        staged.assert_same();
        assert!(noted.keys().eq(FILES.iter()), "{:?}", noted.keys());
        for (file, noted) in noted {
            assert!(noted.is_sorted() && noted.len() > 2, "{file}: {noted:?}");
        }
    }
}

#[test]
fn a_half_written_file_that_is_not_as_it_was_noted_is_written_anew() {
    let staged = Staged::new(false);
    let elsewhere = staged.folder.path().join("elsewhere");
    fs::write(&elsewhere, vec![b'x'; 10_000_000]).unwrap();
    let damages: [&dyn Fn(&Path); 4] = [
        &|file| File::options().write(true).open(file).unwrap().set_len(1000).unwrap(),
        &|file| fs::remove_file(file).unwrap(),
        &|file| {
            fs::remove_file(file).unwrap();
            symlink(&elsewhere, file).unwrap();
        },
        &|_| {
            let staging = rusqlite::Connection::open(staged.folder.path().join("s.db")).unwrap();
            staging.execute("UPDATE dump_unfinished_file SET sha256_state = x'00'", []).unwrap();
        },
    ];
    for damage in damages {
        assert!(matches!(staged.export(1, &Stop::at(3)), Err(Error::Interrupted)));
        let (path, _) = staged.unfinished().unwrap();
        damage(&staged.folder.path().join("dump.partial").join(path));
        staged.export(1, &Silent).unwrap();
        staged.assert_same();
        fs::remove_dir_all(staged.dump()).unwrap();
    }
    assert_eq!(fs::read(&elsewhere).unwrap(), vec![b'x'; 10_000_000]);
}
