//! Malformed SQS rows: the run stops and says which row it was, or sets it aside and says so. Values of messages that
//! no client can reach are nobody's business (`docs/format/sqs.md` section 4).

#![allow(clippy::unwrap_used, clippy::panic, reason = "this is test code, if not inside a test function")]

mod support;

use ekvsnap::error::Error;
use ekvsnap_testkit::sqs_rows::{
    Home, generation_key, message, meta, meta_key, queue, sequence_key, tombstone_key,
};
use support::sqs::*;
use support::{How, Row, SQS};

const QUARANTINE: How = How { quarantine: true, ..SQS };

/// One row for every rule that an SQS row can break, and how the rule is told. Messages are of generation 1 of `q`.
fn malformed() -> Vec<(Row, &'static str)> {
    let data = |value: Vec<u8>| (Home::classic("q", 1).data("bad"), value);
    vec![
        (
            (b"!sqs|queue|meta|cR".to_vec(), meta("{}")),
            "the queue in the key of the queue meta is not written in base64url without padding",
        ),
        ((meta_key("x"), b"{}".to_vec()), "the value does not begin with the magic of a queue meta"),
        (
            (meta_key("x"), meta("{\"generation\":\"1\"}")),
            "the JSON of the queue meta cannot be read: generation is not a whole number that fits at line 1 column 18",
        ),
        (
            (meta_key("x"), meta(&format!("{{\"tags\":{{\"a\":\"{}\"}}}}", "x".repeat(2 << 20)))),
            "the value of the queue meta has 2097173 bytes; at most 2097152 are read",
        ),
        (
            (generation_key("q"), b"one".to_vec()),
            "the value of the gen row is not a decimal number of 64 bits",
        ),
        ((sequence_key("q"), b"-1".to_vec()), "the value of the seq row is not a decimal number of 64 bits"),
        (
            (tombstone_key("", 1), b"\x01".to_vec()),
            "the queue in the key of the tombstone is not written in base64url without padding",
        ),
        (
            (b"!sqs|queue|tombstone|short".to_vec(), b"\x01".to_vec()),
            "the row key does not have the layout of a tombstone",
        ),
        (
            (Home::classic("q", 1).data(""), message("{}")),
            "the row key does not have the layout of a message",
        ),
        (
            (b"!sqs|msg|data|cQ\0\0\0\0\0\0\0\x01m!x".to_vec(), message("{}")),
            "the message id in the key is not written in base64url without padding",
        ),
        (
            (b"!sqs|msg|byage|cQ\0\0\0\0\0\0\0\x01\0".to_vec(), b"m".to_vec()),
            "the row key does not have the layout of a byage row",
        ),
        (data(b"{}".to_vec()), "the value does not begin with the magic of a message"),
        (
            data(message("{\"body\":\"!\"}")),
            "the JSON of the message cannot be read: body is not base64 with padding at line 1 column 12",
        ),
        (
            data(message(&format!("{{\"sender_id\":\"{}\"}}", "x".repeat(2 << 20)))),
            "the JSON of the message cannot be read: more than 2097152 bytes of fields beside the body at line 1 \
             column 2097168",
        ),
        (
            data(message(&format!("{{\"body\":\"{}\"}}", "!".repeat(2 << 20)))),
            "the JSON of the message cannot be read: body is not base64 with padding, written without escapes",
        ),
    ]
}

#[test]
fn the_run_stops_at_the_first_malformed_row_and_names_it() {
    for (row, expected) in malformed() {
        let error = refusal(&standard([sent("fine", 0), row.clone()]));
        let Error::MalformedRow { rule, key, .. } = &error else { panic!("{error}") };
        assert_eq!(rule.to_string(), expected);
        assert!(key.starts_with("!sqs|"), "{key}");
    }
}

#[test]
fn malformed_rows_are_set_aside_and_the_rest_is_exported() {
    for (row, expected) in malformed() {
        let dump = dump_how(&standard([sent("fine", 0), row.clone()]), QUARANTINE);
        assert_eq!(ids(&dump, "q"), ["fine"], "{expected}");
        dump.assert_warnings(&[("quarantined_row", 1)]);
        assert!(dump.report.is_incomplete());
        let kept: (Vec<u8>, String, String) = dump
            .staging
            .query_row("SELECT raw_key, rule, class FROM quarantine", [], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })
            .unwrap();
        assert_eq!(kept.0[..kept.0.len() - 8], row.0);
        assert_eq!((kept.1.as_str(), kept.2.as_str()), (expected, "sqs"));
        assert_eq!(dump.report.families[0].kinds, [("queue".to_owned(), 1), ("message".to_owned(), 1)]);
    }
}

#[test]
fn the_raw_value_of_a_quarantined_message_is_kept_whole() {
    let value = message("{\"body\":\"!\"}");
    let dump = dump_how(&standard([(Home::classic("q", 1).data("bad"), value.clone())]), QUARANTINE);
    let (raw, offset): (Vec<u8>, i64) = dump
        .staging
        .query_row("SELECT raw_value, byte_offset FROM quarantine", [], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    assert_eq!(raw, [&[0; 9], value.as_slice()].concat());
    assert_eq!(offset, 16);
    assert!(!dump.files.contains_key("q/messages.jsonl"));
}

#[test]
fn values_of_messages_that_no_client_can_reach_are_not_judged() {
    let bad = |home: Home<'_>| (home.data("bad"), b"not a message".to_vec());
    let rows = [
        queue("q", 2, ""),
        bad(Home::classic("q", 1)),
        bad(Home::partition("q", 0, 2)),
        bad(Home::classic("gone", 1)),
        (generation_key("gone"), b"2".to_vec()),
    ];
    let dump = dump(&rows);
    dump.assert_warnings(&[
        ("sqs_old_generation_messages", 1),
        ("sqs_wrong_keyspace_messages", 1),
        ("sqs_deleted_queue_messages", 1),
    ]);
    assert_eq!(dump.ask("SELECT count(*) FROM quarantine"), ["Integer(0)"]);
}

#[test]
fn a_quarantined_meta_row_counts_as_none() {
    let rows = [(meta_key("q"), b"no meta".to_vec()), (generation_key("q"), b"1".to_vec()), sent("m", 0)];
    let dump = dump_how(&rows, QUARANTINE);
    assert!(dump.files.is_empty());
    dump.assert_warnings(&[("quarantined_row", 1), ("sqs_messages_without_queue", 1)]);
}

#[test]
fn a_message_that_cannot_be_read_does_not_fall_under_another_warning() {
    // All zero, it would be past its retention and disagree with its key.
    let rows =
        standard([(Home::partition("q", 0, 1).data("x"), vec![]), (Home::classic("q", 1).data("y"), vec![])]);
    dump_how(&rows, QUARANTINE)
        .assert_warnings(&[("quarantined_row", 1), ("sqs_wrong_keyspace_messages", 1)]);
}

#[test]
fn rows_of_no_known_family_are_counted_and_told() {
    let rows = standard([(b"!sqs|route|global".to_vec(), vec![]), (b"!sqs|msg|x|".to_vec(), vec![])]);
    let dump = dump(&rows);
    dump.assert_warnings(&[("sqs_unknown_row", 2)]);
    assert_eq!(dump.samples("sqs_unknown_row"), ["!sqs|msg|x|", "!sqs|route|global"]);
    assert!(dump.report.is_incomplete());
}

#[test]
fn of_several_malformed_messages_the_first_in_the_file_is_named() {
    let rows = standard(["b", "a"].map(|id| (Home::classic("q", 1).data(id), b"?".to_vec())));
    assert!(refusal(&rows).to_string().contains("YQ"), "{}", refusal(&rows));
}
