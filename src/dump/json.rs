//! JSON to the byte: strings, binary-safe values, scores and whole documents (`docs/format/dump.md` section 2).
//!
//! Owns the escapes, the indentation, the choice between text and base64, and the form of numbers. Values come in memory or, where they
//! are too large for it, as a stream; both give the same bytes. The files around the values are left to the families.

use base64::{display::Base64Display, engine::general_purpose::URL_SAFE_NO_PAD, write::EncoderWriter};
use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};
use std::io::{self, Read, Write};

/// What becomes of `<`, `>` and `&` in strings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Markup {
    /// Written as `\u003c`, `\u003e`, `\u0026`: per-key Redis files.
    Escape,
    /// Written as they are: KEYMAP, TTL lists, manifest.
    Keep,
}

/// How a value that takes more than one line is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// All on one line, without spaces: `.jsonl` files.
    Compact,
    /// One element per line; the value begins on a line indented by so many steps of two spaces.
    Indented(usize),
}

/// Below it, in either direction, every whole `f64` is the integer it looks like: 2^53.
const EXACT_INTEGERS: f64 = 9_007_199_254_740_992.0;

/// Bytes read at a time from a value that is too large for memory.
const CHUNK_BYTES: usize = 64 * 1024;

/// Appends `text` as a JSON string.
pub fn push_string(text: &str, markup: Markup, out: &mut Vec<u8>) {
    cannot_fail(write_escaped(text, Escapes { markup, quotes: true }, out));
}

/// Appends bytes that should be text as a JSON string: `\ufffd` for every byte that is no UTF-8.
pub fn push_text(bytes: &[u8], markup: Markup, out: &mut Vec<u8>) {
    out.push(b'"');
    for chunk in bytes.utf8_chunks() {
        cannot_fail(write_escaped(chunk.valid(), Escapes { markup, quotes: false }, out));
        for _ in chunk.invalid() {
            out.extend_from_slice(br"\ufffd");
        }
    }
    out.push(b'"');
}

/// Appends a binary-safe value: a string if `bytes` are valid UTF-8, else `{"base64":"…"}`.
#[inline]
pub fn push_value(bytes: &[u8], layout: Layout, markup: Markup, out: &mut Vec<u8>) {
    // Most values, seen in one pass where UTF-8, JSON's escapes and ours would take one each.
    if is_plain(bytes) {
        out.reserve(bytes.len() + 2);
        out.push(b'"');
        out.extend_from_slice(bytes);
        out.push(b'"');
    } else {
        push_checked_value(bytes, layout, markup, out);
    }
}

#[inline(never)]
fn push_checked_value(bytes: &[u8], layout: Layout, markup: Markup, out: &mut Vec<u8>) {
    match str::from_utf8(bytes) {
        Ok(text) => push_string(text, markup, out),
        Err(_) => {
            push_base64_opening(layout, out);
            push_base64url(bytes, out);
            push_base64_closing(layout, out);
        }
    }
}

/// Appends a score as ECMAScript prints it, negative zero as `-0`, and what JSON has no number for as `"+inf"`,
/// `"-inf"` and `"nan"`.
pub fn push_score(score: f64, out: &mut Vec<u8>) {
    if score.is_nan() {
        out.extend_from_slice(br#""nan""#);
    } else if score.is_infinite() {
        out.extend_from_slice(if score > 0.0 { br#""+inf""# } else { br#""-inf""# });
    } else if score == 0.0 {
        out.extend_from_slice(if score.is_sign_negative() { b"-0" } else { b"0" });
    } else if score.abs() < EXACT_INTEGERS && score.fract() == 0.0 {
        // Most scores are counts or times, and ECMAScript prints a whole number below 1e21 like any integer.
        out.extend_from_slice(itoa::Buffer::new().format(score as i64).as_bytes());
    } else {
        out.extend_from_slice(ryu_js::Buffer::new().format_finite(score).as_bytes());
    }
}

/// Appends a document, its strings escaped as everywhere in the dump.
///
/// # Errors
/// What the document's own `Serialize` says; memory takes every write.
pub fn push_document(
    document: &impl Serialize,
    layout: Layout,
    markup: Markup,
    out: &mut Vec<u8>,
) -> serde_json::Result<()> {
    let escapes = Escapes { markup, quotes: true };
    match layout {
        Layout::Compact => document.serialize(&mut Serializer::with_formatter(out, escapes)),
        Layout::Indented(depth) => {
            let formatter = Indented { depth, is_empty: true, escapes };
            document.serialize(&mut Serializer::with_formatter(out, formatter))
        }
    }
}

/// Whether `input` is valid UTF-8 throughout. Reads to the end, or to the first byte that settles it, in constant
/// memory.
///
/// # Errors
/// Those of `input`.
pub fn is_utf8(input: impl Read) -> io::Result<bool> {
    each_text(input, |_| Ok(()))
}

/// Writes the binary-safe value that `input` holds, with the bytes that [`push_value`] gives for it, in constant
/// memory.
///
/// `utf8` is what [`is_utf8`] said of the same bytes.
///
/// # Errors
/// Those of `input` and `out`; [`io::ErrorKind::InvalidData`] if `utf8` was said of bytes that are not.
pub fn write_value_from(
    mut input: impl Read,
    utf8: bool,
    layout: Layout,
    markup: Markup,
    out: &mut impl Write,
) -> io::Result<()> {
    if utf8 {
        out.write_all(b"\"")?;
        if !each_text(input, |text| write_escaped(text, Escapes { markup, quotes: false }, out))? {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a value announced as UTF-8 text is not"));
        }
        return out.write_all(b"\"");
    }
    let mut frame = Vec::new();
    push_base64_opening(layout, &mut frame);
    out.write_all(&frame)?;
    {
        let mut encoder = EncoderWriter::new(&mut *out, &URL_SAFE_NO_PAD);
        io::copy(&mut input, &mut encoder)?;
        encoder.finish()?;
    }
    frame.clear();
    push_base64_closing(layout, &mut frame);
    out.write_all(&frame)
}

/// Appends base64url without padding and without quotes.
pub fn push_base64url(bytes: &[u8], out: &mut Vec<u8>) {
    cannot_fail(write!(out, "{}", Base64Display::new(bytes, &URL_SAFE_NO_PAD)));
}

fn push_base64_opening(layout: Layout, out: &mut Vec<u8>) {
    out.push(b'{');
    match layout {
        Layout::Compact => out.extend_from_slice(br#""base64":""#),
        Layout::Indented(depth) => {
            push_line_break(depth + 1, out);
            out.extend_from_slice(br#""base64": ""#);
        }
    }
}

fn push_base64_closing(layout: Layout, out: &mut Vec<u8>) {
    out.push(b'"');
    if let Layout::Indented(depth) = layout {
        push_line_break(depth, out);
    }
    out.push(b'}');
}

fn push_line_break(depth: usize, out: &mut Vec<u8>) {
    cannot_fail(write_line_break(depth, out));
}

/// Begins a new line with so many steps of indentation.
///
/// # Errors
/// Those of `out`.
pub fn write_line_break(depth: usize, out: &mut impl Write) -> io::Result<()> {
    const STEPS: [u8; 64] = [b' '; 64];
    out.write_all(b"\n")?;
    let mut left = 2 * depth;
    while left > 0 {
        let step = left.min(STEPS.len());
        out.write_all(&STEPS[..step])?;
        left -= step;
    }
    Ok(())
}

/// Hands `input` on in pieces of whole characters, and tells whether it was UTF-8 to its end.
fn each_text(mut input: impl Read, mut use_text: impl FnMut(&str) -> io::Result<()>) -> io::Result<bool> {
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut filled = 0;
    loop {
        match input.read(&mut buffer[filled..]) {
            // What is left over then is a character that never ended.
            Ok(0) => return Ok(filled == 0),
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        }
        let whole = match str::from_utf8(&buffer[..filled]) {
            Ok(_) => filled,
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            Err(_) => return Ok(false),
        };
        if let Ok(text) = str::from_utf8(&buffer[..whole]) {
            use_text(text)?;
        }
        buffer.copy_within(whole..filled, 0);
        filled -= whole;
    }
}

/// The string escapes of the dump; `quotes` is off where a string is written in pieces.
struct Escapes {
    markup: Markup,
    quotes: bool,
}

impl Formatter for Escapes {
    #[inline]
    fn begin_string<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        if self.quotes { writer.write_all(b"\"") } else { Ok(()) }
    }

    #[inline]
    fn end_string<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.begin_string(writer)
    }

    #[inline]
    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let bytes = fragment.as_bytes();
        // Without a branch per byte the compiler looks at many at once, and most strings end here.
        if !bytes.iter().fold(false, |found, &byte| found | may_need_escape(byte)) {
            return writer.write_all(bytes);
        }
        let mut written = 0;
        for (at, &byte) in bytes.iter().enumerate() {
            if !may_need_escape(byte) {
                continue;
            }
            let (length, escape) = match (byte, self.markup) {
                (b'<', Markup::Escape) => (1, br"\u003c"),
                (b'>', Markup::Escape) => (1, br"\u003e"),
                (b'&', Markup::Escape) => (1, br"\u0026"),
                _ if bytes[at..].starts_with("\u{2028}".as_bytes()) => (3, br"\u2028"),
                _ if bytes[at..].starts_with("\u{2029}".as_bytes()) => (3, br"\u2029"),
                _ => continue,
            };
            writer.write_all(&bytes[written..at])?;
            writer.write_all(escape)?;
            written = at + length;
        }
        writer.write_all(&bytes[written..])
    }
}

/// Two spaces a step, one element per line, nothing inside an empty list or object.
struct Indented {
    depth: usize,
    is_empty: bool,
    escapes: Escapes,
}

impl Indented {
    fn begin<W: ?Sized + Write>(&mut self, bracket: &[u8], writer: &mut W) -> io::Result<()> {
        self.depth += 1;
        self.is_empty = true;
        writer.write_all(bracket)
    }

    fn end<W: ?Sized + Write>(&mut self, bracket: &[u8], mut writer: &mut W) -> io::Result<()> {
        self.depth -= 1;
        if !self.is_empty {
            write_line_break(self.depth, &mut writer)?;
        }
        self.is_empty = false;
        writer.write_all(bracket)
    }

    fn element<W: ?Sized + Write>(&mut self, first: bool, mut writer: &mut W) -> io::Result<()> {
        if !first {
            writer.write_all(b",")?;
        }
        self.is_empty = false;
        write_line_break(self.depth, &mut writer)
    }
}

impl Formatter for Indented {
    fn begin_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.begin(b"[", writer)
    }

    fn end_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.end(b"]", writer)
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.element(first, writer)
    }

    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.begin(b"{", writer)
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.end(b"}", writer)
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.element(first, writer)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }

    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        self.escapes.write_string_fragment(writer, fragment)
    }
}

/// Is this ASCII in which nothing is ever escaped, so that it stands as it is between quotes? Looked at in words of eight
/// bytes.
#[inline]
pub fn is_plain(bytes: &[u8]) -> bool {
    let last = match bytes.last_chunk() {
        // The bytes that fill no word, behind some that are looked at twice.
        Some(last) => u64::from_ne_bytes(*last),
        // Fewer than a word: behind spaces, in an order that does not matter.
        None => bytes.iter().fold(u64::from_ne_bytes([b' '; 8]), |word, byte| word << 8 | u64::from(*byte)),
    };
    let words = bytes.as_chunks().0.iter().map(|word| u64::from_ne_bytes(*word));
    words.fold(odd_bytes(last), |odd, word| odd | odd_bytes(word)) == 0
}

/// Not zero if one of the bytes is beyond ASCII or may need an escape.
#[inline]
fn odd_bytes(word: u64) -> u64 {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    // The highest bit of a byte that is smaller than `limit`, and, only if there is one, perhaps of those above it.
    let below = |word: u64, limit: u8| word.wrapping_sub(ONES * u64::from(limit)) & !word;
    let is = |word: u64, byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    let control = below(word, b' ');
    // `<` and `>` differ in one bit only, and so do `"` and `&`.
    let markup = is(word | (ONES * 2), b'>') | is(word | (ONES * 4), b'&') | is(word, b'\\');
    (word | control | markup) & (ONES << 7)
}

/// Whether an escape beyond those of JSON itself may begin with this byte.
fn may_need_escape(byte: u8) -> bool {
    matches!(byte, b'<' | b'>' | b'&' | 0xE2)
}

fn write_escaped(text: &str, escapes: Escapes, out: &mut impl Write) -> io::Result<()> {
    let mut serializer = Serializer::with_formatter(out, escapes);
    Ok(serde::Serializer::serialize_str(&mut serializer, text)?)
}

/// A `Vec` takes every write, so what writes into one has no error to give back.
fn cannot_fail(written: io::Result<()>) {
    debug_assert!(written.is_ok(), "writing into a Vec failed: {written:?}");
}

#[cfg(test)]
mod tests;
