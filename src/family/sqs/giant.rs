//! Messages too long for memory: the value is walked once where it lies, to see that it is well-formed and where its
//! fields are; then the short ones are read, and the body is checked and left in its place. The rules are those of
//! `message`.

use std::cell::Cell;
use std::fmt;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::rc::Rc;

use base64::read::DecoderReader;
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::json_values::{BASE64, Name};
use super::message::{self, Body, FIELDS, MAGIC, Malformed, Message};
use super::stage::MAX_VALUE_IN_MEMORY_BYTES;
use crate::family::go_json;
use crate::snapshot::limits::INLINE_PAYLOAD_BYTES;
use crate::staging::{Extent, LargeValues, StagingError};

/// Bytes read ahead.
const READ_AHEAD_BYTES: usize = 64 << 10;

/// The field that is not read into memory.
const BODY: &str = "body";

/// What a field costs in memory beside its text, at most, in bytes.
const FIELD_BYTES: u64 = 128;

/// First byte in the value, and the byte after the last.
type Span = (u64, u64);

/// Takes the value of a data row apart where it lies; `use_message` gets what is in it.
///
/// # Errors
/// The value cannot be read again; inside, the rule that it breaks.
pub fn decode<T>(
    large_values: &LargeValues<'_>,
    extent: Extent,
    use_message: impl FnOnce(&Message<'_>) -> T,
) -> Result<Result<T, Malformed>, StagingError> {
    let read = |(start, end): Span| -> Result<Vec<u8>, StagingError> {
        let mut bytes = Vec::new();
        let mut reader = large_values.open(extent.slice(start, end - start))?;
        reader.read_to_end(&mut bytes).map_err(StagingError::LargeValue)?;
        Ok(bytes)
    };
    if read((0, MAGIC.len() as u64))? != MAGIC {
        return Ok(Err(Malformed::Magic));
    }
    let mut reader = large_values.open(extent)?;
    reader.seek(SeekFrom::Start(MAGIC.len() as u64)).map_err(StagingError::LargeValue)?;
    let fields = match spans(BufReader::with_capacity(READ_AHEAD_BYTES, reader), MAGIC.len() as u64) {
        Ok(fields) => fields,
        // The walk's own refusals are of invalid data.
        Err(error) if error.io_error_kind().is_some_and(|kind| kind != io::ErrorKind::InvalidData) => {
            return Err(StagingError::LargeValue(error.into()));
        }
        Err(error) => return Ok(Err(Malformed::Json(error))),
    };

    // Of several of one name the last counts, but none may be wrong.
    let mut body = Body::default();
    for (_, span) in fields.iter().filter(|(name, _)| *name == BODY) {
        match read_body(large_values, extent, *span)? {
            Some(found) => body = found,
            None => return Ok(Err(Malformed::GiantBody)),
        }
    }
    let mut texts = Vec::new();
    for (name, span) in fields.iter().filter(|(name, _)| *name != BODY) {
        texts.push((*name, go_json::text(&read(*span)?).into_owned()));
    }
    let mut message = Message { body, ..Message::default() };
    for (name, text) in &texts {
        let taken = serde_json::from_str(trimmed(text)).and_then(|value: &RawValue| {
            let wrong = |expected| Error::custom(format!("{name} is not {expected}"));
            message::take(&mut message, name, value).map_err(wrong)
        });
        if let Err(error) = taken {
            return Ok(Err(Malformed::Json(error)));
        }
    }
    Ok(Ok(use_message(&message)))
}

/// A number is told by the character after it, which the walk has taken along.
fn trimmed(text: &str) -> &str {
    let text = text.trim();
    if text.starts_with(['"', '{', '[']) { text } else { text.trim_end_matches([',', '}']).trim_end() }
}

/// The body at a span, of which only a short one is read into memory; `None` if it is none.
fn read_body(
    large_values: &LargeValues<'_>,
    extent: Extent,
    (start, end): Span,
) -> Result<Option<Body>, StagingError> {
    let mut lead = large_values.open(extent.slice(start, end - start))?;
    let mut byte = [0];
    let mut spaces = 0;
    loop {
        lead.read_exact(&mut byte).map_err(StagingError::LargeValue)?;
        if !byte[0].is_ascii_whitespace() {
            break;
        }
        spaces += 1;
    }
    match byte[0] {
        b'n' => return Ok(Some(Body::default())),
        b'"' => {}
        _ => return Ok(None),
    }
    let start = start + spaces + 1;
    let length = end.saturating_sub(start + 1);
    let text = BufReader::with_capacity(READ_AHEAD_BYTES, large_values.open(extent.slice(start, length))?);
    let mut decoder = DecoderReader::new(text, &BASE64);
    let mut bytes = Vec::new();
    let copied = if length > INLINE_PAYLOAD_BYTES as u64 {
        io::copy(&mut decoder, &mut io::sink())
    } else {
        io::copy(&mut decoder, &mut bytes)
    };
    match copied {
        Ok(_) => Ok(Some(Body { bytes, text: Some((start, length)) })),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(None),
        Err(error) => Err(StagingError::LargeValue(error)),
    }
}

/// Where the fields of a message are, in their order. `from` is the first byte of the object.
fn spans(reader: impl Read, from: u64) -> serde_json::Result<Vec<(&'static str, Span)>> {
    let place = Rc::new(Place { position: Cell::new(from), names_until: Cell::new(u64::MAX) });
    let counted = Counted { reader, place: Rc::clone(&place) };
    let mut document = serde_json::Deserializer::from_reader(counted);
    let fields = document.deserialize_any(Fields(place))?;
    document.end()?;
    Ok(fields)
}

/// Where the walk is.
struct Place {
    position: Cell<u64>,
    /// A name, which the walk holds in memory, must end before this.
    names_until: Cell<u64>,
}

struct Counted<R> {
    reader: R,
    place: Rc<Place>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let place = &self.place;
        if place.position.get() >= place.names_until.get() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a name too long for a field"));
        }
        let count = self.reader.read(out)?;
        place.position.set(place.position.get() + count as u64);
        Ok(count)
    }
}

struct Fields(Rc<Place>);

impl<'de> Visitor<'de> for Fields {
    type Value = Vec<(&'static str, Span)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let (mut fields, mut held) = (Vec::new(), 0);
        loop {
            self.0.names_until.set(self.0.position.get() + MAX_VALUE_IN_MEMORY_BYTES);
            let Some(Name(name)) = members.next_key()? else { break };
            self.0.names_until.set(u64::MAX);
            let span = members.next_value_seed(SpanOf(&self.0))?;
            let name = go_json::folded(&name);
            let Some(name) = FIELDS.into_iter().find(|field| *field == name) else { continue };
            held += FIELD_BYTES + if name == BODY { 0 } else { span.1 - span.0 };
            if held > MAX_VALUE_IN_MEMORY_BYTES {
                let most = MAX_VALUE_IN_MEMORY_BYTES;
                return Err(Error::custom(format!("more than {most} bytes of fields beside the body")));
            }
            fields.push((name, span));
        }
        self.0.names_until.set(u64::MAX);
        Ok(fields)
    }
}

/// Passes over a value. When it begins, the colon before it was read and nothing else.
struct SpanOf<'p>(&'p Place);

impl<'de> DeserializeSeed<'de> for SpanOf<'_> {
    type Value = Span;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Span, D::Error> {
        let start = self.0.position.get();
        IgnoredAny::deserialize(from)?;
        Ok((start, self.0.position.get()))
    }
}

#[cfg(test)]
mod tests;
