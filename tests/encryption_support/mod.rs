//! Reads files of encrypted rows in every way that there is: large values by reference or in pieces, on one thread or
//! with a reader that runs ahead.

#![allow(dead_code, reason = "every test binary uses its own part of this")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "this is test code, if not inside a test function")]

use std::collections::BTreeMap;
use std::io::Cursor;
use std::sync::Arc;
use std::time::Duration;

use ekvsnap::snapshot::encryption::{Keyring, OpenError};
use ekvsnap::snapshot::{Batch, Closing, Large, Next, Payload, Place, ReadAhead, Reader, Row, SnapshotError};
use ekvsnap_testkit::encryption::KeyFiles;

/// Raw key, value as in clear, and length of the payload of each row handed on.
pub type Seen = Vec<(Vec<u8>, Vec<u8>, u64)>;

/// Who reads, and so who opens short values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// One thread.
    Alone,
    /// A thread of its own, ahead of one that takes the batches at once.
    Ahead,
    /// The same, but nobody takes a batch before the reader has come as far as it can.
    FarAhead,
}

impl Way {
    pub const ALL: [Self; 3] = [Self::Alone, Self::Ahead, Self::FarAhead];

    /// Reads to the end, and shows every batch.
    pub fn read(self, mut reader: Reader, mut show: impl FnMut(&Batch)) -> Result<Closing, SnapshotError> {
        if self == Self::Alone {
            let mut batch = Batch::default();
            let end = loop {
                match reader.fill(&mut batch) {
                    Ok(true) => show(&batch),
                    Ok(false) => return Ok(reader.closing().unwrap().clone()),
                    Err(error) => break error,
                }
            };
            assert!(batch.rows().count() == 0 && reader.closing().is_none());
            assert!(!reader.fill(&mut batch).unwrap() && batch.rows().count() == 0);
            return Err(end);
        }
        let mut ahead = ReadAhead::start(reader);
        if self == Self::FarAhead {
            std::thread::sleep(Duration::from_millis(50));
        }
        loop {
            match ahead.next(Duration::from_secs(600))? {
                Next::Batch(batch) => {
                    show(&batch);
                    ahead.give_back(batch);
                }
                Next::End(closing) => return Ok(*closing),
                Next::NothingYet | Next::Died => panic!("the reader does not answer"),
            }
        }
    }
}

pub fn keyring(files: &KeyFiles) -> Arc<Keyring> {
    let folder = tempfile::tempdir().unwrap();
    files.write_to(folder.path()).unwrap();
    Arc::new(Keyring::read(&folder.path().join("keys.json"), &folder.path().join("kek.bin")).unwrap().0)
}

pub fn open(file: &[u8], keys: Option<&Arc<Keyring>>, rereadable: bool) -> Result<Reader, SnapshotError> {
    let source = Box::new(Cursor::new(file.to_vec()));
    let mut reader = Reader::open(source, "f.fsm".to_owned(), rereadable)?;
    if let Some(keys) = keys {
        reader.decrypt_with(Arc::clone(keys));
    }
    Ok(reader)
}

fn read_way(
    file: &[u8],
    keys: Option<&Arc<Keyring>>,
    rereadable: bool,
    way: Way,
) -> Result<(Seen, Closing), SnapshotError> {
    let mut seen = Vec::new();
    let mut pieces: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
    let end = way.read(open(file, keys, rereadable)?, |batch| {
        if let Some(piece) = batch.piece() {
            pieces.entry(piece.number).or_default().extend_from_slice(piece.bytes);
        }
        seen.extend(batch.rows().map(|row| {
            let value = match row.payload {
                Payload::Inline(_) => row.raw_value.to_vec(),
                Payload::Large { head, large } => {
                    let payload = payload(file, keys, large, &mut pieces);
                    assert!(payload.starts_with(head) && payload.len() as u64 == large.length);
                    with_header(&row, &payload)
                }
            };
            (row.raw_key.to_vec(), value, row.payload.len())
        }));
    })?;
    Ok((seen, end))
}

fn with_header(row: &Row<'_>, payload: &[u8]) -> Vec<u8> {
    [&row.raw_value[..9], payload].concat()
}

fn payload(
    file: &[u8],
    keys: Option<&Arc<Keyring>>,
    large: &Large,
    pieces: &mut BTreeMap<u64, Vec<u8>>,
) -> Vec<u8> {
    let in_file = |offset: u64| file[offset as usize..][..large.length as usize].to_vec();
    match large.place {
        Place::File { offset } => in_file(offset),
        Place::Pieces { number } => pieces.remove(&number).unwrap(),
        Place::Sealed { offset, envelope } => {
            let mut bytes = in_file(offset);
            let key = keys.unwrap().find(envelope.key_id).unwrap();
            key.key_stream(&envelope.nonce).apply(0, &mut bytes);
            bytes
        }
    }
}

/// Reads a file whose large values are referred to, once more in pieces, and once with a reader that runs ahead: all
/// see the same.
pub fn read(file: &[u8], keys: Option<&Arc<Keyring>>) -> Result<(Seen, Closing), SnapshotError> {
    let referred = read_way(file, keys, true, Way::Alone);
    for (rereadable, way) in [(false, Way::Alone), (true, Way::Ahead)] {
        match (&referred, &read_way(file, keys, rereadable, way)) {
            (Ok(a), Ok(b)) => assert_eq!(a.0, b.0, "{way:?}"),
            (Err(a), Err(b)) => assert_eq!(a.to_string(), b.to_string(), "{way:?}"),
            (a, b) => panic!("{:?} and {way:?} {:?}", a.as_ref().err(), b.as_ref().err()),
        }
    }
    referred
}

pub fn what(result: Result<(Seen, Closing), SnapshotError>) -> OpenError {
    match result {
        Err(SnapshotError::Encrypted(row)) => row.what,
        Err(other) => panic!("{other}"),
        Ok((seen, _)) => panic!("read: {seen:?}"),
    }
}

/// The file with its footer made to fit.
pub fn mended(mut file: Vec<u8>) -> Vec<u8> {
    let body = file.len() - 4;
    let crc = crc32c::crc32c(&file[..body]);
    file[body..].copy_from_slice(&crc.to_be_bytes());
    file
}
