//! Where a dump goes: nothing is followed, nothing is half there, and what was there stays until the new one is whole
//! (`docs/format/dump.md` section 6). Runs that have to be caught in the middle read from a pipe that this test holds
//! open, so nothing here depends on time.

#![allow(clippy::unwrap_used, clippy::panic, reason = "this is test code, if not inside a test function")]

mod decode_support;

use std::cell::Cell;
use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use decode_support::*;
use ekvsnap::dump::target::{PartialDump, Target, TargetError};
use ekvsnap::error::Error;
use ekvsnap::export::export;
use ekvsnap::load::load;
use ekvsnap::progress::{Phase, Progress, Silent};
use ekvsnap::staging::Staging;
use tempfile::TempDir;

const SNAPSHOT: &str = "tests/fixtures/redis-small/00000000000002ef.fsm";

fn decode_to(output: &Path, more: &[&str]) -> (Option<i32>, String) {
    said(&ekvsnap(["decode", "-q", SNAPSHOT, "-o"]).arg(output).args(more).output().unwrap())
}

/// Other tests start processes meanwhile: between fork and exec, those hold the locks of this one.
fn begin(dump: &Path) -> PartialDump {
    for _ in 0..100 {
        match Target::new(dump, false, &[]).unwrap().begin() {
            Err(TargetError::Busy(_)) => std::thread::sleep(Duration::from_millis(50)),
            begun => return begun.unwrap(),
        }
    }
    panic!("{} is still held", dump.display());
}

/// A run that waits for the rest of its snapshot.
struct Waiting {
    run: Child,
    stdin: ChildStdin,
    rest: Vec<u8>,
}

impl Waiting {
    /// Returns once `sign` is there.
    fn start(arguments: &[&str], folder: &TempDir, sign: &str) -> Self {
        let mut bytes = fs::read(SNAPSHOT).unwrap();
        let rest = bytes.split_off(bytes.len() / 2);
        let mut command = ekvsnap(arguments);
        let mut run = command
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = run.stdin.take().unwrap();
        stdin.write_all(&bytes).unwrap();
        while !fs::metadata(folder.path().join(sign)).is_ok_and(|sign| sign.len() > 0) {
            assert!(run.try_wait().unwrap().is_none(), "the run is over already");
            std::thread::yield_now();
        }
        Self { run, stdin, rest }
    }

    fn signal(self, signal: &str) -> (Option<i32>, String) {
        let pid = self.run.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &pid]).status().unwrap().success());
        // The pipe stays open until the run has ended.
        let Self { run, stdin, .. } = self;
        let said = said(&run.wait_with_output().unwrap());
        drop(stdin);
        said
    }

    fn finish(mut self) -> (Option<i32>, String) {
        self.stdin.write_all(&self.rest).unwrap();
        drop(self.stdin);
        said(&self.run.wait_with_output().unwrap())
    }
}

#[test]
fn an_existing_target_is_refused_unless_it_is_an_empty_directory() {
    let folder = scratch();
    let full = folder.path().join("full");
    fs::create_dir(&full).unwrap();
    fs::write(full.join("precious"), "data").unwrap();
    let (status, said) = decode_to(&full, &[]);
    assert_eq!(status, Some(6));
    assert!(said.contains("not empty") && said.contains("--force"), "{said}");
    assert_eq!(names(&full), ["precious"]);

    let file = folder.path().join("file");
    fs::write(&file, "data").unwrap();
    for more in [&[][..], &["--force"]] {
        let (status, said) = decode_to(&file, more);
        assert_eq!(status, Some(6));
        assert!(said.contains("not a directory"), "{said}");
    }
    assert_eq!(fs::read(&file).unwrap(), b"data");

    let empty = folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    assert_eq!(decode_to(&empty, &[]), (Some(0), String::new()));
    assert!(names(&empty).contains(&"CHECKSUMS".to_owned()));
    assert_eq!(names(folder.path()), ["empty", "file", "full"]);
}

#[test]
fn no_symbolic_link_is_followed_or_replaced_with_or_without_a_slash_or_force() {
    let folder = scratch();
    let elsewhere = folder.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    symlink(&elsewhere, folder.path().join("link")).unwrap();
    symlink("nowhere", folder.path().join("dangling")).unwrap();
    symlink(&elsewhere, folder.path().join("dump.partial")).unwrap();
    symlink("nowhere", folder.path().join("other.partial")).unwrap();
    symlink(&elsewhere, folder.path().join("third.staging.db")).unwrap();
    let before = names(folder.path());
    for output in ["link", "link/", "link/.", "dangling", "dump", "other", "third"] {
        for more in [&[][..], &["--force"]] {
            let (status, said) = decode_to(&folder.path().join(output), more);
            assert!(matches!(status, Some(2 | 6)), "{output}: {status:?} {said}");
            assert_eq!(names(folder.path()), before, "{output}");
            assert!(names(&elsewhere).is_empty(), "{output}");
        }
    }
}

#[test]
fn a_link_among_the_folders_above_the_output_is_the_users_own_business() {
    let folder = scratch();
    fs::create_dir(folder.path().join("real")).unwrap();
    symlink("real", folder.path().join("link")).unwrap();
    assert_eq!(decode_to(&folder.path().join("link/deeper/dump"), &[]), (Some(0), String::new()));
    assert_eq!(names(&folder.path().join("real/deeper")), ["dump"]);
}

#[test]
fn every_way_to_write_a_path_names_the_same_dump() {
    let folder = scratch();
    let snapshot = std::path::absolute(SNAPSHOT).unwrap();
    for output in ["dump", "./dump", "dump/", "dump/.", "new/../dump", "missing/folders/dump//"] {
        fs::create_dir_all(folder.path().join("new")).unwrap();
        let mut command = ekvsnap(["decode", "-q", "--force", "-o", output]);
        let output = command.arg(&snapshot).current_dir(&folder).output().unwrap();
        assert_eq!(said(&output), (Some(0), String::new()));
    }
    assert_eq!(names(folder.path()), ["dump", "missing", "new"]);
    assert_eq!(names(&folder.path().join("missing/folders")), ["dump"]);
    for output in [".", "..", "/", "dump/.."] {
        let mut command = ekvsnap(["decode", "-q", "--force", "-o", output]);
        let output = command.arg(&snapshot).current_dir(&folder).output().unwrap();
        assert_eq!(said(&output).0, Some(2));
    }
}

#[test]
fn force_replaces_the_old_dump_only_once_the_new_one_is_whole() {
    let folder = scratch();
    let dump = folder.path().join("dump");
    assert_eq!(decode_to(&dump, &[]).0, Some(0));
    let old = tree(&dump);

    let damaged = folder.path().join("damaged.fsm");
    let mut bytes = fs::read(SNAPSHOT).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&damaged, &bytes).unwrap();
    let mut failing = ekvsnap(["decode", "-q", "--force", "-o"]);
    assert_eq!(said(&failing.arg(&dump).arg(&damaged).output().unwrap()).0, Some(3));
    assert!(old == tree(&dump), "the failed run touched the old dump");
    assert_eq!(names(folder.path()), ["damaged.fsm", "dump"]);

    let interrupted = Waiting::start(&["decode", "-", "-o", "dump", "--force"], &folder, "dump.staging.db");
    assert!(old == tree(&dump));
    assert_eq!(interrupted.signal("INT").0, Some(130));
    assert!(old == tree(&dump), "the interrupted run touched the old dump");

    fs::write(dump.join("added"), "by somebody").unwrap();
    // What a run that was killed while it replaced a dump may have left.
    fs::create_dir(folder.path().join("dump.replaced")).unwrap();
    assert_eq!(decode_to(&dump, &["--force", "--cluster-id", "c"]), (Some(0), String::new()));
    assert!(!dump.join("added").exists());
    assert!(fs::read_to_string(dump.join("MANIFEST.json")).unwrap().contains("\"cluster_id\": \"c\""));
    assert_eq!(names(folder.path()), ["damaged.fsm", "dump", "dump.replaced"]);
}

#[test]
fn force_never_removes_what_the_run_needs() {
    let folder = scratch();
    let root = folder.path().join("root");
    fs::create_dir_all(root.join("inner")).unwrap();
    fs::copy(SNAPSHOT, root.join("inner/1.fsm")).unwrap();
    let run = |arguments: &[&str], at: &Path| {
        said(&ekvsnap(["decode", "-q", "--force"]).args(arguments).current_dir(at).output().unwrap())
    };
    assert_eq!(run(&["root/inner/1.fsm", "-o", "root"], folder.path()).0, Some(2));
    assert_eq!(run(&["1.fsm", "-o", "../../root"], &root.join("inner")).0, Some(2));
    let staging_inside = ["root/inner/1.fsm", "-o", "dump", "--staging", "dump/s.db"];
    assert_eq!(run(&staging_inside, folder.path()).0, Some(2));
    assert_eq!(names(folder.path()), ["root"]);
    assert_eq!(names(&root.join("inner")), ["1.fsm"]);
}

#[test]
fn an_interrupted_run_exits_130_and_leaves_nothing() {
    for signal in ["INT", "TERM", "HUP"] {
        let folder = scratch();
        let (status, said) =
            Waiting::start(&["decode", "-", "-o", "dump"], &folder, "dump.staging.db").signal(signal);
        assert_eq!(status, Some(130));
        assert!(said.contains("interrupted"), "{said}");
        assert!(names(folder.path()).is_empty(), "{:?}", names(folder.path()));
        let (status, _) = Waiting::start(&["load", "-", "--staging", "s.db"], &folder, "s.db").signal(signal);
        assert_eq!(status, Some(130));
        assert!(names(folder.path()).is_empty());
    }
}

#[test]
fn a_pipe_that_nobody_writes_to_holds_up_no_interrupt() {
    let folder = scratch();
    assert!(Command::new("mkfifo").arg(folder.path().join("pipe.fsm")).status().unwrap().success());
    let mut command = ekvsnap(["decode", "-q", "pipe.fsm", "-o", "dump"]);
    let mut run = command.current_dir(&folder).stderr(Stdio::piped()).spawn().unwrap();
    while !folder.path().join("dump.partial").exists() {
        assert!(run.try_wait().unwrap().is_none());
        std::thread::yield_now();
    }
    assert!(Command::new("kill").args(["-s", "INT", &run.id().to_string()]).status().unwrap().success());
    assert_eq!(said(&run.wait_with_output().unwrap()).0, Some(130));
    assert_eq!(names(folder.path()), ["pipe.fsm"]);
}

#[test]
fn what_a_killed_run_left_is_replaced_by_the_next() {
    let folder = scratch();
    let waiting = Waiting::start(&["decode", "-", "-o", "dump"], &folder, "dump.staging.db");
    assert_eq!(waiting.signal("KILL").0, None);
    let waiting = Waiting::start(&["load", "-", "--staging", "s.db"], &folder, "s.db");
    assert_eq!(waiting.signal("KILL").0, None);
    let left = names(folder.path());
    assert!(!left.contains(&"dump".to_owned()), "{left:?}");
    assert!(left.contains(&"dump.partial".to_owned()) && left.contains(&"s.db".to_owned()), "{left:?}");

    fs::write(folder.path().join("dump.partial/stale"), "x").unwrap();
    symlink("/", folder.path().join("dump.partial/root")).unwrap();
    assert_eq!(decode_to(&folder.path().join("dump"), &["--restart"]), (Some(0), String::new()));
    let load =
        ekvsnap(["load", "-q", "--restart", SNAPSHOT, "--staging"]).arg(folder.path().join("s.db")).output();
    assert_eq!(said(&load.unwrap()), (Some(0), String::new()));
    assert_eq!(names(folder.path()), ["dump", "s.db"]);
    assert!(!tree(&folder.path().join("dump")).contains_key(Path::new("stale")));
}

#[test]
fn of_two_runs_to_one_place_the_second_is_refused_and_the_first_goes_on() {
    let folder = scratch();
    let first = Waiting::start(&["decode", "-", "-q", "-o", "dump"], &folder, "dump.staging.db");
    let (status, said) = decode_to(&folder.path().join("dump"), &[]);
    assert_eq!(status, Some(6));
    assert!(said.contains("another process"), "{said}");
    assert_eq!(first.finish(), (Some(0), String::new()));
    assert_eq!(names(folder.path()), ["dump"]);

    let first = Waiting::start(&["load", "-", "-q", "--staging", "s.db"], &folder, "s.db");
    let second = ekvsnap(["load", "-q", SNAPSHOT, "--staging"]).arg(folder.path().join("s.db")).output();
    let (status, said) = decode_support::said(&second.unwrap());
    assert_eq!(status, Some(6), "{said}");
    assert!(said.contains(&format!("process {}", first.run.id())), "{said}");
    assert_eq!(first.finish(), (Some(0), String::new()));
    assert_eq!(names(folder.path()), ["dump", "s.db"]);
}

#[test]
fn load_replaces_a_database_only_when_told_to_start_over_and_only_by_a_snapshot() {
    let folder = scratch();
    let database = folder.path().join("s.db");
    let load_into = |more: &[&str]| {
        said(&ekvsnap(["load", "-q", "--staging"]).arg(&database).args(more).output().unwrap())
    };
    assert_eq!(load_into(&[SNAPSHOT]), (Some(0), String::new()));
    let old = fs::read(&database).unwrap();
    assert_eq!(load_into(&[SNAPSHOT]), (Some(0), String::new()), "it is loaded already");
    let (status, said) = load_into(&["tests/fixtures/redis-legacy/0000000000000097.fsm"]);
    assert_eq!(status, Some(6));
    assert!(said.contains("--restart"), "{said}");
    assert_eq!(load_into(&["--restart", "Cargo.toml"]).0, Some(3));
    assert_eq!(load_into(&["--restart", "no-such.fsm"]).0, Some(2));
    assert!(old == fs::read(&database).unwrap(), "a failed run touched the old database");
    assert_eq!(load_into(&["--restart", SNAPSHOT]), (Some(0), String::new()));
    assert_eq!(names(folder.path()), ["s.db"]);

    fs::write(&database, "something else").unwrap();
    assert_eq!(load_into(&["--restart", SNAPSHOT]).0, Some(2));
    assert_eq!(fs::read(&database).unwrap(), b"something else");
}

/// Interrupts a run once so many keys are written.
struct After {
    keys: u64,
    written: Cell<u64>,
}

impl Progress for After {
    fn begin(&self, _: Phase, _: Option<u64>) {
        self.written.set(0);
    }

    fn advance(&self, by: u64) {
        self.written.set(self.written.get() + by);
    }

    fn is_interrupted(&self) -> bool {
        self.written.get() >= self.keys
    }
}

#[test]
fn an_export_that_is_interrupted_at_any_key_leaves_no_output_and_goes_on() {
    let folder = scratch();
    let staging = Staging::create(&folder.path().join("s.db")).unwrap();
    load(&inputs(Path::new(SNAPSHOT)), &staging, &load_options(), &Silent).unwrap();
    staging.close().unwrap();
    let dump = folder.path().join("dump");
    for keys in [1, 2, 100, 252, 253] {
        let staging = Staging::open(&folder.path().join("s.db")).unwrap();
        let partial = begin(&dump);
        let progress = After { keys, written: Cell::new(0) };
        let ended = export(&staging, partial, &export_options(2), &progress);
        assert!(matches!(ended, Err(Error::Interrupted)), "after {keys} keys");
        drop(staging);
        assert_eq!(names(folder.path()), ["dump.partial", "s.db"]);
    }
    let staging = Staging::open(&folder.path().join("s.db")).unwrap();
    let partial = begin(&dump);
    let progress = After { keys: 254, written: Cell::new(0) };
    let mut keys = export(&staging, partial, &export_options(2), &progress).unwrap().keys;
    keys.retain(|(_, keys)| *keys > 0);
    assert_eq!(keys, [("redis", 253)]);
}

#[test]
fn a_dump_that_came_into_being_meanwhile_is_not_replaced() {
    let folder = scratch();
    let dump = folder.path().join("dump");
    let partial = begin(&dump);
    fs::create_dir(&dump).unwrap();
    fs::write(dump.join("theirs"), "x").unwrap();
    assert!(matches!(partial.publish(), Err(TargetError::Exists(_))));
    assert_eq!(names(&dump), ["theirs"]);
    assert_eq!(names(folder.path()), ["dump", "dump.partial"], "the work is not lost");
}

#[test]
fn a_lock_is_given_back_with_the_place() {
    let folder = scratch();
    let target = || Target::new(&folder.path().join("dump"), false, &[]).unwrap();
    let first = target().begin().unwrap();
    assert!(matches!(target().begin(), Err(TargetError::Busy(_))));
    drop(first);
    target().begin().unwrap().publish().unwrap();
    assert_eq!(names(folder.path()), ["dump"]);
}
