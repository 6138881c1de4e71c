//! Transactions in flight are counted and never exported (`docs/format/snapshot.md` section 6.1).

mod support;

use ekvsnap::error::Error;
use ekvsnap_testkit::redis_rows::{string_key, string_value};
use ekvsnap_testkit::sorted::SortedSnapshot;
use ekvsnap_testkit::txn_rows::{commit_key, commit_value, intent_key, intent_value, lock_key, lock_value};
use ekvsnap_testkit::version::Version;
use support::{How, LAST_COMMIT_TS, Row, decode, dump, dump_files, refusal};

const START: u64 = 1 << 63;

fn intent(row_key: &[u8]) -> Row {
    (intent_key(row_key), intent_value(START, Some(b"value")))
}

fn lock(row_key: &[u8], primary: &[u8]) -> Row {
    (lock_key(row_key), lock_value(START, 9, row_key == primary, 0, primary))
}

fn commit(primary: &[u8], start_ts: u64) -> Row {
    (commit_key(primary, start_ts), commit_value(start_ts + 1))
}

#[test]
fn a_live_intent_is_counted_and_not_exported() {
    let rows = [intent(b"!redis|str|k"), lock(b"!redis|str|k", b"!redis|str|k")];
    let dump = dump(&rows);
    dump.assert_files::<&str>(&[]);
    dump.assert_warnings(&[("txn_pending_intents", 1)]);
    assert_eq!(dump.samples("txn_pending_intents"), ["!redis|str|k"]);
    assert!(!dump.report.is_incomplete());
}

#[test]
fn an_intent_whose_transaction_has_committed_means_that_the_dump_is_not_whole() {
    let key = string_key(b"k");
    let rows =
        [(key.clone(), string_value(b"old", None)), intent(&key), lock(&key, b"p"), commit(b"p", START)];
    let dump = dump(&rows);
    dump.assert_files(&[("strings/k.bin", "old")]);
    dump.assert_warnings(&[("txn_pending_intents", 1), ("txn_pending_intents_committed", 1)]);
    assert!(dump.report.is_incomplete());
}

#[test]
fn the_commit_record_may_lie_in_the_file_of_another_group() {
    let dump = dump_files(&[vec![intent(b"a"), lock(b"a", b"p")], vec![commit(b"p", START)]]);
    dump.assert_warnings(&[("txn_pending_intents", 1), ("txn_pending_intents_committed", 1)]);
}

#[test]
fn a_commit_record_of_another_start_or_primary_says_nothing() {
    let rows = [intent(b"a"), lock(b"a", b"p"), commit(b"p", START - 1), commit(b"q", START)];
    dump(&rows).assert_warnings(&[("txn_pending_intents", 1)]);
    // Without a lock nobody knows the primary.
    dump(&[intent(b"a"), commit(b"a", START)]).assert_warnings(&[("txn_pending_intents", 1)]);
}

#[test]
fn locks_and_records_without_intents_are_no_pending_writes() {
    let rows = [lock(b"a", b"p"), commit(b"p", START), (b"!txn|rb|whatever".to_vec(), b"x".to_vec())];
    dump(&rows).assert_warnings(&[]);
}

#[test]
fn only_live_rows_count() {
    let (key, value) = intent(b"a");
    let file = SortedSnapshot::new(LAST_COMMIT_TS)
        .versions(&[Version::put(key.clone(), 1, value), Version::tombstone(key, 2)])
        .to_bytes()
        .unwrap();
    decode(&[file], How::default()).unwrap().assert_warnings(&[]);
}

#[test]
fn a_deletion_is_an_intent_as_well() {
    let dump = dump(&[(intent_key(b"a"), intent_value(START, None))]);
    dump.assert_warnings(&[("txn_pending_intents", 1)]);
    assert_eq!(dump.ask("SELECT deletes FROM txn_pending"), ["Integer(1)"]);
    assert_eq!(dump.ask("SELECT start_ts FROM txn_pending"), ["Text(\"09223372036854775808\")"]);
}

#[test]
fn row_keys_and_values_may_be_large() {
    let primary = vec![b'p'; 700_000];
    let rows = [
        (intent_key(b"a"), intent_value(START, Some(&vec![1; 700_000]))),
        lock(b"a", &primary),
        commit(&primary, START),
    ];
    let dump = dump(&rows);
    dump.assert_warnings(&[("txn_pending_intents", 1), ("txn_pending_intents_committed", 1)]);
}

#[test]
fn of_a_row_in_two_files_that_of_the_first_counts() {
    let first = vec![intent(b"a"), lock(b"a", b"p"), commit(b"p", START)];
    let second = vec![
        (intent_key(b"a"), intent_value(7, None)),
        lock(b"a", b"q"),
        (commit_key(b"p", START), commit_value(9)),
    ];
    let dump = dump_files(&[first, second]);
    dump.assert_warnings(&[
        ("row_in_two_files", 3),
        ("txn_pending_intents", 1),
        ("txn_pending_intents_committed", 1),
    ]);
    assert_eq!(dump.samples("row_in_two_files")[0], "!txn|cmt|p\\x80\\0\\0\\0\\0\\0\\0\\0");
}

#[test]
fn a_malformed_row_stops_the_run() {
    let mut lock_cut = lock(b"a", b"primary");
    lock_cut.1.pop();
    for (row, kind) in [
        ((intent_key(b"a"), b"\x01".to_vec()), "intent"),
        (lock_cut, "lock"),
        ((commit_key(b"p", 1), b"\x02\0\0\0\0\0\0\0\x01".to_vec()), "commit record"),
    ] {
        let Error::MalformedRow { rule, .. } = refusal(&[row]) else { panic!("another reason") };
        assert_eq!(rule.to_string(), format!("the row does not have the layout of a transaction {kind}"));
    }
}
