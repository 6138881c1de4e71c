//! What a path in a dump stands for (`docs/format/dump.md`, opening, and the page of each family): what its content is,
//! which keys it adds to those that the manifest counts, and which of its names may be fallbacks.

use crate::dump::keymap::FILE_NAME;
use crate::dump::name::looks_like_fallback;
use crate::family::s3::{BUCKET_FILE, META_SUFFIX, ORPHANS_FOLDER, UPLOADS_FOLDER};

/// The file of names that do not lead back to their key.
const KEYMAP: &[u8] = FILE_NAME.as_bytes();

/// What the bytes of a file are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Anything.
    Bytes,
    /// One JSON value.
    Json,
    /// One JSON value a line.
    JsonLines,
}

/// What a file adds to the keys of its adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// None.
    None,
    /// One.
    One,
    /// As many as it has lines.
    Lines,
    /// One, if the file lies beside the one whose path is its own without [`META_SUFFIX`].
    OneIfBeside,
}

/// A file of a dump, by its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File<'p> {
    /// Its adapter: the first folder.
    pub adapter: &'p [u8],
    /// What its bytes are.
    pub content: Content,
    /// What it adds to the keys.
    pub keys: Keys,
    /// Does it stand for a database, table, bucket or queue?
    pub is_scope: bool,
    /// The folder whose KEYMAP leads back from its names, and those that do not by themselves.
    pub fallbacks: Option<(Vec<u8>, Vec<&'p [u8]>)>,
}

impl<'p> File<'p> {
    /// Reads a path relative to the root.
    pub fn of(path: &'p [u8]) -> Self {
        let segments: Vec<&[u8]> = path.split(|&byte| byte == b'/').collect();
        let adapter = segments.first().copied().filter(|_| segments.len() > 1).unwrap_or_default();
        let file =
            Self { adapter, content: Content::Bytes, keys: Keys::None, is_scope: false, fallbacks: None };
        let json = |content| Self { content, ..file.clone() };
        let key = |content, folder: &[&[u8]], names: &[&'p [u8]]| {
            let names: Vec<_> = names.iter().copied().filter(|name| looks_like_fallback(name)).collect();
            let fallbacks = (!names.is_empty()).then(|| (folder.join(&b'/'), names));
            Self { content, keys: Keys::One, fallbacks, ..file.clone() }
        };
        match *segments {
            [b"MANIFEST.json"] => json(Content::Json),
            [b"redis", _, KEYMAP | b"strings_ttl.jsonl" | b"hll_ttl.jsonl"] => json(Content::JsonLines),
            [b"redis", database, kind, name] => {
                let folder = [&b"redis"[..], database];
                let (content, extension) = match kind {
                    b"strings" | b"hll" => (Content::Bytes, &b".bin"[..]),
                    b"hashes" | b"lists" | b"sets" | b"zsets" => (Content::Json, &b".json"[..]),
                    b"streams" => (Content::JsonLines, &b".jsonl"[..]),
                    _ => return file,
                };
                match name.strip_suffix(extension) {
                    Some(name) => key(content, &folder, &[name]),
                    None => file,
                }
            }
            [b"dynamodb", _, b"_schema.json"] => Self { is_scope: true, ..json(Content::Json) },
            [b"dynamodb", _, KEYMAP] => json(Content::JsonLines),
            [b"dynamodb", table, b"items", ref names @ ..] if matches!(names.len(), 1 | 2) => {
                let (folders, name) = (&names[..names.len() - 1], names[names.len() - 1]);
                if let Some(name) = name.strip_suffix(b".json") {
                    key(Content::Json, &[b"dynamodb", table], &[folders, &[name]].concat())
                } else if folders.is_empty() && name.ends_with(b".jsonl") {
                    Self { keys: Keys::Lines, ..json(Content::JsonLines) }
                } else {
                    file
                }
            }
            [b"s3", _, name] if name == BUCKET_FILE.as_bytes() => {
                Self { is_scope: true, keys: Keys::One, ..json(Content::Json) }
            }
            [b"s3", _, KEYMAP] => json(Content::JsonLines),
            [b"s3", _, folder, ref rest @ ..] if !rest.is_empty() && folder == ORPHANS_FOLDER.as_bytes() => {
                file
            }
            [b"s3", _, folder, b"records.jsonl"] if folder == UPLOADS_FOLDER.as_bytes() => {
                json(Content::JsonLines)
            }
            // Of a key that ends so only the hash is left, and the end: this may be the object itself.
            [b"s3", _, name] if name.ends_with(META_SUFFIX) && looks_like_fallback(name) => {
                Self { keys: Keys::OneIfBeside, ..file }
            }
            // Any other object whose key ends so has another path.
            [b"s3", _, .., name] if segments.len() > 2 && name.ends_with(META_SUFFIX) => {
                Self { keys: Keys::One, ..json(Content::Json) }
            }
            [b"sqs", KEYMAP] => json(Content::JsonLines),
            [b"sqs", queue, b"_queue.json"] => {
                Self { is_scope: true, ..key(Content::Json, &[b"sqs"], &[queue]) }
            }
            [b"sqs", _, b"_extra.json"] => json(Content::Json),
            [b"sqs", _, b"messages.jsonl"] => Self { keys: Keys::Lines, ..json(Content::JsonLines) },
            [b"sqs", _, b"_internals", b"side_records.jsonl"] => json(Content::JsonLines),
            _ => file,
        }
    }

    /// The folder whose names the file of this path leads back from; `None` if it is no KEYMAP.
    pub fn keymap_scope(path: &[u8]) -> Option<&[u8]> {
        let scope = path.strip_suffix(KEYMAP)?.strip_suffix(b"/")?;
        let depth = scope.split(|&byte| byte == b'/').count();
        let is_one = match scope.split(|&byte| byte == b'/').next()? {
            b"sqs" => depth == 1,
            b"redis" | b"dynamodb" | b"s3" => depth == 2,
            _ => false,
        };
        is_one.then_some(scope)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_tells_what_is_in_the_file() {
        use Content::{Bytes, Json, JsonLines};
        for (path, content, keys) in [
            ("MANIFEST.json", Json, Keys::None),
            ("redis/db_0/strings/k.bin", Bytes, Keys::One),
            ("redis/db_0/streams/k.jsonl", JsonLines, Keys::One),
            ("redis/db_0/hashes/k.json", Json, Keys::One),
            ("redis/db_0/hashes/stray", Bytes, Keys::None),
            ("redis/db_0/hll_ttl.jsonl", JsonLines, Keys::None),
            ("dynamodb/t/items/h.json", Json, Keys::One),
            ("dynamodb/t/items/h/r.json", Json, Keys::One),
            ("dynamodb/t/items/data-00001.jsonl", JsonLines, Keys::Lines),
            ("dynamodb/t/_schema.json", Json, Keys::None),
            ("s3/b/_bucket.json", Json, Keys::One),
            ("s3/b/a/b.json", Bytes, Keys::None),
            ("s3/b/a/b.json.elastickv-meta.json", Json, Keys::One),
            ("s3/b/0e3246de4838b88fa1b243cce26975b5__.elastickv-meta.json", Bytes, Keys::OneIfBeside),
            ("s3/b/_orphans/k/gen-1/u.elastickv-meta.json", Bytes, Keys::None),
            ("s3/b/a/KEYMAP.jsonl", Bytes, Keys::None),
            ("sqs/q/_queue.json", Json, Keys::One),
            ("sqs/q/messages.jsonl", JsonLines, Keys::Lines),
            ("stray", Bytes, Keys::None),
            ("redis", Bytes, Keys::None),
            ("", Bytes, Keys::None),
        ] {
            let file = File::of(path.as_bytes());
            assert_eq!((file.content, file.keys), (content, keys), "{path}");
        }
    }

    #[test]
    fn names_that_do_not_lead_back_are_told_with_their_keymap() {
        let hash = "0e3246de4838b88fa1b243cce26975b5__b64.";
        let path = format!("dynamodb/t/items/{hash}/{hash}x.json");
        let name = hash.as_bytes();
        let longer = [name, b"x"].concat();
        let expected = Some((b"dynamodb/t".to_vec(), vec![name, &longer[..]]));
        assert_eq!(File::of(path.as_bytes()).fallbacks, expected);
        assert_eq!(File::of(b"dynamodb/t/items/a/b.json").fallbacks, None);
        let queue = format!("sqs/{hash}/_queue.json");
        assert_eq!(File::of(queue.as_bytes()).fallbacks, Some((b"sqs".to_vec(), vec![name])));
    }

    #[test]
    fn a_keymap_is_one_only_where_the_format_has_one() {
        let scope = |path: &str| File::keymap_scope(path.as_bytes()).map(<[u8]>::to_vec);
        assert_eq!(scope("redis/db_0/KEYMAP.jsonl"), Some(b"redis/db_0".to_vec()));
        assert_eq!(scope("sqs/KEYMAP.jsonl"), Some(b"sqs".to_vec()));
        for path in ["KEYMAP.jsonl", "sqs/q/KEYMAP.jsonl", "s3/b/a/KEYMAP.jsonl", "s3/b/xKEYMAP.jsonl"] {
            assert_eq!(scope(path), None, "{path}");
        }
    }
}
