//! The tag of a value that comes in pieces: a value of ordinary length is held until it is whole, which costs a fraction
//! of what hashing it in pieces does, and a longer one is hashed as it streams past.

use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::envelope::{AssociatedData, NONCE_BYTES, TAG_BYTES};
use super::gcm::Gcm;
use super::stream::StreamedTag;
use crate::snapshot::limits::HELD_VALUE_BYTES;

/// A key for whole values, and the memory in which the last one was held: to ask the system for so much again costs more
/// than to open a value.
pub(super) struct Holder {
    pub(super) key: Gcm,
    spare: Mutex<Vec<u8>>,
}

impl Holder {
    pub(super) fn new(key: Gcm) -> Self {
        Self { key, spare: Mutex::default() }
    }

    fn spare(&self) -> MutexGuard<'_, Vec<u8>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The bytes of a value that is held.
pub struct Held {
    holder: Arc<Holder>,
    bytes: Vec<u8>,
}

impl Held {
    fn with_capacity(holder: &Arc<Holder>, bytes: usize) -> Self {
        let mut held = std::mem::take(&mut *holder.spare());
        held.clear();
        held.reserve_exact(bytes);
        Self { holder: Arc::clone(holder), bytes: held }
    }
}

impl Deref for Held {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        *self.holder.spare() = std::mem::take(&mut self.bytes);
    }
}

/// Sees a ciphertext, piece by piece, and knows its tag.
pub struct Authenticator(Ciphertext);

enum Ciphertext {
    Held { held: Held, nonce: [u8; NONCE_BYTES], associated_data: Vec<u8> },
    Streams(Box<StreamedTag>),
}

/// A value whose tag matches.
pub enum OpenedValue {
    /// In clear.
    Held(Held),
    /// It was too long to be held, and has to be decrypted where it lies.
    Streamed,
}

impl Authenticator {
    /// Of a ciphertext of so many bytes; `streamed` is asked for if it is too long to be held.
    pub(super) fn new(
        holder: &Arc<Holder>,
        nonce: &[u8; NONCE_BYTES],
        data: &AssociatedData<'_>,
        bytes: u64,
        streamed: impl FnOnce() -> StreamedTag,
    ) -> Self {
        Self(if bytes <= HELD_VALUE_BYTES {
            let held = Held::with_capacity(holder, bytes as usize);
            Ciphertext::Held { held, nonce: *nonce, associated_data: data.parts().concat() }
        } else {
            Ciphertext::Streams(Box::new(streamed()))
        })
    }

    /// Takes the next bytes of the ciphertext.
    pub fn update(&mut self, ciphertext: &[u8]) {
        match &mut self.0 {
            Ciphertext::Held { held, .. } => held.bytes.extend_from_slice(ciphertext),
            Ciphertext::Streams(tag) => tag.update(ciphertext),
        }
    }

    /// The value, if this is the tag of what was taken. Compared in constant time.
    #[must_use]
    pub fn finish(self, tag: &[u8; TAG_BYTES]) -> Option<OpenedValue> {
        match self.0 {
            Ciphertext::Held { mut held, nonce, associated_data } => {
                let Held { holder, bytes } = &mut held;
                holder.key.open(&nonce, &associated_data, bytes, tag).then_some(OpenedValue::Held(held))
            }
            Ciphertext::Streams(computed) => computed.matches(tag).then_some(OpenedValue::Streamed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::encryption::vectors::{DEK, seal};
    use crate::snapshot::encryption::{DataKey, Envelope};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_value_that_is_held_and_one_that_streams_past_have_the_same_tag(
            nonce: [u8; 12],
            raw_key in proptest::collection::vec(any::<u8>(), 0..80),
            plain in proptest::collection::vec(any::<u8>(), 0..600),
            piece in 1usize..200,
            flipped: Option<prop::sample::Index>,
        ) {
            let data = Envelope { key_id: 7, nonce }.associated_data(&[2; 9], &raw_key);
            let mut all = seal(&DEK, &nonce, &data.parts().concat(), &plain);
            if let Some(flipped) = flipped {
                let bit = flipped.index(8 * all.len());
                all[bit / 8] ^= 1 << (bit % 8);
            }
            let (ciphertext, tag) = all.split_last_chunk().unwrap();
            for bytes in [ciphertext.len() as u64, HELD_VALUE_BYTES, HELD_VALUE_BYTES + 1] {
                let mut authenticator = DataKey::new(&DEK).authenticator(&nonce, &data, bytes);
                ciphertext.chunks(piece).for_each(|piece| authenticator.update(piece));
                match authenticator.finish(tag) {
                    Some(OpenedValue::Held(value)) => prop_assert!(flipped.is_none() && *value == plain[..]),
                    Some(OpenedValue::Streamed) => prop_assert!(flipped.is_none() && bytes > HELD_VALUE_BYTES),
                    None => prop_assert!(flipped.is_some()),
                }
            }
        }
    }
}
