//! Bytes in, once and in order: a window over a file or standard input that a parser looks through, with the
//! CRC-32C of everything consumed computed on the way (`docs/format/snapshot.md` section 1.2).
//! Knows no format; which bytes are a row is for the bodies to say.

use std::io::{self, Read};
use std::ops::Range;

use super::error::{Corruption, Fault, SnapshotError, Unsupported};
use super::limits::WINDOW_BYTES;

/// A reading window. `peek` makes bytes visible, `consume` moves past them.
pub struct Input {
    source: Box<dyn Read + Send>,
    name: String,
    window: Vec<u8>,
    /// Where the next byte to parse lies in the window, and where the bytes read so far end.
    at: usize,
    filled: usize,
    /// Offset of the window's first byte in the file.
    base: u64,
    /// Bytes of the window before this place are in the checksums already.
    summed: usize,
    crc: u32,
    ieee: Option<crc32fast::Hasher>,
    ended: bool,
}

impl Input {
    /// Reads `source`; `name` stands in errors.
    pub fn new(source: Box<dyn Read + Send>, name: String) -> Self {
        Self {
            source,
            name,
            window: vec![0; WINDOW_BYTES],
            at: 0,
            filled: 0,
            base: 0,
            summed: 0,
            crc: 0,
            ieee: None,
            ended: false,
        }
    }

    /// Goes on at `offset`, where `source` stands; `crc32c` is that of the bytes before it.
    pub fn resumed(source: Box<dyn Read + Send>, name: String, offset: u64, crc32c: u32) -> Self {
        Self { base: offset, crc: crc32c, ..Self::new(source, name) }
    }

    /// The file as given.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Offset of the next byte to parse, in bytes from the start of the file.
    pub fn offset(&self) -> u64 {
        self.base + self.at as u64
    }

    /// The next bytes, at least `n` of them unless the file ends before.
    #[inline]
    pub fn peek(&mut self, n: usize) -> Result<&[u8], SnapshotError> {
        if self.filled - self.at < n {
            self.refill(n)?;
        }
        Ok(&self.window[self.at..self.filled])
    }

    /// Moves past `n` bytes that `peek` has shown.
    #[inline]
    pub fn consume(&mut self, n: usize) {
        debug_assert!(n <= self.filled - self.at);
        self.at += n;
    }

    /// Moves past `n` bytes, however many they are, and returns false if the file ends before.
    pub fn skip(&mut self, mut n: u64) -> Result<bool, SnapshotError> {
        loop {
            let step = n.min((self.filled - self.at) as u64);
            self.at += step as usize;
            n -= step;
            if n == 0 {
                return Ok(true);
            }
            if self.peek(1)?.is_empty() {
                return Ok(false);
            }
        }
    }

    /// Has nothing been read beyond the next `n` bytes, so that they can be handed over? A window that has grown for a long
    /// key stays here: nobody else is to hold so much.
    pub fn can_hand_over(&self, n: usize) -> bool {
        self.filled - self.at == n && self.window.len() == WINDOW_BYTES
    }

    /// Moves past everything that has been read, and hands the window over, so that nobody has to copy the bytes: they are
    /// in this stretch of what `other` is then. What it was becomes the window.
    pub fn hand_over(&mut self, other: &mut Vec<u8>) -> Range<usize> {
        let passed = self.at..self.filled;
        self.at = self.filled;
        self.sum();
        other.resize(self.window.len(), 0);
        std::mem::swap(&mut self.window, other);
        self.base += self.filled as u64;
        (self.at, self.filled, self.summed) = (0, 0, 0);
        passed
    }

    /// CRC-32C of everything consumed so far.
    pub fn crc32c(&mut self) -> u32 {
        self.sum();
        self.crc
    }

    /// Begins a CRC-32 (IEEE) over what is consumed from here on.
    pub fn begin_ieee(&mut self) {
        self.sum();
        self.ieee = Some(crc32fast::Hasher::new());
    }

    /// The CRC-32 (IEEE) since [`Self::begin_ieee`]; 0 if that was never called.
    pub fn ieee(&mut self) -> u32 {
        self.sum();
        self.ieee.clone().map_or(0, crc32fast::Hasher::finalize)
    }

    /// An error that names this file and an offset in it.
    pub fn corrupt(&self, offset: u64, what: Corruption) -> SnapshotError {
        SnapshotError::Corrupt { name: self.name.clone(), offset, what }
    }

    /// An error that names this file and an offset in it.
    pub fn unsupported(&self, offset: u64, what: Unsupported) -> SnapshotError {
        SnapshotError::Unsupported { name: self.name.clone(), offset, what }
    }

    /// An error that names this file and an offset in it.
    pub fn fault(&self, offset: u64, fault: Fault) -> SnapshotError {
        fault.at(&self.name, offset)
    }

    /// An error for a file that ends inside the part that begins at `offset`.
    pub fn truncated(&self, offset: u64, inside: &'static str) -> SnapshotError {
        SnapshotError::Truncated {
            name: self.name.clone(),
            offset,
            end: self.base + self.filled as u64,
            inside,
        }
    }

    fn sum(&mut self) {
        let fresh = &self.window[self.summed..self.at];
        self.crc = crc32c::crc32c_append(self.crc, fresh);
        if let Some(ieee) = &mut self.ieee {
            ieee.update(fresh);
        }
        self.summed = self.at;
    }

    #[cold]
    fn refill(&mut self, n: usize) -> Result<(), SnapshotError> {
        self.sum();
        self.window.copy_within(self.at..self.filled, 0);
        self.base += self.at as u64;
        self.filled -= self.at;
        (self.at, self.summed) = (0, 0);
        // Fewer than `n` bytes are left in the window, so none is lost when it shrinks after a long key.
        let size = n.max(WINDOW_BYTES);
        if self.window.len() != size {
            self.window.resize(size, 0);
            self.window.shrink_to_fit();
        }
        while !self.ended && self.filled < n {
            match self.source.read(&mut self.window[self.filled..]) {
                Ok(0) => self.ended = true,
                Ok(count) => self.filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(SnapshotError::Io { name: self.name.clone(), source }),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Hands out the bytes in pieces of the given sizes, over and over.
    struct Dribble(Vec<u8>, usize, Vec<usize>);

    impl Read for Dribble {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let piece = self.2[self.1 % self.2.len()];
            self.1 += 1;
            let n = piece.min(out.len()).min(self.0.len());
            out[..n].copy_from_slice(&self.0[..n]);
            self.0.drain(..n);
            Ok(n)
        }
    }

    #[test]
    fn a_window_that_has_grown_for_a_long_key_is_not_handed_over() {
        let bytes = vec![7; 3 * WINDOW_BYTES];
        let mut input = Input::new(Box::new(io::Cursor::new(bytes)), "test".into());
        let at_hand = input.peek(WINDOW_BYTES + 1).unwrap().len();
        assert!(!input.can_hand_over(at_hand));
        input.consume(at_hand);
        let at_hand = input.peek(1).unwrap().len();
        assert!(input.can_hand_over(at_hand));
        let mut other = Vec::new();
        assert_eq!((input.hand_over(&mut other).len(), other.len()), (at_hand, WINDOW_BYTES));
    }

    proptest! {
        #[test]
        fn every_byte_is_seen_once_and_summed_however_the_source_dribbles(
            bytes in proptest::collection::vec(any::<u8>(), 0..2000),
            pieces in proptest::collection::vec(1usize..70, 1..8),
            steps in proptest::collection::vec((1usize..90, 0..3), 1..200),
        ) {
            let mut input = Input::new(Box::new(Dribble(bytes.clone(), 0, pieces)), "test".into());
            let (mut seen, mut other) = (Vec::new(), Vec::new());
            for (n, way) in steps {
                let (from, shown) = (input.offset() as usize, input.peek(n).unwrap().to_vec());
                prop_assert!(shown.len() >= n.min(bytes.len() - from));
                prop_assert!(bytes[from..].starts_with(&shown));
                prop_assert!(input.can_hand_over(shown.len()) && !input.can_hand_over(shown.len() + 1));
                let step = if way == 2 { shown.len() } else { n.min(shown.len()) };
                seen.extend_from_slice(&shown[..step]);
                match way {
                    0 => input.consume(step),
                    1 => prop_assert!(input.skip(step as u64).unwrap()),
                    _ => {
                        let stretch = input.hand_over(&mut other);
                        prop_assert_eq!(&other[stretch], &shown);
                    }
                }
                prop_assert_eq!(input.offset(), seen.len() as u64);
                prop_assert_eq!(input.crc32c(), crc32c::crc32c(&seen));
            }
        }
    }
}
