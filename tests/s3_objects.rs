//! Which buckets and objects a client sees, and what stands in their files (`docs/format/s3.md` sections 2 and 3). The
//! rows meant are those of its section 4, where a simpler decoder goes wrong; the vectors those of its section 6.

mod support;

use ekvsnap_testkit::s3_rows::{Part, Upload, bucket_key, bucket_meta, chunk_ref, chunkblob_key};
use ekvsnap_testkit::version::Version;
use sha2::{Digest, Sha256};
use support::s3::{BUCKET_JSON, at, bucket, dump, dump_versions, head, md5, object, put, sidecar};
use support::{How, LAST_COMMIT_TS, Row, S3};

const UPLOAD_1: Upload<'_> = Upload { bucket: b"b", generation: 1, object: b"k", id: b"u1" };
const UPLOAD_2: Upload<'_> = Upload { bucket: b"b", generation: 1, object: b"k", id: b"u2" };

fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

#[test]
fn a_bucket_and_an_object_are_written_with_everything_that_is_known_of_them() {
    let meta = r#"{"bucket_name":"photos","generation":7,"created_at_hlc":114418306252800003,"owner":"alice","region":"us-east-1","acl":"public-read"}"#;
    let upload = Upload { bucket: b"photos", generation: 7, object: b"a/b.txt", id: b"u1" };
    let part = Part { number: 1, etag: md5(b"body"), chunks: vec![4], ..Part::default() };
    let more = r#","content_type":"text/html","content_encoding":"gzip","cache_control":"a<b&c","content_disposition":"inline","user_metadata":{"z":"\u2028","a":"q\"\\\u0001"}"#;
    let dump = dump(&[
        (bucket_key(b"photos"), meta.as_bytes().to_vec()),
        (upload.head_key(), upload.manifest(&md5(b"body"), 114_418_306_304_507_909, &[part], more)),
        (upload.chunk_key(1, 0, 0), b"body".to_vec()),
    ]);
    dump.assert_files(&[
        (
            "photos/_bucket.json",
            "{\n  \"format_version\": 1,\n  \"name\": \"photos\",\n  \"creation_time_iso\": \"2025-04-29T00:00:00Z\",\n  \
             \"owner\": \"alice\",\n  \"region\": \"us-east-1\",\n  \"acl\": \"public-read\"\n}",
        ),
        ("photos/a/b.txt", "body"),
        (
            "photos/a/b.txt.elastickv-meta.json",
            "{\n  \"format_version\": 1,\n  \"etag\": \"841a2d689ad86bd1611447453c22c6fc\",\n  \"size_bytes\": 4,\n  \
             \"last_modified\": \"2025-04-29T00:00:00.789Z\",\n  \"content_type\": \"text/html\",\n  \
             \"content_encoding\": \"gzip\",\n  \"cache_control\": \"a\\u003cb\\u0026c\",\n  \
             \"content_disposition\": \"inline\",\n  \"user_metadata\": {\n    \"a\": \"q\\\"\\\\\\u0001\",\n    \
             \"z\": \"\\u2028\"\n  }\n}",
        ),
    ]);
    dump.assert_warnings(&[]);
    assert_eq!(dump.manifest["adapters"]["s3"]["buckets"], serde_json::json!(["photos"]));
    assert_eq!(dump.manifest["exclusions"]["rename_s3_collisions"], true);
    assert_eq!(dump.report.families[0].kinds, [("bucket".to_owned(), 1), ("object".to_owned(), 1)]);
}

#[test]
fn vector_13_an_empty_object_has_an_empty_body() {
    let dump = dump(&[bucket(1), put(object(b"h"), b"")].concat());
    dump.assert_files(&[
        ("b/_bucket.json", BUCKET_JSON.to_owned()),
        ("b/h", String::new()),
        ("b/h.elastickv-meta.json", sidecar(b"")),
    ]);
    dump.assert_warnings(&[]);
}

#[test]
fn vector_15_parts_and_chunks_come_in_the_order_of_the_manifest_and_others_do_not_count() {
    let upload = object(b"m");
    let parts = [
        Part {
            number: 1,
            etag: md5(b"AAAABBB"),
            chunks: vec![4, 3],
            version: 77,
            ref_version: 70,
            offloaded: false,
        },
        Part { number: 5, etag: md5(b"CC"), chunks: vec![2], version: 88, ref_version: 80, offloaded: false },
    ];
    let etag = "e4ea50498af83b0be404aa9bce4fceb7-2";
    let other = Upload { id: b"u0", ..upload };
    let rows = [
        bucket(1),
        vec![
            (upload.head_key(), upload.manifest(etag, 114_418_306_303_918_080, &parts, "")),
            (upload.chunk_key(1, 0, 77), b"AAAA".to_vec()),
            (upload.chunk_key(1, 1, 77), b"BBB".to_vec()),
            (upload.chunk_key(5, 0, 88), b"CC".to_vec()),
            (upload.chunk_key(1, 0, 66), b"old".to_vec()),
            (upload.chunk_key(3, 0, 90), b"un".to_vec()),
            (other.chunk_key(1, 0, 0), b"st".to_vec()),
        ],
    ];
    let dump = dump(&rows.concat());
    assert_eq!(dump.files["b/m"], b"AAAABBBCC");
    let sidecar = String::from_utf8(dump.files["b/m.elastickv-meta.json"].clone()).unwrap();
    assert!(sidecar.contains(etag) && sidecar.contains("\"2025-04-29T00:00:00.78Z\""), "{sidecar}");
    dump.assert_warnings(&[("s3_orphan_chunks", 3)]);
    assert_eq!(dump.files.len(), 3);
}

/// The rows of vector 16: object `o` of two offloaded chunks, without its chunkblobs.
fn offloaded() -> Vec<Row> {
    let upload = object(b"o");
    let etag = md5(b"AAAABBB");
    let part = Part {
        number: 1,
        etag: etag.clone(),
        chunks: vec![4, 3],
        version: 95,
        ref_version: 91,
        offloaded: true,
    };
    let replicas: [(&[u8], &[u8]); 2] = [(b"n1", b"h:1"), (b"n2", b"h:2")];
    let rows = vec![
        (upload.head_key(), upload.manifest(&etag, 0, &[part], "")),
        (upload.chunk_ref_key(1, 0, 91), chunk_ref(&sha256(b"AAAA"), 4, b"n1", &[])),
        (upload.chunk_ref_key(1, 1, 91), chunk_ref(&sha256(b"BBB"), 3, b"n1", &replicas)),
    ];
    [bucket(1), rows].concat()
}

fn blob(commit_ts: u64, digest_of: &[u8], value: &[u8]) -> Version {
    Version::put(chunkblob_key(&sha256(digest_of)), commit_ts, value)
}

#[test]
fn vector_16_offloaded_chunks_are_found_by_their_digest_whenever_they_were_committed() {
    let mut versions = at(10, offloaded());
    // Not what the reference is to: a plain chunk in its place.
    versions.push(Version::put(object(b"o").chunk_key(1, 0, 91), 10, *b"XXXX"));
    versions.extend([blob(10, b"AAAA", b"AAAA"), blob(LAST_COMMIT_TS + 5, b"BBB", b"BBB")]);
    for as_of in [None, Some(20)] {
        let dump = dump_versions(&versions, How { as_of, ..S3 });
        assert_eq!(dump.files["b/o"], b"AAAABBB");
        dump.assert_warnings(&[("s3_orphan_chunks", 1)]);
    }
}

/// Row 17 as well: what is missing on this node is reported with all that leads to it.
#[test]
fn vector_17_an_object_that_lacks_a_chunkblob_is_reported_with_the_nodes_that_have_it() {
    let mut versions = at(10, [offloaded(), put(object(b"other"), b"x")].concat());
    versions.push(blob(10, b"AAAA", b"AAAA"));
    let dump = dump_versions(&versions, S3);
    assert_eq!(
        dump.files.keys().collect::<Vec<_>>(),
        ["b/_bucket.json", "b/other", "b/other.elastickv-meta.json"]
    );
    dump.assert_warnings(&[("s3_missing_chunkblob", 1)]);
    assert!(dump.report.is_incomplete());
    let [sample] = dump.samples("s3_missing_chunkblob")[..] else { panic!("not one sample") };
    for part in [
        "bucket b, key o, part 1, chunk 1: ",
        "dcdb704109a454784b81229d2b05f368692e758bfa33cb61d04c1b93791b0273",
        "3 bytes",
        "n1",
        r#"{"node":"n1","address":"h:1"}"#,
        r#"{"node":"n2","address":"h:2"}"#,
    ] {
        assert!(sample.contains(part), "{part} is not in {sample}");
    }
    assert_eq!(dump.ask("SELECT object FROM s3_missing_chunks"), ["Text(\"o\")"]);
}

/// Row 18 as well.
#[test]
fn vector_18_any_version_of_a_chunkblob_that_has_its_digest_will_do() {
    let rest = [blob(10, b"BBB", b"BBB"), blob(7, b"unreferenced", b"corrupt")];
    let histories = [
        vec![blob(3, b"AAAA", b"XXXX"), blob(10, b"AAAA", b"AAAA")],
        vec![blob(3, b"AAAA", b"AAAA"), blob(10, b"AAAA", b"XXXX")],
        vec![blob(3, b"AAAA", b"AAAA"), Version::tombstone(chunkblob_key(&sha256(b"AAAA")), 10)],
    ];
    for history in histories {
        let dump = dump_versions(&[at(10, offloaded()), rest.to_vec(), history].concat(), S3);
        assert_eq!(dump.files["b/o"], b"AAAABBB");
        dump.assert_warnings(&[]);
    }
    let none = [blob(3, b"AAAA", b"XXXX"), blob(10, b"AAAA", b"YYYY")];
    let dump = dump_versions(&[at(10, offloaded()), rest.to_vec(), none.to_vec()].concat(), S3);
    assert!(!dump.files.contains_key("b/o"));
    dump.assert_warnings(&[("s3_missing_chunkblob", 1)]);
}

#[test]
fn a_manifest_may_mix_offloaded_and_plain_parts() {
    let upload = object(b"o");
    let parts = [
        Part { number: 1, chunks: vec![1], version: 5, ..Part::default() },
        Part { number: 2, chunks: vec![3], version: 6, ref_version: 9, offloaded: true, ..Part::default() },
    ];
    let rows = vec![
        (upload.head_key(), upload.manifest("e", 0, &parts, "")),
        (upload.chunk_key(1, 0, 5), b"x".to_vec()),
        (upload.chunk_ref_key(2, 0, 9), chunk_ref(&sha256(b"BBB"), 3, b"n1", &[])),
        (chunkblob_key(&sha256(b"BBB")), b"BBB".to_vec()),
    ];
    let dump = dump(&[bucket(1), rows].concat());
    assert_eq!(dump.files["b/o"], b"xBBB");
    dump.assert_warnings(&[]);
}

/// Row 1 and vector 19.
#[test]
fn the_newest_manifest_counts() {
    let versions =
        [at(10, [bucket(1), put(UPLOAD_1, b"OLD")].concat()), at(20, put(UPLOAD_2, b"NEW"))].concat();
    let dump = dump_versions(&versions, S3);
    assert_eq!(dump.files["b/k"], b"NEW");
    dump.assert_warnings(&[("s3_orphan_chunks", 1)]);
    let before = dump_versions(&versions, How { as_of: Some(15), ..S3 });
    assert_eq!(before.files["b/k"], b"OLD");
}

/// Row 2 and vector 20.
#[test]
fn a_deleted_object_is_not_resurrected() {
    let mut versions = at(10, [bucket(1), put(UPLOAD_1, b"OLD")].concat());
    versions.push(Version::tombstone(UPLOAD_1.head_key(), 20));
    let dump = dump_versions(&versions, S3);
    dump.assert_files(&[("b/_bucket.json", BUCKET_JSON)]);
    dump.assert_warnings(&[("s3_orphan_chunks", 1)]);
}

/// Row 3.
#[test]
fn a_deleted_bucket_leaves_nothing_in_the_dump() {
    let mut versions = at(5, [bucket(1), put(UPLOAD_1, b"OLD")].concat());
    versions.push(Version::tombstone(bucket_key(b"b"), 30));
    let dump = dump_versions(&versions, S3);
    dump.assert_files::<&str>(&[]);
    dump.assert_warnings(&[("s3_object_without_bucket", 1), ("s3_orphan_chunks", 1)]);
    assert_eq!(dump.manifest["adapters"]["s3"], serde_json::json!({}));
}

/// Row 4 and vector 21.
#[test]
fn a_bucket_that_was_made_anew_has_only_its_new_objects() {
    let new = Upload { generation: 2, object: b"new", ..UPLOAD_1 };
    let mut versions = at(5, [bucket(1), put(Upload { object: b"old", ..UPLOAD_1 }, b"OLD")].concat());
    versions.push(Version::tombstone(bucket_key(b"b"), 30));
    versions.extend(at(40, [bucket(2), put(new, b"NEW")].concat()));
    let dump = dump_versions(&versions, S3);
    assert_eq!(
        dump.files.keys().collect::<Vec<_>>(),
        ["b/_bucket.json", "b/new", "b/new.elastickv-meta.json"]
    );
    dump.assert_warnings(&[("s3_orphan_chunks", 1), ("s3_stale_generation_objects", 1)]);
}

/// Row 5.
#[test]
fn the_newest_meta_row_of_a_bucket_counts() {
    let meta = |acl| (bucket_key(b"b"), bucket_meta("b", 1, &format!(",\"acl\":\"{acl}\"")));
    let dump = dump_versions(&[at(5, vec![meta("private")]), at(9, vec![meta("public-read")])].concat(), S3);
    assert!(String::from_utf8_lossy(&dump.files["b/_bucket.json"]).contains("public-read"));
}

/// Row 6.
#[test]
fn objects_without_a_bucket_row_are_reported_and_not_mixed() {
    let second = Upload { generation: 2, ..UPLOAD_1 };
    let dump = dump(&[put(UPLOAD_1, b"one"), put(second, b"two")].concat());
    dump.assert_files::<&str>(&[]);
    dump.assert_warnings(&[("s3_object_without_bucket", 2), ("s3_orphan_chunks", 2)]);
    assert_eq!(
        dump.samples("s3_object_without_bucket"),
        ["bucket b, key k, generation 1", "bucket b, key k, generation 2"]
    );
    assert!(dump.report.is_incomplete());
}

/// Row 7.
#[test]
fn a_bucket_without_generation_has_the_objects_of_generation_0() {
    let third = Upload { generation: 3, ..UPLOAD_1 };
    let zeroth = Upload { generation: 0, object: b"zero", ..UPLOAD_1 };
    let mut rows = vec![(bucket_key(b"b"), b"{\"bucket_name\":\"b\"}".to_vec())];
    rows.extend([put(third, b"x"), put(zeroth, b"y")].concat());
    let dump = dump(&rows);
    assert_eq!(
        dump.files.keys().collect::<Vec<_>>(),
        ["b/_bucket.json", "b/zero", "b/zero.elastickv-meta.json"]
    );
}

/// Row 8.
#[test]
fn chunks_of_another_generation_are_other_chunks() {
    let stale = Upload { generation: 2, ..UPLOAD_1 };
    let rows = [bucket(1), put(UPLOAD_1, b"live"), vec![(stale.chunk_key(1, 0, 0), b"stal".to_vec())]];
    for (generation, how) in [(1, S3), (2, How { include_orphans: true, ..S3 })] {
        let versions = at(10, rows.concat());
        let dump = dump_versions(&versions, how);
        assert_eq!(dump.files["b/k"], b"live", "generation {generation}");
        dump.assert_warnings(&[("s3_orphan_chunks", 1)]);
        let orphan = "b/_orphans/k/gen-2/u1_0000000000000001_0000000000000000_0000000000000000.bin";
        assert_eq!(dump.files.get(orphan).map(Vec::as_slice), how.include_orphans.then_some(&b"stal"[..]));
    }
}

/// Row 19.
#[test]
fn manifests_that_clients_do_not_see_are_not_read() {
    let stale = Upload { generation: 2, ..UPLOAD_1 };
    let versions = [
        at(
            10,
            vec![(UPLOAD_1.head_key(), b"no JSON".to_vec()), (stale.head_key(), b"{\"parts\":7}".to_vec())],
        ),
        at(20, [bucket(1), put(UPLOAD_1, b"NEW")].concat()),
    ];
    let dump = dump_versions(&versions.concat(), S3);
    assert_eq!(dump.files["b/k"], b"NEW");
    dump.assert_warnings(&[("s3_stale_generation_objects", 1)]);
}

/// Row 22.
#[test]
fn parts_come_in_the_order_of_the_manifest_even_if_that_is_not_their_order() {
    let upload = object(b"k");
    let parts = [2, 1].map(|number| Part { number, chunks: vec![1], version: 9, ..Part::default() });
    let rows = vec![
        (upload.head_key(), upload.manifest("e", 0, &parts, "")),
        (upload.chunk_key(1, 0, 9), b"1".to_vec()),
        (upload.chunk_key(2, 0, 9), b"2".to_vec()),
    ];
    assert_eq!(dump(&[bucket(1), rows].concat()).files["b/k"], b"21");
}

/// Row 23.
#[test]
fn an_empty_value_is_no_bucket_and_no_object() {
    let dump = dump(&[
        (bucket_key(b"none"), Vec::new()),
        (bucket_key(b"b"), bucket_meta("b", 1, "")),
        (object(b"k").head_key(), Vec::new()),
    ]);
    dump.assert_files(&[("b/_bucket.json", BUCKET_JSON)]);
    dump.assert_warnings(&[]);
}

/// Row 24.
#[test]
fn the_greatest_timestamp_means_the_epoch() {
    let upload = object(b"k");
    let dump = dump(&[bucket(1), vec![(upload.head_key(), upload.manifest("", u64::MAX, &[], ""))]].concat());
    let expected =
        "{\n  \"format_version\": 1,\n  \"size_bytes\": 0,\n  \"last_modified\": \"1970-01-01T00:00:00Z\"\n}";
    assert_eq!(String::from_utf8_lossy(&dump.files["b/k.elastickv-meta.json"]), expected);
}

/// Row 26.
#[test]
fn the_time_at_which_a_bucket_was_made_is_kept() {
    let meta = br#"{"generation":1,"created_at_hlc":114418306303918080}"#.to_vec();
    let dump = dump(&[(bucket_key(b"b"), meta)]);
    let text = String::from_utf8_lossy(&dump.files["b/_bucket.json"]).into_owned();
    assert!(text.contains("\"creation_time_iso\": \"2025-04-29T00:00:00.78Z\""), "{text}");
}

/// Row 29: a manifest that waits for its transaction is told of by the transactions.
#[test]
fn a_manifest_that_is_only_an_intent_is_counted_and_not_applied() {
    use ekvsnap_testkit::txn_rows::{
        commit_key, commit_value, intent_key, intent_value, lock_key, lock_value,
    };
    let (key, manifest) = head(UPLOAD_1, b"body");
    let meta = bucket_key(b"b");
    let rows = vec![
        (intent_key(&key), intent_value(7, Some(&manifest))),
        (lock_key(&key), lock_value(7, 9, false, 0, &meta)),
        (commit_key(&meta, 7), commit_value(8)),
        (UPLOAD_1.chunk_key(1, 0, 0), b"body".to_vec()),
    ];
    let dump = dump(&[bucket(1), rows].concat());
    dump.assert_files(&[("b/_bucket.json", BUCKET_JSON)]);
    dump.assert_warnings(&[
        ("s3_orphan_chunks", 1),
        ("txn_pending_intents", 1),
        ("txn_pending_intents_committed", 1),
    ]);
}

#[test]
fn only_the_bucket_that_was_asked_for_is_written() {
    let other = Upload { bucket: b"c", ..UPLOAD_1 };
    let rows =
        [bucket(1), put(UPLOAD_1, b"x"), vec![(bucket_key(b"c"), bucket_meta("c", 1, ""))], put(other, b"y")];
    let dump = dump_versions(&at(10, rows.concat()), How { scopes: &["c"], ..S3 });
    assert_eq!(dump.files.keys().collect::<Vec<_>>(), ["c/_bucket.json", "c/k", "c/k.elastickv-meta.json"]);
    assert_eq!(dump.manifest["adapters"]["s3"]["buckets"], serde_json::json!(["c"]));
}

#[test]
fn bookkeeping_is_passed_over_and_what_is_unknown_is_told() {
    let upload = object(b"k");
    let rows = vec![
        (upload.route_key(), b"x".to_vec()),
        (upload.gc_key(), b"{}".to_vec()),
        (b"!s3|new|thing".to_vec(), b"x".to_vec()),
    ];
    let dump = dump(&[bucket(1), rows].concat());
    dump.assert_files(&[("b/_bucket.json", BUCKET_JSON)]);
    dump.assert_warnings(&[("s3_unknown_row", 1)]);
    assert_eq!(dump.samples("s3_unknown_row"), ["!s3|new|thing"]);
}

#[test]
fn people_find_buckets_and_objects_in_the_views() {
    let rows = [bucket(1), put(UPLOAD_1, b"four"), put(object(b"\xff"), b"")];
    let dump = dump(&rows.concat());
    assert_eq!(
        dump.ask("SELECT bucket || ' ' || objects || ' ' || bytes || ' ' || open_uploads FROM s3_buckets"),
        ["Text(\"b 2 4 0\")"]
    );
    assert_eq!(
        dump.ask("SELECT object || ' ' || size_bytes || ' ' || parts || ' ' || etag FROM s3_objects ORDER BY object_hex"),
        [format!("Text(\"k 4 1 {}\")", md5(b"four")), format!("Text(\"X'FF' 0 0 {}\")", md5(b""))]
    );
}
