//! The staging database as people ask it: the views over the SQS tables.

#![allow(clippy::unwrap_used, clippy::panic, reason = "this is test code, if not inside a test function")]

mod support;

use ekvsnap_testkit::sqs_rows::{
    Home, generation_key, message, meta, meta_key, queue, sequence_key, tombstone_key,
};
use support::documentation::ask;
use support::sqs::*;
use support::{NOW_MS, Row};

/// A message of `q` that becomes visible then and was received so often.
fn state(id: &str, visible_ms: u64, receive_count: u64) -> Row {
    let json = format!(
        "{{\"message_id\":\"{id}\",\"body\":\"eA==\",\"send_timestamp_millis\":{SENT_MS},\
         \"visible_at_millis\":{visible_ms},\"receive_count\":{receive_count},\"queue_generation\":1}}"
    );
    (Home::classic("q", 1).data(id), message(&json))
}

#[test]
fn messages_have_the_state_of_the_snapshots_moment() {
    let minute = meta(r#"{"name":"old","generation":1,"message_retention_seconds":60}"#);
    let rows = standard([
        state("now", NOW_MS, 0),
        state("soon", NOW_MS + 1, 0),
        state("taken", NOW_MS + 1, 2),
        state("back", NOW_MS - 1, 2),
        (meta_key("old"), minute),
        Home::classic("old", 1).message("o", "x", NOW_MS - 60_001, ""),
    ]);
    let dump = dump(&rows);
    let sql = "SELECT queue, message_id, state, retention_expired, receive_count, body FROM sqs_messages ORDER BY 1, 2";
    assert_eq!(
        ask(&dump, sql),
        [
            "old|o|visible|1|0|x",
            "q|back|visible|0|2|x",
            "q|now|visible|0|0|x",
            "q|soon|delayed|0|0|x",
            "q|taken|in flight|0|2|x"
        ]
    );
    let sql =
        "SELECT queue, messages, visible, delayed, in_flight, retention_expired FROM sqs_queues ORDER BY 1";
    assert_eq!(ask(&dump, sql), ["old|1|1|0|0|1", "q|4|2|1|1|0"]);
    assert_eq!(dump.report.families[0].kinds, [("queue".to_owned(), 2), ("message".to_owned(), 5)]);
}

#[test]
fn queues_have_their_attributes_and_empty_ones_their_counts() {
    let more = r#","is_fifo":true,"partition_count":2,"redrive_policy":"{}","tags":{"a":"b"}"#;
    let dump = dump(&[queue("q.fifo", 7, more), (sequence_key("q.fifo"), b"9".to_vec())]);
    let sql = "SELECT queue, generation, is_fifo, partition_count, messages, last_sequence_number, redrive_policy, \
               redrive_allow_policy, tags, throttle, maximum_message_size FROM sqs_queues";
    assert_eq!(ask(&dump, sql), ["q.fifo|7|1|2|0|9|{}||{\"a\":\"b\"}||262144"]);
}

#[test]
fn index_rows_without_message_and_messages_without_index_row_can_be_listed() {
    let home = Home::classic("q", 1);
    let at = |id: &str| (id.to_owned(), SENT_MS);
    let (whole, bare, moved) = (at("whole"), at("bare"), at("moved"));
    let rows = standard([
        sent(&whole.0, 0),
        (home.vis(whole.1, &whole.0), whole.0.clone().into()),
        (home.byage(whole.1, &whole.0), whole.0.clone().into()),
        sent(&bare.0, 0),
        sent(&moved.0, 0),
        // Of another time than the record says.
        (home.vis(moved.1 + 1, &moved.0), moved.0.clone().into()),
        (home.byage(moved.1, &moved.0), moved.0.clone().into()),
        (home.vis(5, "gone"), b"gone".to_vec()),
        // Leftovers are no riddle.
        (Home::classic("q", 0).vis(5, "older"), b"older".to_vec()),
    ]);
    let dump = dump(&rows);
    assert_eq!(
        ask(
            &dump,
            "SELECT family, queue, time_ms, message_id FROM sqs_index_rows_without_message ORDER BY 3"
        ),
        ["vis|q|5|gone".to_owned(), format!("vis|q|{}|moved", SENT_MS + 1)]
    );
    assert_eq!(
        ask(&dump, "SELECT family, message_id FROM sqs_messages_without_index_row ORDER BY 1, 2"),
        ["byage|bare", "vis|bare", "vis|moved"]
    );
    assert_eq!(
        ask(&dump, "SELECT family, queue, generation, count(*) FROM sqs_side_rows GROUP BY 1, 2, 3"),
        ["byage|q|1|2", "vis|q|0|1", "vis|q|1|3"]
    );
}

#[test]
fn a_time_below_zero_stands_as_zero_in_the_keys() {
    let json = r#"{"message_id":"m","send_timestamp_millis":-5,"visible_at_millis":-5,"queue_generation":1}"#;
    let home = Home::classic("q", 1);
    let rows = standard([
        (home.data("m"), message(json)),
        (home.vis(0, "m"), b"m".to_vec()),
        (home.byage(0, "m"), b"m".to_vec()),
    ]);
    let dump = dump(&rows);
    for view in ["sqs_index_rows_without_message", "sqs_messages_without_index_row"] {
        assert_eq!(ask(&dump, &format!("SELECT * FROM {view}")), [""; 0], "{view}");
    }
}

#[test]
fn messages_that_no_client_can_reach_can_be_listed_with_the_reason() {
    let sent = |home: Home<'_>| home.message("m", "x", SENT_MS, "");
    let rows = standard([
        sent(Home::classic("q", 0)),
        sent(Home::classic("q", 2)),
        sent(Home::partition("q", 0, 1)),
        sent(Home::classic("gone", 1)),
        (generation_key("gone"), b"2".to_vec()),
        sent(Home::partition("elsewhere", 3, u64::MAX)),
    ]);
    let dump = dump(&rows);
    let sql = "SELECT queue, generation, partition, messages, unreachable FROM sqs_unreachable_messages ORDER BY 1, 5";
    assert_eq!(
        ask(&dump, sql),
        [
            "elsewhere|18446744073709551615|3|1|no queue",
            "gone|1||1|deleted queue",
            "q|2||1|future generation",
            "q|0||1|old generation",
            "q|1|0|1|wrong keyspace",
        ]
    );
}

#[test]
fn every_text_of_every_table_and_view_is_utf8_whatever_the_keys_are() {
    let mut all = Vec::new();
    let wrong = b"!sqs|queue|meta|_w".to_vec();
    all.push((wrong, meta("{\"generation\":1,\"tags\":{\"\\u0000\":\"\\u0000\"}}")));
    let data = [b"!sqs|msg|data|_w".as_slice(), &1u64.to_be_bytes(), b"_w"].concat();
    all.push((
        data,
        message("{\"message_group_id\":\"a\\u0000b\",\"body\":\"/w==\",\"queue_generation\":1}"),
    ));
    for family in ["vis", "byage", "dedup", "group"] {
        let rest = [0xffu8; 20];
        all.push((
            [format!("!sqs|msg|{family}|_w").as_bytes(), &1u64.to_be_bytes(), &rest].concat(),
            rest.to_vec(),
        ));
    }
    all.push((b"!sqs|queue|seq|_w".to_vec(), b"1".to_vec()));
    all.push((generation_key(b"\0"), b"1".to_vec()));
    all.push((tombstone_key(b"a\0\xff", 1), vec![0xff]));
    let dump = dump(&all);
    let relations =
        ask(&dump, "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') ORDER BY name");
    assert!(relations.iter().any(|name| name == "sqs_messages_without_index_row"));
    for name in relations {
        // Reading a cell fails where a text is none.
        ask(&dump, &format!("SELECT * FROM {name}"));
    }
    assert_eq!(ask(&dump, "SELECT queue, message_id FROM sqs_messages"), ["X'FF'|X'FF'"]);
}
