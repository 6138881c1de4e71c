//! `ekvsnap sql` as a guest in somebody else's database and pipe: what it does while others work, when it is asked to
//! stop, when nobody reads on, and with results of any length. What it prints stands in `tests/cli/sql.console`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "this is test code, if not inside a test function")]

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use ekvsnap::staging::Staging;
use rustix::process::{Pid, Signal, kill_process};
use support::documentation::{commands_of, load_all};

/// Rows without an end.
const ENDLESS: &str =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i, 'row ' || i AS t FROM n";

fn staging() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    let staging = Staging::create(&path).unwrap();
    staging.begin_unsynced().unwrap();
    staging.set_fact("complete", 1).unwrap();
    staging.end_unsynced().unwrap();
    staging.close().unwrap();
    (folder, path)
}

fn command(database: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ekvsnap"));
    command.arg("sql").arg(database).args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(database: &Path, arguments: &[&str]) -> Output {
    command(database, arguments).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn interrupt(child: &Child) {
    kill_process(Pid::from_child(child), Signal::INT).unwrap();
}

#[test]
fn a_database_of_an_interrupted_load_is_read_with_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    Staging::create(&path).unwrap().close().unwrap();
    let output = run(&path, &["SELECT count(*) AS n FROM keys"]);
    assert_eq!(output.stdout, b"n\n0\n");
    assert!(stderr(&output).contains("has not come to its end: rows are missing"), "{}", stderr(&output));
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_database_that_is_being_written_is_not_read() {
    let (_folder, path) = staging();
    let held = Staging::open(&path).unwrap();
    let output = run(&path, &["SELECT 1"]);
    assert_eq!(output.status.code(), Some(6));
    assert!(stderr(&output).contains("is in use by process"), "{}", stderr(&output));
    held.close().unwrap();
    assert_eq!(run(&path, &["SELECT 1"]).status.code(), Some(0));
}

#[test]
fn a_database_that_may_be_torn_is_not_believed() {
    let (_folder, path) = staging();
    let staging = Staging::open(&path).unwrap();
    staging.set_fact("written_in_boot", "another boot").unwrap();
    staging.close().unwrap();
    assert_eq!(run(&path, &["SELECT 1"]).status.code(), Some(3));
}

#[test]
fn a_file_that_cannot_be_written_is_read_all_the_same() {
    let (_folder, path) = staging();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    let output = run(&path, &["SELECT value FROM run WHERE name = 'complete'"]);
    assert_eq!(output.stdout, b"value\n1\n", "{}", stderr(&output));
}

#[test]
fn a_query_that_is_asked_to_stop_stops() {
    let (_folder, path) = staging();
    let silent =
        "SELECT 'begun'; WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i FROM n) SELECT count(*) FROM n";
    for query in [ENDLESS, silent] {
        let mut child = command(&path, &[query]).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut String::new()).unwrap();
        let drain = std::thread::spawn(move || out.read_to_end(&mut Vec::new()));
        interrupt(&child);
        let output = child.wait_with_output().unwrap();
        drain.join().unwrap().unwrap();
        assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
        assert_eq!(stderr(&output), "error: interrupted\n");
    }
}

#[test]
fn whoever_has_read_enough_ends_it_without_a_word() {
    let (_folder, path) = staging();
    for format in ["table", "csv", "json", "jsonl"] {
        let mut child = command(&path, &[ENDLESS, "--format", format]).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut String::new()).unwrap();
        drop(out);
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""), "{format}");
    }
}

#[test]
fn a_result_of_any_length_takes_little_memory() {
    let (_folder, path) = staging();
    let wide = ENDLESS.replace("'row '", "hex(zeroblob(5000))");
    // Of a value a table shows little.
    for (format, mib) in [("table", 1), ("csv", 96), ("json", 96), ("jsonl", 96)] {
        let mut child = command(&path, &[&wide, "--format", format]).spawn().unwrap();
        let mut out = child.stdout.take().unwrap().take(mib << 20);
        std::io::copy(&mut out, &mut std::io::sink()).unwrap();
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        let kib: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
        assert!(kib < 32 << 10, "{format}: {kib} KiB");
        drop(out);
        child.wait().unwrap();
    }
}

#[test]
fn statements_of_a_pipe_are_run_as_they_come() {
    let (_folder, path) = staging();
    let mut child = command(&path, &["-f", "jsonl"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut statements = child.stdin.take().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    for number in 0..3 {
        writeln!(statements, "SELECT\n {number} AS n;").unwrap();
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        assert_eq!(line, format!("{{\"n\":{number}}}\n"));
    }
    drop(statements);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn the_page_about_opening_the_database_shows_what_is_printed() {
    let folder = tempfile::tempdir().unwrap();
    let mut asked = 0;
    for command in commands_of(include_str!("../docs/opening.md")) {
        if let Some(load) = command.line.strip_suffix(" -q").filter(|line| line.contains(" load ")) {
            let (fixture, name) =
                load.strip_prefix("ekvsnap load ").unwrap().split_once(" --staging ").unwrap();
            load_all(fixture, &folder.path().join(name));
        } else if command.line.starts_with("ekvsnap sql ") {
            let bin = Path::new(env!("CARGO_BIN_EXE_ekvsnap")).parent().unwrap();
            let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
            let mut shell = Command::new("sh");
            shell.args(["-c", command.line]).current_dir(folder.path()).env("PATH", path);
            let output = shell.output().unwrap();
            assert_eq!(String::from_utf8_lossy(&output.stdout).lines().collect::<Vec<_>>(), command.output);
            asked += 1;
        }
    }
    assert_eq!(asked, 3);
}
