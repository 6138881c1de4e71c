//! The envelope around an encrypted value, and what its tag covers beside it (`docs/format/encryption.md` sections 2
//! and 3). Pure: knows no keys.

use super::open_error::OpenError;

/// Bytes of a GCM nonce.
pub const NONCE_BYTES: usize = 12;

/// Bytes of a GCM tag.
pub const TAG_BYTES: usize = 16;

/// Bytes before the ciphertext: version, flags, key id, nonce.
pub const ENVELOPE_BYTES: usize = PREFIX_BYTES + NONCE_BYTES;

/// By how many bytes an encrypted payload is longer than its value.
pub const OVERHEAD_BYTES: usize = ENVELOPE_BYTES + TAG_BYTES;

/// Bytes of the associated data before the raw key: version, flags, key id, and the value header as stored.
pub const ASSOCIATED_BYTES: usize = PREFIX_BYTES + VALUE_HEADER_BYTES;

/// Version, flags and key id, which the tag covers.
const PREFIX_BYTES: usize = 6;
const VERSION: u8 = 1;

/// Flag byte and `expire_at` before every payload.
pub const VALUE_HEADER_BYTES: usize = 9;

/// The bit of the flag byte that says so (`docs/format/snapshot.md` section 2).
pub const ENCRYPTED: u8 = 0b010;

/// What an envelope says before its ciphertext.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The data key that opens it.
    pub key_id: u32,
    /// As it stands there.
    pub nonce: [u8; NONCE_BYTES],
}

impl Envelope {
    /// Reads the first [`ENVELOPE_BYTES`] of a payload of this length.
    ///
    /// # Errors
    /// Too short; a version or flags of later nodes; key id 0.
    pub fn read(payload: &[u8], payload_bytes: u64) -> Result<Self, OpenError> {
        let Some((&[version, flags, a, b, c, d], rest)) = payload.split_first_chunk::<PREFIX_BYTES>() else {
            return Err(OpenError::Short(payload_bytes));
        };
        let (Some(&nonce), true) = (rest.first_chunk(), payload_bytes >= OVERHEAD_BYTES as u64) else {
            return Err(OpenError::Short(payload_bytes));
        };
        if version != VERSION {
            return Err(OpenError::Version(version));
        }
        let key_id = u32::from_be_bytes([a, b, c, d]);
        if flags != 0 {
            return Err(OpenError::Flags { key_id, flags });
        }
        if key_id == 0 {
            return Err(OpenError::KeyIdZero);
        }
        Ok(Self { key_id, nonce })
    }

    /// What its tag covers beside the ciphertext. `value_header` is the one before the envelope, as stored.
    pub fn associated_data<'k>(
        &self,
        value_header: &[u8; VALUE_HEADER_BYTES],
        raw_key: &'k [u8],
    ) -> AssociatedData<'k> {
        let mut fixed = [0; ASSOCIATED_BYTES];
        let (prefix, header) = fixed.split_at_mut(PREFIX_BYTES);
        prefix[0] = VERSION;
        prefix[2..].copy_from_slice(&self.key_id.to_be_bytes());
        header.copy_from_slice(value_header);
        AssociatedData { fixed, raw_key }
    }
}

/// What a tag covers beside the ciphertext; the key can be long, so it is not copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AssociatedData<'k> {
    fixed: [u8; ASSOCIATED_BYTES],
    raw_key: &'k [u8],
}

impl<'k> AssociatedData<'k> {
    /// As [`Self::parts`] gave it, in one piece; `None` if it is too short to be any.
    pub fn from_bytes(bytes: &'k [u8]) -> Option<Self> {
        let (&fixed, raw_key) = bytes.split_first_chunk()?;
        Some(Self { fixed, raw_key })
    }

    /// The raw key in it.
    pub fn raw_key(&self) -> &'k [u8] {
        self.raw_key
    }

    /// Its bytes are these two parts, one after the other.
    pub fn parts(&self) -> [&[u8]; 2] {
        [&self.fixed, self.raw_key]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_envelope_of_the_first_vector_is_read_as_it_is_written() {
        let payload = b"\x01\0\0\0\0\x01\xd4\xc0\0\x01\0\0\0\0\0\0\0\x05\x17\x9b\x5b\x92\x0d\xf7\x3f\x8d\x45\xfb\x06\xb7\x35\x49\xf2\x72\x70\xac\x63\x1e";
        let envelope = Envelope::read(payload, payload.len() as u64).unwrap();
        assert_eq!(envelope, Envelope { key_id: 1, nonce: *b"\xd4\xc0\0\x01\0\0\0\0\0\0\0\x05" });
        let data = envelope.associated_data(b"\x02\0\0\0\0\0\0\0\0", b"raw key");
        assert_eq!(data.parts().concat(), b"\x01\0\0\0\0\x01\x02\0\0\0\0\0\0\0\0raw key");
        assert_eq!(AssociatedData::from_bytes(&data.parts().concat()).unwrap(), data);
    }

    #[test]
    fn what_later_nodes_may_write_is_told_from_what_none_can() {
        let read = |bytes: [u8; 6]| Envelope::read(&[&bytes[..], &[0; 28]].concat(), 34).unwrap_err();
        assert_eq!(read([2, 0, 0, 0, 0, 1]), OpenError::Version(2));
        assert_eq!(read([0, 0, 0, 0, 0, 1]), OpenError::Version(0));
        assert_eq!(read([1, 1, 0, 0, 0, 7]), OpenError::Flags { key_id: 7, flags: 1 });
        assert_eq!(read([1, 0, 0, 0, 0, 0]), OpenError::KeyIdZero);
        assert_eq!(Envelope::read(&[1; 33], 33), Err(OpenError::Short(33)));
        assert_eq!(Envelope::read(&[], 0), Err(OpenError::Short(0)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_envelope_or_a_fault(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(envelope) = Envelope::read(&bytes, bytes.len() as u64) {
                prop_assert!(bytes.len() >= OVERHEAD_BYTES && bytes[..2] == [1, 0] && envelope.key_id != 0);
                prop_assert_eq!(&bytes[2..6], &envelope.key_id.to_be_bytes());
                prop_assert_eq!(&bytes[6..18], &envelope.nonce);
            }
        }
    }
}
