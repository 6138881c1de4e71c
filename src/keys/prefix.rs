//! Keys and bytes by prefix, in constant memory: keys come in the order of their bytes, so those of a prefix follow each
//! other, but for keys with longer prefixes that begin with it. Only the prefixes of the current key are open.

use serde::Serialize;

use super::top::Top;
use crate::snapshot::Readable;

/// Where prefixes end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Separators {
    /// Any of these bytes ends one and belongs to it.
    pub bytes: Vec<u8>,
    /// Up to so many of them belong to a prefix.
    pub depth: usize,
}

impl Separators {
    /// How long the prefix of a name is, in bytes; 0 if no separator is in it.
    fn end(&self, name: &[u8]) -> usize {
        let ends = name.iter().enumerate().filter(|(_, byte)| self.bytes.contains(byte));
        ends.take(self.depth).last().map_or(0, |(at, _)| at + 1)
    }
}

/// The keys of a prefix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PrefixStats {
    /// In readable form, long ones cut; empty for keys without a separator.
    pub prefix: String,
    /// How many keys.
    pub keys: u64,
    /// Of their values.
    pub bytes: i64,
}

/// A prefix of the current key that keys may still come for.
struct Open {
    end: usize,
    keys: u64,
    bytes: i64,
}

/// Counts keys that come in the order of their names. A prefix that comes back after another counts twice: that of items of
/// one table whose key attributes are shown alike and are of several types.
pub(super) struct Prefixes<'s> {
    separators: &'s Separators,
    open: Vec<Open>,
    /// The longest open prefix begins it.
    current: Vec<u8>,
    top: Top<PrefixStats>,
    others: OtherPrefixes,
}

/// What is not among the prefixes shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct OtherPrefixes {
    /// How many prefixes.
    pub prefixes: u64,
    /// How many keys.
    pub keys: u64,
    /// Of their values.
    pub bytes: i64,
}

impl<'s> Prefixes<'s> {
    /// Keeps the `limit` prefixes with the most bytes.
    pub fn new(separators: &'s Separators, limit: usize) -> Self {
        Self {
            separators,
            open: Vec::new(),
            current: Vec::new(),
            top: Top::new(limit),
            others: OtherPrefixes::default(),
        }
    }

    pub fn push(&mut self, name: &[u8], bytes: i64) {
        let end = self.separators.end(name);
        while self.open.last().is_some_and(|open| !name.starts_with(&self.current[..open.end])) {
            self.close();
        }
        match self.open.last_mut() {
            Some(open) if open.end == end => {
                open.keys += 1;
                open.bytes = open.bytes.saturating_add(bytes);
            }
            _ => {
                self.current.clear();
                self.current.extend_from_slice(&name[..end]);
                self.open.push(Open { end, keys: 1, bytes });
            }
        }
    }

    fn close(&mut self) {
        let Some(Open { end, keys, bytes }) = self.open.pop() else { return };
        let gone = if self.top.admits(bytes) {
            let prefix = Readable(self.current.get(..end).unwrap_or_default()).to_string();
            self.top.push(bytes, PrefixStats { prefix, keys, bytes }).map(|gone| (gone.keys, gone.bytes))
        } else {
            Some((keys, bytes))
        };
        if let Some((keys, bytes)) = gone {
            self.others.prefixes += 1;
            self.others.keys += keys;
            self.others.bytes = self.others.bytes.saturating_add(bytes);
        }
    }

    /// The prefixes with the most bytes, and the rest.
    pub fn finish(mut self) -> (Vec<PrefixStats>, OtherPrefixes) {
        while !self.open.is_empty() {
            self.close();
        }
        (self.top.into_sorted(), self.others)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn a_prefix_ends_with_the_last_separator_that_counts() {
        let separators = |bytes: &[u8], depth| Separators { bytes: bytes.to_vec(), depth };
        assert_eq!(separators(b":/", 1).end(b"user:1:name"), 5);
        assert_eq!(separators(b":/", 2).end(b"user:1/name"), 7);
        assert_eq!(separators(b":/", 9).end(b"user:1/name"), 7);
        assert_eq!(separators(b".", 1).end(b"user:1/name"), 0);
    }

    proptest! {
        #[test]
        fn every_key_counts_under_its_prefix_and_no_prefix_counts_twice(
            mut names in prop::collection::vec("[ab:/]{0,6}", 0..60),
            depth in 1..4_usize,
        ) {
            names.sort();
            let separators = Separators { bytes: b":/".to_vec(), depth };
            let mut prefixes = Prefixes::new(&separators, usize::MAX);
            let mut expected = BTreeMap::<_, (u64, i64)>::new();
            for name in &names {
                prefixes.push(name.as_bytes(), name.len() as i64);
                let count = expected.entry(name[..separators.end(name.as_bytes())].to_owned()).or_default();
                *count = (count.0 + 1, count.1 + name.len() as i64);
            }
            let (found, others) = prefixes.finish();
            prop_assert_eq!(found.len(), expected.len());
            let found: BTreeMap<_, _> =
                found.into_iter().map(|one| (one.prefix, (one.keys, one.bytes))).collect();
            prop_assert_eq!((found, others), (expected, OtherPrefixes::default()));
        }
    }
}
