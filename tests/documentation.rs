//! What the pages for people say of commands is what happens: every `console` block of them is run, and every table that
//! claims to be whole is held against what it lists.
//!
//! `SNAPSHOTS=overwrite cargo test --test documentation` writes the outputs anew: read the difference as a user would.
//! The staging database has its own such test, `staging_documentation`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "this is test code, if not inside a test function")]

mod session_support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use ekvsnap_testkit::encryption::{KeyFiles, encrypt};
use ekvsnap_testkit::snap_file::snap_file;
use regex::Regex;
use serde_json::Value;
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
    for (group, index, older, footer) in
        [("group-1", 0x12d, 0x0c8, 0xa134_671d), ("group-2", 0x0fb, 0x096, 0x9753_e550)]
    {
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

/// A snapshot of a node that encrypts, and its keys.
fn encrypted(folder: &Path) {
    let keys = KeyFiles::new();
    keys.write_to(folder).unwrap();
    let clear = fs::read("tests/fixtures/redis-small/00000000000002ef.fsm").unwrap();
    let sealed = encrypt(&clear[..], Vec::new(), |_| Some(&keys.keys[0])).unwrap();
    fs::write(folder.join("encrypted.fsm"), sealed).unwrap();
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
        encrypted(folder);
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

/// Files of the sources with the messages of errors that end a run, each of which the runbook explains.
const EXPLAINED: &[&str] = &[
    "src/cli/exit.rs",
    "src/cli/log.rs",
    "src/dump/manifest.rs",
    "src/dump/target.rs",
    "src/dump/tree.rs",
    "src/error.rs",
    "src/query/error.rs",
    "src/snapshot/encryption/kek.rs",
    "src/snapshot/encryption/keyring.rs",
    "src/snapshot/encryption/open_error.rs",
    "src/snapshot/error.rs",
    "src/snapshot/hlc.rs",
    "src/snapshot/snap_file.rs",
    "src/snapshot/token.rs",
    "src/staging/mod.rs",
    "src/verify/mod.rs",
    "src/verify/token.rs",
];

/// Those with details only, which follow such a message: the rule that a malformed row breaks, say.
const DETAILS: &[&str] = &[
    "src/dump/name.rs",
    "src/family/",
    "src/query/functions.rs",
    "src/snapshot/encryption/sidecar.rs",
    "src/snapshot/readable.rs",
    "src/snapshot/sst/",
];

fn sources(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else {
            found.push(path.to_str().unwrap().to_owned());
        }
    }
}

/// The messages of a source file, with `…` for what differs.
fn messages(source: &str) -> Vec<String> {
    let message = Regex::new(r#"(?s)#\[error\(\s*"((?:[^"\\]|\\.)*)""#).unwrap();
    let (line_end, differs) = (Regex::new(r"\\\n\s*").unwrap(), Regex::new(r"(\{[^}]*\})+").unwrap());
    let text = |found: regex::Captures<'_>| {
        let text = line_end.replace_all(&found[1], "").replace(r#"\""#, "\"");
        differs.replace_all(&text, "…").into_owned()
    };
    message.captures_iter(source).map(text).filter(|text| text.chars().any(char::is_alphabetic)).collect()
}

#[test]
fn the_runbook_explains_every_error_that_ends_a_run() {
    let page = fs::read_to_string("docs/operations/snapshot_restore.md").unwrap();
    let mut explained = 0;
    for path in EXPLAINED {
        for message in messages(&fs::read_to_string(path).unwrap()) {
            assert!(page.contains(&format!("| `{message}` |")), "{path}: `{message}` is not explained");
            explained += 1;
        }
    }
    assert!(explained > 60, "{explained} messages");
    let mut all = Vec::new();
    sources(Path::new("src"), &mut all);
    for path in all {
        let known = EXPLAINED.contains(&&*path) || DETAILS.iter().any(|folder| path.starts_with(folder));
        assert!(
            known || messages(&fs::read_to_string(&path).unwrap()).is_empty(),
            "{path} has messages, too"
        );
    }
}

/// The names of the fields in what the examples print. Those of counts are names of what is counted.
fn fields(value: &Value, found: &mut BTreeSet<String>) {
    const COUNTS: &[&str] = &["verdicts", "kinds", "rows", "keys", "warnings"];
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                found.insert(name.clone());
                if !(value.is_object() && COUNTS.contains(&&**name)) {
                    fields(value, found);
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| fields(value, found)),
        _ => {}
    }
}

#[test]
fn every_field_that_the_page_on_json_shows_is_explained() {
    let page = fs::read_to_string("docs/json.md").unwrap();
    let (mut found, mut objects) = (BTreeSet::new(), 0);
    for block in page.split("```console\n").skip(1).map(|rest| rest.split("```").next().unwrap()) {
        for start in block.match_indices("\n{").map(|(at, _)| at) {
            let mut values = serde_json::Deserializer::from_str(&block[start..]).into_iter::<Value>();
            fields(&values.next().unwrap().unwrap(), &mut found);
            objects += 1;
        }
    }
    assert!(objects > 10, "{objects} objects");
    let tables: String = page.lines().filter(|line| line.starts_with("| ")).collect();
    for field in found {
        assert!(tables.contains(&format!("`{field}`")), "{field} is not explained");
    }
}

fn pages(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            pages(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}

/// The anchors of a page, made of its headings.
fn anchors(page: &str) -> BTreeSet<String> {
    let of = |heading: &str| {
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
        kept.collect::<String>().trim().to_lowercase().replace(' ', "-")
    };
    page.lines().filter(|line| line.starts_with('#')).map(|line| of(line.trim_start_matches('#'))).collect()
}

#[test]
fn every_link_between_pages_leads_somewhere() {
    let link = Regex::new(r"\]\(([^)]*)\)").unwrap();
    let mut all = vec!["README.md".into(), "CHANGELOG.md".into()];
    pages(Path::new("docs"), &mut all);
    let mut links = 0;
    for path in all {
        let page = fs::read_to_string(&path).unwrap();
        for target in link.captures_iter(&page).map(|found| found.get(1).unwrap().as_str()) {
            if target.contains("://") {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let to = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            assert!(to.exists(), "{}: {target} leads nowhere", path.display());
            let there = anchor.is_empty() || anchors(&fs::read_to_string(&to).unwrap()).contains(anchor);
            assert!(there, "{}: {target} has no such heading", path.display());
            links += 1;
        }
    }
    assert!(links > 50, "{links} links");
}
