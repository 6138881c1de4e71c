//! Bytes as people read them in messages: text where they are text, escapes elsewhere, never endless; and back.
//! Leaves the exact forms of the dump to `dump::json` and `dump::name`.

use std::fmt;

const SHOWN_BYTES: usize = 160;

/// A key for a message: UTF-8 as it is, other bytes and controls as escapes, long keys cut with their length.
pub struct Readable<'a>(pub &'a [u8]);

impl fmt::Display for Readable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.0[..self.0.len().min(SHOWN_BYTES)];
        Escaped(shown).fmt(f)?;
        if shown.len() < self.0.len() {
            write!(f, "… ({} bytes)", self.0.len())?;
        }
        Ok(())
    }
}

/// Bytes without a loss: UTF-8 as it is, quotes too, other bytes as `\xff`; controls and backslashes as Rust escapes them.
/// [`unescape`] gives the bytes back.
pub struct Escaped<'a>(pub &'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for part in chunk.valid().split_inclusive(['"', '\'']) {
                let text = part.trim_end_matches(['"', '\'']);
                write!(f, "{}{}", text.escape_debug(), &part[text.len()..])?;
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

/// An escape that [`Escaped`] never writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the escape at byte {0} is none of \\0 \\t \\n \\r \\\" \\' \\\\ \\xNN \\u{{N}}")]
pub struct UnknownEscape(
    /// Where it begins, in bytes.
    pub usize,
);

/// The bytes that [`Escaped`] shows as `text`.
///
/// # Errors
/// An escape that cannot be undone.
pub fn unescape(text: &str) -> Result<Vec<u8>, UnknownEscape> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((plain, escape)) = rest.split_once('\\') {
        bytes.extend_from_slice(plain.as_bytes());
        let at = text.len() - escape.len() - 1;
        rest = push_unescaped(escape, &mut bytes).ok_or(UnknownEscape(at))?;
    }
    bytes.extend_from_slice(rest.as_bytes());
    Ok(bytes)
}

/// Appends what the escape stands for whose backslash came before `escape`; what follows it.
fn push_unescaped<'t>(escape: &'t str, bytes: &mut Vec<u8>) -> Option<&'t str> {
    let mut rest = escape.chars();
    let byte = match rest.next()? {
        '0' => 0,
        't' => b'\t',
        'n' => b'\n',
        'r' => b'\r',
        quote @ ('"' | '\'' | '\\') => u8::try_from(quote).ok()?,
        'x' => {
            let (digits, rest) = rest.as_str().split_at_checked(2)?;
            bytes.push(u8::try_from(hex(digits)?).ok()?);
            return Some(rest);
        }
        'u' => {
            let (digits, rest) = rest.as_str().strip_prefix('{')?.split_once('}')?;
            let character = char::from_u32(hex(digits)?)?;
            bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            return Some(rest);
        }
        _ => return None,
    };
    bytes.push(byte);
    Some(rest.as_str())
}

/// Hex digits and nothing else: `from_str_radix` would take a sign.
fn hex(digits: &str) -> Option<u32> {
    digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| u32::from_str_radix(digits, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_stays_text_and_other_bytes_become_escapes() {
        assert_eq!(Readable("ключ\n\u{0}".as_bytes()).to_string(), "ключ\\n\\0");
        assert_eq!(Readable(b"a\xff\xfe").to_string(), "a\\xff\\xfe");
        assert_eq!(Escaped(&[b'x'; 1000]).to_string(), "x".repeat(1000));
        assert!(Readable(&[b'x'; 1000]).to_string().ends_with("x… (1000 bytes)"));
    }

    #[test]
    fn what_is_no_escape_is_refused_with_its_place() {
        for (text, at) in [
            ("\\", 0),
            ("ab\\q", 2),
            ("\\x4", 0),
            ("\\x+4", 0),
            ("ä\\xü", 2),
            ("\\u{}", 0),
            ("\\u{d800}", 0),
            ("\\u{41", 0),
        ] {
            assert_eq!(unescape(text), Err(UnknownEscape(at)), "{text}");
        }
        assert_eq!(unescape("\\xe2\\u{41}\\0"), Ok(b"\xe2A\0".to_vec()));
    }

    proptest! {
        #[test]
        fn every_key_can_be_had_back_from_its_readable_form(
            key in prop_oneof![prop::collection::vec(any::<u8>(), 0..200), any::<String>().prop_map(String::into_bytes)],
        ) {
            prop_assert_eq!(unescape(&Escaped(&key).to_string()), Ok(key));
        }

        #[test]
        fn no_text_makes_it_panic(text in "(\\PC|\\\\[0tnrxu\\\\'\"{}a-f]?){0,40}") {
            let _ = unescape(&text);
        }
    }
}
