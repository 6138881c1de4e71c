//! `KEYMAP.jsonl`: the way back from a name to the key that it does not give away.
//!
//! Owns the form of a line (`docs/format/dump.md` section 1, `docs/format/s3.md` section 3.5). Which names need one,
//! their order and the file itself are left to the caller.

use super::json::{self, Markup};

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
    fn a_path_is_escaped_as_json() {
        let mut out = Vec::new();
        push_line("a\"\n<é>/b.user-data", b"k", "meta-suffix-rename", &mut out);
        let line = r#"{"encoded":"a\"\n<é>/b.user-data","original":"aw","kind":"meta-suffix-rename"}"#;
        assert_eq!(String::from_utf8_lossy(&out), format!("{line}\n"));
    }
}
