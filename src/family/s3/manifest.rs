//! The manifest of an object: the value of its head row (`docs/format/s3.md` section 1.3). A manifest may name ten
//! thousand parts of thousands of chunks each, so parts and chunk sizes are handed on one at a time.
//!
//! Owns the fields; how JSON is read is `json_fields`'s. Whether what a manifest names is there is `verify`'s question.

use std::collections::BTreeMap;
use std::io::Read;

use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess};

use super::json_fields::{
    Each, Element, Fields, MAX_STRING_BYTES, Object, Text, read_slice, read_stream, set,
};

/// What an entry of the user metadata takes in memory beside its texts, about.
const METADATA_ENTRY_BYTES: usize = 48;

/// A manifest without its parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    /// Which upload the object is.
    pub upload_id: String,
    /// Without quotes.
    pub etag: String,
    /// Length of the body in bytes.
    pub size_bytes: i64,
    /// HLC, 0 if unknown.
    pub last_modified_hlc: u64,
    /// Empty if not given, as the three that follow.
    pub content_type: String,
    /// See [`Self::content_type`].
    pub content_encoding: String,
    /// See [`Self::content_type`].
    pub cache_control: String,
    /// See [`Self::content_type`].
    pub content_disposition: String,
    /// By name, which is in lower case and without `x-amz-meta-`.
    pub user_metadata: BTreeMap<String, String>,
}

/// One part, without its chunk sizes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// Its number; they ascend, with gaps.
    pub part_no: u64,
    /// Hex MD5 of its bytes, mostly.
    pub etag: String,
    /// Length in bytes.
    pub size_bytes: i64,
    /// How many chunks it says that it has; readers count chunk sizes instead.
    pub chunk_count: u64,
    /// How many chunk sizes it has.
    pub chunks: u64,
    /// Version of its chunks.
    pub part_version: u64,
    /// Version of its chunk references, if it is offloaded.
    pub chunk_ref_version: u64,
    /// Are its chunks reached through references?
    pub offloaded: bool,
}

/// What comes while a manifest is read, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Parts begin. Those of an earlier list do not count.
    Parts,
    /// Chunk sizes of a part begin. Those of an earlier list of the same part do not count.
    Chunks,
    /// The size of a chunk, in bytes.
    Chunk(u64),
    /// All of a part is known, its chunk sizes included.
    Part(Part),
}

/// Takes events; an error ends the reading, and is the taker's to remember.
pub type Take<'a> = dyn FnMut(Event) -> Result<(), Stop> + 'a;

/// The taker of events does not want any more of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stop;

/// Reads a manifest in memory.
///
/// # Errors
/// It is no JSON, or a value has another type; the taker of events stopped it.
pub fn read(json: &[u8], take: &mut Take<'_>) -> Result<Manifest, serde_json::Error> {
    let mut reading = Reading::new(take);
    read_slice(json, &mut reading)?;
    reading.end()
}

/// Reads a manifest that comes as a stream.
///
/// # Errors
/// As [`read`]; strings that are longer than any header; the stream's own.
pub fn read_from(json: impl Read, take: &mut Take<'_>) -> Result<Manifest, serde_json::Error> {
    let mut reading = Reading::new(take);
    read_stream(json, &mut reading)?;
    reading.end()
}

struct Reading<'a, 't> {
    manifest: Manifest,
    texts: [Text; 6],
    metadata_bytes: usize,
    take: &'a mut Take<'t>,
}

impl<'a, 't> Reading<'a, 't> {
    fn new(take: &'a mut Take<'t>) -> Self {
        Self { manifest: Manifest::default(), texts: Default::default(), metadata_bytes: 0, take }
    }

    fn end(self) -> Result<Manifest, serde_json::Error> {
        let [upload_id, etag, content_type, content_encoding, cache_control, content_disposition] =
            self.texts.map(|text| text.0);
        Ok(Manifest {
            upload_id,
            etag,
            content_type,
            content_encoding,
            cache_control,
            content_disposition,
            ..self.manifest
        })
    }
}

impl Fields for Reading<'_, '_> {
    const NAMES: &'static [&'static str] = &[
        "upload_id",
        "etag",
        "content_type",
        "content_encoding",
        "cache_control",
        "content_disposition",
        "size_bytes",
        "last_modified_hlc",
        "user_metadata",
        "parts",
    ];

    fn take<'de, A: MapAccess<'de>>(&mut self, field: usize, map: &mut A) -> Result<(), A::Error> {
        match (field, self.texts.get_mut(field)) {
            (_, Some(text)) => set(text, map),
            (6, _) => set(&mut self.manifest.size_bytes, map),
            (7, _) => set(&mut self.manifest.last_modified_hlc, map),
            (8, _) => {
                self.manifest.user_metadata.clear();
                self.metadata_bytes = 0;
                map.next_value_seed(MetadataSeed(self))
            }
            _ => {
                stopped((self.take)(Event::Parts))?;
                map.next_value_seed(Each(Parts { take: self.take }))
            }
        }
    }
}

fn stopped<E: serde::de::Error>(taken: Result<(), Stop>) -> Result<(), E> {
    taken.map_err(|Stop| E::custom("stopped"))
}

struct Parts<'a, 't> {
    take: &'a mut Take<'t>,
}

impl Element for Parts<'_, '_> {
    fn take<'de, A: SeqAccess<'de>>(&mut self, parts: &mut A) -> Result<bool, A::Error> {
        let mut reading = PartReading { part: Part::default(), etag: Text::default(), take: self.take };
        if parts.next_element_seed(Object(&mut reading))?.is_none() {
            return Ok(false);
        }
        let part = Part { etag: reading.etag.0, ..reading.part };
        stopped((self.take)(Event::Part(part)))?;
        Ok(true)
    }
}

struct PartReading<'a, 't> {
    part: Part,
    etag: Text,
    take: &'a mut Take<'t>,
}

impl Fields for PartReading<'_, '_> {
    const NAMES: &'static [&'static str] = &[
        "part_no",
        "etag",
        "size_bytes",
        "chunk_count",
        "chunk_sizes",
        "part_version",
        "chunk_ref_version",
        "offloaded",
    ];

    fn take<'de, A: MapAccess<'de>>(&mut self, field: usize, map: &mut A) -> Result<(), A::Error> {
        let part = &mut self.part;
        match field {
            0 => set(&mut part.part_no, map),
            1 => set(&mut self.etag, map),
            2 => set(&mut part.size_bytes, map),
            3 => set(&mut part.chunk_count, map),
            4 => {
                part.chunks = 0;
                stopped((self.take)(Event::Chunks))?;
                map.next_value_seed(Each(Chunks { chunks: &mut part.chunks, take: self.take }))
            }
            5 => set(&mut part.part_version, map),
            6 => set(&mut part.chunk_ref_version, map),
            _ => set(&mut part.offloaded, map),
        }
    }
}

struct Chunks<'a, 't> {
    chunks: &'a mut u64,
    take: &'a mut Take<'t>,
}

impl Element for Chunks<'_, '_> {
    fn take<'de, A: SeqAccess<'de>>(&mut self, sizes: &mut A) -> Result<bool, A::Error> {
        let Some(size) = sizes.next_element::<Option<u64>>()? else { return Ok(false) };
        *self.chunks += 1;
        stopped((self.take)(Event::Chunk(size.unwrap_or(0))))?;
        Ok(true)
    }
}

struct MetadataSeed<'r, 'a, 't>(&'r mut Reading<'a, 't>);

impl<'de> DeserializeSeed<'de> for MetadataSeed<'_, '_, '_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> serde::de::Visitor<'de> for MetadataSeed<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self(Reading { manifest, metadata_bytes, .. }) = self;
        while let Some(Text(name)) = map.next_key()? {
            let Text(value) = map.next_value::<Option<Text>>()?.unwrap_or_default();
            // All of it came in the header of one request.
            *metadata_bytes += name.len() + value.len() + METADATA_ENTRY_BYTES;
            if *metadata_bytes > MAX_STRING_BYTES {
                return Err(A::Error::custom("user metadata that is longer than any header"));
            }
            manifest.user_metadata.insert(name, value);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
