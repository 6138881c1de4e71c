//! Commands as a person types them, and what they print: runs the commands of a text in a folder, and writes the text
//! anew with what came of them. The text is a session of `tests/cli` or a page of the documentation.

#![allow(dead_code, reason = "every test binary uses its own part of this")]
#![allow(clippy::unwrap_used, reason = "this is test code")]

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use regex::Regex;
use snapbox::assert::DEFAULT_ACTION_ENV;
use snapbox::{Assert, Data, Redactions};

/// Copies snapshots, with the folders they lie in.
pub fn copy_fixtures(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let from = entry.unwrap().path();
        let to = to.join(from.file_name().unwrap());
        if from.is_dir() {
            copy_fixtures(&from, &to);
        } else if from.extension().is_some_and(|extension| extension == "fsm") {
            fs::copy(&from, &to).unwrap();
        }
    }
}

/// The outcome of a command: standard error, standard output, and the exit status in brackets, unless that is 0.
pub fn run(command: &str, folder: &Path) -> String {
    let bin = Path::new(env!("CARGO_BIN_EXE_ekvsnap")).parent().unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let output = Command::new("sh")
        .args(["-c", command])
        .current_dir(folder)
        .env("PATH", path)
        .env("LC_ALL", "C")
        .env("COLUMNS", "100")
        .env("SOURCE_DATE_EPOCH", "1767225600")
        .output()
        .unwrap();
    let mut shown = String::from_utf8_lossy(&output.stderr).into_owned();
    shown.push_str(&String::from_utf8_lossy(&output.stdout));
    if !shown.is_empty() && !shown.ends_with('\n') {
        shown.push('\n');
    }
    match output.status.code() {
        Some(0) => {}
        Some(status) => writeln!(shown, "[{status}]").unwrap(),
        None => shown.push_str("[killed]\n"),
    }
    shown
}

/// A page with what its commands print: all lines of a `console` block that begin with `$`, in one folder, one after the
/// other. A line that ends in a backslash goes on in the next one.
pub fn replay_page(page: &str, folder: &Path) -> String {
    let mut played = String::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        writeln!(played, "{line}").unwrap();
        if line != "```console" {
            continue;
        }
        let mut block = String::new();
        while let Some(line) = lines.next().filter(|line| *line != "```") {
            let Some(command) = line.strip_prefix("$ ") else { continue };
            let (mut shown, mut command) = (line.to_owned(), command.to_owned());
            while command.ends_with('\\') {
                let next = lines.next().unwrap();
                command = format!("{command}\n{next}");
                shown = format!("{shown}\n{next}");
            }
            let gap = if block.is_empty() { "" } else { "\n" };
            write!(block, "{gap}{shown}\n{}", run(&command, folder)).unwrap();
        }
        writeln!(played, "{block}```").unwrap();
    }
    played
}

/// Fails if what was played is not what the file says, but for what differs between machines and days. With the
/// environment variable `SNAPSHOTS=overwrite`, writes the file anew.
pub fn compare(played: String, path: &Path) {
    let mut redactions = Redactions::new();
    for (name, what) in [
        ("[SIZE]", r#"\b(?<redacted>[0-9.]+ (B|KiB|MiB))\b"#),
        ("[SIZE]", r#""bytes":(?<redacted>[0-9]+)"#),
        ("[TIME]", r#""timestamp":"(?<redacted>[^"]+)""#),
    ] {
        redactions.insert(name, Regex::new(what).unwrap()).unwrap();
    }
    redactions.insert("[VERSION]", env!("CARGO_PKG_VERSION")).unwrap();
    same(played, path, redactions);
}

/// The same of a page for people, who want to see sizes.
pub fn compare_page(played: String, path: &Path) {
    let mut redactions = Redactions::new();
    for (name, what) in [
        ("[TIME]", r#""timestamp":"(?<redacted>[^"]+)""#),
        ("[VERSION]", r#""tool_version": ?"(?<redacted>[^"]+)""#),
    ] {
        redactions.insert(name, Regex::new(what).unwrap()).unwrap();
    }
    same(played, path, redactions);
}

fn same(played: String, path: &Path, redactions: Redactions) {
    let expected = Data::read_from(path, None);
    // Backslashes belong to keys here, not to paths.
    let assert = Assert::new().action_env(DEFAULT_ACTION_ENV).redact_with(redactions);
    assert.normalize_paths(false).eq(played, expected);
}
