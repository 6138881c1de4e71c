//! DynamoDB tables for tests, and the files that they become.

use ekvsnap::error::Error;
use ekvsnap_testkit::dynamodb_rows::{Attribute, TableSchema, item_json, item_key, item_value, segment};

use super::{DYNAMODB, Dump, How, Row, decode, snapshot};

/// The dump of these rows.
pub fn dump(rows: &[Row]) -> Dump {
    dump_how(rows, DYNAMODB)
}

/// The dump of these rows, made so.
pub fn dump_how(rows: &[Row], how: How) -> Dump {
    decode(&[snapshot(rows)], how).unwrap()
}

/// The error of rows that have to be refused.
pub fn refusal(rows: &[Row]) -> Error {
    match decode(&[snapshot(rows)], DYNAMODB) {
        Ok(dump) => panic!("decoded to {:?}", dump.shown()),
        Err(error) => error,
    }
}

/// Attributes of an item.
pub type Attributes<'a> = &'a [(&'a str, Attribute)];

/// An item of generation 1 in a hash-only table of strings, with whatever else it holds.
pub fn item(table: &str, id: &str, others: Attributes<'_>) -> Row {
    let attributes = [&[("id", Attribute::s(id))], others].concat();
    (item_key(table, 1, &segment(id.as_bytes())), item_value(&attributes))
}

/// Schema and counter of a hash-only table of strings, and these rows.
pub fn table(name: &str, rows: impl IntoIterator<Item = Row>) -> Vec<Row> {
    with_schema(&TableSchema::new(name, "S"), rows)
}

/// Schema and counter, and these rows.
pub fn with_schema(schema: &TableSchema, rows: impl IntoIterator<Item = Row>) -> Vec<Row> {
    schema.rows().into_iter().chain(rows).collect()
}

/// The file of an item whose text needs no escapes.
pub fn file(attributes: Attributes<'_>) -> String {
    let map: Vec<_> = attributes.iter().map(|(name, value)| (name.to_string(), value.clone())).collect();
    let document: serde_json::Value = serde_json::from_str(&item_json(&map)).unwrap();
    serde_json::to_string_pretty(&document).unwrap()
}

impl Dump {
    /// The paths of all files but schemas.
    pub fn paths(&self) -> Vec<&str> {
        self.files.keys().map(String::as_str).filter(|path| !path.ends_with("_schema.json")).collect()
    }

    /// A file as text.
    pub fn text(&self, path: &str) -> &str {
        str::from_utf8(&self.files[path]).unwrap()
    }
}
