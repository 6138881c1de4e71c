use super::*;
use proptest::prelude::*;

fn read_all(json: &[u8]) -> Result<(Manifest, Vec<Event>), String> {
    let (mut events, mut streamed) = (Vec::new(), Vec::new());
    let found = read(json, &mut |event| {
        events.push(event);
        Ok(())
    });
    let again = read_from(json, &mut |event| {
        streamed.push(event);
        Ok(())
    });
    assert_eq!(found.is_ok(), again.is_ok());
    if let (Ok(found), Ok(again)) = (&found, again) {
        assert_eq!((found, &events), (&again, &streamed));
    }
    found.map(|manifest| (manifest, events)).map_err(|error| error.to_string())
}

#[test]
fn vector_15_names_two_parts_of_three_chunks() {
    let json = br#"{"upload_id":"u","etag":"e4ea50498af83b0be404aa9bce4fceb7-2","size_bytes":9,"last_modified_hlc":114418306303918080,"content_type":"text/plain","parts":[{"part_no":1,"etag":"caa8c49580a5206478064621883d9928","size_bytes":7,"chunk_count":2,"chunk_sizes":[4,3],"part_version":77,"chunk_ref_version":70},{"part_no":5,"etag":"aa53ca0b650dfd85c4f59fa156f7a2cc","size_bytes":2,"chunk_count":1,"chunk_sizes":[2],"part_version":88,"chunk_ref_version":80}]}"#;
    let (manifest, events) = read_all(json).unwrap();
    assert_eq!(
        (&*manifest.upload_id, &*manifest.etag, manifest.size_bytes, manifest.last_modified_hlc),
        ("u", "e4ea50498af83b0be404aa9bce4fceb7-2", 9, 114_418_306_303_918_080)
    );
    assert_eq!((&*manifest.content_type, &*manifest.cache_control), ("text/plain", ""));
    let part = |part_no, etag: &str, size_bytes, chunks, part_version, chunk_ref_version| {
        let etag = etag.to_owned();
        let chunk_count = chunks;
        Event::Part(Part {
            part_no,
            etag,
            size_bytes,
            chunk_count,
            chunks,
            part_version,
            chunk_ref_version,
            offloaded: false,
        })
    };
    assert_eq!(
        events,
        [
            Event::Parts,
            Event::Chunks,
            Event::Chunk(4),
            Event::Chunk(3),
            part(1, "caa8c49580a5206478064621883d9928", 7, 2, 77, 70),
            Event::Chunks,
            Event::Chunk(2),
            part(5, "aa53ca0b650dfd85c4f59fa156f7a2cc", 2, 1, 88, 80),
        ]
    );
}

#[test]
fn fields_come_in_any_order_and_any_case_and_may_be_null() {
    let json = br#"{"PARTS":[{"Chunk_Sizes":null,"offloaded":true,"x":[{}]},null],"user_metadata":{"a":null,"b":"1","b":"2"},"Size_Bytes":-1,"content_type":null,"upload_id":"u"}"#;
    let (manifest, events) = read_all(json).unwrap();
    assert_eq!((manifest.size_bytes, &*manifest.upload_id), (-1, "u"));
    let metadata: Vec<_> = manifest.user_metadata.iter().map(|(name, value)| (&**name, &**value)).collect();
    assert_eq!(metadata, [("a", ""), ("b", "2")]);
    let part = Part { offloaded: true, ..Part::default() };
    assert_eq!(events, [Event::Parts, Event::Chunks, Event::Part(part), Event::Part(Part::default())]);
}

#[test]
fn of_two_lists_each_is_announced_so_that_the_last_can_count() {
    let json = br#"{"parts":[{"chunk_sizes":[1],"chunk_sizes":[2,3]}],"parts":null,"user_metadata":{"a":"1"},"user_metadata":{"b":"2"}}"#;
    let (manifest, events) = read_all(json).unwrap();
    let part = Part { chunks: 2, ..Part::default() };
    let mut expected =
        vec![Event::Parts, Event::Chunks, Event::Chunk(1), Event::Chunks, Event::Chunk(2), Event::Chunk(3)];
    expected.extend([Event::Part(part), Event::Parts]);
    assert_eq!(events, expected);
    assert_eq!(manifest.user_metadata.into_keys().collect::<Vec<_>>(), ["b"]);
}

#[test]
fn other_types_are_errors() {
    for json in [
        r#"{"parts":{}}"#,
        r#"{"parts":[[]]}"#,
        r#"{"parts":[{"chunk_sizes":["1"]}]}"#,
        r#"{"parts":[{"chunk_sizes":[-1]}]}"#,
        r#"{"parts":[{"offloaded":1}]}"#,
        r#"{"user_metadata":[]}"#,
        r#"{"user_metadata":{"a":1}}"#,
        r#"{"size_bytes":9223372036854775808}"#,
        r#"{"last_modified_hlc":"1"}"#,
    ] {
        assert!(read_all(json.as_bytes()).is_err(), "{json}");
    }
}

#[test]
fn metadata_that_no_header_could_bring_is_an_error() {
    let entries: Vec<_> = (0..200_000).map(|i| format!("\"{i}\":\"\"")).collect();
    let json = format!("{{\"user_metadata\":{{{}}}}}", entries.join(","));
    assert!(read_all(json.as_bytes()).unwrap_err().contains("longer than any header"));
}

#[test]
fn a_taker_that_has_enough_ends_the_reading() {
    let mut taken = 0;
    let result = read(br#"{"parts":[{},{},{}]}"#, &mut |_| {
        taken += 1;
        if taken == 2 { Err(Stop) } else { Ok(()) }
    });
    assert!(result.is_err());
    assert_eq!(taken, 2);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(text in "[\\[\\]{}:,\"0-9a-z_\\\\]{0,60}", noise in prop::collection::vec(any::<u8>(), 0..40)) {
        let _ = read_all(text.as_bytes());
        let _ = read_all(&[b"{\"parts\":[{\"etag\":\"", &noise[..], b"\"}]}"].concat());
        let _ = read_all(&noise);
    }
}
