//! One SQS row key in two files: the first file counts, and what it holds is counted once
//! (`docs/format/snapshot.md` section 5).

#![allow(clippy::unwrap_used, clippy::panic, reason = "this is test code, if not inside a test function")]

mod support;

use ekvsnap_testkit::sqs_rows::{Home, generation_key, queue, sequence_key, tombstone_key};
use support::sqs::*;
use support::{How, Row, decode, snapshot};

/// A row key, its values in two files, and the sample that tells of it.
type Pair = (Vec<u8>, [Vec<u8>; 2], &'static str);

/// One for every row kind, of generation 1 of `q`.
fn pairs() -> Vec<Pair> {
    let home = Home::classic("q", 1);
    let both = |of: fn(u64) -> Vec<u8>| [of(1), of(2)];
    let (meta, one) = queue("q", 1, "");
    let sent = |body: &str| home.message("m", body, SENT_MS, "").1;
    vec![
        (meta, [one, queue("q", 1, ",\"is_fifo\":true").1], "queue meta of q"),
        (generation_key("q"), both(|n| n.to_string().into()), "gen row of q"),
        (sequence_key("q"), both(|n| n.to_string().into()), "seq row of q"),
        (tombstone_key("q", 0), both(|n| vec![n as u8]), "tombstone of q"),
        (home.data("m"), [sent("first"), sent("second")], "message bQ of q"),
        (home.vis(5, "m"), both(|n| vec![n as u8]), "vis row of q"),
        (home.byage(5, "m"), both(|n| vec![n as u8]), "byage row of q"),
        (home.dedup("", "d"), both(|n| vec![n as u8]), "dedup row of q"),
        (home.group("g"), both(|n| vec![n as u8]), "group row of q"),
    ]
}

fn dump_both(files: &[Vec<Row>]) -> support::Dump {
    let files: Vec<_> = files.iter().map(|rows| snapshot(rows)).collect();
    decode(&files, WITH_SIDE_RECORDS).unwrap()
}

#[test]
fn of_a_row_in_two_files_that_of_the_first_counts_for_every_kind_of_row() {
    for (key, [first, second], sample) in pairs() {
        let row = |value: &Vec<u8>| vec![(key.clone(), value.clone())];
        let alone = dump_both(&[row(&first)]);
        let both = dump_both(&[row(&first), row(&second)]);
        assert_eq!(both.shown(), alone.shown());
        let mut warnings = alone.warnings.clone();
        warnings.insert("row_in_two_files", 1);
        assert_eq!(both.warnings, warnings);
        assert_eq!(both.samples("row_in_two_files"), [sample]);
        assert!(both.report.is_incomplete());
    }
}

#[test]
fn two_copies_of_everything_give_the_dump_of_one() {
    let mut rows: Vec<Row> = pairs().into_iter().map(|(key, [first, _], _)| (key, first)).collect();
    rows.extend((0..6000).map(|n| sent(&format!("{n:04}"), n)));
    let alone = dump_both(&[rows.clone()]);
    let both = dump_both(&[rows.clone(), rows.clone()]);
    assert_eq!(both.shown(), alone.shown());
    let mut warnings = alone.warnings.clone();
    warnings.insert("row_in_two_files", rows.len() as u64);
    assert_eq!(both.warnings, warnings);
    assert_eq!(both.ask("SELECT messages FROM sqs_queues"), ["Integer(6001)"]);
    assert_eq!(both.report.families[0].kinds[1], ("message".to_owned(), 6001));
}

#[test]
fn of_a_message_that_only_one_file_can_read_the_first_counts_too() {
    let home = Home::classic("q", 1);
    let (good, bad) = (home.message("m", "x", SENT_MS, ""), (home.data("m"), b"?".to_vec()));
    let quarantine = How { quarantine: true, ..WITH_SIDE_RECORDS };
    let read = |files: [Vec<Row>; 2]| decode(&files.map(|rows| snapshot(&rows)), quarantine).unwrap();
    let first = read([standard([good.clone()]), vec![bad.clone()]]);
    assert_eq!(ids(&first, "q"), ["m"]);
    first.assert_warnings(&[("row_in_two_files", 1)]);
    let second = read([standard([bad]), vec![good]]);
    assert_eq!(ids(&second, "q"), [""; 0]);
    second.assert_warnings(&[("row_in_two_files", 1), ("quarantined_row", 1)]);
}
