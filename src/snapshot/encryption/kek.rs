//! The key-encryption key: the operator's file of 32 raw bytes that wraps the data keys (`docs/format/encryption.md`
//! section 4).

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use zeroize::Zeroizing;

use super::envelope::{NONCE_BYTES, TAG_BYTES};
use super::gcm::Gcm;

/// Bytes of every key: AES-256.
pub const KEY_BYTES: usize = 32;

/// Bytes of a data key as the sidecar holds it: nonce, ciphertext, tag.
pub const WRAPPED_BYTES: usize = NONCE_BYTES + KEY_BYTES + TAG_BYTES;

/// Permissions that nobody but the owner should have.
const OTHERS: u32 = 0o077;

/// What is wrong with the file of a key-encryption key.
#[derive(Debug, thiserror::Error)]
pub enum KekError {
    /// The operating system failed to open or read it.
    #[error("it cannot be read")]
    Io(#[source] io::Error),
    /// A directory, a pipe or a device.
    #[error("it is no regular file")]
    NotAFile,
    /// Not 32 bytes.
    #[error("a key-encryption key is exactly 32 raw bytes; this file has {0}{hint}", hint = looks_like(*.0))]
    Length(u64),
}

fn looks_like(length: u64) -> &'static str {
    match length {
        33 => " (a trailing newline?)",
        44 => " (base64?)",
        45 => " (base64 and a trailing newline?)",
        64 => " (hex?)",
        65 => " (hex and a trailing newline?)",
        _ => "",
    }
}

/// A key-encryption key. It is wiped when it is dropped.
pub struct Kek(Zeroizing<[u8; KEY_BYTES]>);

impl Kek {
    /// Of these bytes.
    pub fn new(bytes: Zeroizing<[u8; KEY_BYTES]>) -> Self {
        Self(bytes)
    }

    /// Reads a file, and says its mode if it lets others than its owner do anything with it.
    ///
    /// # Errors
    /// It cannot be read, or is no such file.
    pub fn read(path: &Path) -> Result<(Self, Option<u32>), KekError> {
        // Asked before it is opened: opening a pipe waits for somebody to write to it.
        let metadata = std::fs::metadata(path).map_err(KekError::Io)?;
        if !metadata.is_file() {
            return Err(KekError::NotAFile);
        }
        if metadata.len() != KEY_BYTES as u64 {
            return Err(KekError::Length(metadata.len()));
        }
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        File::open(path).and_then(|mut file| file.read_exact(bytes.as_mut_slice())).map_err(KekError::Io)?;
        let mode = metadata.permissions().mode() & 0o777;
        Ok((Self(bytes), (mode & OTHERS != 0).then_some(mode)))
    }

    /// The data key in these bytes; `None` if they do not open under this key.
    pub fn unwrap(&self, wrapped: &[u8; WRAPPED_BYTES]) -> Option<Zeroizing<[u8; KEY_BYTES]>> {
        let (nonce, rest) = wrapped.split_first_chunk::<NONCE_BYTES>()?;
        let (&ciphertext, tag) = rest.split_first_chunk::<KEY_BYTES>()?;
        let tag = tag.first_chunk::<TAG_BYTES>()?;
        let mut key = Zeroizing::new(ciphertext);
        Gcm::new(&self.0).open(nonce, &[], key.as_mut_slice(), tag).then_some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::encryption::vectors::{DEK_1, DEK_4, KEK, WRAPPED_1, WRAPPED_4};
    use std::fs::{self, Permissions};

    #[test]
    fn the_wrapped_keys_of_the_vectors_open() {
        let kek = Kek::new(Zeroizing::new(KEK));
        assert_eq!(*kek.unwrap(&WRAPPED_1).unwrap(), DEK_1);
        assert_eq!(*kek.unwrap(&WRAPPED_4).unwrap(), DEK_4);
    }

    #[test]
    fn a_wrapped_key_with_one_bit_changed_does_not_open() {
        let kek = Kek::new(Zeroizing::new(KEK));
        for bit in 0..8 * WRAPPED_BYTES {
            let mut wrapped = WRAPPED_1;
            wrapped[bit / 8] ^= 1 << (bit % 8);
            assert!(kek.unwrap(&wrapped).is_none());
        }
    }

    #[test]
    fn a_length_that_has_a_likely_cause_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kek");
        let said = |length: usize| {
            fs::write(&path, vec![b'a'; length]).unwrap();
            Kek::read(&path).err().map(|error| error.to_string())
        };
        assert_eq!(said(32), None);
        for (length, cause) in [
            (33, " newline?)"),
            (44, "(base64?)"),
            (45, "newline?)"),
            (64, "(hex?)"),
            (65, "newline?)"),
            (0, "has 0"),
        ] {
            assert!(said(length).unwrap().ends_with(cause), "{length}");
        }
        assert!(matches!(Kek::read(folder.path()), Err(KekError::NotAFile)));
        assert!(matches!(Kek::read(&folder.path().join("no")), Err(KekError::Io(_))));
    }

    #[test]
    fn a_mode_that_lets_others_read_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kek");
        fs::write(&path, [7; 32]).unwrap();
        for (mode, told) in [(0o600, None), (0o400, None), (0o640, Some(0o640)), (0o604, Some(0o604))] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            assert_eq!(Kek::read(&path).unwrap().1, told);
        }
    }
}
