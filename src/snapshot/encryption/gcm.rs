//! AES-256-GCM on values that are in memory, as aws-lc computes it. Its assembly uses whatever the processor has for AES and
//! for GHASH: a short value takes half the time that `aes-gcm` takes, one of a mebibyte a quarter. `aes-gcm` seals what
//! the tests open. aws-lc does not open a value in pieces; that is left to `stream`.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use super::envelope::{NONCE_BYTES, TAG_BYTES};
use super::kek::KEY_BYTES;

/// A key, its schedule made. aws-lc wipes what it frees. `None` where there was no memory for one: such a key opens
/// nothing.
pub(super) struct Gcm(Option<LessSafeKey>);

impl Gcm {
    pub(super) fn new(key: &[u8; KEY_BYTES]) -> Self {
        Self(UnboundKey::new(&AES_256_GCM, key).ok().map(LessSafeKey::new))
    }

    /// Decrypts a value in place if this is its tag; else the answer is false, and the value may not be used.
    #[must_use]
    pub(super) fn open(
        &self,
        nonce: &[u8; NONCE_BYTES],
        associated_data: &[u8],
        value: &mut [u8],
        tag: &[u8; TAG_BYTES],
    ) -> bool {
        let (nonce, data) = (Nonce::assume_unique_for_key(*nonce), Aad::from(associated_data));
        self.0.as_ref().is_some_and(|key| key.open_in_place_separate_tag(nonce, data, tag, value).is_ok())
    }
}
