//! Encrypted values that stay in the snapshot: what it takes to open them again beside the key, which is kept nowhere,
//! and opening them (`docs/format/encryption.md` section 6).
//!
//! A load compares the tag of every value while the file streams past. What is read again later comes from a file that
//! may have changed since, whatever its fingerprint says: the tag is compared again, over the whole value, each time one
//! is opened, before any of it is decrypted. Only the few values opened last are not looked at once more, and those of a
//! snapshot that the same process has loaded from the same open file ([`Authentic`](super::Authentic)).

use std::cell::RefCell;
use std::collections::{HashSet, VecDeque};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use rusqlite::{Connection, Row as SqlRow};

use super::StagingError;
use crate::snapshot::encryption::{
    AssociatedData, DataKey, ENCRYPTED, EncryptedRow, Envelope, Held, KeyStream, Keyring, OpenError,
    OpenedValue, TAG_BYTES,
};
use crate::snapshot::{Class, Hlc, Large, Place, Readable, Row, split_raw_key};

/// Values that need not be looked at again: those that are read in turns.
const REMEMBERED: usize = 64;

/// A value is looked at in pieces of this many bytes.
const PIECE_BYTES: usize = 64 << 10;

/// What [`Stored::of`] reads.
const COLUMNS: &str = "key_id, nonce, associated_data, length, byte_offset, \
                       (SELECT path FROM source WHERE id = envelope.source)";

/// The envelopes of one staging database, and the keys of the run.
pub(super) struct Envelopes<'c> {
    connection: &'c Connection,
    keys: Option<Arc<Keyring>>,
    /// Sources of which no value needs to be looked at.
    trusted: RefCell<HashSet<i64>>,
    /// Source and place of the values that were looked at last.
    authentic: RefCell<VecDeque<(i64, u64, Envelope)>>,
}

impl<'c> Envelopes<'c> {
    pub fn new(connection: &'c Connection, keys: Option<Arc<Keyring>>) -> Self {
        Self { connection, keys, trusted: RefCell::default(), authentic: RefCell::default() }
    }

    /// Compares no tag of this source again.
    pub fn trust(&self, source: i64) {
        self.trusted.borrow_mut().insert(source);
    }

    /// Keeps the envelope of a row whose value stays in the file.
    pub fn keep(&self, source: i64, row: &Row<'_>, large: &Large) -> Result<(), StagingError> {
        let &Large { place: Place::Sealed { offset, envelope }, length } = large else { return Ok(()) };
        let Some(&(mut header)) = row.raw_value.first_chunk() else { return Ok(()) };
        // The row is as if it had been stored in clear; the tag covers what it was.
        header[0] |= ENCRYPTED;
        let data = envelope.associated_data(&header, row.raw_key).parts().concat();
        self.connection
            .prepare_cached(
                "INSERT INTO envelope (source, start, length, class, key_id, nonce, associated_data, byte_offset) \
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute((
                source,
                offset.cast_signed(),
                length.cast_signed(),
                row.class.name(),
                envelope.key_id,
                envelope.nonce,
                data,
                row.offset.cast_signed(),
            ))?;
        Ok(())
    }

    /// Are the keys there that the values of a class need?
    pub fn check_keys(&self, class: Class) -> Result<(), StagingError> {
        // One value for each key.
        let sql = format!("SELECT {COLUMNS} FROM envelope WHERE class = ? GROUP BY key_id");
        let mut query = self.connection.prepare_cached(&sql)?;
        let mut rows = query.query([class.name()])?;
        while let Some(row) = rows.next()? {
            let stored = Stored::of(row)?;
            self.find(stored.envelope.key_id, |_| ()).map_err(|what| stored.error(what))?;
        }
        Ok(())
    }

    /// Opens the value at `start` of a source, which `file` is.
    pub fn open(&self, file: Arc<File>, source: i64, start: u64) -> Result<SealedFile, StagingError> {
        let known = self
            .authentic
            .borrow()
            .iter()
            .find(|(of, at, _)| (*of, *at) == (source, start))
            .map(|(.., envelope)| *envelope);
        if let Some(Envelope { key_id, nonce }) = known
            && let Ok(stream) = self.find(key_id, |key| key.key_stream(&nonce))
        {
            return Ok(SealedFile { start, value: Value::Lies(file, Box::new(stream)) });
        }
        let sql = format!("SELECT {COLUMNS} FROM envelope WHERE source = ? AND start = ?");
        let mut query = self.connection.prepare_cached(&sql)?;
        let mut rows = query.query((source, start.cast_signed()))?;
        let row = rows.next()?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
        let stored = Stored::of(row)?;
        let authentic = if self.trusted.borrow().contains(&source) {
            OpenedValue::Streamed
        } else {
            self.authenticate(&stored, &file, start)?
        };
        let Envelope { key_id, nonce } = stored.envelope;
        let value = match authentic {
            OpenedValue::Held(value) => Value::Held(value),
            OpenedValue::Streamed => {
                let stream = self.find(key_id, |key| key.key_stream(&nonce));
                Value::Lies(file, Box::new(stream.map_err(|what| stored.error(what))?))
            }
        };
        let mut authentic = self.authentic.borrow_mut();
        authentic.truncate(REMEMBERED - 1);
        authentic.push_front((source, start, stored.envelope));
        Ok(SealedFile { start, value })
    }

    /// Compares the tag of a whole value.
    fn authenticate(
        &self,
        stored: &Stored<'_>,
        file: &File,
        start: u64,
    ) -> Result<OpenedValue, StagingError> {
        let Stored { envelope, data, length, .. } = stored;
        let mut authenticator = self
            .find(envelope.key_id, |key| key.authenticator(&envelope.nonce, data, *length))
            .map_err(|what| stored.error(what))?;
        let mut piece = vec![0; PIECE_BYTES];
        let mut at = 0;
        while at < *length {
            let step = (length - at).min(PIECE_BYTES as u64);
            let piece = &mut piece[..step as usize];
            file.read_exact_at(piece, start + at).map_err(StagingError::LargeValue)?;
            authenticator.update(piece);
            at += step;
        }
        let mut tag = [0; TAG_BYTES];
        file.read_exact_at(&mut tag, start + length).map_err(StagingError::LargeValue)?;
        authenticator.finish(&tag).ok_or_else(|| stored.error(OpenError::Tampered(envelope.key_id)))
    }

    fn find<T>(&self, key_id: u32, with: impl FnOnce(&DataKey) -> T) -> Result<T, OpenError> {
        let keys = self.keys.as_deref().ok_or(OpenError::NoKeys(key_id))?;
        keys.find(key_id).map(with)
    }
}

/// A row of the table.
struct Stored<'r> {
    envelope: Envelope,
    data: AssociatedData<'r>,
    length: u64,
    offset: u64,
    path: String,
}

impl<'r> Stored<'r> {
    fn of(row: &'r SqlRow<'_>) -> Result<Self, rusqlite::Error> {
        let data = row.get_ref(2)?.as_blob()?;
        Ok(Self {
            envelope: Envelope { key_id: row.get(0)?, nonce: row.get(1)? },
            data: AssociatedData::from_bytes(data).ok_or(rusqlite::Error::QueryReturnedNoRows)?,
            length: row.get::<_, i64>(3)?.cast_unsigned(),
            offset: row.get::<_, i64>(4)?.cast_unsigned(),
            path: row.get(5)?,
        })
    }

    fn error(&self, what: OpenError) -> StagingError {
        let (key, commit_ts) = split_raw_key(self.data.raw_key());
        StagingError::Encrypted(Box::new(EncryptedRow {
            name: self.path.clone(),
            offset: self.offset,
            key: Readable(key).to_string(),
            commit_ts: Hlc(commit_ts),
            what,
            footer: None,
        }))
    }
}

/// A stretch of a file that is an encrypted value whose tag has matched.
pub(super) struct SealedFile {
    start: u64,
    value: Value,
}

enum Value {
    /// In clear, as it was when its tag was compared.
    Held(Held),
    /// In the file as it was.
    Lies(Arc<File>, Box<KeyStream>),
}

impl SealedFile {
    /// Reads what stands at `at` in the file, within the value, in clear.
    pub fn read_at(&mut self, out: &mut [u8], at: u64) -> io::Result<usize> {
        let position = at - self.start;
        match &mut self.value {
            Value::Held(value) => {
                let left = usize::try_from(position).ok().and_then(|position| value.get(position..));
                let left = left.unwrap_or_default();
                let count = out.len().min(left.len());
                out[..count].copy_from_slice(&left[..count]);
                Ok(count)
            }
            Value::Lies(file, stream) => {
                let count = file.read_at(out, at)?;
                stream.apply(position, &mut out[..count]);
                Ok(count)
            }
        }
    }
}
