//! The rules that a row of this family can break beyond those of its key's layout (`docs/format/dynamodb.md` section
//! 3.8), each with its own words.

use super::rows::MalformedKey;

/// A rule that a row breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The row key has another layout.
    #[error(transparent)]
    Key(#[from] MalformedKey),
    /// Neither the magic of its kind nor the JSON of older nodes.
    #[error("the value begins neither with the magic of {0} nor like JSON")]
    Magic(&'static str),
    /// No protobuf, or a known field of another type.
    #[error("the protobuf of {0} does not parse")]
    Protobuf(&'static str),
    /// Text that is none.
    #[error("a string in {0} is not UTF-8")]
    NotUtf8(&'static str),
    /// No JSON, or not of the form that older nodes wrote.
    #[error("the JSON of {what} does not parse: {why}")]
    Json {
        /// An item or a schema.
        what: &'static str,
        /// What the parser says.
        why: String,
    },
    /// More bytes than are held in memory.
    #[error("{what} has {bytes} bytes, more than the {limit} that are read")]
    TooLong {
        /// What is so long.
        what: &'static str,
        /// Its length.
        bytes: u64,
        /// The longest that is read, in bytes.
        limit: u64,
    },
    /// The table's name in the schema is not that of the row key.
    #[error("the row key is that of table {key:?}, the schema that of {schema:?}")]
    TableName {
        /// In the row key, readable.
        key: String,
        /// In the schema.
        schema: String,
    },
    /// A key encoding version beyond signed numbers.
    #[error("the key encoding version {0} does not fit a signed 64-bit number")]
    KeyEncodingVersion(u64),
    /// An attribute of none of the ten types.
    #[error("an attribute holds no value")]
    NoValue,
    /// NULL is always true.
    #[error("an attribute is NULL false")]
    NullFalse,
    /// Deeper than a node can read.
    #[error("the attributes nest deeper than 32 levels")]
    Depth,
    /// A key attribute is not there.
    #[error("the item lacks the key attribute {0}")]
    NoKeyAttribute(String),
    /// A key attribute that cannot be one.
    #[error("the key attribute {0} is neither S, N nor B")]
    KeyAttributeType(String),
    /// The ordered encoding is due.
    #[error("the primary key in the row key is not in the ordered encoding, which the schema demands")]
    NotOrdered,
    /// The legacy encoding is due.
    #[error("the primary key in the row key is not in the legacy encoding, which the schema demands")]
    NotLegacy,
    /// Key and value disagree.
    #[error("the primary key in the row key is not that of the item's attributes")]
    OtherKey,
    /// Another item has the place in the dump.
    #[error("another item of the table has the same file name {0}")]
    PathTaken(String),
}
