//! Runs the real command, stops it in every way there is, and compares trees. Times are never judged: a run is
//! stopped by what it has done, or after a share of what the same run took here.

#![allow(dead_code, reason = "every test binary uses its own part of this")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "this is test code, if not inside a test function")]

pub mod shim;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use ekvsnap_testkit::bundled::bundled;
use ekvsnap_testkit::container::HlcHeader;
use ekvsnap_testkit::redis_rows::{Counted, count_meta, count_meta_key, element_key, score, score_key};
use ekvsnap_testkit::redis_rows::{string_key, string_value};
use ekvsnap_testkit::scenarios::{Scenario, generate};
use ekvsnap_testkit::sorted::SortedSnapshot;
use ekvsnap_testkit::sst_writer::Cut;
use ekvsnap_testkit::version::{Version, raw_key};
use ekvsnap_testkit::writer::{APPLIED_INDEX, LAST_COMMIT_TS};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

pub const SMALL: &str = "tests/fixtures/redis-small/00000000000002ef.fsm";
pub const LEGACY: &str = "tests/fixtures/redis-legacy/0000000000000097.fsm";
pub const QUEUES: &str = "tests/fixtures/sqs-small/0000000000000353.fsm";
pub const TWO: [&str; 2] = [
    "tests/fixtures/redis-two-groups/group-1/000000000000012d.fsm",
    "tests/fixtures/redis-two-groups/group-2/00000000000000fb.fsm",
];

pub const S3_SMALL: &str = "tests/fixtures/s3-small/0000000000000385.fsm";

const TS: u64 = 1_790_000_000_000 << 16;

/// Some 40 MB: enough for two commits of a load and one of an export. The same bytes in every run.
pub fn large() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| made("resume-large-2.fsm", |file| large_snapshot().write_to(file)))
}

/// The same rows in a bundle of several tables.
pub fn bundle() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        made("resume-bundle.fsm", |mut file| {
            let bundle = bundled(&fs::read(large())?, 12 << 20, &Cut::default());
            file.write_all(&bundle).map(|()| file)
        })
    })
}

/// Some 50 MB in six S3 objects of several chunks: commits of the load stand between chunks of one object.
pub fn objects() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| made("resume-objects.fsm", |file| generate(Scenario::S3, 6, false, file)))
}

/// Some 23 MB of one SQS queue, sent in another order than that of its keys.
pub fn long_queue() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| made("resume-queue-1.fsm", |file| generate(Scenario::Sqs, 24_000, false, file)))
}

/// A file for all test binaries, made by the first that needs it.
fn made(name: &str, write: impl FnOnce(File) -> std::io::Result<File>) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if !path.exists() {
        // Others may be making it, too.
        let unfinished = path.with_extension(std::process::id().to_string());
        write(File::create(&unfinished).unwrap()).unwrap();
        fs::rename(unfinished, &path).unwrap();
    }
    path
}

fn large_snapshot() -> SortedSnapshot {
    let mut random = Random(7);
    let mut snapshot = SortedSnapshot::new(TS + 9)
        .header(HlcHeader::V1 { ceiling_ms: TS >> 16 })
        .operational(LAST_COMMIT_TS, TS + 9)
        .operational(APPLIED_INDEX, 77);
    let mut put = |key: &[u8], payload: &[u8], ts: u64| {
        let value = [&[0; 9], payload].concat();
        snapshot = std::mem::replace(&mut snapshot, SortedSnapshot::new(0)).raw(raw_key(key, ts), value);
    };
    for number in 0..9300 {
        let name = format!("user:{number:05}");
        let length = match number {
            _ if number % 300 == 7 => 40_000 + random.below(400_000),
            _ if number % 9 == 1 => 20_000 + random.below(10_000),
            _ => 10 + random.below(60),
        };
        let expiry = (number % 10 == 0).then_some((TS >> 16) + 1_000_000);
        put(&string_key(name.as_bytes()), &string_value(&random.bytes(length), expiry), TS + 2);
        if number % 4 == 0 {
            put(&string_key(name.as_bytes()), &string_value(&random.bytes(90), None), TS + 1);
        }
    }
    // Names that cannot be turned back, for KEYMAP.jsonl.
    for number in 0..20 {
        put(&string_key(&vec![b'x'; 300 + number]), &string_value(b"long name", None), TS + 1);
    }
    for number in 0..150 {
        let name = format!("profile:{number:04}").into_bytes();
        put(&count_meta_key(Counted::Hash, &name), &count_meta(20, None), TS + 1);
        for field in 0..20 {
            let key = element_key(Counted::Hash, &name, format!("field{field:02}").as_bytes());
            put(&key, &random.bytes(80), TS + 1);
        }
    }
    let name = b"board";
    put(&count_meta_key(Counted::ZSet, name), &count_meta(2000, None), TS + 1);
    for number in 0..2000u32 {
        let member = format!("player{number:06}").into_bytes();
        let points = f64::from(number) * 1.5;
        put(&element_key(Counted::ZSet, name, &member), &score(points), TS + 1);
        put(&score_key(name, points, &member), b"", TS + 1);
    }
    snapshot
}

/// A snapshot with a large value, which is copied from file to file, and a small one of each kind.
pub fn small_inputs(place: &Place) -> Vec<PathBuf> {
    let path = place.folder.path().join("in.fsm");
    let put = |name: &str, bytes: usize| {
        Version::put(string_key(name.as_bytes()), 1, string_value(&vec![b'v'; bytes], None))
    };
    let snapshot = SortedSnapshot::new(9).versions(&[put("large", 700_000), put("small", 3)]);
    snapshot.write_to(File::create(&path).unwrap()).unwrap();
    vec![path, LEGACY.into()]
}

/// SplitMix64.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn bytes(&mut self, length: u64) -> Vec<u8> {
        let words = (0..length.div_ceil(8)).flat_map(|_| self.next().to_le_bytes());
        words.take(length as usize).collect()
    }
}

/// A folder with a staging database and an output that are not there yet.
pub struct Place {
    pub folder: TempDir,
    pub staging: PathBuf,
    pub output: PathBuf,
}

impl Place {
    /// In memory where that can be had: others' unwritten data would be waited for at every end of a run.
    pub fn new() -> Self {
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        Self::of(folder)
    }

    /// In a folder of its own on this file system.
    pub fn below(root: &Path) -> Self {
        Self::of(tempfile::tempdir_in(root).unwrap())
    }

    /// On the file system that everything is built on, which is seldom one in memory.
    pub fn on_disk() -> Self {
        Self::below(Path::new(env!("CARGO_TARGET_TMPDIR")))
    }

    fn of(folder: TempDir) -> Self {
        let (staging, output) = (folder.path().join("s.db"), folder.path().join("out"));
        Self { folder, staging, output }
    }

    /// The folder that it lies in.
    pub fn root(&self) -> &Path {
        self.folder.path().parent().unwrap()
    }

    /// Nothing but what is named here is left.
    pub fn assert_holds(&self, names: &[&str]) {
        let mut found: Vec<String> = fs::read_dir(self.folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        found.sort();
        assert_eq!(found, names, "left in the folder");
    }

    pub fn decode<I: AsRef<OsStr>>(&self, inputs: impl IntoIterator<Item = I>, more: &[&str]) -> Command {
        let mut command = ekvsnap("decode");
        command.args(inputs).arg("--output").arg(&self.output).args(WALL_TIME).args(more);
        command
    }

    pub fn load<I: AsRef<OsStr>>(&self, inputs: impl IntoIterator<Item = I>, more: &[&str]) -> Command {
        let mut command = ekvsnap("load");
        command.args(inputs).arg("--staging").arg(&self.staging).args(more);
        command
    }

    pub fn export(&self, more: &[&str]) -> Command {
        let mut command = ekvsnap("export");
        command.arg(&self.staging).arg("--output").arg(&self.output).args(WALL_TIME).args(more);
        command
    }

    /// Where `decode` keeps its staging database.
    pub fn beside(&self) -> PathBuf {
        self.folder.path().join("out.staging.db")
    }

    pub fn partial(&self) -> PathBuf {
        self.folder.path().join("out.partial")
    }

    pub fn partial_files(&self) -> u64 {
        count_files(&self.partial())
    }
}

const WALL_TIME: [&str; 2] = ["--wall-time", "2026-01-02T03:04:05Z"];

pub fn ekvsnap(command: &str) -> Command {
    let mut ekvsnap = Command::new(env!("CARGO_BIN_EXE_ekvsnap"));
    ekvsnap.arg(command).stdin(Stdio::null());
    ekvsnap
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Runs to an end that is good, and hands over what was said.
pub fn succeed(command: &mut Command) -> String {
    let output = command.output().unwrap();
    // 1 is a dump with warnings: the small fixtures have keys of kinds that are not decoded.
    assert!(matches!(output.status.code(), Some(0 | 1)), "{:?}: {}", output.status, stderr(&output));
    stderr(&output)
}

/// Runs to an error with this status, and hands over what was said.
pub fn fail(command: &mut Command, status: i32) -> String {
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(status), "{}", stderr(&output));
    stderr(&output)
}

/// Begins a run whose messages are kept.
pub fn start(command: &mut Command) -> Child {
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Sends a signal as soon as `when` holds, unless the run ends before; then waits for its end.
pub fn signal_when(mut child: Child, signal: Signal, mut when: impl FnMut() -> bool) -> Output {
    while child.try_wait().unwrap().is_none() {
        if when() {
            let _ = kill_process(pid(&child), signal);
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    child.wait_with_output().unwrap()
}

pub fn pid(child: &Child) -> Pid {
    Pid::from_raw(child.id().cast_signed()).unwrap()
}

/// Was the run killed, and did not end by itself?
pub fn was_killed(output: &Output) -> bool {
    if output.status.signal() == Some(9) {
        return true;
    }
    assert!(matches!(output.status.code(), Some(0 | 1)), "{:?}: {}", output.status, stderr(output));
    false
}

pub fn bytes(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// Files below a directory, as far as it is there.
pub fn count_files(path: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(path) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => count_files(&entry.path()),
            _ => 1,
        })
        .sum()
}

/// Every file of a dump with its content.
pub fn tree(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
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

pub fn assert_same_tree(found: &Path, expected: &BTreeMap<PathBuf, Vec<u8>>) {
    let found = tree(found);
    let names = |tree: &BTreeMap<PathBuf, Vec<u8>>| tree.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&found), names(expected));
    for (name, bytes) in &found {
        assert!(bytes == &expected[name], "{} differs", name.display());
    }
}

/// What `info --json` says of a staging database.
pub fn info(staging: &Path) -> serde_json::Value {
    let output = ekvsnap("info").arg("--json").arg(staging).output().unwrap();
    assert!(matches!(output.status.code(), Some(0 | 1)), "{}", stderr(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Answers to a number that stands in a staging database.
pub fn ask(staging: &Path, sql: &str) -> i64 {
    rusqlite::Connection::open(staging).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
}

/// How much longer than in `cargo test`; the environment variable EKVSNAP_THOROUGH asks for it.
pub fn is_thorough() -> bool {
    std::env::var_os("EKVSNAP_THOROUGH").is_some()
}
