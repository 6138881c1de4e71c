//! The keys of a run: a sidecar opened with its key-encryption key. Answers which key opens a row, or why none does
//! (`docs/format/encryption.md` sections 6 and 7).

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::data_key::DataKey;
use super::kek::{Kek, KekError};
use super::open_error::{KeyIds, OpenError};
use super::sidecar::{Purpose, Sidecar, SidecarError};
use crate::snapshot::limits::MAX_SIDECAR_BYTES;

/// Why the keys of a run cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The operating system failed to open or read the sidecar.
    #[error("cannot read the sidecar {}", path.display())]
    SidecarIo {
        /// The sidecar as given.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// It is longer than any sidecar.
    #[error("the sidecar {} is longer than {MAX_SIDECAR_BYTES} bytes", .0.display())]
    SidecarLength(PathBuf),
    /// It is damaged, or newer.
    #[error("the sidecar {}: {what}", path.display())]
    Sidecar {
        /// The sidecar as given.
        path: PathBuf,
        /// What is wrong with it.
        what: SidecarError,
    },
    /// The key-encryption key cannot be read, or is none.
    #[error("the key-encryption key {}", path.display())]
    Kek {
        /// Its file as given.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        what: KekError,
    },
    /// None of the storage keys opens.
    #[error("wrong key-encryption key: {} opens none of the storage keys in the sidecar {}", kek.display(), sidecar.display())]
    WrongKek {
        /// The file of the key-encryption key as given.
        kek: PathBuf,
        /// The sidecar as given.
        sidecar: PathBuf,
    },
}

enum Entry {
    Open(Box<DataKey>),
    DoesNotOpen,
    Raft,
}

/// The keys of a sidecar. They are wiped when it is dropped.
pub struct Keyring {
    /// In the order of their ids.
    entries: Vec<(u32, Entry)>,
    raft_cutover_index: u64,
}

impl Keyring {
    /// Reads both files; the second part of the answer is the mode of the key-encryption key's file, if others than its
    /// owner have any right to it.
    ///
    /// # Errors
    /// Whatever keeps a storage key from being opened, unless others are.
    pub fn read(sidecar: &Path, kek: &Path) -> Result<(Self, Option<u32>), KeyFileError> {
        let json = read_sidecar(sidecar)?;
        let parsed =
            Sidecar::parse(&json).map_err(|what| KeyFileError::Sidecar { path: sidecar.to_owned(), what })?;
        let (key, mode) = Kek::read(kek).map_err(|what| KeyFileError::Kek { path: kek.to_owned(), what })?;
        let wrong = || KeyFileError::WrongKek { kek: kek.to_owned(), sidecar: sidecar.to_owned() };
        Ok((Self::open(&parsed, &key).ok_or_else(wrong)?, mode))
    }

    /// Opens the storage keys; `None` if there are some, and none opens.
    pub fn open(sidecar: &Sidecar, kek: &Kek) -> Option<Self> {
        let entry = |purpose, opened: Option<_>| match (purpose, opened) {
            (Purpose::Raft, _) => Entry::Raft,
            (Purpose::Storage, Some(key)) => Entry::Open(key),
            (Purpose::Storage, None) => Entry::DoesNotOpen,
        };
        let open = |wrapped| kek.unwrap(wrapped).map(|key| Box::new(DataKey::new(&key)));
        let entries = sidecar
            .keys
            .iter()
            .map(|(&id, key)| {
                (
                    id,
                    entry(
                        key.purpose,
                        (key.purpose == Purpose::Storage).then(|| open(&key.wrapped)).flatten(),
                    ),
                )
            })
            .collect();
        let this = Self { entries, raft_cutover_index: sidecar.raft_cutover_index };
        let any = |wanted: fn(&Entry) -> bool| this.entries.iter().any(|(_, entry)| wanted(entry));
        (any(|entry| matches!(entry, Entry::Open(_))) || !any(|entry| matches!(entry, Entry::DoesNotOpen)))
            .then_some(this)
    }

    /// The key under which a row is encrypted.
    ///
    /// # Errors
    /// Why there is none.
    #[inline]
    pub fn find(&self, key_id: u32) -> Result<&DataKey, OpenError> {
        match self.entry(key_id) {
            Some(Entry::Open(key)) => Ok(key),
            Some(Entry::DoesNotOpen) => Err(self.does_not_open(key_id)),
            Some(Entry::Raft) => Err(OpenError::RaftKey(key_id)),
            None => Err(self.unknown(key_id)),
        }
    }

    // Both list ids: apart, so that looking up a key that is there stays short.
    #[cold]
    fn does_not_open(&self, key_id: u32) -> OpenError {
        OpenError::DoesNotOpen { key_id, opened: self.opened() }
    }

    #[cold]
    fn unknown(&self, key_id: u32) -> OpenError {
        OpenError::UnknownKeyId { key_id, held: self.entries.iter().map(|(id, _)| *id).collect() }
    }

    /// Does the sidecar have a key of this id, for whatever purpose?
    pub fn lists(&self, key_id: u32) -> bool {
        self.entry(key_id).is_some()
    }

    #[inline]
    fn entry(&self, key_id: u32) -> Option<&Entry> {
        let at = self.entries.binary_search_by_key(&key_id, |(id, _)| *id).ok()?;
        Some(&self.entries[at].1)
    }

    /// Raft index of the Raft cutover, as far as the sidecar knows; 0 for none.
    pub fn raft_cutover_index(&self) -> u64 {
        self.raft_cutover_index
    }

    fn opened(&self) -> KeyIds {
        let open = |(id, entry): &(u32, Entry)| matches!(entry, Entry::Open(_)).then_some(*id);
        self.entries.iter().filter_map(open).collect()
    }
}

/// Says nothing of the keys.
impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring").finish_non_exhaustive()
    }
}

fn read_sidecar(path: &Path) -> Result<Vec<u8>, KeyFileError> {
    let mut json = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_SIDECAR_BYTES + 1).read_to_end(&mut json))
        .map_err(|source| KeyFileError::SidecarIo { path: path.to_owned(), source })?;
    if json.len() as u64 > MAX_SIDECAR_BYTES {
        return Err(KeyFileError::SidecarLength(path.to_owned()));
    }
    Ok(json)
}

#[cfg(test)]
mod tests {
    use super::super::sidecar::WrappedKey;
    use super::super::vectors::{KEK, WRAPPED_1, WRAPPED_4};
    use super::*;
    use zeroize::Zeroizing;

    fn keyring(keys: &[(u32, Purpose, [u8; 60])]) -> Option<Keyring> {
        let keys = keys.iter().map(|&(id, purpose, wrapped)| (id, WrappedKey { purpose, wrapped })).collect();
        Keyring::open(&Sidecar { raft_cutover_index: 9, keys }, &Kek::new(Zeroizing::new(KEK)))
    }

    #[test]
    fn each_id_has_its_key_or_a_reason_of_its_own() {
        use Purpose::{Raft, Storage};
        let keyring = keyring(&[
            (1, Storage, WRAPPED_1),
            (2, Raft, [0; 60]),
            (3, Storage, [0; 60]),
            (4, Storage, WRAPPED_4),
        ])
        .unwrap();
        assert!(keyring.find(1).is_ok() && keyring.find(4).is_ok());
        assert_eq!(keyring.find(2).err().unwrap(), OpenError::RaftKey(2));
        let said = |id| keyring.find(id).err().unwrap().to_string();
        assert_eq!(said(3), "key id 3 does not open under this key-encryption key (ids that do: 1, 4)");
        assert!(said(5).starts_with("key id 5 is not in the sidecar (it holds 1, 2, 3, 4)"));
        assert_eq!(format!("{keyring:?}"), "Keyring { .. }");
    }

    #[test]
    fn a_wrong_kek_opens_none_of_the_storage_keys_and_raft_keys_do_not_count() {
        assert!(keyring(&[(1, Purpose::Storage, [0; 60]), (2, Purpose::Raft, WRAPPED_1)]).is_none());
        assert!(keyring(&[(2, Purpose::Raft, [0; 60])]).is_some());
        assert!(keyring(&[]).is_some());
    }
}
