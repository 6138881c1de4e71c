//! What a run does not go on with: another file, other options, somebody else's database.

#![allow(clippy::unwrap_used, clippy::panic, reason = "test code")]

mod resume_support;

use std::fs::{self, File, FileTimes};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use resume_support::*;
use rustix::process::{Signal, kill_process};

/// A load of a copy of the large snapshot, interrupted after its first checkpoint.
fn interrupted() -> (Place, PathBuf) {
    let place = Place::new();
    let copy = place.folder.path().join("copy.fsm");
    fs::copy(large(), &copy).unwrap();
    let load = start(&mut place.load([&copy], &[]));
    let output = signal_when(load, Signal::INT, || bytes(&place.staging) > 2 << 20);
    assert_eq!(output.status.code(), Some(130));
    (place, copy)
}

fn modified(path: &Path) -> SystemTime {
    fs::metadata(path).unwrap().modified().unwrap()
}

fn set_modified(path: &Path, to: SystemTime) {
    File::options().write(true).open(path).unwrap().set_times(FileTimes::new().set_modified(to)).unwrap();
}

/// Turns one byte of a file over, and its time of modification back.
fn flip(path: &Path, offset: u64) {
    let (file, before) = (File::options().read(true).write(true).open(path).unwrap(), modified(path));
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[!byte[0]], offset).unwrap();
    set_modified(path, before);
}

#[test]
fn an_interrupted_load_does_not_go_on_with_a_changed_file() {
    let (place, copy) = interrupted();
    let (length, time) = (bytes(&copy), modified(&copy));
    let resumes_at = info(&place.staging)["sources"][0]["resumes_at"].clone();
    let refused = |what: &str| {
        let said = fail(&mut place.load([&copy], &[]), 6);
        assert!(said.contains("s.db") && said.contains("--restart"), "{what}: {said}");
        // What was begun and what is asked for now.
        let (known, asked) = said.split_once("; asked for is ").unwrap_or_else(|| panic!("{what}: {said}"));
        let describes = |text: &str| text.contains("copy.fsm (") && text.contains(" bytes, modified ");
        assert!(describes(known) && describes(asked), "{what}: {said}");
        let (known, asked) = (known.split(" load of ").nth(1).unwrap(), asked.split(')').next().unwrap());
        assert!(!known.starts_with(asked), "{what}: both read the same: {said}");
        assert_eq!(info(&place.staging)["sources"][0]["resumes_at"], resumes_at, "{what}");
    };

    set_modified(&copy, time + Duration::from_secs(5));
    refused("another time of modification");
    set_modified(&copy, time);

    let file = File::options().write(true).open(&copy).unwrap();
    file.set_len(length + 1).unwrap();
    set_modified(&copy, time);
    refused("another size");
    file.set_len(length).unwrap();
    set_modified(&copy, time);

    for (offset, what) in [(9, "another beginning"), (length - 5, "another end")] {
        flip(&copy, offset);
        refused(what);
        flip(&copy, offset);
    }

    let other = place.folder.path().join("other.fsm");
    fs::copy(SMALL, &other).unwrap();
    let said = fail(&mut place.load([&other], &[]), 6);
    assert!(said.contains("copy.fsm") && said.contains("other.fsm"), "{said}");
    let said = fail(&mut place.load([&copy, &other], &[]), 6);
    assert!(said.contains("other.fsm"), "{said}");

    // As it was it goes on, whatever happened in between.
    let said = succeed(&mut place.load([&copy], &[]));
    assert!(said.contains("going on"), "{said}");
}

#[test]
fn an_interrupted_load_does_not_go_on_with_other_options_unless_it_starts_over() {
    let (place, copy) = interrupted();
    for (options, known, asked) in [
        (["--as-of", "consistent"].as_slice(), "the newest versions", "as of "),
        (&["--adapter", "redis"], "adapters dynamodb,s3,redis,sqs", "adapters redis,"),
        (&["--on-error", "quarantine"], "stopping at", "quarantining"),
        (&["--self-contained"], "large values by reference", "large values included"),
    ] {
        let said = fail(&mut place.load([&copy], options), 6);
        assert!(said.contains(known) && said.contains(asked) && said.contains("--restart"), "{said}");
    }
    let said = succeed(&mut place.load([&copy], &["--adapter", "redis", "--restart"]));
    assert!(!said.contains("going on"), "{said}");
    assert_eq!(info(&place.staging)["adapters"], serde_json::json!(["redis"]));
}

#[test]
fn a_finished_load_has_nothing_left_to_do() {
    let place = Place::new();
    succeed(&mut place.load([LEGACY], &[]));
    let before = fs::read(&place.staging).unwrap();
    succeed(&mut place.load([LEGACY], &[]));
    assert!(fs::read(&place.staging).unwrap() == before, "the database has changed");
    fail(&mut place.load([SMALL], &[]), 6);
    place.assert_holds(&["s.db"]);
}

#[test]
fn a_snapshot_that_changed_after_its_load_is_an_error_that_names_it() {
    let place = Place::new();
    let copy = place.folder.path().join("copy.fsm");
    fs::copy(large(), &copy).unwrap();
    succeed(&mut place.load([&copy], &[]));
    let time = modified(&copy);
    let refused = |why: &str| {
        let said = fail(&mut place.export(&[]), 2);
        assert!(said.contains("copy.fsm") && said.contains(why), "{said}");
        assert!(!place.output.exists());
    };
    set_modified(&copy, time + Duration::from_secs(1));
    refused("changed since it was loaded");
    set_modified(&copy, time);
    flip(&copy, 3);
    refused("changed since it was loaded");
    flip(&copy, 3);
    let away = place.folder.path().join("away.fsm");
    fs::rename(&copy, &away).unwrap();
    refused("cannot be opened any more");
    fs::rename(&away, &copy).unwrap();
    succeed(&mut place.export(&[]));
}

/// A run that is not left behind.
struct Held(Child);

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_second_run_on_one_staging_database_is_refused_with_the_owner_of_the_first() {
    let place = Place::new();
    // Held: it waits for the rest of standard input.
    let mut first = Command::new(env!("CARGO_BIN_EXE_ekvsnap"))
        .args(["load", "-", "--staging"])
        .arg(&place.staging)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // More than the window that is filled before the first row is looked at.
    let snapshot = fs::read(SMALL).unwrap();
    let mut pipe = first.stdin.take().unwrap();
    std::io::Write::write_all(&mut pipe, &snapshot[..400_000]).unwrap();
    while bytes(&place.staging) < 64 << 10 {
        std::thread::sleep(Duration::from_millis(1));
        assert!(first.try_wait().unwrap().is_none());
    }
    // Stopped, so that the moment does not matter. What it inherited is closed even if this test fails.
    kill_process(pid(&first), Signal::STOP).unwrap();
    let mut first = Held(first);
    let owner = format!("process {}", first.0.id());
    for command in [
        &mut place.load([SMALL], &[]),
        &mut place.load([SMALL], &["--restart"]),
        &mut place.export(&[]),
        place.decode([SMALL], &[]).arg("--staging").arg(&place.staging),
    ] {
        let said = fail(command, 6);
        assert!(said.contains("s.db is in use by") && said.contains(&owner), "{said}");
    }
    assert!(!place.output.exists() && !place.partial().exists());
    kill_process(pid(&first.0), Signal::CONT).unwrap();
    std::io::Write::write_all(&mut pipe, &snapshot[400_000..]).unwrap();
    drop(pipe);
    assert!(first.0.wait().unwrap().code().is_some_and(|code| code < 2));
    succeed(&mut place.export(&[]));
}
