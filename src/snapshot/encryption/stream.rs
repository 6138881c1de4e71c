//! Opening values that are too long to be held: AES-256-GCM in the two halves it is made of, each from a crate for it.
//! The [`StreamedTag`] sees the ciphertext once, in pieces of any length; the [`KeyStream`] decrypts at any position.
//! What computes both at once, here `gcm`, works on a whole value only.

use aes::Aes256;
use aes::cipher::consts::U16;
use aes::cipher::{BlockCipherEncrypt, InnerIvInit, StreamCipher, StreamCipherCoreWrapper, StreamCipherSeek};
use ctr::{CtrCore, flavors};
use ghash::universal_hash::UniversalHash;
use ghash::universal_hash::array::Array;
use ghash::{Block, GHash};
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use super::envelope::{AssociatedData, NONCE_BYTES, TAG_BYTES};

const BLOCK_BYTES: usize = 16;

type Ctr = StreamCipherCoreWrapper<CtrCore<Aes256, flavors::Ctr32BE>>;

/// The hash that a key authenticates with (NIST SP 800-38D section 7.1).
pub(super) fn hash_key(blocks: &Aes256) -> GHash {
    let mut key = Block::default();
    blocks.encrypt_block(&mut key);
    let hash = GHash::new(&key);
    key.zeroize();
    hash
}

/// The first counter block of a nonce of 12 bytes: it masks the tag, the next one begins the value.
fn first_counter(nonce: &[u8; NONCE_BYTES]) -> Block {
    let mut counter = Block::default();
    counter[..NONCE_BYTES].copy_from_slice(nonce);
    counter[BLOCK_BYTES - 1] = 1;
    counter
}

/// Computes the tag of a ciphertext that streams past.
pub(super) struct StreamedTag {
    hash: GHash,
    mask: Block,
    /// The bytes of an unfinished block.
    pending: [u8; BLOCK_BYTES],
    held: usize,
    associated_bytes: u64,
    bytes: u64,
}

impl StreamedTag {
    pub(super) fn new(
        blocks: &Aes256,
        hash: &GHash,
        nonce: &[u8; NONCE_BYTES],
        data: &AssociatedData<'_>,
    ) -> Self {
        let mut mask = first_counter(nonce);
        blocks.encrypt_block(&mut mask);
        let mut this = Self {
            hash: hash.clone(),
            mask,
            pending: [0; BLOCK_BYTES],
            held: 0,
            associated_bytes: 0,
            bytes: 0,
        };
        for part in data.parts() {
            this.absorb(part);
            this.associated_bytes += part.len() as u64;
        }
        this.pad();
        this
    }

    /// Takes the next bytes of the ciphertext.
    pub(super) fn update(&mut self, ciphertext: &[u8]) {
        self.absorb(ciphertext);
        self.bytes += ciphertext.len() as u64;
    }

    /// Is this the tag of what was taken? Compared in constant time.
    #[must_use]
    pub(super) fn matches(mut self, tag: &[u8; TAG_BYTES]) -> bool {
        self.pad();
        let mut lengths = Block::default();
        lengths[..8].copy_from_slice(&(8 * self.associated_bytes).to_be_bytes());
        lengths[8..].copy_from_slice(&(8 * self.bytes).to_be_bytes());
        self.hash.update(&[lengths]);
        let mut expected = self.hash.finalize();
        expected.iter_mut().zip(&self.mask).for_each(|(byte, mask)| *byte ^= mask);
        expected.as_slice().ct_eq(tag).into()
    }

    fn absorb(&mut self, mut bytes: &[u8]) {
        if self.held > 0 {
            let taken = bytes.len().min(BLOCK_BYTES - self.held);
            let (head, rest) = bytes.split_at(taken);
            self.pending[self.held..self.held + taken].copy_from_slice(head);
            (self.held, bytes) = (self.held + taken, rest);
            if self.held < BLOCK_BYTES {
                return;
            }
            self.hash.update(&[self.pending.into()]);
            self.held = 0;
        }
        let (blocks, rest) = Array::<u8, U16>::slice_as_chunks(bytes);
        self.hash.update(blocks);
        self.pending[..rest.len()].copy_from_slice(rest);
        self.held = rest.len();
    }

    /// Fills an unfinished block with zeros.
    fn pad(&mut self) {
        if self.held > 0 {
            self.pending[self.held..].fill(0);
            self.hash.update(&[self.pending.into()]);
            self.held = 0;
        }
    }
}

/// Decrypts a value from any position on.
pub struct KeyStream(Ctr);

impl KeyStream {
    pub(super) fn new(blocks: &Aes256, nonce: &[u8; NONCE_BYTES]) -> Self {
        let core = CtrCore::inner_iv_init(blocks.clone(), &first_counter(nonce));
        Self(Ctr::from_core(core))
    }

    /// Decrypts bytes that stand at `position` of the value, in place. No value of a snapshot is long enough for its
    /// counter to come round.
    pub fn apply(&mut self, position: u64, bytes: &mut [u8]) {
        self.0.seek(BLOCK_BYTES as u64 + position);
        self.0.apply_keystream(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::encryption::vectors::seal;
    use crate::snapshot::encryption::{DataKey, Envelope};
    use aes::cipher::KeyInit;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn pieces_of_any_length_have_the_tag_that_aes_gcm_gives_the_whole(
            key: [u8; 32],
            nonce: [u8; 12],
            raw_key in proptest::collection::vec(any::<u8>(), 0..80),
            plain in proptest::collection::vec(any::<u8>(), 0..600),
            cuts in proptest::collection::vec(1usize..70, 1..8),
            flipped: Option<prop::sample::Index>,
        ) {
            let envelope = Envelope { key_id: 7, nonce };
            let data = envelope.associated_data(&[2; 9], &raw_key);
            let mut all = seal(&key, &nonce, &data.parts().concat(), &plain);
            let bit = flipped.map(|flipped| flipped.index(8 * all.len()));
            if let Some(bit) = bit {
                all[bit / 8] ^= 1 << (bit % 8);
            }
            let (mut rest, tag) = all.split_last_chunk().unwrap();
            let blocks = Aes256::new(&key.into());
            let mut streamed = StreamedTag::new(&blocks, &hash_key(&blocks), &nonce, &data);
            let mut cuts = cuts.iter().cycle();
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(rest.len().min(*cuts.next().unwrap()));
                streamed.update(piece);
                rest = after;
            }
            prop_assert_eq!(streamed.matches(tag), bit.is_none());
        }

        #[test]
        fn any_stretch_decrypts_to_the_bytes_that_were_encrypted(
            key: [u8; 32],
            nonce: [u8; 12],
            plain in proptest::collection::vec(any::<u8>(), 1..600),
            stretches in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..8),
        ) {
            let value = seal(&key, &nonce, b"", &plain);
            let mut stream = DataKey::new(&key).key_stream(&nonce);
            for (start, end) in stretches {
                let (start, end) = (start.index(plain.len()), end.index(plain.len() + 1));
                let (start, end) = (start.min(end), start.max(end));
                let mut stretch = value[start..end].to_vec();
                stream.apply(start as u64, &mut stretch);
                prop_assert_eq!(&stretch, &plain[start..end]);
            }
        }
    }
}
