//! What JSON means to a node beyond its grammar, which is what it means to Go's `encoding/json`: how names are
//! compared, and what becomes of bytes that are no UTF-8 (`docs/format/s3.md` section 1.3, `docs/format/sqs.md`
//! section 6). Reading documents is left to the families: one streams manifests of any length, another needs the text
//! of values as it is stored.

use std::borrow::Cow;

/// The text of a document: each byte that is no UTF-8 is a U+FFFD.
pub fn text(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    Cow::Owned(text)
}

/// A string whose escapes are undone: as [`text`], but half a surrogate pair, which stood there as an escape and is
/// three bytes, is one U+FFFD.
pub fn unescaped_text(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(bytes.len());
    let mut surrogate_left = 0;
    for chunk in bytes.utf8_chunks() {
        if !chunk.valid().is_empty() {
            text.push_str(chunk.valid());
            surrogate_left = 0;
        }
        for &byte in chunk.invalid() {
            match (surrogate_left, byte) {
                (2, 0xA0..=0xBF) | (1, 0x80..=0xBF) => surrogate_left -= 1,
                (_, byte) => {
                    surrogate_left = if byte == 0xED { 2 } else { 0 };
                    text.push(char::REPLACEMENT_CHARACTER);
                }
            }
        }
    }
    Cow::Owned(text)
}

/// A name in lower case: the two letters beyond ASCII that Go takes for `s` and `k` as well.
pub fn folded(name: &str) -> Cow<'_, str> {
    if name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') {
        return Cow::Borrowed(name);
    }
    let fold = |letter| match letter {
        'ſ' => 's',
        '\u{212A}' => 'k',
        letter => letter.to_ascii_lowercase(),
    };
    Cow::Owned(name.chars().map(fold).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_folded_as_go_does() {
        assert_eq!(folded("chun\u{212a}_\u{17f}izes"), "chunk_sizes");
        assert_eq!(folded("ETag"), "etag");
        assert_eq!(folded("É"), "É");
    }

    #[test]
    fn every_byte_that_is_no_utf8_is_replaced_and_half_a_surrogate_pair_only_once() {
        let bytes = b"a\xff\xfe\xed\xa0\x80b\xed";
        assert_eq!(text(bytes), "a\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}b\u{fffd}");
        assert_eq!(unescaped_text(bytes), "a\u{fffd}\u{fffd}\u{fffd}b\u{fffd}");
        assert_eq!(unescaped_text(b"\xed\xed\xa0\x80\xed\xb0\x80"), "\u{fffd}\u{fffd}\u{fffd}");
    }
}
