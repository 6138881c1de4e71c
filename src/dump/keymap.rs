//! `KEYMAP.jsonl`: the way back from a fallback name to its key.
//!
//! Owns the form of a line (`docs/format/dump.md` section 1). Which names need one, their order and the file itself
//! are left to the caller.

use super::json;

/// Appends the line of one fallback name: `encoded` as [`push_file_name`](super::name::push_file_name) gave it, and the
/// key it stands for.
pub fn push_line(encoded: &[u8], original: &[u8], out: &mut Vec<u8>) {
    // Neither an encoded name nor base64url holds a byte that JSON escapes.
    out.extend_from_slice(br#"{"encoded":""#);
    out.extend_from_slice(encoded);
    out.extend_from_slice(br#"","original":""#);
    json::push_base64url(original, out);
    out.extend_from_slice(b"\",\"kind\":\"sha-fallback\"}\n");
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
        push_line(&encoded, key, &mut out);
        assert_eq!(
            String::from_utf8_lossy(&out),
            concat!(
                r#"{"encoded":"9d1320cf3f0c7d79a1d2e745570b5d6f__b64.%FB%FF%2F","#,
                r#""original":"YjY0Lvv_Lw","kind":"sha-fallback"}"#,
                "\n"
            )
        );
    }
}
