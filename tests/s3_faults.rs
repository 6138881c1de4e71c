//! Objects of which something is missing or wrong are reported and not written; an MD5 that disagrees is only reported
//! (`docs/format/s3.md` section 2.10). What breaks the format of a row follows `--on-error`.

mod support;

use ekvsnap::error::Error;
use ekvsnap_testkit::s3_rows::{Part, Upload, bucket_key, chunk_ref, chunkblob_key};
use sha2::{Digest, Sha256};
use support::s3::{at, bucket, dump, dump_versions, head, md5, object, put};
use support::{Dump, How, Row, S3, decode, snapshot};

const QUARANTINE: How = How { quarantine: true, ..S3 };

/// A part of number 1 without versions.
fn part(chunks: &[u64], etag: &str) -> Part {
    Part { number: 1, etag: etag.to_owned(), chunks: chunks.to_vec(), ..Part::default() }
}

/// The dump of bucket `b` with a whole object `whole` beside these rows.
fn beside(rows: Vec<Row>) -> Dump {
    let dump = dump(&[bucket(1), put(object(b"whole"), b"whole"), rows].concat());
    assert_eq!(dump.files["b/whole"], b"whole");
    dump
}

/// Object `k` is not written, for this reason alone.
#[track_caller]
fn assert_fault(rows: Vec<Row>, kind: &'static str, sample: &str) {
    let dump = beside(rows);
    assert!(!dump.files.keys().any(|path| path.starts_with("b/k")), "{:?}", dump.files.keys());
    assert_eq!(dump.samples(kind), [sample]);
    dump.assert_warnings(&[(kind, 1)]);
    assert!(dump.report.is_incomplete());
    assert_eq!(dump.ask("SELECT kind FROM s3_faults"), [format!("Text({kind:?})")]);
    assert_eq!(dump.manifest["decode"]["keys"]["s3"], 2);
}

#[test]
fn a_missing_chunk_names_bucket_key_part_and_chunk() {
    let upload = object(b"k");
    let rows = vec![
        (upload.head_key(), upload.manifest("", 0, &[part(&[1, 2, 3], "")], "")),
        (upload.chunk_key(1, 0, 0), b"a".to_vec()),
        (upload.chunk_key(1, 2, 0), b"ccc".to_vec()),
    ];
    assert_fault(rows, "s3_missing_chunk", "bucket b, key k, part 1, chunk 1: its 2 bytes are missing");
}

#[test]
fn a_short_or_long_chunk_is_never_a_file_of_the_wrong_length() {
    for (bytes, length) in [(&b"ab"[..], 2), (b"abcd", 4), (b"", 0)] {
        let upload = object(b"k");
        let rows = vec![
            (upload.head_key(), upload.manifest("", 0, &[part(&[3], "")], "")),
            (upload.chunk_key(1, 0, 0), bytes.to_vec()),
        ];
        let sample = format!("bucket b, key k, part 1, chunk 0: it has {length} bytes instead of 3");
        assert_fault(rows, "s3_size_mismatch", &sample);
    }
}

/// Row 20 of `docs/format/s3.md` section 4.
#[test]
fn a_size_that_the_parts_do_not_add_up_to_is_a_fault() {
    let upload = object(b"k");
    let json = |size: i64, part: i64| {
        format!(
            r#"{{"upload_id":"u","size_bytes":{size},"parts":[{{"part_no":1,"size_bytes":{part},"chunk_count":1,"chunk_sizes":[3]}}]}}"#
        )
    };
    let rows = |json: String| {
        vec![(upload.head_key(), json.into_bytes()), (upload.chunk_key(1, 0, 0), b"abc".to_vec())]
    };
    assert_fault(
        rows(json(99, 3)),
        "s3_size_mismatch",
        "bucket b, key k: its parts add up to 3 bytes, it says that it has 99",
    );
    assert_fault(
        rows(json(4, 4)),
        "s3_size_mismatch",
        "bucket b, key k, part 1: its chunks add up to 3 bytes, it says that it has 4",
    );
    let empty = vec![(upload.head_key(), br#"{"upload_id":"u","size_bytes":-1}"#.to_vec())];
    assert_fault(
        empty,
        "s3_size_mismatch",
        "bucket b, key k: its parts add up to 0 bytes, it says that it has -1",
    );
}

#[test]
fn sums_of_hostile_sizes_do_not_overflow() {
    let upload = object(b"k");
    let json = format!(
        r#"{{"upload_id":"u","size_bytes":{0},"parts":[{{"part_no":1,"size_bytes":{0},"chunk_sizes":[{1},{1},{1}]}},{{"part_no":2,"size_bytes":{0}}}]}}"#,
        i64::MAX,
        u64::MAX
    );
    let dump = beside(vec![(upload.head_key(), json.into_bytes())]);
    // Two parts and the whole are of another size.
    dump.assert_warnings(&[("s3_chunk_count_mismatch", 1), ("s3_missing_chunk", 3), ("s3_size_mismatch", 3)]);
}

/// Row 21: nothing is put together from a count.
#[test]
fn a_part_that_counts_chunks_and_lists_none_has_none() {
    let upload = object(b"k");
    let json = |size| {
        format!(
            r#"{{"upload_id":"u","size_bytes":{size},"parts":[{{"part_no":1,"size_bytes":{size},"chunk_count":1}}]}}"#
        )
    };
    let rows = |size| {
        let chunk = (upload.chunk_key(1, 0, 0), b"abc".to_vec());
        vec![(upload.head_key(), json(size).into_bytes()), chunk]
    };
    let dump = beside(rows(0));
    assert_eq!(dump.files["b/k"], b"");
    dump.assert_warnings(&[("s3_chunk_count_mismatch", 1), ("s3_orphan_chunks", 1)]);
    let dump = beside(rows(3));
    assert!(!dump.files.contains_key("b/k"));
    dump.assert_warnings(&[("s3_chunk_count_mismatch", 1), ("s3_orphan_chunks", 1), ("s3_size_mismatch", 1)]);
}

#[test]
fn an_empty_object_may_have_a_part() {
    let upload = object(b"k");
    let part = Part { number: 1, etag: md5(b""), ..Part::default() };
    let manifest = upload.manifest("59adb24ef3cdbe0297f05b395827453f-1", 0, &[part], "");
    let dump = beside(vec![(upload.head_key(), manifest)]);
    assert_eq!(dump.files["b/k"], b"");
    dump.assert_warnings(&[]);
}

#[test]
fn an_md5_that_disagrees_is_reported_and_the_object_written() {
    let upload = object(b"k");
    let wrong = md5(b"other");
    let chunk = (upload.chunk_key(1, 0, 0), b"abc".to_vec());
    for (etag, of_part, faults) in [
        (&*md5(b"abc"), &*md5(b"abc"), 0),
        (&*md5(b"abc").to_uppercase(), "", 0),
        (&wrong, &wrong, 1),
        (&wrong, "", 1),
        (&wrong, &*md5(b"abc"), 1),
        ("x", &*md5(b"abc"), 0),
        ("x", &wrong, 1),
        ("900150983cd24fb0d6963f7d28e17f72-7", "x", 0),
        // Of one part.
        ("900150983cd24fb0d6963f7d28e17f72-1", &*md5(b"abc"), 1),
    ] {
        let head = (upload.head_key(), upload.manifest(etag, 0, &[part(&[3], of_part)], ""));
        let dump = beside(vec![head, chunk.clone()]);
        assert_eq!(dump.files["b/k"], b"abc");
        let expected: &[_] = if faults == 0 { &[] } else { &[("s3_md5_mismatch", faults)] };
        dump.assert_warnings(expected);
        assert!(!dump.report.is_incomplete());
    }
}

#[test]
fn a_reference_that_cannot_be_read_or_is_to_another_size_is_a_fault() {
    let upload = object(b"k");
    let digest: [u8; 32] = Sha256::digest(b"abc").into();
    let offloaded = Part { ref_version: 9, offloaded: true, ..part(&[3], "") };
    let rows = |reference: Option<Vec<u8>>, blob: &[u8]| {
        let mut rows =
            vec![(upload.head_key(), upload.manifest("", 0, std::slice::from_ref(&offloaded), ""))];
        rows.extend(reference.map(|value| (upload.chunk_ref_key(1, 0, 9), value)));
        rows.push((chunkblob_key(&Sha256::digest(blob).into()), blob.to_vec()));
        rows
    };
    assert_fault(
        rows(Some(b"\x03x".to_vec()), b"abc"),
        "s3_invalid_chunk_ref",
        "bucket b, key k, part 1, chunk 0: a chunk reference of version 3; 1 and 2 are known",
    );
    assert_fault(
        rows(Some(chunk_ref(&digest, 4, b"n", &[])), b"abc"),
        "s3_size_mismatch",
        "bucket b, key k, part 1, chunk 0: its reference is to 4 bytes instead of 3",
    );
    let other: [u8; 32] = Sha256::digest(b"abcd").into();
    assert_fault(
        rows(Some(chunk_ref(&other, 3, b"n", &[])), b"abcd"),
        "s3_size_mismatch",
        "bucket b, key k, part 1, chunk 0: the bytes under its digest are 4 instead of 3",
    );
    assert_fault(
        rows(None, b"abc"),
        "s3_missing_chunk",
        "bucket b, key k, part 1, chunk 0: the reference to its 3 bytes is missing",
    );
}

#[test]
fn a_reference_that_no_object_needs_may_hold_anything() {
    let dump = beside(vec![(object(b"gone").chunk_ref_key(1, 0, 9), b"\x03x".to_vec())]);
    dump.assert_warnings(&[("s3_orphan_chunks", 1)]);
}

#[test]
fn an_object_that_is_not_written_still_has_its_place() {
    // `k` is a folder on a node that has all chunks, so it has to be one here.
    let rows = [bucket(1), put(object(b"k"), b"file"), vec![head(object(b"k/damaged"), b"gone")]];
    let dump = dump(&rows.concat());
    assert_eq!(dump.files["b/k.elastickv-leaf-data"], b"file");
    dump.assert_warnings(&[("s3_missing_chunk", 1)]);
}

#[test]
fn two_manifests_may_name_the_same_blob_and_each_is_checked() {
    let digest: [u8; 32] = Sha256::digest(b"abc").into();
    let offloaded = Part { ref_version: 9, offloaded: true, ..part(&[3], "") };
    let mut rows = vec![(chunkblob_key(&digest), b"abc".to_vec())];
    for key in [b"k1", b"k2"] {
        let upload = object(key);
        rows.push((upload.head_key(), upload.manifest("", 0, std::slice::from_ref(&offloaded), "")));
        rows.push((upload.chunk_ref_key(1, 0, 9), chunk_ref(&digest, 3, b"n", &[])));
    }
    let dump = beside(rows);
    assert_eq!((&*dump.files["b/k1"], &*dump.files["b/k2"]), (&b"abc"[..], &b"abc"[..]));
    dump.assert_warnings(&[]);
}

/// Rows that break the format, and how the rule is told.
fn malformed() -> Vec<(Row, &'static str)> {
    let upload = object(b"k");
    let cut = |key: Vec<u8>| key[..key.len() - 1].to_vec();
    vec![
        ((cut(upload.chunk_key(1, 2, 3)), vec![]), "the row key does not have the layout of an S3 chunk"),
        ((cut(upload.head_key()), vec![]), "the row key does not have the layout of an S3 object manifest"),
        ((cut(upload.meta_key()), vec![]), "the row key does not have the layout of an S3 upload"),
        (
            (upload.head_key(), b"{".to_vec()),
            "the manifest cannot be read: EOF while parsing an object at line 1 column 1",
        ),
        (
            (bucket_key(b"c"), b"[]".to_vec()),
            "the value of the bucket cannot be read: invalid type: sequence, expected an object at line 1 column 2",
        ),
        (
            (upload.head_key(), [b"{\"etag\":1,\"x\":\"".as_slice(), &b"x".repeat(100_000), b"\"}"].concat()),
            "the manifest cannot be read: invalid type: integer `1`, expected a string at line 1 column 10",
        ),
    ]
}

#[test]
fn a_malformed_row_stops_the_run_and_is_named() {
    for (row, rule) in malformed() {
        let rows = [bucket(1), vec![row.clone()]].concat();
        let Err(Error::MalformedRow { key, rule: found, .. }) = decode(&[snapshot(&rows)], S3) else {
            panic!("{rule} was not noticed")
        };
        assert_eq!(found.to_string(), rule);
        assert!(key.starts_with(if row.0.starts_with(b"!s3|b") { "!s3|b" } else { "!s3|" }), "{key}");
    }
}

#[test]
fn a_malformed_row_goes_to_the_quarantine_as_it_stands_in_its_file() {
    for (row, rule) in malformed() {
        let rows = [bucket(1), put(object(b"other"), b"x"), vec![row.clone()]].concat();
        let file = snapshot(&rows);
        let dump = decode(std::slice::from_ref(&file), QUARANTINE).unwrap();
        assert_eq!(dump.files.len(), 3, "{rule}");
        dump.assert_warnings(&[("quarantined_row", 1)]);
        let (offset, raw_key, raw_value): (i64, Vec<u8>, rusqlite::types::Value) = dump
            .staging
            .query_row("SELECT byte_offset, raw_key, raw_value FROM quarantine", [], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })
            .unwrap();
        // Length of the key, key, length of the value, value.
        let stored = &file[offset as usize + 8..];
        assert_eq!(stored[..raw_key.len()], raw_key);
        if let rusqlite::types::Value::Blob(value) = raw_value {
            assert_eq!(stored[raw_key.len() + 8..][..value.len()], value);
            assert_eq!(value.len(), row.1.len() + 9);
        } else {
            assert!(row.1.len() > 32 << 10);
        }
    }
}

#[test]
fn a_bucket_that_cannot_be_read_has_no_objects() {
    let rows = [vec![(bucket_key(b"b"), b"{".to_vec())], put(object(b"k"), b"x")].concat();
    let dump = decode(&[snapshot(&rows)], QUARANTINE).unwrap();
    dump.assert_files::<&str>(&[]);
    dump.assert_warnings(&[("quarantined_row", 1), ("s3_object_without_bucket", 1), ("s3_orphan_chunks", 1)]);
}

#[test]
fn a_bucket_whose_name_is_no_folder_is_refused_with_all_that_is_in_it() {
    for name in [&b""[..], b".", b".."] {
        let upload = Upload { bucket: name, ..object(b"k") };
        let rows = [vec![(bucket_key(name), b"{\"generation\":1}".to_vec())], put(upload, b"x")].concat();
        let dump = dump_versions(&at(10, rows), How { include_orphans: true, ..S3 });
        dump.assert_files::<&str>(&[]);
        assert_eq!(dump.warnings["s3_bucket_refused"], 1);
        assert!(dump.report.is_incomplete());
    }
}

#[test]
fn a_manifest_larger_than_any_row_that_is_copied_is_read_as_well() {
    // 5,000 parts, and a list of parts that does not count before them.
    let upload = object(b"k");
    let parts: Vec<_> =
        (1..=5000).map(|number| Part { number, chunks: vec![1], version: 7, ..Part::default() }).collect();
    let manifest = String::from_utf8(upload.manifest("e", 0, &parts, "")).unwrap();
    let manifest = manifest.replace("\"parts\"", r#""parts":[{"part_no":9,"chunk_sizes":[5,5]},{}],"parts""#);
    let mut rows = vec![(upload.head_key(), manifest.into_bytes())];
    rows.extend((1..=5000).map(|number| (upload.chunk_key(number, 0, 7), vec![number as u8])));
    let dump = beside(rows);
    let expected: Vec<u8> = (1..=5000).map(|number| number as u8).collect();
    assert!(dump.files["b/k"] == expected);
    dump.assert_warnings(&[]);
}
