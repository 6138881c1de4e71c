//! Runs that are killed again and again, at whatever moment, end with the bytes of a run that nobody disturbed.
//! Five kills of each kind in every `cargo test`; with the environment variable `EKVSNAP_THOROUGH` set, fifty.

#![allow(clippy::unwrap_used, clippy::panic, reason = "test code")]

mod resume_support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use resume_support::*;
use rustix::process::Signal;

fn kills() -> usize {
    if is_thorough() { 50 } else { 5 }
}

/// What a run that nobody disturbs does: the moments to kill one at are chosen from this.
struct Undisturbed {
    tree: BTreeMap<PathBuf, Vec<u8>>,
    files: u64,
    staging: u64,
    took: Duration,
}

fn undisturbed(inputs: &[&Path], more: &[&str]) -> Undisturbed {
    let place = Place::new();
    let begun = Instant::now();
    succeed(place.decode(inputs, more).arg("--staging").arg(&place.staging));
    let (took, staging) = (begun.elapsed(), bytes(&place.staging));
    place.assert_holds(&["out", "s.db"]);
    let tree = tree(&place.output);
    Undisturbed { files: tree.len() as u64, tree, staging, took }
}

/// Kills a run once, when something random has been done. Says whether it got that far.
fn kill_once(
    run: &Undisturbed,
    place: &Place,
    command: &mut Command,
    nth: usize,
    random: &mut Random,
) -> bool {
    let share = random.below(1000);
    let begun = Instant::now();
    let output = signal_when(start(command), Signal::KILL, || match nth % 3 {
        0 => bytes(&place.beside()) >= run.staging * share / 1000,
        1 => place.partial_files() > run.files * share / 1000,
        _ => begun.elapsed() >= run.took.mul_f64(share as f64 / 1000.0),
    });
    was_killed(&output)
}

fn kill_and_resume(inputs: &[&Path], more: &[&str], seed: u64) {
    kill_and_resume_in(Place::new, inputs, more, seed);
}

fn kill_and_resume_in(new_place: impl Fn() -> Place, inputs: &[&Path], more: &[&str], seed: u64) {
    let run = undisturbed(inputs, more);
    let mut random = Random(seed);
    let (mut place, mut killed, mut tries) = (new_place(), 0, 0);
    let finish = |place: &Place| {
        // A run killed after it gave the dump its name has only to tidy up.
        succeed(&mut place.decode(inputs, more));
        place.assert_holds(&["out"]);
        assert_same_tree(&place.output, &run.tree);
    };
    while killed < kills() {
        tries += 1;
        assert!(tries < 20 * kills(), "the run is always too fast to be killed");
        let was_killed = kill_once(&run, &place, &mut place.decode(inputs, more), tries, &mut random);
        // The last thing that a run does is to remove its database: nothing is left to go on with after that.
        if was_killed && (!place.output.exists() || place.beside().exists()) {
            killed += 1;
            if killed % 8 == 0 {
                finish(&place);
                place = new_place();
            }
        } else {
            place.assert_holds(&["out"]);
            assert_same_tree(&place.output, &run.tree);
            place = new_place();
        }
    }
    if !place.output.exists() || place.beside().exists() {
        finish(&place);
    }
}

#[test]
fn a_decode_of_a_large_snapshot_killed_again_and_again_ends_with_the_same_bytes() {
    kill_and_resume(&[large()], &[], 1);
}

#[test]
fn a_decode_of_a_bundle_killed_again_and_again_ends_with_the_same_bytes() {
    kill_and_resume(&[bundle()], &[], 7);
}

#[test]
fn a_killed_load_of_a_bundle_goes_on_from_its_last_commit() {
    let run = undisturbed(&[bundle()], &[]);
    let place = Place::new();
    let before = (12..30).cycle().take(200).find_map(|mib: u64| {
        let load = start(&mut place.load([bundle()], &["--restart"]));
        signal_when(load, Signal::KILL, || bytes(&place.staging) > mib << 20);
        ask_quietly(&place.staging, "SELECT byte_offset FROM checkpoint")
    });
    let before = before.expect("a kill after a commit");
    assert!(before >= 16 << 20, "{before}");
    let table = ask(&place.staging, "SELECT sst ->> 'table' FROM checkpoint");
    assert!(table >= 1, "{table}");
    let said = succeed(&mut place.load([bundle()], &[]));
    assert!(said.contains("going on with the load that was interrupted"), "{said}");
    succeed(&mut place.export(&[]));
    assert_same_tree(&place.output, &run.tree);
}

#[test]
fn a_decode_of_a_real_snapshot_killed_again_and_again_ends_with_the_same_bytes() {
    kill_and_resume(&[Path::new(SMALL)], &[], 2);
}

#[test]
fn a_decode_on_a_disk_killed_again_and_again_ends_with_the_same_bytes() {
    kill_and_resume_in(Place::on_disk, &[Path::new(SMALL)], &[], 5);
}

#[test]
fn a_decode_of_two_groups_killed_again_and_again_ends_with_the_same_bytes() {
    kill_and_resume(&TWO.map(Path::new), &["--self-contained", "--threads", "1"], 3);
}

#[test]
fn a_decode_of_objects_killed_again_and_again_ends_with_the_same_bytes() {
    let more = ["--include-orphans", "--include-incomplete-uploads"];
    kill_and_resume(&[objects(), Path::new(S3_SMALL)], &more, 5);
}

#[test]
fn a_decode_of_a_nodes_queues_killed_again_and_again_ends_with_the_same_bytes() {
    let everything = ["--include-sqs-side-records", "--preserve-sqs-visibility"];
    kill_and_resume(&[Path::new(QUEUES)], &everything, 5);
}

#[test]
fn a_decode_of_one_long_queue_killed_again_and_again_ends_with_the_same_bytes() {
    kill_and_resume(&[long_queue()], &["--include-sqs-side-records"], 6);
}

#[test]
fn a_self_contained_load_killed_again_and_again_ends_with_the_same_dump() {
    let run = undisturbed(&[large()], &["--threads", "1"]);
    let mut random = Random(4);
    let place = Place::new();
    for nth in 0..kills() {
        let share = random.below(900);
        let staging = run.staging + bytes(large()) / 4;
        let load = start(&mut place.load([large()], &["--self-contained"]));
        let output = signal_when(load, Signal::KILL, || bytes(&place.staging) >= staging * share / 1000);
        if !was_killed(&output) {
            continue;
        }
        assert_eq!(info(&place.staging)["complete"], false, "after kill {nth}");
    }
    succeed(&mut place.load([large()], &["--self-contained"]));
    place.assert_holds(&["s.db"]);
    for _ in 0..kills() {
        let files = random.below(run.files);
        let export = start(&mut place.export(&["--threads", "1"]));
        signal_when(export, Signal::KILL, || place.partial_files() > files);
        if place.output.exists() {
            std::fs::remove_dir_all(&place.output).unwrap();
        }
    }
    succeed(&mut place.export(&["--threads", "1"]));
    place.assert_holds(&["out", "s.db"]);
    assert_same_tree(&place.output, &run.tree);
}

#[test]
fn a_killed_load_keeps_its_last_commit_and_a_killed_export_its_finished_files() {
    let place = Place::new();
    // Somewhere between the first commit and the end, which lie 16 MiB apart at least.
    let before = (12..30).cycle().take(200).find_map(|mib: u64| {
        let load = start(&mut place.load([large()], &["--restart"]));
        signal_when(load, Signal::KILL, || bytes(&place.staging) > mib << 20);
        ask_quietly(&place.staging, "SELECT byte_offset FROM checkpoint")
    });
    let before = before.expect("a kill after a commit");
    assert!(before >= 16 << 20, "{before}");
    assert_eq!(info(&place.staging)["sources"][0]["resumes_at"], before);
    let said = succeed(&mut place.load([large()], &[]));
    assert!(said.contains("going on with the load that was interrupted"), "{said}");

    let output = signal_when(start(&mut place.export(&["--threads", "1"])), Signal::KILL, || {
        place.partial_files() > 6500
    });
    assert!(was_killed(&output));
    // The first 16 MiB are in fewer than 5000 of them.
    let files = ask(&place.staging, "SELECT count(*) FROM dump_file");
    assert!(files > 3000, "{files}");
    let said = succeed(&mut place.export(&["--threads", "1"]));
    assert!(said.contains("going on with the export that was interrupted"), "{said}");
    place.assert_holds(&["out", "s.db"]);
}

fn ask_quietly(staging: &Path, sql: &str) -> Option<i64> {
    rusqlite::Connection::open(staging).ok()?.query_row(sql, [], |row| row.get(0)).ok()
}
