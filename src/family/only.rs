//! One key instead of all: where it stands, and which of its files is asked for. Finding out which key somebody means is
//! left to `crate::keys`.

use super::Export;

/// Where a key stands among those of its family.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyPlace {
    /// `scope_order` of the view `keys`: the table as in row keys, the bucket, or the key where neither comes first.
    pub scope: Vec<u8>,
    /// `key_order` of the view `keys`: the bytes of the key, or the encoded key attributes of an item.
    pub key: Vec<u8>,
}

/// What a file holds of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Its value, as the dump has it.
    Value,
    /// The bytes of its value as a node stores them, which no dump has.
    Stored,
    /// What is said about it, or about what it stands in: `*.elastickv-meta.json`, `_queue.json`, `_schema.json`.
    About,
    /// Something else, or something of several keys.
    Other,
}

/// The one file of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Only {
    /// The key.
    pub place: KeyPlace,
    /// The file.
    pub content: Content,
}

impl Export<'_, '_> {
    /// The condition on `column` that keeps the one scope or key asked for, if there is one, and otherwise all. Its
    /// parameter, of the number given, is what was asked for or NULL: an index finds it, or nothing is compared.
    pub fn only_if(&self, column: &str, parameter: usize) -> String {
        match self.only {
            Some(_) => format!("{column} = ?{parameter}"),
            None => format!("?{parameter} IS NULL"),
        }
    }

    /// The scope of the one key asked for.
    pub fn only_scope(&self) -> Option<&[u8]> {
        self.only.map(|only| only.place.scope.as_slice())
    }

    /// The one key asked for.
    pub fn only_key(&self) -> Option<&[u8]> {
        self.only.map(|only| only.place.key.as_slice())
    }

    /// Is a file of this content to be written?
    pub fn wants(&self, content: Content) -> bool {
        match self.only {
            Some(only) => only.content == content,
            None => content != Content::Stored,
        }
    }
}
