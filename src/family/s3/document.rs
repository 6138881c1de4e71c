//! The small files of a bucket, to the byte: `_bucket.json`, the file beside a body, and the records of unfinished
//! uploads (`docs/format/s3.md` sections 3.2 to 3.6).

use std::borrow::Cow;

use base64::engine::general_purpose::STANDARD;
use base64::write::EncoderWriter;
use jiff::Timestamp;
use std::io::{self, Read, Write};

use crate::dump::json::{Markup, push_string, push_text};

/// What the file beside a body says. Empty texts are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectDocument<'a> {
    /// Without quotes.
    pub etag: Cow<'a, str>,
    /// Length of the body in bytes.
    pub size_bytes: i64,
    /// HLC.
    pub last_modified_hlc: u64,
    /// Content type, content encoding, cache control, content disposition.
    pub headers: [Cow<'a, str>; 4],
}

const HEADERS: [&str; 4] = ["content_type", "content_encoding", "cache_control", "content_disposition"];

/// Appends `_bucket.json`. Texts are name (any bytes), owner, region and acl.
pub fn push_bucket(name: &[u8], created_at_hlc: u64, [owner, region, acl]: [&str; 3], out: &mut Vec<u8>) {
    begin(out);
    field("name", out);
    push_text(name, Markup::Escape, out);
    optional("creation_time_iso", &time_of(created_at_hlc), out);
    optional("owner", owner, out);
    optional("region", region, out);
    optional("acl", acl, out);
    out.extend_from_slice(b"\n}");
}

/// Appends the file beside a body; `user_metadata` in the order of the bytes of its names.
pub fn push_object<'m>(
    document: &ObjectDocument<'_>,
    user_metadata: impl IntoIterator<Item = (&'m str, &'m str)>,
    out: &mut Vec<u8>,
) {
    begin(out);
    optional("etag", &document.etag, out);
    field("size_bytes", out);
    out.extend_from_slice(itoa::Buffer::new().format(document.size_bytes).as_bytes());
    optional("last_modified", &time_of(document.last_modified_hlc), out);
    for (name, value) in HEADERS.into_iter().zip(&document.headers) {
        optional(name, value, out);
    }
    let mut entries = user_metadata.into_iter().peekable();
    if entries.peek().is_some() {
        field("user_metadata", out);
        let mut separator = "{\n    ";
        for (name, value) in entries {
            out.extend_from_slice(separator.as_bytes());
            push_string(name, Markup::Escape, out);
            out.extend_from_slice(b": ");
            push_string(value, Markup::Escape, out);
            separator = ",\n    ";
        }
        out.extend_from_slice(b"\n  }");
    }
    out.extend_from_slice(b"\n}");
}

/// Writes the record of one row of an unfinished upload; `prefix` opens its key.
///
/// # Errors
/// Those of `value` and `out`.
pub fn write_record(prefix: &str, key: &[u8], mut value: impl Read, out: &mut impl Write) -> io::Result<()> {
    write!(out, "{{\"prefix\":\"{prefix}\",\"key\":\"")?;
    write_base64(&mut &key[..], out)?;
    out.write_all(b"\",\"value\":\"")?;
    write_base64(&mut value, out)?;
    out.write_all(b"\"}\n")
}

fn write_base64(bytes: &mut impl Read, out: &mut impl Write) -> io::Result<()> {
    let mut encoder = EncoderWriter::new(out, &STANDARD);
    io::copy(bytes, &mut encoder)?;
    encoder.finish()?;
    Ok(())
}

fn begin(out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\n  \"format_version\": 1");
}

fn field(name: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\n  \"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\": ");
}

fn optional(name: &str, text: &str, out: &mut Vec<u8>) {
    if !text.is_empty() {
        field(name, out);
        push_string(text, Markup::Escape, out);
    }
}

/// An HLC timestamp as UTC with as many digits of milliseconds as it needs; empty for 0. The greatest one means the
/// epoch (`docs/format/s3.md` sections 2.6 and 3.3).
fn time_of(hlc: u64) -> String {
    /// Milliseconds of the 400 years after which the calendar repeats.
    const CYCLE_MS: u64 = 146_097 * 86_400_000;
    /// Milliseconds from 1970 to 9600.
    const LAST_CYCLE_MS: u64 = 240_779_520_000_000;
    let ms = match hlc {
        0 => return String::new(),
        u64::MAX => 0,
        hlc => hlc >> 16,
    };
    // The greatest timestamps lie in the eleventh millennium, which `Timestamp` does not reach.
    let cycles = if ms >= LAST_CYCLE_MS { 1 + (ms - LAST_CYCLE_MS) / CYCLE_MS } else { 0 };
    let Ok(time) = Timestamp::from_millisecond((ms - cycles * CYCLE_MS).cast_signed()) else {
        return String::new();
    };
    let text = time.to_string();
    let Some((year, rest)) = text.split_once('-') else { return text };
    let year = year.parse::<u64>().unwrap_or_default() + 400 * cycles;
    format!("{year:04}-{rest}")
}

#[cfg(test)]
mod tests;
