//! Every call to the system that can fail does: a full disk, a broken one, too few names. A run then ends with an
//! error that says so, leaves no dump or a complete one, and the same command ends with the right bytes afterwards.
//!
//! With the environment variable `EKVSNAP_THOROUGH` set, every call gets its turn.

#![allow(clippy::unwrap_used, clippy::panic, reason = "test code")]

mod resume_support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use resume_support::shim::let_fail;
use resume_support::*;

const ENOSPC: i32 = 28;
const EIO: i32 = 5;

fn expected(inputs: &[PathBuf], more: &[&str]) -> BTreeMap<PathBuf, Vec<u8>> {
    let place = Place::new();
    succeed(&mut place.decode(inputs, more));
    tree(&place.output)
}

/// Makes the Nth call of a kind fail, for one N after the other, until a run makes fewer.
fn every_call_fails_in_turn(kind: &str, errno: i32, sticky: bool, more: &[&str]) {
    let home = Place::new();
    let inputs = small_inputs(&home);
    let expected = expected(&inputs, more);
    let mut nth = 1;
    loop {
        let place = Place::new();
        let mark = home.folder.path().join("mark");
        let what = format!("{kind} {nth} failing with {errno}");
        let mut faulty = place.decode(&inputs, more);
        // What is read lies in one folder, what is written in the other.
        let below = if kind == "read" { &home } else { &place };
        let_fail(&mut faulty, below.folder.path(), kind, nth, errno, &mark);
        if sticky {
            faulty.env("FAULT_STICKY", "1");
        }
        let output = faulty.output().unwrap();
        let said = stderr(&output);
        let failed = !matches!(output.status.code(), Some(0 | 1));
        if failed {
            assert_eq!(output.status.code(), Some(8), "{what}: {said}");
            assert!(mark.exists(), "{what}: failed without a reason: {said}");
            let reason = ["error 28", "error 5", "full", "disk I/O", "unable to open", "No space left"];
            assert!(reason.iter().any(|reason| said.contains(reason)), "{what}: {said}");
            assert!(said.contains("goes on"), "{what} does not say how to go on: {said}");
        }
        if place.output.exists() {
            assert_same_tree(&place.output, &expected);
        } else {
            assert!(failed, "{what}: no dump and no error");
        }
        if failed {
            succeed(&mut place.decode(&inputs, more));
        }
        assert_same_tree(&place.output, &expected);
        if failed || !mark.exists() {
            place.assert_holds(&["out"]);
        }
        if !mark.exists() {
            break;
        }
        // Coarser and coarser: what fails at the beginning differs most.
        nth += if is_thorough() { 1 } else { 1 + nth / 3 };
    }
    assert!(nth > 1, "no call of the kind {kind} was ever made");
}

macro_rules! faults {
    ($($name:ident: $kind:literal, $errno:expr, $sticky:literal, $more:expr;)*) => {
        $(#[test] fn $name() { every_call_fails_in_turn($kind, $errno, $sticky, $more) })*
    };
}

faults! {
    a_disk_that_is_full_from_any_write_on: "write", ENOSPC, true, &["--threads", "1"];
    a_disk_on_which_any_write_fails_once: "write", EIO, false, &[];
    a_disk_on_which_any_write_of_a_self_contained_run_fails: "write", ENOSPC, false, &["--self-contained"];
    a_disk_without_room_for_any_further_name: "create", ENOSPC, true, &["--threads", "1"];
    a_disk_on_which_any_rename_fails: "rename", EIO, false, &[];
    a_disk_that_cannot_be_synced: "sync", EIO, false, &[];
    a_disk_on_which_any_file_cannot_be_removed: "remove", EIO, false, &[];
    a_snapshot_of_which_any_read_fails: "read", EIO, false, &["--threads", "1"];
}

/// Runs in a file system of its own of this size, if that may be mounted here.
fn on_a_small_disk(options: &str, test: impl FnOnce(&Place)) {
    let folder = tempfile::tempdir().unwrap();
    let mut mount = Command::new("mount");
    let mounted = mount.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(folder.path()).output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        eprintln!("not tested: nothing may be mounted here");
        return;
    }
    struct Mounted<'p>(&'p Path);
    impl Drop for Mounted<'_> {
        fn drop(&mut self) {
            let _ = Command::new("umount").arg("-l").arg(self.0).status();
        }
    }
    let _mounted = Mounted(folder.path());
    let place = Place::below(folder.path());
    test(&place);
}

#[test]
fn a_small_disk_that_is_made_larger_lets_every_phase_go_on() {
    let whole = Place::new();
    succeed(&mut whole.decode([large()], &[]));
    let expected = tree(&whole.output);
    // Room for part of the database, for the database alone, for part of the dump.
    on_a_small_disk("size=10m,mode=700", |place| {
        for mib in [24, 50, 75] {
            let said = fail(&mut place.decode([large()], &[]), 8);
            assert!(said.contains("full") || said.contains("No space left"), "{said}");
            assert!(said.contains("goes on") && !place.output.exists(), "{said}");
            remount(place, &format!("size={mib}m"));
        }
        fail(&mut place.decode([large()], &[]), 8);
        remount(place, "size=200m");
        succeed(&mut place.decode([large()], &[]));
        place.assert_holds(&["out"]);
        assert_same_tree(&place.output, &expected);
    });
}

#[test]
fn a_disk_with_too_few_inodes_lets_the_export_go_on_with_more() {
    let whole = Place::new();
    succeed(&mut whole.decode([SMALL], &[]));
    on_a_small_disk("nr_inodes=60,mode=700", |place| {
        for inodes in [100, 200, 1000] {
            let said = fail(&mut place.decode([SMALL], &[]), 8);
            assert!(said.contains("No space left") && said.contains("goes on"), "{said}");
            remount(place, &format!("nr_inodes={inodes}"));
        }
        succeed(&mut place.decode([SMALL], &[]));
        place.assert_holds(&["out"]);
        assert_same_tree(&place.output, &tree(&whole.output));
    });
}

fn remount(place: &Place, options: &str) {
    let mut mount = Command::new("mount");
    mount.arg("-o").arg(format!("remount,{options}")).arg(place.root());
    assert!(mount.status().unwrap().success());
}

#[test]
fn a_limit_on_the_size_of_files_is_an_error_that_is_named() {
    let place = Place::new();
    for blocks in [64, 4000, 30_000] {
        let decode = place.decode([large()], &["--staging"]);
        let mut limited = Command::new("sh");
        // In units of 512 bytes; without the trap the run would be killed, which is another test.
        limited.args(["-c", "trap '' XFSZ; ulimit -f \"$0\"; exec \"$@\""]).arg(blocks.to_string());
        limited.arg(decode.get_program()).args(decode.get_args()).arg(&place.staging);
        let said = fail(&mut limited, 8);
        assert!(said.contains("goes on") && !place.output.exists(), "{said}");
    }
    succeed(place.decode([large()], &[]).arg("--staging").arg(&place.staging));
    place.assert_holds(&["out", "s.db"]);
}
