//! Objects, manifests, keys and buckets far larger than what is held of them at once.

#![allow(clippy::unwrap_used, reason = "this is test code, if not inside a test function")]

mod support;

use ekvsnap_testkit::s3_rows::Part;
use support::s3::{at, bucket, dump_versions, md5, object, put};
use support::{Dump, How, Row, S3, decode, snapshot};

fn bytes(length: usize, seed: u64) -> Vec<u8> {
    (0..length as u64).map(|i| ((i + seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
}

/// The dump, and that of a database that needs no snapshot.
fn both(rows: Vec<Row>) -> Dump {
    let dump = decode(&[snapshot(&rows)], S3).unwrap();
    let whole = dump_versions(&at(10, rows), How { self_contained: true, ..S3 });
    assert_eq!(dump.shown(), whole.shown());
    dump
}

#[test]
fn a_large_object_is_put_together_from_chunks_of_any_length() {
    let upload = object(b"large");
    let lengths = [1 << 20, 1, 32 << 10, (32 << 10) + 1, 0, 300_000, 1 << 20, 700];
    let chunks: Vec<_> = lengths.iter().enumerate().map(|(i, &length)| bytes(length, i as u64)).collect();
    let body = chunks.concat();
    let part = |number, chunks: &[Vec<u8>]| Part {
        number,
        etag: md5(&chunks.concat()),
        chunks: chunks.iter().map(|chunk| chunk.len() as u64).collect(),
        version: 3,
        ..Part::default()
    };
    let mut rows = bucket(1);
    rows.push((
        upload.head_key(),
        upload.manifest("e", 0, &[part(1, &chunks[..5]), part(7, &chunks[5..])], ""),
    ));
    rows.extend(
        chunks[..5].iter().enumerate().map(|(i, chunk)| (upload.chunk_key(1, i as u64, 3), chunk.clone())),
    );
    rows.extend(
        chunks[5..].iter().enumerate().map(|(i, chunk)| (upload.chunk_key(7, i as u64, 3), chunk.clone())),
    );
    let dump = both(rows);
    assert!(dump.files["b/large"] == body);
    dump.assert_warnings(&[]);
}

#[test]
fn no_byte_of_an_object_is_in_the_database_if_it_can_be_read_in_the_snapshot() {
    let rows = [bucket(1), put(object(b"k"), b"some bytes"), put(object(b"l"), &bytes(100_000, 1))].concat();
    let dump = decode(&[snapshot(&rows)], S3).unwrap();
    assert_eq!(dump.ask("SELECT count(*) FROM s3_chunk WHERE value IS NULL AND start > 0"), ["Integer(2)"]);
    assert_eq!(dump.ask("SELECT count(*) FROM large_value"), ["Integer(0)"]);
    let whole = dump_versions(&at(10, rows), How { self_contained: true, ..S3 });
    assert_eq!(whole.ask("SELECT count(*) FROM s3_chunk WHERE value IS NOT NULL"), ["Integer(2)"]);
}

#[test]
fn keys_of_many_kib_are_read_and_written() {
    let long: Vec<_> = (0..60u8).map(|i| vec![b'a' + i % 26; 70_000 + usize::from(i)]).collect();
    let rows = long.iter().flat_map(|key| put(object(key), &key[..3]));
    let dump = decode(&[snapshot(&bucket(1).into_iter().chain(rows).collect::<Vec<_>>())], S3).unwrap();
    // A file, its sidecar and a line each.
    assert_eq!(dump.files.len(), 2 + 2 * 60);
    assert_eq!(dump.files["b/KEYMAP.jsonl"].iter().filter(|byte| **byte == b'\n').count(), 60);
    dump.assert_warnings(&[]);
}

#[test]
fn thousands_of_folders_and_orphans_are_written() {
    let keys: Vec<_> = (0..1000).map(|i| format!("{}/{i}/leaf", i % 7)).collect();
    let rows = keys.iter().flat_map(|key| {
        let orphan = (object(format!("{key}/gone").as_bytes()).chunk_key(1, 0, 9), b"o".to_vec());
        [put(object(key.as_bytes()), key.as_bytes()), vec![orphan]].concat()
    });
    let rows: Vec<_> = bucket(1).into_iter().chain(rows).collect();
    let dump = dump_versions(&at(10, rows), How { include_orphans: true, ..S3 });
    assert_eq!(dump.files.len(), 1 + 3 * 1000);
    assert_eq!(dump.files["b/0/700/leaf"], b"0/700/leaf");
}
