//! The names of items in the tree, from their key attributes (`docs/format/dynamodb.md` section 3.2). Escapes and
//! fallbacks are `dump::name`'s; which attributes are the key is the schema's.

use std::borrow::Cow;

use super::key::{Key, KeyValue};
use super::number::KeyNumber;
use super::schema::Schema;
use crate::dump::name::{NameKind, push_binary_name, push_directory_name, push_fallback, push_file_name};

/// Begins what stands for a number in a table whose key is declared as strings.
const NUMBER_TAG: &str = "N:";
/// Begins what stands for a string that could be the name of a number.
const STRING_TAG: &str = "S:";
/// Begins what stands for a number in a row that cannot be migrated.
const UNMIGRATABLE_TAG: &str = "X:";

/// Where an item goes below `items/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path<'a> {
    /// The folder, in a table with range key.
    pub folder: Option<Segment<'a>>,
    /// The file, without `.json`.
    pub file: Segment<'a>,
}

/// One name of a path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Segment<'a> {
    /// As it stands in the tree: ASCII.
    pub name: String,
    /// The bytes behind a name that does not lead back to them.
    pub fallback_of: Option<Cow<'a, [u8]>>,
    /// Is it tagged because the value has another type than declared?
    pub is_type_tagged: bool,
}

impl<'a> Path<'a> {
    /// The path of the item with this key.
    pub fn of(key: &Key<'a>, schema: &Schema) -> Self {
        let is_migratable = key.has_order();
        let segment = |value, attribute, is_folder| {
            Naming { declares_strings: schema.declared(attribute) == Some("S"), is_migratable, is_folder }
                .segment(value)
        };
        match (key.range, schema.range_key()) {
            (Some(range), Some(range_key)) => Self {
                folder: Some(segment(key.hash, schema.hash_key(), true)),
                file: segment(range, range_key, false),
            },
            _ => Self { folder: None, file: segment(key.hash, schema.hash_key(), false) },
        }
    }

    /// Folder and file.
    pub fn segments(&self) -> impl Iterator<Item = &Segment<'a>> {
        self.folder.iter().chain([&self.file])
    }

    /// Is a segment tagged for its type?
    pub fn is_type_tagged(&self) -> bool {
        self.segments().any(|segment| segment.is_type_tagged)
    }

    /// Could another item of the table have the same path? Only where a tag was hashed, or what looks like one, or the
    /// text of a number, which bytes may be as well.
    pub fn could_be_taken(&self) -> bool {
        self.segments().any(|segment| {
            let Some(original) = segment.fallback_of.as_deref() else { return false };
            [NUMBER_TAG, STRING_TAG, UNMIGRATABLE_TAG].iter().any(|tag| original.starts_with(tag.as_bytes()))
                || str::from_utf8(original).is_ok_and(could_name_a_number)
        })
    }

    /// With `/`, without `.json`.
    pub fn text(&self) -> String {
        match &self.folder {
            Some(folder) => format!("{}/{}", folder.name, self.file.name),
            None => self.file.name.clone(),
        }
    }
}

/// What a name depends on beside the value.
struct Naming {
    declares_strings: bool,
    is_migratable: bool,
    is_folder: bool,
}

impl Naming {
    fn segment<'a>(&self, value: KeyValue<'a>) -> Segment<'a> {
        let (tag, text) = match value {
            KeyValue::B(bytes) => return named(Cow::Borrowed(bytes), push_binary_name),
            KeyValue::N(text) if !self.is_migratable => (Some(UNMIGRATABLE_TAG), Cow::Borrowed(text)),
            KeyValue::N(text) => {
                let canonical =
                    KeyNumber::parse(text).map_or(Cow::Borrowed(text), |number| number.canonical());
                (self.declares_strings.then_some(NUMBER_TAG), canonical)
            }
            KeyValue::S(text) => {
                let could_be_number = !self.declares_strings && could_name_a_number(text);
                (could_be_number.then_some(STRING_TAG), Cow::Borrowed(text))
            }
        };
        let Some(tag) = tag else {
            let push = if self.is_folder { push_directory_name } else { push_file_name };
            return named(into_bytes(text), push);
        };
        let tagged = [tag.as_bytes(), text.as_bytes()].concat();
        Segment { is_type_tagged: tag != UNMIGRATABLE_TAG, ..named(Cow::Owned(tagged), push_fallback) }
    }
}

fn into_bytes(text: Cow<'_, str>) -> Cow<'_, [u8]> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}

fn named<'a>(original: Cow<'a, [u8]>, push: fn(&[u8], &mut Vec<u8>) -> NameKind) -> Segment<'a> {
    let mut name = Vec::new();
    let is_fallback = push(&original, &mut name) == NameKind::Fallback;
    // Names are ASCII.
    let name = String::from_utf8(name).unwrap_or_default();
    Segment { name, fallback_of: is_fallback.then_some(original), is_type_tagged: false }
}

/// Is it a canonical number text, or a key number?
fn could_name_a_number(text: &str) -> bool {
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (numerator, denominator) = unsigned.split_once('/').unwrap_or((unsigned, "1"));
    (is_digits(numerator) && is_digits(denominator)) || KeyNumber::parse(text).is_some()
}

#[cfg(test)]
mod tests;
