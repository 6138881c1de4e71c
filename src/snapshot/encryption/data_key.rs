//! A data key, ready to open values: its key schedules are made once, not for every row.

use std::sync::Arc;

use aes::Aes256;
use aes::cipher::KeyInit;

use super::authenticator::{Authenticator, Holder};
use super::envelope::{AssociatedData, NONCE_BYTES, TAG_BYTES};
use super::gcm::Gcm;
use super::kek::KEY_BYTES;
use super::stream::{KeyStream, StreamedTag, hash_key};

/// A data key. Its schedules are wiped when it is dropped.
pub struct DataKey {
    whole: Arc<Holder>,
    blocks: Aes256,
    hash: ghash::GHash,
}

impl DataKey {
    /// Makes the schedules of a key.
    pub fn new(key: &[u8; KEY_BYTES]) -> Self {
        let blocks = Aes256::new(key.into());
        Self { whole: Arc::new(Holder::new(Gcm::new(key))), hash: hash_key(&blocks), blocks }
    }

    /// Opens a value in place. If the tag does not match, the answer is false and the bytes may not be used.
    #[must_use]
    #[inline]
    pub fn open(
        &self,
        nonce: &[u8; NONCE_BYTES],
        associated_data: &[u8],
        value: &mut [u8],
        tag: &[u8; TAG_BYTES],
    ) -> bool {
        self.whole.key.open(nonce, associated_data, value, tag)
    }

    /// Looks at a value of so many bytes that comes in pieces, until its tag can be compared.
    pub fn authenticator(
        &self,
        nonce: &[u8; NONCE_BYTES],
        data: &AssociatedData<'_>,
        bytes: u64,
    ) -> Authenticator {
        let streamed = || StreamedTag::new(&self.blocks, &self.hash, nonce, data);
        Authenticator::new(&self.whole, nonce, data, bytes, streamed)
    }

    /// Decrypts a value at any position. What comes out may be used only once its tag has matched.
    pub fn key_stream(&self, nonce: &[u8; NONCE_BYTES]) -> KeyStream {
        KeyStream::new(&self.blocks, nonce)
    }
}

#[cfg(test)]
mod tests {
    use super::super::vectors;
    use super::*;
    use crate::snapshot::encryption::{ENVELOPE_BYTES, Envelope, OpenError};

    /// The value of a row, or why it cannot be read, given the keys 0x01020304 and 1.
    fn read(key: &[u8; KEY_BYTES], raw_key: &[u8], value: &[u8]) -> Result<Vec<u8>, OpenError> {
        let (header, payload) = value.split_first_chunk().unwrap();
        let envelope = Envelope::read(payload, payload.len() as u64)?;
        let data = envelope.associated_data(header, raw_key);
        let (sealed, tag) = payload[ENVELOPE_BYTES..].split_last_chunk().unwrap();
        let mut opened = sealed.to_vec();
        if DataKey::new(key).open(&envelope.nonce, &data.parts().concat(), &mut opened, tag) {
            Ok(opened)
        } else {
            assert!(opened.iter().all(|byte| *byte == 0), "unauthenticated bytes came out");
            Err(OpenError::Tampered(envelope.key_id))
        }
    }

    #[test]
    fn every_vector_opens_to_its_plaintext() {
        for (key, id, raw_key, value, plain) in vectors::rows() {
            assert_eq!(read(&key, &raw_key, &value).unwrap(), plain);
            let envelope = Envelope::read(&value[9..], value.len() as u64 - 9).unwrap();
            assert_eq!(envelope.key_id, id);
        }
    }

    #[test]
    fn one_bit_changed_anywhere_in_key_or_value_is_refused() {
        for (key, _, raw_key, value, _) in vectors::rows() {
            for bit in 0..8 * raw_key.len() {
                let mut changed = raw_key.clone();
                changed[bit / 8] ^= 1 << (bit % 8);
                assert!(matches!(read(&key, &changed, &value), Err(OpenError::Tampered(_))));
            }
            for bit in 0..8 * value.len() {
                let mut changed = value.clone();
                changed[bit / 8] ^= 1 << (bit % 8);
                let fault = read(&key, &raw_key, &changed).unwrap_err();
                match bit / 8 {
                    9 => assert!(matches!(fault, OpenError::Version(_))),
                    10 => assert!(matches!(fault, OpenError::Flags { .. })),
                    // Another key id: key 0 of the first vector, or one that this key is taken for here.
                    11..15 => assert!(matches!(fault, OpenError::Tampered(_) | OpenError::KeyIdZero)),
                    _ => assert!(matches!(fault, OpenError::Tampered(_)), "{fault} at bit {bit}"),
                }
            }
        }
    }

    #[test]
    fn a_value_under_another_key_or_under_another_rows_key_is_refused() {
        let rows = vectors::rows();
        let ((key, _, _, v4, _), (_, _, v5_key, ..)) = (&rows[2], &rows[3]);
        assert!(matches!(read(key, v5_key, v4), Err(OpenError::Tampered(vectors::KEY_ID))));
        let (_, _, raw_key, value, _) = &rows[0];
        assert!(matches!(read(&vectors::DEK_4, raw_key, value), Err(OpenError::Tampered(1))));
    }

    #[test]
    fn the_failing_vectors_fail_for_their_reasons() {
        let (key, _, raw_key, v4, _) = vectors::rows().swap_remove(2);
        let with = |at: usize, bytes: &[u8]| {
            let mut value = v4.clone();
            value[at..at + bytes.len()].copy_from_slice(bytes);
            read(&key, &raw_key, &value).unwrap_err()
        };
        assert_eq!(with(9, &[2]), OpenError::Version(2));
        assert_eq!(with(10, &[1]), OpenError::Flags { key_id: vectors::KEY_ID, flags: 1 });
        assert_eq!(with(11, &[0; 4]), OpenError::KeyIdZero);
        assert_eq!(with(0, &[3]), OpenError::Tampered(vectors::KEY_ID));
        assert_eq!(read(&key, &raw_key, &v4[..9 + 33]), Err(OpenError::Short(33)));
    }
}
