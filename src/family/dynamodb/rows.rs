//! Row keys: from bytes to what they are the key of (`docs/format/dynamodb.md` sections 1.1 and 3.8). Pure functions.
//! Values are `item`'s and `schema`'s.

use super::key::{canonical_base64url, is_base64url};

/// What the keys of item rows begin with.
pub const ITEM_PREFIX: &[u8] = b"!ddb|item|";

/// One row key, taken apart. A segment is the encoded name of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowKey<'a> {
    /// The schema of a table, which makes it exist.
    Schema {
        /// The table.
        segment: &'a [u8],
    },
    /// An item.
    Item {
        /// The table.
        segment: &'a [u8],
        /// The life of the table that it belongs to.
        generation: u64,
        /// Its primary key.
        payload: &'a [u8],
    },
    /// The last generation ever given to a table; whatever stands behind the prefix.
    Counter {
        /// The table.
        segment: &'a [u8],
    },
    /// A row of a secondary index, which schema and items imply.
    Index {
        /// The table, as far as a separator tells.
        segment: &'a [u8],
    },
    /// Nothing that nodes are known to write.
    Unknown,
}

/// A rule that a row key breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MalformedKey {
    /// No table.
    #[error("the row key names no table")]
    NoTable,
    /// The table is not encoded.
    #[error("the table in the row key is not base64url")]
    NotBase64Url,
    /// The table is encoded in another way than nodes do.
    #[error("the table in the row key is not in the one form that base64url has for it")]
    NotCanonical,
    /// No generation.
    #[error("the row key names no generation")]
    NoGeneration,
    /// The generation is no number.
    #[error("the generation in the row key is not a decimal number of 64 bits")]
    Generation,
    /// The generation begins with a zero.
    #[error("the generation in the row key has a leading zero")]
    LeadingZero,
    /// No primary key.
    #[error("the row key holds no primary key")]
    NoPayload,
}

/// Takes the key of a visible row apart.
///
/// # Errors
/// The rule that it breaks.
pub fn decode(user_key: &[u8]) -> Result<RowKey<'_>, MalformedKey> {
    if let Some(rest) = user_key.strip_prefix(ITEM_PREFIX) {
        return item(rest);
    }
    if let Some(segment) = user_key.strip_prefix(b"!ddb|meta|table|") {
        check_segment(segment)?;
        return Ok(RowKey::Schema { segment });
    }
    if let Some(segment) = user_key.strip_prefix(b"!ddb|meta|gen|") {
        return Ok(RowKey::Counter { segment });
    }
    if let Some(rest) = user_key.strip_prefix(b"!ddb|gsi|") {
        let segment = rest.split(|byte| *byte == b'|').next().unwrap_or_default();
        return Ok(RowKey::Index { segment });
    }
    Ok(RowKey::Unknown)
}

/// The key of an item row.
pub fn item_key(segment: &[u8], generation: u64, payload: &[u8]) -> Vec<u8> {
    [ITEM_PREFIX, segment, b"|", generation.to_string().as_bytes(), b"|", payload].concat()
}

fn item(rest: &[u8]) -> Result<RowKey<'_>, MalformedKey> {
    let mut parts = rest.splitn(3, |byte| *byte == b'|');
    let segment = parts.next().unwrap_or_default();
    check_segment(segment)?;
    let digits = parts.next().filter(|digits| !digits.is_empty()).ok_or(MalformedKey::NoGeneration)?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return Err(MalformedKey::Generation);
    }
    if digits.len() > 1 && digits.starts_with(b"0") {
        return Err(MalformedKey::LeadingZero);
    }
    let generation = str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
    let generation = generation.ok_or(MalformedKey::Generation)?;
    let payload = parts.next().filter(|payload| !payload.is_empty()).ok_or(MalformedKey::NoPayload)?;
    Ok(RowKey::Item { segment, generation, payload })
}

fn check_segment(segment: &[u8]) -> Result<(), MalformedKey> {
    if segment.is_empty() {
        return Err(MalformedKey::NoTable);
    }
    if canonical_base64url(segment).is_some() {
        return Ok(());
    }
    // Other decoders pass over line breaks, and over bits that belong to no byte.
    let text: Vec<u8> = segment.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
    Err(if is_base64url(&text) { MalformedKey::NotCanonical } else { MalformedKey::NotBase64Url })
}

/// The counter in a generation row; `None` if it cannot be read.
pub fn counter(value: &[u8]) -> Option<u64> {
    let text = str::from_utf8(value).ok()?.trim();
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests;
