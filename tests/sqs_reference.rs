//! Where the existing decoder falls short of what a client reads (`docs/format/sqs.md` section 7): one test for each
//! item that concerns decoding, with its number. Item 2 is the container's, in the tests of the snapshot room; item 18,
//! memory, is measured in `docs/performance.md`; item 25 is the way back.

#![allow(clippy::unwrap_used, clippy::panic, reason = "this is test code, if not inside a test function")]

mod support;

use ekvsnap_testkit::sorted::SortedSnapshot;
use ekvsnap_testkit::sqs_rows::{
    Home, generation_key, message, meta, meta_key, queue, segment, sequence_key, tombstone_key,
};
use ekvsnap_testkit::version::Version;
use support::sqs::*;
use support::{How, NOW_MS, Row, SQS, decode};

#[test]
fn item_1_deleted_messages_stay_deleted_and_the_newest_meta_counts() {
    let (old, new) = (Home::classic("q", 1), Home::classic("q", 2));
    let put = |(key, value): Row, ts: u64| Version::put(key, ts, value);
    let versions = [
        put(old.message("idA", "1", 1, ""), 100),
        put(old.message("idA", "2", 1, ""), 200),
        Version::tombstone(old.data("idA"), 300),
        put((generation_key("q"), b"1".to_vec()), 50),
        put((generation_key("q"), b"2".to_vec()), 400),
        put(queue("q", 1, ",\"is_fifo\":true"), 50),
        put(queue("q", 2, ""), 400),
        put(new.message("idB", "3", 1, ""), 500),
    ];
    let file = SortedSnapshot::new(500).versions(&versions).to_bytes().unwrap();
    let dump = decode(&[file], SQS).unwrap();
    assert_eq!(ids(&dump, "q"), ["idB"]);
    assert!(!dump.shown()["q/_queue.json"].contains("fifo"));
    dump.assert_warnings(&[]);
}

#[test]
fn item_1_a_deleted_queue_does_not_come_back() {
    let (key, value) = queue("q", 1, "");
    let versions = [Version::put(key.clone(), 1, value), Version::tombstone(key, 2)];
    let file = SortedSnapshot::new(5).versions(&versions).to_bytes().unwrap();
    assert!(decode(&[file], SQS).unwrap().files.is_empty());
}

#[test]
fn item_3_the_generation_is_that_of_the_meta_row() {
    let rows = |gen_row: Option<&str>| {
        let mut rows = vec![queue("q", 3, "")];
        rows.extend([2, 3].map(|of| Home::classic("q", of).message(&format!("m{of}"), "x", SENT_MS, "")));
        rows.extend(gen_row.map(|number| (generation_key("q"), number.into())));
        rows
    };
    for gen_row in [None, Some("2"), Some("3"), Some("9")] {
        let dump = dump(&rows(gen_row));
        assert_eq!(ids(&dump, "q"), ["m3"], "{gen_row:?}");
        dump.assert_warnings(&[("sqs_old_generation_messages", 1)]);
    }
}

#[test]
fn item_4_the_generation_of_a_message_is_that_of_its_key() {
    let value = message(r#"{"message_id":"m","queue_generation":3}"#);
    let unreachable = dump(&[queue("q", 3, ""), (Home::classic("q", 2).data("m"), value.clone())]);
    assert_eq!(ids(&unreachable, "q"), [""; 0]);
    unreachable.assert_warnings(&[("sqs_old_generation_messages", 1)]);
    // The other way round it is the queue's, and what disagrees is said.
    let reachable = dump(&[queue("q", 2, ""), (Home::classic("q", 2).data("m"), value)]);
    assert_eq!(lines(&reachable, "q")[0]["queue_generation"], 3);
    reachable.assert_warnings(&[("sqs_message_mismatch", 1), ("sqs_retention_expired", 1)]);
    assert_eq!(
        reachable.samples("sqs_message_mismatch"),
        ["q: message X'6D' of generation 2 says generation 3"]
    );
    assert!(reachable.report.is_incomplete());
}

#[test]
fn item_5_messages_that_a_client_cannot_reach_are_counted_and_left_out() {
    let partitioned =
        |more: &str| queue("q.fifo", 1, &format!(",\"is_fifo\":true,\"partition_count\":4{more}"));
    let classic = Home::classic("q.fifo", 1).message("m", "x", SENT_MS, "");
    let partition = |number| {
        Home::partition("q.fifo", number, 1).message("m", "x", SENT_MS, ",\"message_group_id\":\"a\"")
    };
    for (meta, row, kind) in [
        (partitioned(""), classic.clone(), Some("sqs_wrong_keyspace_messages")),
        (queue("q.fifo", 1, ""), partition(0), Some("sqs_wrong_keyspace_messages")),
        (queue("q.fifo", 1, ",\"partition_count\":1"), classic, None),
        (partitioned(""), partition(0), None),
        (partitioned(""), partition(4), Some("sqs_partition_out_of_range_messages")),
        (
            partitioned(",\"fifo_throughput_limit\":\"perQueue\""),
            partition(1),
            Some("sqs_partition_out_of_range_messages"),
        ),
        (partitioned(",\"fifo_throughput_limit\":\"perQueue\""), partition(0), None),
        (
            queue("q.fifo", 1, ""),
            Home::classic("q.fifo", 2).message("m", "x", SENT_MS, ""),
            Some("sqs_future_generation_messages"),
        ),
    ] {
        let dump = dump(&[meta, row]);
        assert_eq!(ids(&dump, "q.fifo").len(), usize::from(kind.is_none()), "{kind:?}");
        dump.assert_warnings(&kind.map(|kind| (kind, 1)).into_iter().collect::<Vec<_>>());
        // Only what no consistent state has means that something is missing.
        assert_eq!(dump.report.is_incomplete(), kind == Some("sqs_future_generation_messages"));
    }
}

#[test]
fn item_6_side_records_include_the_sequence_row_of_a_fifo_queue() {
    let rows = [queue("q.fifo", 1, ",\"is_fifo\":true"), (sequence_key("q.fifo"), b"42".to_vec())];
    let dump = dump_how(&rows, WITH_SIDE_RECORDS);
    assert_eq!(side_keys(&dump, "q.fifo"), [sequence_key("q.fifo")]);
}

#[test]
fn item_7_partitions_in_the_files_of_other_groups_are_put_together() {
    let home = |partition| Home::partition("q.fifo", partition, 1);
    let sent = |partition, id: &str, group: &str, after| {
        let more = format!(",\"message_group_id\":\"{group}\",\"sequence_number\":{after}");
        home(partition).message(id, "x", SENT_MS + after, &more)
    };
    // g1 hashes to partition 1 of 2, g2 to partition 0.
    let first = vec![
        queue("q.fifo", 1, ",\"is_fifo\":true,\"partition_count\":2"),
        (generation_key("q.fifo"), b"1".to_vec()),
        sent(0, "a", "g2", 2),
    ];
    let second = vec![sent(1, "b", "g1", 1), sent(1, "c", "g1", 3)];
    let whole = dump_files(&[first, second.clone()]);
    assert_eq!(ids(&whole, "q.fifo"), ["b", "a", "c"]);
    whole.assert_warnings(&[]);

    // Alone, the second file holds data that its dump lacks, and that is told.
    let alone = dump(&second);
    assert!(alone.files.is_empty());
    alone.assert_warnings(&[("sqs_messages_without_queue", 2)]);
    assert_eq!(
        alone.samples("sqs_messages_without_queue"),
        ["q.fifo: generation 1, partition 1: 2 messages"]
    );
    assert!(alone.report.is_incomplete());
}

#[test]
fn item_8_tags_and_throttle_have_a_file_and_times_a_column() {
    let more = r#","tags":{"env":"prod"},"throttle":{"recv_capacity":5},"created_at_millis":86400000,"last_modified_at_millis":86400001,"last_purged_at_millis":86400002,"incarnation":1"#;
    let dump = dump(&[queue("q", 1, more)]);
    assert!(dump.shown()["q/_extra.json"].contains("\"recv_capacity\": 5"), "{:?}", dump.shown());
    assert_eq!(
        dump.ask("SELECT created || ' ' || last_modified || ' ' || last_purged FROM sqs_queues"),
        ["Text(\"1970-01-02T00:00:00.000Z 1970-01-02T00:00:00.001Z 1970-01-02T00:00:00.002Z\")"]
    );
    assert_eq!(dump.ask("SELECT incarnation FROM sqs_queue"), ["Integer(1)"]);
}

#[test]
fn item_9_the_sequence_number_and_the_windows_of_an_empty_queue_are_kept() {
    let home = Home::classic("q.fifo", 1);
    let window = br#"{"message_id":"gone","send_timestamp_ms":1,"expires_at_millis":300001}"#.to_vec();
    let rows = [
        queue("q.fifo", 1, ",\"is_fifo\":true"),
        (sequence_key("q.fifo"), b"42".to_vec()),
        (home.dedup("", "consumed"), window),
    ];
    let dump = dump_how(&rows, WITH_SIDE_RECORDS);
    assert_eq!(dump.ask("SELECT last_sequence_number FROM sqs_queues"), ["Integer(42)"]);
    let keys = [home.dedup("", "consumed"), sequence_key("q.fifo")];
    assert_eq!(side_keys(&dump, "q.fifo"), keys);
}

#[test]
fn item_10_messages_past_their_retention_are_kept_with_a_warning_or_dropped_on_demand() {
    let minute = r#"{"name":"q","generation":1,"message_retention_seconds":60}"#;
    let age = |id: &str, ms: u64| Home::classic("q", 1).message(id, "x", NOW_MS - ms, "");
    let rows = [
        (meta_key("q"), meta(minute)),
        age("exactly", 60_000),
        age("just over", 60_001),
        age("over for ten seconds", 70_000),
        age("over for longer", 70_001),
    ];
    let kept = dump(&rows);
    assert_eq!(ids(&kept, "q").len(), 4);
    kept.assert_warnings(&[("sqs_retention_expired", 3)]);
    assert!(!kept.report.is_incomplete());
    // Commit timestamps lead the wall clock by up to ten seconds: until then a client may have read it.
    let dropped = dump_how(&rows, How { drop_expired: true, ..SQS });
    assert_eq!(ids(&dropped, "q"), ["over for ten seconds", "just over", "exactly"]);
    assert_eq!(dropped.manifest["decode"]["drop_expired"], true);
    assert_eq!(dropped.manifest["decode"]["keys"]["sqs"], 4);
    // For ever is for ever.
    for retention in [0, -1] {
        let json = format!("{{\"name\":\"q\",\"generation\":1,\"message_retention_seconds\":{retention}}}");
        let dump =
            dump_how(&[(meta_key("q"), meta(&json)), age("m", NOW_MS)], How { drop_expired: true, ..SQS });
        assert_eq!(ids(&dump, "q"), ["m"]);
        dump.assert_warnings(&[]);
    }
}

#[test]
fn item_11_the_state_of_messages_can_be_preserved() {
    let json = r#"{"message_id":"m","body":"eA==","visible_at_millis":9,"receive_count":3,"first_receive_millis":5,"current_receipt_token":"AAE=","queue_generation":1}"#;
    let rows = standard([(Home::classic("q", 1).data("m"), message(json))]);
    let plain = &lines(&dump(&rows), "q")[0];
    assert_eq!((&plain["visible_at_millis"], &plain["receive_count"]), (&0.into(), &0.into()));
    assert!(plain.get("first_receive_millis").is_none() && plain.get("current_receipt_token").is_none());
    let kept = &lines(&dump_how(&rows, How { preserve_sqs_visibility: true, ..SQS }), "q")[0];
    assert_eq!((&kept["visible_at_millis"], &kept["receive_count"]), (&9.into(), &3.into()));
    assert_eq!((&kept["first_receive_millis"], &kept["current_receipt_token"]), (&5.into(), &"AAE=".into()));
}

#[test]
fn item_12_the_sequence_number_tells_what_the_clock_does_not() {
    let row = |id: &str, sent: u64, sequence: u64| {
        let more = format!(",\"message_group_id\":\"g\",\"sequence_number\":{sequence}");
        Home::classic("q.fifo", 1).message(id, "x", sent, &more)
    };
    let rows = [
        queue("q.fifo", 1, ",\"is_fifo\":true"),
        row("seven", SENT_MS + 2000, 7),
        row("eight", SENT_MS + 1999, 8),
    ];
    let dump = dump(&rows);
    // The file has the order of the format; the true one is a query away, and in every line.
    assert_eq!(ids(&dump, "q.fifo"), ["eight", "seven"]);
    assert_eq!(
        dump.ask("SELECT message_id FROM sqs_messages ORDER BY sequence_number"),
        ["Text(\"seven\")", "Text(\"eight\")"]
    );
}

#[test]
fn item_13_a_deleted_queue_that_left_no_message_is_no_warning() {
    let rows = [(generation_key("q"), b"2".to_vec()), (tombstone_key("q", 1), b"\x01".to_vec())];
    dump(&rows).assert_warnings(&[]);
    let leftover = Home::classic("q", 1).message("m", "x", SENT_MS, "");
    let swept = dump(&[rows.to_vec(), vec![leftover.clone()]].concat());
    swept.assert_warnings(&[("sqs_deleted_queue_messages", 1)]);
    assert!(!swept.report.is_incomplete());
    // Without a deletion the queue's meta row is missing, and that is a loss.
    let lost = dump(&[(generation_key("q"), b"1".to_vec()), leftover]);
    lost.assert_warnings(&[("sqs_messages_without_queue", 1)]);
    assert!(lost.report.is_incomplete());
}

#[test]
fn item_14_warnings_come_in_the_same_order_in_every_run() {
    let rows: Vec<Row> =
        (0..30).map(|n| Home::classic(&format!("q{n}"), 1).message("m", "x", SENT_MS, "")).collect();
    let first = dump(&rows);
    let samples = first.samples("sqs_messages_without_queue");
    assert_eq!(samples.len(), 10);
    for _ in 0..3 {
        assert_eq!(dump(&rows).samples("sqs_messages_without_queue"), samples);
    }
}

#[test]
fn item_15_a_fallback_name_has_its_line_in_the_keymap() {
    let dump = dump(&[queue("b64.fifo", 1, "")]);
    let keymap = "{\"encoded\":\"6d569adb756fb691545b327385919c6b__b64.fifo\",\"original\":\"YjY0LmZpZm8\",\"kind\":\"sha-fallback\"}\n";
    assert_eq!(dump.files["KEYMAP.jsonl"], keymap.as_bytes());
}

#[test]
fn item_16_names_that_disagree_with_their_keys_are_told() {
    let other = meta(r#"{"name":"other","generation":1}"#);
    let message = message(r#"{"message_id":"another","queue_generation":1}"#);
    let dump = dump(&[(meta_key("q"), other), (Home::classic("q", 1).data("m"), message)]);
    // The directory and the id are those of the keys, the name is that of the value.
    assert!(dump.shown()["q/_queue.json"].contains("\"name\": \"other\""));
    assert_eq!(ids(&dump, "q"), ["m"]);
    dump.assert_warnings(&[("sqs_queue_name_mismatch", 1), ("sqs_message_mismatch", 1)]);
    assert_eq!(dump.samples("sqs_queue_name_mismatch"), ["q: named 'other'"]);
    assert_eq!(
        dump.samples("sqs_message_mismatch"),
        ["q: message X'6D' of generation 1 says message 'another'"]
    );
    assert!(dump.report.is_incomplete());
}

#[test]
fn item_16_an_empty_name_is_that_of_the_key() {
    let dump = dump(&[(meta_key("q"), meta(r#"{"generation":1}"#))]);
    assert!(dump.shown()["q/_queue.json"].contains("\"name\": \"q\""));
    dump.assert_warnings(&[]);
}

#[test]
fn item_17_base64_and_escapes_are_those_of_the_format_in_each_place() {
    let json = r#"{"message_id":"m","body":"/zwmPg==","message_attributes":{"<":{"BinaryValue":"/+8="}},"message_group_id":"\u003c","current_receipt_token":"/+8=","queue_generation":1}"#;
    let rows = standard([
        (Home::classic("q", 1).data("m"), message(json)),
        (Home::classic("q", 1).dedup("", "d"), b"\xff\xef".to_vec()),
    ]);
    let dump = dump_how(&rows, How { preserve_sqs_visibility: true, ..WITH_SIDE_RECORDS });
    let line = String::from_utf8(dump.files["q/messages.jsonl"].clone()).unwrap();
    for part in [
        "\"body\":{\"base64\":\"_zwmPg\"}",
        "{\"<\":{\"BinaryValue\":\"/+8=\"}}",
        "\"message_group_id\":\"<\"",
        "\"current_receipt_token\":\"/+8=\"",
    ] {
        assert!(line.contains(part), "{line}");
    }
    assert!(dump.shown()["q/_internals/side_records.jsonl"].contains("\"value_b64\":\"_-8\""));
}

#[test]
fn item_19_two_spellings_of_one_queue_are_not_one_queue() {
    // Lenient decoders take both `cQ` and `cR` for `q`.
    let error = refusal(&[queue("q", 1, ""), (b"!sqs|queue|meta|cR".to_vec(), meta("{}"))]);
    assert!(error.to_string().contains("not written in base64url without padding"), "{error}");
}

#[test]
fn item_20_a_queue_that_is_empty_now_has_no_old_messages() {
    // A dump never goes into a tree that is there: target.rs refuses it, or replaces it as a whole.
    let dump = dump(&standard([]));
    assert_eq!(dump.files.keys().collect::<Vec<_>>(), ["q/_queue.json"]);
}

#[test]
fn item_21_a_queue_that_is_gone_has_no_directory_unless_its_side_records_are_asked_for() {
    let rows = [
        queue("q", 1, ""),
        (sequence_key("gone.fifo"), b"5".to_vec()),
        (Home::classic("gone.fifo", 1).group("g"), b"{}".to_vec()),
    ];
    assert_eq!(dump(&rows).files.keys().collect::<Vec<_>>(), ["q/_queue.json"]);
    let with = dump_how(&rows, WITH_SIDE_RECORDS);
    let orphan = format!("{}.orphan", segment("gone.fifo"));
    let keys = [Home::classic("gone.fifo", 1).group("g"), sequence_key("gone.fifo")];
    assert_eq!(side_keys(&with, &orphan), keys);
    assert!(!with.files.contains_key(&format!("{orphan}/_queue.json")));
    // Not a queue that the manifest lists.
    assert_eq!(with.manifest["adapters"]["sqs"]["queues"], serde_json::json!(["q"]));
}

#[test]
fn item_22_of_every_side_row_there_is_one_version() {
    let key = Home::classic("q", 1).dedup("", "d");
    let (meta_key, meta) = queue("q", 1, "");
    let versions = [
        Version::put(meta_key, 1, meta),
        Version::put(key.clone(), 1, "old"),
        Version::put(key.clone(), 2, "new"),
        Version::put(Home::classic("q", 1).group("g"), 1, "lock"),
        Version::tombstone(Home::classic("q", 1).group("g"), 2),
    ];
    let file = SortedSnapshot::new(5).versions(&versions).to_bytes().unwrap();
    let dump = decode(&[file], WITH_SIDE_RECORDS).unwrap();
    let file = String::from_utf8(dump.files["q/_internals/side_records.jsonl"].clone()).unwrap();
    assert_eq!(file.lines().count(), 1);
    assert!(file.contains("\"value_b64\":\"bmV3\""), "{file}");
}

#[test]
fn item_23_a_group_whose_bytes_were_not_utf8_is_told_where_its_id_hashes_elsewhere() {
    // The client sent the byte FF: it was hashed to partition 3 of 4, and stored as U+FFFD, which hashes elsewhere.
    let row =
        Home::partition("q.fifo", 3, 1).message("m", "x", SENT_MS, ",\"message_group_id\":\"\u{fffd}\"");
    let dump = dump(&[queue("q.fifo", 1, ",\"is_fifo\":true,\"partition_count\":4"), row]);
    assert_eq!(lines(&dump, "q.fifo")[0]["partition"], 3);
    dump.assert_warnings(&[("sqs_group_in_other_partition", 1)]);
    assert_eq!(dump.samples("sqs_group_in_other_partition"), ["q.fifo: group '\u{fffd}' in partition 3"]);
    assert!(!dump.report.is_incomplete());
}

#[test]
fn item_24_no_name_leads_out_of_the_tree() {
    let dump = dump(&["", ".", "..", "../../x"].map(|name| {
        let (_, value) = queue("x", 1, "");
        (meta_key(name), value)
    }));
    let mut directories: Vec<_> =
        dump.files.keys().filter_map(|path| path.strip_suffix("/_queue.json")).collect();
    directories.sort_unstable();
    assert_eq!(
        directories,
        [
            "..%2F..%2Fx",
            "5ec1f7e700f37c3d0b2981d04855fc34__..",
            "cdb4ee2aea69cc6a83331bbe96dc2caa__.",
            "e3b0c44298fc1c149afbf4c8996fb924__"
        ]
    );
    let keymap = String::from_utf8(dump.files["KEYMAP.jsonl"].clone()).unwrap();
    assert_eq!(keymap.lines().count(), 3);
}
