use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// A table with this key and these definitions.
pub(in crate::family::dynamodb) fn table(
    hash_key: &str,
    range_key: Option<&str>,
    definitions: &[(&str, &str)],
) -> Schema {
    let primary_key =
        KeySchema { hash_key: hash_key.to_owned(), range_key: range_key.unwrap_or_default().to_owned() };
    Schema {
        table_name: "t".to_owned(),
        attribute_definitions: definitions
            .iter()
            .map(|(name, kind)| (name.to_string(), kind.to_string()))
            .collect(),
        primary_key: Some(primary_key),
        key_encoding_version: 2,
        generation: 1,
        ..Schema::default()
    }
}

fn document(schema: &Schema, layout: Layout) -> String {
    let mut out = Vec::new();
    schema.push_document(layout, &mut out);
    String::from_utf8(out).unwrap()
}

fn hex(digits: &str) -> Vec<u8> {
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

const V2: &str = "004453010a066f726465727312100a0b637573746f6d65725f6964120153120d0a086f726465725f747312014e120b0a067374617475731201531a170a0b637573746f6d65725f696412086f726465725f747322330a0962795f73746174757312260a120a0673746174757312086f726465725f747312100a07494e434c5544451205746f74616c28023803";

#[test]
fn v2_a_schema_decodes_to_the_document_of_the_specification() {
    let schema = Schema::decode_value(&hex(V2)).unwrap();
    assert_eq!((schema.key_encoding_version, schema.generation, schema.migrating_from_generation), (2, 3, 0));
    assert_eq!((schema.hash_key(), schema.range_key()), ("customer_id", Some("order_ts")));
    let expected = concat!(
        r#"{"format_version":1,"table_name":"orders","#,
        r#""primary_key":{"hash_key":{"name":"customer_id","type":"S"},"range_key":{"name":"order_ts","type":"N"}},"#,
        r#""attribute_definitions":[{"name":"customer_id","type":"S"},{"name":"order_ts","type":"N"},{"name":"status","type":"S"}],"#,
        r#""global_secondary_indexes":[{"name":"by_status","key_schema":{"hash_key":{"name":"status","type":"S"},"range_key":{"name":"order_ts","type":"N"}},"#,
        r#""projection":{"type":"INCLUDE","non_key_attributes":["total"]}}]}"#
    );
    assert_eq!(document(&schema, Layout::Compact), expected);
    assert_eq!(document(&schema, Layout::Indented(0)).len(), 813);
}

#[test]
fn v9_the_document_of_a_hash_only_table_is_that_of_the_specification() {
    let schema = Schema::decode_value(&hex("004453010a017412070a0269641201531a040a02696428023801")).unwrap();
    let text = document(&schema, Layout::Indented(0));
    assert_eq!(text.len(), 237);
    assert!(text.contains("    \"range_key\": {}\n  },\n  \"attribute_definitions\": [\n    {\n"));
    assert!(!text.contains("global_secondary_indexes"));
}

#[test]
fn section_5_row_13_a_blank_projection_type_is_all_without_attributes() {
    for kind in ["", "  \t"] {
        let mut schema = table("id", None, &[]);
        let projection =
            Projection { projection_type: kind.to_owned(), non_key_attributes: vec!["a".to_owned()] };
        let index = Index { key_schema: None, projection: Some(projection) };
        schema.global_secondary_indexes.insert("i".to_owned(), index);
        let text = document(&schema, Layout::Compact);
        assert!(text.contains(r#""projection":{"type":"ALL"}"#), "{text}");
        assert!(text.contains(r#""key_schema":{"hash_key":{},"range_key":{}}"#), "{text}");
        // Types that are not declared are left out, and there are none at all.
        assert!(
            text.contains(r#""hash_key":{"name":"id"},"range_key":{}},"attribute_definitions":[]"#),
            "{text}"
        );
    }
    let mut schema = table("id", None, &[]);
    schema.global_secondary_indexes.insert("i".to_owned(), Index::default());
    assert!(document(&schema, Layout::Compact).contains(r#""projection":{"type":"ALL"}"#));
}

#[test]
fn an_empty_type_is_written_where_it_is_defined_and_left_out_where_it_is_used() {
    let text = document(&table("id", None, &[("id", ""), ("<", ">")]), Layout::Compact);
    assert!(text.contains(r#""hash_key":{"name":"id"}"#), "{text}");
    assert!(text.contains(r#"[{"name":"\u003c","type":"\u003e"},{"name":"id","type":""}]"#), "{text}");
}

#[test]
fn each_broken_rule_of_a_schema_has_its_own_words() {
    for (value, rule) in [
        (&b""[..], Malformed::Magic(NAME)),
        (b"\0DI\x01", Malformed::Magic(NAME)),
        (b"\0DS\x01\x0a\x05t", Malformed::Protobuf(NAME)),
        (b"\0DS\x01\x08\x01", Malformed::Protobuf(NAME)),
        (b"\0DS\x01\x0a\x01\xff", Malformed::NotUtf8(NAME)),
        (b"\0DS\x01\x12\x06\x0a\x01a\x12\x01\xff", Malformed::NotUtf8(NAME)),
        (b"{\"table_name\":\"\xff\"}", Malformed::NotUtf8(NAME)),
        (b"\0DS\x01\x28\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", Malformed::KeyEncodingVersion(1 << 63)),
        (b"{\"key_encoding_version\":9223372036854775808}", Malformed::KeyEncodingVersion(1 << 63)),
    ] {
        assert_eq!(Schema::decode_value(value), Err(rule), "{}", value.escape_ascii());
    }
    for value in
        [&b"{"[..], b"{}x", b"{\"table_name\":1}", b"{\"generation\":-1}", b"{\"primary_key\":\"id\"}"]
    {
        let refused = Schema::decode_value(value);
        assert!(matches!(refused, Err(Malformed::Json { .. })), "{}: {refused:?}", value.escape_ascii());
    }
}

#[test]
fn section_5_row_18_a_schema_of_older_nodes_is_read_in_both_of_its_forms() {
    let json = br#"{"table_name":"orders","attribute_definitions":{"customer_id":"S","order_ts":"N","status":"S"},
        "primary_key":{"hash_key":"customer_id","range_key":"order_ts"},"global_secondary_indexes":{"by_status":{
        "key_schema":{"hash_key":"status","range_key":"order_ts"},
        "projection":{"projection_type":"INCLUDE","non_key_attributes":["total"]}}},
        "key_encoding_version":1,"key_encoding_version":2,"generation":3,"other":null}"#;
    assert_eq!(Schema::decode_value(json), Schema::decode_value(&hex(V2)));
    let oldest = br#"{"table_name":"t","primary_key":{"hash_key":"id"},
        "global_secondary_indexes":{"g":{"hash_key":"a","range_key":"b"}},"attribute_definitions":null}"#;
    let schema = Schema::decode_value(oldest).unwrap();
    assert!(!schema.is_ordered());
    assert_eq!((schema.hash_key(), schema.range_key(), schema.generation), ("id", None, 0));
    let text = document(&schema, Layout::Compact);
    let index = r#"{"name":"g","key_schema":{"hash_key":{"name":"a"},"range_key":{"name":"b"}},"projection":{"type":"ALL"}}"#;
    assert!(text.contains(index), "{text}");
}

#[test]
fn unknown_fields_are_ignored_parts_are_merged_and_later_versions_are_read_as_two() {
    let value = b"\0DS\x01\x1a\x04\x0a\x02id\x1a\x03\x12\x01r\x28\x09\x7a\x01x\x0a\x01a\x0a\x01t";
    let schema = Schema::decode_value(value).unwrap();
    assert_eq!((schema.hash_key(), schema.range_key(), &schema.table_name[..]), ("id", Some("r"), "t"));
    assert!(schema.is_ordered());
}

proptest! {
    #[test]
    fn no_bytes_make_the_decoder_panic(rest in vec(any::<u8>(), 0..40)) {
        for magic in [MAGIC, b"{", b""] {
            if let Ok(schema) = Schema::decode_value(&[magic, &rest].concat()) {
                document(&schema, Layout::Indented(0));
            }
        }
    }
}
