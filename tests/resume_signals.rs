//! Runs that are asked to stop say how to go on, and go on from where they stood.

#![allow(clippy::unwrap_used, clippy::panic, reason = "test code")]

mod resume_support;

use std::fs;
use std::path::Path;

use resume_support::*;
use rustix::process::Signal;

const GOES_ON: &str = "the same command, run again, goes on where this one stopped";

/// Asks a run to stop once `when` holds; it stops, and says how to go on.
fn interrupt(command: &mut std::process::Command, signal: Signal, when: impl FnMut() -> bool) {
    let output = signal_when(start(command), signal, when);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert!(said.contains("interrupted") && said.contains(GOES_ON), "{said}");
}

#[test]
fn a_load_that_is_asked_to_stop_goes_on_from_its_checkpoint() {
    let whole = Place::new();
    succeed(&mut whole.load([large()], &[]));
    succeed(&mut whole.export(&[]));
    let expected = tree(&whole.output);
    let place = Place::new();
    let mut reached = 0;
    // The tables alone take 2 MiB.
    for (signal, mib) in [(Signal::INT, 3), (Signal::TERM, 9), (Signal::HUP, 20)] {
        // From one checkpoint to the next at least, whatever the moment of the signal.
        // While there is a journal, it listens.
        let journal = place.folder.path().join("s.db-journal");
        let when = || journal.exists() && bytes(&place.staging) > mib << 20;
        interrupt(&mut place.load([large()], &[]), signal, when);
        let report = info(&place.staging);
        assert_eq!(report["complete"], false);
        let resumes_at = report["sources"][0]["resumes_at"].as_u64().unwrap();
        assert!(resumes_at > reached, "{resumes_at} after {reached}");
        reached = resumes_at;
    }
    let said = fail(&mut place.export(&[]), 2);
    assert!(said.contains("never came to its end"), "{said}");
    let said = succeed(&mut place.load([large()], &[]));
    assert!(said.contains("going on with the load"), "{said}");
    place.assert_holds(&["s.db"]);

    for (signal, files) in [(Signal::HUP, 100), (Signal::INT, 3000), (Signal::TERM, 6000)] {
        interrupt(&mut place.export(&[]), signal, || place.partial_files() > files);
        let noted = info(&place.staging)["unfinished_export"].as_u64().unwrap();
        assert!(noted >= files && noted == ask(&place.staging, "SELECT count(*) FROM dump_file") as u64);
    }
    let kept = place.partial().join("redis/db_0/strings/user%3A00000.bin");
    let inode = |path: &Path| std::os::unix::fs::MetadataExt::ino(&fs::metadata(path).unwrap());
    let before = inode(&kept);
    succeed(&mut place.export(&[]));
    place.assert_holds(&["out", "s.db"]);
    assert_same_tree(&place.output, &expected);
    assert_eq!(inode(&place.output.join("redis/db_0/strings/user%3A00000.bin")), before, "written again");
}

#[test]
fn a_decode_that_is_asked_to_stop_in_either_phase_ends_with_the_same_bytes() {
    let whole = Place::new();
    succeed(&mut whole.decode([large()], &["--threads", "1"]));
    let place = Place::new();
    let decode = || place.decode([large()], &["--self-contained", "--threads", "1"]);
    interrupt(&mut decode(), Signal::TERM, || bytes(&place.beside()) > 4 << 20);
    place.assert_holds(&["out.staging.db"]);
    interrupt(&mut decode(), Signal::INT, || place.partial_files() > 500);
    place.assert_holds(&["out.partial", "out.staging.db"]);
    let written = place.partial_files();
    // One that comes to nothing does not take with it what the one before has written.
    let hidden = place.folder.path().join("hidden");
    fs::rename(place.beside(), &hidden).unwrap();
    fs::create_dir(place.beside()).unwrap();
    fail(&mut decode(), 2);
    fs::remove_dir(place.beside()).unwrap();
    fs::rename(hidden, place.beside()).unwrap();
    assert_eq!(place.partial_files(), written);
    let said = succeed(&mut decode());
    assert!(said.contains("going on with the export"), "{said}");
    place.assert_holds(&["out"]);
    assert_same_tree(&place.output, &tree(&whole.output));
}

#[test]
fn an_interruption_between_small_files_is_heard() {
    // Each of them ends before it comes to a checkpoint.
    let place = Place::new();
    let mut load = place.load(TWO, &[]);
    let output = signal_when(start(&mut load), Signal::INT, || place.staging.exists());
    // Before the first signal is listened to, it ends the run at once.
    if output.status.code() == Some(130) {
        assert_eq!(info(&place.staging)["complete"], false);
    }
    succeed(&mut load);
    assert_eq!(info(&place.staging)["complete"], true);
    place.assert_holds(&["s.db"]);
}
