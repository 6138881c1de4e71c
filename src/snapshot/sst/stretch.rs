//! Bytes that can be read at any offset: those of a table, of one block in it, or of one that was decompressed. Short
//! ones lie in memory, others are looked at through windows, so that nothing grows with them.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use super::super::error::Fault;
use super::super::limits::BLOCK_WINDOW_BYTES;

/// A stretch of a file.
#[derive(Clone)]
pub(super) struct Stretch {
    file: Arc<File>,
    start: u64,
    length: u64,
}

impl Stretch {
    /// `length` bytes of a file, from `start` on.
    pub fn new(file: Arc<File>, start: u64, length: u64) -> Self {
        Self { file, start, length }
    }

    /// Number of bytes.
    pub fn len(&self) -> u64 {
        self.length
    }

    /// Part of it, which lies in it.
    pub fn part(&self, start: u64, length: u64) -> Self {
        debug_assert!(start + length <= self.length);
        Self { file: Arc::clone(&self.file), start: self.start + start, length }
    }

    /// Fills `out` with the bytes from `at` on.
    ///
    /// # Errors
    /// The file cannot be read, or not so far: it was checked to be as long, so it has been cut since.
    pub fn read(&self, at: u64, out: &mut [u8]) -> io::Result<()> {
        if at.saturating_add(out.len() as u64) > self.length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.file.read_exact_at(out, self.start + at)
    }

    /// The bytes from `at` on, in pieces.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn pieces(&self, at: u64, mut take: impl FnMut(&[u8])) -> io::Result<()> {
        let mut piece = vec![0; BLOCK_WINDOW_BYTES];
        let mut at = at;
        while at < self.length {
            let bytes = (self.length - at).min(BLOCK_WINDOW_BYTES as u64) as usize;
            self.read(at, &mut piece[..bytes])?;
            take(&piece[..bytes]);
            at += bytes as u64;
        }
        Ok(())
    }
}

/// The bytes of a block.
pub(super) enum Bytes {
    Memory(Vec<u8>),
    Seen(Window),
}

impl Bytes {
    /// Number of bytes.
    pub fn len(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::Seen(window) => window.stretch.len(),
        }
    }

    /// The bytes from `at` on: at least `n` of them, unless they end before. `n` is to be bounded by the caller.
    #[inline]
    pub fn show(&mut self, at: u64, n: usize) -> Result<&[u8], Fault> {
        match self {
            Self::Memory(bytes) => {
                Ok(usize::try_from(at).ok().and_then(|at| bytes.get(at..)).unwrap_or_default())
            }
            Self::Seen(window) => window.show(at, n).map_err(Fault::Io),
        }
    }

    /// Appends `n` bytes from `at` on, which have to be there.
    pub fn append(&mut self, at: u64, n: usize, out: &mut Vec<u8>) -> Result<(), Fault> {
        match self {
            Self::Seen(window) if n > BLOCK_WINDOW_BYTES => {
                // Not by way of the window: that would hold a giant key twice.
                let start = out.len();
                out.reserve_exact(n);
                out.resize(start + n, 0);
                window.stretch.read(at, &mut out[start..]).map_err(Fault::Io)
            }
            _ => {
                let shown = self.show(at, n)?.get(..n);
                out.extend_from_slice(shown.ok_or_else(|| Fault::Io(io::ErrorKind::UnexpectedEof.into()))?);
                Ok(())
            }
        }
    }

    /// The same bytes for a reader at another place.
    pub fn second(&self) -> Option<Self> {
        match self {
            Self::Memory(_) => None,
            Self::Seen(window) => Some(Self::Seen(Window::new(window.stretch.clone()))),
        }
    }
}

/// A stretch, of which a part is held.
pub(super) struct Window {
    stretch: Stretch,
    at: u64,
    held: Vec<u8>,
}

impl Window {
    /// Holds nothing yet.
    pub fn new(stretch: Stretch) -> Self {
        Self { stretch, at: 0, held: Vec::new() }
    }

    /// The bytes from `at` on: at least `n` of them, unless they end before.
    pub fn show(&mut self, at: u64, n: usize) -> io::Result<&[u8]> {
        let left = self.stretch.len().saturating_sub(at);
        if left == 0 {
            return Ok(&[]);
        }
        let wanted = (n as u64).min(left) as usize;
        let from = at.checked_sub(self.at).and_then(|from| usize::try_from(from).ok());
        let is_held = from.is_some_and(|from| from + wanted <= self.held.len() && from <= self.held.len());
        if !is_held {
            let bytes = (n.max(BLOCK_WINDOW_BYTES) as u64).min(left) as usize;
            self.held.resize(bytes, 0);
            self.stretch.read(at, &mut self.held)?;
            self.at = at;
        }
        Ok(self.held.get((at - self.at) as usize..).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    proptest! {
        #[test]
        fn a_window_shows_what_the_bytes_are(
            length in 0..3 * BLOCK_WINDOW_BYTES,
            looks in proptest::collection::vec((0..4 * BLOCK_WINDOW_BYTES as u64, 0..2 * BLOCK_WINDOW_BYTES), 1..20),
        ) {
            let bytes: Vec<u8> = (0..length).map(|i| (i / 7) as u8).collect();
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(b"before").unwrap();
            file.write_all(&bytes).unwrap();
            let stretch = Stretch::new(Arc::new(file), 6, length as u64);
            let mut all = Vec::new();
            stretch.pieces(0, |piece| all.extend_from_slice(piece)).unwrap();
            prop_assert!(all == bytes);
            let (mut held, mut seen) = (Bytes::Memory(bytes.clone()), Bytes::Seen(Window::new(stretch)));
            for (at, n) in looks {
                let there = bytes.get(at as usize..).unwrap_or_default();
                for bytes in [&mut held, &mut seen] {
                    let shown = bytes.show(at, n).unwrap();
                    prop_assert!(there.starts_with(shown) && shown.len() >= n.min(there.len()));
                }
                let mut out = b"x".to_vec();
                let appended = seen.append(at, n, &mut out).is_ok();
                prop_assert_eq!(appended, n <= there.len());
                prop_assert!(!appended || out[1..] == there[..n]);
            }
        }
    }
}
