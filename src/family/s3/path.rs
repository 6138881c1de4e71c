//! From an object key to a path in the folder of its bucket (`docs/format/s3.md` section 3.1): the key itself where it
//! can be one, else the key with a suffix, else a name made of its hash.
//!
//! Owns the rules; which keys there are is for [`Keys`] to say, so that the rules can be tested on any set of them.

use crate::dump::keymap::{FILE_NAME, SHA_FALLBACK};
use crate::dump::name::push_fallback;

/// Ends the name of the file beside a body.
pub const META_SUFFIX: &[u8] = b".elastickv-meta.json";
/// Ends the path of an object that is also a folder.
const LEAF_SUFFIX: &[u8] = b".elastickv-leaf-data";
/// Ends the path of an object whose key ends like the file beside a body.
const USER_SUFFIX: &[u8] = b".user-data";

/// The file that says what a bucket is.
pub const BUCKET_FILE: &str = "_bucket.json";
/// The folder of chunks without an object.
pub const ORPHANS_FOLDER: &str = "_orphans";
/// The folder of uploads that were not finished.
pub const UPLOADS_FOLDER: &str = "_incomplete_uploads";

/// Longest segment, in bytes; the last one of a body leaves room for [`META_SUFFIX`].
pub const MAX_SEGMENT_BYTES: usize = 255;
/// Longest path below the bucket's folder, in bytes.
const MAX_PATH_BYTES: usize = 3500;

/// How an object's path came about; each but the first has a line in the KEYMAP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It is the key.
    Natural,
    /// The key is a folder, too: it has got a suffix.
    LeafData,
    /// The key ends like the file beside a body: it has got a suffix.
    MetaSuffix,
    /// The key cannot be a path here.
    Fallback,
    /// The key would not lead into the bucket's folder, or into folders that are not the user's.
    UnsafePath,
}

impl Kind {
    /// The name in the KEYMAP; `None` for a natural path.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::Natural => None,
            Self::LeafData => Some("s3-leaf-data"),
            Self::MetaSuffix => Some("meta-suffix-rename"),
            Self::Fallback => Some(SHA_FALLBACK),
            Self::UnsafePath => Some("s3-unsafe-path"),
        }
    }
}

/// What a key alone says of its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stays {
    /// It stays where it is, or gets a suffix there.
    Always,
    /// It gets a suffix there if objects may be renamed, unless the result is a key.
    IfRenamed,
    /// Never: its path is made of its hash, of the kind given.
    Never(Kind),
}

/// The keys of a bucket, as far as paths depend on them.
pub trait Keys {
    /// What asking them can come to.
    type Error;

    /// Is there an object of this key?
    ///
    /// # Errors
    /// Whatever the asking comes to.
    fn is_key(&self, path: &[u8]) -> Result<bool, Self::Error>;

    /// Is there an object below this path that stays there?
    ///
    /// # Errors
    /// Whatever the asking comes to.
    fn is_folder(&self, path: &[u8]) -> Result<bool, Self::Error>;
}

/// Where an object is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// At the path.
    At(Kind),
    /// Nowhere, since it would have to be renamed.
    NeedsRenaming,
    /// Nowhere, since the name made of its hash is another object's.
    Taken,
}

/// What the key alone says.
pub fn stays(key: &[u8]) -> Stays {
    let mut segments = key.split(|&byte| byte == b'/');
    let first = segments.next().unwrap_or_default();
    let is_nested = first.len() < key.len();
    let ours = |name: &str| first == name.as_bytes();
    let is_side_folder = ours(ORPHANS_FOLDER) || ours(UPLOADS_FOLDER);
    let is_unsafe = key.iter().any(|byte| matches!(byte, 0 | b'\\'))
        || key.split(|&byte| byte == b'/').any(|segment| matches!(segment, b"" | b"." | b".."))
        || is_nested && is_side_folder;
    if is_unsafe {
        return Stays::Never(Kind::UnsafePath);
    }
    let is_reserved = is_side_folder || ours(BUCKET_FILE) || ours(FILE_NAME);
    let inner = &key[..key.len() - last_segment(key).len()];
    if is_reserved || inner.split(|&byte| byte == b'/').any(|segment| segment.ends_with(META_SUFFIX)) {
        return Stays::Never(Kind::Fallback);
    }
    if key.ends_with(META_SUFFIX) {
        return match suffixed(key, USER_SUFFIX) {
            Some(_) => Stays::IfRenamed,
            None => Stays::Never(Kind::Fallback),
        };
    }
    if fits(key) { Stays::Always } else { Stays::Never(Kind::Fallback) }
}

/// The path that a key of [`Stays::IfRenamed`] gets if objects may be renamed and it is no key itself.
pub fn user_data_path(key: &[u8]) -> Vec<u8> {
    [key, USER_SUFFIX].concat()
}

/// Puts the path of an object, relative to the bucket's folder, into `path`.
///
/// # Errors
/// What asking for other keys comes to.
pub fn place<K: Keys>(key: &[u8], rename: bool, keys: &K, path: &mut Vec<u8>) -> Result<Place, K::Error> {
    path.clear();
    let (suffix, kind) = match stays(key) {
        Stays::Always => {
            if !keys.is_folder(key)? {
                path.extend_from_slice(key);
                return Ok(Place::At(Kind::Natural));
            }
            (LEAF_SUFFIX, Kind::LeafData)
        }
        Stays::IfRenamed if rename => (USER_SUFFIX, Kind::MetaSuffix),
        Stays::IfRenamed => return Ok(Place::NeedsRenaming),
        Stays::Never(kind) => return fallback(key, kind, rename, keys, path),
    };
    match suffixed(key, suffix) {
        Some(target) if !keys.is_key(&target)? && !keys.is_folder(&target)? => {
            *path = target;
            Ok(Place::At(kind))
        }
        _ => fallback(key, Kind::Fallback, rename, keys, path),
    }
}

fn fallback<K: Keys>(
    key: &[u8],
    kind: Kind,
    rename: bool,
    keys: &K,
    path: &mut Vec<u8>,
) -> Result<Place, K::Error> {
    if !rename {
        return Ok(Place::NeedsRenaming);
    }
    let _ = push_fallback(key, path);
    let taken = keys.is_key(path)? || keys.is_folder(path)? || may_be_beside_another(path, keys)?;
    Ok(if taken { Place::Taken } else { Place::At(kind) })
}

/// A name that shows the end of its key may be that of the file beside another object.
fn may_be_beside_another<K: Keys>(name: &[u8], keys: &K) -> Result<bool, K::Error> {
    let Some(body) = name.strip_suffix(META_SUFFIX) else { return Ok(false) };
    for key in
        [Some(body), body.strip_suffix(LEAF_SUFFIX), body.strip_suffix(USER_SUFFIX)].into_iter().flatten()
    {
        if keys.is_key(key)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The key with a suffix, if that can be a path. Only text can be renamed so, since the KEYMAP is text.
fn suffixed(key: &[u8], suffix: &[u8]) -> Option<Vec<u8>> {
    let path = [key, suffix].concat();
    (str::from_utf8(key).is_ok() && fits(&path)).then_some(path)
}

/// Is no segment, and is not the whole, too long for a file system, wherever the tree lies?
fn fits(path: &[u8]) -> bool {
    path.len() <= MAX_PATH_BYTES
        && path.split(|&byte| byte == b'/').all(|segment| segment.len() <= MAX_SEGMENT_BYTES)
        && last_segment(path).len() + META_SUFFIX.len() <= MAX_SEGMENT_BYTES
}

fn last_segment(path: &[u8]) -> &[u8] {
    path.rsplit(|&byte| byte == b'/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests;
