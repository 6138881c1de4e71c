//! Keys made of numbers, and orders of numbers.
//!
//! Owns: names that come out in ascending order for ascending numbers, and a second order that is looked up both ways,
//! all in constant memory.
//! Leaves: which keys there are to the scenarios.

use crate::sqs_rows::segment;

/// A fixed text followed by a zero-padded decimal number, in one buffer that is used again.
pub(crate) struct Numbered {
    buffer: Vec<u8>,
    prefix: usize,
    width: usize,
}

impl Numbered {
    pub(crate) fn new(prefix: &[u8], width: usize) -> Self {
        Self { buffer: prefix.to_vec(), prefix: prefix.len(), width }
    }

    // By hand: `write!` would take most of the time of a file of twenty million rows.
    pub(crate) fn at(&mut self, mut number: u64) -> &[u8] {
        self.buffer.truncate(self.prefix);
        self.buffer.resize(self.prefix + self.width, b'0');
        for digit in self.buffer[self.prefix..].iter_mut().rev() {
            *digit = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                break;
            }
        }
        &self.buffer
    }
}

/// Message ids, 32 hex digits, in the order of their base64 texts, which is not that of the digits.
pub(super) struct MessageIds {
    /// All groups of three digits.
    groups: Vec<String>,
    id: String,
}

impl MessageIds {
    pub(super) fn new() -> Self {
        let mut groups: Vec<String> = (0..1 << 12).map(|group| format!("{group:03x}")).collect();
        groups.sort_by_cached_key(|group| segment(group));
        Self { groups, id: String::new() }
    }

    pub(super) fn at(&mut self, number: u64) -> &str {
        self.id.clear();
        for group in (0..5).rev() {
            self.id.push_str(&self.groups[(number >> (12 * group)) as usize & 0xfff]);
        }
        // Whole groups of three, and two digits that are the same in all.
        self.id.push_str("00000000000000000");
        &self.id
    }
}

/// A permutation of the numbers below `n`, to be looked up both ways.
pub(super) struct Shuffle {
    n: u64,
    forth: u64,
    back: u64,
}

impl Shuffle {
    pub(super) fn new(n: u64) -> Self {
        // A prime, so only its multiples share a factor with it. Its inverse comes from Euclid's algorithm.
        const FORTH: u64 = 2_654_435_761;
        let modulus = n.max(1);
        let (mut old, mut rest) = ((FORTH % modulus) as i128, modulus as i128);
        let (mut x, mut next) = (1i128, 0i128);
        while rest != 0 {
            let quotient = old / rest;
            (old, rest) = (rest, old - quotient * rest);
            (x, next) = (next, x - quotient * next);
        }
        Self { n: modulus, forth: FORTH % modulus, back: x.rem_euclid(modulus as i128) as u64 }
    }

    pub(super) fn key_of(&self, nth: u64) -> u64 {
        (u128::from(nth) * u128::from(self.forth) % u128::from(self.n)) as u64
    }

    pub(super) fn nth_of(&self, key: u64) -> u64 {
        (u128::from(key) * u128::from(self.back) % u128::from(self.n)) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_sent_in_an_order_that_can_be_looked_up_both_ways() {
        for n in [1, 2, 3000, 4096] {
            let order = Shuffle::new(n);
            let mut keys: Vec<_> = (0..n).map(|nth| order.key_of(nth)).collect();
            assert!((0..n).all(|nth| order.nth_of(order.key_of(nth)) == nth));
            keys.sort_unstable();
            assert!(keys.into_iter().eq(0..n));
        }
    }

    #[test]
    fn numbers_are_padded_and_leave_nothing_of_the_one_before() {
        let mut key = Numbered::new(b"k:", 3);
        assert_eq!([999, 7, 0].map(|n| key.at(n).to_vec()), [b"k:999", b"k:007", b"k:000"]);
    }
}
