//! Items: the value of an item row, from protobuf or from the JSON of older nodes, and the JSON that it becomes
//! (`docs/format/dynamodb.md` sections 1.7, 1.8 and 3.4). Values too long for memory are `parts`'s.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use prost::Message as _;
use serde::de::{self, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::key::{Key, KeyValue};
use super::malformed::Malformed;
use super::walk;
use crate::dump::json::{self, Layout, Markup};
use crate::snapshot::Readable;

/// The magic of an item's value.
pub const MAGIC: &[u8] = b"\0DI\x01";

/// Protobuf longer than this, in bytes, is not decoded in memory. DynamoDB itself allows 400 KB.
pub const MAX_ITEM_BYTES: u64 = 512 << 10;

/// Longest JSON of an item that is read, in bytes: it is always decoded in memory.
pub const MAX_JSON_ITEM_BYTES: u64 = 2 << 20;

/// Deepest nesting that a node reads; an attribute of the item is depth 1.
pub const MAX_DEPTH: usize = 32;

const NAME: &str = "an item";

/// An item that a node would serve.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    attributes: BTreeMap<String, AttributeValue>,
    /// Does it hold an empty set, which a node takes but cannot serve?
    pub has_empty_set: bool,
}

impl Item {
    /// Decodes the value of an item row.
    ///
    /// # Errors
    /// The rule that the value breaks.
    pub fn decode(value: &[u8]) -> Result<Self, Malformed> {
        let attributes = if let Some(message) = value.strip_prefix(MAGIC) {
            walk::check(message)?;
            ItemMessage::decode(message).map_err(|_| Malformed::Protobuf(NAME))?.attributes
        } else if is_json(value) {
            let text = str::from_utf8(value).map_err(|_| Malformed::NotUtf8(NAME))?;
            serde_json::from_str(text).map_err(|why| Malformed::Json { what: NAME, why: why.to_string() })?
        } else {
            return Err(Malformed::Magic(NAME));
        };
        let mut has_empty_set = false;
        for attribute in attributes.values() {
            check(attribute, 1, &mut has_empty_set)?;
        }
        Ok(Self { attributes, has_empty_set })
    }

    /// Its key attributes, by their names; a table without range key gives no name for it.
    ///
    /// # Errors
    /// One is not there, or is of a type that cannot be a key.
    pub fn key(&self, hash_name: &str, range_name: Option<&str>) -> Result<Key<'_>, Malformed> {
        let hash = self.key_value(hash_name)?;
        let range = range_name.map(|name| self.key_value(name)).transpose()?;
        Ok(Key { hash, range })
    }

    /// Appends the document of the item: indented for a file of its own, compact for a line.
    pub fn push_document(&self, layout: Layout, out: &mut Vec<u8>) {
        let written = json::push_document(self, layout, Markup::Escape, out);
        debug_assert!(written.is_ok(), "an item has no form in JSON: {written:?}");
    }

    fn key_value(&self, name: &str) -> Result<KeyValue<'_>, Malformed> {
        let shown = || Readable(name.as_bytes()).to_string();
        match self.attributes.get(name).and_then(|attribute| attribute.value.as_ref()) {
            Some(Value::S(text)) => Ok(KeyValue::S(text)),
            Some(Value::N(text)) => Ok(KeyValue::N(text)),
            Some(Value::B(bytes)) => Ok(KeyValue::B(bytes)),
            Some(_) => Err(Malformed::KeyAttributeType(shown())),
            None => Err(Malformed::NoKeyAttribute(shown())),
        }
    }
}

/// Is it a value as older nodes wrote them?
pub fn is_json(value: &[u8]) -> bool {
    value.first() == Some(&b'{')
}

/// What a node refuses although it is protobuf. The depth of the recursion is that of the value, which the decoder has
/// bounded.
fn check(attribute: &AttributeValue, depth: usize, has_empty_set: &mut bool) -> Result<(), Malformed> {
    if depth > MAX_DEPTH {
        return Err(Malformed::Depth);
    }
    match attribute.value.as_ref().ok_or(Malformed::NoValue)? {
        Value::S(_) | Value::N(_) | Value::B(_) | Value::Bool(_) | Value::Null(true) => Ok(()),
        Value::Null(false) => Err(Malformed::NullFalse),
        Value::Ss(set) | Value::Ns(set) => {
            *has_empty_set |= set.values.is_empty();
            Ok(())
        }
        Value::Bs(set) => {
            *has_empty_set |= set.values.is_empty();
            Ok(())
        }
        Value::L(list) => list.values.iter().try_for_each(|inner| check(inner, depth + 1, has_empty_set)),
        Value::M(map) => map.attributes.values().try_for_each(|inner| check(inner, depth + 1, has_empty_set)),
    }
}

#[derive(Clone, PartialEq, prost::Message)]
struct ItemMessage {
    #[prost(btree_map = "string, message", tag = "1")]
    attributes: BTreeMap<String, AttributeValue>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct AttributeValue {
    #[prost(oneof = "Value", tags = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10")]
    value: Option<Value>,
}

/// The ten types; the names of the variants are theirs in JSON, in capitals.
#[derive(Clone, PartialEq, prost::Oneof)]
enum Value {
    #[prost(string, tag = "1")]
    S(String),
    /// As stored: nobody looks into it.
    #[prost(string, tag = "2")]
    N(String),
    #[prost(bytes = "vec", tag = "3")]
    B(Vec<u8>),
    #[prost(bool, tag = "4")]
    Bool(bool),
    #[prost(bool, tag = "5")]
    Null(bool),
    #[prost(message, tag = "6")]
    Ss(TextSet),
    #[prost(message, tag = "7")]
    Ns(TextSet),
    #[prost(message, tag = "8")]
    Bs(BinarySet),
    #[prost(message, tag = "9")]
    L(List),
    #[prost(message, tag = "10")]
    M(ItemMessage),
}

#[derive(Clone, PartialEq, prost::Message)]
struct TextSet {
    #[prost(string, repeated, tag = "1")]
    values: Vec<String>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct BinarySet {
    #[prost(bytes = "vec", repeated, tag = "1")]
    values: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct List {
    #[prost(message, repeated, tag = "1")]
    values: Vec<AttributeValue>,
}

impl Serialize for Item {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(&self.attributes)
    }
}

impl Serialize for AttributeValue {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(1))?;
        match &self.value {
            None => {}
            Some(Value::S(text)) => map.serialize_entry("S", text)?,
            Some(Value::N(text)) => map.serialize_entry("N", text)?,
            Some(Value::B(bytes)) => map.serialize_entry("B", &Base64(bytes))?,
            Some(Value::Bool(flag)) => map.serialize_entry("BOOL", flag)?,
            Some(Value::Null(flag)) => map.serialize_entry("NULL", flag)?,
            Some(Value::Ss(set)) => map.serialize_entry("SS", &set.values)?,
            Some(Value::Ns(set)) => map.serialize_entry("NS", &set.values)?,
            Some(Value::Bs(set)) => map.serialize_entry("BS", &BinaryElements(&set.values))?,
            Some(Value::L(list)) => map.serialize_entry("L", &list.values)?,
            Some(Value::M(inner)) => map.serialize_entry("M", &inner.attributes)?,
        }
        map.end()
    }
}

/// Standard base64, padded.
struct Base64<'a>(&'a [u8]);

impl Serialize for Base64<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&Base64Display::new(self.0, &STANDARD))
    }
}

struct BinaryElements<'a>(&'a [Vec<u8>]);

impl Serialize for BinaryElements<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.0.iter().map(|bytes| Base64(bytes)))
    }
}

impl<'de> Deserialize<'de> for AttributeValue {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(OneType).map(|value| Self { value: Some(value) })
    }
}

/// An object with one member, whose name is a type. Of one given twice the last counts, as everywhere.
struct OneType;

impl<'de> Visitor<'de> for OneType {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with one of the types S, N, B, BOOL, NULL, SS, NS, BS, L and M")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut found: Option<(String, Value)> = None;
        while let Some(name) = members.next_key::<String>()? {
            if found.as_ref().is_some_and(|(other, _)| *other != name) {
                return Err(de::Error::custom("an attribute has several members"));
            }
            let value = match name.as_str() {
                "S" => Value::S(members.next_value()?),
                "N" => Value::N(members.next_value()?),
                "B" => Value::B(members.next_value::<FromBase64>()?.0),
                "BOOL" => Value::Bool(members.next_value()?),
                "NULL" => Value::Null(members.next_value()?),
                "SS" => Value::Ss(TextSet { values: members.next_value()? }),
                "NS" => Value::Ns(TextSet { values: members.next_value()? }),
                "BS" => {
                    let values: Vec<FromBase64> = members.next_value()?;
                    Value::Bs(BinarySet { values: values.into_iter().map(|bytes| bytes.0).collect() })
                }
                "L" => Value::L(List { values: members.next_value()? }),
                "M" => Value::M(ItemMessage { attributes: members.next_value()? }),
                _ => return Err(de::Error::custom("an attribute is of none of the ten types")),
            };
            found = Some((name, value));
        }
        found.map(|(_, value)| value).ok_or_else(|| de::Error::custom("an attribute holds no value"))
    }
}

struct FromBase64(Vec<u8>);

impl<'de> Deserialize<'de> for FromBase64 {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        STANDARD.decode(text).map(Self).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
