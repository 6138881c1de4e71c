//! The few greatest of many, in constant memory.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use serde::Serialize;

use crate::snapshot::Readable;

/// A key among the biggest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BigKey {
    /// What people call it, in readable form, long ones cut.
    pub key: String,
    /// What its value has.
    pub bytes: i64,
    /// Fields, members, items, entries or messages.
    pub elements: Option<i64>,
}

impl BigKey {
    pub(super) fn new(name: &[u8], bytes: i64, elements: Option<i64>) -> Self {
        Self { key: Readable(name).to_string(), bytes, elements }
    }
}

/// Keeps the `limit` of the greatest sizes; of equal ones those that came first.
pub(super) struct Top<T> {
    limit: usize,
    seen: u64,
    kept: BinaryHeap<Reverse<Ranked<T>>>,
}

struct Ranked<T> {
    rank: (i64, Reverse<u64>),
    what: T,
}

impl<T> PartialEq for Ranked<T> {
    fn eq(&self, other: &Self) -> bool {
        self.rank == other.rank
    }
}

impl<T> Eq for Ranked<T> {}

impl<T> PartialOrd for Ranked<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Ranked<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.rank.cmp(&other.rank)
    }
}

impl<T> Top<T> {
    pub fn new(limit: usize) -> Self {
        Self { limit, seen: 0, kept: BinaryHeap::new() }
    }

    /// Would one of this size be kept? It comes after those that are there.
    pub fn admits(&self, size: i64) -> bool {
        self.kept.len() < self.limit || self.kept.peek().is_some_and(|Reverse(least)| least.rank.0 < size)
    }

    /// Takes one that is admitted; what gives way for it.
    pub fn push(&mut self, size: i64, what: T) -> Option<T> {
        self.seen += 1;
        self.kept.push(Reverse(Ranked { rank: (size, Reverse(self.seen)), what }));
        if self.kept.len() > self.limit { self.kept.pop().map(|Reverse(ranked)| ranked.what) } else { None }
    }

    /// The greatest first.
    pub fn into_sorted(self) -> Vec<T> {
        let mut kept = self.kept.into_vec();
        kept.sort();
        kept.into_iter().map(|Reverse(ranked)| ranked.what).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_greatest_are_kept_and_the_rest_handed_back(sizes in prop::collection::vec(0..20_i64, 0..40), limit in 0..6_usize) {
            let mut top = Top::new(limit);
            let mut rest = Vec::new();
            for (at, size) in sizes.iter().enumerate() {
                if top.admits(*size) {
                    rest.extend(top.push(*size, (*size, at)));
                } else {
                    rest.push((*size, at));
                }
            }
            let mut expected: Vec<_> = sizes.iter().enumerate().map(|(at, size)| (*size, at)).collect();
            expected.sort_by_key(|(size, at)| (Reverse(*size), *at));
            let mut expected_rest = expected.split_off(limit.min(expected.len()));
            rest.sort();
            expected_rest.sort();
            prop_assert_eq!((top.into_sorted(), rest), (expected, expected_rest));
        }
    }
}
