//! Rows as JSON objects, with the strings and numbers of the dump (`docs/format/dump.md` section 2): integers are exact
//! whatever their size, infinities are `"+inf"` and `"-inf"`, blobs and texts that are not UTF-8 are
//! `{"base64":"…"}`, base64url without padding.

use std::collections::HashSet;
use std::io::{self, Write};

use ekvsnap::dump::json::{Layout, Markup, push_base64url, push_score, push_string, write_value_from};
use rusqlite::types::ValueRef;

use super::sheet::Sheet;

/// A result as an object a line.
pub struct JsonLinesSheet<W> {
    objects: Objects,
    out: W,
}

impl<W: Write> JsonLinesSheet<W> {
    pub fn new(columns: Vec<String>, out: W) -> Self {
        Self { objects: Objects::new(columns), out }
    }
}

impl<W: Write> Sheet for JsonLinesSheet<W> {
    fn row(&mut self, values: &[ValueRef<'_>]) -> io::Result<()> {
        self.objects.write(values, &mut self.out)?;
        self.out.write_all(b"\n")
    }

    fn end(mut self: Box<Self>) -> io::Result<u64> {
        self.out.flush()?;
        Ok(0)
    }
}

/// A result as an array of objects, one a line. One that breaks off has no closing bracket, so that nobody takes it for
/// whole.
pub struct JsonSheet<W> {
    objects: Objects,
    is_empty: bool,
    out: W,
}

impl<W: Write> JsonSheet<W> {
    pub fn new(columns: Vec<String>, out: W) -> Self {
        Self { objects: Objects::new(columns), is_empty: true, out }
    }
}

impl<W: Write> Sheet for JsonSheet<W> {
    fn row(&mut self, values: &[ValueRef<'_>]) -> io::Result<()> {
        self.out.write_all(if self.is_empty { b"[" } else { b",\n" })?;
        self.is_empty = false;
        self.objects.write(values, &mut self.out)
    }

    fn end(mut self: Box<Self>) -> io::Result<u64> {
        self.out.write_all(if self.is_empty { b"[]\n" } else { b"]\n" })?;
        self.out.flush()?;
        Ok(0)
    }
}

/// Values up to so many bytes are put together in memory; longer ones are written piece by piece.
const SHORT_BYTES: usize = 64 << 10;

/// Rows as objects.
struct Objects {
    /// Each with its colon and what comes before it.
    names: Vec<Vec<u8>>,
    value: Vec<u8>,
}

impl Objects {
    fn new(columns: Vec<String>) -> Self {
        let names = distinct(columns).into_iter().enumerate().map(|(at, name)| {
            let mut text = if at == 0 { b"{".to_vec() } else { b",".to_vec() };
            push_string(&name, Markup::Keep, &mut text);
            text.push(b':');
            text
        });
        Self { names: names.collect(), value: Vec::new() }
    }

    fn write(&mut self, values: &[ValueRef<'_>], out: &mut impl Write) -> io::Result<()> {
        for (name, value) in self.names.iter().zip(values) {
            out.write_all(name)?;
            self.value.clear();
            match *value {
                ValueRef::Null => self.value.extend_from_slice(b"null"),
                ValueRef::Integer(number) => write!(self.value, "{number}")?,
                ValueRef::Real(number) => push_score(number, &mut self.value),
                ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
                    let text =
                        if matches!(value, ValueRef::Text(_)) { str::from_utf8(bytes).ok() } else { None };
                    match text {
                        _ if bytes.len() > SHORT_BYTES => {
                            write_value_from(bytes, text.is_some(), Layout::Compact, Markup::Keep, out)?;
                        }
                        Some(text) => push_string(text, Markup::Keep, &mut self.value),
                        None => {
                            self.value.extend_from_slice(br#"{"base64":""#);
                            push_base64url(bytes, &mut self.value);
                            self.value.extend_from_slice(br#""}"#);
                        }
                    }
                }
            }
            out.write_all(&self.value)?;
        }
        out.write_all(b"}")
    }
}

/// Names that an object can have side by side: of several equal ones the second is `name_2`, the third `name_3`, and
/// on if that is taken.
fn distinct(columns: Vec<String>) -> Vec<String> {
    let mut taken: HashSet<String> = columns.iter().cloned().collect();
    let mut seen = HashSet::new();
    let rename = |name: String| {
        if seen.insert(name.clone()) {
            return name;
        }
        let free = (2_u32..).map(|number| format!("{name}_{number}")).find(|name| taken.insert(name.clone()));
        free.unwrap_or(name)
    };
    columns.into_iter().map(rename).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_value_has_the_form_of_a_short_one() {
        fn object(value: ValueRef<'_>) -> String {
            let mut out = Vec::new();
            Objects::new(vec!["v".to_owned()]).write(&[value], &mut out).unwrap();
            String::from_utf8(out).unwrap()
        }
        for length in [SHORT_BYTES, SHORT_BYTES + 3] {
            let text = "\"".repeat(length);
            assert_eq!(
                object(ValueRef::Text(text.as_bytes())),
                format!("{{\"v\":\"{}\"}}", "\\\"".repeat(length))
            );
            let zeros = object(ValueRef::Blob(&vec![0; length / 3 * 3]));
            assert_eq!(zeros, format!("{{\"v\":{{\"base64\":\"{}\"}}}}", "AAAA".repeat(length / 3)));
        }
    }

    #[test]
    fn equal_names_are_told_apart() {
        let renamed = |names: &[&str]| distinct(names.iter().map(ToString::to_string).collect());
        assert_eq!(renamed(&["a", "b"]), ["a", "b"]);
        assert_eq!(renamed(&["a", "a", "a"]), ["a", "a_2", "a_3"]);
        assert_eq!(renamed(&["a", "a", "a_2", "a"]), ["a", "a_3", "a_2", "a_4"]);
    }
}
