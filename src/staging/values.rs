//! Values too long to be copied with their rows: where they lie, and reading them again in constant memory.
//! Bytes of a snapshot file stay there; those of standard input are kept in pieces. Opening encrypted ones is left to
//! `envelopes`. Knows no family.

use std::cell::{Cell as Slot, RefCell};
use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension};
use sha2::{Digest, Sha256};

use super::StagingError;
use super::envelopes::{Envelopes, SealedFile};
use crate::snapshot::encryption::Keyring;
use crate::snapshot::{Class, Payload, Piece, Place, Row};

/// Bytes of the beginning and of the end of a file by which it is recognised.
const FINGERPRINT_BYTES: u64 = 64 << 10;

/// A stretch of bytes outside the tables of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The source it came with.
    pub source: i64,
    /// The payload kept in pieces, or `None`: the snapshot file.
    pub payload: Option<i64>,
    /// First byte, in the payload or in the file.
    pub start: u64,
    /// Number of bytes.
    pub length: u64,
    /// Where in the file the encrypted value begins that this is, or is part of; `None` if it is in clear.
    pub sealed: Option<u64>,
}

impl Extent {
    /// The bytes of a large payload.
    pub fn of(source: i64, place: Place, length: u64) -> Self {
        let (payload, start, sealed) = match place {
            Place::File { offset } => (None, offset, None),
            Place::Sealed { offset, .. } => (None, offset, Some(offset)),
            Place::Pieces { number } => (Some(number.cast_signed()), 0, None),
        };
        Self { source, payload, start, length, sealed }
    }

    /// Part of it: `length` bytes from `start` on, as far as it reaches.
    #[must_use]
    pub fn slice(self, start: u64, length: u64) -> Self {
        let skipped = start.min(self.length);
        Self { start: self.start + skipped, length: length.min(self.length - skipped), ..self }
    }
}

/// A snapshot of which this process has just opened every encrypted value, comparing its tag, in this open file.
pub struct Authentic {
    /// The source it is.
    pub source: i64,
    /// What it was read from.
    pub file: File,
}

/// The values outside the tables, of one staging database.
pub struct LargeValues<'c> {
    connection: &'c Connection,
    files: RefCell<HashMap<i64, Arc<File>>>,
    envelopes: Envelopes<'c>,
    /// The payload whose pieces are coming in, and how many of its bytes have come.
    incoming: Slot<(i64, u64, u64)>,
}

impl<'c> LargeValues<'c> {
    /// The large values of a database, and the keys for those that are encrypted.
    pub fn new(connection: &'c Connection, keys: Option<Arc<Keyring>>) -> Self {
        let envelopes = Envelopes::new(connection, keys);
        Self { connection, files: RefCell::default(), envelopes, incoming: Slot::new((-1, 0, 0)) }
    }

    /// Keeps what it takes to open the large value of a row again, if that is encrypted.
    ///
    /// # Errors
    /// Whatever SQLite says.
    #[inline]
    pub fn keep_envelope(&self, source: i64, row: &Row<'_>) -> Result<(), StagingError> {
        match row.payload {
            Payload::Inline(_) => Ok(()),
            Payload::Large { large, .. } => self.envelopes.keep(source, row, large),
        }
    }

    /// Are the keys there that the encrypted values of these classes need?
    ///
    /// # Errors
    /// A value that they do not open; whatever SQLite says.
    pub fn check_keys(&self, classes: &[Class]) -> Result<(), StagingError> {
        classes.iter().try_for_each(|class| self.envelopes.check_keys(*class))
    }

    /// Keeps a piece of a payload whose source cannot be read twice.
    ///
    /// # Errors
    /// Whatever SQLite says.
    pub fn keep(&self, source: i64, piece: Piece<'_>) -> Result<(), StagingError> {
        let start = match self.incoming.get() {
            (of, number, start) if (of, number) == (source, piece.number) => start,
            _ => 0,
        };
        self.incoming.set((source, piece.number, start + piece.bytes.len() as u64));
        self.connection
            .prepare_cached(
                "INSERT INTO large_value_piece (source, payload, start, bytes) VALUES (?, ?, ?, ?)",
            )?
            .execute((source, piece.number.cast_signed(), start.cast_signed(), piece.bytes))?;
        Ok(())
    }

    /// Gives an extent the number by which tables refer to it.
    ///
    /// # Errors
    /// Whatever SQLite says.
    pub fn save(&self, extent: Extent) -> Result<i64, StagingError> {
        let Extent { source, payload, start, length, sealed } = extent;
        self.connection
            .prepare_cached(
                "INSERT INTO large_value (source, payload, start, length, envelope) VALUES (?, ?, ?, ?, ?)",
            )?
            .execute((
                source,
                payload,
                start.cast_signed(),
                length.cast_signed(),
                sealed.map(u64::cast_signed),
            ))?;
        Ok(self.connection.last_insert_rowid())
    }

    /// The extent with this number.
    ///
    /// # Errors
    /// Whatever SQLite says; there is none.
    pub fn find(&self, id: i64) -> Result<Extent, StagingError> {
        Ok(self
            .connection
            .prepare_cached("SELECT source, payload, start, length, envelope FROM large_value WHERE id = ?")?
            .query_row([id], |row| {
                Ok(Extent {
                    source: row.get(0)?,
                    payload: row.get(1)?,
                    start: row.get::<_, i64>(2)?.cast_unsigned(),
                    length: row.get::<_, i64>(3)?.cast_unsigned(),
                    sealed: row.get::<_, Option<i64>>(4)?.map(i64::cast_unsigned),
                })
            })?)
    }

    /// Opens an extent for reading. The tag of an encrypted value is compared before the first byte of it is read.
    ///
    /// # Errors
    /// The snapshot is gone or has changed since it was loaded; a key is missing; the tag does not match.
    pub fn open(&self, extent: Extent) -> Result<LargeReader<'c>, StagingError> {
        let bytes = match extent.payload {
            None => match extent.sealed {
                None => Bytes::File(self.file(extent.source)?),
                Some(at) => {
                    let file = self.file(extent.source)?;
                    Bytes::Sealed(Box::new(self.envelopes.open(file, extent.source, at)?))
                }
            },
            Some(payload) => {
                Bytes::Pieces { payload, connection: self.connection, piece: Vec::new(), start: 0 }
            }
        };
        Ok(LargeReader { extent, position: 0, bytes })
    }

    /// The snapshot that an extent lies in as it is; `None` if it is kept in pieces, or encrypted there.
    ///
    /// # Errors
    /// The snapshot is gone or has changed since it was loaded.
    pub fn snapshot(&self, extent: Extent) -> Result<Option<Arc<File>>, StagingError> {
        let is_there = extent.payload.is_none() && extent.sealed.is_none();
        if is_there { self.file(extent.source).map(Some) } else { Ok(None) }
    }

    /// The snapshot that was loaded as this source.
    ///
    /// # Errors
    /// It is gone or has changed since it was loaded.
    pub fn file(&self, source: i64) -> Result<Arc<File>, StagingError> {
        if let Some(file) = self.files.borrow().get(&source) {
            return Ok(Arc::clone(file));
        }
        self.recognise(source, |path| File::open(path))
    }

    /// Reads the large values of a snapshot in the file that is open already, and compares no tag again: each would only
    /// be what it was a moment ago. A file that has changed meanwhile is left to be found out.
    ///
    /// # Errors
    /// Whatever SQLite says.
    pub fn trust(&self, authentic: Authentic) -> Result<(), StagingError> {
        let Authentic { source, file } = authentic;
        match self.recognise(source, |_| Ok(file)) {
            Ok(_) => self.envelopes.trust(source),
            Err(StagingError::SourceGone { .. } | StagingError::SourceChanged(_)) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Opens a file that has to be the one that was loaded as this source.
    fn recognise(
        &self,
        source: i64,
        open: impl FnOnce(&Path) -> io::Result<File>,
    ) -> Result<Arc<File>, StagingError> {
        type Known = (Vec<u8>, Option<i64>, Option<i64>, Option<Vec<u8>>);
        let (path, bytes, modified_ns, fingerprint): Known = self
            .connection
            .prepare_cached("SELECT absolute_path, bytes, modified_ns, fingerprint FROM source WHERE id = ?")?
            .query_row([source], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
        let path = PathBuf::from(OsString::from_vec(path));
        let gone = |error| StagingError::SourceGone { path: path.clone(), error };
        let file = open(&path).map_err(gone)?;
        let metadata = file.metadata().map_err(gone)?;
        let is_same = bytes.is_none_or(|bytes| bytes.cast_unsigned() == metadata.len())
            && modified_ns.is_none_or(|modified| modified == self::modified_ns(&metadata))
            && match fingerprint {
                Some(known) => known == self::fingerprint(&file, metadata.len()).map_err(gone)?,
                None => true,
            };
        if !is_same {
            return Err(StagingError::SourceChanged(path));
        }
        let file = Arc::new(file);
        self.files.borrow_mut().insert(source, Arc::clone(&file));
        Ok(file)
    }
}

/// SHA-256 of the first and the last 64 KiB of a file of this length, by which it is recognised.
///
/// # Errors
/// The file cannot be read.
pub fn fingerprint(file: &File, bytes: u64) -> io::Result<[u8; 32]> {
    let mut hash = Sha256::new();
    let mut piece = vec![0; FINGERPRINT_BYTES.min(bytes) as usize];
    for start in [0, bytes.saturating_sub(FINGERPRINT_BYTES)] {
        file.read_exact_at(&mut piece, start)?;
        hash.update(&piece);
    }
    Ok(hash.finalize().into())
}

/// Modification time in Unix nanoseconds.
pub fn modified_ns(metadata: &Metadata) -> i64 {
    metadata.mtime().saturating_mul(1_000_000_000).saturating_add(metadata.mtime_nsec())
}

/// Reads an extent.
pub struct LargeReader<'c> {
    extent: Extent,
    position: u64,
    bytes: Bytes<'c>,
}

enum Bytes<'c> {
    File(Arc<File>),
    Sealed(Box<SealedFile>),
    Pieces { payload: i64, connection: &'c Connection, piece: Vec<u8>, start: u64 },
}

impl Read for LargeReader<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let left = self.extent.length.saturating_sub(self.position);
        let wanted = out.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let at = self.extent.start + self.position;
        let count = match &mut self.bytes {
            Bytes::File(file) => file.read_at(&mut out[..wanted], at)?,
            Bytes::Sealed(file) => file.read_at(&mut out[..wanted], at)?,
            Bytes::Pieces { payload, connection, piece, start } => {
                if at < *start || at >= *start + piece.len() as u64 {
                    (*start, *piece) = piece_at(connection, self.extent.source, *payload, at)?;
                }
                let held = piece.get((at - *start) as usize..).unwrap_or_default();
                let count = wanted.min(held.len());
                out[..count].copy_from_slice(&held[..count]);
                count
            }
        };
        if count == 0 && wanted > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for LargeReader<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
            SeekFrom::End(offset) => self.extent.length.checked_add_signed(offset),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

fn piece_at(connection: &Connection, source: i64, payload: i64, at: u64) -> io::Result<(u64, Vec<u8>)> {
    connection
        .prepare_cached(
            "SELECT start, bytes FROM large_value_piece WHERE source = ? AND payload = ? AND start <= ? \
             ORDER BY start DESC LIMIT 1",
        )
        .and_then(|mut query| {
            query
                .query_row((source, payload, at.cast_signed()), |row| {
                    Ok((row.get::<_, i64>(0)?.cast_unsigned(), row.get(1)?))
                })
                .optional()
        })
        .map_err(io::Error::other)?
        .ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}
