//! Bytes as people read them in messages: text where they are text, escapes elsewhere, never endless.
//! Leaves the exact forms of the dump to `dump::json` and `dump::name`.

use std::fmt;

const SHOWN_BYTES: usize = 160;

/// A key for a message: UTF-8 as it is, other bytes and controls as escapes, long keys cut with their length.
pub struct Readable<'a>(pub &'a [u8]);

impl fmt::Display for Readable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.0[..self.0.len().min(SHOWN_BYTES)];
        ReadableWhole(shown).fmt(f)?;
        if shown.len() < self.0.len() {
            write!(f, "… ({} bytes)", self.0.len())?;
        }
        Ok(())
    }
}

/// Bytes that are bounded and have to be shown whole, such as a path, in the same form.
pub struct ReadableWhole<'a>(pub &'a [u8]);

impl fmt::Display for ReadableWhole<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            write!(f, "{}", chunk.valid().escape_debug())?;
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text_and_other_bytes_become_escapes() {
        assert_eq!(Readable("ключ\n\u{0}".as_bytes()).to_string(), "ключ\\n\\0");
        assert_eq!(Readable(b"a\xff\xfe").to_string(), "a\\xff\\xfe");
        assert_eq!(ReadableWhole(&[b'x'; 1000]).to_string(), "x".repeat(1000));
        assert!(Readable(&[b'x'; 1000]).to_string().ends_with("x… (1000 bytes)"));
    }
}
