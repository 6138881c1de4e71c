//! What the pages for people say of commands is what happens: every `console` block of them is run, and every table that
//! claims to be whole is held against what it lists.
//!
//! `SNAPSHOTS=overwrite cargo test --test documentation` writes the outputs anew: read the difference as a user would.
//! The staging database has its own such test, `staging_documentation`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "this is test code, if not inside a test function")]

mod session_support;

use std::fs;
use std::path::Path;

use ekvsnap_testkit::snap_file::snap_file;
use session_support::{compare_page, copy_fixtures, replay_page};

/// Plays a page in a folder that `prepare` fills.
fn play(page: &str, prepare: impl FnOnce(&Path)) {
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    let played = replay_page(&fs::read_to_string(page).unwrap(), folder.path());
    compare_page(played, Path::new(page));
}

fn fixtures(folder: &Path) {
    copy_fixtures(Path::new("tests/fixtures"), folder);
}

/// What a node of two Raft groups leaves: in each group snapshots, an older one among them and one that was never
/// finished, and the file by which its log refers to the newest.
fn node(folder: &Path) {
    for (group, index, older, footer) in [
        ("group-1", 0x12d, 0x0c8, 0xa134_671d),
        ("group-2", 0x0fb, 0x096, 0x9753_e550),
    ] {
        let (snapshots, tokens) =
            (folder.join(format!("n1/{group}/fsm-snap")), folder.join(format!("n1/{group}/snap")));
        fs::create_dir_all(&snapshots).unwrap();
        fs::create_dir_all(&tokens).unwrap();
        let from = format!("tests/fixtures/redis-two-groups/{group}/{index:016x}.fsm");
        fs::copy(&from, snapshots.join(format!("{index:016x}.fsm"))).unwrap();
        fs::copy(&from, snapshots.join(format!("{older:016x}.fsm"))).unwrap();
        fs::write(snapshots.join(format!("{:016x}.fsm.tmp", index + 1)), b"EKVTHLC1").unwrap();
        let snap = snap_file(index, 7, footer, &[0x08b3_7b07_b558_d4c0]);
        fs::write(tokens.join(format!("{:016x}-{index:016x}.snap", 7)), snap).unwrap();
    }
}

#[test]
fn the_readme_shows_what_happens() {
    play("README.md", |folder| copy_fixtures(Path::new("tests/fixtures"), &folder.join("tests/fixtures")));
}

#[test]
fn the_guide_shows_what_happens() {
    play("docs/guide.md", |folder| {
        node(folder);
        fixtures(folder);
    });
}

#[test]
fn the_runbook_shows_what_happens() {
    play("docs/operations/snapshot_restore.md", |folder| {
        node(folder);
        fixtures(folder);
    });
}

#[test]
fn the_reference_shows_the_help_of_every_command() {
    play("docs/commands.md", |_| {});
}

#[test]
fn the_page_on_json_shows_what_is_printed() {
    play("docs/json.md", fixtures);
}

#[test]
fn the_page_on_exit_statuses_shows_what_happens() {
    play("docs/exit_statuses.md", fixtures);
}
