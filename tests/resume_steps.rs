//! Runs that end between two of their steps: killed there, or because the power fails. At no moment are an old dump and
//! the new one both lost; the same command, run again, ends with the bytes of a run that nobody disturbed, tidies up, and
//! does not write again what is complete.
//!
//! A power cut takes whatever was not synced: files of the tree are empty, pages of the database are those of the last
//! sync, or a mixture. With the environment variable `EKVSNAP_THOROUGH` set, runs end before every call that changes
//! anything; otherwise before those that rename, remove and sync.

#![allow(clippy::unwrap_used, clippy::panic, reason = "test code")]

mod resume_support;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};

use resume_support::shim::let_fail;
use resume_support::*;
use rusqlite::{Connection, OpenFlags};

/// How a run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Kill,
    PowerCut,
}

fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap().trim().to_owned()
}

/// What a power cut leaves: `synced` holds what had been synced of which file.
fn cut_power(place: &Place, synced: &Path, mixed: bool) {
    for name in ["out.staging.db", "out.staging.db-journal"] {
        let (path, kept) = (place.folder.path().join(name), fs::read(synced.join(name)).unwrap_or_default());
        if !path.exists() {
            continue;
        }
        let mut bytes = fs::read(&path).unwrap();
        if mixed {
            for (number, page) in bytes.chunks_mut(4096).enumerate().skip(1).step_by(2) {
                let kept = kept.get(number * 4096..).unwrap_or_default();
                let there = kept.len().min(page.len());
                page[..there].copy_from_slice(&kept[..there]);
                page[there..].fill(0);
            }
        } else {
            bytes = kept;
        }
        fs::write(&path, bytes).unwrap();
    }
    if !synced.join("syncfs").exists() {
        for name in tree_if_any(&place.partial()).unwrap_or_default().keys() {
            fs::write(place.partial().join(name), "").unwrap();
        }
    }
    // Nothing can be written into one that is not readable any more.
    if let Ok(staging) = Connection::open_with_flags(place.beside(), OpenFlags::SQLITE_OPEN_READ_WRITE) {
        let _ = staging.execute("UPDATE run SET value = 'another boot' WHERE value = ?", [boot()]);
    }
}

fn tree_if_any(path: &Path) -> Option<BTreeMap<PathBuf, Vec<u8>>> {
    path.is_dir().then(|| tree(path))
}

fn make(root: &Path, files: &BTreeMap<PathBuf, Vec<u8>>) {
    for (name, bytes) in files {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

/// Ends a run before its Nth step, for one N after the other, until a run has fewer.
fn every_step_is_the_last(end: End, replacing: bool, exchange: bool) {
    let home = Place::new();
    let (inputs, mark) = (small_inputs(&home), home.folder.path().join("mark"));
    let more: &[&str] =
        if replacing { &["--threads", "1", "--force", "--cluster-id", "new"] } else { &["--threads", "1"] };
    succeed(&mut home.decode(&inputs, more));
    let (new, mut old) = (tree(&home.output), BTreeMap::new());
    if replacing {
        old.extend([("MANIFEST.json".into(), b"old".to_vec()), ("redis/db_0/strings/a.bin".into(), vec![1])]);
    }
    let kinds = if is_thorough() { "write,create,rename,sync,remove" } else { "rename,sync,remove" };
    for nth in 1.. {
        let (place, synced) = (Place::new(), tempfile::tempdir().unwrap());
        make(&place.output, &old);
        let mut ended = place.decode(&inputs, more);
        let_fail(&mut ended, place.folder.path(), kinds, nth, 0, &mark);
        ended.env("FAULT_SYNCED", synced.path());
        if !exchange {
            ended.env("FAULT_NO_EXCHANGE", "1");
        }
        let output = ended.output().unwrap();
        if !mark.exists() {
            assert!(output.status.success(), "{}", stderr(&output));
            place.assert_holds(&["out"]);
            assert!(nth > 10, "only {nth} steps were seen");
            return;
        }
        assert_eq!(output.status.signal(), Some(9));
        let what = format!("{end:?} before step {nth}");
        let there = tree_if_any(&place.output);
        let is_published = there.as_ref() == Some(&new);
        assert!(is_published || there.is_none_or(|there| there == old), "{what}: a dump that is not whole");
        if replacing && !is_published {
            let kept = [&place.output, &place.folder.path().join("out.replaced")];
            assert!(
                kept.iter().any(|path| tree_if_any(path).as_ref() == Some(&old)),
                "{what}: the old dump is lost"
            );
        }
        if end == End::PowerCut {
            cut_power(&place, synced.path(), nth % 2 == 0);
        }
        let is_over = is_published && !place.beside().exists();
        let mut again = place.decode(&inputs, more);
        if !exchange {
            let_fail(&mut again, place.folder.path(), "", 0, 0, &mark);
            again.env("FAULT_NO_EXCHANGE", "1");
        }
        if is_over && !replacing {
            // Nothing is left that this run could have left.
            fail(&mut again, 6);
        } else {
            let before = inode(&place.output);
            let said = succeed(&mut again);
            let again = said.contains("written to its end already");
            assert!(again || !is_published || is_over, "{what}: {said}");
            assert_eq!(again, before == inode(&place.output), "{what}: {said}");
        }
        place.assert_holds(&["out"]);
        assert_same_tree(&place.output, &new);
    }
}

fn inode(path: &Path) -> Option<u64> {
    fs::metadata(path).ok().map(|metadata| std::os::unix::fs::MetadataExt::ino(&metadata))
}

#[test]
fn a_run_killed_before_any_step_goes_on() {
    every_step_is_the_last(End::Kill, false, true);
}

#[test]
fn a_run_that_a_power_cut_ends_before_any_step_goes_on_or_starts_over() {
    every_step_is_the_last(End::PowerCut, false, true);
}

#[test]
fn a_run_killed_before_any_step_of_replacing_a_dump_loses_neither_the_old_nor_the_new() {
    every_step_is_the_last(End::Kill, true, true);
}

#[test]
fn a_run_that_a_power_cut_ends_before_any_step_of_replacing_a_dump_loses_neither() {
    every_step_is_the_last(End::PowerCut, true, true);
}

#[test]
fn where_names_cannot_be_exchanged_a_killed_run_loses_neither_the_old_dump_nor_the_new() {
    every_step_is_the_last(End::Kill, true, false);
}

#[test]
fn where_names_cannot_be_exchanged_a_power_cut_loses_neither_the_old_dump_nor_the_new() {
    every_step_is_the_last(End::PowerCut, true, false);
}
