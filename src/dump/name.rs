//! File names: from the bytes of a key to a name that every file system takes, and back.
//!
//! Owns the escaping, the fallback for keys that have no reversible name, the names of directories and of binary key
//! values, and the promise that two keys never share a name (`docs/format/dump.md` section 1). Folders, extensions and the creation of files are left to the caller, and
//! the lines that lead from a fallback back to its key to [`keymap`](super::keymap).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

/// The longest name without its extension, in bytes; the manifest repeats it (`docs/format/dump.md` sections 1 and 4).
pub const KEY_SEGMENT_MAX_BYTES: usize = 240;

/// Bytes of the key's SHA-256 that open a fallback name, as twice as many hex digits.
const FALLBACK_HASH_BYTES: usize = 16;

/// Bytes of the key that a fallback name still shows, for people.
const FALLBACK_KEY_BYTES: usize = 64;

const FALLBACK_SEPARATOR: &[u8] = b"__";

/// Opens the names of binary DynamoDB key values; no other key may look like one.
const BINARY_PREFIX: &[u8] = b"b64.";

/// Whether a name leads back to its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum NameKind {
    /// Undoing the percent escapes gives the key.
    Reversible,
    /// The name holds a hash and the first bytes of the key; `KEYMAP.jsonl` must hold the rest.
    Fallback,
}

/// Appends the file name of `key`, without an extension, and tells whether it is reversible.
///
/// The name is ASCII, at most [`KEY_SEGMENT_MAX_BYTES`] long, without `/` and NUL. It may be empty, `.` or `..`: legal
/// once an extension follows (`docs/format/dump.md` section 1, rule 4).
pub fn push_file_name(key: &[u8], out: &mut Vec<u8>) -> NameKind {
    let escapes = key.iter().filter(|&&byte| !is_plain(byte)).count();
    // The reserved openings are made of plain bytes only, so the key has one exactly when its name would.
    if key.len() + 2 * escapes > KEY_SEGMENT_MAX_BYTES
        || key.starts_with(BINARY_PREFIX)
        || looks_like_fallback(key)
    {
        return push_fallback(key, out);
    }
    if escapes == 0 {
        out.extend_from_slice(key);
    } else {
        push_escaped(key, out);
    }
    NameKind::Reversible
}

/// Appends the name of the directory of `key`: as [`push_file_name`], but no extension will follow that makes an empty
/// name, `.` or `..` legal, so these are fallbacks (`docs/format/dump.md` section 1, rule 4).
pub fn push_directory_name(key: &[u8], out: &mut Vec<u8>) -> NameKind {
    match key {
        b"" | b"." | b".." => push_fallback(key, out),
        _ => push_file_name(key, out),
    }
}

/// Appends the name of a binary DynamoDB key value, without an extension (`docs/format/dump.md` section 1, rule 3).
pub fn push_binary_name(value: &[u8], out: &mut Vec<u8>) -> NameKind {
    if base64::encoded_len(value.len(), false)
        .is_some_and(|length| BINARY_PREFIX.len() + length <= KEY_SEGMENT_MAX_BYTES)
    {
        out.extend_from_slice(BINARY_PREFIX);
        super::json::push_base64url(value, out);
        return NameKind::Reversible;
    }
    push_fallback(value, out)
}

/// Appends the fallback name of `key`, whether it needs one or not: for keys that would share their name with another
/// one (`docs/format/dynamodb.md` section 3.2).
pub fn push_fallback(key: &[u8], out: &mut Vec<u8>) -> NameKind {
    super::push_hex(&Sha256::digest(key)[..FALLBACK_HASH_BYTES], out);
    out.extend_from_slice(FALLBACK_SEPARATOR);
    push_escaped(&key[..key.len().min(FALLBACK_KEY_BYTES)], out);
    NameKind::Fallback
}

/// A text that is the name of no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no name that a key gets, without its extension")]
pub struct NotAName(String);

/// The key that a name without its extension stands for; `None` for a fallback, whose key stands in `KEYMAP.jsonl`
/// (`docs/format/dump.md` section 1).
///
/// # Errors
/// A text that no key has as its name.
pub fn key_of_name(name: &str) -> Result<Option<Vec<u8>>, NotAName> {
    let no_name = || NotAName(name.to_owned());
    if name.len() <= KEY_SEGMENT_MAX_BYTES
        && let Some(encoded) = name.as_bytes().strip_prefix(BINARY_PREFIX)
    {
        return URL_SAFE_NO_PAD.decode(encoded).map(Some).map_err(|_| no_name());
    }
    if looks_like_fallback(name.as_bytes()) {
        return Ok(None);
    }
    let key = unescape(name.as_bytes()).ok_or_else(no_name)?;
    // Escapes that need not be, lower-case digits, names too long.
    let mut again = Vec::new();
    match push_file_name(&key, &mut again) {
        NameKind::Reversible if again == name.as_bytes() => Ok(Some(key)),
        _ => Err(no_name()),
    }
}

/// Undoes `push_escaped`; `None` if an escape lacks its two digits.
fn unescape(name: &[u8]) -> Option<Vec<u8>> {
    let mut key = Vec::with_capacity(name.len());
    let mut rest = name;
    while let [byte, behind @ ..] = rest {
        rest = if *byte == b'%' {
            let (digits, behind) = behind.split_at_checked(2)?;
            key.push(u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?);
            behind
        } else {
            key.push(*byte);
            behind
        };
    }
    Some(key)
}

fn push_escaped(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in bytes {
        if is_plain(byte) {
            out.push(byte);
        } else {
            out.extend_from_slice(&[b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
        }
    }
}

/// Could it be a fallback name? No reversible name is. Digits of either case count, though a fallback itself has
/// lower-case ones only: that is the format's rule.
pub fn looks_like_fallback(key: &[u8]) -> bool {
    key.split_at_checked(2 * FALLBACK_HASH_BYTES).is_some_and(|(hash, rest)| {
        rest.starts_with(FALLBACK_SEPARATOR) && hash.iter().all(u8::is_ascii_hexdigit)
    })
}

fn is_plain(byte: u8) -> bool {
    PLAIN[usize::from(byte)]
}

static PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = 0;
    while byte < plain.len() {
        plain[byte] = matches!(byte as u8, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_');
        byte += 1;
    }
    plain
};

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn name_of(key: &[u8]) -> (String, NameKind) {
        let mut out = Vec::new();
        let kind = push_file_name(key, &mut out);
        (String::from_utf8_lossy(&out).into_owned(), kind)
    }

    fn assert_well_formed(key: &[u8]) {
        let (name, kind) = name_of(key);
        assert!(name.len() <= KEY_SEGMENT_MAX_BYTES, "{name} is too long");
        assert!(name.bytes().all(|b| b == b'%' || is_plain(b)), "{name} leaves the charset");
        assert!(!name.starts_with("b64."), "{name} passes for a binary key value");
        match kind {
            NameKind::Reversible => {
                assert_eq!(key_of_name(&name), Ok(Some(key.to_vec())));
                assert!(!looks_like_fallback(name.as_bytes()), "{name} passes for a fallback");
            }
            NameKind::Fallback => {
                assert!(looks_like_fallback(name.as_bytes()));
                assert_eq!(key_of_name(&name), Ok(None));
                assert_eq!(unescape(&name.as_bytes()[34..]).unwrap(), key[..key.len().min(64)]);
                let hash: String = Sha256::digest(key).iter().map(|byte| format!("{byte:02x}")).collect();
                assert_eq!(name[..32], hash[..32]);
            }
        }
    }

    #[test]
    fn names_are_those_of_the_specification() {
        for (key, name) in [
            (&b"plain-Key.0_9"[..], "plain-Key.0_9"),
            (b"", ""),
            (b".", "."),
            (b"..", ".."),
            (b"../../etc/passwd", "..%2F..%2Fetc%2Fpasswd"),
            (b"user:1~", "user%3A1%7E"),
            (b"100%", "100%25"),
            (b"\x00\xff\n", "%00%FF%0A"),
            ("ключ".as_bytes(), "%D0%BA%D0%BB%D1%8E%D1%87"),
            (b"b64", "b64"),
            (b"B64.x", "B64.x"),
            (b"0123456789abcdef0123456789abcdef_", "0123456789abcdef0123456789abcdef_"),
            (b"0123456789abcdef0123456789abcdeg__", "0123456789abcdef0123456789abcdeg__"),
        ] {
            assert_eq!(name_of(key), (name.to_owned(), NameKind::Reversible));
        }
        // The hashes are those of sha256sum.
        for (key, name) in [
            (&b"b64."[..], "0e3246de4838b88fa1b243cce26975b5__b64."),
            (
                b"0123456789abcdefABCDEF0123456789__",
                "b2ad11b4fcb7959af62da453f0e83f75__0123456789abcdefABCDEF0123456789__",
            ),
            (
                &[b'k'; 241],
                "74bb436be223189a34bf2ce2b5ccebf5__kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk",
            ),
        ] {
            assert_eq!(name_of(key), (name.to_owned(), NameKind::Fallback));
        }
    }

    #[test]
    fn a_name_of_exactly_240_bytes_is_still_reversible() {
        assert_eq!(name_of(&[b'k'; 240]).1, NameKind::Reversible);
        assert_eq!(name_of(&[b'/'; 80]).1, NameKind::Reversible);
        assert_eq!(name_of(&[b'/'; 81]).1, NameKind::Fallback);
        assert_eq!(name_of(&[b'/'; 300]).0.len(), 32 + 2 + 3 * 64);
    }

    #[test]
    fn a_directory_never_has_an_empty_name_nor_one_of_dots() {
        let name_of = |key: &[u8]| {
            let mut out = Vec::new();
            let kind = push_directory_name(key, &mut out);
            (String::from_utf8_lossy(&out).into_owned(), kind)
        };
        assert_eq!(name_of(b""), ("e3b0c44298fc1c149afbf4c8996fb924__".to_owned(), NameKind::Fallback));
        assert_eq!(name_of(b".."), ("5ec1f7e700f37c3d0b2981d04855fc34__..".to_owned(), NameKind::Fallback));
        assert_eq!(name_of(b".").1, NameKind::Fallback);
        assert_eq!(name_of(b"..."), ("...".to_owned(), NameKind::Reversible));
        assert_eq!(name_of(b"a/b"), ("a%2Fb".to_owned(), NameKind::Reversible));
    }

    #[test]
    fn a_binary_value_is_base64url_while_it_fits() {
        let name_of = |value: &[u8]| {
            let mut out = Vec::new();
            let kind = push_binary_name(value, &mut out);
            (String::from_utf8_lossy(&out).into_owned(), kind)
        };
        assert_eq!(name_of(b""), ("b64.".to_owned(), NameKind::Reversible));
        assert_eq!(name_of(b"\0\x01\x02\xff"), ("b64.AAEC_w".to_owned(), NameKind::Reversible));
        let bytes: Vec<u8> = (0..=0xB1).collect();
        let (longest, kind) = name_of(&bytes[..177]);
        assert_eq!((longest.len(), kind), (240, NameKind::Reversible));
        let (fallback, kind) = name_of(&bytes);
        assert!(fallback.starts_with("af37eee16b62d9665944da23a7712f45__%00%01%02"));
        assert!(fallback.ends_with("%3E%3F"));
        assert_eq!((fallback.len(), kind), (202, NameKind::Fallback));
    }

    #[test]
    fn what_is_the_name_of_no_key_leads_to_none() {
        for name in ["a/b", "a b", "ä", "%2f", "%41", "%", "%4", "%+1", "b64.=", "b64.A", &"k".repeat(241)] {
            assert_eq!(key_of_name(name), Err(NotAName(name.to_owned())));
        }
        assert_eq!(key_of_name("b64.AAEC_w"), Ok(Some(b"\0\x01\x02\xff".to_vec())));
    }

    #[test]
    fn a_name_is_appended_to_what_stands_there() {
        let mut out = b"strings/".to_vec();
        assert_eq!(push_file_name(b"a b", &mut out), NameKind::Reversible);
        assert_eq!(out, b"strings/a%20b");
    }

    #[test]
    fn no_two_keys_of_up_to_two_bytes_share_a_name() {
        let short = (0..=u8::MAX).flat_map(|a| (0..=u8::MAX).map(move |b| vec![a, b]));
        let keys = short.chain((0..=u8::MAX).map(|a| vec![a])).chain([vec![]]);
        let mut names = HashSet::new();
        for key in keys {
            assert_well_formed(&key);
            assert!(names.insert(name_of(&key).0), "{key:?} meets another key");
        }
        assert_eq!(names.len(), 65536 + 256 + 1);
    }

    fn any_key() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            prop::collection::vec(any::<u8>(), 0..300),
            prop::collection::vec(prop::sample::select(&b"%2Ff/._-"[..]), 0..12),
            "[a-z]{230,250}".prop_map(String::into_bytes),
            "[bB]64\\.?[A-Za-z0-9_-]{0,8}".prop_map(String::into_bytes),
            "[0-9a-fA-F]{31,33}_{1,3}[a-z%]{0,9}".prop_map(String::into_bytes),
        ]
    }

    proptest! {
        #[test]
        fn every_name_is_well_formed(key in any_key()) {
            assert_well_formed(&key);
        }

        #[test]
        fn a_text_that_has_a_key_is_the_name_of_that_key(name in "(b64\\.)?[A-Za-z0-9%._/~-]{0,20}") {
            if let Ok(Some(key)) = key_of_name(&name) {
                let mut again = Vec::new();
                let binary = name.starts_with("b64.");
                let kind = if binary { push_binary_name(&key, &mut again) } else { push_file_name(&key, &mut again) };
                prop_assert_eq!((kind, again), (NameKind::Reversible, name.into_bytes()));
            }
        }

        #[test]
        fn different_keys_have_different_names(a in any_key(), b in any_key(), cut in 0..300_usize) {
            // The hardest neighbours of a key: its own name, and what shares its first bytes.
            let named = name_of(&a).0.into_bytes();
            let twice = name_of(&named).0.into_bytes();
            let shorter = a[..cut.min(a.len())].to_vec();
            let keys = HashSet::from([a, b, named, twice, shorter]);
            let names: HashSet<_> = keys.iter().map(|key| name_of(key).0).collect();
            prop_assert_eq!(names.len(), keys.len());
        }
    }
}
