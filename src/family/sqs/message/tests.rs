use ekvsnap_testkit::sqs_rows::message as value;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// What is read of a message, as it can be kept.
fn read(json: &str) -> Message<'static> {
    let mut message = decode(&value(json), |message| Message {
        message_id: message.message_id.to_string().into(),
        md5_of_body: message.md5_of_body.to_string().into(),
        md5_of_message_attributes: message.md5_of_message_attributes.to_string().into(),
        sender_id: message.sender_id.to_string().into(),
        message_group_id: message.message_group_id.to_string().into(),
        message_deduplication_id: message.message_deduplication_id.to_string().into(),
        dead_letter_source_arn: message.dead_letter_source_arn.to_string().into(),
        ..message.clone()
    })
    .unwrap();
    message.body.text = None;
    message
}

fn refused(json: &str) -> String {
    decode(&value(json), |_| ()).unwrap_err().to_string()
}

fn body(bytes: &[u8]) -> Body {
    Body { bytes: bytes.to_vec(), text: None }
}

#[test]
fn the_message_in_flight_of_the_third_vector_is_read_whole() {
    let message = read(
        r#"{"message_id":"0123456789abcdef0123456789abcdef","body":"aGVsbG8KPGI+JiI=","md5_of_body":"cb0d0932d85e0f879f1820aeae23f218","send_timestamp_millis":1700000000000,"available_at_millis":1700000005000,"visible_at_millis":1700000065000,"receive_count":1,"first_receive_millis":1700000035000,"current_receipt_token":"AAECAwQFBgcICQoLDA0ODw==","queue_generation":3}"#,
    );
    let expected = Message {
        message_id: "0123456789abcdef0123456789abcdef".into(),
        body: body(b"hello\n<b>&\""),
        md5_of_body: "cb0d0932d85e0f879f1820aeae23f218".into(),
        send_timestamp_millis: 1_700_000_000_000,
        available_at_millis: 1_700_000_005_000,
        visible_at_millis: 1_700_000_065_000,
        receive_count: 1,
        first_receive_millis: 1_700_000_035_000,
        current_receipt_token: (0..16).collect(),
        queue_generation: 3,
        ..Message::default()
    };
    assert_eq!(message, expected);
}

#[test]
fn fifo_and_dead_letter_fields_are_read() {
    let message = read(
        r#"{"message_group_id":"g\u003c1\u003e","message_deduplication_id":"d-1","sequence_number":18446744073709551615,"dead_letter_source_arn":"arn:x","sender_id":"s","current_receipt_token":null}"#,
    );
    let expected = Message {
        message_group_id: "g<1>".into(),
        message_deduplication_id: "d-1".into(),
        sequence_number: u64::MAX,
        dead_letter_source_arn: "arn:x".into(),
        sender_id: "s".into(),
        ..Message::default()
    };
    assert_eq!(message, expected);
}

#[test]
fn attributes_come_by_the_bytes_of_their_names_with_their_texts_as_stored() {
    let attributes = |json: &str| {
        let message = read(&format!("{{\"message_attributes\":{json}}}"));
        String::from_utf8(message.message_attributes).unwrap()
    };
    assert_eq!(
        attributes(
            r#"{"z.num" : {"DataType":"Number.int", "StringValue":"42"},"a\u003cb":{"DataType":"String","StringValue":"x\u003cy \u00e9"}}"#
        ),
        r#"{"a<b":{"DataType":"String","StringValue":"x\u003cy \u00e9"},"z.num":{"DataType":"Number.int","StringValue":"42"}}"#
    );
    assert_eq!(attributes(r#"{"a":1,"B":2,"a":{ }}"#), r#"{"B":2,"a":{}}"#);
    assert_eq!(attributes("{}"), "");
    assert_eq!(attributes("null"), "");
}

#[test]
fn the_text_of_a_body_is_found_in_the_value_if_it_stands_there_as_it_is() {
    let text_of = |json: &[u8]| {
        let value = [MAGIC, json].concat();
        let span = decode(&value, |message| message.body.text).unwrap();
        span.map(|(start, length)| value[start as usize..(start + length) as usize].to_vec())
    };
    assert_eq!(text_of(br#"{"message_id":"m", "body" : "YWJj" }"#).unwrap(), b"YWJj");
    assert_eq!(text_of(br#"{"body":"YQ==","Body":"Yg=="}"#).unwrap(), b"Yg==");
    assert_eq!(text_of(br#"{"body":"\u0059Q=="}"#), None);
    assert_eq!(text_of(b"{\"body\":\"YQ==\",\"sender_id\":\"\xff\"}"), None);
    assert_eq!(text_of(br#"{"body":null}"#), None);
}

#[test]
fn a_missing_or_null_body_is_empty() {
    for json in ["{}", r#"{"body":null}"#, r#"{"body":""}"#, r#"{"body":"YQ==","body":null}"#] {
        assert_eq!(read(json).body.bytes, b"");
    }
}

#[test]
fn a_value_without_magic_or_with_wrong_json_is_refused() {
    for value in [&b""[..], b"\0SM", b"\0SQ\x01{}"] {
        assert!(matches!(decode(value, |_| ()), Err(Malformed::Magic)));
    }
    assert!(refused(r#"{"body":"!"}"#).contains("body is not base64 with padding"));
    assert!(
        refused(r#"{"send_timestamp_millis":1.5}"#).contains("send_timestamp_millis is not a whole number")
    );
    assert!(refused(r#"{"message_attributes":[]}"#).contains("message_attributes is not an object"));
    assert!(refused("{").contains("EOF"));
    assert!(refused("{}x").contains("trailing characters"));
}

#[test]
fn every_field_has_its_name_in_the_list() {
    for name in FIELDS {
        // A value that none of them takes.
        assert!(decode(&value(&format!("{{\"{name}\":[true]}}")), |_| ()).is_err(), "{name}");
    }
    assert!(decode(&value("{\"later\":[true]}"), |_| ()).is_ok());
}

proptest! {
    #[test]
    fn no_value_makes_the_decoder_panic(
        bytes in vec(any::<u8>(), 0..40),
        field in prop::sample::select(FIELDS.to_vec()),
    ) {
        let _ = decode(&bytes, |_| ());
        let json = [MAGIC, b"{\"", field.as_bytes(), b"\":", &bytes, b"}"].concat();
        let _ = decode(&json, |_| ());
    }
}
