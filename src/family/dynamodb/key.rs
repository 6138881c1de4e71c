//! The primary-key payload of an item row, from the item's key attributes and back: ordered segments and the legacy
//! text (`docs/format/dynamodb.md` sections 1.2 and 1.4). Numbers are `number`'s; which encoding a row must have is
//! decided by its table.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::number::KeyNumber;

/// The value of a key attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyValue<'a> {
    /// A string.
    S(&'a str),
    /// A number, as stored.
    N(&'a str),
    /// Bytes.
    B(&'a [u8]),
}

impl<'a> KeyValue<'a> {
    /// The letter of its type.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::S(_) => "S",
            Self::N(_) => "N",
            Self::B(_) => "B",
        }
    }

    /// The bytes that the legacy encoding keeps.
    pub fn legacy_bytes(&self) -> &'a [u8] {
        match *self {
            Self::S(text) | Self::N(text) => text.as_bytes(),
            Self::B(bytes) => bytes,
        }
    }

    /// Is it a string, bytes, or a number by section 1.3? Only then it has a segment.
    pub fn has_order(&self) -> bool {
        match self {
            Self::S(_) | Self::B(_) => true,
            Self::N(text) => KeyNumber::parse(text).is_some(),
        }
    }

    /// Appends its segment; false, and nothing appended, if it is a number that cannot be a key.
    #[must_use]
    pub fn push_segment(&self, out: &mut Vec<u8>) -> bool {
        self.order().map(|raw| push_segment(&raw, out)).is_some()
    }

    /// The bytes by which it is ordered; `None` for a number that cannot be a key.
    fn order(&self) -> Option<Cow<'a, [u8]>> {
        match *self {
            Self::S(text) => Some(Cow::Borrowed(text.as_bytes())),
            Self::B(bytes) => Some(Cow::Borrowed(bytes)),
            Self::N(text) => {
                let mut raw = Vec::new();
                KeyNumber::parse(text)?.push_order(&mut raw);
                Some(Cow::Owned(raw))
            }
        }
    }
}

/// The key attributes of an item: hash, and range where the table has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key<'a> {
    /// The hash attribute's value.
    pub hash: KeyValue<'a>,
    /// The range attribute's value.
    pub range: Option<KeyValue<'a>>,
}

impl<'a> Key<'a> {
    /// Hash, then range.
    pub fn values(&self) -> impl Iterator<Item = KeyValue<'a>> {
        std::iter::once(self.hash).chain(self.range)
    }

    /// Can it be migrated to the ordered encoding (`docs/format/dynamodb.md` section 2.4)?
    pub fn has_order(&self) -> bool {
        self.values().all(|value| value.has_order())
    }

    /// Appends the ordered payload; false if a number cannot be a key, and `out` is then of no use.
    #[must_use]
    pub fn push_ordered(&self, out: &mut Vec<u8>) -> bool {
        self.values().all(|value| value.push_segment(out))
    }

    /// Is `payload` the ordered one? Said without making it, for keys that are long.
    pub fn is_ordered_as(&self, payload: &[u8]) -> bool {
        let mut rest = payload;
        for value in self.values() {
            let order = value.order();
            let Some(behind) = order.and_then(|raw| strip_segment(&raw, rest)) else { return false };
            rest = behind;
        }
        rest.is_empty()
    }

    /// Appends the legacy payload.
    pub fn push_legacy(&self, out: &mut Vec<u8>) {
        let text = |value: KeyValue<'_>| URL_SAFE_NO_PAD.encode(value.legacy_bytes());
        out.extend_from_slice(text(self.hash).as_bytes());
        out.push(b'|');
        if let Some(range) = self.range {
            out.extend_from_slice(text(range).as_bytes());
        }
    }
}

/// Appends `raw` with its zeros escaped, and the terminator.
fn push_segment(raw: &[u8], out: &mut Vec<u8>) {
    for piece in raw.split_inclusive(|byte| *byte == 0) {
        out.extend_from_slice(piece);
        if piece.ends_with(&[0]) {
            out.push(0xFF);
        }
    }
    out.extend_from_slice(&[0, 1]);
}

/// What follows the segment of `raw` at the beginning of `payload`; `None` if another stands there.
fn strip_segment<'p>(raw: &[u8], payload: &'p [u8]) -> Option<&'p [u8]> {
    let mut rest = payload;
    for piece in raw.split_inclusive(|byte| *byte == 0) {
        rest = rest.strip_prefix(piece)?;
        if piece.ends_with(&[0]) {
            rest = rest.strip_prefix(&[0xFF])?;
        }
    }
    rest.strip_prefix(&[0, 1])
}

/// Does `payload` consist of exactly so many ordered segments?
pub fn is_ordered(payload: &[u8], segments: usize) -> bool {
    let mut rest = payload;
    for _ in 0..segments {
        loop {
            let Some(zero) = rest.iter().position(|byte| *byte == 0) else { return false };
            let follows = rest.get(zero + 1);
            rest = rest.get(zero + 2..).unwrap_or_default();
            match follows {
                Some(0xFF) => {}
                Some(1) => break,
                _ => return false,
            }
        }
    }
    rest.is_empty()
}

/// Has `payload` the shape of an ordered one? A legacy one never has (`docs/format/dynamodb.md` section 1.1).
pub fn looks_ordered(payload: &[u8]) -> bool {
    payload.ends_with(&[0, 1])
}

/// Are these two base64url texts with a `|` between them?
pub fn is_legacy(payload: &[u8]) -> bool {
    let mut parts = payload.split(|byte| *byte == b'|');
    let (Some(hash), Some(range), None) = (parts.next(), parts.next(), parts.next()) else { return false };
    is_base64url(hash) && is_base64url(range)
}

/// Only characters of base64url, as many as bytes make?
pub fn is_base64url(text: &[u8]) -> bool {
    text.len() % 4 != 1 && text.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// The bytes that a text in base64url stands for; `None` if it is not the one text that they have.
pub fn canonical_base64url(text: &[u8]) -> Option<Vec<u8>> {
    // The engine refuses padding, line breaks and stray low bits.
    URL_SAFE_NO_PAD.decode(text).ok()
}

#[cfg(test)]
mod tests;
