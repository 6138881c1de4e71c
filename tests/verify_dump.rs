//! What `verify` finds in a dump: every damage by its name, and nothing where there is none.

#![allow(clippy::unwrap_used, reason = "this is test code, if not inside a test function")]

mod decode_support;

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use decode_support::*;
use ekvsnap::dump::keymap;
use ekvsnap::error::Error;
use ekvsnap::export::{ExportOptions, export};
use ekvsnap::family::{Choices, DynamoDbLayout};
use ekvsnap::load::load;
use ekvsnap::progress::{Phase, Progress, Silent};
use ekvsnap::staging::Staging;
use ekvsnap::verify::{
    AgainstOptions, DumpChecked, DumpOptions, Finding, Severity, Subset, verify_against, verify_dump,
};
use ekvsnap_testkit::redis_rows::string_key;
use ekvsnap_testkit::sorted::SortedSnapshot;
use ekvsnap_testkit::version::Version;
use tempfile::TempDir;

const ALL: DumpOptions = DumpOptions { subset: Subset::ALL, threads: 2 };

fn fixture(name: &str) -> PathBuf {
    Path::new(FIXTURES).join(name)
}

/// A path as text.
fn path_of(finding: &Finding) -> String {
    finding.path.escape_ascii().to_string()
}

fn verify_with(dump: &Path, options: DumpOptions) -> (DumpChecked, Vec<Finding>) {
    let mut findings = Vec::new();
    let checked = verify_dump(dump, options, &Silent, &mut |finding| findings.push(finding)).unwrap();
    (checked, findings)
}

fn verify(dump: &Path) -> Vec<Finding> {
    verify_with(dump, ALL).1
}

/// Kind and path of every finding.
fn found(dump: &Path) -> Vec<(&'static str, String)> {
    let findings = verify(dump).into_iter().filter(|finding| finding.severity == Severity::Finding);
    findings.map(|finding| (finding.kind.name(), path_of(&finding))).collect()
}

fn against(dump: &Path, snapshot: &Path, scopes: Vec<(String, String)>) -> Vec<(&'static str, String)> {
    let mut findings = Vec::new();
    let options = AgainstOptions { scopes, bundle_bytes: 10_000, threads: 2, keys: None };
    let mut take = |finding: Finding| findings.push((finding.kind.name(), path_of(&finding)));
    verify_against(dump, &inputs(snapshot), &options, &Silent, &mut take).unwrap();
    findings
}

/// Writes CHECKSUMS anew, as somebody does who has changed files on purpose.
fn sum_again(dump: &Path) {
    let sums = Command::new("sh")
        .args([
            "-c",
            "find . -type f ! -path ./CHECKSUMS -printf '%P\\0' | LC_ALL=C sort -z | xargs -0 sha256sum",
        ])
        .current_dir(dump)
        .output()
        .unwrap();
    fs::write(dump.join("CHECKSUMS"), sums.stdout).unwrap();
}

/// A dump of everything that there is in a few files: keys of all kinds, and names that do not lead back.
fn dump_of(name: &str) -> (TempDir, PathBuf) {
    let folder = scratch();
    decode(&inputs(&fixture(name)), &load_options(), folder.path(), 2).unwrap();
    let dump = folder.path().join("dump");
    (folder, dump)
}

/// Two strings, one of which has a name that does not lead back.
fn small_dump() -> (TempDir, PathBuf) {
    let folder = scratch();
    let long = "k".repeat(300);
    let row =
        |key: &str| Version::put(string_key(key.as_bytes()), 1_714_400_000_000 << 16, b"\xff\x01\x00value");
    let bytes =
        SortedSnapshot::new(1_714_400_000_000 << 16).version(&row("short")).version(&row(&long)).to_bytes();
    let snapshot = folder.path().join("small.fsm");
    fs::write(&snapshot, bytes.unwrap()).unwrap();
    decode(&inputs(&snapshot), &load_options(), folder.path(), 1).unwrap();
    let dump = folder.path().join("dump");
    (folder, dump)
}

#[test]
fn an_untouched_dump_of_every_fixture_has_no_findings_and_is_that_of_its_snapshot() {
    for name in NAMES {
        let (_folder, dump) = dump_of(name);
        let (checked, findings) = verify_with(&dump, ALL);
        assert_eq!(findings, [], "{name}");
        assert_eq!((checked.files, checked.files_read + 1), (tree(&dump).len() as u64, checked.files));
        assert_eq!(against(&dump, &fixture(name), Vec::new()), [], "{name}");
    }
}

#[test]
fn a_dump_with_every_option_has_no_findings_either() {
    for name in ["dynamodb-small", "s3-small", "sqs-small", "redis-small"] {
        for (drop_expired, rename_s3_collisions) in [(true, true), (false, false)] {
            let folder = scratch();
            let staging = Staging::create(&folder.path().join("staging.db")).unwrap();
            load(&inputs(&fixture(name)), &staging, &load_options(), &Silent).unwrap();
            let choices = Choices {
                drop_expired,
                dynamodb_layout: DynamoDbLayout::Jsonl { part_bytes: 10_000 },
                rename_s3_collisions,
                include_incomplete_uploads: true,
                include_orphans: true,
                preserve_sqs_visibility: true,
                include_sqs_side_records: true,
            };
            let dump = folder.path().join("dump");
            let target = ekvsnap::dump::target::Target::new(&dump, false, &[]).unwrap();
            let options = ExportOptions { choices, ..export_options(2) };
            export(&staging, target.begin().unwrap(), &options, &Silent).unwrap();
            assert_eq!(verify(&dump), [], "{name}");
            assert_eq!(against(&dump, &fixture(name), Vec::new()), [], "{name}");
        }
    }
}

#[test]
fn a_changed_bit_in_any_byte_of_any_file_is_found() {
    let (_folder, dump) = small_dump();
    for (path, content) in tree(&dump) {
        for byte in 0..content.len() {
            let mut changed = content.clone();
            changed[byte] ^= 1 << (byte % 8);
            fs::write(dump.join(&path), &changed).unwrap();
            let mut findings = 0;
            let result = verify_dump(&dump, ALL, &Silent, &mut |_| findings += 1);
            // A changed version may be one of the future.
            assert!(result.is_err() || findings > 0, "{} byte {byte}", path.display());
        }
        fs::write(dump.join(&path), &content).unwrap();
    }
    assert_eq!(found(&dump), []);
}

/// Damages a small dump, with CHECKSUMS made anew if `sum` is set, and says what is found.
fn after(sum: bool, damage: impl FnOnce(&Path)) -> Vec<(&'static str, String)> {
    let (_folder, dump) = small_dump();
    damage(&dump);
    if sum {
        sum_again(&dump);
    }
    found(&dump)
}

fn is(kind: &'static str, path: &str) -> (&'static str, String) {
    (kind, path.to_owned())
}

const SHORT: &str = "redis/db_0/strings/short.bin";
const KEYMAP: &str = "redis/db_0/KEYMAP.jsonl";

#[test]
fn every_change_of_the_files_is_found_by_its_name() {
    let keys = is("count_mismatch", "MANIFEST.json");
    assert_eq!(
        after(false, |dump| fs::write(dump.join(SHORT), "other").unwrap()),
        [is("checksum_mismatch", SHORT)]
    );
    assert_eq!(
        after(false, |dump| fs::remove_file(dump.join(SHORT)).unwrap()),
        [is("file_missing", SHORT), keys.clone()]
    );
    assert_eq!(after(false, |dump| fs::write(dump.join("new"), "").unwrap()), [is("file_extra", "new")]);
    assert_eq!(
        after(false, |dump| {
            fs::remove_file(dump.join(SHORT)).unwrap();
            symlink("/etc/passwd", dump.join(SHORT)).unwrap();
        }),
        [is("symbolic_link", SHORT), keys.clone()]
    );
    assert_eq!(
        after(false, |dump| fs::create_dir(dump.join("redis/db_1")).unwrap()),
        [is("empty_folder", "redis/db_1")]
    );
    assert_eq!(
        after(false, |dump| assert!(
            Command::new("mkfifo").arg(dump.join("pipe")).status().unwrap().success()
        )),
        [is("special_file", "pipe")]
    );
    assert_eq!(
        after(false, |dump| fs::remove_file(dump.join("CHECKSUMS")).unwrap()),
        [is("checksums_missing", "CHECKSUMS")]
    );
    assert_eq!(
        after(false, |dump| {
            let sums = fs::read_to_string(dump.join("CHECKSUMS")).unwrap();
            let first = sums.lines().next().unwrap();
            fs::write(dump.join("CHECKSUMS"), format!("{sums}{first}\nno sum\n{first}")).unwrap();
        }),
        [
            is("listed_twice", "CHECKSUMS"),
            is("checksums_malformed", "CHECKSUMS"),
            is("checksums_malformed", "CHECKSUMS")
        ]
    );
}

#[test]
fn what_checksums_do_not_tell_is_found_by_its_name() {
    let keys = is("count_mismatch", "MANIFEST.json");
    assert_eq!(after(true, |_| {}), []);
    assert_eq!(after(true, |dump| fs::remove_file(dump.join(SHORT)).unwrap()), std::slice::from_ref(&keys));
    assert_eq!(
        after(true, |dump| fs::remove_file(dump.join("MANIFEST.json")).unwrap()),
        [is("manifest_missing", "MANIFEST.json")]
    );
    assert_eq!(
        after(true, |dump| fs::write(dump.join("MANIFEST.json"), "{}").unwrap()),
        [is("manifest_malformed", "MANIFEST.json")]
    );
    let schema = "dynamodb/t/_schema.json";
    assert_eq!(
        after(true, |dump| {
            fs::create_dir_all(dump.join("dynamodb/t")).unwrap();
            fs::write(dump.join(schema), "{").unwrap();
        }),
        [is("json_malformed", schema), keys]
    );
}

#[test]
fn a_name_that_leads_nowhere_is_found_by_its_name() {
    let edit = |edit: fn(String) -> String| {
        after(true, |dump| {
            let lines = fs::read_to_string(dump.join(KEYMAP)).unwrap();
            fs::write(dump.join(KEYMAP), edit(lines)).unwrap();
        })
    };
    let long = {
        let (_folder, dump) = small_dump();
        let names = names(&dump.join("redis/db_0/strings"));
        format!("redis/db_0/strings/{}", names.iter().find(|name| *name != "short.bin").unwrap())
    };
    assert_eq!(edit(|lines| format!("{lines}{lines}")), [is("keymap_duplicate", KEYMAP)]);
    assert_eq!(edit(|lines| format!("{lines}{{\"encoded\":1}}\n")), [is("keymap_malformed", KEYMAP)]);
    assert_eq!(edit(|_| String::new()), [is("keymap_entry_missing", &long)]);
    assert_eq!(
        edit(|lines| {
            let mut line = Vec::new();
            let other = b"b64.x";
            let mut name = Vec::new();
            let _ = ekvsnap::dump::name::push_fallback(other, &mut name);
            keymap::push_line(str::from_utf8(&name).unwrap(), other, keymap::SHA_FALLBACK, &mut line);
            lines + str::from_utf8(&line).unwrap()
        }),
        [is("keymap_dangling", KEYMAP)]
    );
    assert_eq!(
        edit(|lines| lines.replace("\"original\":\"a2tr", "\"original\":\"a2tz")),
        [is("keymap_mismatch", KEYMAP)]
    );
}

#[test]
fn files_that_others_can_read_are_noted_and_fail_nothing() {
    let (_folder, dump) = small_dump();
    fs::set_permissions(dump.join(SHORT), Permissions::from_mode(0o644)).unwrap();
    let findings = verify(&dump);
    let said: Vec<_> = findings.iter().map(|note| (note.severity, note.kind.name(), path_of(note))).collect();
    assert_eq!(said, [(Severity::Note, "readable_by_others", SHORT.to_owned())]);
}

#[test]
fn every_part_of_a_whole_finds_its_own_files() {
    let (_folder, dump) = dump_of("redis-small");
    let mut changed = BTreeSet::new();
    for path in tree(&dump).into_keys().filter(|path| path.starts_with("redis/db_0/lists")) {
        fs::write(dump.join(&path), "{}").unwrap();
        changed.insert(path.to_str().unwrap().to_owned());
    }
    let mut found = BTreeSet::new();
    for part in 1..=5 {
        let subset = Subset::new(part, 5).unwrap();
        let (checked, findings) = verify_with(&dump, DumpOptions { subset, threads: 3 });
        assert!(checked.files_read < checked.files);
        for finding in findings {
            assert_eq!(finding.kind.name(), "checksum_mismatch");
            assert!(found.insert(path_of(&finding)), "two parts have a file in common");
        }
    }
    assert_eq!(found, changed);
}

#[test]
fn the_number_of_threads_changes_no_finding_and_no_order() {
    let (_folder, dump) = dump_of("redis-small");
    for path in tree(&dump).into_keys().filter(|path| path.starts_with("redis/db_0/sets")) {
        fs::write(dump.join(&path), "{").unwrap();
    }
    let one = verify_with(&dump, DumpOptions { threads: 1, ..ALL });
    assert!(one.1.len() >= 2 * 24);
    for threads in [2, 7, 64] {
        assert_eq!(verify_with(&dump, DumpOptions { threads, ..ALL }), one);
    }
}

#[test]
fn a_tree_may_be_deeper_than_a_process_can_hold_folders_open() {
    let (_folder, dump) = small_dump();
    let deep = format!("s3/b/{}", "d/".repeat(1500));
    fs::create_dir_all(dump.join(&deep)).unwrap();
    fs::write(dump.join(&deep).join("f"), "x").unwrap();
    let found = found(&dump);
    let expected = [("file_extra", true), ("count_mismatch", false), ("count_mismatch", false)];
    let kinds: Vec<_> = found.iter().map(|(kind, path)| (*kind, path.starts_with("s3/b/d/d/"))).collect();
    assert_eq!(kinds, expected[..kinds.len()]);
}

#[test]
fn a_dump_of_another_snapshot_or_of_other_options_is_told_file_by_file() {
    let (folder, dump) = dump_of("redis-two-groups");
    let group = fixture("redis-two-groups/group-1");
    let kinds: BTreeSet<_> = against(&dump, &group, Vec::new()).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, BTreeSet::from(["not_in_snapshot", "differs_from_snapshot", "manifest_differs"]));
    let part = folder.path().join("part");
    let said = ekvsnap(["decode", "-q", "--scope", "dynamodb=nobody", "-o"])
        .arg(&part)
        .arg(fixture("dynamodb-small"))
        .output()
        .unwrap();
    assert_eq!(said.status.code(), Some(1));
    let scope = ("dynamodb".to_owned(), "nobody".to_owned());
    assert_eq!(against(&part, &fixture("dynamodb-small"), vec![scope]), []);
    let missing = against(&part, &fixture("dynamodb-small"), Vec::new());
    assert!(missing.iter().any(|(kind, _)| *kind == "missing_from_dump"), "{missing:?}");
}

/// Stops a verification when it asks for the nth time.
struct StopAt(std::cell::Cell<usize>);

impl Progress for StopAt {
    fn begin(&self, phase: Phase, _: Option<u64>) {
        assert_eq!(phase, Phase::Verify);
    }

    fn is_interrupted(&self) -> bool {
        self.0.set(self.0.get().saturating_sub(1));
        self.0.get() == 0
    }
}

#[test]
fn a_verification_stops_wherever_it_is_told_to() {
    let (_folder, dump) = dump_of("redis-small");
    for at in [1, 2, 5, 9, 20] {
        let result = verify_dump(&dump, ALL, &StopAt(at.into()), &mut |_| {});
        assert!(matches!(result, Err(Error::Interrupted)), "{at}");
    }
}
