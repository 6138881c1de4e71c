use super::*;

fn shown(push: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    push(&mut out);
    String::from_utf8(out).unwrap()
}

fn line(line: Line<'_>, body: &[u8]) -> String {
    shown(|out| {
        line.push_head(out);
        Line::push_body(body, out);
        line.push_tail(out);
    })
}

#[test]
fn the_queue_file_is_that_of_the_first_vector() {
    let queue = QueueFile {
        format_version: 1,
        name: "orders",
        visibility_timeout_seconds: 30,
        message_retention_seconds: 345_600,
        maximum_message_size: 262_144,
        redrive_policy: r#"{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:orders-dlq","maxReceiveCount":3}"#,
        ..QueueFile::default()
    };
    let expected = r#"{
  "format_version": 1,
  "name": "orders",
  "visibility_timeout_seconds": 30,
  "message_retention_seconds": 345600,
  "delay_seconds": 0,
  "maximum_message_size": 262144,
  "redrive_policy": "{\"deadLetterTargetArn\":\"arn:aws:sqs:us-east-1:000000000000:orders-dlq\",\"maxReceiveCount\":3}"
}"#;
    assert_eq!(shown(|out| push_queue(&queue, out).unwrap()), expected);
}

#[test]
fn a_queue_file_with_everything_has_its_fields_in_order() {
    let queue = QueueFile {
        format_version: 1,
        name: "<&>.fifo",
        fifo: true,
        content_based_deduplication: true,
        visibility_timeout_seconds: 1,
        message_retention_seconds: 2,
        delay_seconds: 3,
        receive_message_wait_seconds: 4,
        maximum_message_size: 5,
        redrive_policy: "a",
        redrive_allow_policy: "b",
        partition_count: 6,
        fifo_throughput_limit: "c",
        deduplication_scope: "d",
    };
    let expected = r#"{
  "format_version": 1,
  "name": "\u003c\u0026\u003e.fifo",
  "fifo": true,
  "content_based_deduplication": true,
  "visibility_timeout_seconds": 1,
  "message_retention_seconds": 2,
  "delay_seconds": 3,
  "receive_message_wait_seconds": 4,
  "maximum_message_size": 5,
  "redrive_policy": "a",
  "redrive_allow_policy": "b",
  "partition_count": 6,
  "fifo_throughput_limit": "c",
  "deduplication_scope": "d"
}"#;
    assert_eq!(shown(|out| push_queue(&queue, out).unwrap()), expected);
}

#[test]
fn the_extra_file_has_tags_by_name_and_the_throttle_as_stored() {
    let (tags, throttle) = (r#"{"a":"<","b":"2"}"#, r#"{"recv_capacity":2E1,"send_capacity":10.50}"#);
    let expected = r#"{
  "format_version": 1,
  "tags": {
    "a": "\u003c",
    "b": "2"
  },
  "throttle": {
    "recv_capacity": 2E1,
    "send_capacity": 10.50
  }
}"#;
    assert_eq!(shown(|out| push_extra(Some(tags), Some(throttle), out).unwrap()), expected);
    let alone = shown(|out| push_extra(None, Some(throttle), out).unwrap());
    assert!(alone.starts_with("{\n  \"format_version\": 1,\n  \"throttle\": {"));
}

#[test]
fn the_lines_of_a_message_in_flight_are_those_of_the_third_vector() {
    let message = Line {
        message_id: b"0123456789abcdef0123456789abcdef",
        md5_of_body: "cb0d0932d85e0f879f1820aeae23f218",
        send_timestamp_millis: 1_700_000_000_000,
        available_at_millis: 1_700_000_005_000,
        queue_generation: 3,
        ..Line::default()
    };
    let body = b"hello\n<b>&\"";
    assert_eq!(
        line(message, body),
        r#"{"message_id":"0123456789abcdef0123456789abcdef","body":"hello\n\u003cb\u003e\u0026\"","md5_of_body":"cb0d0932d85e0f879f1820aeae23f218","send_timestamp_millis":1700000000000,"available_at_millis":1700000005000,"visible_at_millis":0,"receive_count":0,"queue_generation":3}
"#
    );
    let token: Vec<u8> = (0..16).collect();
    let visibility = Visibility {
        visible_at_millis: 1_700_000_065_000,
        receive_count: 1,
        first_receive_millis: 1_700_000_035_000,
        current_receipt_token: &token,
    };
    assert_eq!(
        line(Line { visibility, ..message }, body),
        r#"{"message_id":"0123456789abcdef0123456789abcdef","body":"hello\n\u003cb\u003e\u0026\"","md5_of_body":"cb0d0932d85e0f879f1820aeae23f218","send_timestamp_millis":1700000000000,"available_at_millis":1700000005000,"visible_at_millis":1700000065000,"receive_count":1,"first_receive_millis":1700000035000,"current_receipt_token":"AAECAwQFBgcICQoLDA0ODw==","queue_generation":3}
"#
    );
}

#[test]
fn the_line_of_a_partitioned_message_is_that_of_the_eighth_vector_and_partition_0_is_written() {
    let message = Line {
        message_id: b"deadbeefdeadbeefdeadbeefdeadbeef",
        md5_of_body: "10a8ba46c1e74497d46c47217ee99eb2",
        send_timestamp_millis: 1_700_000_003_000,
        available_at_millis: 1_700_000_003_000,
        queue_generation: 1,
        message_group_id: "customer-42",
        message_deduplication_id: "ord-7",
        sequence_number: 7,
        partition: Some(2),
        ..Line::default()
    };
    let expected = r#"{"message_id":"deadbeefdeadbeefdeadbeefdeadbeef","body":"naïve ✓","md5_of_body":"10a8ba46c1e74497d46c47217ee99eb2","send_timestamp_millis":1700000003000,"available_at_millis":1700000003000,"visible_at_millis":0,"receive_count":0,"queue_generation":1,"message_group_id":"customer-42","message_deduplication_id":"ord-7","sequence_number":7,"partition":2}
"#;
    assert_eq!(line(message, "naïve ✓".as_bytes()), expected);
    let first = line(Line { partition: Some(0), ..message }, b"");
    assert!(first.ends_with(",\"partition\":0}\n"), "{first}");
    assert!(first.contains("\"body\":\"\","), "{first}");
}

#[test]
fn markup_is_escaped_in_bodies_only_and_separators_everywhere() {
    let odd = "<&>\u{2028}\u{8}\u{7f}";
    let message = Line { message_id: odd.as_bytes(), message_group_id: odd, ..Line::default() };
    let line = line(message, odd.as_bytes());
    assert!(line.starts_with("{\"message_id\":\"<&>\\u2028\\b\u{7f}\","), "{line}");
    assert!(line.contains("\"body\":\"\\u003c\\u0026\\u003e\\u2028\\b\u{7f}\","), "{line}");
    assert!(line.contains("\"message_group_id\":\"<&>\\u2028\\b\u{7f}\""), "{line}");
}

#[test]
fn an_id_that_is_no_text_is_written_as_go_writes_it() {
    let line = line(Line { message_id: b"a\xff\xfe", ..Line::default() }, b"\xff");
    assert!(
        line.starts_with("{\"message_id\":\"a\u{fffd}\u{fffd}\",\"body\":{\"base64\":\"_w\"},"),
        "{line}"
    );
}
