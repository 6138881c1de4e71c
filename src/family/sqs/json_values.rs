//! The values of JSON objects as they are stored, and what they are to a node (`docs/format/sqs.md` section 6): names
//! without regard to case, of several values of one name the last, `null` as zero. The grammar is serde_json's, and what
//! names and texts mean [`go_json`](crate::family::go_json)'s; what the fields are is left to `queue` and `message`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::family::go_json::{folded, unescaped_text};

/// Standard base64 with padding, as Go decodes it: bits that belong to no byte are not looked at.
pub const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
);

/// What a field should have been.
pub type Expected = &'static str;

/// Hands the members of an object to `visit`, with their names as they are to be compared: in lower case. `null` has
/// none.
///
/// # Errors
/// The text is not an object, or goes on after it; what `visit` expects instead of a value.
pub fn each_field<'t>(
    text: &'t str,
    mut visit: impl FnMut(&str, &'t RawValue) -> Result<(), Expected>,
) -> serde_json::Result<()> {
    each_member(text, |name, value| visit(&folded(name), value))
}

/// The same, with the names as they are.
///
/// # Errors
/// As [`each_field`].
pub fn each_member<'t>(
    text: &'t str,
    visit: impl FnMut(&str, &'t RawValue) -> Result<(), Expected>,
) -> serde_json::Result<()> {
    let mut document = serde_json::Deserializer::from_str(text);
    document.deserialize_any(Members(visit))?;
    document.end()
}

/// The members of an object by name, of each name the last. `null` has none.
///
/// # Errors
/// It is neither.
pub fn object(value: &RawValue) -> Result<BTreeMap<String, &RawValue>, Expected> {
    let mut members = BTreeMap::new();
    let taken = each_member(value.get(), |name, value| {
        members.insert(name.to_owned(), value);
        Ok(())
    });
    taken.map(|()| members).map_err(|_| "an object")
}

/// A string; `null` is an empty one.
///
/// # Errors
/// It is neither.
pub fn string(value: &RawValue) -> Result<Cow<'_, str>, Expected> {
    let text = value.get();
    if text == "null" {
        return Ok(Cow::Borrowed(""));
    }
    if let Some(plain) = unescaped(value) {
        return Ok(Cow::Borrowed(plain));
    }
    serde_json::Deserializer::from_str(text).deserialize_bytes(Text).map_err(|_| "a string")
}

/// The characters of a string in which none is written as an escape.
pub fn unescaped(value: &RawValue) -> Option<&str> {
    let inner = value.get().strip_prefix('"')?.strip_suffix('"')?;
    (!inner.contains('\\')).then_some(inner)
}

/// A whole number; `null` is 0.
///
/// # Errors
/// It is not, or is out of range.
pub fn integer<N: FromStr + Default>(value: &RawValue) -> Result<N, Expected> {
    match value.get() {
        "null" => Ok(N::default()),
        digits => digits.parse().map_err(|_| "a whole number that fits"),
    }
}

/// A yes or no; `null` is no.
///
/// # Errors
/// It is neither.
pub fn boolean(value: &RawValue) -> Result<bool, Expected> {
    match value.get() {
        "true" => Ok(true),
        "false" | "null" => Ok(false),
        _ => Err("true or false"),
    }
}

/// Bytes in base64; `null` is none.
///
/// # Errors
/// It is neither.
pub fn bytes(value: &RawValue) -> Result<Vec<u8>, Expected> {
    let text = string(value)?;
    let decoded = if text.contains(['\r', '\n']) {
        BASE64.decode(text.replace(['\r', '\n'], ""))
    } else {
        BASE64.decode(text.as_bytes())
    };
    decoded.map_err(|_| "base64 with padding")
}

/// Appends the text of a value without the white space between its parts.
pub fn push_compact(value: &RawValue, out: &mut Vec<u8>) {
    let (mut in_string, mut escaped) = (false, false);
    for &byte in value.get().as_bytes() {
        if in_string || !byte.is_ascii_whitespace() {
            out.push(byte);
        }
        in_string = in_string != (byte == b'"' && !escaped);
        escaped = in_string && byte == b'\\' && !escaped;
    }
}

/// A string, whatever its escapes are.
struct Text;

impl<'t> Visitor<'t> for Text {
    type Value = Cow<'t, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_bytes<E: Error>(self, bytes: &'t [u8]) -> Result<Self::Value, E> {
        Ok(unescaped_text(bytes))
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
        Ok(Cow::Owned(unescaped_text(bytes).into_owned()))
    }
}

/// The name of a member.
pub struct Name<'t>(pub Cow<'t, str>);

impl<'t> serde::Deserialize<'t> for Name<'t> {
    fn deserialize<D: Deserializer<'t>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_bytes(Text).map(Self)
    }
}

struct Members<F>(F);

impl<'t, F: FnMut(&str, &'t RawValue) -> Result<(), Expected>> Visitor<'t> for Members<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'t>>(mut self, mut members: A) -> Result<(), A::Error> {
        while let Some((Name(name), value)) = members.next_entry::<_, &RawValue>()? {
            (self.0)(&name, value).map_err(|expected| Error::custom(format!("{name} is not {expected}")))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
