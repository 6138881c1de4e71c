use std::convert::Infallible;

use ekvsnap_testkit::redis_rows::{hash_blob, set_blob, stream_blob, zset_blob};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const TYPES: [Type; 4] = [Type::Hash, Type::Set, Type::Zset, Type::Stream];

fn elements(of: Type, bytes: &[u8]) -> Result<Vec<Element>, Malformed> {
    let mut found = Vec::new();
    let result = walk(of, bytes, bytes.len() as u64, |element| {
        found.push(element);
        Ok::<_, Infallible>(())
    });
    match result {
        Ok(()) => Ok(found),
        Err(BlobError::Malformed(rule)) => Err(rule),
        Err(BlobError::Io(error)) => panic!("{error}"),
    }
}

fn at(bytes: &[u8], span: Span) -> &[u8] {
    span.of(bytes)
}

fn strings() -> impl Strategy<Value = Vec<Vec<u8>>> {
    vec(vec(any::<u8>(), 0..9), 0..6)
}

proptest! {
    #[test]
    fn any_bytes_are_a_collection_or_malformed(bytes in vec(any::<u8>(), 0..64)) {
        for of in TYPES {
            let _ = elements(of, &bytes);
            let (magic, _) = magic(of);
            let _ = elements(of, &[&magic, &bytes[..]].concat());
        }
    }

    #[test]
    fn elements_come_back_in_order(names in strings(), scores in vec(any::<f64>(), 6)) {
        let set = set_blob(&names);
        let found = elements(Type::Set, &set).unwrap();
        let found: Vec<_> = found.iter().map(|found| match found {
            Element::Member(span) => at(&set, *span).to_vec(),
            other => panic!("{other:?}"),
        }).collect();
        prop_assert_eq!(&found, &names);

        let hash = hash_blob(names.iter().map(|name| (name, name.repeat(2))));
        for (found, name) in elements(Type::Hash, &hash).unwrap().iter().zip(&names) {
            let Element::Field { name: field, value } = found else { panic!() };
            prop_assert_eq!((at(&hash, *field), at(&hash, *value)), (&name[..], &name.repeat(2)[..]));
        }

        let zset = zset_blob(names.iter().zip(scores.iter().copied()));
        for ((found, name), put) in elements(Type::Zset, &zset).unwrap().iter().zip(&names).zip(&scores) {
            let Element::Scored { member, score } = found else { panic!() };
            prop_assert_eq!((at(&zset, *member), score.to_bits()), (&name[..], put.to_bits()));
        }
    }

    #[test]
    fn stream_entries_come_with_their_id_and_message(ids in vec((any::<u64>(), any::<u64>()), 0..6)) {
        let texts: Vec<_> = ids.iter().map(|(ms, seq)| format!("{ms}-{seq}")).collect();
        let stream = stream_blob(texts.iter().map(|text| (text, vec!["n", "v"])));
        let found = elements(Type::Stream, &stream).unwrap();
        prop_assert_eq!(found.len(), ids.len());
        for (found, expected) in found.iter().zip(&ids) {
            let Element::Entry { id, message } = found else { panic!() };
            prop_assert_eq!(parse_id(at(&stream, *id)), Some(*expected));
            let mut json = Vec::new();
            entry::push_fields(at(&stream, *message), &mut json).unwrap();
            prop_assert_eq!(json, b"[{\"name\":\"n\",\"value\":\"v\"}]");
        }
    }
}

#[test]
fn an_empty_value_is_an_empty_collection_and_so_is_a_magic_alone() {
    for of in TYPES {
        assert_eq!(elements(of, b""), Ok(vec![]));
        assert_eq!(elements(of, &magic(of).0), Ok(vec![]));
    }
}

#[test]
fn another_beginning_than_the_magic_is_malformed() {
    for (of, name) in TYPES.iter().zip(["one-blob hash", "one-blob set", "one-blob zset", "one-blob stream"])
    {
        let (magic, _) = magic(*of);
        for bytes in [&magic[..3], b"\0", b"\0RQ\x01\x0a\x00", b"\0RH\x02", b"\x0a\x01m"] {
            assert_eq!(elements(*of, bytes), Err(Malformed::Magic(name)));
        }
    }
}

#[test]
fn protobuf_that_does_not_parse_is_malformed() {
    assert_eq!(elements(Type::Set, b"\0RS\x01\x0a\x05m"), Err(Malformed::Protobuf("one-blob set")));
    assert_eq!(elements(Type::Hash, b"\0RH\x01\x0a\x02\x0a\x05"), Err(Malformed::Protobuf("one-blob hash")));
    assert_eq!(elements(Type::Zset, b"\0RZ\x01\x0a\x02\x11\0"), Err(Malformed::Protobuf("one-blob zset")));
    assert_eq!(elements(Type::Stream, b"\0RX\x01\x0a\x02\x0a\x05"), Err(Malformed::Protobuf("stream entry")));
    assert_eq!(elements(Type::Stream, b"\0RX\x01\x0b"), Err(Malformed::Protobuf("one-blob stream")));
}

#[test]
fn absent_parts_have_their_defaults_and_the_last_of_several_counts() {
    let zset = b"\0RZ\x01\x0a\0\x0a\x03\x0a\x01m\
        \x0a\x18\x11\0\0\0\0\0\0\xf0\x3f\x11\0\0\0\0\0\0\0\xc0\x0a\x01a\x0a\x01b";
    let found: Vec<_> = elements(Type::Zset, zset).unwrap();
    let found: Vec<_> = found
        .iter()
        .map(|found| match found {
            Element::Scored { member, score } => (at(zset, *member), *score),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(found, [(&b""[..], 0.0), (b"m", 0.0), (b"b", -2.0)]);
}

#[test]
fn fields_of_unknown_numbers_or_other_wire_types_are_skipped() {
    assert_eq!(elements(Type::Set, b"\0RS\x01\x12\x01x\x08\x07\x0d\0\0\0\0"), Ok(vec![]));
}

#[test]
fn an_odd_entry_makes_the_stream_malformed() {
    let stream = stream_blob([("1-0", vec!["n"])]);
    assert_eq!(elements(Type::Stream, &stream), Err(Malformed::OddFields));
}

#[test]
fn an_entry_id_is_two_decimal_numbers_of_64_bits() {
    assert_eq!(parse_id(b"0-0"), Some((0, 0)));
    assert_eq!(parse_id(b"18446744073709551615-1"), Some((u64::MAX, 1)));
    assert_eq!(parse_id(b"007-01"), Some((7, 1)));
    let none: [&[u8]; 11] = [
        b"",
        b"-",
        b"1",
        b"1-",
        b"-1",
        b"1-2-3",
        b"+1-2",
        b"1-+2",
        b" 1-2",
        b"18446744073709551616-0",
        b"1-\xff",
    ];
    for text in none {
        assert_eq!(parse_id(text), None, "{}", text.escape_ascii());
    }
}
