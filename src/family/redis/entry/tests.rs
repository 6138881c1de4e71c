use ekvsnap_testkit::redis_rows::stream_entry;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn json(message: &[u8]) -> Result<String, Malformed> {
    let mut out = Vec::new();
    match push_fields(message, &mut out) {
        Ok(()) => Ok(String::from_utf8(out).unwrap()),
        Err(EntryError::Malformed(rule)) => Err(rule),
        Err(EntryError::Io(error)) => panic!("{error}"),
    }
}

proptest! {
    #[test]
    fn any_bytes_are_an_entry_or_malformed(message in vec(any::<u8>(), 0..64)) {
        if let Ok(json) = json(&message) {
            prop_assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok());
        }
    }

    #[test]
    fn fields_come_back_in_order_and_the_id_with_them(
        id in vec(any::<u8>(), 0..9),
        fields in vec(("\\PC{0,6}", ".{0,6}"), 0..6),
    ) {
        let strings: Vec<&str> = fields.iter().flat_map(|(name, value)| [name.as_str(), value]).collect();
        let stored = stream_entry(&id, &strings);
        prop_assert!(stored.starts_with(MAGIC));
        let message = &stored[MAGIC.len()..];
        let found: serde_json::Value = serde_json::from_str(&json(message).unwrap()).unwrap();
        let expected: Vec<_> =
            fields.iter().map(|(name, value)| serde_json::json!({"name": name, "value": value})).collect();
        prop_assert_eq!(found, serde_json::Value::Array(expected));
        let span = walk(&mut Wire::new(message, 0, message.len() as u64), |_| Ok(())).unwrap();
        prop_assert_eq!(span.of(message), id);
    }
}

#[test]
fn the_json_is_that_of_the_dump() {
    let stored = stream_entry(b"1-0", &[&b"n"[..], b"a<b", b"n", b"\xff", b"", b""]);
    assert_eq!(
        json(&stored[5..]).unwrap(),
        "[{\"name\":\"n\",\"value\":\"a\\u003cb\"},{\"name\":\"n\",\"value\":{\"base64\":\"_w\"}},\
         {\"name\":\"\",\"value\":\"\"}]"
    );
    assert_eq!(json(b"").unwrap(), "[]");
}

#[test]
fn an_odd_number_of_fields_is_malformed() {
    for count in [1, 3] {
        assert_eq!(json(&stream_entry(b"1-0", &vec!["x"; count])[5..]), Err(Malformed::OddFields));
    }
}

#[test]
fn what_is_no_protobuf_is_malformed() {
    assert_eq!(json(b"\x12\x05x"), Err(Malformed::Protobuf("stream entry")));
}

#[test]
fn unknown_fields_are_skipped_and_of_two_ids_the_last_counts() {
    let message = b"\x0a\x011\x1a\x01?\x12\x01n\x08\x07\x12\x01v\x0a\x012";
    assert_eq!(json(message).unwrap(), "[{\"name\":\"n\",\"value\":\"v\"}]");
    let span = walk(&mut Wire::new(&message[..], 0, message.len() as u64), |_| Ok(())).unwrap();
    assert_eq!(span.of(message), b"2");
}
