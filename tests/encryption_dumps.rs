//! Dumps of encrypted snapshots: the same trees as in clear, by every way into them, and nothing of the keys anywhere
//! (`docs/format/encryption.md` section 6).

#![allow(clippy::unwrap_used, clippy::panic, reason = "this is test code, if not inside a test function")]

mod decode_support;

use std::collections::BTreeMap;
use std::fs::{self, File, FileTimes};
use std::io::Read;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use decode_support::*;
use ekvsnap::dump::target::Target;
use ekvsnap::error::Error;
use ekvsnap::export::{Dumped, ExportOptions, export};
use ekvsnap::load::{LoadOptions, load, stage};
use ekvsnap::progress::{Phase, Silent};
use ekvsnap::report::Report;
use ekvsnap::snapshot::encryption::{Keyring, OpenError};
use ekvsnap::staging::{Authentic, LargeValues, Staging, StagingError};
use ekvsnap_testkit::bundled::bundled;
use ekvsnap_testkit::encryption::{KeyFiles, encrypt};
use ekvsnap_testkit::redis_rows::{string_key, string_value};
use ekvsnap_testkit::sorted::SortedSnapshot;
use ekvsnap_testkit::sst_writer::{Compress, Cut};
use ekvsnap_testkit::version::Version;
use tempfile::TempDir;

/// Folder, key files and keys of a run.
struct Place {
    folder: TempDir,
    files: KeyFiles,
    keys: Arc<Keyring>,
}

impl Place {
    fn new() -> Self {
        let (folder, files) = (scratch(), KeyFiles::new());
        files.write_to(folder.path()).unwrap();
        let (sidecar, kek) = (folder.path().join("keys.json"), folder.path().join("kek.bin"));
        let (keys, mode) = Keyring::read(&sidecar, &kek).unwrap();
        assert_eq!(mode, None);
        Self { folder, files, keys: Arc::new(keys) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A snapshot with its values encrypted, all under keys in turns.
    fn encrypted(&self, name: &str, clear: &[u8]) -> PathBuf {
        let storage: Vec<_> = self.files.keys.iter().filter(|key| key.storage).collect();
        let path = self.path(name);
        let out = File::create(&path).unwrap();
        encrypt(clear, out, |row| Some(storage[row as usize % storage.len()])).unwrap();
        path
    }

    fn options(&self) -> LoadOptions {
        LoadOptions { keys: Some(Arc::clone(&self.keys)), ..load_options() }
    }

    fn load(&self, snapshot: &Path, options: &LoadOptions) -> PathBuf {
        let database = self.path("loaded.db");
        stage(&inputs(snapshot), &database, true, options, &Silent).unwrap().close().unwrap();
        database
    }

    fn export(&self, database: &Path, keys: Option<&Arc<Keyring>>) -> Result<Dumped, Error> {
        let staging = Staging::open(database)?;
        let target = Target::new(&self.path("dump"), true, &[])?;
        let how = ExportOptions { keys: keys.cloned(), ..export_options(2) };
        export(&staging, target.begin()?, &how, &Silent)
    }

    fn tree(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        contents(tree(&self.path("dump")))
    }
}

/// All but what names the source.
fn contents(mut tree: BTreeMap<PathBuf, Vec<u8>>) -> BTreeMap<PathBuf, Vec<u8>> {
    let checksums = String::from_utf8_lossy(&tree.remove(Path::new("CHECKSUMS")).unwrap()).into_owned();
    let lines: Vec<_> = checksums.lines().filter(|line| !line.ends_with("  MANIFEST.json")).collect();
    tree.insert("CHECKSUMS".into(), lines.join("\n").into());
    assert!(tree.remove(Path::new("MANIFEST.json")).is_some());
    tree
}

fn unopened(error: Error) -> OpenError {
    match error {
        Error::Snapshot(ekvsnap::snapshot::SnapshotError::Encrypted(row))
        | Error::Staging(StagingError::Encrypted(row)) => row.what,
        other => panic!("{other}"),
    }
}

/// A snapshot in clear of some strings, one of them long.
fn strings(long: usize) -> Vec<u8> {
    let version =
        |key: &[u8], value: &[u8]| Version::put(string_key(key), 1 << 40, string_value(value, None));
    let rows = [version(b"a", b"short"), version(b"long", &vec![b'x'; long]), version(b"z", b"")];
    SortedSnapshot::new(1 << 40).versions(&rows).to_bytes().unwrap()
}

#[test]
fn every_family_gives_the_tree_of_its_clear_form_by_every_way() {
    for name in ["redis-small", "dynamodb-small", "s3-small", "sqs-small"] {
        let place = Place::new();
        let clear = inputs(&Path::new(FIXTURES).join(name)).remove(0).name();
        decode(&inputs(Path::new(&clear)), &load_options(), place.folder.path(), 2).unwrap();
        let expected = place.tree();
        assert!(expected.len() > 30, "{name}");

        let ordinary = place.encrypted("0000000000000001.fsm", &fs::read(&clear).unwrap());
        let bundle = |file: &str, compress| {
            let cut = Cut { compress, ..Cut::default() };
            fs::write(place.path(file), bundled(&fs::read(&ordinary).unwrap(), 100_000, &cut)).unwrap();
            place.path(file)
        };
        let bundles = [
            bundle("0000000000000002.fsm", Compress::Never),
            bundle("0000000000000003.fsm", Compress::Always),
        ];
        for snapshot in bundles.into_iter().chain([ordinary]) {
            let dumped = decode(&inputs(&snapshot), &place.options(), place.folder.path(), 2).unwrap();
            assert!(place.tree() == expected, "{name}, decoded");
            let report = dumped.report;
            assert!(report.encrypted_rows().map(|(id, _)| id).eq([1, 0x0102_0304]), "{name}");
            let states: u64 = report.row_states.iter().map(|state| state.rows).sum();
            let operational = report.classes.iter().find(|class| class.class == "operational").unwrap().rows;
            assert_eq!(states + operational, report.rows, "{name}");

            for self_contained in [false, true] {
                let database = place.load(&snapshot, &LoadOptions { self_contained, ..place.options() });
                let keys = (!self_contained).then_some(&place.keys);
                place.export(&database, keys).unwrap();
                assert!(place.tree() == expected, "{name}, loaded and exported");
            }

            let mut command = ekvsnap(["decode", "-q", "--force", "-", "-o"]);
            command.arg(place.path("dump")).stdin(File::open(&snapshot).unwrap());
            command.arg("--keys").arg(place.path("keys.json")).arg("--kek-file").arg(place.path("kek.bin"));
            assert_eq!(said(&command.output().unwrap()), (Some(0), String::new()));
            assert!(place.tree() == expected, "{name}, from standard input");
        }
    }
}

#[test]
fn nothing_of_the_keys_is_left_in_database_or_dump_and_nobody_else_can_read_them() {
    let place = Place::new();
    let snapshot = place.encrypted("f.fsm", &strings(100_000));
    let database = place.load(&snapshot, &place.options());
    place.export(&database, Some(&place.keys)).unwrap();
    let mut written: Vec<_> = tree(&place.path("dump")).into_values().collect();
    written.push(fs::read(&database).unwrap());
    let json: serde_json::Value = serde_json::from_str(&place.files.sidecar()).unwrap();
    let mut secrets = vec![place.files.kek.to_vec(), b"kek.bin".to_vec(), b"keys.json".to_vec()];
    for key in &place.files.keys {
        secrets.push(key.bytes.to_vec());
        secrets.push(json["keys"][key.id.to_string()]["wrapped"].as_str().unwrap().into());
    }
    for secret in &secrets {
        assert!(!written.iter().any(|bytes| bytes.windows(secret.len()).any(|window| window == secret)));
    }
    assert_eq!(fs::metadata(&database).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn an_export_of_values_in_the_snapshot_needs_the_keys_and_says_so_before_it_writes() {
    let place = Place::new();
    let snapshot = place.encrypted("f.fsm", &strings(100_000));
    let database = place.load(&snapshot, &place.options());
    assert!(matches!(unopened(place.export(&database, None).unwrap_err()), OpenError::NoKeys(_)));
    assert!(!place.path("dump").exists() && !place.path("dump.partial").exists());
    place.export(&database, Some(&place.keys)).unwrap();
    assert_eq!(place.tree()[Path::new("redis/db_0/strings/long.bin")], vec![b'x'; 100_000]);

    // Short values are in the database.
    let snapshot = place.encrypted("short.fsm", &strings(100));
    let database = place.load(&snapshot, &place.options());
    place.export(&database, None).unwrap();
}

#[test]
fn a_byte_of_a_long_value_changed_after_the_load_is_noticed_by_the_export() {
    let place = Place::new();
    let snapshot = place.encrypted("f.fsm", &strings(1_000_000));
    let database = place.load(&snapshot, &place.options());
    let file = File::options().read(true).write(true).open(&snapshot).unwrap();
    let modified = file.metadata().unwrap().modified().unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, 500_000).unwrap();
    file.write_all_at(&[byte[0] ^ 1], 500_000).unwrap();
    // So that neither its time nor its ends tell.
    file.set_times(FileTimes::new().set_modified(modified)).unwrap();
    let error = place.export(&database, Some(&place.keys)).unwrap_err();
    assert!(error.to_string().contains("key !redis|str|long, commit timestamp 1099511627776"), "{error}");
    assert!(matches!(unopened(error), OpenError::Tampered(_)));
    assert!(!place.path("dump").exists());
}

#[test]
fn only_the_process_that_has_loaded_an_open_file_reads_it_again_without_comparing_tags() {
    let place = Place::new();
    let snapshot = place.encrypted("0000000000000001.fsm", &strings(1_000_000));
    let database = place.load(&snapshot, &place.options());
    let staging = Staging::open(&database).unwrap();
    let file = File::options().read(true).write(true).open(&snapshot).unwrap();
    let modified = file.metadata().unwrap().modified().unwrap();
    // Where the fingerprint does not look.
    file.write_all_at(b"!", 500_000).unwrap();
    let read = |authentic: Option<File>| {
        let values = LargeValues::new(staging.connection(), Some(Arc::clone(&place.keys)));
        if let Some(file) = authentic {
            values.trust(Authentic { source: 0, file }).unwrap();
        }
        let mut bytes = Vec::new();
        let mut reader = values.open(values.find(1).unwrap())?;
        reader.read_to_end(&mut bytes).map_err(StagingError::LargeValue)?;
        Ok::<_, StagingError>(bytes.iter().filter(|byte| **byte != b'x').count())
    };
    let same = || file.try_clone().unwrap();
    // A file that is seen to have changed is trusted by nobody.
    file.set_times(FileTimes::new().set_modified(modified + Duration::from_secs(1))).unwrap();
    assert!(matches!(read(None), Err(StagingError::SourceChanged(_))));
    assert!(matches!(read(Some(same())), Err(StagingError::SourceChanged(_))));
    file.set_times(FileTimes::new().set_modified(modified)).unwrap();
    assert!(matches!(read(None), Err(StagingError::Encrypted(_))));
    let changed = read(Some(same())).unwrap();
    file.write_all_at(&fs::read(place.encrypted("again.fsm", &strings(1_000_000))).unwrap(), 0).unwrap();
    file.set_times(FileTimes::new().set_modified(modified)).unwrap();
    assert_eq!((read(None).unwrap() + 1, read(Some(same())).unwrap() + 1), (changed, changed));
}

#[test]
fn a_load_that_goes_on_needs_the_keys_again_and_counts_what_came_before() {
    let place = Place::new();
    let version = |i: u8| Version::put(string_key(&[i]), 1 << 40, string_value(&vec![i; 1 << 20], None));
    let clear = SortedSnapshot::new(1 << 40)
        .raw([&b"!encryption|writers|"[..], &[0, 0, 0, 9], b"|", &[0, 1]].concat(), [0; 12])
        .versions(&(0..14).map(version).collect::<Vec<_>>());
    let snapshot = place.encrypted("f.fsm", &clear.to_bytes().unwrap());
    let whole = place.load(&snapshot, &place.options());
    let report = |database: &Path| {
        let report = Report::of(&Staging::open(database).unwrap()).unwrap();
        (report.row_states, report.rows, serde_json::to_value(report.warnings).unwrap())
    };
    let expected = report(&whole);
    assert!(expected.2.to_string().contains("key id 9"));
    for self_contained in [false, true] {
        let database = place.path("interrupted.db");
        let options = LoadOptions { self_contained, ..place.options() };
        let go = |options: &LoadOptions, at: usize| {
            stage(&inputs(&snapshot), &database, false, options, &Stop::in_phase(at, Phase::Load))
                .map(|staging| staging.close().unwrap())
        };
        assert!(matches!(go(&options, 2), Err(Error::Interrupted)));
        let without = LoadOptions { keys: None, ..options.clone() };
        assert!(matches!(unopened(go(&without, usize::MAX).unwrap_err()), OpenError::NoKeys(_)));
        assert!(database.exists(), "what had been loaded is lost");
        go(&options, usize::MAX).unwrap();
        assert_eq!(report(&database), expected);
        fs::remove_file(&database).unwrap();
    }
}

#[test]
fn a_load_that_had_no_keys_from_the_beginning_leaves_nothing() {
    let place = Place::new();
    let snapshot = place.encrypted("f.fsm", &strings(100));
    let database = place.path("none.db");
    let error = stage(&inputs(&snapshot), &database, false, &load_options(), &Silent).err().unwrap();
    assert!(matches!(unopened(error), OpenError::NoKeys(_)));
    assert!(!database.exists());
}

#[test]
fn several_files_are_opened_with_the_keys_of_one_sidecar() {
    let place = Place::new();
    let version = |key: &[u8]| Version::put(string_key(key), 1 << 40, string_value(b"value", None));
    let file = |key: &[u8]| SortedSnapshot::new(1 << 40).version(&version(key)).to_bytes().unwrap();
    for (folder, key) in [("group-1", b"a"), ("group-2", b"b")] {
        fs::create_dir(place.path(folder)).unwrap();
        place.encrypted(&format!("{folder}/1.fsm"), &file(key));
    }
    let both =
        ekvsnap::snapshot::locate(&[place.path("group-1/1.fsm"), place.path("group-2/1.fsm")]).unwrap();
    let both: Vec<_> = both.into_iter().map(ekvsnap::load::Input::File).collect();
    let staging = Staging::create(&place.path("both.db")).unwrap();
    load(&both, &staging, &place.options(), &Silent).unwrap();
    assert!(Report::of(&staging).unwrap().encrypted_rows().eq([(1, 2)]));
}
