use std::io::Cursor;

use ekvsnap_testkit::protobuf::{bytes_field, double_field, varint};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// Every field of a message, or that it is none; strings as their spans.
fn fields(bytes: &[u8]) -> Option<Vec<(u64, Content, Span)>> {
    walk(Wire::new(bytes, 0, bytes.len() as u64))
}

fn walk<S: Source>(mut wire: Wire<S>) -> Option<Vec<(u64, Content, Span)>> {
    let mut found = Vec::new();
    loop {
        match wire.field() {
            Ok(None) => return Some(found),
            Ok(Some((number, content))) => {
                let span = match content {
                    Content::Delimited(length) => wire.string(length).unwrap(),
                    _ => Span::default(),
                };
                found.push((number, content, span));
            }
            Err(WireError::Malformed) => return None,
            Err(WireError::Io(error)) => panic!("{error}"),
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_a_message_or_none_and_spans_stay_inside(bytes in vec(any::<u8>(), 0..64)) {
        let found = fields(&bytes);
        for (_, _, span) in found.iter().flatten() {
            prop_assert!(span.start + span.length <= bytes.len() as u64);
        }
        // Small reads of a buffered source come to the same.
        let buffered = BufReader::with_capacity(3, Cursor::new(&bytes));
        prop_assert_eq!(walk(Wire::new(buffered, 0, bytes.len() as u64)), found);
    }

    #[test]
    fn fields_come_back_as_they_were_written(
        written in vec((1..1u32 << 29, vec(any::<u8>(), 0..200), any::<f64>(), any::<bool>()), 0..8),
    ) {
        let (mut out, mut expected) = (Vec::new(), Vec::new());
        for (number, bytes, double, as_double) in &written {
            if *as_double {
                double_field(&mut out, *number, *double);
                expected.push((u64::from(*number), Content::Fixed64(double.to_bits()), Span::default()));
            } else {
                bytes_field(&mut out, *number, bytes);
                let length = bytes.len() as u64;
                let span = Span { start: out.len() as u64 - length, length };
                expected.push((u64::from(*number), Content::Delimited(length), span));
            }
        }
        prop_assert_eq!(fields(&out), Some(expected));
    }

    #[test]
    fn a_varint_of_any_number_is_read(number: u64) {
        let mut out = vec![0x08];
        varint(&mut out, number);
        prop_assert_eq!(fields(&out), Some(vec![(1, Content::Varint(number), Span::default())]));
        out.pop();
        prop_assert_eq!(fields(&out), None);
    }
}

#[test]
fn other_wire_types_and_groups_are_passed_over() {
    let other = |number| (number, Content::Other, Span::default());
    assert_eq!(fields(b"\x0d\x01\x02\x03\x04"), Some(vec![other(1)]));
    // A group with a string, a number and a group inside.
    assert_eq!(
        fields(b"\x0b\x12\x01x\x18\x07\x23\x24\x0c\x10\x01"),
        Some(vec![other(1), (2, Content::Varint(1), Span::default())])
    );
}

#[test]
fn bytes_that_are_no_protobuf_are_malformed() {
    let cases: [(&[u8], &str); 13] = [
        (b"\x00", "field number 0"),
        (b"\x82\x80\x80\x80\x10\x00", "field number beyond 29 bits"),
        (b"\x0e", "wire type 6"),
        (b"\x0f", "wire type 7"),
        (b"\x0c", "the end of a group that never began"),
        (b"\x0b", "a group that never ends"),
        (b"\x0b\x14", "a group that ends under another number"),
        (b"\x0a", "no length"),
        (b"\x0a\x02x", "a length beyond the message"),
        (b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "a length that would wrap"),
        (b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", "a varint beyond 64 bits"),
        (b"\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", "a varint of eleven bytes"),
        (b"\x09\0\0\0\0\0\0\0", "a short 64-bit field"),
    ];
    for (bytes, why) in cases {
        assert_eq!(fields(bytes), None, "{why}");
    }
    assert_eq!(fields(&[0x0b; 1000]), None, "groups without end");
}

#[test]
fn a_message_inside_ends_where_its_length_says() {
    // Field 1 holds a message whose string claims one byte more than the message has.
    let bytes = b"\x0a\x03\x0a\x02xyyy";
    let mut wire = Wire::new(&bytes[..], 0, bytes.len() as u64);
    let Ok(Some((1, Content::Delimited(length)))) = wire.field() else { panic!() };
    let inner = wire.message(length, |wire| wire.field());
    assert!(matches!(inner, Err(WireError::Malformed)));
}

#[test]
fn a_source_that_ends_early_is_an_error_of_reading() {
    let mut wire = Wire::new(&b"\x08"[..], 0, 2);
    assert!(matches!(wire.field(), Err(WireError::Io(_))));
}

#[test]
fn a_span_outside_of_the_bytes_is_empty() {
    assert_eq!(Span { start: 1, length: 3 }.of(b"abc"), b"");
    assert_eq!(Span { start: u64::MAX, length: u64::MAX }.of(b"abc"), b"");
}
