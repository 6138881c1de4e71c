//! `KEYMAP.jsonl`: the way back from a name to the key that it does not give away.
//!
//! Owns the form of a line (`docs/format/dump.md` section 1, `docs/format/s3.md` section 3.5), written and read. Which
//! names need one, their order and the file itself are left to the caller.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use super::json::{self, Markup};
use crate::snapshot::limits::MAX_KEY_BYTES;

/// The name of the file.
pub const FILE_NAME: &str = "KEYMAP.jsonl";

/// Longest line that is read, in bytes: a key in base64url, and a path beside it of which every byte is escaped.
pub const MAX_LINE_BYTES: usize = MAX_KEY_BYTES as usize / 3 * 4 + (64 << 10);

/// What a line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The name as it stands in the tree; bytes that are not UTF-8 are U+FFFD.
    pub encoded: Cow<'a, str>,
    /// The key it stands for.
    pub original: Vec<u8>,
    /// How it came about.
    pub kind: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    encoded: Cow<'a, str>,
    #[serde(borrow)]
    original: Cow<'a, str>,
    #[serde(borrow)]
    kind: Cow<'a, str>,
}

/// Reads a line, given without its line end; `None` if a field is missing, `encoded` or `kind` is empty, or `original` is
/// no base64url.
pub fn parse_line(line: &[u8]) -> Option<Entry<'_>> {
    let Line { encoded, original, kind } = serde_json::from_slice(line).ok()?;
    let original = URL_SAFE_NO_PAD.decode(original.as_bytes()).ok()?;
    (!encoded.is_empty() && !kind.is_empty()).then_some(Entry { encoded, original, kind })
}

/// The kind of the names that [`push_fallback`](super::name::push_fallback) makes.
pub const SHA_FALLBACK: &str = "sha-fallback";

/// Appends the line of one name: `encoded` as it stands in the tree, the key it stands for, and how it came about.
pub fn push_line(encoded: &str, original: &[u8], kind: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(br#"{"encoded":"#);
    json::push_string(encoded, Markup::Keep, out);
    // Neither base64url nor the name of a kind holds a byte that JSON escapes.
    out.extend_from_slice(br#","original":""#);
    json::push_base64url(original, out);
    out.extend_from_slice(br#"","kind":""#);
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\"}\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dump::name::{self, NameKind};

    #[test]
    fn a_line_holds_the_name_and_the_key_in_base64url() {
        let key = b"b64.\xfb\xff/";
        let mut encoded = Vec::new();
        assert_eq!(name::push_file_name(key, &mut encoded), NameKind::Fallback);
        let mut out = Vec::new();
        push_line(str::from_utf8(&encoded).unwrap(), key, SHA_FALLBACK, &mut out);
        assert_eq!(
            String::from_utf8_lossy(&out),
            concat!(
                r#"{"encoded":"9d1320cf3f0c7d79a1d2e745570b5d6f__b64.%FB%FF%2F","#,
                r#""original":"YjY0Lvv_Lw","kind":"sha-fallback"}"#,
                "\n"
            )
        );
    }

    #[test]
    fn a_line_that_was_written_is_read() {
        for (encoded, original) in [("a\"\n<é>/b", &b"k\xff"[..]), ("plain", b""), ("\u{fffd}", b"\xfe")] {
            let mut line = Vec::new();
            push_line(encoded, original, SHA_FALLBACK, &mut line);
            let entry = parse_line(line.trim_ascii_end()).unwrap();
            let (kind, original) = (SHA_FALLBACK.into(), original.to_vec());
            assert_eq!(entry, Entry { encoded: encoded.into(), original, kind });
        }
    }

    #[test]
    fn a_line_that_leads_nowhere_is_refused() {
        for line in [
            "",
            "{}",
            r#"{"encoded":"a","original":"aw"}"#,
            r#"{"encoded":"a","original":null,"kind":"k"}"#,
            r#"{"encoded":"","original":"aw","kind":"k"}"#,
            r#"{"encoded":"a","original":"aw","kind":""}"#,
            r#"{"encoded":"a","original":"aw==","kind":"k"}"#,
            r#"{"encoded":"a","original":"aw","kind":"k"} x"#,
        ] {
            assert_eq!(parse_line(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn a_path_is_escaped_as_json() {
        let mut out = Vec::new();
        push_line("a\"\n<é>/b.user-data", b"k", "meta-suffix-rename", &mut out);
        let line = r#"{"encoded":"a\"\n<é>/b.user-data","original":"aw","kind":"meta-suffix-rename"}"#;
        assert_eq!(String::from_utf8_lossy(&out), format!("{line}\n"));
    }
}
