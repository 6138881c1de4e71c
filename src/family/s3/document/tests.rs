use super::*;

#[test]
fn vector_14_times_have_as_many_digits_as_they_need() {
    for (hlc, time) in [
        (0, ""),
        (1, "1970-01-01T00:00:00Z"),
        (114_418_306_252_800_000, "2025-04-29T00:00:00Z"),
        (114_418_306_303_918_080, "2025-04-29T00:00:00.78Z"),
        (114_418_306_304_507_909, "2025-04-29T00:00:00.789Z"),
        (u64::MAX, "1970-01-01T00:00:00Z"),
        (u64::MAX - 1, "10889-08-02T05:31:50.655Z"),
        (253_402_300_799_999 << 16, "9999-12-31T23:59:59.999Z"),
        (253_402_300_800_000 << 16, "10000-01-01T00:00:00Z"),
        (240_779_520_000_000 << 16, "9600-01-01T00:00:00Z"),
        (240_779_519_999_999 << 16, "9599-12-31T23:59:59.999Z"),
    ] {
        assert_eq!(time_of(hlc), time);
    }
}

#[test]
fn vector_13_the_file_beside_a_body_has_exactly_these_bytes() {
    let document = ObjectDocument {
        etag: "d41d8cd98f00b204e9800998ecf8427e".into(),
        size_bytes: 0,
        last_modified_hlc: 114_418_306_304_507_909,
        headers: ["text/html".into(), "".into(), "a<b&c".into(), "".into()],
    };
    let mut out = Vec::new();
    push_object(&document, [("a", "q\"\\\u{1}\u{7f}"), ("z", "\u{2028}")], &mut out);
    let expected = "{\n  \"format_version\": 1,\n  \"etag\": \"d41d8cd98f00b204e9800998ecf8427e\",\n  \
        \"size_bytes\": 0,\n  \"last_modified\": \"2025-04-29T00:00:00.789Z\",\n  \"content_type\": \"text/html\",\n  \
        \"cache_control\": \"a\\u003cb\\u0026c\",\n  \"user_metadata\": {\n    \"a\": \"q\\\"\\\\\\u0001\u{7f}\",\n    \
        \"z\": \"\\u2028\"\n  }\n}";
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}

#[test]
fn vector_1_a_bucket_has_exactly_these_bytes() {
    let mut out = Vec::new();
    push_bucket(b"photos", 114_418_306_252_800_003, ["alice", "us-east-1", "public-read"], &mut out);
    let expected = "{\n  \"format_version\": 1,\n  \"name\": \"photos\",\n  \
        \"creation_time_iso\": \"2025-04-29T00:00:00Z\",\n  \"owner\": \"alice\",\n  \"region\": \"us-east-1\",\n  \
        \"acl\": \"public-read\"\n}";
    assert_eq!(String::from_utf8(out).unwrap(), expected);
    let mut out = Vec::new();
    push_bucket(b"a\xff&\xc3", 0, ["", "", ""], &mut out);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "{\n  \"format_version\": 1,\n  \"name\": \"a\\ufffd\\u0026\\ufffd\"\n}"
    );
}

#[test]
fn vector_27_a_record_holds_key_and_value_in_base64() {
    let mut key = b"!s3|upload|meta|b\0\x01".to_vec();
    key.extend(b"\0\0\0\0\0\0\0\x01o\0\x01u9\0\x01");
    let mut out = Vec::new();
    write_record("!s3|upload|meta|", &key, &b"{}"[..], &mut out).unwrap();
    assert_eq!(
        String::from_utf8(out).unwrap(),
        concat!(
            r#"{"prefix":"!s3|upload|meta|","key":"IXMzfHVwbG9hZHxtZXRhfGIAAQAAAAAAAAABbwABdTkAAQ==","value":"e30="}"#,
            "\n"
        )
    );
}
