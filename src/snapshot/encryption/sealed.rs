//! A short value on its way from the reader, which takes it out of its envelope, to whoever opens it: laid out in a
//! buffer as it would stand in clear, behind what its tag covers beside it, so that it is copied once and opened where it
//! lies (`docs/format/encryption.md` sections 2, 3 and 6).

use super::envelope::{ASSOCIATED_BYTES, Envelope, TAG_BYTES, VALUE_HEADER_BYTES};
use super::keyring::Keyring;
use super::open_error::OpenError;
use super::opener::in_clear;

/// A whole value, taken out of its envelope.
#[derive(Clone, Copy, Debug)]
pub struct Sealed<'v> {
    /// Key and nonce.
    pub envelope: Envelope,
    pub(super) header: &'v [u8; VALUE_HEADER_BYTES],
    pub(super) ciphertext_and_tag: &'v [u8],
}

impl Sealed<'_> {
    /// Appends what [`open`] takes: [`ASSOCIATED_BYTES`], which the raw key belongs to, the raw key, version header and
    /// payload as they would stand in clear, but with the payload still encrypted, and the tag.
    #[inline]
    pub fn lay_out(&self, raw_key: &[u8], out: &mut Vec<u8>) {
        let data = self.envelope.associated_data(self.header, raw_key);
        for part in data.parts() {
            out.extend_from_slice(part);
        }
        out.extend_from_slice(&in_clear(*self.header));
        out.extend_from_slice(self.ciphertext_and_tag);
    }

    /// Length of version header and payload in clear, in bytes.
    #[inline]
    pub fn clear_bytes(&self) -> usize {
        VALUE_HEADER_BYTES + self.ciphertext_and_tag.len().saturating_sub(TAG_BYTES)
    }
}

/// Opens the payload in what [`Sealed::lay_out`] appended for a raw key of this length.
///
/// # Errors
/// Why it cannot be opened. The payload may not be used then.
#[inline]
pub fn open(
    keys: &Keyring,
    envelope: &Envelope,
    key_bytes: usize,
    laid_out: &mut [u8],
) -> Result<(), OpenError> {
    let short = || OpenError::Short(0);
    let (data, value) = laid_out.split_at_mut_checked(ASSOCIATED_BYTES + key_bytes).ok_or_else(short)?;
    let (_, sealed) = value.split_at_mut_checked(VALUE_HEADER_BYTES).ok_or_else(short)?;
    let (payload, tag) = sealed.split_last_chunk_mut().ok_or_else(short)?;
    if keys.find(envelope.key_id)?.open(&envelope.nonce, data, payload, tag) {
        Ok(())
    } else {
        Err(OpenError::Tampered(envelope.key_id))
    }
}
