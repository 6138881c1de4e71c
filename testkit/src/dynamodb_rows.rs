//! Keys and values of every DynamoDB row kind.
//!
//! Owns: `docs/format/dynamodb.md` section 1, written the obvious way. Keys are user keys in the sense of
//! snapshot.md (the writers add the timestamp). Nothing is checked, so keys, schemas and items may
//! contradict each other.
//!
//! Leaves: what a set of rows means to section 2 and the code under test.

use crate::protobuf::{bytes_field, varint};

/// A segment of a row key: base64url without padding.
pub fn b64u(bytes: &[u8]) -> String {
    encode(bytes, b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
}

fn encode(bytes: &[u8], alphabet: &[u8; 64]) -> String {
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let word =
            chunk.iter().fold(0u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..=chunk.len() {
            out.push(char::from(alphabet[(word >> (18 - 6 * place) & 63) as usize]));
        }
    }
    out
}

/// Key of the schema of a table.
pub fn schema_key(table: &str) -> Vec<u8> {
    format!("!ddb|meta|table|{}", b64u(table.as_bytes())).into_bytes()
}

/// Key of a table's generation counter, whose value is the number in decimal.
pub fn counter_key(table: &str) -> Vec<u8> {
    format!("!ddb|meta|gen|{}", b64u(table.as_bytes())).into_bytes()
}

/// Key of an item with this payload.
pub fn item_key(table: &str, generation: u64, payload: &[u8]) -> Vec<u8> {
    [format!("!ddb|item|{}|{generation}|", b64u(table.as_bytes())).as_bytes(), payload].concat()
}

/// Key of an index row with this payload; its value is the key of the item.
pub fn index_key(table: &str, generation: u64, index: &str, payload: &[u8]) -> Vec<u8> {
    let (table, index) = (b64u(table.as_bytes()), b64u(index.as_bytes()));
    [format!("!ddb|gsi|{table}|{generation}|{index}|").as_bytes(), payload].concat()
}

/// Ordered segment of a string or of bytes.
pub fn segment(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for byte in raw {
        out.push(*byte);
        if *byte == 0 {
            out.push(0xff);
        }
    }
    out.extend([0, 1]);
    out
}

/// Ordered segment of a number ±0.digits × 10^exponent; digits without zeros at either end, none for zero.
pub fn number_segment(negative: bool, digits: &str, exponent: i64) -> Vec<u8> {
    if digits.is_empty() {
        return segment(&[1]);
    }
    let magnitude: Vec<u8> =
        exponent.unsigned_abs().to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
    let mut sized = vec![magnitude.len() as u8];
    sized.extend(magnitude);
    let mut body = match exponent.signum() {
        0 => vec![1],
        1 => [&[2][..], &sized].concat(),
        _ => [&[0][..], &sized.iter().map(|byte| !byte).collect::<Vec<_>>()].concat(),
    };
    body.push(0);
    body.extend(digits.as_bytes());
    if negative {
        let inverted: Vec<u8> = body.iter().map(|byte| !byte).collect();
        return segment(&[&[0][..], &inverted].concat());
    }
    segment(&[&[2][..], &body].concat())
}

/// Legacy payload: both texts, the second empty in a hash-only table.
pub fn legacy_payload(hash: &[u8], range: &[u8]) -> Vec<u8> {
    format!("{}|{}", b64u(hash), b64u(range)).into_bytes()
}

/// What a table is; the methods change one thing each.
#[derive(Debug, Clone)]
pub struct TableSchema {
    /// Its name.
    pub name: String,
    /// Types by attribute.
    pub attributes: Vec<(String, String)>,
    /// Hash key, and range key or nothing.
    pub key: (String, String),
    /// Name, hash key, range key and projection type of the indexes.
    pub indexes: Vec<(String, String, String, String)>,
    /// 2 for ordered keys.
    pub version: u64,
    /// 0 for none.
    pub migrating_from: u64,
    /// The table's life.
    pub generation: u64,
}

impl TableSchema {
    /// A hash-only table of ordered keys in its first life, whose key `id` is of this type.
    pub fn new(name: &str, kind: &str) -> Self {
        Self {
            name: name.to_owned(),
            attributes: vec![("id".to_owned(), kind.to_owned())],
            key: ("id".to_owned(), String::new()),
            indexes: Vec::new(),
            version: 2,
            migrating_from: 0,
            generation: 1,
        }
    }

    /// The same with a range key `r` of this type.
    pub fn range(mut self, kind: &str) -> Self {
        self.key.1 = "r".to_owned();
        self.attributes.push(("r".to_owned(), kind.to_owned()));
        self
    }

    /// The same in another life.
    pub fn generation(self, generation: u64) -> Self {
        Self { generation, ..self }
    }

    /// The same with another key encoding.
    pub fn version(self, version: u64) -> Self {
        Self { version, ..self }
    }

    /// The same while rows of another generation are migrated.
    pub fn migrating_from(self, migrating_from: u64) -> Self {
        Self { migrating_from, ..self }
    }

    /// The stored value.
    pub fn value(&self) -> Vec<u8> {
        let mut out = b"\0DS\x01".to_vec();
        bytes_field(&mut out, 1, self.name.as_bytes());
        for (name, kind) in &self.attributes {
            bytes_field(&mut out, 2, &entry(name, kind.as_bytes()));
        }
        bytes_field(&mut out, 3, &pair(&self.key.0, &self.key.1));
        for (name, hash, range, projection) in &self.indexes {
            let mut index = Vec::new();
            bytes_field(&mut index, 1, &pair(hash, range));
            let mut projected = Vec::new();
            if !projection.is_empty() {
                bytes_field(&mut projected, 1, projection.as_bytes());
            }
            bytes_field(&mut index, 2, &projected);
            bytes_field(&mut out, 4, &entry(name, &index));
        }
        for (field, number) in [(5, self.version), (6, self.migrating_from), (7, self.generation)] {
            if number != 0 {
                varint(&mut out, field << 3);
                varint(&mut out, number);
            }
        }
        out
    }

    /// Schema and counter as rows.
    pub fn rows(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        vec![
            (schema_key(&self.name), self.value()),
            (counter_key(&self.name), self.generation.to_string().into_bytes()),
        ]
    }
}

fn entry(name: &str, value: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    bytes_field(&mut out, 1, name.as_bytes());
    bytes_field(&mut out, 2, value);
    out
}

fn pair(hash: &str, range: &str) -> Vec<u8> {
    let mut out = Vec::new();
    bytes_field(&mut out, 1, hash.as_bytes());
    if !range.is_empty() {
        bytes_field(&mut out, 2, range.as_bytes());
    }
    out
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub enum Attribute {
    /// A string.
    S(String),
    /// A number, as text.
    N(String),
    /// Bytes.
    B(Vec<u8>),
    /// A boolean.
    Bool(bool),
    /// Nothing; `false` is refused by nodes.
    Null(bool),
    /// A set of strings.
    Ss(Vec<String>),
    /// A set of numbers.
    Ns(Vec<String>),
    /// A set of bytes.
    Bs(Vec<Vec<u8>>),
    /// A list.
    L(Vec<Attribute>),
    /// A map.
    M(Vec<(String, Attribute)>),
}

impl Attribute {
    /// A string.
    pub fn s(text: &str) -> Self {
        Self::S(text.to_owned())
    }

    /// A number.
    pub fn n(text: &str) -> Self {
        Self::N(text.to_owned())
    }

    /// The protobuf message.
    pub fn message(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::S(text) => bytes_field(&mut out, 1, text.as_bytes()),
            Self::N(text) => bytes_field(&mut out, 2, text.as_bytes()),
            Self::B(bytes) => bytes_field(&mut out, 3, bytes),
            Self::Bool(flag) => out.extend([4 << 3, u8::from(*flag)]),
            Self::Null(flag) => out.extend([5 << 3, u8::from(*flag)]),
            Self::Ss(set) => bytes_field(&mut out, 6, &repeated(set)),
            Self::Ns(set) => bytes_field(&mut out, 7, &repeated(set)),
            Self::Bs(set) => bytes_field(&mut out, 8, &repeated(set)),
            Self::L(list) => {
                bytes_field(&mut out, 9, &repeated(&list.iter().map(Self::message).collect::<Vec<_>>()));
            }
            Self::M(map) => bytes_field(&mut out, 10, &members(map)),
        }
        out
    }

    /// The JSON of the dump, compact; text without characters that JSON escapes.
    pub fn json(&self) -> String {
        let quoted = |text: &String| format!("\"{text}\"");
        let list = |parts: Vec<String>| format!("[{}]", parts.join(","));
        match self {
            Self::S(text) => format!("{{\"S\":\"{text}\"}}"),
            Self::N(text) => format!("{{\"N\":\"{text}\"}}"),
            Self::B(bytes) => format!("{{\"B\":\"{}\"}}", b64(bytes)),
            Self::Bool(flag) => format!("{{\"BOOL\":{flag}}}"),
            Self::Null(flag) => format!("{{\"NULL\":{flag}}}"),
            Self::Ss(set) => format!("{{\"SS\":{}}}", list(set.iter().map(quoted).collect())),
            Self::Ns(set) => format!("{{\"NS\":{}}}", list(set.iter().map(quoted).collect())),
            Self::Bs(set) => {
                format!("{{\"BS\":{}}}", list(set.iter().map(|bytes| quoted(&b64(bytes))).collect()))
            }
            Self::L(elements) => format!("{{\"L\":{}}}", list(elements.iter().map(Self::json).collect())),
            Self::M(map) => format!("{{\"M\":{}}}", item_json(map)),
        }
    }
}

/// Standard base64 with padding.
fn b64(bytes: &[u8]) -> String {
    let text = encode(bytes, b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
    let padding = "=".repeat(text.len().next_multiple_of(4) - text.len());
    text + &padding
}

fn repeated<T: AsRef<[u8]>>(parts: &[T]) -> Vec<u8> {
    let mut out = Vec::new();
    for part in parts {
        bytes_field(&mut out, 1, part.as_ref());
    }
    out
}

fn members(map: &[(String, Attribute)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in map {
        bytes_field(&mut out, 1, &entry(name, &value.message()));
    }
    out
}

/// The JSON of the dump, compact: members by name, of one given twice the last.
pub fn item_json(map: &[(String, Attribute)]) -> String {
    let last: std::collections::BTreeMap<_, _> = map.iter().map(|(name, value)| (name, value)).collect();
    let members: Vec<_> = last.iter().map(|(name, value)| format!("\"{name}\":{}", value.json())).collect();
    format!("{{{}}}", members.join(","))
}

/// The stored value of an item with these attributes, in this order.
pub fn item_value(attributes: &[(&str, Attribute)]) -> Vec<u8> {
    let map: Vec<_> = attributes.iter().map(|(name, value)| (name.to_string(), value.clone())).collect();
    [&b"\0DI\x01"[..], &members(&map)].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn v1_to_v4_rows_are_those_of_the_specification() {
        let mut schema = TableSchema::new("orders", "S").generation(3);
        schema.key = ("customer_id".to_owned(), "order_ts".to_owned());
        schema.attributes = [("customer_id", "S"), ("order_ts", "N"), ("status", "S")]
            .map(|(name, kind)| (name.to_owned(), kind.to_owned()))
            .to_vec();
        // The index of V2 has non-key attributes, which these schemas do not.
        let value = hex(&schema.value());
        assert!(
            value.starts_with("004453010a066f726465727312100a0b637573746f6d65725f6964120153120d"),
            "{value}"
        );
        assert!(value.ends_with("28023803"), "{value}");
        assert_eq!(schema_key("orders"), b"!ddb|meta|table|b3JkZXJz");
        let payload = [segment(b"c/1"), number_segment(false, "1295", 3)].concat();
        assert_eq!(
            hex(&item_key("orders", 3, &payload)),
            "216464627c6974656d7c62334a6b5a584a7a7c337c632f3100010202010300ff313239350001"
        );
        let index = [segment(b"open"), number_segment(false, "1295", 3), payload].concat();
        assert_eq!(
            hex(&index_key("orders", 3, "by_status", &index)),
            "216464627c6773697c62334a6b5a584a7a7c337c596e6c66633352686448567a7c6f70656e00010202010300ff313239350001632f3100010202010300ff313239350001"
        );
        let item = [("customer_id", "c/1"), ("order_ts", "129.50"), ("status", "open")];
        let [hash, range, status] = item;
        let value = item_value(&[
            (hash.0, Attribute::s(hash.1)),
            (range.0, Attribute::n(range.1)),
            (status.0, Attribute::s(status.1)),
        ]);
        assert_eq!(
            hex(&value),
            "004449010a140a0b637573746f6d65725f696412050a03632f310a140a086f726465725f7473120812063132392e35300a100a0673746174757312060a046f70656e"
        );
    }

    #[test]
    fn v8_negative_numbers_are_inverted() {
        assert_eq!(hex(&number_segment(true, "125", 2)), "00fffdfefdffcecdca0001");
        assert_eq!(hex(&number_segment(false, "1", -2)), "0200fffefd00ff310001");
        assert_eq!(hex(&number_segment(false, "5", 0)), "020100ff350001");
        assert_eq!(hex(&number_segment(false, "", 0)), "010001");
    }
}
