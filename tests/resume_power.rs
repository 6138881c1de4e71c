//! After a power cut nothing of a database is believed that was being written: the boot that it was written in is
//! over. And what a run leaves that was killed between two of its last, or first, steps.

#![allow(clippy::unwrap_used, clippy::panic, reason = "test code")]

mod resume_support;

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use resume_support::*;
use rusqlite::Connection;
use rustix::process::Signal;

fn run_sql(staging: &Path, sql: &str) {
    Connection::open(staging).unwrap().execute_batch(sql).unwrap();
}

fn reboot(staging: &Path) {
    run_sql(staging, "UPDATE run SET value = 'another boot' WHERE name = 'written_in_boot'");
}

fn garbage(path: &Path, from: u64) {
    let length = bytes(path).saturating_sub(from);
    let mut random = Random(from);
    let noise: Vec<u8> = (0..length).map(|_| random.next() as u8).collect();
    File::options().write(true).open(path).unwrap().write_all_at(&noise, from).unwrap();
}

fn truncate(path: &Path, to: u64) {
    File::options().write(true).open(path).unwrap().set_len(to).unwrap();
}

/// Ways in which a file looks after a power cut.
type Damage = (&'static str, fn(&Path));

const DAMAGES: [Damage; 5] = [
    ("whole", |_| {}),
    ("its end is garbage", |path| garbage(path, bytes(path) - (96 << 10))),
    ("all but its first page is garbage", |path| garbage(path, 32 << 10)),
    ("its end is missing", |path| truncate(path, bytes(path) - (40 << 10))),
    ("all but its first page is missing", |path| truncate(path, 32 << 10)),
];

#[test]
fn after_a_power_cut_the_same_command_starts_over_and_ends_with_the_same_bytes() {
    let whole = Place::new();
    succeed(&mut whole.decode([large()], &[]));
    let expected = tree(&whole.output);
    for (nth, (what, damage)) in DAMAGES.into_iter().enumerate() {
        let place = Place::new();
        let output = signal_when(start(&mut place.decode([large()], &[])), Signal::KILL, || match nth % 2 {
            0 => bytes(&place.beside()) > 22 << 20,
            _ => place.partial_files() > 700,
        });
        assert!(was_killed(&output));
        reboot(&place.beside());
        damage(&place.beside());
        let said = succeed(&mut place.decode([large()], &[]));
        assert!(
            said.contains("when the machine went down") && said.contains("starting over"),
            "{what}: {said}"
        );
        place.assert_holds(&["out"]);
        assert_same_tree(&place.output, &expected);
    }
}

#[test]
fn after_a_power_cut_an_export_is_refused_and_a_new_load_helps() {
    let place = Place::new();
    for (what, damage) in DAMAGES {
        succeed(&mut place.load([SMALL], &[]));
        let export = start(&mut place.export(&["--threads", "1"]));
        signal_when(export, Signal::KILL, || place.partial().exists());
        let _ = fs::remove_dir_all(&place.output);
        // As if it had still been written.
        run_sql(&place.staging, "UPDATE run SET value = 'another boot' WHERE name = 'written_in_boot'");
        damage(&place.staging);
        let said = fail(&mut place.export(&[]), 3);
        assert!(said.contains("when the machine went down"), "{what}: {said}");
        assert!(said.contains("load the snapshot again"), "{what}: {said}");
        assert!(!place.output.exists());
        let said = succeed(&mut place.load([SMALL], &[]));
        assert!(said.contains("starting over"), "{what}: {said}");
    }
    succeed(&mut place.export(&[]));
}

#[test]
fn files_of_an_earlier_boot_are_not_believed_although_the_database_is() {
    let whole = Place::new();
    succeed(&mut whole.load([large()], &[]));
    succeed(&mut whole.export(&[]));
    let place = Place::new();
    succeed(&mut place.load([large()], &[]));
    let export = start(&mut place.export(&["--threads", "1"]));
    assert!(was_killed(&signal_when(export, Signal::KILL, || place.partial_files() > 6500)));
    assert!(ask(&place.staging, "SELECT count(*) FROM dump_file") > 0);
    // Makes the database last, but not the files.
    succeed(&mut place.load([large()], &[]));
    assert_eq!(ask(&place.staging, "SELECT count(*) FROM run WHERE name = 'export_boot'"), 1);
    run_sql(&place.staging, "UPDATE run SET value = 'another boot' WHERE name = 'export_boot'");
    for name in tree(&place.partial()).keys() {
        truncate(&place.partial().join(name), 0);
    }
    succeed(&mut place.export(&[]));
    assert_same_tree(&place.output, &tree(&whole.output));
}

#[test]
fn a_finished_database_survives_a_reboot() {
    let place = Place::new();
    let marked = "SELECT count(*) FROM run WHERE name = 'written_in_boot' AND value IS NOT NULL";
    succeed(&mut place.load([SMALL], &[]));
    assert_eq!(ask(&place.staging, marked), 0);
    succeed(&mut place.export(&[]));
    assert_eq!(ask(&place.staging, marked), 0);
}

#[test]
fn a_database_that_lost_its_mark_is_not_believed() {
    let place = Place::new();
    succeed(&mut place.load([LEGACY], &[]));
    run_sql(&place.staging, "DELETE FROM run WHERE name = 'written_in_boot'");
    fail(&mut place.export(&[]), 3);
    let said = succeed(&mut place.load([LEGACY], &[]));
    assert!(said.contains("starting over"), "{said}");
}

#[test]
fn a_load_that_was_complete_but_not_yet_on_disk_is_made_last_by_the_next() {
    let place = Place::new();
    succeed(&mut place.load([LEGACY], &[]));
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let mark = format!("UPDATE run SET value = '{}' WHERE name = 'written_in_boot'", boot.trim());
    run_sql(&place.staging, &mark);
    succeed(&mut place.load([LEGACY], &[]));
    let marked = "SELECT count(*) FROM run WHERE name = 'written_in_boot' AND value IS NOT NULL";
    assert_eq!(ask(&place.staging, marked), 0);
}

#[test]
fn an_empty_file_or_journal_of_a_run_killed_at_once_does_not_stand_in_the_way() {
    let whole = Place::new();
    succeed(&mut whole.decode([LEGACY], &[]));
    let place = Place::new();
    File::create(place.beside()).unwrap();
    fs::write(place.folder.path().join("out.staging.db-journal"), [0; 512]).unwrap();
    succeed(&mut place.decode([LEGACY], &[]));
    place.assert_holds(&["out"]);
    assert_same_tree(&place.output, &tree(&whole.output));
    // An empty file is no database to export.
    File::create(&place.staging).unwrap();
    fail(&mut place.export(&["--force"]), 2);
    assert_eq!(bytes(&place.staging), 0);
}

#[test]
fn a_run_killed_after_it_published_its_dump_is_finished_by_the_next() {
    for killed in ["before the database knew", "before the database was removed"] {
        let place = Place::new();
        let staging = place.beside();
        let decode = || place.decode([SMALL], &[]);
        succeed(decode().arg("--staging").arg(&staging));
        let expected = tree(&place.output);
        if killed == "before the database knew" {
            run_sql(&staging, "UPDATE run SET name = 'export_plan' WHERE name = 'export_finished'");
        }
        // Another run of its kind is no reason to leave the dump unprotected.
        fail(&mut place.decode([LEGACY], &[]), 6);
        fail(decode().arg("--drop-expired"), 6);
        place.assert_holds(&["out", "out.staging.db"]);
        let said = succeed(&mut decode());
        assert!(said.contains("written to its end already"), "{said}");
        place.assert_holds(&["out"]);
        assert_same_tree(&place.output, &expected);
        let said = fail(&mut decode(), 6);
        assert!(said.contains("exists"), "{said}");
    }

    let place = Place::new();
    succeed(&mut place.load([SMALL], &[]));
    succeed(&mut place.export(&[]));
    fail(&mut place.export(&[]), 6);
    run_sql(&place.staging, "UPDATE run SET name = 'export_plan' WHERE name = 'export_finished'");
    succeed(&mut place.export(&[]));
    fail(&mut place.export(&[]), 6);
}
