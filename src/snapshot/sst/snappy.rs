//! Blocks decompressed (`docs/format/sstable.md` sections 2.2 and 4). Short ones in memory, by the crate `snap`. That
//! one needs all of its input and output at once, so a long one goes element by element into an unnamed file, which
//! also is where references far back are read from.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use super::super::error::Fault;
use super::super::limits::{BLOCK_IN_MEMORY_BYTES, MAX_SNAPPY_BYTES};
use super::error::SstCorruption;
use super::stretch::{Bytes, Stretch, Window};

/// Bytes of the longest varint that begins a Snappy block.
const LENGTH_BYTES: usize = 5;
/// Output held back so that references find it in memory: those of an encoder reach 64 KiB back at most.
const KEPT_BYTES: usize = 64 << 10;
/// Output beyond that, before it is written.
const PENDING_BYTES: usize = 192 << 10;

/// Decompresses a block; `spool` is the directory for the unnamed file of a long one.
///
/// # Errors
/// It claims more than it can hold, is no Snappy block, or cannot be read or written.
pub(super) fn decompress(stored: Bytes, spool: &Path) -> Result<Bytes, Fault> {
    let length = stored.len();
    let (declared, stored) = match stored {
        Bytes::Memory(stored) => (declared(&stored, length)?, Bytes::Memory(stored)),
        Bytes::Seen(mut window) => {
            let beginning = window.show(0, LENGTH_BYTES).map_err(Fault::Io)?;
            (declared(beginning, length)?, Bytes::Seen(window))
        }
    };
    match stored {
        Bytes::Memory(stored) if declared <= BLOCK_IN_MEMORY_BYTES => {
            let mut out = vec![0; declared as usize];
            match snap::raw::Decoder::new().decompress(&stored, &mut out) {
                Ok(count) if count as u64 == declared => Ok(Bytes::Memory(out)),
                Ok(_) => Err(broken("it ends early")),
                Err(error) => Err(broken(error)),
            }
        }
        stored => decompress_into_file(stored, declared, spool),
    }
}

fn decompress_into_file(stored: Bytes, declared: u64, spool: &Path) -> Result<Bytes, Fault> {
    let file = Arc::new(tempfile::tempfile_in(spool).map_err(Fault::Io)?);
    Elements { stored, at: 0, out: Output::new(&file) }.decompress(declared)?;
    Ok(Bytes::Seen(Window::new(Stretch::new(file, 0, declared))))
}

/// The length that a block says it has decompressed, if it can be believed.
fn declared(beginning: &[u8], stored: u64) -> Result<u64, Fault> {
    // A number beyond 32 bits is an error here already.
    let declared =
        snap::raw::decompress_len(&beginning[..beginning.len().min(LENGTH_BYTES)]).map_err(broken)?;
    let (declared, most) = (declared as u64, MAX_SNAPPY_BYTES.min(stored.saturating_mul(64) / 3));
    if declared > most {
        return Err(SstCorruption::DeclaredLength { declared, stored, most }.into());
    }
    Ok(declared)
}

fn broken(what: impl ToString) -> Fault {
    SstCorruption::Snappy(what.to_string()).into()
}

/// The elements of a block: runs of bytes, and references to bytes that came before.
struct Elements<'f> {
    stored: Bytes,
    at: u64,
    out: Output<'f>,
}

impl Elements<'_> {
    fn decompress(mut self, declared: u64) -> Result<(), Fault> {
        while self.byte()? >= 0x80 {}
        while self.at < self.stored.len() {
            let tag = self.byte()?;
            let high = u64::from(tag >> 2);
            match tag & 3 {
                0 => {
                    let length = 1 + if high < 60 { high } else { self.number(high as usize - 59)? };
                    self.run(length, declared)?;
                }
                1 => {
                    let offset = u64::from(tag >> 5) << 8 | self.number(1)?;
                    self.out.copy(offset, 4 + (high as usize & 7), declared)?;
                }
                kind => {
                    let offset = self.number(if kind == 2 { 2 } else { 4 })?;
                    self.out.copy(offset, 1 + high as usize, declared)?;
                }
            }
        }
        if self.out.length() != declared {
            return Err(broken("it ends early"));
        }
        self.out.flush()
    }

    fn byte(&mut self) -> Result<u8, Fault> {
        self.number(1).map(|byte| byte as u8)
    }

    /// A little-endian number of up to 4 bytes.
    fn number(&mut self, bytes: usize) -> Result<u64, Fault> {
        let mut number = [0; 8];
        let shown = self.stored.show(self.at, bytes)?;
        number[..bytes].copy_from_slice(shown.get(..bytes).ok_or_else(|| broken("an element has no end"))?);
        self.at += bytes as u64;
        Ok(u64::from_le_bytes(number))
    }

    fn run(&mut self, length: u64, declared: u64) -> Result<(), Fault> {
        self.out.has_room(length, declared)?;
        let mut left = length;
        while left > 0 {
            let shown = self.stored.show(self.at, 1)?;
            let bytes = (shown.len() as u64).min(left).min(PENDING_BYTES as u64) as usize;
            if bytes == 0 {
                return Err(broken("an element has no end"));
            }
            self.out.put(&shown[..bytes])?;
            self.at += bytes as u64;
            left -= bytes as u64;
        }
        Ok(())
    }
}

/// What has been decompressed: the beginning in the file, the end held, and between them some of both.
struct Output<'f> {
    file: &'f File,
    held: Vec<u8>,
    /// Offset of the first byte held, and how many of the bytes held are in the file, too.
    start: u64,
    written: usize,
}

impl<'f> Output<'f> {
    fn new(file: &'f File) -> Self {
        Self { file, held: Vec::with_capacity(KEPT_BYTES + 2 * PENDING_BYTES), start: 0, written: 0 }
    }

    fn length(&self) -> u64 {
        self.start + self.held.len() as u64
    }

    fn has_room(&self, length: u64, declared: u64) -> Result<(), Fault> {
        if length <= declared.saturating_sub(self.length()) {
            Ok(())
        } else {
            Err(broken("it holds more than it says"))
        }
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.held.extend_from_slice(bytes);
        if self.held.len() < KEPT_BYTES + PENDING_BYTES {
            return Ok(());
        }
        self.flush()?;
        let passed = self.held.len() - KEPT_BYTES;
        self.held.drain(..passed);
        self.start += passed as u64;
        self.written = self.held.len();
        Ok(())
    }

    /// Repeats up to 64 bytes that stand `offset` bytes back. Where the offset is the shorter one, bytes just repeated
    /// are repeated again.
    fn copy(&mut self, offset: u64, length: usize, declared: u64) -> Result<(), Fault> {
        self.has_room(length as u64, declared)?;
        let from = self.length().checked_sub(offset).filter(|_| offset > 0);
        let from = from.ok_or_else(|| broken("a reference reaches before its beginning"))?;
        let mut bytes = [0; 64];
        let distinct = offset.min(length as u64) as usize;
        let in_file = self.start.saturating_sub(from).min(distinct as u64) as usize;
        self.file.read_exact_at(&mut bytes[..in_file], from).map_err(Fault::Io)?;
        let held = (from + in_file as u64).saturating_sub(self.start) as usize;
        bytes[in_file..distinct].copy_from_slice(&self.held[held..held + distinct - in_file]);
        for at in distinct..length {
            bytes[at] = bytes[at - distinct];
        }
        self.put(&bytes[..length])
    }

    fn flush(&mut self) -> Result<(), Fault> {
        let mut file = self.file;
        file.write_all(&self.held[self.written..]).map_err(Fault::Io)?;
        self.written = self.held.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// An element as it stands in a block; references reach as far back as their number says, up to the beginning.
    #[derive(Clone, Debug)]
    enum Element {
        Run(Vec<u8>),
        Near(usize, usize),
        Far(usize, usize),
    }

    fn element() -> impl Strategy<Value = Element> {
        prop_oneof![
            vec(any::<u8>(), 1..90).prop_map(Element::Run),
            (1..9000usize, 1..8u8).prop_map(|(bytes, byte)| {
                Element::Run((0..bytes).map(|i| (i as u8).wrapping_mul(byte)).collect())
            }),
            (0..2048usize, 4..12usize).prop_map(|(offset, length)| Element::Near(offset, length)),
            (0..2_000_000usize, 1..65usize).prop_map(|(offset, length)| Element::Far(offset, length)),
        ]
    }

    fn block(elements: &[Element]) -> Vec<u8> {
        let (mut body, mut length) = (Vec::new(), 0);
        for element in elements {
            match element {
                Element::Run(bytes) => {
                    let high = bytes.len() as u32 - 1;
                    match high {
                        0..60 => body.push((high as u8) << 2),
                        60..256 => body.extend([60 << 2, high as u8]),
                        _ => {
                            body.push(61 << 2);
                            body.extend(&high.to_le_bytes()[..2]);
                        }
                    }
                    body.extend(bytes);
                    length += bytes.len();
                }
                Element::Near(..) | Element::Far(..) if length == 0 => {}
                Element::Near(offset, bytes) => {
                    let offset = 1 + offset % length.min(2047);
                    body.extend([((offset >> 8) << 5 | (bytes - 4) << 2 | 1) as u8, offset as u8]);
                    length += bytes;
                }
                Element::Far(offset, bytes) => {
                    let offset = 1 + offset % length;
                    body.push((((bytes - 1) << 2) | 3) as u8);
                    body.extend((offset as u32).to_le_bytes());
                    length += bytes;
                }
            }
        }
        let mut whole = Vec::new();
        prost::encode_length_delimiter(length, &mut whole).unwrap();
        whole.extend(body);
        whole
    }

    fn by_elements(stored: Vec<u8>) -> Result<Vec<u8>, Fault> {
        let length = declared(&stored, u64::MAX)?;
        let spool = std::env::temp_dir();
        let mut bytes = decompress_into_file(Bytes::Memory(stored), length, &spool)?;
        Ok(bytes.show(0, length as usize)?.to_vec())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn element_by_element_comes_to_what_the_crate_comes_to(
            elements in vec(element(), 0..400),
            changes in vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        ) {
            let mut stored = block(&elements);
            for (at, byte) in changes {
                let at = at.index(stored.len());
                stored[at] = byte;
            }
            // A changed length shall not cost the test its memory.
            prop_assume!(declared(&stored, 1 << 20).is_ok());
            match snap::raw::Decoder::new().decompress_vec(&stored) {
                Ok(expected) => prop_assert!(by_elements(stored).unwrap() == expected),
                Err(_) => prop_assert!(by_elements(stored).is_err()),
            }
        }
    }

    #[test]
    fn what_an_encoder_made_of_a_megabyte_is_read_in_either_way() {
        let bytes: Vec<u8> = (0..1u32 << 18).flat_map(|i| (i.wrapping_mul(i) >> 9).to_le_bytes()).collect();
        let stored = snap::raw::Encoder::new().compress_vec(&bytes).unwrap();
        assert!(by_elements(stored.clone()).unwrap() == bytes);
        let mut whole = decompress(Bytes::Memory(stored), &std::env::temp_dir()).unwrap();
        assert!(whole.show(0, bytes.len()).unwrap() == bytes);
    }

    #[test]
    fn a_block_that_claims_more_than_its_bytes_can_hold_is_refused_before_room_is_made() {
        let refusal = |stored: &[u8]| match decompress(Bytes::Memory(stored.to_vec()), Path::new("/nowhere"))
        {
            Err(Fault::Corrupt(what)) => what.to_string(),
            _ => String::new(),
        };
        // 3 stored bytes hold 64 at most.
        assert!(refusal(&[65, 0, 0]).contains("65 bytes decompressed; 3 stored bytes hold at most 64"));
        assert!(refusal(b"\xff\xff\xff\xff\x0f").contains("4294967295 bytes decompressed"));
        assert!(refusal(b"\xff\xff\xff\xff\x1f").contains("cannot be decompressed"));
        assert!(refusal(b"").contains("cannot be decompressed"));
    }
}
