//! What a report says of the encryption of a file: rows by state and key, and keys that its registry of writers names
//! and the sidecar lacks (`docs/format/encryption.md` sections 5 and 6).

use serde::{Deserialize, Serialize};

/// How many unlisted key ids are named.
const NAMED: usize = 10;

/// How the value of a versioned row is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// As it is.
    Clear,
    /// Not at all: the row is a deletion.
    Tombstone,
    /// Encrypted.
    Encrypted,
}

impl State {
    /// All states, in the order in which they are printed.
    pub const ALL: [Self; 3] = [Self::Clear, Self::Tombstone, Self::Encrypted];

    /// The name in SQL and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Clear => "clear",
            Self::Tombstone => "tombstone",
            Self::Encrypted => "encrypted",
        }
    }

    /// The state of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// Versioned rows by the state of their value. Only keys of the sidecar are counted under, so memory is bounded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowStates {
    clear: u64,
    tombstones: u64,
    /// In the order of the key ids.
    encrypted: Vec<(u32, u64)>,
}

impl RowStates {
    /// Counts a row; `key_id` is that of an encrypted one.
    #[inline]
    pub fn add(&mut self, key_id: Option<u32>, tombstone: bool) {
        match key_id {
            Some(key_id) => *self.under(key_id) += 1,
            None if tombstone => self.tombstones += 1,
            None => self.clear += 1,
        }
    }

    /// Sets a count; key id 0 is none.
    pub fn set(&mut self, state: State, key_id: u32, rows: u64) {
        match state {
            State::Clear => self.clear = rows,
            State::Tombstone => self.tombstones = rows,
            State::Encrypted => *self.under(key_id) = rows,
        }
    }

    #[inline]
    fn under(&mut self, key_id: u32) -> &mut u64 {
        let at = match self.encrypted.binary_search_by_key(&key_id, |(id, _)| *id) {
            Ok(at) => at,
            Err(at) => {
                self.encrypted.insert(at, (key_id, 0));
                at
            }
        };
        &mut self.encrypted[at].1
    }

    /// Every count with its key id, 0 for none.
    pub fn iter(&self) -> impl Iterator<Item = (State, u32, u64)> + '_ {
        let bare = [(State::Clear, 0, self.clear), (State::Tombstone, 0, self.tombstones)];
        let encrypted = self.encrypted.iter().map(|(key_id, rows)| (State::Encrypted, *key_id, *rows));
        bare.into_iter().chain(encrypted)
    }
}

/// Key ids that writers have used and the sidecar lacks: it is older than the file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnlistedKeyIds {
    /// How many.
    pub count: u64,
    /// The first of them.
    pub first: Vec<u32>,
    last: Option<u32>,
}

impl UnlistedKeyIds {
    /// Takes an id. They come in ascending order, one for each writing node.
    pub fn add(&mut self, key_id: u32) {
        if self.last == Some(key_id) {
            return;
        }
        self.last = Some(key_id);
        self.count += 1;
        if self.first.len() < NAMED {
            self.first.push(key_id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_several_nodes_have_used_counts_once() {
        let mut ids = UnlistedKeyIds::default();
        [1, 1, 2, 7, 7, 7].into_iter().for_each(|id| ids.add(id));
        assert_eq!((ids.count, &ids.first[..]), (3, &[1, 2, 7][..]));
        (8..100).for_each(|id| ids.add(id));
        assert_eq!((ids.count, ids.first.len()), (95, NAMED));
    }
}
