use ekvsnap_testkit::dynamodb_rows::{Attribute as Written, item_value};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::family::dynamodb::item::Item;
use crate::snapshot::Piece;

/// What becomes of a value: its documents, and whether it holds an empty set.
type Told = Result<(String, String, bool), Malformed>;

fn in_memory(value: &[u8]) -> Told {
    let item = Item::decode(value)?;
    let document = |layout| {
        let mut out = Vec::new();
        item.push_document(layout, &mut out);
        String::from_utf8(out).unwrap()
    };
    Ok((document(Layout::Compact), document(Layout::Indented(0)), item.has_empty_set))
}

fn in_parts(value: &[u8]) -> Told {
    let connection = Connection::open_in_memory().unwrap();
    for migration in [
        include_str!("../../../../migrations/01_snapshot.sql"),
        include_str!("../../../../migrations/05_dynamodb.sql"),
    ] {
        connection.execute_batch(migration).unwrap();
    }
    let large_values = LargeValues::new(&connection, None);
    for bytes in value.chunks(1000) {
        large_values.keep(0, Piece { number: 0, bytes }).unwrap();
    }
    let extent = Extent { source: 0, payload: Some(0), start: 0, length: value.len() as u64, sealed: None };
    let parts = Parts::take(&connection, &large_values, extent, &mut 1).unwrap()?;
    let has_empty_set = parts.has_empty_set().unwrap()?;
    let document = |layout| {
        let mut out = Vec::new();
        parts.write(layout, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    Ok((document(Layout::Compact), document(Layout::Indented(0)), has_empty_set))
}

fn any_attribute() -> impl Strategy<Value = Written> {
    let text = || "[a-c<é\"\\n]{0,3}";
    let leaf = prop_oneof![
        text().prop_map(Written::S),
        text().prop_map(Written::N),
        vec(any::<u8>(), 0..4).prop_map(Written::B),
        any::<bool>().prop_map(Written::Bool),
        prop::bool::weighted(0.9).prop_map(Written::Null),
        vec(text(), 0..3).prop_map(Written::Ss),
        vec(text(), 0..3).prop_map(Written::Ns),
        vec(vec(any::<u8>(), 0..3), 0..3).prop_map(Written::Bs),
    ];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Written::L),
            vec((text(), inner), 0..4).prop_map(Written::M),
        ]
    })
}

/// Items whose names repeat, so that attributes replace each other, and some bytes of which may be wrong.
fn any_value() -> impl Strategy<Value = Vec<u8>> {
    let attributes = vec(("[a-d]", any_attribute()), 0..6);
    (attributes, vec((any::<prop::sample::Index>(), any::<u8>()), 0..3)).prop_map(|(attributes, flips)| {
        let attributes: Vec<_> =
            attributes.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
        let mut value = item_value(&attributes);
        for (at, byte) in flips {
            let at = at.index(value.len());
            if at >= MAGIC.len() {
                value[at] = byte;
            }
        }
        value
    })
}

/// An attribute of these bytes, and the same one after the other in one message.
fn with_attribute(messages: &[Vec<u8>]) -> Vec<u8> {
    use ekvsnap_testkit::protobuf::bytes_field;
    let mut entry = Vec::new();
    for message in messages {
        bytes_field(&mut entry, 2, message);
    }
    bytes_field(&mut entry, 1, b"name");
    let mut value = MAGIC.to_vec();
    bytes_field(&mut value, 1, &entry);
    value
}

#[test]
fn long_strings_and_bytes_are_written_as_short_ones() {
    for length in [0, 1, INLINE_PAYLOAD_BYTES - 1, INLINE_PAYLOAD_BYTES + 2, 200_000] {
        let text: String = "aé<\u{2028}\"".chars().cycle().take(length).collect();
        let bytes: Vec<u8> = (0..length).map(|byte| byte as u8).collect();
        let value = item_value(&[("s", Written::S(text)), ("b", Written::B(bytes))]);
        assert!(in_parts(&value) == in_memory(&value), "{length}");
    }
}

#[test]
fn a_string_that_is_not_utf8_is_malformed_at_every_length() {
    for length in [1, 100_000] {
        let mut text = vec![b'x'; length];
        text[length - 1] = 0xff;
        let mut message = Vec::new();
        ekvsnap_testkit::protobuf::bytes_field(&mut message, 1, &text);
        let value = with_attribute(&[message]);
        assert_eq!(in_parts(&value), Err(Malformed::NotUtf8("an item")));
        assert_eq!(in_memory(&value), Err(Malformed::NotUtf8("an item")));
    }
}

#[test]
fn what_nests_too_deep_is_malformed() {
    for depth in [31, 32, 33, 34, 60, 200] {
        let nested = (1..depth).fold(Written::s(""), |inner, _| Written::M(vec![("n".to_owned(), inner)]));
        let value = item_value(&[("a", nested)]);
        assert_eq!(in_parts(&value), in_memory(&value), "{depth}");
        assert_eq!(in_parts(&value).is_ok(), depth <= 32);
    }
}

#[test]
fn numbers_beyond_nine_keep_their_place_in_a_list() {
    let list = Written::L((0..300).map(|number| Written::N(number.to_string())).collect());
    let value = item_value(&[("l", list)]);
    assert_eq!(in_parts(&value), in_memory(&value));
}

proptest! {
    #[test]
    fn an_item_in_parts_is_what_it_is_in_memory(value in any_value()) {
        prop_assert_eq!(in_parts(&value), in_memory(&value));
    }

    #[test]
    fn attributes_that_come_in_pieces_are_put_together_alike(pieces in vec(any_attribute(), 0..5)) {
        let messages: Vec<_> = pieces.iter().map(Written::message).collect();
        // Each in a field of its own, and all of them in one.
        for value in [with_attribute(&messages), with_attribute(&[messages.concat()])] {
            prop_assert_eq!(in_parts(&value), in_memory(&value));
        }
    }
}
