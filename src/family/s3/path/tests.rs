use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::convert::Infallible;

use proptest::prelude::*;

use super::*;

/// The live keys of a bucket, looked at the obvious way.
struct Bucket {
    keys: BTreeSet<Vec<u8>>,
    rename: bool,
}

impl Bucket {
    fn of<K: AsRef<[u8]>>(keys: &[K], rename: bool) -> Self {
        Self { keys: keys.iter().map(|key| key.as_ref().to_vec()).collect(), rename }
    }

    fn place(&self, key: &[u8]) -> (Place, Vec<u8>) {
        let mut path = Vec::new();
        let Ok(place) = place(key, self.rename, self, &mut path);
        (place, path)
    }
}

impl Keys for Bucket {
    type Error = Infallible;

    fn is_key(&self, path: &[u8]) -> Result<bool, Infallible> {
        Ok(self.keys.contains(path))
    }

    fn is_folder(&self, path: &[u8]) -> Result<bool, Infallible> {
        let below = [path, b"/"].concat();
        Ok(self.keys.iter().filter(|key| key.starts_with(&below)).any(|key| match stays(key) {
            Stays::Always => true,
            Stays::IfRenamed => self.rename && !self.keys.contains(&user_data_path(key)),
            Stays::Never(_) => false,
        }))
    }
}

#[track_caller]
fn assert_path(keys: &[&[u8]], key: &[u8], path: &str, kind: Kind) {
    let (place, found) = Bucket::of(keys, true).place(key);
    assert_eq!((place, found.escape_ascii().to_string().as_str()), (Place::At(kind), path));
}

#[test]
fn vector_22_a_key_that_is_a_folder_gets_a_suffix_and_a_line() {
    let keys: [&[u8]; 2] = [b"path/to", b"path/to/sub"];
    assert_path(&keys, keys[0], "path/to.elastickv-leaf-data", Kind::LeafData);
    assert_path(&keys, keys[1], "path/to/sub", Kind::Natural);
    // Whatever may be renamed: this one always is.
    assert_eq!(Bucket::of(&keys, false).place(keys[0]).0, Place::At(Kind::LeafData));
}

#[test]
fn vector_23_a_key_that_ends_like_a_sidecar_needs_renaming() {
    let key = b"e.elastickv-meta.json";
    assert_path(&[key], key, "e.elastickv-meta.json.user-data", Kind::MetaSuffix);
    assert_eq!(Bucket::of(&[key], false).place(key).0, Place::NeedsRenaming);
}

#[test]
fn vector_24_no_unsafe_key_leads_anywhere_but_to_a_name_of_its_own() {
    for (key, path) in [
        (&b"dir/"[..], "56aa336ce5e484fd6aa17b4e075d5be3__dir%2F"),
        (b"a/../b", "900ea8b7e0d8fe30857c1bb629272e28__a%2F..%2Fb"),
        (b"", "e3b0c44298fc1c149afbf4c8996fb924__"),
    ] {
        assert_path(&[key], key, path, Kind::UnsafePath);
    }
    for key in [
        &b"../../../etc/passwd"[..],
        b"..",
        b".",
        b"/a",
        b"a//b",
        b"x\0y",
        b"a\\b",
        b"./a",
        b"a/.",
        b"_orphans/x/gen-1/f.bin",
        b"_incomplete_uploads/records.jsonl",
        // Whatever else is true of them.
        b"a//b.elastickv-meta.json",
        b"_bucket.json/..",
    ] {
        let (place, path) = Bucket::of(&[key], true).place(key);
        assert_eq!(place, Place::At(Kind::UnsafePath), "{}", key.escape_ascii());
        assert!(path[..34].ends_with(b"__") && !path.contains(&b'/'));
        assert_eq!(Bucket::of(&[key], false).place(key).0, Place::NeedsRenaming);
    }
}

#[test]
fn vector_25_a_segment_has_room_for_its_sidecar_or_is_replaced() {
    let of = |bytes: usize| vec![b'k'; bytes];
    assert_eq!(stays(&of(235)), Stays::Always);
    assert_eq!(stays(&of(236)), Stays::Never(Kind::Fallback));
    let nested = |bytes: usize| [&of(bytes)[..], b"/x"].concat();
    assert_eq!(stays(&nested(255)), Stays::Always);
    assert_eq!(stays(&nested(256)), Stays::Never(Kind::Fallback));
    let deep = |bytes: usize| [&b"abcd/".repeat(699)[..], &of(bytes)].concat();
    assert_eq!((deep(5).len(), stays(&deep(5))), (3500, Stays::Always));
    assert_eq!(stays(&deep(6)), Stays::Never(Kind::Fallback));
    // After any suffix.
    let long = of(216);
    let below = [&long[..], b"/x"].concat();
    let (place, _) = Bucket::of(&[&long, &below], true).place(&long);
    assert_eq!(place, Place::At(Kind::Fallback));
    let long = [&of(206)[..], META_SUFFIX].concat();
    assert_eq!(stays(&long), Stays::Never(Kind::Fallback));
    assert_eq!(stays(&long[1..]), Stays::IfRenamed);
}

#[test]
fn vector_26_names_of_control_files_are_replaced() {
    let path = "e7b494ff8f7bef050339f83852eadbf4___bucket.json";
    assert_path(&[b"_bucket.json"], b"_bucket.json", path, Kind::Fallback);
    for key in
        [&b"KEYMAP.jsonl"[..], b"_orphans", b"_incomplete_uploads", b"_bucket.json/x", b"KEYMAP.jsonl/x/y"]
    {
        assert_eq!(stays(key), Stays::Never(Kind::Fallback), "{}", key.escape_ascii());
    }
    for key in [&b"x/_bucket.json"[..], b"x/KEYMAP.jsonl", b"_orphans2/x", b"_bucket.jsonx"] {
        assert_eq!(stays(key), Stays::Always, "{}", key.escape_ascii());
    }
}

/// Row 14 of `docs/format/s3.md` section 4, and row 15.
#[test]
fn a_rename_never_meets_another_key() {
    let keys: [&[u8]; 2] = [b"foo", b"foo.elastickv-meta.json/bar"];
    assert_path(&keys, keys[0], "foo", Kind::Natural);
    assert_eq!(Bucket::of(&keys, true).place(keys[1]).0, Place::At(Kind::Fallback));

    let keys: [&[u8]; 3] = [b"x", b"x/y", b"x.elastickv-leaf-data/z"];
    assert_eq!(Bucket::of(&keys, true).place(keys[0]).0, Place::At(Kind::Fallback));
    assert_path(&keys, keys[1], "x/y", Kind::Natural);
    assert_path(&keys, keys[2], "x.elastickv-leaf-data/z", Kind::Natural);
}

/// Row 25 of `docs/format/s3.md` section 4.
#[test]
fn a_key_that_is_no_text_gets_no_suffix() {
    let keys: [&[u8]; 2] = [b"\xff", b"\xff/b"];
    let (place, path) = Bucket::of(&keys, true).place(keys[0]);
    assert_eq!((place, &path[34..]), (Place::At(Kind::Fallback), &b"%FF"[..]));
    assert_path(&keys, keys[1], "\\xff/b", Kind::Natural);
}

#[test]
fn a_key_that_is_left_out_makes_no_folder() {
    let keys: [&[u8]; 2] = [b"a", b"a/x.elastickv-meta.json"];
    assert_eq!(Bucket::of(&keys, false).place(b"a").0, Place::At(Kind::Natural));
    assert_eq!(Bucket::of(&keys, true).place(b"a").0, Place::At(Kind::LeafData));
    let keys: [&[u8]; 2] = [b"a", b"a//x"];
    assert_eq!(Bucket::of(&keys, true).place(b"a").0, Place::At(Kind::Natural));
}

#[test]
fn a_name_made_of_a_hash_that_is_a_key_is_not_used_twice() {
    let mut name = Vec::new();
    let _ = push_fallback(b"a//b", &mut name);
    let folder = [&name[..], b"/x"].concat();
    for other in [&name, &folder] {
        let bucket = Bucket::of(&[b"a//b".as_slice(), other], true);
        assert_eq!(bucket.place(b"a//b").0, Place::Taken);
        assert_eq!(bucket.place(other).0, Place::At(Kind::Natural));
    }
}

const SEGMENTS: &[&[u8]] = &[
    b"",
    b".",
    b"..",
    b"a",
    b"b",
    b"_bucket.json",
    b"KEYMAP.jsonl",
    b"_orphans",
    b"_incomplete_uploads",
    b"\xff",
    b"a\0",
    b"a\\",
    b"a\nb",
    b"e3b0c44298fc1c149afbf4c8996fb924__",
];

const SUFFIXES: &[&[u8]] = &[META_SUFFIX, LEAF_SUFFIX, USER_SUFFIX];

#[test]
fn a_name_made_of_a_hash_that_is_a_sidecar_is_not_used_twice() {
    let key = b"m.elastickv-meta.json";
    let mut name = Vec::new();
    let _ = push_fallback(key, &mut name);
    let beside = name.strip_suffix(META_SUFFIX).unwrap();
    let bucket = Bucket::of(&[key.as_slice(), &user_data_path(key), beside], true);
    assert_eq!(bucket.place(key).0, Place::Taken);
    assert_eq!(bucket.place(beside).0, Place::At(Kind::Natural));
}

/// Segments that the rules speak of, and keys made of them.
fn any_key() -> impl Strategy<Value = Vec<u8>> {
    let segment = prop_oneof![
        8 => prop::sample::select(SEGMENTS).prop_map(<[u8]>::to_vec),
        2 => prop::collection::vec(any::<u8>(), 0..4),
        1 => (230..260usize).prop_map(|length| vec![b'l'; length]),
    ];
    let suffixes = prop::collection::vec(prop::sample::select(SUFFIXES), 0..3);
    let suffixed = (segment, suffixes).prop_map(|(segment, suffixes)| [segment, suffixes.concat()].concat());
    let short = prop::collection::vec(suffixed, 1..4).prop_map(|segments| segments.join(&b'/'));
    prop_oneof![
        20 => short.clone(),
        // The name that another key gets.
        3 => short.clone().prop_map(|key| {
            let mut name = Vec::new();
            let _ = push_fallback(&key, &mut name);
            name
        }),
        // The name whose sidecar that would be.
        2 => short.clone().prop_map(|key| {
            let mut name = Vec::new();
            let _ = push_fallback(&[&key[..], META_SUFFIX].concat(), &mut name);
            name.truncate(name.len() - if name.ends_with(META_SUFFIX) { META_SUFFIX.len() } else { 0 });
            name
        }),
        2 => short.prop_map(|key| [&key[..], META_SUFFIX].concat()),
        1 => (1..900usize).prop_map(|deep| b"abc/".repeat(deep)),
        1 => (1..900usize).prop_map(|deep| [&b"abc/".repeat(deep)[..], b"x"].concat()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_key_leads_outside_or_onto_the_path_of_another(keys in prop::collection::btree_set(any_key(), 1..12), rename: bool) {
        let bucket = Bucket { keys, rename };
        // Every file of the bucket's folder, bodies with their sidecars.
        let mut files: BTreeSet<Vec<u8>> = [BUCKET_FILE.as_bytes(), FILE_NAME.as_bytes(), b"_orphans/x/gen-1/y.bin", b"_incomplete_uploads/records.jsonl"]
            .map(<[u8]>::to_vec)
            .into();
        let mut kinds = BTreeMap::new();
        for key in &bucket.keys {
            let (place, path) = bucket.place(key);
            let kind = match place {
                Place::At(kind) => kind,
                Place::NeedsRenaming => {
                    prop_assert!(!rename);
                    continue;
                }
                Place::Taken => {
                    prop_assert!(rename);
                    continue;
                }
            };
            prop_assert!(rename || matches!(kind, Kind::Natural | Kind::LeafData));
            prop_assert_eq!(kind == Kind::Natural, path == *key);
            prop_assert!(kind == Kind::Natural || str::from_utf8(&path).is_ok());
            prop_assert!(files.insert([&path[..], META_SUFFIX].concat()), "two sidecars at {}", path.escape_ascii());
            prop_assert!(files.insert(path.clone()), "two files at {}", path.escape_ascii());
            kinds.insert(path, kind);
        }
        let mut folders = HashSet::new();
        for file in &files {
            let segments: Vec<_> = file.split(|&byte| byte == b'/').collect();
            prop_assert!(file.len() <= MAX_PATH_BYTES + META_SUFFIX.len());
            for segment in &segments {
                prop_assert!(!matches!(*segment, b"" | b"." | b"..") && segment.len() <= MAX_SEGMENT_BYTES);
                prop_assert!(!segment.contains(&0));
            }
            for end in 1..segments.len() {
                folders.insert(segments[..end].join(&b'/'));
            }
        }
        for file in &files {
            prop_assert!(!folders.contains(file), "{} is a file and a folder", file.escape_ascii());
        }
        // What is in the side folders is ours alone.
        for path in kinds.keys() {
            let first = path.split(|&byte| byte == b'/').next().unwrap_or_default();
            prop_assert!(first != b"_orphans" && first != b"_incomplete_uploads");
        }
    }
}
