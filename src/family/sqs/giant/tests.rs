use ekvsnap_testkit::sqs_rows::{message as value, padded};
use proptest::prelude::*;
use rusqlite::Connection;

use super::*;

/// Whatever is said of a value that is kept in pieces; `None` if it is malformed.
fn in_place<T>(
    value: &[u8],
    use_message: impl FnOnce(&Message<'_>, &LargeValues<'_>, Extent) -> T,
) -> Result<T, Malformed> {
    let database = Connection::open_in_memory().unwrap();
    database.execute_batch(include_str!("../../../../migrations/01_snapshot.sql")).unwrap();
    for (number, piece) in value.chunks(1000).enumerate() {
        database
            .execute(
                "INSERT INTO large_value_piece (source, payload, start, bytes) VALUES (0, 0, ?, ?)",
                (number as i64 * 1000, piece),
            )
            .unwrap();
    }
    let large_values = LargeValues::new(&database, None);
    let extent = Extent { source: 0, payload: Some(0), start: 0, length: value.len() as u64, sealed: None };
    decode(&large_values, extent, |message| use_message(message, &large_values, extent)).unwrap()
}

/// A message as it can be compared, wherever its body is.
fn described(message: &Message<'_>) -> String {
    let short = Message { body: Body::default(), ..message.clone() };
    format!("{short:?}")
}

fn body_of(message: &Message<'_>, large_values: &LargeValues<'_>, extent: Extent) -> Vec<u8> {
    match message.body.text {
        Some((start, length)) => {
            let mut bytes = Vec::new();
            let text = large_values.open(extent.slice(start, length)).unwrap();
            DecoderReader::new(text, &BASE64).read_to_end(&mut bytes).unwrap();
            bytes
        }
        None => message.body.bytes.clone(),
    }
}

/// Both ways of reading a value say the same of it.
fn agree(json: &str) {
    let value = value(json);
    let read = message::decode(&value, |message| (described(message), message.body.bytes.clone()));
    let walked =
        in_place(&value, |message, large, extent| (described(message), body_of(message, large, extent)));
    match (read, walked) {
        (Ok(read), Ok(walked)) => assert_eq!(read, walked, "{json}"),
        (Err(_), Err(_)) => {}
        (Ok(_), Err(rule)) => panic!("only refused in place: {rule}: {json}"),
        (Err(rule), Ok(_)) => panic!("only refused in memory: {rule}: {json}"),
    }
}

#[test]
fn fields_are_found_wherever_they_stand_and_however_they_are_written() {
    for json in [
        "{}",
        "null",
        r#"{"message_id":"m","body":"YWJj","receive_count":12,"queue_generation":3}"#,
        r#" { "queue_generation" : 3 , "BODY" : "YWJj" , "receive_count": 12 } "#,
        r#"{"receive_count":12}"#,
        "{\"receive_count\":12\n}",
        r#"{"receive_count":1,"receive_count":2,"body":"YQ==","body":"YWJj"}"#,
        r#"{"body":null,"message_id":null}"#,
        r#"{"body": "" }"#,
        r#"{"message_attributes": {"b":{ "DataType" : "String"} , "a" : 1 },"later":[{"x":[1,2,"}"]}]}"#,
        r#"{"message_group_id":"\ud800 <","sequence_number":18446744073709551615}"#,
        r#"{"message_id":true}"#,
        r#"{"body":5}"#,
        r#"{"body":"!"}"#,
        r#"{"body":"YQ"}"#,
        r#"{"receive_count":1.5}"#,
        r#"{"receive_count":}"#,
        r#"{"a":1"#,
        r#"{} {}"#,
        r#"[]"#,
        r#"{"a":"\x"}"#,
    ] {
        agree(json);
    }
}

#[test]
fn a_long_body_stays_in_its_place() {
    let body: Vec<u8> = (0..100_000u32).map(|at| (at % 251) as u8).collect();
    let json = format!("{{\"message_id\":\"m\",\"body\":\"{}\",\"receive_count\":7}}", padded(&body));
    agree(&json);
    let held = in_place(&value(&json), |message, large, extent| {
        assert_eq!(body_of(message, large, extent), body);
        message.body.bytes.len()
    });
    assert_eq!(held.unwrap(), 0);
}

#[test]
fn invalid_utf8_in_a_field_becomes_replacement_characters() {
    let value = [MAGIC, b"{\"message_group_id\":\"g\xff\xe2\x82\",\"body\":\"YWJj\"}"].concat();
    let group = in_place(&value, |message, _, _| message.message_group_id.to_string()).unwrap();
    assert_eq!(group, "g\u{fffd}\u{fffd}\u{fffd}");
}

#[test]
fn a_value_without_magic_is_refused() {
    assert!(matches!(in_place(b"\0SQ\x01{}", |_, _, _| ()), Err(Malformed::Magic)));
}

#[test]
fn fields_too_long_for_memory_are_refused() {
    let long = "x".repeat(MAX_VALUE_IN_MEMORY_BYTES as usize);
    let refused = in_place(&value(&format!("{{\"sender_id\":\"{long}\"}}")), |_, _, _| ()).unwrap_err();
    assert!(refused.to_string().contains("more than 2097152 bytes of fields beside the body"), "{refused}");
    let refused = in_place(&value(&format!("{{\"{long}\":1}}")), |_, _, _| ());
    assert!(refused.is_err());
    // What the record has no field for is passed over, however long it is.
    assert!(in_place(&value(&format!("{{\"later\":\"{long}\"}}")), |_, _, _| ()).is_ok());
}

#[test]
fn a_long_body_with_escapes_is_refused() {
    let json = format!("{{\"body\":\"{}\\u0059Q==\"}}", padded(vec![0; 60_000]));
    assert!(matches!(in_place(&value(&json), |_, _, _| ()), Err(Malformed::GiantBody)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn both_ways_of_reading_agree(
        fields in proptest::collection::vec(
            (
                prop::sample::select(FIELDS.to_vec()),
                prop::sample::select(vec![
                    "null", "1", "-1", "\"YWJj\"", "\"x\\n\"", "{\"a\":[1,{}]}", "true", "1e2", "[]", "",
                ]),
                " {0,2}",
            ),
            0..5,
        ),
    ) {
        let members: Vec<_> =
            fields.iter().map(|(name, value, space)| format!("{space}\"{name}\":{space}{value}{space}")).collect();
        agree(&format!("{{{}}}", members.join(",")));
    }
}
