//! Snapshots of real nodes, decoded to the byte. Each fixture has its golden `CHECKSUMS` beside it; what the node's
//! clients read back was compared with these dumps when the files were made. `SNAPSHOTS=overwrite` renews them:
//! look at the difference before committing it.

#![allow(clippy::unwrap_used, reason = "this is test code, if not inside a test function")]

mod decode_support;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use decode_support::*;
use ekvsnap::dump::target::Target;
use ekvsnap::export::export;
use ekvsnap::load::{AsOf, LoadOptions, load};
use ekvsnap::progress::Silent;
use ekvsnap::staging::Staging;

fn fixture(name: &str) -> PathBuf {
    Path::new(FIXTURES).join(name)
}

#[test]
fn every_fixture_decodes_to_its_golden_checksums() {
    for name in NAMES {
        let folder = scratch();
        let dumped = decode(&inputs(&fixture(name)), &load_options(), folder.path(), 1).unwrap();
        // Keys of S3 objects are paths, whatever bytes they are.
        let checksums = fs::read(folder.path().join("dump/CHECKSUMS")).unwrap();
        let golden = fixture(name).join("CHECKSUMS");
        if std::env::var_os("SNAPSHOTS").is_some_and(|value| value == "overwrite") {
            fs::write(&golden, &checksums).unwrap();
        }
        let files = tree(&folder.path().join("dump"));
        let manifest = String::from_utf8_lossy(&files[Path::new("MANIFEST.json")]);
        let [checksums, golden] =
            [checksums, fs::read(&golden).unwrap()].map(|bytes| bytes.escape_ascii().to_string());
        assert_eq!(checksums.replace("\\n", "\n"), golden.replace("\\n", "\n"), "{name}: {manifest}");
        assert_eq!(dumped.files as usize, files.len());
        assert_eq!(dumped.bytes as usize, files.values().map(Vec::len).sum::<usize>());
    }
}

#[test]
fn sha256sum_agrees_with_every_file_and_no_file_is_missing_from_checksums() {
    for name in NAMES {
        let folder = scratch();
        decode(&inputs(&fixture(name)), &load_options(), folder.path(), 2).unwrap();
        let dump = folder.path().join("dump");
        let mut check = Command::new("sha256sum");
        check.args(["--strict", "--quiet", "-c", "CHECKSUMS"]).current_dir(&dump);
        let output = check.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let lines = fs::read(dump.join("CHECKSUMS")).unwrap().split(|&byte| byte == b'\n').count() - 1;
        assert_eq!(lines + 1, tree(&dump).len());
    }
}

#[test]
fn threads_second_runs_and_a_detour_through_load_and_export_change_no_byte() {
    for name in NAMES {
        let folder = scratch();
        let dump = folder.path().join("dump");
        decode(&inputs(&fixture(name)), &load_options(), folder.path(), 1).unwrap();
        let first = tree(&dump);
        for threads in [1, 2, 3, 16] {
            decode(&inputs(&fixture(name)), &load_options(), folder.path(), threads).unwrap();
            assert!(first == tree(&dump), "{name} with {threads} threads");
        }
        let database = folder.path().join("kept.db");
        let staging = Staging::create(&database).unwrap();
        load(&inputs(&fixture(name)), &staging, &load_options(), &Silent).unwrap();
        staging.close().unwrap();
        for run in 1..=2 {
            let staging = Staging::open(&database).unwrap();
            let target = Target::new(&dump, true, &[]).unwrap().begin().unwrap();
            export(&staging, target, &export_options(2), &Silent).unwrap();
            assert!(first == tree(&dump), "{name}, export {run}");
        }
    }
}

#[test]
fn standard_input_and_a_pipe_change_only_what_the_manifest_says_of_the_source() {
    let folder = scratch();
    let snapshot = inputs(&fixture("redis-small")).remove(0).name();
    let dump = |name: &str, input: &str, stdin: Option<&str>| {
        let output = folder.path().join(name);
        let mut command = ekvsnap(["decode", "-q", "-o"]);
        command.arg(&output).arg(input);
        if let Some(stdin) = stdin {
            command.stdin(File::open(stdin).unwrap());
        }
        assert_eq!(said(&command.output().unwrap()), (Some(0), String::new()));
        let mut files = tree(&output);
        let manifest = String::from_utf8(files.remove(Path::new("MANIFEST.json")).unwrap()).unwrap();
        files.remove(Path::new("CHECKSUMS"));
        (files, manifest)
    };
    let (files, manifest) = dump("file", &snapshot, None);
    let (from_stdin, said_of_stdin) = dump("stdin", "-", Some(&snapshot));
    assert!(files == from_stdin);
    assert_eq!(manifest.replace(&format!("{snapshot:?}"), "\"-\""), said_of_stdin);

    let pipe = folder.path().join("00000000000002ef.fsm");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let (from, to) = (snapshot.clone(), pipe.clone());
    let feeder = std::thread::spawn(move || fs::copy(from, to).unwrap());
    let (from_pipe, said_of_pipe) = dump("pipe", pipe.to_str().unwrap(), None);
    feeder.join().unwrap();
    assert!(files == from_pipe);
    assert_eq!(manifest.replace(&snapshot, pipe.to_str().unwrap()), said_of_pipe);
}

#[test]
fn the_classes_add_up_to_the_rows_of_the_files() {
    let rows = [5839, 967, 3931, 1527, 3553, 2070, 3341];
    for (name, rows) in NAMES.into_iter().zip(rows) {
        let folder = scratch();
        let report = decode(&inputs(&fixture(name)), &load_options(), folder.path(), 1).unwrap().report;
        let by_class: u64 = report.classes.iter().map(|class| class.rows).sum();
        let by_verdict: u64 =
            report.classes.iter().flat_map(|class| &class.verdicts).map(|(_, rows)| rows).sum();
        let by_source: u64 = report.sources.iter().map(|source| source.rows).sum();
        assert_eq!([report.rows, by_class, by_verdict, by_source], [rows; 4], "{name}");
        assert!(report.sources.iter().all(|source| source.complete && source.crc32c.is_some()));
    }
}

#[test]
fn the_order_of_the_inputs_does_not_matter() {
    let folder = scratch();
    let dump = folder.path().join("dump");
    let mut inputs = inputs(&fixture("redis-two-groups"));
    let options = LoadOptions { as_of: AsOf::Consistent, ..load_options() };
    decode(&inputs, &options, folder.path(), 1).unwrap();
    let first = tree(&dump);
    inputs.reverse();
    let paths: Vec<PathBuf> = inputs.iter().map(|input| input.name().into()).collect();
    let sorted: Vec<_> = ekvsnap::snapshot::locate(&paths).unwrap();
    let sorted: Vec<_> = sorted.into_iter().map(ekvsnap::load::Input::File).collect();
    decode(&sorted, &options, folder.path(), 1).unwrap();
    assert!(first == tree(&dump));
}
