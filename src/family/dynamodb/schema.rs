//! Schemas: the value of a table's schema row, from protobuf or from the JSON of older nodes, and the `_schema.json`
//! that it becomes (`docs/format/dynamodb.md` sections 1.6, 1.8 and 3.3).

use std::collections::BTreeMap;

use prost::Message as _;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::item::is_json;
use super::malformed::Malformed;
use crate::dump::json::{self, Layout, Markup};

/// The magic of a schema's value.
pub const MAGIC: &[u8] = b"\0DS\x01";

/// Longest schema that is read, in bytes.
pub const MAX_SCHEMA_BYTES: u64 = 1 << 20;

const NAME: &str = "a schema";

/// The key encoding version from which on payloads are ordered.
const ORDERED_VERSION: u64 = 2;

/// What a table is.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Schema {
    /// Its name.
    #[prost(string, tag = "1")]
    pub table_name: String,
    /// Type letters by attribute; any text is a type, and a key attribute may be missing.
    #[prost(btree_map = "string, string", tag = "2")]
    pub attribute_definitions: BTreeMap<String, String>,
    #[prost(message, optional, tag = "3")]
    primary_key: Option<KeySchema>,
    #[prost(btree_map = "string, message", tag = "4")]
    global_secondary_indexes: BTreeMap<String, Index>,
    /// How the payloads of this generation are encoded.
    #[prost(uint64, tag = "5")]
    pub key_encoding_version: u64,
    /// The generation whose rows are being migrated, 0 for none.
    #[prost(uint64, tag = "6")]
    pub migrating_from_generation: u64,
    /// The life of the table that this schema began.
    #[prost(uint64, tag = "7")]
    pub generation: u64,
}

/// Names of key attributes; an empty range key is none.
#[derive(Clone, PartialEq, prost::Message)]
struct KeySchema {
    #[prost(string, tag = "1")]
    hash_key: String,
    #[prost(string, tag = "2")]
    range_key: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Index {
    #[prost(message, optional, tag = "1")]
    key_schema: Option<KeySchema>,
    #[prost(message, optional, tag = "2")]
    projection: Option<Projection>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Projection {
    #[prost(string, tag = "1")]
    projection_type: String,
    #[prost(string, repeated, tag = "2")]
    non_key_attributes: Vec<String>,
}

impl Schema {
    /// Decodes the value of a schema row.
    ///
    /// # Errors
    /// The rule that the value breaks.
    pub fn decode_value(value: &[u8]) -> Result<Self, Malformed> {
        let schema = if let Some(message) = value.strip_prefix(MAGIC) {
            Self::decode(message).map_err(|error| broken_rule(&error))?
        } else if is_json(value) {
            let text = str::from_utf8(value).map_err(|_| Malformed::NotUtf8(NAME))?;
            let json = |why: serde_json::Error| Malformed::Json { what: NAME, why: why.to_string() };
            // By way of a map, in which of duplicate names the last counts.
            let members: Map<String, Value> = serde_json::from_str(text).map_err(json)?;
            Json::deserialize(Value::Object(members)).map_err(json)?.into()
        } else {
            return Err(Malformed::Magic(NAME));
        };
        if i64::try_from(schema.key_encoding_version).is_err() {
            return Err(Malformed::KeyEncodingVersion(schema.key_encoding_version));
        }
        Ok(schema)
    }

    /// Are the payloads of its own generation ordered?
    pub fn is_ordered(&self) -> bool {
        self.key_encoding_version >= ORDERED_VERSION
    }

    /// Name of the hash key.
    pub fn hash_key(&self) -> &str {
        self.primary_key.as_ref().map_or("", |key| &key.hash_key)
    }

    /// Name of the range key; `None` in a hash-only table.
    pub fn range_key(&self) -> Option<&str> {
        self.primary_key.as_ref().map(|key| key.range_key.as_str()).filter(|name| !name.is_empty())
    }

    /// The type that is declared for an attribute; `None` if none is.
    pub fn declared(&self, attribute: &str) -> Option<&str> {
        self.attribute_definitions.get(attribute).map(String::as_str)
    }

    /// Appends the document of `_schema.json`.
    pub fn push_document(&self, layout: Layout, out: &mut Vec<u8>) {
        let written = json::push_document(&self.document(), layout, Markup::Escape, out);
        debug_assert!(written.is_ok(), "a schema has no form in JSON: {written:?}");
    }

    fn document(&self) -> impl Serialize + '_ {
        let key = |schema: Option<&KeySchema>| {
            let attribute = |name: &str| KeyAttribute {
                name: name.to_owned(),
                kind: self.declared(name).filter(|_| !name.is_empty()).unwrap_or_default().to_owned(),
            };
            KeyDocument {
                hash_key: attribute(schema.map_or("", |schema| &schema.hash_key)),
                range_key: attribute(schema.map_or("", |schema| &schema.range_key)),
            }
        };
        let indexes = self.global_secondary_indexes.iter().map(|(name, index)| {
            let projection = index.projection.as_ref();
            let kind = projection.map_or("", |projection| &projection.projection_type);
            // A node reads a blank type so.
            let (kind, non_key_attributes) = match (kind.trim(), projection) {
                ("", _) | (_, None) => ("ALL", &[][..]),
                (_, Some(projection)) => (kind, &projection.non_key_attributes[..]),
            };
            IndexDocument {
                name,
                key_schema: key(index.key_schema.as_ref()),
                projection: ProjectionDocument { kind, non_key_attributes },
            }
        });
        Document {
            format_version: 1,
            table_name: &self.table_name,
            primary_key: key(self.primary_key.as_ref()),
            attribute_definitions: self
                .attribute_definitions
                .iter()
                .map(|(name, kind)| AttributeDocument { name, kind })
                .collect(),
            global_secondary_indexes: indexes.collect(),
        }
    }
}

/// The rule that a schema breaks which the decoder refuses.
fn broken_rule(error: &prost::DecodeError) -> Malformed {
    // The decoder has no other way to tell; a test holds it to these words.
    if error.to_string().ends_with("data is not UTF-8 encoded") {
        Malformed::NotUtf8(NAME)
    } else {
        Malformed::Protobuf(NAME)
    }
}

#[derive(Serialize)]
struct Document<'a> {
    format_version: u8,
    table_name: &'a str,
    primary_key: KeyDocument,
    attribute_definitions: Vec<AttributeDocument<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    global_secondary_indexes: Vec<IndexDocument<'a>>,
}

#[derive(Serialize)]
struct KeyDocument {
    hash_key: KeyAttribute,
    range_key: KeyAttribute,
}

#[derive(Serialize)]
struct KeyAttribute {
    #[serde(skip_serializing_if = "String::is_empty")]
    name: String,
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    kind: String,
}

#[derive(Serialize)]
struct AttributeDocument<'a> {
    name: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
}

#[derive(Serialize)]
struct IndexDocument<'a> {
    name: &'a str,
    key_schema: KeyDocument,
    projection: ProjectionDocument<'a>,
}

#[derive(Serialize)]
struct ProjectionDocument<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    non_key_attributes: &'a [String],
}

/// A schema as older nodes wrote it: what is absent or null is empty or 0.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Json {
    table_name: Option<String>,
    attribute_definitions: Option<BTreeMap<String, String>>,
    primary_key: Option<JsonKeySchema>,
    global_secondary_indexes: Option<BTreeMap<String, JsonIndex>>,
    key_encoding_version: Option<u64>,
    migrating_from_generation: Option<u64>,
    generation: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct JsonKeySchema {
    hash_key: Option<String>,
    range_key: Option<String>,
}

/// With a key schema and a projection, or, of the oldest nodes, the key schema itself.
#[derive(Default, Deserialize)]
#[serde(default)]
struct JsonIndex {
    key_schema: Option<JsonKeySchema>,
    projection: Option<JsonProjection>,
    #[serde(flatten)]
    oldest: JsonKeySchema,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct JsonProjection {
    projection_type: Option<String>,
    non_key_attributes: Option<Vec<String>>,
}

impl From<Json> for Schema {
    fn from(json: Json) -> Self {
        Self {
            table_name: json.table_name.unwrap_or_default(),
            attribute_definitions: json.attribute_definitions.unwrap_or_default(),
            primary_key: json.primary_key.map(KeySchema::from),
            global_secondary_indexes: json
                .global_secondary_indexes
                .unwrap_or_default()
                .into_iter()
                .map(|(name, index)| (name, index.into()))
                .collect(),
            key_encoding_version: json.key_encoding_version.unwrap_or_default(),
            migrating_from_generation: json.migrating_from_generation.unwrap_or_default(),
            generation: json.generation.unwrap_or_default(),
        }
    }
}

impl From<JsonKeySchema> for KeySchema {
    fn from(json: JsonKeySchema) -> Self {
        Self { hash_key: json.hash_key.unwrap_or_default(), range_key: json.range_key.unwrap_or_default() }
    }
}

impl From<JsonIndex> for Index {
    fn from(json: JsonIndex) -> Self {
        let projection = json.projection.map(|projection| Projection {
            projection_type: projection.projection_type.unwrap_or_default(),
            non_key_attributes: projection.non_key_attributes.unwrap_or_default(),
        });
        Self { key_schema: Some(json.key_schema.unwrap_or(json.oldest).into()), projection }
    }
}

#[cfg(test)]
pub(super) mod tests;
