//! A bucket and its objects may lie in the files of several Raft groups (`docs/format/s3.md` section 1.6), and of a row
//! in two of them the first counts (`docs/format/snapshot.md` section 5).

#![allow(clippy::unwrap_used, reason = "this is test code, if not inside a test function")]

mod support;

use ekvsnap_testkit::s3_rows::{Part, chunk_ref, chunkblob_key};
use sha2::{Digest, Sha256};
use support::s3::{bucket, md5, object, put};
use support::{Dump, Row, S3, decode, snapshot};

fn dump_files(files: &[Vec<Row>]) -> Dump {
    let files: Vec<_> = files.iter().map(|rows| snapshot(rows)).collect();
    decode(&files, S3).unwrap()
}

#[test]
fn a_bucket_finds_its_objects_in_whatever_file_they_are() {
    let objects = put(object(b"k"), b"body");
    for files in [[bucket(1), objects.clone()], [objects, bucket(1)]] {
        let dump = dump_files(&files);
        assert_eq!(dump.files["b/k"], b"body");
        dump.assert_warnings(&[]);
    }
}

/// Every row kind, with two values.
fn everything(first: bool) -> Vec<Row> {
    let body: &[u8] = if first { b"first" } else { b"other" };
    let digest: [u8; 32] = Sha256::digest(b"AAAA").into();
    let offloaded = object(b"o");
    let etag = md5(b"AAAA");
    let part = Part {
        number: 1,
        etag: etag.clone(),
        chunks: vec![4],
        ref_version: 9,
        offloaded: true,
        ..Part::default()
    };
    let in_flight = object(b"flight");
    let rows = vec![
        (offloaded.head_key(), offloaded.manifest(&etag, 0, &[part], "")),
        (offloaded.chunk_ref_key(1, 0, 9), chunk_ref(&digest, 4, body, &[])),
        // Node-local: each file has its own, and any that is whole will do.
        (chunkblob_key(&digest), if first { b"XXXX".to_vec() } else { b"AAAA".to_vec() }),
        (in_flight.meta_key(), body.to_vec()),
        (in_flight.part_key(1), body.to_vec()),
    ];
    [bucket(1), put(object(b"k"), body), rows].concat()
}

#[test]
fn of_a_row_in_two_files_that_of_the_first_counts() {
    let dump = dump_files(&[everything(true), everything(false)]);
    assert_eq!((&*dump.files["b/k"], &*dump.files["b/o"]), (&b"first"[..], &b"AAAA"[..]));
    // Bucket, two manifests, chunk, reference, upload and part; neither the counter nor the blob.
    dump.assert_warnings(&[("row_in_two_files", 7)]);
    let mut samples = dump.samples("row_in_two_files");
    samples.sort_unstable();
    assert_eq!(
        samples,
        [
            "s3 bucket b",
            "s3 chunk 1-0-0 of k",
            "s3 chunk ref 1-0-9 of o",
            "s3 head b-1-k",
            "s3 head b-1-o",
            "s3 upload row of flight",
            "s3 upload row of flight",
        ]
    );
}

#[test]
fn two_copies_of_everything_give_the_dump_of_one() {
    let once = dump_files(&[everything(false)]);
    once.assert_warnings(&[]);
    let twice = dump_files(&[everything(false), everything(false)]);
    assert_eq!(once.shown(), twice.shown());
    twice.assert_warnings(&[("row_in_two_files", 7)]);
}
