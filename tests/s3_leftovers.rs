//! Uploads in flight and chunks without an object: reported, and written if that is asked for (`docs/format/s3.md`
//! sections 3.6 and 3.7).

#![allow(clippy::unwrap_used, reason = "this is test code, if not inside a test function")]

mod support;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ekvsnap_testkit::s3_rows::{Part, Upload, chunk_ref, chunkblob_key};
use ekvsnap_testkit::version::Version;
use sha2::{Digest, Sha256};
use support::s3::{at, bucket, dump_versions, object, put};
use support::{Dump, How, Row, S3};

const UPLOADS: How = How { include_incomplete_uploads: true, ..S3 };
const ORPHANS: How = How { include_orphans: true, ..S3 };

fn record(prefix: &str, (key, value): &Row) -> String {
    let (key, value) = (STANDARD.encode(key), STANDARD.encode(value));
    format!("{{\"prefix\":\"{prefix}\",\"key\":\"{key}\",\"value\":\"{value}\"}}\n")
}

fn records(dump: &Dump) -> String {
    let found = dump.files.get("b/_incomplete_uploads/records.jsonl");
    String::from_utf8(found.cloned().unwrap_or_default()).unwrap()
}

/// The orphans by path below the folder of bucket `b`.
fn orphans(dump: &Dump) -> Vec<(&str, &[u8])> {
    let below =
        dump.files.iter().filter_map(|(path, bytes)| Some((path.strip_prefix("b/_orphans/")?, &**bytes)));
    below.collect()
}

#[test]
fn vector_27_uploads_in_flight_are_written_as_they_are_and_in_their_order() {
    let meta = |upload: Upload<'_>, value: &[u8]| (upload.meta_key(), value.to_vec());
    let part = |upload: Upload<'_>, number| (upload.part_key(number), b"{\"part_no\":1}".to_vec());
    let (first, second) = (Upload { id: b"u9", ..object(b"o") }, Upload { id: b"u1", ..object(b"o\0") });
    // The order of the rows is not that of the names: a NUL is escaped.
    let rows = [
        meta(first, b"{}"),
        meta(second, &b"x".repeat(50_000)),
        part(first, 2),
        part(first, 300),
        part(second, 1),
    ];
    let chunk = (first.chunk_key(2, 0, 7), b"bytes of a part".to_vec());
    let garbage = part(object(b"completed"), 1);
    let versions = at(10, [bucket(1), rows.to_vec(), vec![chunk, garbage]].concat());
    let dump = dump_versions(&versions, UPLOADS);
    let expected: String = rows
        .iter()
        .enumerate()
        .map(|(i, row)| record(if i < 2 { "!s3|upload|meta|" } else { "!s3|upload|part|" }, row))
        .collect();
    assert_eq!(records(&dump), expected);
    assert!(expected.starts_with(
        r#"{"prefix":"!s3|upload|meta|","key":"IXMzfHVwbG9hZHxtZXRhfGIAAQAAAAAAAAABbwABdTkAAQ==","value":"e30="}"#
    ));
    // A chunk of an upload in flight is no orphan.
    dump.assert_warnings(&[]);
    assert_eq!(dump.manifest["exclusions"]["include_incomplete_uploads"], true);
    let without = dump_versions(&versions, S3);
    assert_eq!(records(&without), "");
    assert_eq!(without.manifest["exclusions"]["include_incomplete_uploads"], false);
    assert_eq!(
        dump.ask("SELECT object || ' ' || upload_id || ' ' || parts FROM s3_open_uploads"),
        ["Text(\"o u9 2\")", "Text(\"X'6F00' u1 1\")"]
    );
}

/// Row 27 of `docs/format/s3.md` section 4.
#[test]
fn an_upload_that_was_finished_or_is_of_another_generation_is_not_in_flight() {
    let finished = object(b"o");
    let stale = Upload { generation: 2, ..object(b"stale") };
    let mut versions = at(
        10,
        [bucket(1), vec![(finished.meta_key(), b"{}".to_vec()), (stale.meta_key(), b"{}".to_vec())]].concat(),
    );
    versions.push(Version::tombstone(finished.meta_key(), 20));
    versions.extend(at(10, vec![(finished.chunk_key(1, 0, 3), b"aborted".to_vec())]));
    let dump = dump_versions(&versions, UPLOADS);
    assert_eq!(records(&dump), "");
    dump.assert_warnings(&[("s3_orphan_chunks", 1)]);
}

#[test]
fn vector_28_an_orphan_is_a_file_of_its_own_if_that_is_asked_for() {
    let orphan = (object(b"g/h").chunk_key(1, 0, 9), b"x".to_vec());
    let versions = at(10, [bucket(1), vec![orphan]].concat());
    let dump = dump_versions(&versions, ORPHANS);
    let path = "g%2Fh/gen-1/u_0000000000000001_0000000000000000_0000000000000009.bin";
    assert_eq!(orphans(&dump), [(path, &b"x"[..])]);
    dump.assert_warnings(&[("s3_orphan_chunks", 1)]);
    assert_eq!(dump.samples("s3_orphan_chunks"), ["bucket b, key g/h, generation 1: 1 chunks"]);
    assert_eq!(dump.manifest["exclusions"]["include_orphans"], true);
    assert!(!dump.report.is_incomplete());
    let without = dump_versions(&versions, S3);
    assert_eq!(orphans(&without), []);
    without.assert_warnings(&[("s3_orphan_chunks", 1)]);
    assert_eq!(
        without.ask("SELECT object || ' ' || part || ' ' || chunk || ' ' || version || ' ' || bytes FROM s3_orphan_chunks"),
        ["Text(\"g/h 1 0 9 1\")"]
    );
}

/// Row 28.
#[test]
fn leftovers_of_live_objects_and_offloaded_ones_are_orphans_too() {
    let digest: [u8; 32] = Sha256::digest(b"offloaded").into();
    let lost: [u8; 32] = Sha256::digest(b"lost").into();
    let live = object(b"k");
    let old = Upload { id: b"old", ..live };
    let rows = [
        bucket(1),
        put(live, b"live"),
        vec![
            (old.chunk_key(1, 0, 0), b"overwritten".to_vec()),
            (live.chunk_key(2, 0, 7), b"unnamed part".to_vec()),
            (live.chunk_key(1, 0, 7), b"other version".to_vec()),
            (live.chunk_key(1, 1, 0), b"beyond the list".to_vec()),
            (live.chunk_ref_key(1, 0, 0), chunk_ref(&digest, 9, b"n", &[])),
            (live.chunk_ref_key(1, 1, 0), chunk_ref(&lost, 4, b"n", &[])),
            (chunkblob_key(&digest), b"offloaded".to_vec()),
        ],
    ];
    let dump = dump_versions(&at(10, rows.concat()), ORPHANS);
    let zero = "0000000000000000";
    let expected = [
        (format!("k/gen-1/old_0000000000000001_{zero}_{zero}.bin"), &b"overwritten"[..]),
        (format!("k/gen-1/ref_u_0000000000000001_{zero}_{zero}.bin"), b"offloaded"),
        (format!("k/gen-1/u_0000000000000001_{zero}_0000000000000007.bin"), b"other version"),
        (format!("k/gen-1/u_0000000000000001_0000000000000001_{zero}.bin"), b"beyond the list"),
        (format!("k/gen-1/u_0000000000000002_{zero}_0000000000000007.bin"), b"unnamed part"),
    ];
    assert_eq!(orphans(&dump), expected.each_ref().map(|(path, bytes)| (path.as_str(), *bytes)));
    dump.assert_warnings(&[("s3_orphan_chunks", 6), ("s3_orphan_without_chunkblob", 1)]);
    assert!(!dump.report.is_incomplete());
}

#[test]
fn chunks_of_an_object_that_could_not_be_written_are_no_orphans() {
    let upload = object(b"k");
    let part = Part { number: 1, chunks: vec![1, 1], ..Part::default() };
    let rows = vec![
        (upload.head_key(), upload.manifest("", 0, &[part], "")),
        (upload.chunk_key(1, 0, 0), b"x".to_vec()),
    ];
    let dump = dump_versions(&at(10, [bucket(1), rows].concat()), ORPHANS);
    assert_eq!(orphans(&dump), []);
    dump.assert_warnings(&[("s3_missing_chunk", 1)]);
}

#[test]
fn a_bucket_without_a_row_has_a_folder_of_orphans_alone() {
    let one = Upload { generation: 1, ..object(b"k") };
    let dump = dump_versions(&at(10, put(one, b"x")), ORPHANS);
    assert_eq!(
        dump.files.keys().collect::<Vec<_>>(),
        ["b/_orphans/k/gen-1/u_0000000000000001_0000000000000000_0000000000000000.bin"]
    );
    assert_eq!(dump.manifest["adapters"]["s3"], serde_json::json!({}));
}
