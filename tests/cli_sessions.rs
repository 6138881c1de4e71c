//! What people see: sessions under `tests/cli/`, with every command, its whole output and its exit status.
//!
//! A session is a text of `## remarks` and `$ commands`; what stands below a command is its output (standard error
//! first, standard output after it) and its exit status in brackets, unless that is 0. Commands run one after the other
//! through `sh` in a folder of their own that holds the fixtures and the files of `damaged_files`; those of
//! `encrypted_files`, too, if the session is about them. What differs between machines and days is written `[SIZE]`,
//! `[TIME]` and `[VERSION]`.
//!
//! `SNAPSHOTS=overwrite cargo test --test cli_sessions` writes the outputs anew: read the difference as a user would.

#![allow(clippy::unwrap_used, reason = "this is test code, if not inside a test function")]

mod session_support;

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use ekvsnap_testkit::container::{Footer, HlcHeader, frame};
use ekvsnap_testkit::encryption::{DataKey, KeyFiles, encrypt};
use ekvsnap_testkit::snap_file::snap_file;
use ekvsnap_testkit::sorted::SortedSnapshot;
use ekvsnap_testkit::sst_writer::{Bundle, Compress, Cut, Parts, Table, data_block, mend};
use ekvsnap_testkit::version::Version;
use ekvsnap_testkit::writer::MIN_RETAINED_TS;
use session_support::{compare, copy_fixtures, run};

const SESSIONS: &str = "tests/cli";

fn damaged_files(folder: &Path) {
    let whole = fs::read("tests/fixtures/redis-small/00000000000002ef.fsm").unwrap();
    let mut changed = whole.clone();
    changed[200_000] ^= 1;
    let bundle = fs::read("tests/fixtures/redis-sst/00000000000000fb.fsm").unwrap();
    let mut changed_bundle = bundle.clone();
    changed_bundle[5000] ^= 1;
    let row = |key: &str, value: &str| Version::put(key, 116_500_000_000_000_000, value);
    let malformed = SortedSnapshot::new(116_500_000_000_000_000)
        .header(HlcHeader::V1 { ceiling_ms: 1_777_777_777_777 })
        .version(&row("!redis|str|fine", "value"))
        .version(&row("!hs|fld|\0\0\0\x09short", "value"))
        .to_bytes()
        .unwrap();
    let compacted =
        SortedSnapshot::new(116_500_000_000_000_000).version(&row("k", "v")).operational(MIN_RETAINED_TS, 77);
    let voters = [0x08b3_7b07_b558_d4c0, 0x08b3_7d07_b558_d826];
    let snap = snap_file(751, 7, 0x514a_faf1, &voters);
    let mut damaged_snap = snap.clone();
    damaged_snap[20] ^= 1;
    for (name, bytes) in [
        ("redis-small/0000000000000007-00000000000002ef.snap", &snap[..]),
        ("redis-small/other.snap", &snap_file(900, 7, 1, &voters[..1])),
        ("redis-small/damaged.snap", &damaged_snap),
        ("truncated.fsm", &whole[..100_000]),
        ("cut-between-rows.fsm", &whole[..16]),
        ("changed.fsm", &changed),
        ("unfinished.fsm.tmp", &whole),
        ("empty.fsm", b""),
        ("text.fsm", b"This is not a snapshot.\n"),
        ("newer.fsm", b"EKVTHLC9 and what nobody knows yet"),
        ("bundle-changed.fsm", &changed_bundle),
        ("bundle-truncated.fsm", &bundle[..5000]),
        ("bundle-longer.fsm", &[&bundle[..], b"more"].concat()),
        (
            "bundle-columnar.fsm",
            &foreign_bundle(|table| {
                let format = table.len() - 12;
                table[format] = 5;
            }),
        ),
        ("bundle-deleting.fsm", &foreign_bundle(|table| table[3 + KEY_BYTES] = 0)),
        ("malformed.fsm", &malformed),
        ("compacted.fsm", &compacted.to_bytes().unwrap()),
    ] {
        fs::write(folder.join(name), bytes).unwrap();
    }
}

/// Of the row key in a foreign bundle; its trailer follows it.
const KEY_BYTES: usize = 20;

/// A bundle of one row, whose table is spoilt before all checksums are made to fit.
fn foreign_bundle(spoil: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let version = Version::put("!redis|str|k", 116_500_000_000_000_000, "value");
    let rows = [(version.raw_key(), version.raw_value())];
    assert_eq!(rows[0].0.len(), KEY_BYTES);
    let cut = Cut { compress: Compress::Never, ..Cut::default() };
    let mut table = Parts::of(&rows, &cut).to_bytes();
    spoil(&mut table);
    let block = data_block(&rows, 1).len();
    mend(&mut table, 0, block);
    let bundle = Bundle { tables: vec![Table::with(table, &rows)], last_commit_ts: 1, ..Bundle::default() };
    frame(&HlcHeader::V1 { ceiling_ms: 1 }, &bundle.to_bytes(), Footer::Good)
}

/// Snapshots of an encrypting node with its keys, and everything that can be wrong with either.
fn encrypted_files(folder: &Path) {
    let files = KeyFiles { raft_cutover_index: 291, ..KeyFiles::new() };
    files.write_to(folder).unwrap();
    let [one, raft, other] = [files.keys[0], files.keys[1], files.keys[2]];
    let sidecar = files.sidecar();
    let older = KeyFiles { keys: vec![one, raft], ..files.clone() }.sidecar();
    let another = KeyFiles { kek: [8; 32], ..files.clone() }.sidecar();
    let wrapped = |sidecar: &str| {
        let entry = sidecar.split("16909060\": {").nth(1).unwrap();
        entry.split("\"wrapped\": \"").nth(1).unwrap()[..80].to_owned()
    };
    let write = |name: &str, bytes: &[u8], mode| {
        fs::write(folder.join(name), bytes).unwrap();
        fs::set_permissions(folder.join(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    for (name, json) in [
        ("older.json", &older),
        ("one-damaged.json", &sidecar.replace(&wrapped(&sidecar), &wrapped(&another))),
        ("version3.json", &sidecar.replace("\"version\": 2", "\"version\": 3")),
        ("purpose.json", &sidecar.replacen("storage\",\n", "backup\",\n", 1)),
        ("cut.json", &sidecar[..300].to_owned()),
    ] {
        write(name, json.as_bytes(), 0o600);
    }
    write("wrong-kek.bin", &[9; 32], 0o600);
    write("hex-kek.bin", "07".repeat(32).as_bytes(), 0o600);
    write("open-kek.bin", &files.kek, 0o644);

    let now = 116_500_000_000_000_000;
    let long = vec![b'x'; 40_000];
    let rows = [
        Version::put("!redis|str|clear", now, "as it is"),
        Version::put("!redis|str|encrypted", now, "under key id 1"),
        Version::put("!redis|str|encrypted", now - 1, "older, under the other key"),
        Version::put("!redis|str|gone", now - 1, "deleted"),
        Version::tombstone("!redis|str|gone", now),
        Version::put("!redis|str|long", now, long),
    ];
    let header = HlcHeader::V2 { ceiling_ms: 1_777_777_777_777, cutover_index: 291, extra: Vec::new() };
    let snapshot = SortedSnapshot::new(now).header(header.clone()).versions(&rows);
    // In the order of the file: clear, encrypted, its older version, the tombstone, what it deletes, long.
    let keys = [None, Some(&one), Some(&other), None, Some(&other), Some(&other)];
    let clear = snapshot.to_bytes().unwrap();
    let sealed = encrypt(&clear[..], Vec::new(), |row| keys[row as usize]).unwrap();
    let under = |key: &DataKey| encrypt(&clear[..], Vec::new(), |row| (row == 1).then_some(key)).unwrap();
    let mended = |at: usize, byte: u8| {
        let mut changed = sealed.clone();
        changed[at] = byte;
        let end = changed.len() - 4;
        let footer = crc32c::crc32c(&changed[..end]);
        changed[end..].copy_from_slice(&footer.to_be_bytes());
        changed
    };
    let raw_key = rows[1].raw_key();
    let value =
        sealed.windows(raw_key.len()).position(|window| window == raw_key).unwrap() + raw_key.len() + 8;
    let mut crc = sealed.clone();
    crc[value + 30] ^= 1;
    let writer = [&b"!encryption|writers|"[..], &[0, 0, 0, 9], b"|", &[0, 1]].concat();
    let other_cluster = HlcHeader::V2 { ceiling_ms: 1_777_777_777_777, cutover_index: 17, extra: Vec::new() };
    for (name, bytes) in [
        ("encrypted.fsm", &sealed),
        ("raft-key.fsm", &under(&raft)),
        ("tampered.fsm", &mended(value + 30, sealed[value + 30] ^ 1)),
        ("tampered-and-damaged.fsm", &crc),
        ("relabelled.fsm", &mended(value, 0)),
        ("deleted.fsm", &mended(value, 3)),
        ("newer-envelope.fsm", &mended(value + 9, 2)),
        ("flagged-envelope.fsm", &mended(value + 10, 1)),
        ("key-0.fsm", &mended(value + 14, 0)),
        ("other-cluster.fsm", &snapshot.header(other_cluster).raw(writer, [0; 12]).to_bytes().unwrap()),
    ] {
        fs::write(folder.join(name), bytes).unwrap();
    }
    let short = SortedSnapshot::new(now).raw(raw_key, [&[2][..], &[0; 8], &[1; 33]].concat());
    fs::write(folder.join("short-envelope.fsm"), short.to_bytes().unwrap()).unwrap();
}

fn play(session: &str) {
    let folder = tempfile::tempdir().unwrap();
    copy_fixtures(Path::new("tests/fixtures"), folder.path());
    damaged_files(folder.path());
    if session == "encryption.console" {
        encrypted_files(folder.path());
    }
    let path = Path::new(SESSIONS).join(session);
    let mut played = String::new();
    for line in fs::read_to_string(&path).unwrap().lines() {
        if let Some(command) = line.strip_prefix("$ ") {
            writeln!(played, "{line}\n{}", run(command, folder.path())).unwrap();
        } else if line.starts_with("## ") {
            writeln!(played, "{line}").unwrap();
        }
    }
    compare(played, &path);
}

macro_rules! sessions {
    ($($name:ident)+) => {
        $(#[test]
        fn $name() {
            play(concat!(stringify!($name), ".console"));
        })+

        #[test]
        fn every_session_is_played() {
            let mut there: Vec<_> = fs::read_dir(SESSIONS)
                .unwrap()
                .map(|entry| entry.unwrap().file_name().to_string_lossy().replace(".console", ""))
                .collect();
            there.sort();
            assert_eq!(there, [$(stringify!($name)),+]);
        }
    };
}

sessions! {
    bundle completions decode encryption errors export get info keys load man sql stats token verify
}
