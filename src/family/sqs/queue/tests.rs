use ekvsnap_testkit::sqs_rows::meta;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn refused(json: &str) -> String {
    decode(&meta(json)).unwrap_err().to_string()
}

#[test]
fn the_meta_of_the_first_vector_is_read_whole() {
    let queue = decode(&meta(r#"{"name":"orders","generation":3,"incarnation":1,"created_at_hlc":111411200000000000,"visibility_timeout_seconds":30,"message_retention_seconds":345600,"delay_seconds":0,"receive_message_wait_seconds":0,"maximum_message_size":262144,"redrive_policy":"{\"deadLetterTargetArn\":\"arn:aws:sqs:us-east-1:000000000000:orders-dlq\",\"maxReceiveCount\":3}","tags":{"env":"prod"},"created_at_millis":1700000000000,"last_modified_at_millis":1700000000000}"#)).unwrap();
    let expected = Queue {
        name: "orders".to_owned(),
        generation: 3,
        incarnation: 1,
        created_at_hlc: 111_411_200_000_000_000,
        visibility_timeout_seconds: 30,
        message_retention_seconds: 345_600,
        maximum_message_size: 262_144,
        redrive_policy:
            r#"{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:orders-dlq","maxReceiveCount":3}"#
                .to_owned(),
        tags: br#"{"env":"prod"}"#.to_vec(),
        created_at_millis: 1_700_000_000_000,
        last_modified_at_millis: 1_700_000_000_000,
        ..Queue::default()
    };
    assert_eq!(queue, expected);
}

#[test]
fn fifo_fields_are_read() {
    let queue = decode(&meta(r#"{"is_fifo":true,"content_based_dedup":true,"delay_seconds":900,"receive_message_wait_seconds":20,"redrive_allow_policy":"{}","last_purged_at_millis":5,"partition_count":8,"fifo_throughput_limit":"perMessageGroupId","deduplication_scope":"messageGroup"}"#)).unwrap();
    let expected = Queue {
        is_fifo: true,
        content_based_dedup: true,
        delay_seconds: 900,
        receive_message_wait_seconds: 20,
        redrive_allow_policy: "{}".to_owned(),
        last_purged_at_millis: 5,
        partition_count: 8,
        fifo_throughput_limit: "perMessageGroupId".to_owned(),
        deduplication_scope: "messageGroup".to_owned(),
        ..Queue::default()
    };
    assert_eq!(queue, expected);
}

#[test]
fn tags_come_by_the_bytes_of_their_names_and_the_throttle_as_it_is_stored() {
    let queue = decode(&meta(
        r#"{"tags":{"b":"<\u0026>","B":"2","b":"3","é":"\u2028"},"throttle":{"recv_capacity":1e2, "send_capacity":10.50,"recv_capacity":2E1,"later":[ 1 ]}}"#,
    ))
    .unwrap();
    assert_eq!(String::from_utf8(queue.tags).unwrap(), r#"{"B":"2","b":"3","é":"\u2028"}"#);
    let throttle = String::from_utf8(queue.throttle).unwrap();
    assert_eq!(throttle, r#"{"recv_capacity":2E1,"send_capacity":10.50,"later":[1]}"#);
    for none in [r#"{"tags":{},"throttle":{}}"#, r#"{"tags":null,"throttle":null}"#, "{}"] {
        let queue = decode(&meta(none)).unwrap();
        assert!(queue.tags.is_empty() && queue.throttle.is_empty());
    }
}

#[test]
fn of_a_field_given_twice_the_last_counts_whatever_its_case() {
    let queue =
        decode(&meta(r#"{"generation":1,"Generation":2,"delay_seconds":5,"delay_seconds":null}"#)).unwrap();
    assert_eq!((queue.generation, queue.delay_seconds), (2, 0));
}

#[test]
fn a_meta_without_magic_or_with_wrong_json_is_refused() {
    for value in [&b""[..], b"\0SQ", b"\0SM\x01{}", b"{}"] {
        assert!(matches!(decode(value), Err(Malformed::Magic)));
    }
    assert!(refused(r#"{"generation":"3"}"#).contains("generation is not a whole number that fits"));
    assert!(refused(r#"{"generation":-3}"#).contains("generation is not"));
    assert!(refused(r#"{"partition_count":4294967296}"#).contains("partition_count is not"));
    assert!(refused(r#"{"is_fifo":1}"#).contains("is_fifo is not true or false"));
    assert!(refused(r#"{"tags":{"a":1}}"#).contains("tags is not a string"));
    assert!(refused(r#"{"tags":"a"}"#).contains("tags is not an object"));
    assert!(
        refused(r#"{"throttle":{"send_capacity":"1"}}"#).contains("throttle is not an object of numbers")
    );
    assert!(refused("{} {}").contains("trailing characters"));
}

proptest! {
    #[test]
    fn no_value_makes_the_decoder_panic(
        bytes in vec(any::<u8>(), 0..40),
        field in prop::sample::select(vec!["name", "tags", "throttle", "generation", "is_fifo", "x"]),
    ) {
        let _ = decode(&bytes);
        let json = [MAGIC, b"{\"", field.as_bytes(), b"\":", &bytes, b"}"].concat();
        let _ = decode(&json);
    }
}
