use super::*;
use serde_json::json;

const FULL: &str = include_str!("full.json");
const MINIMAL: &str = include_str!("minimal.json");

fn counts(pairs: &[(&str, u64)]) -> Counts {
    Counts(pairs.iter().map(|&(name, count)| (name.to_owned(), count)).collect())
}

fn minimal() -> Manifest {
    let source = Source { fsm_path: "0000000000000001.fsm".to_owned(), fsm_crc32c: None };
    Manifest::new("2026-04-29T15:42:11.000Z".to_owned(), source)
}

fn full() -> Manifest {
    let path = "n1/group-1/fsm-snap/18432021.fsm";
    let source = Source { fsm_path: path.to_owned(), fsm_crc32c: Some(Crc32c(0x00ad_beef)) };
    let first = SourceEntry {
        fsm_path: path.to_owned(),
        fsm_crc32c: source.fsm_crc32c,
        snapshot_index: 18_432_021,
        last_commit_ts: 117_000_000_000_000,
        rows: 40,
    };
    let second = SourceEntry {
        fsm_path: "<b>&\u{2028}\u{2029}.fsm".to_owned(),
        fsm_crc32c: None,
        snapshot_index: 0,
        last_commit_ts: 0,
        rows: 0,
    };
    Manifest {
        elastickv_version: "v1.2.3".to_owned(),
        cluster_id: "prod \"eu\"".to_owned(),
        snapshot_index: 18_432_021,
        last_commit_ts: u64::MAX,
        adapters: Adapters {
            dynamodb: Some(DynamoDb { tables: vec!["orders".to_owned(), "users".to_owned()] }),
            s3: Some(S3 { buckets: vec!["photos".to_owned()] }),
            redis: Some(Redis { databases: vec![0] }),
            sqs: Some(Sqs::default()),
        },
        exclusions: Exclusions { include_orphans: true, rename_s3_collisions: true, ..Exclusions::default() },
        decode: Some(Decode {
            tool_version: "0.1.0".to_owned(),
            as_of: Some(117_000_000_000_000),
            rows: counts(&[("redis_hash_field", 30), ("bookkeeping", 10)]),
            keys: counts(&[("redis", 7)]),
            warnings: counts(&[]),
            quarantined_rows: 0,
            encrypted_rows: counts(&[("1", 792), ("4294967295", 1311)]),
            integrity: Integrity::NoFooter,
            drop_expired: true,
            sources: vec![first, second],
        }),
        ..Manifest::new("2026-04-29T15:42:11.094Z".to_owned(), source)
    }
}

/// The minimal manifest with one change, as bytes.
fn changed(change: impl FnOnce(&mut Map<String, Value>)) -> serde_json::Result<Vec<u8>> {
    let mut document = serde_json::from_str(MINIMAL)?;
    change(&mut document);
    serde_json::to_vec(&document)
}

#[test]
fn a_full_manifest_has_every_field_in_the_order_of_the_format() -> anyhow::Result<()> {
    assert_eq!(String::from_utf8(full().to_bytes()?)?, FULL);
    Ok(())
}

#[test]
fn a_minimal_manifest_leaves_out_what_is_unknown() -> anyhow::Result<()> {
    assert_eq!(String::from_utf8(minimal().to_bytes()?)?, MINIMAL);
    Ok(())
}

#[test]
fn an_adapter_that_was_asked_for_but_holds_nothing_is_an_empty_object() -> anyhow::Result<()> {
    let adapters = Adapters {
        dynamodb: Some(DynamoDb::default()),
        redis: Some(Redis::default()),
        ..Adapters::default()
    };
    assert_eq!(serde_json::to_string(&adapters)?, r#"{"dynamodb":{},"redis":{}}"#);
    Ok(())
}

#[test]
fn a_plain_decode_block_has_no_optional_field_but_a_null_as_of() -> anyhow::Result<()> {
    let decode = Decode {
        tool_version: "0.1.0".to_owned(),
        as_of: None,
        rows: Counts::default(),
        keys: Counts::default(),
        warnings: counts(&[("no_footer", 1)]),
        quarantined_rows: 2,
        encrypted_rows: Counts::default(),
        integrity: Integrity::Crc32cVerified,
        drop_expired: false,
        sources: Vec::new(),
    };
    let expected = concat!(
        r#"{"tool_version":"0.1.0","as_of":null,"rows":{},"keys":{},"warnings":{"no_footer":1},"#,
        r#""quarantined_rows":2,"integrity":"crc32c-verified"}"#
    );
    assert_eq!(serde_json::to_string(&decode)?, expected);
    Ok(())
}

#[test]
fn a_manifest_that_was_written_reads_back_as_itself() -> anyhow::Result<()> {
    for manifest in [minimal(), full()] {
        assert_eq!(Manifest::parse(&manifest.to_bytes()?)?, manifest);
    }
    Ok(())
}

#[test]
fn unknown_keys_are_ignored() -> anyhow::Result<()> {
    let bytes = changed(|document| {
        document.insert("live".to_owned(), json!({"a": [1]}));
        document["source"]["more"] = json!(1);
        document["adapters"]["other"] = json!({});
        document["exclusions"]["other"] = json!(true);
    })?;
    assert_eq!(Manifest::parse(&bytes)?, minimal());
    Ok(())
}

#[test]
fn a_missing_null_or_zero_format_version_is_refused() -> anyhow::Result<()> {
    let missing = changed(|document| drop(document.shift_remove("format_version")))?;
    let null = changed(|document| document["format_version"] = Value::Null)?;
    let zero = changed(|document| document["format_version"] = json!(0))?;
    for bytes in [missing, null, zero] {
        assert!(matches!(Manifest::parse(&bytes), Err(ManifestError::NoFormatVersion)));
    }
    for odd in [json!(-1), json!(1.5), json!("1")] {
        let bytes = changed(|document| document["format_version"] = odd)?;
        assert!(matches!(Manifest::parse(&bytes), Err(ManifestError::BadFormatVersion(_))));
    }
    Ok(())
}

#[test]
fn a_newer_format_is_refused_as_newer_whatever_else_it_holds() {
    let parsed = Manifest::parse(br#"{"format_version": 2, "phase": 7}"#);
    assert!(matches!(&parsed, Err(ManifestError::NewerFormat(2))));
    assert!(parsed.is_err_and(|error| error.to_string().contains("newer than this tool")));
}

#[test]
fn an_unknown_phase_is_refused() -> anyhow::Result<()> {
    let other = changed(|document| document["phase"] = json!("phase1-live"))?;
    let null = changed(|document| document["phase"] = Value::Null)?;
    let missing = changed(|document| drop(document.shift_remove("phase")))?;
    for (bytes, found) in [(other, "\"phase1-live\""), (null, "null"), (missing, "none")] {
        assert!(matches!(Manifest::parse(&bytes), Err(ManifestError::UnknownPhase(phase)) if phase == found));
    }
    Ok(())
}

#[test]
fn a_missing_section_is_refused() -> anyhow::Result<()> {
    for section in ["source", "adapters", "exclusions"] {
        let missing = changed(|document| drop(document.shift_remove(section)))?;
        let null = changed(|document| document[section] = Value::Null)?;
        for bytes in [missing, null] {
            let parsed = Manifest::parse(&bytes);
            assert!(matches!(parsed, Err(ManifestError::MissingSection(found)) if found == section));
        }
    }
    Ok(())
}

#[test]
fn a_missing_exclusion_flag_is_refused() -> anyhow::Result<()> {
    for flag in REQUIRED_EXCLUSIONS {
        let bytes = changed(|document| document["exclusions"][flag] = Value::Null)?;
        assert!(
            matches!(Manifest::parse(&bytes), Err(ManifestError::MissingExclusion(found)) if found == flag)
        );
    }
    let none = changed(|document| document["exclusions"] = json!({}))?;
    assert!(matches!(
        Manifest::parse(&none),
        Err(ManifestError::MissingExclusion("include_incomplete_uploads"))
    ));
    Ok(())
}

#[test]
fn trailing_bytes_are_refused_but_white_space_is_not() {
    let follow = |tail: &str| Manifest::parse(format!("{MINIMAL}{tail}").as_bytes());
    assert!(matches!(follow("{}"), Err(ManifestError::TrailingBytes)));
    assert!(matches!(follow("\0"), Err(ManifestError::TrailingBytes)));
    assert!(follow(" \n").is_ok());
}

#[test]
fn what_is_not_a_json_object_is_refused() {
    for bytes in [&b""[..], b"[]", b"null", b"{\"format_version\":1", b"\xff"] {
        assert!(matches!(Manifest::parse(bytes), Err(ManifestError::NotAnObject(_))));
    }
}

#[test]
fn a_field_of_another_type_is_refused() -> anyhow::Result<()> {
    for (field, odd) in [
        ("wall_time_iso", json!(5)),
        ("source", json!([])),
        ("source", json!({"fsm_path": "a", "fsm_crc32c": "+0adbeef"})),
        ("source", json!({"fsm_path": "a", "fsm_crc32c": "DEADBEEF"})),
        ("exclusions", json!(true)),
        ("last_commit_ts", json!(-1)),
    ] {
        let bytes = changed(|document| drop(document.insert(field.to_owned(), odd)))?;
        assert!(matches!(Manifest::parse(&bytes), Err(ManifestError::BadField(_))), "{field}");
    }
    Ok(())
}
