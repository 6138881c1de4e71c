//! Decodes snapshots through the library, as the command does, and reads trees back.

#![allow(dead_code, reason = "every test binary uses its own part of this")]
#![allow(clippy::unwrap_used, reason = "this is test code, if not inside a test function")]

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ekvsnap::dump::target::Target;
use ekvsnap::error::Error;
use ekvsnap::export::{Dumped, ExportOptions, export};
use ekvsnap::family::{ADAPTERS, Choices};
use ekvsnap::load::{Input, LoadOptions, load};
use ekvsnap::progress::{Phase, Progress, Silent};
use ekvsnap::snapshot::locate;
use ekvsnap::staging::Staging;
use tempfile::TempDir;

/// Stands in every manifest, so that the bytes do not depend on the day.
pub const WALL_TIME: &str = "2026-01-01T00:00:00.000Z";

/// Relative, so that manifests do not depend on the machine: tests run in the root of the package.
pub const FIXTURES: &str = "tests/fixtures";

/// The snapshots whose dumps are compared with files in the repository.
pub const NAMES: [&str; 7] = [
    "redis-small",
    "redis-legacy",
    "redis-two-groups",
    "redis-sst",
    "dynamodb-small",
    "s3-small",
    "sqs-small",
];

/// A folder in memory where there is one, for tests that make thousands of databases.
pub fn scratch() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { tempfile::tempdir().unwrap() }
}

pub fn export_options(threads: usize) -> ExportOptions {
    ExportOptions {
        adapters: ADAPTERS.map(str::to_owned).to_vec(),
        scopes: Vec::new(),
        choices: Choices::default(),
        cluster_id: String::new(),
        elastickv_version: String::new(),
        wall_time: WALL_TIME.to_owned(),
        threads,
        keys: None,
    }
}

pub fn load_options() -> LoadOptions {
    LoadOptions { adapters: ADAPTERS.map(str::to_owned).to_vec(), ..LoadOptions::default() }
}

pub fn inputs(path: &Path) -> Vec<Input> {
    locate(&[path.to_owned()]).unwrap().into_iter().map(Input::File).collect()
}

/// `ekvsnap decode`, with the staging database in the same folder.
pub fn decode(
    inputs: &[Input],
    options: &LoadOptions,
    folder: &Path,
    threads: usize,
) -> Result<Dumped, Error> {
    let database = folder.join("staging.db");
    let _ = fs::remove_file(&database);
    let staging = Staging::create(&database)?;
    load(inputs, &staging, options, &Silent)?;
    let target = Target::new(&folder.join("dump"), true, &[])?;
    let how = ExportOptions { keys: options.keys.clone(), ..export_options(threads) };
    export(&staging, target.begin()?, &how, &Silent)
}

/// The files of a tree by path, CHECKSUMS and MANIFEST included.
pub fn tree(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.insert(path.strip_prefix(root).unwrap().to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    files
}

/// The command itself, with nothing of the outside world that could change what it writes.
pub fn ekvsnap<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ekvsnap"));
    command.args(arguments).env("SOURCE_DATE_EPOCH", "1767225600");
    command
}

/// What a person sees, and the exit status.
pub fn said(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// The names in a folder.
pub fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// Stops a run when it asks for the nth time in a phase whether it should.
pub struct Stop {
    at: usize,
    /// Only in this phase; in every one if it is none.
    only: Option<Phase>,
    phase: Cell<Option<Phase>>,
    asked: Cell<usize>,
}

impl Stop {
    pub fn at(at: usize) -> Self {
        Self { at, only: None, phase: Cell::new(None), asked: Cell::new(0) }
    }

    pub fn in_phase(at: usize, phase: Phase) -> Self {
        Self { only: Some(phase), ..Self::at(at) }
    }
}

impl Progress for Stop {
    fn begin(&self, phase: Phase, _: Option<u64>) {
        self.phase.set(Some(phase));
        self.asked.set(0);
    }

    fn is_interrupted(&self) -> bool {
        if self.only.is_some_and(|only| self.phase.get() != Some(only)) {
            return false;
        }
        self.asked.set(self.asked.get() + 1);
        self.asked.get() >= self.at
    }
}
