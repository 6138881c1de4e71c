//! Whatever the rows of a bucket hold, a run ends with a dump or an error, the same from a file and through a pipe; and a
//! dump never has a body of another length than its sidecar says.

mod support;

use ekvsnap_testkit::s3_rows::{Part, chunk_ref, chunkblob_key};
use proptest::prelude::*;
use sha2::{Digest, Sha256};
use support::s3::{bucket, md5, object, put};
use support::{How, Row, S3, decode, snapshot};

const EVERYTHING: How =
    How { quarantine: true, include_orphans: true, include_incomplete_uploads: true, ..S3 };

/// A little of everything.
fn rows() -> Vec<Row> {
    let (large, offloaded, open) = (object(b"folder/large"), object(b"folder"), object(b"open"));
    let body = [vec![b'a'; 40_000], vec![b'b'; 7]];
    let etag = md5(&body.concat());
    let part = Part { number: 1, etag: etag.clone(), chunks: vec![40_000, 7], version: 5, ..Part::default() };
    let digest: [u8; 32] = Sha256::digest(b"AAAA").into();
    let by_ref = Part {
        number: 1,
        etag: md5(b"AAAA"),
        chunks: vec![4],
        ref_version: 9,
        offloaded: true,
        ..Part::default()
    };
    let rows = vec![
        (large.head_key(), large.manifest(&etag, 7 << 40, &[part], ",\"user_metadata\":{\"a\":\"b\"}")),
        (large.chunk_key(1, 0, 5), body[0].clone()),
        (large.chunk_key(1, 1, 5), body[1].clone()),
        (offloaded.head_key(), offloaded.manifest(&md5(b"AAAA"), 0, &[by_ref], "")),
        (offloaded.chunk_ref_key(1, 0, 9), chunk_ref(&digest, 4, b"n1", &[(b"n2", b"h:2")])),
        (chunkblob_key(&digest), b"AAAA".to_vec()),
        (open.meta_key(), b"{}".to_vec()),
        (open.part_key(1), b"{}".to_vec()),
        (open.chunk_key(1, 0, 3), b"in flight".to_vec()),
        (open.gc_key(), b"{}".to_vec()),
        (object(b"gone").chunk_key(1, 0, 0), b"orphan".to_vec()),
    ];
    [bucket(1), put(object(b"small"), b"small"), rows].concat()
}

/// Puts bytes into the place of others, in the key or the value of a row.
#[derive(Clone, Debug)]
struct Change {
    row: usize,
    in_key: bool,
    at: usize,
    cut: usize,
    insert: Vec<u8>,
}

fn any_change() -> impl Strategy<Value = Change> {
    let insert = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..3),
        prop::sample::select(vec!["0", "9", "\"", "}", "null", "[", "-", "/", "..", "\0\x01"])
            .prop_map(|text| text.as_bytes().to_vec()),
    ];
    (any::<usize>(), any::<bool>(), any::<usize>(), 0..3usize, insert)
        .prop_map(|(row, in_key, at, cut, insert)| Change { row, in_key, at, cut, insert })
}

fn changed(rows: &mut [Row], change: &Change) {
    let row = &mut rows[change.row % rows.len()];
    let bytes = if change.in_key { &mut row.0 } else { &mut row.1 };
    // Behind the namespace of a key: it shall stay an S3 row.
    let from = if change.in_key { 4.min(bytes.len()) } else { 0 };
    let at = from + change.at % (bytes.len() - from + 1);
    let end = (at + change.cut).min(bytes.len());
    bytes.splice(at..end, change.insert.iter().copied());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn whatever_rows_hold_a_dump_is_consistent(changes in prop::collection::vec(any_change(), 1..4)) {
        let mut rows = rows();
        for change in &changes {
            changed(&mut rows, change);
        }
        rows.sort();
        rows.dedup_by(|a, b| a.0 == b.0);
        let dump = decode(&[snapshot(&rows)], EVERYTHING).unwrap();
        for (path, bytes) in &dump.files {
            let Some(body) = path.strip_suffix(".elastickv-meta.json").and_then(|body| dump.files.get(body)) else { continue };
            let sidecar: serde_json::Value = serde_json::from_slice(bytes).unwrap();
            prop_assert_eq!(sidecar["size_bytes"].as_u64(), Some(body.len() as u64), "{}", path);
        }
        let keys: usize = dump.report.families.iter().flat_map(|family| &family.kinds).map(|(_, keys)| *keys as usize).sum();
        let bodies = dump.files.keys().filter(|path| path.ends_with(".elastickv-meta.json")).count();
        let buckets = dump.files.keys().filter(|path| path.ends_with("/_bucket.json")).count();
        prop_assert_eq!(keys, bodies + buckets);
    }
}

#[test]
fn unchanged_they_are_all_there() {
    let dump = decode(&[snapshot(&rows())], EVERYTHING).unwrap();
    dump.assert_warnings(&[("s3_orphan_chunks", 1)]);
    assert_eq!(dump.files["b/folder.elastickv-leaf-data"], b"AAAA");
    assert_eq!(dump.files["b/folder/large"].len(), 40_007);
    assert_eq!(dump.files.len(), 10);
}
