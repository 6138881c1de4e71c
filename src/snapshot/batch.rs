//! Visible rows on their way out of this room: copied once into a reused buffer, so that reading can go on while
//! somebody else works on them. Knows neither where they came from nor what they mean.

use super::checkpoint::Checkpoint;
use super::encryption::sealed::{self, Sealed};
use super::encryption::{ASSOCIATED_BYTES, Envelope, Keyring, Opening};
use super::error::{Fault, readable};
use super::limits::{BATCH_BYTES, BATCH_ROWS};
use super::namespace::Class;
use super::versions::{Verdict, split_raw_key};

/// Rows read, by class and verdict.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowCounts([[u64; Verdict::ALL.len()]; Class::ALL.len()]);

impl RowCounts {
    /// Counts one row. Operational rows have no versions; they count as visible.
    #[inline]
    pub fn add(&mut self, class: Class, verdict: Verdict) {
        self.0[class as usize][verdict as usize] += 1;
    }

    /// The rows of one class under one verdict.
    pub fn get(&self, class: Class, verdict: Verdict) -> u64 {
        self.0[class as usize][verdict as usize]
    }

    /// All rows of one class.
    pub fn of_class(&self, class: Class) -> u64 {
        self.0[class as usize].iter().sum()
    }

    /// All rows.
    pub fn total(&self) -> u64 {
        self.0.iter().flatten().sum()
    }

    /// Sets the rows of one class under one verdict.
    pub fn set(&mut self, class: Class, verdict: Verdict, rows: u64) {
        self.0[class as usize][verdict as usize] = rows;
    }

    /// Every count that is not zero.
    pub fn iter(&self) -> impl Iterator<Item = (Class, Verdict, u64)> + '_ {
        Class::ALL
            .into_iter()
            .flat_map(|class| Verdict::ALL.into_iter().map(move |verdict| (class, verdict)))
            .map(|(class, verdict)| (class, verdict, self.get(class, verdict)))
            .filter(|&(_, _, rows)| rows > 0)
    }
}

/// Where the bytes of a payload too long to be copied lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the snapshot file, at this offset.
    File {
        /// Offset of the payload's first byte, in bytes from the start of the file.
        offset: u64,
    },
    /// In the snapshot file, encrypted.
    Sealed {
        /// Offset of the ciphertext's first byte, in bytes from the start of the file. Its tag follows it.
        offset: u64,
        /// Key and nonce.
        envelope: Envelope,
    },
    /// In the pieces that came before the row under this number ([`Batch::piece`]). Pieces under a number that no
    /// row names belong to a version that a newer one replaced.
    Pieces {
        /// The number of the payload, unique in its source.
        number: u64,
    },
}

/// A payload too long to be copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Large {
    /// Where the whole payload is.
    pub place: Place,
    /// Its length in bytes.
    pub length: u64,
}

/// The payload of a visible row. It is handed around by value, row after row: what only large ones have stands elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload<'a> {
    /// All of it.
    Inline(&'a [u8]),
    /// Its first bytes, and where the whole is.
    Large {
        /// The first [`super::limits::LARGE_HEAD_BYTES`] bytes.
        head: &'a [u8],
        /// The whole.
        large: &'a Large,
    },
}

impl<'a> Payload<'a> {
    /// The first bytes: all of an inline payload.
    pub fn head(&self) -> &'a [u8] {
        match *self {
            Self::Inline(bytes) => bytes,
            Self::Large { head, .. } => head,
        }
    }

    /// Length in bytes.
    pub fn len(&self) -> u64 {
        match *self {
            Self::Inline(bytes) => bytes.len() as u64,
            Self::Large { large, .. } => large.length,
        }
    }

    /// Has it no bytes?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The payload without its first `n` bytes, which must not exceed the head.
    #[must_use]
    pub fn skip(self, n: usize) -> Skipped<'a> {
        Skipped { payload: self, skipped: n }
    }
}

/// A payload of which the first bytes are an envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skipped<'a> {
    /// The whole payload.
    pub payload: Payload<'a>,
    /// How many bytes of it are the envelope.
    pub skipped: usize,
}

/// A visible row, or any version with a value of a node-local key ([`is_node_local`](super::is_node_local)).
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// Who owns it.
    pub class: Class,
    /// The key without its timestamp.
    pub user_key: &'a [u8],
    /// The key as stored.
    pub raw_key: &'a [u8],
    /// Commit timestamp of this version (HLC).
    pub commit_ts: u64,
    /// What the key's owner stored under it.
    pub payload: Payload<'a>,
    /// Offset of the payload in the file, in bytes, if it can be read again there as it is.
    pub payload_at: Option<u64>,
    /// The value as stored, or as it would have been in clear: version header and payload, cut after the head if the
    /// payload is large.
    pub raw_value: &'a [u8],
    /// Offset of the row in the file, in bytes.
    pub offset: u64,
}

/// Part of a large payload of a source that cannot be read twice.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'a> {
    /// The number of the payload it belongs to.
    pub number: u64,
    /// Its bytes; pieces of one payload come in order.
    pub bytes: &'a [u8],
}

/// A bounded number of visible rows, or a piece of a large payload, and how far the file has been read. It may be
/// empty, where no version is visible for long.
#[derive(Default)]
pub struct Batch {
    bytes: Vec<u8>,
    rows: Vec<Span>,
    larges: Vec<Large>,
    piece: Option<u64>,
    sealed: Vec<SealedSpan>,
    /// Offset up to which the file has been read.
    pub offset: u64,
    /// From time to time: where reading can go on once this batch and those before it are taken care of.
    pub checkpoint: Option<Box<Checkpoint>>,
}

struct Span {
    class: Class,
    shape: Shape,
    start: u32,
    key: u32,
    value: u32,
    /// Which of the large payloads.
    large: Option<u32>,
    stand: Stand,
}

/// A version in the buffer whose payload is still encrypted, as [`Sealed::lay_out`] has it: of a row, or of a version that is
/// there to be opened and for nothing else.
struct SealedSpan {
    start: u32,
    end: u32,
    key: u32,
    envelope: Envelope,
    offset: u64,
}

/// What of a stored key and value is not user key and payload.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    /// Bytes of the raw key that are the timestamp.
    pub suffix: u8,
    /// Bytes of the version header before the payload.
    pub header: u8,
}

/// Where a row stands, and since when.
#[derive(Clone, Copy)]
pub(super) struct Stand {
    /// Offset of the row in the file.
    pub offset: u64,
    /// Commit timestamp (HLC).
    pub commit_ts: u64,
    /// Offset of the payload, if it can be read again there as it is.
    pub payload_at: Option<u64>,
}

impl Batch {
    /// The rows, in the order of the file.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.rows.iter().map(|span| {
            let (raw_key, rest) = self.bytes[span.start as usize..].split_at(span.key as usize);
            let raw_value = &rest[..span.value as usize];
            let head = &raw_value[usize::from(span.shape.header)..];
            Row {
                class: span.class,
                user_key: &raw_key[..raw_key.len() - usize::from(span.shape.suffix)],
                raw_key,
                commit_ts: span.stand.commit_ts,
                payload_at: span.stand.payload_at,
                payload: match span.large {
                    None => Payload::Inline(head),
                    Some(number) => Payload::Large { head, large: &self.larges[number as usize] },
                },
                raw_value,
                offset: span.stand.offset,
            }
        })
    }

    /// A piece of a large payload that precedes the rows.
    pub fn piece(&self) -> Option<Piece<'_>> {
        self.piece.map(|number| Piece { number, bytes: &self.bytes })
    }

    pub(super) fn clear(&mut self) {
        // A row of a 16 MiB key must not leave every reused buffer that large.
        if self.bytes.capacity() > 2 * BATCH_BYTES {
            self.bytes = Vec::with_capacity(BATCH_BYTES);
        }
        self.bytes.clear();
        self.rows.clear();
        self.larges.clear();
        self.piece = None;
        self.sealed.clear();
        self.checkpoint = None;
    }

    /// Keeps nothing but what is still to be opened.
    pub(super) fn forget_rows(&mut self) {
        self.rows.clear();
        self.larges.clear();
        self.checkpoint = None;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.piece.is_none() && self.sealed.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.bytes.len() >= BATCH_BYTES || self.rows.len().max(self.sealed.len()) >= BATCH_ROWS
    }

    /// Copies a row. Key and value are as stored, the value cut after the head if the payload is `large`.
    #[inline]
    pub(super) fn push(
        &mut self,
        class: Class,
        raw_key: &[u8],
        raw_value: &[u8],
        shape: Shape,
        large: Option<Large>,
        stand: Stand,
    ) {
        let start = self.bytes.len() as u32;
        self.bytes.extend_from_slice(raw_key);
        self.bytes.extend_from_slice(raw_value);
        let large = large.map(|large| {
            self.larges.push(large);
            (self.larges.len() - 1) as u32
        });
        let (key, value) = (raw_key.len() as u32, raw_value.len() as u32);
        self.rows.push(Span { class, shape, start, key, value, large, stand });
    }

    /// Copies a version whose payload is still encrypted: a row if it is of a class, otherwise only to be opened.
    #[inline]
    pub(super) fn push_sealed(
        &mut self,
        class: Option<Class>,
        raw_key: &[u8],
        sealed: &Sealed<'_>,
        shape: Shape,
        stand: Stand,
    ) {
        let start = self.bytes.len();
        sealed.lay_out(raw_key, &mut self.bytes);
        let key = raw_key.len() as u32;
        if let Some(class) = class {
            let (start, value) = ((start + ASSOCIATED_BYTES) as u32, sealed.clear_bytes() as u32);
            self.rows.push(Span { class, shape, start, key, value, large: None, stand });
        }
        let (start, end) = (start as u32, self.bytes.len() as u32);
        self.sealed.push(SealedSpan { start, end, key, envelope: sealed.envelope, offset: stand.offset });
    }

    /// How many bytes it holds.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Opens every payload that is still encrypted.
    ///
    /// # Errors
    /// The first one that does not open: the offset of its row, and why.
    pub(super) fn open(&mut self, keys: &Keyring) -> Result<(), (u64, Fault)> {
        for SealedSpan { start, end, key, envelope, offset } in self.sealed.drain(..) {
            let laid_out = &mut self.bytes[start as usize..end as usize];
            if let Err(what) = sealed::open(keys, &envelope, key as usize, laid_out) {
                let (user_key, commit_ts) = split_raw_key(&laid_out[ASSOCIATED_BYTES..][..key as usize]);
                return Err((offset, Fault::Encrypted { key: readable(user_key), commit_ts, what }));
            }
        }
        Ok(())
    }

    /// Copies a piece of a large payload, as it is or opened. An envelope has more bytes than its value: there may be
    /// nothing to copy.
    pub(super) fn set_piece(&mut self, number: u64, bytes: &[u8], opening: Option<&mut Opening>) {
        self.bytes.extend_from_slice(bytes);
        if let Some(opening) = opening {
            opening.take(&mut self.bytes);
        }
        self.piece = (!self.bytes.is_empty()).then_some(number);
    }
}
