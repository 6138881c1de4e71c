//! Queues as directories, to the byte: the vectors of `docs/format/sqs.md` section 9, which files there are, how they
//! are called and in which order their lines stand.

#![allow(clippy::unwrap_used, clippy::panic, reason = "this is test code, if not inside a test function")]

mod support;

use ekvsnap_testkit::sorted::SortedSnapshot;
use ekvsnap_testkit::sqs_rows::{
    Home, generation_key, message, meta, meta_key, queue, segment, sequence_key, tombstone_key,
};
use ekvsnap_testkit::version::Version;
use proptest::prelude::*;
use support::sqs::*;
use support::{Dump, How, Row, SQS, decode};

/// The queue of the first vector.
const ORDERS: &str = r#"{"name":"orders","generation":3,"incarnation":1,"created_at_hlc":111411200000000000,"visibility_timeout_seconds":30,"message_retention_seconds":345600,"delay_seconds":0,"receive_message_wait_seconds":0,"maximum_message_size":262144,"redrive_policy":"{\"deadLetterTargetArn\":\"arn:aws:sqs:us-east-1:000000000000:orders-dlq\",\"maxReceiveCount\":3}","tags":{"env":"prod"},"created_at_millis":1700000000000,"last_modified_at_millis":1700000000000}"#;

/// A dump at the time of the vectors.
fn vectors(rows: &[Row], how: How) -> Dump {
    let last = 1_700_000_035_000 << 16;
    let versions: Vec<_> =
        rows.iter().map(|(key, payload)| Version::put(key.clone(), last, payload.clone())).collect();
    decode(&[SortedSnapshot::new(last).versions(&versions).to_bytes().unwrap()], how).unwrap()
}

fn assert_line(dump: &Dump, path: &str, expected: &str) {
    assert_eq!(std::str::from_utf8(&dump.files[path]).unwrap(), format!("{expected}\n"));
}

#[test]
fn the_queue_of_the_first_vector_has_its_file_and_its_tags() {
    let dump = vectors(&[(meta_key("orders"), meta(ORDERS))], SQS);
    let queue = r#"{
  "format_version": 1,
  "name": "orders",
  "visibility_timeout_seconds": 30,
  "message_retention_seconds": 345600,
  "delay_seconds": 0,
  "maximum_message_size": 262144,
  "redrive_policy": "{\"deadLetterTargetArn\":\"arn:aws:sqs:us-east-1:000000000000:orders-dlq\",\"maxReceiveCount\":3}"
}"#;
    let extra = "{\n  \"format_version\": 1,\n  \"tags\": {\n    \"env\": \"prod\"\n  }\n}";
    assert_eq!(dump.files.keys().collect::<Vec<_>>(), ["orders/_extra.json", "orders/_queue.json"]);
    assert_eq!(dump.files["orders/_queue.json"], queue.as_bytes());
    assert_eq!(dump.files["orders/_extra.json"], extra.as_bytes());
    dump.assert_warnings(&[]);
    assert_eq!(dump.manifest["adapters"]["sqs"]["queues"], serde_json::json!(["orders"]));
    assert_eq!(dump.manifest["exclusions"]["preserve_sqs_visibility"], false);
}

#[test]
fn the_message_in_flight_of_the_third_vector_is_written_with_and_without_its_state() {
    let json = r#"{"message_id":"0123456789abcdef0123456789abcdef","body":"aGVsbG8KPGI+JiI=","md5_of_body":"cb0d0932d85e0f879f1820aeae23f218","send_timestamp_millis":1700000000000,"available_at_millis":1700000005000,"visible_at_millis":1700000065000,"receive_count":1,"first_receive_millis":1700000035000,"current_receipt_token":"AAECAwQFBgcICQoLDA0ODw==","queue_generation":3}"#;
    let home = Home::classic("orders", 3);
    let id = "0123456789abcdef0123456789abcdef";
    let rows = [
        (meta_key("orders"), meta(ORDERS)),
        (home.data(id), message(json)),
        (home.vis(1_700_000_065_000, id), id.into()),
        (home.byage(1_700_000_000_000, id), id.into()),
    ];
    assert_line(
        &vectors(&rows, SQS),
        "orders/messages.jsonl",
        r#"{"message_id":"0123456789abcdef0123456789abcdef","body":"hello\n\u003cb\u003e\u0026\"","md5_of_body":"cb0d0932d85e0f879f1820aeae23f218","send_timestamp_millis":1700000000000,"available_at_millis":1700000005000,"visible_at_millis":0,"receive_count":0,"queue_generation":3}"#,
    );
    let preserved = vectors(&rows, How { preserve_sqs_visibility: true, ..SQS });
    assert_line(
        &preserved,
        "orders/messages.jsonl",
        r#"{"message_id":"0123456789abcdef0123456789abcdef","body":"hello\n\u003cb\u003e\u0026\"","md5_of_body":"cb0d0932d85e0f879f1820aeae23f218","send_timestamp_millis":1700000000000,"available_at_millis":1700000005000,"visible_at_millis":1700000065000,"receive_count":1,"first_receive_millis":1700000035000,"current_receipt_token":"AAECAwQFBgcICQoLDA0ODw==","queue_generation":3}"#,
    );
    assert_eq!(preserved.manifest["exclusions"]["preserve_sqs_visibility"], true);
    assert_eq!(preserved.ask("SELECT state FROM sqs_messages"), ["Text(\"in flight\")"]);
    preserved.assert_warnings(&[]);
}

#[test]
fn the_binary_body_and_the_attributes_of_the_fifth_vector_are_written_as_they_are() {
    let json = r#"{"message_id":"ffeeddccbbaa99887766554433221100","body":"gP8B","md5_of_body":"d0a73a08364516679027e7c229cab39c","md5_of_message_attributes":"b6dd279f0431aff86b7e6296c997381b","message_attributes":{"a\u003cb":{"DataType":"String","StringValue":"x\u003cy"},"blob":{"DataType":"Binary","BinaryValue":"AP/+"},"z.num":{"DataType":"Number.int","StringValue":"42"}},"send_timestamp_millis":1700000001000,"available_at_millis":1700000001000,"visible_at_millis":1700000001000,"receive_count":0,"current_receipt_token":"qqqqqqqqqqqqqqqqqqqqqg==","queue_generation":3}"#;
    let data = Home::classic("orders", 3).data("ffeeddccbbaa99887766554433221100");
    let rows = [(meta_key("orders"), meta(ORDERS)), (data, message(json))];
    assert_line(
        &vectors(&rows, SQS),
        "orders/messages.jsonl",
        r#"{"message_id":"ffeeddccbbaa99887766554433221100","body":{"base64":"gP8B"},"md5_of_body":"d0a73a08364516679027e7c229cab39c","md5_of_message_attributes":"b6dd279f0431aff86b7e6296c997381b","message_attributes":{"a<b":{"DataType":"String","StringValue":"x\u003cy"},"blob":{"DataType":"Binary","BinaryValue":"AP/+"},"z.num":{"DataType":"Number.int","StringValue":"42"}},"send_timestamp_millis":1700000001000,"available_at_millis":1700000001000,"visible_at_millis":0,"receive_count":0,"queue_generation":3}"#,
    );
}

#[test]
fn the_fifo_message_of_the_sixth_vector_keeps_group_and_number_and_the_side_keys_of_the_seventh() {
    let json = r#"{"message_id":"00112233445566778899aabbccddeeff","body":"cGF5","md5_of_body":"b02a45a596bfb86fe2578bde75ff5444","send_timestamp_millis":1700000002000,"available_at_millis":1700000002000,"visible_at_millis":1700000002000,"receive_count":0,"current_receipt_token":"AQEBAQEBAQEBAQEBAQEBAQ==","queue_generation":1,"message_group_id":"g\u003c1\u003e","message_deduplication_id":"d-1","sequence_number":42}"#;
    let home = Home::classic("orders.fifo", 1);
    let window = r#"{"message_id":"00112233445566778899aabbccddeeff","send_timestamp_ms":1700000002000,"expires_at_millis":1700000302000,"original_sequence":42}"#;
    let rows = [
        queue("orders.fifo", 1, ",\"is_fifo\":true"),
        (home.data("00112233445566778899aabbccddeeff"), message(json)),
        (home.dedup("", "d-1"), window.into()),
        (home.group("g<1>"), b"{}".to_vec()),
        (sequence_key("orders.fifo"), b"42".to_vec()),
    ];
    let dump = vectors(&rows, WITH_SIDE_RECORDS);
    assert_line(
        &dump,
        "orders.fifo/messages.jsonl",
        r#"{"message_id":"00112233445566778899aabbccddeeff","body":"pay","md5_of_body":"b02a45a596bfb86fe2578bde75ff5444","send_timestamp_millis":1700000002000,"available_at_millis":1700000002000,"visible_at_millis":0,"receive_count":0,"queue_generation":1,"message_group_id":"g<1>","message_deduplication_id":"d-1","sequence_number":42}"#,
    );
    let keys = [
        "217371737c6d73677c64656475707c62334a6b5a584a7a4c6d5a705a6d3800000000000000015a433078",
        "217371737c6d73677c67726f75707c62334a6b5a584a7a4c6d5a705a6d3800000000000000015a7a77785067",
        "217371737c71756575657c7365717c62334a6b5a584a7a4c6d5a705a6d38",
    ];
    assert_eq!(side_keys(&dump, "orders.fifo"), keys.map(unhex));
    let record = format!(
        "{{\"prefix\":\"!sqs|queue|seq|\",\"key_hex\":\"{}\",\"value_b64\":\"NDI\"}}\n",
        "217371737c71756575657c7365717c62334a6b5a584a7a4c6d5a705a6d38"
    );
    assert!(dump.files["orders.fifo/_internals/side_records.jsonl"].ends_with(record.as_bytes()));
    assert_eq!(dump.manifest["exclusions"]["include_sqs_side_records"], true);
}

#[test]
fn the_partitioned_message_of_the_eighth_vector_names_its_partition() {
    let json = r#"{"message_id":"deadbeefdeadbeefdeadbeefdeadbeef","body":"bmHDr3ZlIOKckw==","md5_of_body":"10a8ba46c1e74497d46c47217ee99eb2","send_timestamp_millis":1700000003000,"available_at_millis":1700000003000,"visible_at_millis":1700000003000,"receive_count":0,"current_receipt_token":"AgICAgICAgICAgICAgICAg==","queue_generation":1,"message_group_id":"customer-42","message_deduplication_id":"ord-7","sequence_number":7}"#;
    let home = Home::partition("ht.fifo", 2, 1);
    let id = "deadbeefdeadbeefdeadbeefdeadbeef";
    let rows = [
        queue("ht.fifo", 1, ",\"is_fifo\":true,\"partition_count\":4"),
        (home.data(id), message(json)),
        (home.vis(1_700_000_003_000, id), id.into()),
        (home.dedup("customer-42", "ord-7"), b"{}".to_vec()),
        (home.group("customer-42"), b"{}".to_vec()),
    ];
    let dump = vectors(&rows, WITH_SIDE_RECORDS);
    assert_line(
        &dump,
        "ht.fifo/messages.jsonl",
        r#"{"message_id":"deadbeefdeadbeefdeadbeefdeadbeef","body":"naïve ✓","md5_of_body":"10a8ba46c1e74497d46c47217ee99eb2","send_timestamp_millis":1700000003000,"available_at_millis":1700000003000,"visible_at_millis":0,"receive_count":0,"queue_generation":1,"message_group_id":"customer-42","message_deduplication_id":"ord-7","sequence_number":7,"partition":2}"#,
    );
    let keys = [
        "217371737c6d73677c64656475707c707c614851755a6d6c6d62777c0000000200000000000000015933567a644739745a5849744e44497c62334a6b4c5463",
        "217371737c6d73677c67726f75707c707c614851755a6d6c6d62777c0000000200000000000000015933567a644739745a5849744e4449",
        "217371737c6d73677c7669737c707c614851755a6d6c6d62777c0000000200000000000000010000018bcfe573b85a4756685a474a6c5a575a6b5a57466b596d566c5a6d526c595752695a57566d5a4756685a474a6c5a5759",
    ];
    assert_eq!(side_keys(&dump, "ht.fifo"), keys.map(unhex));
    // The prefix is the classic one all the same.
    let file = String::from_utf8(dump.files["ht.fifo/_internals/side_records.jsonl"].clone()).unwrap();
    assert!(file.lines().all(|line| line.contains("\"prefix\":\"!sqs|msg|") && !line.contains("|p|")));
    dump.assert_warnings(&[]);
}

#[test]
fn the_leftovers_of_the_tenth_vector_are_counted_and_their_tombstone_is_a_side_record() {
    let home = Home::classic("orders", 2);
    let rows = [
        (meta_key("orders"), meta(ORDERS)),
        home.message("0123456789abcdef0123456789abcde0", "old", 1_700_000_000_000, ""),
        (tombstone_key("orders", 2), b"\x01".to_vec()),
        (tombstone_key("ht.fifo", 1), 4u64.to_be_bytes().to_vec()),
    ];
    let dump = vectors(&rows, WITH_SIDE_RECORDS);
    assert!(!dump.files.contains_key("orders/messages.jsonl"));
    dump.assert_warnings(&[("sqs_old_generation_messages", 1)]);
    assert_line(
        &dump,
        "orders/_internals/side_records.jsonl",
        r#"{"prefix":"!sqs|queue|tombstone|","key_hex":"217371737c71756575657c746f6d6273746f6e657c62334a6b5a584a7a0000000000000002","value_b64":"AQ"}"#,
    );
    assert_line(
        &dump,
        "aHQuZmlmbw.orphan/_internals/side_records.jsonl",
        r#"{"prefix":"!sqs|queue|tombstone|","key_hex":"217371737c71756575657c746f6d6273746f6e657c614851755a6d6c6d62770000000000000001","value_b64":"AAAAAAAAAAQ"}"#,
    );
    assert_eq!(
        dump.ask("SELECT partitions FROM sqs_tombstone ORDER BY partitions"),
        ["Integer(1)", "Integer(4)"]
    );
}

#[test]
fn versions_count_as_in_the_eleventh_vector() {
    let row = |generation| queue("q", generation, "");
    let put = |(key, value): Row, ts: u64| Version::put(key, ts, value);
    let (a, b) = (Home::classic("q", 1), Home::classic("q", 2));
    let versions = [
        put(a.message("idA", "1", 1, ""), 100),
        put(a.message("idA", "2", 1, ""), 200),
        Version::tombstone(a.data("idA"), 300),
        Version::put(generation_key("q"), 50, "1"),
        Version::put(generation_key("q"), 400, "2"),
        put(row(1), 50),
        put(row(2), 400),
        put(b.message("idB", "3", 1, ""), 500),
    ];
    let at = |as_of| {
        let file = SortedSnapshot::new(500).versions(&versions).to_bytes().unwrap();
        decode(&[file], How { as_of, ..SQS }).unwrap()
    };
    assert_eq!(ids(&at(None), "q"), ["idB"]);
    let early = at(Some(250));
    assert_eq!((ids(&early, "q"), &lines(&early, "q")[0]["body"]), (vec!["idA".to_owned()], &"2".into()));
    let between = at(Some(350));
    assert_eq!(between.files.keys().collect::<Vec<_>>(), ["q/_queue.json"]);
}

#[test]
fn the_redriven_message_of_the_twelfth_vector_names_its_source() {
    let json = r#"{"message_id":"0f0e0d0c0b0a09080706050403020100","body":"cG9pc29u","md5_of_body":"35393c24384b8862798716628f7bc6f4","send_timestamp_millis":1699999000000,"available_at_millis":1700000100000,"visible_at_millis":1700000100000,"receive_count":0,"current_receipt_token":"AQEBAQEBAQEBAQEBAQEBAQ==","queue_generation":1,"dead_letter_source_arn":"arn:aws:sqs:us-east-1:000000000000:orders"}"#;
    let data = Home::classic("orders-dlq", 1).data("0f0e0d0c0b0a09080706050403020100");
    let rows = [queue("orders-dlq", 1, ""), (data, message(json))];
    assert_line(
        &vectors(&rows, SQS),
        "orders-dlq/messages.jsonl",
        r#"{"message_id":"0f0e0d0c0b0a09080706050403020100","body":"poison","md5_of_body":"35393c24384b8862798716628f7bc6f4","send_timestamp_millis":1699999000000,"available_at_millis":1700000100000,"visible_at_millis":0,"receive_count":0,"queue_generation":1,"dead_letter_source_arn":"arn:aws:sqs:us-east-1:000000000000:orders"}"#,
    );
}

#[test]
fn directories_are_called_as_in_the_thirteenth_vector() {
    let blanks = format!("{}q", " ".repeat(90));
    let names = [
        ("orders.fifo", "orders.fifo".to_owned()),
        (" q", "%20q".to_owned()),
        ("b64.fifo", "6d569adb756fb691545b327385919c6b__b64.fifo".to_owned()),
        (
            "0123456789abcdef0123456789abcdef__orders",
            "d89e8646c41861ac1cf3389431419904__0123456789abcdef0123456789abcdef__orders".to_owned(),
        ),
        (&blanks, format!("da4e8b304cf876c2d86ce70e6b8d7af4__{}", "%20".repeat(64))),
    ];
    let mut rows: Vec<_> = names.iter().map(|(name, _)| queue(name, 1, "")).collect();
    rows.push((tombstone_key("deleted", 1), b"\x01".to_vec()));
    // A deleted queue whose base64url text is too long for a name.
    let long = "x".repeat(200);
    rows.push((sequence_key(&long), b"1".to_vec()));
    let dump = dump_how(&rows, WITH_SIDE_RECORDS);
    for (_, directory) in &names {
        assert!(dump.files.contains_key(&format!("{directory}/_queue.json")), "{directory}");
    }
    assert!(dump.files.contains_key("ZGVsZXRlZA.orphan/_internals/side_records.jsonl"));
    let fallback = format!("__{}.orphan/_internals/side_records.jsonl", &segment(&long)[..64]);
    assert!(dump.files.keys().any(|path| path.len() == 32 + fallback.len() && path.ends_with(&fallback)));

    let keymap = String::from_utf8(dump.files["KEYMAP.jsonl"].clone()).unwrap();
    let mut expected: Vec<_> =
        names.iter().filter(|(_, directory)| directory.get(32..34) == Some("__")).collect();
    expected.sort();
    let line = |(name, directory): &&(&str, String)| {
        format!(
            "{{\"encoded\":\"{directory}\",\"original\":\"{}\",\"kind\":\"sha-fallback\"}}\n",
            segment(name)
        )
    };
    assert_eq!(keymap, expected.iter().map(line).collect::<String>());
}

#[test]
fn a_directory_of_side_records_never_meets_that_of_a_queue() {
    // No client can make a queue of that name.
    let rows = [
        queue("ZGVsZXRlZA.orphan", 1, ""),
        (sequence_key("ZGVsZXRlZA.orphan"), b"7".to_vec()),
        (sequence_key("deleted"), b"8".to_vec()),
    ];
    let dump = dump_how(&rows, WITH_SIDE_RECORDS);
    let records: Vec<_> = dump.files.keys().filter(|path| path.ends_with("side_records.jsonl")).collect();
    assert_eq!(records.len(), 2);
    assert!(records.iter().any(|path| path.contains("__ZGVsZXRlZA.orphan/")), "{records:?}");
}

#[test]
fn extra_attributes_have_a_file_only_if_there_are_some() {
    let with = queue("a", 1, r#","throttle":{"send_capacity":10,"send_refill_per_second":2.5}"#);
    let without = queue("b", 1, r#","tags":{},"throttle":{}"#);
    let dump = dump(&[with, without]);
    let expected = "{\n  \"format_version\": 1,\n  \"throttle\": {\n    \"send_capacity\": 10,\n    \"send_refill_per_second\": 2.5\n  }\n}";
    assert_eq!(dump.files["a/_extra.json"], expected.as_bytes());
    assert!(!dump.files.contains_key("b/_extra.json"));
}

#[test]
fn one_queue_can_be_asked_for() {
    let rows = [
        queue("a", 1, ""),
        queue("b", 1, ""),
        Home::classic("a", 1).message("m", "x", SENT_MS, ""),
        Home::classic("b", 1).message("m", "x", SENT_MS, ""),
        (sequence_key("deleted"), b"1".to_vec()),
    ];
    let dump = dump_how(&rows, How { scopes: &["b"], ..WITH_SIDE_RECORDS });
    assert_eq!(dump.files.keys().collect::<Vec<_>>(), ["b/_queue.json", "b/messages.jsonl"]);
    assert_eq!(dump.manifest["adapters"]["sqs"]["queues"], serde_json::json!(["b"]));
    assert_eq!(dump.manifest["decode"]["keys"]["sqs"], 2);
}

#[test]
fn side_records_stand_in_the_order_of_the_snapshot_where_one_key_goes_on_with_another() {
    let home = Home::classic("q", 1);
    // Groups `abc` and `abcdef` have texts of which one begins with the other.
    let rows = standard(["abc", "abcdef", "abd"].map(|group| (home.group(group), b"{}".to_vec())));
    let keys = ["abcdef", "abc", "abd"].map(|group| home.group(group));
    assert_eq!(side_keys(&dump_how(&rows, WITH_SIDE_RECORDS), "q"), keys);
}

#[test]
fn messages_stand_by_send_time_then_number_then_id() {
    let row = |id: &str, sent: u64, sequence: u64| {
        Home::classic("q", 1).message(id, "x", sent, &format!(",\"sequence_number\":{sequence}"))
    };
    let rows = standard([
        row("e", SENT_MS, u64::MAX),
        row("d", SENT_MS, 1 << 63),
        row("Z", SENT_MS, 2),
        row("a", SENT_MS, 2),
        row("b", SENT_MS, 10),
        row("0", SENT_MS + 1, 1),
        row("9", SENT_MS - 1, 99),
    ]);
    assert_eq!(ids(&dump(&rows), "q"), ["9", "Z", "a", "b", "d", "e", "0"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn the_order_is_that_of_the_format_whatever_is_sent(
        sent in proptest::collection::btree_map("[0-9a-zA-Z_-]{1,6}", (0..4u64, 0..3u64), 1..30),
    ) {
        let rows = sent.iter().map(|(id, (time, sequence))| {
            let more = format!(",\"sequence_number\":{sequence}");
            Home::classic("q", 1).message(id, "x", SENT_MS + time, &more)
        });
        let mut expected: Vec<_> = sent.iter().map(|(id, (time, sequence))| (time, sequence, id)).collect();
        expected.sort();
        let found = ids(&dump(&standard(rows)), "q");
        prop_assert_eq!(found, expected.into_iter().map(|(_, _, id)| id.clone()).collect::<Vec<_>>());
    }
}
