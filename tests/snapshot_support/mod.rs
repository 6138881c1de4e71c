//! Reads a file held in memory through the public API and keeps what came out, whole payloads included.
//! Holds the promises that every batch of every file has to keep.

#![allow(dead_code, reason = "every test binary uses its own part of this")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "this is test code, if not inside a test function")]

pub mod sst;

use std::collections::BTreeMap;
use std::io::{Cursor, Write};

use ekvsnap::snapshot::limits::{BATCH_BYTES, BATCH_ROWS, INLINE_PAYLOAD_BYTES, LARGE_HEAD_BYTES};
use ekvsnap::snapshot::{
    Batch, BodyFormat, Class, Closing, Corruption, Hlc, Large, Opening, Payload, Place, Reader,
    SnapshotError, Unsupported, Verdict,
};

/// Can the source be read again at an offset? The tables of a bundle are then read in a file, and spooled otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    Rereadable,
    InPieces,
}

pub const BOTH: [How; 2] = [How::Rereadable, How::InPieces];

/// A visible row with its whole payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenRow {
    pub class: Class,
    pub user_key: Vec<u8>,
    pub raw_key: Vec<u8>,
    pub raw_value: Vec<u8>,
    pub payload: Vec<u8>,
    pub large: bool,
    pub offset: u64,
    pub commit_ts: u64,
}

/// A file that was read to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub opening: Opening,
    pub rows: Vec<SeenRow>,
    pub closing: Closing,
    pub batches: usize,
}

impl Seen {
    /// The values by user key.
    pub fn values(&self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let values: BTreeMap<_, _> =
            self.rows.iter().map(|row| (row.user_key.clone(), row.payload.clone())).collect();
        assert_eq!(values.len(), self.rows.len(), "a user key came twice");
        values
    }

    /// How many rows got this verdict, operational rows aside.
    pub fn count(&self, verdict: Verdict) -> u64 {
        let classes = Class::ALL.into_iter().filter(|class| *class != Class::Operational);
        classes.map(|class| self.closing.counts.get(class, verdict)).sum()
    }
}

/// Reads a whole file, at `as_of` (HLC) if that is given.
pub fn read(file: &[u8], how: How, as_of: Option<u64>) -> Result<Seen, SnapshotError> {
    let source = Box::new(Cursor::new(file.to_vec()));
    let mut reader = Reader::open(source, "f.fsm".to_owned(), how == How::Rereadable)?;
    let is_bundle = reader.opening().body == BodyFormat::Sst;
    if is_bundle && how == How::Rereadable {
        reader.read_tables_in(on_disk(file))?;
    }
    if let Some(as_of) = as_of {
        reader.read_as_of(Hlc(as_of));
    }
    let (mut rows, mut batches, mut offset) = (Vec::new(), 0, 0);
    let mut pieces: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
    let mut batch = Batch::default();
    loop {
        let filled = reader.fill(&mut batch);
        let Ok(more) = filled else {
            assert_eq!(batch.rows().count(), 0, "a failed call hands rows on");
            assert!(batch.piece().is_none() && reader.closing().is_none());
            assert!(!reader.fill(&mut batch).unwrap(), "reading goes on after an error");
            return filled.map(|_| unreachable!());
        };
        if !more {
            break;
        }
        batches += 1;
        assert!(offset <= batch.offset && batch.offset <= file.len() as u64);
        offset = batch.offset;
        if let Some(piece) = batch.piece() {
            // What is compressed in the file cannot be read again there.
            assert!(how == How::InPieces || is_bundle);
            assert!(!piece.bytes.is_empty() && piece.bytes.len() <= BATCH_BYTES);
            assert_eq!(batch.rows().count(), 0, "a piece and rows in one batch");
            pieces.entry(piece.number).or_default().extend_from_slice(piece.bytes);
        }
        check_bounds(&batch);
        rows.extend(batch.rows().map(|row| {
            let mut whole = |length: u64, place| match place {
                Place::File { offset } => file[offset as usize..][..length as usize].to_vec(),
                Place::Sealed { .. } => panic!("an encrypted value, without keys"),
                // Removed, so that a second row under one number shows.
                Place::Pieces { number } => pieces.remove(&number).unwrap_or_default(),
            };
            let (payload, large) = match row.payload {
                Payload::Inline(bytes) => (bytes.to_vec(), false),
                Payload::Large { head, large: &Large { place, length } } => {
                    let payload = whole(length, place);
                    assert_eq!(payload.len() as u64, length, "not all pieces came before their row");
                    assert_eq!(head, &payload[..LARGE_HEAD_BYTES]);
                    (payload, true)
                }
            };
            assert_eq!(large, payload.len() > INLINE_PAYLOAD_BYTES);
            let is_compressed = is_bundle && row.payload_at.is_none();
            assert_eq!(row.payload_at.is_some(), how == How::Rereadable && !is_compressed);
            if let Some(at) = row.payload_at {
                assert_eq!(file[at as usize..][..payload.len()], payload);
            }
            assert_eq!(
                (row.payload.len(), row.payload.is_empty()),
                (payload.len() as u64, payload.is_empty())
            );
            assert!(row.raw_key.starts_with(row.user_key) && row.raw_value.ends_with(row.payload.head()));
            SeenRow {
                class: row.class,
                user_key: row.user_key.to_vec(),
                raw_key: row.raw_key.to_vec(),
                raw_value: row.raw_value.to_vec(),
                payload,
                large,
                offset: row.offset,
                commit_ts: row.commit_ts,
            }
        }));
    }
    let closing = reader.closing().unwrap().clone();
    assert_eq!(&closing.counts, reader.counts());
    assert_eq!(closing.bytes, file.len() as u64);
    assert!(!reader.fill(&mut batch).unwrap());
    Ok(Seen { opening: *reader.opening(), rows, closing, batches })
}

/// The bytes in an unnamed file.
pub fn on_disk(bytes: &[u8]) -> std::fs::File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file
}

/// No batch is longer than its limits and the row that reached them.
fn check_bounds(batch: &Batch) {
    let sizes: Vec<_> = batch.rows().map(|row| row.raw_key.len() + row.raw_value.len()).collect();
    assert!(sizes.len() <= BATCH_ROWS);
    let before_last: usize = sizes.iter().rev().skip(1).sum();
    assert!(before_last < BATCH_BYTES, "{before_last} bytes before the last row");
}

/// Reads a file that has to be read, and gives the same rows whether it can be read twice or not.
pub fn seen(file: &[u8], as_of: Option<u64>) -> Seen {
    let [reread, in_pieces] = BOTH.map(|how| read(file, how, as_of).unwrap());
    assert_eq!(reread.rows, in_pieces.rows);
    assert_eq!(reread.closing, in_pieces.closing);
    reread
}

/// The error of a file that has to be refused, the same whether it can be read twice or not.
pub fn refusal(file: &[u8], as_of: Option<u64>) -> SnapshotError {
    let [reread, in_pieces] = BOTH.map(|how| match read(file, how, as_of) {
        Ok(seen) => panic!("read to its end: {seen:?}"),
        Err(error) => error,
    });
    assert_eq!(reread.to_string(), in_pieces.to_string());
    assert!(reread.to_string().contains("f.fsm"), "an error names its file");
    reread
}

/// Offset and kind of a corruption.
pub fn corruption(file: &[u8]) -> (u64, Corruption) {
    match refusal(file, None) {
        SnapshotError::Corrupt { offset, what, .. } => (offset, what),
        other => panic!("not corrupt, but: {other}"),
    }
}

/// Offset and kind of what is not supported.
pub fn unsupported(file: &[u8]) -> (u64, Unsupported) {
    match refusal(file, None) {
        SnapshotError::Unsupported { offset, what, .. } => (offset, what),
        other => panic!("not unsupported, but: {other}"),
    }
}

/// Where the unfinished part of a truncated file begins, and where the file ends.
pub fn truncation(file: &[u8]) -> (u64, u64) {
    match refusal(file, None) {
        SnapshotError::Truncated { offset, end, .. } => (offset, end),
        other => panic!("not truncated, but: {other}"),
    }
}
