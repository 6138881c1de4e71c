//! Opening the values of rows as a body comes to them: long ones are opened while they stream past, short ones taken out
//! of their envelopes, to be opened before their batch leaves (`docs/format/encryption.md` section 6). Leaves short
//! ones to `sealed`, what to do with a row to the bodies, and to `ahead` on which thread it is opened.

use std::ops::Range;
use std::sync::Arc;

use super::authenticator::Authenticator;
use super::data_key::DataKey;
use super::envelope::{
    AssociatedData, ENCRYPTED, ENVELOPE_BYTES, Envelope, OVERHEAD_BYTES, TAG_BYTES, VALUE_HEADER_BYTES,
};
use super::keyring::Keyring;
use super::open_error::OpenError;
use super::sealed::Sealed;
use super::stream::KeyStream;
use crate::snapshot::limits::LARGE_HEAD_BYTES;

/// Opens values with the keys of a run, in buffers that it uses again.
#[derive(Default)]
pub struct Opener {
    keys: Option<Arc<Keyring>>,
    value: Vec<u8>,
}

/// A value whose payload has still to stream past.
pub struct BegunValue<'o> {
    /// To be shown every byte of the payload.
    pub opening: Box<Opening>,
    /// Key and nonce.
    pub envelope: Envelope,
    /// Value header and the first [`LARGE_HEAD_BYTES`] of the payload, as they would stand in clear. Not to be believed
    /// before the opening has come to its end.
    pub clear_head: &'o [u8],
    /// Length of the payload as it would stand in clear, in bytes.
    pub clear_bytes: u64,
}

impl Opener {
    /// With these keys, if any were given.
    pub fn new(keys: Option<Arc<Keyring>>) -> Self {
        Self { keys, ..Self::default() }
    }

    /// The keys of the run.
    pub fn keys(&self) -> Option<&Keyring> {
        self.keys.as_deref()
    }

    /// The same, for somebody else to open values with.
    pub fn shared_keys(&self) -> Option<Arc<Keyring>> {
        self.keys.clone()
    }

    /// Takes the envelope off a whole value, which is to be opened later.
    ///
    /// # Errors
    /// Why it cannot be opened, as far as its envelope tells.
    #[inline]
    pub fn postpone<'v>(&self, value: &'v [u8]) -> Result<Sealed<'v>, OpenError> {
        let (header, payload) = split(value)?;
        let envelope = Envelope::read(payload, payload.len() as u64)?;
        find(self.keys.as_deref(), envelope.key_id)?;
        Ok(Sealed { envelope, header, ciphertext_and_tag: &payload[ENVELOPE_BYTES..] })
    }

    /// Begins to open a value of which only the head is at hand; its payload has `payload_bytes`.
    ///
    /// # Errors
    /// Why it cannot be opened, as far as its head tells.
    pub fn begin(
        &mut self,
        raw_key: &[u8],
        head: &[u8],
        payload_bytes: u64,
    ) -> Result<BegunValue<'_>, OpenError> {
        let (header, payload) = split(head)?;
        let envelope = Envelope::read(payload, payload_bytes)?;
        let Self { keys, value } = self;
        let key = find(keys.as_deref(), envelope.key_id)?;
        let data = envelope.associated_data(header, raw_key);
        let mut opening = Opening::new(key, &envelope, &data, payload_bytes);
        let mut stream = key.key_stream(&envelope.nonce);
        let sealed = payload.get(ENVELOPE_BYTES..).unwrap_or_default();
        value.clear();
        value.extend_from_slice(&in_clear(*header));
        value.extend(sealed.iter().take(LARGE_HEAD_BYTES));
        stream.apply(0, &mut value[VALUE_HEADER_BYTES..]);
        let clear_bytes = opening.left;
        opening.stream = Some(stream);
        Ok(BegunValue { opening, envelope, clear_head: value, clear_bytes })
    }

    /// Looks whether a whole value that is said to be clear is an encrypted one.
    ///
    /// # Errors
    /// It is.
    #[inline]
    pub fn check_clear(&mut self, raw_key: &[u8], value: &[u8]) -> Result<(), OpenError> {
        let payload = value.get(VALUE_HEADER_BYTES..).unwrap_or_default();
        match self.look_alike(payload, payload.len() as u64) {
            None => Ok(()),
            Some(envelope) => self.check_look_alike(raw_key, value, &envelope),
        }
    }

    /// The same for a value of which only the head is at hand: what has to see the payload, if it could be one.
    pub fn watch_clear(&self, raw_key: &[u8], head: &[u8], payload_bytes: u64) -> Option<Box<Opening>> {
        let (header, payload) = split(head).ok()?;
        let envelope = self.look_alike(payload, payload_bytes)?;
        let key = find(self.keys.as_deref(), envelope.key_id).ok()?;
        let data = envelope.associated_data(&encrypted(*header), raw_key);
        Some(Opening::new(key, &envelope, &data, payload_bytes))
    }

    /// The envelope that a clear payload would be if its key is one that opens.
    #[inline]
    fn look_alike(&self, payload: &[u8], payload_bytes: u64) -> Option<Envelope> {
        let keys = self.keys.as_deref()?;
        if !payload.starts_with(&[1, 0]) {
            return None;
        }
        Envelope::read(payload, payload_bytes).ok().filter(|envelope| keys.find(envelope.key_id).is_ok())
    }

    #[cold]
    fn check_look_alike(
        &mut self,
        raw_key: &[u8],
        stored: &[u8],
        envelope: &Envelope,
    ) -> Result<(), OpenError> {
        let (header, payload) = split(stored)?;
        let Self { keys, value } = self;
        let key = find(keys.as_deref(), envelope.key_id)?;
        let data = envelope.associated_data(&encrypted(*header), raw_key).parts().concat();
        let sealed = payload.get(ENVELOPE_BYTES..).and_then(<[u8]>::split_last_chunk);
        let Some((ciphertext, tag)) = sealed else { return Ok(()) };
        value.clear();
        value.extend_from_slice(ciphertext);
        if key.open(&envelope.nonce, &data, value, tag) {
            Err(OpenError::Relabelled(envelope.key_id))
        } else {
            Ok(())
        }
    }
}

fn split(value: &[u8]) -> Result<(&[u8; VALUE_HEADER_BYTES], &[u8]), OpenError> {
    value.split_first_chunk().ok_or(OpenError::Short(0))
}

#[inline]
fn find(keys: Option<&Keyring>, key_id: u32) -> Result<&DataKey, OpenError> {
    keys.ok_or(OpenError::NoKeys(key_id))?.find(key_id)
}

/// The header that a value would have in clear.
pub(super) fn in_clear(mut header: [u8; VALUE_HEADER_BYTES]) -> [u8; VALUE_HEADER_BYTES] {
    header[0] &= !ENCRYPTED;
    header
}

/// The header that an encrypted value has before somebody calls it clear.
fn encrypted(mut header: [u8; VALUE_HEADER_BYTES]) -> [u8; VALUE_HEADER_BYTES] {
    header[0] = ENCRYPTED;
    header
}

/// A payload that streams past, from the first byte of its envelope to the last of its tag.
pub struct Opening {
    key_id: u32,
    authenticator: Authenticator,
    /// Absent where a clear value is only looked at.
    stream: Option<KeyStream>,
    /// Bytes of the envelope, of the ciphertext and of the tag that have not come yet.
    before: usize,
    left: u64,
    position: u64,
    tag: [u8; TAG_BYTES],
    tag_bytes: usize,
}

impl Opening {
    fn new(key: &DataKey, envelope: &Envelope, data: &AssociatedData<'_>, payload_bytes: u64) -> Box<Self> {
        let left = payload_bytes.saturating_sub(OVERHEAD_BYTES as u64);
        Box::new(Self {
            key_id: envelope.key_id,
            authenticator: key.authenticator(&envelope.nonce, data, left),
            stream: None,
            before: ENVELOPE_BYTES,
            left,
            position: 0,
            tag: [0; TAG_BYTES],
            tag_bytes: 0,
        })
    }

    /// Takes the next bytes of the payload, and answers where the ciphertext is in them.
    pub fn look(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.before.min(bytes.len());
        self.before -= start;
        let sealed = self.left.min((bytes.len() - start) as u64) as usize;
        let end = start + sealed;
        self.authenticator.update(&bytes[start..end]);
        (self.left, self.position) = (self.left - sealed as u64, self.position + sealed as u64);
        for (kept, byte) in self.tag[self.tag_bytes..].iter_mut().zip(&bytes[end..]) {
            *kept = *byte;
            self.tag_bytes += 1;
        }
        start..end
    }

    /// Takes the next bytes of the payload and leaves in their place what they are in clear. It can be none, and it may
    /// not be used for good before [`Self::finish`].
    pub fn take(&mut self, bytes: &mut Vec<u8>) {
        let position = self.position;
        let sealed = self.look(bytes);
        if let Some(stream) = &mut self.stream {
            bytes.truncate(sealed.end);
            bytes.drain(..sealed.start);
            stream.apply(position, bytes);
        }
    }

    /// The end of the payload.
    ///
    /// # Errors
    /// It is not what its state bits say.
    pub fn finish(self) -> Result<(), OpenError> {
        let matches = self.tag_bytes == TAG_BYTES && self.authenticator.finish(&self.tag).is_some();
        match (matches, self.stream.is_some()) {
            (true, true) | (false, false) => Ok(()),
            (false, true) => Err(OpenError::Tampered(self.key_id)),
            (true, false) => Err(OpenError::Relabelled(self.key_id)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::envelope::ASSOCIATED_BYTES;
    use super::super::sealed;
    use super::super::vectors::{self, hex};
    use super::*;
    use proptest::prelude::*;

    fn opener() -> Opener {
        Opener::new(Some(Arc::new(vectors::keyring())))
    }

    /// Opens a value whole, and once more in pieces of these lengths; both have to say the same.
    fn open(raw_key: &[u8], value: &[u8], cuts: &[usize]) -> Result<Vec<u8>, OpenError> {
        let (mut opener, keys) = (opener(), vectors::keyring());
        let whole = opener.postpone(value).and_then(|sealed| {
            let mut laid_out = Vec::new();
            sealed.lay_out(raw_key, &mut laid_out);
            sealed::open(&keys, &sealed.envelope, raw_key.len(), &mut laid_out)?;
            let value = ASSOCIATED_BYTES + raw_key.len()..laid_out.len() - TAG_BYTES;
            Ok(laid_out[value].to_vec())
        });
        let (payload, head) = (&value[9..], &value[..value.len().min(9 + 18 + 64)]);
        let streamed = opener.begin(raw_key, head, payload.len() as u64).and_then(|begun| {
            let BegunValue { mut opening, clear_head, clear_bytes, .. } = begun;
            let (mut rest, mut clear) = (payload, clear_head[..9].to_vec());
            for cut in cuts.iter().cycle() {
                let (piece, after) = rest.split_at(rest.len().min(*cut));
                let mut piece = piece.to_vec();
                opening.take(&mut piece);
                clear.extend(piece);
                rest = after;
                if rest.is_empty() {
                    break;
                }
            }
            opening.finish()?;
            assert_eq!(clear.len() as u64, 9 + clear_bytes);
            assert!(clear.starts_with(&clear_head[..clear_head.len().min(clear.len())]));
            Ok(clear)
        });
        assert_eq!(whole, streamed);
        whole
    }

    #[test]
    fn a_row_is_as_if_it_had_been_stored_in_clear() {
        for (_, _, raw_key, value, plain) in vectors::rows() {
            let opened = open(&raw_key, &value, &[7]).unwrap();
            assert_eq!(opened, [&[0], &value[1..9], &plain].concat());
        }
    }

    #[test]
    fn an_encrypted_value_relabelled_as_clear_is_noticed_and_data_that_look_like_one_are_left_alone() {
        let (_, _, raw_key, mut value, _) = vectors::rows().swap_remove(2);
        value[0] = 0;
        let check = |raw_key: &[u8], value: &[u8]| {
            let whole = opener().check_clear(raw_key, value);
            let mut watched = opener().watch_clear(raw_key, value, value.len() as u64 - 9);
            if let Some(opening) = &mut watched {
                opening.look(&value[9..20]);
                opening.look(&value[20..]);
            }
            assert_eq!(whole, watched.map_or(Ok(()), |opening| opening.finish()));
            whole
        };
        assert_eq!(check(&raw_key, &value), Err(OpenError::Relabelled(vectors::KEY_ID)));
        for at in 1..value.len() {
            let mut changed = value.clone();
            changed[at] ^= 1;
            assert_eq!(check(&raw_key, &changed), Ok(()), "byte {at}");
        }
        assert_eq!(check(b"another", &value), Ok(()));
    }

    #[test]
    fn without_keys_an_encrypted_row_names_its_key_id_and_a_clear_one_is_left_alone() {
        let (_, id, raw_key, mut value, _) = vectors::rows().swap_remove(1);
        let mut opener = Opener::default();
        assert_eq!(opener.postpone(&value).err(), Some(OpenError::NoKeys(id)));
        value[0] = 0;
        assert_eq!(opener.check_clear(&raw_key, &value), Ok(()));
    }

    #[test]
    fn an_id_the_sidecar_lacks_is_said_to_be_unknown() {
        let (_, _, raw_key, mut value, _) = vectors::rows().swap_remove(2);
        value[11..15].copy_from_slice(&hex("00000005"));
        assert!(matches!(open(&raw_key, &value, &[1]), Err(OpenError::UnknownKeyId { key_id: 5, .. })));
    }

    proptest! {
        #[test]
        fn any_value_opens_whole_and_in_pieces_and_with_one_bit_changed_neither_way(
            long_key: bool,
            key_tail in proptest::collection::vec(any::<u8>(), 8..40),
            plain in proptest::collection::vec(any::<u8>(), 0..1500),
            expire_at: [u8; 8],
            cuts in proptest::collection::vec(1usize..90, 1..6),
            bit: Option<prop::sample::Index>,
        ) {
            let raw_key = [vec![b'k'; if long_key { 64 << 10 } else { 0 }], key_tail].concat();
            let envelope = Envelope { key_id: vectors::KEY_ID, nonce: [9; 12] };
            let header: [u8; 9] = [&[ENCRYPTED][..], &expire_at].concat().try_into().unwrap();
            let data = envelope.associated_data(&header, &raw_key);
            let mut value = [&header[..], &data.parts()[0][..6], &envelope.nonce].concat();
            value.extend(vectors::seal(&vectors::DEK, &envelope.nonce, &data.parts().concat(), &plain));
            prop_assert_eq!(open(&raw_key, &value, &cuts).unwrap(), [&[0][..], &expire_at, &plain].concat());
            if let Some(bit) = bit {
                let bit = bit.index(8 * value.len());
                value[bit / 8] ^= 1 << (bit % 8);
                prop_assert!(open(&raw_key, &value, &cuts).is_err());
            }
        }
    }
}
