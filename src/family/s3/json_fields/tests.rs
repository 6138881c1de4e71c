use super::*;
use crate::family::s3::bucket::BucketMeta;

fn bucket(json: &[u8]) -> Result<BucketMeta, String> {
    let (mut in_memory, mut streamed) = (BucketMeta::default(), BucketMeta::default());
    let result = read_slice(json, &mut in_memory).map_err(|error| error.to_string());
    assert_eq!(read_stream(json, &mut streamed).is_ok(), result.is_ok());
    result.map(|()| {
        assert_eq!(in_memory, streamed);
        in_memory
    })
}

#[test]
fn names_match_in_any_case_and_the_last_of_several_counts() {
    let meta =
        bucket(br#"{"Generation":1,"ACL":"private","generation":2,"acl":"public-read","RE\u0047ION":"r"}"#);
    let meta = meta.unwrap();
    assert_eq!((meta.generation, &*meta.acl.0, &*meta.region.0), (2, "public-read", "r"));
}

#[test]
fn null_changes_nothing_and_unknown_fields_are_passed_over() {
    let meta = bucket(
        br#" {"generation":3,"generation":null,"owner":null,"x":{"generation":[[{}]]}, "y":"\ud800"} "#,
    );
    assert_eq!(meta.unwrap(), BucketMeta { generation: 3, ..BucketMeta::default() });
    assert_eq!(bucket(b"null").unwrap(), BucketMeta::default());
}

#[test]
fn what_is_no_utf8_becomes_a_replacement_character() {
    let owner = |json: &[u8]| bucket(&[br#"{"owner":""#, json, br#""}"#].concat()).unwrap().owner.0;
    assert_eq!(owner(b"a\xff\xfeb"), "a\u{fffd}\u{fffd}b");
    assert_eq!(owner("é\u{2028}".as_bytes()), "é\u{2028}");
    assert_eq!(owner(br"\ufffd\u0000\u00e9"), "\u{fffd}\0é");
    assert_eq!(owner(br"x\ud800y\udc00"), "x\u{fffd}y\u{fffd}");
    assert_eq!(owner(br"\ud83d\ude00"), "😀");
}

#[test]
fn other_types_and_what_is_no_json_are_errors() {
    for json in [
        &b""[..],
        b"{",
        b"[]",
        b"7",
        b"\"x\"",
        b"{} x",
        b"{\"generation\":\"1\"}",
        b"{\"generation\":-1}",
        b"{\"generation\":1.5}",
        b"{\"generation\":18446744073709551616}",
        b"{\"acl\":1}",
        b"{\"bucket_name\":[]}",
        b"{\"generation\":1,}",
    ] {
        assert!(bucket(json).is_err(), "{}", json.escape_ascii());
    }
    assert_eq!(bucket(br#"{"generation":18446744073709551615}"#).unwrap().generation, u64::MAX);
}

#[test]
fn a_stream_of_endless_strings_or_depth_is_not_taken_in() {
    let endless = |opening: &'static [u8], byte| opening.chain(io::repeat(byte));
    for (opening, byte) in
        [(&b"{\"owner\":\""[..], b'x'), (b"{\"", b'x'), (b"{\"x\":", b'['), (b"{\"x\":\"", b'\\')]
    {
        let error = read_stream(endless(opening, byte), &mut BucketMeta::default());
        // An endless row of escapes is a string of half as many characters.
        assert!(error.is_err(), "{}", opening.escape_ascii());
    }
}
