//! Every key has its file, whatever it looks like, and no two share one (`docs/format/s3.md` section 3.1). The rules
//! themselves are tested beside them; here it is their files. Rows are those of section 4 of that page.

#![allow(clippy::unwrap_used, reason = "this is test code, if not inside a test function")]

mod support;

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ekvsnap::dump::name::push_fallback;
use support::s3::{at, bucket, dump, dump_versions, object, objects, put};
use support::{Dump, How, S3};

const KEEP_NAMES: How = How { rename_s3_collisions: false, ..S3 };

fn fallback(key: &[u8]) -> String {
    let mut name = Vec::new();
    let _ = push_fallback(key, &mut name);
    String::from_utf8(name).unwrap()
}

fn keymap_line(encoded: &str, key: &[u8], kind: &str) -> String {
    let original = URL_SAFE_NO_PAD.encode(key);
    format!("{{\"encoded\":\"{encoded}\",\"original\":\"{original}\",\"kind\":\"{kind}\"}}\n")
}

/// The bodies of bucket `b` by path.
fn bodies(dump: &Dump) -> BTreeMap<&str, &[u8]> {
    let is_beside = |path: &str| {
        path.strip_suffix(".elastickv-meta.json")
            .is_some_and(|body| dump.files.contains_key(&format!("b/{body}")))
    };
    let ours = |path: &str| is_beside(path) || path == "_bucket.json" || path == "KEYMAP.jsonl";
    let files = dump.files.iter().filter_map(|(path, bytes)| Some((path.strip_prefix("b/")?, &**bytes)));
    files.filter(|(path, _)| !ours(path)).collect()
}

/// Keys, each with its path and the kind of it; bodies are the numbers of the keys.
#[track_caller]
fn assert_paths(expected: &[(&[u8], &str, Option<&str>)]) {
    let keys: Vec<_> = expected.iter().map(|(key, ..)| *key).collect();
    let dump = dump(&objects(&keys));
    dump.assert_warnings(&[]);
    let numbers: Vec<_> = (0..keys.len()).map(|number| number.to_string()).collect();
    let bodies_expected: BTreeMap<_, _> =
        expected.iter().zip(&numbers).map(|((_, path, _), number)| (*path, number.as_bytes())).collect();
    assert_eq!(bodies(&dump), bodies_expected);
    for (_, path, _) in expected {
        assert!(dump.files.contains_key(&format!("b/{path}.elastickv-meta.json")), "{path} has no sidecar");
    }
    let mut renamed: Vec<_> =
        expected.iter().filter_map(|(key, path, kind)| Some((key, path, (*kind)?))).collect();
    renamed.sort();
    let keymap: String = renamed.iter().map(|(key, path, kind)| keymap_line(path, key, kind)).collect();
    let found = dump.files.get("b/KEYMAP.jsonl").map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    assert_eq!(found.unwrap_or_default(), keymap);
}

#[test]
fn vectors_22_and_23_renamed_objects_have_their_lines() {
    assert_paths(&[
        (b"path/to", "path/to.elastickv-leaf-data", Some("s3-leaf-data")),
        (b"path/to/sub", "path/to/sub", None),
        (b"e.elastickv-meta.json", "e.elastickv-meta.json.user-data", Some("meta-suffix-rename")),
    ]);
}

/// Row 9.
#[test]
fn folder_markers_and_keys_of_dots_slashes_and_nuls_are_ordinary_objects() {
    let keys: [&[u8]; 10] =
        [b"dir/", b"", b"/a", b"a//b", b"..", b".", b"../../../etc/passwd", b"a/../b", b"x\0y", b"a\\b"];
    let paths = keys.map(fallback);
    let expected: Vec<_> =
        keys.iter().zip(&paths).map(|(key, path)| (*key, path.as_str(), Some("s3-unsafe-path"))).collect();
    assert_paths(&expected);
}

/// Row 10.
#[test]
fn long_segments_and_paths_are_ordinary_objects() {
    let long = [vec![b'k'; 235], vec![b'k'; 236], vec![b'k'; 256], b"abc/".repeat(900)];
    let deep = [&b"abc/".repeat(874)[..], b"x"].concat();
    let (natural, path) = ("k".repeat(235), String::from_utf8(deep.clone()).unwrap());
    let (a, b, c) = (fallback(&long[1]), fallback(&long[2]), fallback(&long[3]));
    assert_paths(&[
        (&long[0], &natural, None),
        (&long[1], &a, Some("sha-fallback")),
        (&long[2], &b, Some("sha-fallback")),
        (&long[3], &c, Some("s3-unsafe-path")),
        (&deep, &path, None),
    ]);
}

/// Rows 11, 12 and 13, and vector 26.
#[test]
fn keys_that_are_called_like_control_files_and_those_files_are_both_kept() {
    let names: [&[u8]; 4] = [b"_bucket.json", b"KEYMAP.jsonl", b"_orphans", b"_incomplete_uploads"];
    let below: [&[u8]; 2] = [b"_orphans/x/gen-1/f.bin", b"_incomplete_uploads/records.jsonl"];
    let (names_at, below_at) = (names.map(fallback), below.map(fallback));
    let mut expected: Vec<(&[u8], &str, Option<&str>)> = Vec::new();
    expected
        .extend(names.iter().zip(&names_at).map(|(key, path)| (*key, path.as_str(), Some("sha-fallback"))));
    expected
        .extend(below.iter().zip(&below_at).map(|(key, path)| (*key, path.as_str(), Some("s3-unsafe-path"))));
    assert_paths(&expected);
    let dump = dump(&objects(&names));
    assert!(dump.files["b/_bucket.json"].starts_with(b"{\n  \"format_version\": 1,\n  \"name\": \"b\""));
}

/// Row 14.
#[test]
fn a_sidecar_and_a_folder_of_its_name_are_both_kept() {
    let key = b"foo.elastickv-meta.json/bar";
    assert_paths(&[(b"foo", "foo", None), (key, &fallback(key), Some("sha-fallback"))]);
}

/// Row 15.
#[test]
fn a_name_that_a_rename_would_take_is_left_to_its_owner() {
    assert_paths(&[
        (b"x", &fallback(b"x"), Some("sha-fallback")),
        (b"x/y", "x/y", None),
        (b"x.elastickv-leaf-data/z", "x.elastickv-leaf-data/z", None),
        (b"m.elastickv-meta.json", &fallback(b"m.elastickv-meta.json"), Some("sha-fallback")),
        (b"m.elastickv-meta.json.user-data", "m.elastickv-meta.json.user-data", None),
    ]);
}

/// Row 16 and vector 29.
#[test]
fn only_objects_make_folders() {
    let in_flight = object(b"a/b/d");
    let rows = [
        bucket(1),
        put(object(b"a/b"), b"live"),
        vec![
            (object(b"a/b/c").chunk_key(1, 0, 9), b"orphan".to_vec()),
            (object(b"a/b.elastickv-leaf-data").chunk_key(1, 0, 9), b"orphan".to_vec()),
            (in_flight.meta_key(), b"{}".to_vec()),
            (in_flight.chunk_key(1, 0, 9), b"flight".to_vec()),
        ],
    ];
    let dump = dump_versions(
        &at(10, rows.concat()),
        How { include_orphans: true, include_incomplete_uploads: true, ..S3 },
    );
    assert_eq!(dump.files["b/a/b"], b"live");
    assert!(!dump.files.contains_key("b/KEYMAP.jsonl"));
    dump.assert_warnings(&[("s3_orphan_chunks", 2)]);
}

/// Row 25.
#[test]
fn a_key_that_is_no_text_has_its_bytes_or_a_name_that_leads_back() {
    assert_paths(&[
        (b"\xff", &fallback(b"\xff"), Some("sha-fallback")),
        (b"\xff/b", "\\xff/b", None),
        (b"caf\xc3\xa9", "café", None),
    ]);
}

#[test]
fn without_renaming_what_would_need_it_is_left_out_and_reported() {
    let keys: [&[u8]; 6] = [b"a", b"a/x.elastickv-meta.json", b"dir/", b"to", b"to/sub", b"_bucket.json"];
    let dump = dump_versions(&at(10, objects(&keys)), KEEP_NAMES);
    // `a` is no folder, since what is below it is left out; a folder still moves what has its name.
    let expected: BTreeMap<&str, &[u8]> =
        [("a", &b"0"[..]), ("to.elastickv-leaf-data", b"3"), ("to/sub", b"4")].into();
    assert_eq!(bodies(&dump), expected);
    dump.assert_warnings(&[("s3_needs_renaming", 3)]);
    assert_eq!(
        dump.samples("s3_needs_renaming"),
        ["bucket b, key _bucket.json", "bucket b, key a/x.elastickv-meta.json", "bucket b, key dir/"]
    );
    assert!(dump.report.is_incomplete());
    assert_eq!(dump.manifest["exclusions"].get("rename_s3_collisions"), None);
    assert_eq!(dump.manifest["decode"]["keys"]["s3"], 4);
}

#[test]
fn an_object_whose_name_is_taken_is_left_out_and_reported() {
    let taken = fallback(b"a//b");
    let dump = dump(&objects(&[b"a//b", taken.as_bytes()]));
    let expected: BTreeMap<&str, &[u8]> = [(taken.as_str(), &b"1"[..])].into();
    assert_eq!(bodies(&dump), expected);
    dump.assert_warnings(&[("s3_path_taken", 1)]);
    assert!(dump.report.is_incomplete());
}

#[test]
fn a_bucket_with_a_name_that_does_not_lead_back_tells_it_itself() {
    use ekvsnap_testkit::s3_rows::{bucket_key, bucket_meta};
    let rows: Vec<_> = [&b"b64.foo"[..], b"...", b"a b"]
        .iter()
        .map(|name| (bucket_key(name), bucket_meta("x", 1, "")))
        .collect();
    let dump = dump(&rows);
    assert_eq!(
        dump.files.keys().collect::<Vec<_>>(),
        [".../_bucket.json", "72ef1a090c013093607ce5a62f598cf4__b64.foo/_bucket.json", "a%20b/_bucket.json"]
    );
    let json = &dump.files["72ef1a090c013093607ce5a62f598cf4__b64.foo/_bucket.json"];
    assert!(String::from_utf8_lossy(json).contains("\"name\": \"b64.foo\""));
}
