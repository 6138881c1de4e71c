//! Buckets and objects as a node leaves them, in a few words.

use ekvsnap_testkit::s3_rows::{Part, Upload, bucket_key, bucket_meta, generation_key};
use ekvsnap_testkit::sorted::SortedSnapshot;
use ekvsnap_testkit::version::Version;
use md5::{Digest as _, Md5};

use super::{Dump, How, LAST_COMMIT_TS, Row, S3, decode, snapshot};

/// An object of bucket `b`, generation 1, upload `u`.
pub fn object(key: &[u8]) -> Upload<'_> {
    Upload { bucket: b"b", generation: 1, object: key, id: b"u" }
}

/// The rows of bucket `b` in this generation, its counter among them.
pub fn bucket(generation: u64) -> Vec<Row> {
    vec![
        (bucket_key(b"b"), bucket_meta("b", generation, "")),
        (generation_key(b"b"), generation.to_be_bytes().to_vec()),
    ]
}

/// What `_bucket.json` of bucket `b` holds.
pub const BUCKET_JSON: &str = "{\n  \"format_version\": 1,\n  \"name\": \"b\"\n}";

pub fn md5(bytes: &[u8]) -> String {
    Md5::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The manifest of an object that was put in one piece of one chunk, or of no chunk if it is empty.
pub fn head(upload: Upload<'_>, body: &[u8]) -> Row {
    let etag = md5(body);
    let part = Part { number: 1, etag: etag.clone(), chunks: vec![body.len() as u64], ..Part::default() };
    let parts = if body.is_empty() { Vec::new() } else { vec![part] };
    (upload.head_key(), upload.manifest(&etag, 0, &parts, ""))
}

/// The rows of such an object.
pub fn put(upload: Upload<'_>, body: &[u8]) -> Vec<Row> {
    let mut rows = vec![head(upload, body)];
    if !body.is_empty() {
        rows.push((upload.chunk_key(1, 0, 0), body.to_vec()));
    }
    rows
}

/// What stands beside the body of such an object.
pub fn sidecar(body: &[u8]) -> String {
    let (etag, size) = (md5(body), body.len());
    format!("{{\n  \"format_version\": 1,\n  \"etag\": \"{etag}\",\n  \"size_bytes\": {size}\n}}")
}

/// Bucket `b` with an object for every key, whose body is the key's number in the list.
pub fn objects(keys: &[&[u8]]) -> Vec<Row> {
    let puts = keys.iter().enumerate().flat_map(|(i, key)| put(object(key), i.to_string().as_bytes()));
    bucket(1).into_iter().chain(puts).collect()
}

/// The dump of these rows.
pub fn dump(rows: &[Row]) -> Dump {
    decode(&[snapshot(rows)], S3).unwrap()
}

/// The dump of versions of rows.
pub fn dump_versions(versions: &[Version], how: How) -> Dump {
    decode(&[SortedSnapshot::new(LAST_COMMIT_TS).versions(versions).to_bytes().unwrap()], how).unwrap()
}

/// Rows at a commit timestamp.
pub fn at(commit_ts: u64, rows: Vec<Row>) -> Vec<Version> {
    rows.into_iter().map(|(key, payload)| Version::put(key, commit_ts, payload)).collect()
}
