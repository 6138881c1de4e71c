//! Rows as JSON objects, with the strings and numbers of the dump (`docs/format/dump.md` section 2): integers are exact
//! whatever their size, infinities are `"+inf"` and `"-inf"`, blobs and texts that are not UTF-8 are
//! `{"base64":"…"}`, base64url without padding.

use std::collections::HashSet;
use std::io::{self, Write};

use ekvsnap::dump::json::{Layout, Markup, push_score, push_string, write_value_from};
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

/// Rows as objects.
struct Objects {
    /// Each with its colon and what comes before it.
    names: Vec<Vec<u8>>,
}

impl Objects {
    fn new(columns: Vec<String>) -> Self {
        let names = distinct(columns).into_iter().enumerate().map(|(at, name)| {
            let mut text = if at == 0 { b"{".to_vec() } else { b",".to_vec() };
            push_string(&name, Markup::Keep, &mut text);
            text.push(b':');
            text
        });
        Self { names: names.collect() }
    }

    fn write(&self, values: &[ValueRef<'_>], out: &mut impl Write) -> io::Result<()> {
        for (name, value) in self.names.iter().zip(values) {
            out.write_all(name)?;
            match value {
                ValueRef::Null => out.write_all(b"null")?,
                ValueRef::Integer(number) => write!(out, "{number}")?,
                ValueRef::Real(number) => {
                    let mut digits = Vec::new();
                    push_score(*number, &mut digits);
                    out.write_all(&digits)?;
                }
                ValueRef::Text(bytes) => {
                    let is_utf8 = str::from_utf8(bytes).is_ok();
                    write_value_from(*bytes, is_utf8, Layout::Compact, Markup::Keep, out)?;
                }
                ValueRef::Blob(bytes) => write_value_from(*bytes, false, Layout::Compact, Markup::Keep, out)?,
            }
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
    fn equal_names_are_told_apart() {
        let renamed = |names: &[&str]| distinct(names.iter().map(ToString::to_string).collect());
        assert_eq!(renamed(&["a", "b"]), ["a", "b"]);
        assert_eq!(renamed(&["a", "a", "a"]), ["a", "a_2", "a_3"]);
        assert_eq!(renamed(&["a", "a", "a_2", "a"]), ["a", "a_3", "a_2", "a_4"]);
    }
}
