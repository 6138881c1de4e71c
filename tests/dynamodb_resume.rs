//! Ten thousand items: the same bytes with any number of threads, and however often the run is killed.

#![allow(clippy::unwrap_used, clippy::panic, reason = "test code")]

mod resume_support;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use ekvsnap_testkit::container::HlcHeader;
use ekvsnap_testkit::dynamodb_rows::{Attribute, TableSchema, item_key, item_value, number_segment, segment};
use ekvsnap_testkit::sorted::SortedSnapshot;
use ekvsnap_testkit::version::Version;
use resume_support::*;
use rustix::process::Signal;

const TS: u64 = 1_790_000_000_000 << 16;

/// Ten thousand items in a hash-only and a composite table; every hundredth is large, every thousandth has a long key.
fn snapshot() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("dynamodb-items-1.fsm");
        if !path.exists() {
            let unfinished = path.with_extension(std::process::id().to_string());
            rows().write_to(File::create(&unfinished).unwrap()).unwrap();
            fs::rename(unfinished, &path).unwrap();
        }
        path
    })
}

fn rows() -> SortedSnapshot {
    let mut versions = Vec::new();
    let (users, orders) = (TableSchema::new("users", "S"), TableSchema::new("orders", "S").range("N"));
    for (key, value) in users.rows().into_iter().chain(orders.rows()) {
        versions.push(Version::put(key, TS, value));
    }
    for number in 0..10_000 {
        let length = match number {
            _ if number % 1000 == 5 => 700_000,
            _ if number % 100 == 7 => 50_000,
            _ => number % 400,
        };
        let filler = ("filler", Attribute::S("x".repeat(length)));
        let (key, value) = if number % 2 == 0 {
            let id =
                if number % 1000 == 0 { format!("{number}").repeat(300) } else { format!("user {number}") };
            let value = item_value(&[("id", Attribute::s(&id)), filler]);
            (item_key("users", 1, &segment(id.as_bytes())), value)
        } else {
            let id = format!("customer {}", number / 20);
            let at = number.to_string();
            let digits = at.trim_end_matches('0');
            let payload = [segment(id.as_bytes()), number_segment(false, digits, at.len() as i64)].concat();
            let value = item_value(&[("id", Attribute::s(&id)), ("r", Attribute::n(&at)), filler]);
            (item_key("orders", 1, &payload), value)
        };
        if number % 5 == 0 {
            versions.push(Version::put(key.clone(), TS - 1, b"superseded".to_vec()));
        }
        versions.push(Version::put(key, TS, value));
    }
    SortedSnapshot::new(TS).header(HlcHeader::V1 { ceiling_ms: TS >> 16 }).versions(&versions)
}

const JSONL: [&str; 4] = ["--dynamodb-bundle-mode", "jsonl", "--dynamodb-bundle-size", "300KB"];

#[test]
fn ten_thousand_items_have_the_same_bytes_in_every_run_and_with_any_number_of_threads() {
    for layout in [&[][..], &JSONL] {
        let first = Place::new();
        succeed(first.decode([snapshot()], layout).args(["--threads", "1"]));
        let expected = tree(&first.output);
        assert!(expected.len() > if layout.is_empty() { 10_000 } else { 10 });
        for threads in ["1", "2", "4"] {
            let place = Place::new();
            succeed(place.decode([snapshot()], layout).args(["--threads", threads]));
            assert_same_tree(&place.output, &expected);
        }
    }
}

#[test]
fn ten_thousand_items_killed_again_and_again_end_with_the_same_bytes() {
    for layout in [&[][..], &JSONL] {
        let undisturbed = Place::new();
        succeed(undisturbed.decode([snapshot()], layout).arg("--staging").arg(&undisturbed.staging));
        let (expected, staged) = (tree(&undisturbed.output), bytes(&undisturbed.staging));
        let mut random = Random(layout.len() as u64);
        let (place, mut killed) = (Place::new(), 0);
        let kills = if is_thorough() { 50 } else { 6 };
        for nth in 0..kills {
            let share = random.below(1000);
            let run = start(&mut place.decode([snapshot()], layout));
            let output = signal_when(run, Signal::KILL, || match nth % 2 {
                0 => bytes(&place.beside()) >= staged * share / 1000,
                _ => place.partial_files() > expected.len() as u64 * share / 1000,
            });
            killed += u32::from(was_killed(&output));
            if place.output.exists() && !place.beside().exists() {
                break;
            }
        }
        assert!(killed > 0, "the run is always too fast to be killed");
        if !place.output.exists() || place.beside().exists() {
            succeed(&mut place.decode([snapshot()], layout));
        }
        place.assert_holds(&["out"]);
        assert_same_tree(&place.output, &expected);
    }
}

#[test]
fn an_export_that_was_killed_goes_on_with_the_files_that_it_had_finished() {
    let place = Place::new();
    succeed(&mut place.load([snapshot()], &[]));
    // Counting files takes its time: a run may come to its end meanwhile.
    let killed = [6000, 3000, 1000, 100].into_iter().any(|files| {
        if place.output.exists() {
            fs::remove_dir_all(&place.output).unwrap();
        }
        let run = start(&mut place.export(&["--threads", "1"]));
        was_killed(&signal_when(run, Signal::KILL, || place.partial_files() > files))
    });
    assert!(killed, "the run is always too fast to be killed");
    let said = succeed(&mut place.export(&["--threads", "1"]));
    assert!(said.contains("going on with the export that was interrupted"), "{said}");
    let whole = Place::new();
    succeed(&mut whole.decode([snapshot()], &[]));
    assert_same_tree(&place.output, &tree(&whole.output));
}
