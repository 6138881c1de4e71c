//! JSON objects into structs, as the node reads them: names match in any case, the last of several counts, `null`
//! leaves a field as it is, unknown fields are passed over, bytes that are no UTF-8 become U+FFFD
//! (`docs/format/s3.md` section 1.3). Documents come in memory or as a stream; neither is ever held as a whole.
//!
//! Owns the way of reading; which fields there are is left to `manifest` and `bucket`, and what names and texts mean to
//! every family's [`go_json`](crate::family::go_json).

use std::fmt;
use std::io::{self, Read};

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};

use crate::family::go_json::{folded, unescaped_text};

/// Longest string that is read, in bytes: what a node stores came in the header of an HTTP request, where Go takes
/// 1 MiB; invalid bytes have become three each.
pub const MAX_STRING_BYTES: usize = 4 << 20;

/// Deepest nesting that is read: Go's own limit.
const MAX_DEPTH: u32 = 10_000;

/// A struct that is filled from an object.
pub trait Fields {
    /// Its names, as they are written.
    const NAMES: &'static [&'static str];

    /// Takes the value of a field: `field` counts in [`Self::NAMES`].
    ///
    /// # Errors
    /// The value has another type.
    fn take<'de, A: MapAccess<'de>>(&mut self, field: usize, map: &mut A) -> Result<(), A::Error>;
}

/// Reads an object in memory into a struct.
///
/// # Errors
/// It is no JSON, or a value has another type.
pub fn read_slice(json: &[u8], into: &mut impl Fields) -> Result<(), serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    Object(into).deserialize(&mut deserializer)?;
    deserializer.end()
}

/// Reads an object that comes as a stream into a struct.
///
/// # Errors
/// It cannot be read; it is no JSON, or a value has another type; a string is longer than [`MAX_STRING_BYTES`].
pub fn read_stream(json: impl Read, into: &mut impl Fields) -> Result<(), serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_reader(Bounded::new(json));
    Object(into).deserialize(&mut deserializer)?;
    deserializer.end()
}

/// Puts the value of a field into its place, unless it is `null`.
///
/// # Errors
/// It has another type.
pub fn set<'de, T: Deserialize<'de>, A: MapAccess<'de>>(place: &mut T, map: &mut A) -> Result<(), A::Error> {
    if let Some(value) = map.next_value()? {
        *place = value;
    }
    Ok(())
}

/// Fills a struct from an object.
pub struct Object<'a, F>(pub &'a mut F);

impl<'de, F: Fields> DeserializeSeed<'de> for Object<'_, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, F: Fields> Visitor<'de> for Object<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(field) = map.next_key_seed(Name(F::NAMES))? {
            match field {
                Some(field) => self.0.take(field, &mut map)?,
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// Calls a closure for every element of an array; `null` has none.
pub struct Each<F>(pub F);

/// What [`Each`] calls: takes the next element, and says false if there is none.
pub trait Element {
    /// Takes an element.
    ///
    /// # Errors
    /// It has another type.
    fn take<'de, A: SeqAccess<'de>>(&mut self, elements: &mut A) -> Result<bool, A::Error>;
}

impl<'de, F: Element> DeserializeSeed<'de> for Each<F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, F: Element> Visitor<'de> for Each<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut elements: A) -> Result<(), A::Error> {
        while self.0.take(&mut elements)? {}
        Ok(())
    }
}

/// A string, with U+FFFD for what is no UTF-8.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Text(pub String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // As bytes, since as text it would have to be UTF-8.
        deserializer.deserialize_bytes(TextVisitor)
    }
}

struct TextVisitor;

impl Visitor<'_> for TextVisitor {
    type Value = Text;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E>(self, text: &str) -> Result<Text, E> {
        Ok(Text(text.to_owned()))
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Text, E> {
        Ok(Text(unescaped_text(bytes).into_owned()))
    }
}

/// The number of a name in a list, if it is there.
struct Name<'a>(&'a [&'static str]);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<usize>, D::Error> {
        deserializer.deserialize_bytes(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Option<usize>, E> {
        self.visit_bytes(name.as_bytes())
    }

    fn visit_bytes<E>(self, name: &[u8]) -> Result<Option<usize>, E> {
        let Ok(name) = str::from_utf8(name) else { return Ok(None) };
        let name = folded(name);
        Ok(self.0.iter().position(|known| *known == name))
    }
}

/// Keeps a stream of JSON from making its reader hold much: no string and no nesting beyond the limits.
struct Bounded<R> {
    inner: io::BufReader<R>,
    /// Bytes of the string that is being read.
    string: Option<usize>,
    escaped: bool,
    depth: u32,
}

impl<R: Read> Bounded<R> {
    fn new(inner: R) -> Self {
        Self { inner: io::BufReader::new(inner), string: None, escaped: false, depth: 0 }
    }

    fn check(&mut self, byte: u8) -> io::Result<()> {
        let refuse = |what| Err(io::Error::new(io::ErrorKind::InvalidData, what));
        match &mut self.string {
            Some(_) if !self.escaped && byte == b'"' => self.string = None,
            Some(length) => {
                self.escaped = !self.escaped && byte == b'\\';
                *length += 1;
                if *length > MAX_STRING_BYTES {
                    return refuse("a string that is longer than any header");
                }
            }
            None if byte == b'"' => self.string = Some(0),
            None if matches!(byte, b'{' | b'[') => {
                self.depth += 1;
                if self.depth > MAX_DEPTH {
                    return refuse("nested too deeply");
                }
            }
            None if matches!(byte, b'}' | b']') => self.depth = self.depth.saturating_sub(1),
            None => {}
        }
        Ok(())
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(out)?;
        for &byte in &out[..count] {
            self.check(byte)?;
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests;
