//! Opening values: AES-256-GCM in the two halves it is made of, composed from the crates that `aes-gcm` composes. The
//! [`Authenticator`] sees the ciphertext once, in pieces of any length; the [`KeyStream`] decrypts at any position.
//! `aes-gcm` itself works on a whole value only, and `ghash` takes a third of the speed of `polyval`: it reverses each
//! block just before it is multiplied, and the processor waits for the stores.

use aes::Aes256;
use aes::cipher::consts::U16;
use aes::cipher::{BlockCipherEncrypt, InnerIvInit, StreamCipher, StreamCipherCoreWrapper, StreamCipherSeek};
use ctr::{CtrCore, flavors};
use polyval::hazmat::FieldElement;
use polyval::universal_hash::UniversalHash;
use polyval::{Block, Polyval};
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use super::envelope::{AssociatedData, NONCE_BYTES, TAG_BYTES};

const BLOCK_BYTES: usize = 16;

/// Blocks that are reversed, and then hashed, at a time.
const STRETCH_BLOCKS: usize = 32;
const STRETCH_BYTES: usize = STRETCH_BLOCKS * BLOCK_BYTES;

/// Blocks of the key stream that come with the mask of the tag: those of most values.
const HEAD_BLOCKS: usize = 8;

type Ctr<C> = StreamCipherCoreWrapper<CtrCore<C, flavors::Ctr32BE>>;

/// What a key authenticates with: GHASH (NIST SP 800-38D section 6.4) as POLYVAL of reversed blocks (RFC 8452 appendix
/// A).
pub(super) fn hash_key(blocks: &Aes256) -> Polyval {
    let mut key = Block::default();
    blocks.encrypt_block(&mut key);
    let mut element = FieldElement::from(key).reverse().mulx();
    let hash = Polyval::new(&element.into());
    key.zeroize();
    element.zeroize();
    hash
}

/// The counter block of this number. The first one masks the tag, the next one begins the value.
fn counter(nonce: &[u8; NONCE_BYTES], number: u32) -> Block {
    let mut counter = Block::default();
    let (start, end) = counter.split_at_mut(NONCE_BYTES);
    start.copy_from_slice(nonce);
    end.copy_from_slice(&number.to_be_bytes());
    counter
}

/// The key stream of a value, from its mask on.
fn ctr<C: BlockCipherEncrypt<BlockSize = U16>>(blocks: C, nonce: &[u8; NONCE_BYTES]) -> Ctr<C> {
    Ctr::from_core(CtrCore::inner_iv_init(blocks, &counter(nonce, 1)))
}

/// Opens a whole value in place. If the tag does not match, the bytes stay as they are and the answer is false.
pub(super) fn open(
    blocks: &Aes256,
    hash: &Polyval,
    nonce: &[u8; NONCE_BYTES],
    data: &AssociatedData<'_>,
    value: &mut [u8],
    tag: &[u8; TAG_BYTES],
) -> bool {
    // Mask and key stream in one call: a call costs as much as several blocks.
    let mut stream: [Block; 1 + HEAD_BLOCKS] = std::array::from_fn(|i| counter(nonce, 1 + i as u32));
    let used = 1 + value.len().div_ceil(BLOCK_BYTES).min(HEAD_BLOCKS);
    blocks.encrypt_blocks(&mut stream[..used]);
    let [mask, stream @ ..] = &stream;
    let mut hash = hash.clone();
    let matches = if let Some(blocks) = Stretch::of(data, value) {
        blocks.hash(&mut hash);
        is_tag(hash, mask, tag)
    } else {
        let mut authenticator = Authenticator::with_mask(*mask, hash, data);
        authenticator.update(value);
        authenticator.matches(tag)
    };
    if !matches {
        return false;
    }
    for (part, keys) in value.chunks_mut(BLOCK_BYTES).zip(stream) {
        part.iter_mut().zip(keys).for_each(|(byte, key)| *byte ^= key);
    }
    if let Some(rest) = value.get_mut(HEAD_BLOCKS * BLOCK_BYTES..).filter(|rest| !rest.is_empty()) {
        let mut ctr = ctr(blocks, nonce);
        ctr.seek(BLOCK_BYTES * (1 + HEAD_BLOCKS));
        ctr.apply_keystream(rest);
    }
    true
}

/// All that the tag of a short value covers, in the order and with the padding of GCM.
struct Stretch {
    bytes: [u8; STRETCH_BYTES],
    used: usize,
}

impl Stretch {
    /// `None` if it is too long.
    fn of(data: &AssociatedData<'_>, ciphertext: &[u8]) -> Option<Self> {
        let mut bytes = [0; STRETCH_BYTES];
        let [fixed, raw_key] = data.parts();
        let data_bytes = fixed.len() + raw_key.len();
        let start = data_bytes.next_multiple_of(BLOCK_BYTES);
        let end = start.checked_add(ciphertext.len())?.next_multiple_of(BLOCK_BYTES);
        bytes.get_mut(..fixed.len())?.copy_from_slice(fixed);
        bytes.get_mut(fixed.len()..data_bytes)?.copy_from_slice(raw_key);
        bytes.get_mut(start..start + ciphertext.len())?.copy_from_slice(ciphertext);
        bytes
            .get_mut(end..end + BLOCK_BYTES)?
            .copy_from_slice(&lengths(data_bytes as u64, ciphertext.len() as u64));
        Some(Self { bytes, used: end + BLOCK_BYTES })
    }

    fn hash(&self, hash: &mut Polyval) {
        hash_stretch(hash, &self.bytes[..self.used]);
    }
}

/// The last block that is hashed: how many bits there were.
fn lengths(associated_bytes: u64, bytes: u64) -> [u8; BLOCK_BYTES] {
    ((u128::from(associated_bytes) << 67) | (u128::from(bytes) << 3)).to_be_bytes()
}

/// Does the hash make this tag? Compared in constant time.
fn is_tag(hash: Polyval, mask: &Block, tag: &[u8; TAG_BYTES]) -> bool {
    let expected = u128::from_le_bytes(hash.finalize().into()) ^ u128::from_be_bytes((*mask).into());
    expected.ct_eq(&u128::from_be_bytes(*tag)).into()
}

/// Computes the tag of a ciphertext that streams past.
pub struct Authenticator {
    hash: Polyval,
    mask: Block,
    /// Bytes that are not hashed yet.
    pending: [u8; STRETCH_BYTES],
    held: usize,
    associated_bytes: u64,
    bytes: u64,
}

impl Authenticator {
    pub(super) fn new(
        blocks: &Aes256,
        hash: &Polyval,
        nonce: &[u8; NONCE_BYTES],
        data: &AssociatedData<'_>,
    ) -> Self {
        let mut mask = counter(nonce, 1);
        blocks.encrypt_block(&mut mask);
        Self::with_mask(mask, hash.clone(), data)
    }

    fn with_mask(mask: Block, hash: Polyval, data: &AssociatedData<'_>) -> Self {
        let mut this =
            Self { hash, mask, pending: [0; STRETCH_BYTES], held: 0, associated_bytes: 0, bytes: 0 };
        for part in data.parts() {
            this.absorb(part);
            this.associated_bytes += part.len() as u64;
        }
        this.pad();
        this
    }

    /// Takes the next bytes of the ciphertext.
    pub fn update(&mut self, ciphertext: &[u8]) {
        self.absorb(ciphertext);
        self.bytes += ciphertext.len() as u64;
    }

    /// Is this the tag of what was taken? Compared in constant time.
    #[must_use]
    pub fn matches(mut self, tag: &[u8; TAG_BYTES]) -> bool {
        self.pad();
        self.absorb(&lengths(self.associated_bytes, self.bytes));
        hash_stretch(&mut self.hash, &self.pending[..self.held]);
        is_tag(self.hash, &self.mask, tag)
    }

    fn absorb(&mut self, mut bytes: &[u8]) {
        if self.held == 0 {
            let stretches = bytes.chunks_exact(STRETCH_BYTES);
            bytes = stretches.remainder();
            stretches.for_each(|stretch| hash_stretch(&mut self.hash, stretch));
        }
        while !bytes.is_empty() {
            let room = &mut self.pending[self.held..];
            let (taken, rest) = bytes.split_at(bytes.len().min(room.len()));
            room[..taken.len()].copy_from_slice(taken);
            (self.held, bytes) = (self.held + taken.len(), rest);
            if self.held == STRETCH_BYTES {
                hash_stretch(&mut self.hash, &self.pending);
                self.held = 0;
            }
        }
    }

    /// Fills an unfinished block with zeros.
    fn pad(&mut self) {
        let zeros = self.held.next_multiple_of(BLOCK_BYTES) - self.held;
        self.absorb(&[0; BLOCK_BYTES][..zeros]);
    }
}

/// Hashes whole blocks, at most [`STRETCH_BLOCKS`] of them.
fn hash_stretch(hash: &mut Polyval, bytes: &[u8]) {
    let (blocks, _) = bytes.as_chunks::<BLOCK_BYTES>();
    let mut reversed = [Block::default(); STRETCH_BLOCKS];
    for (reversed, block) in reversed.iter_mut().zip(blocks) {
        *reversed = u128::from_be_bytes(*block).to_le_bytes().into();
    }
    hash.update(&reversed[..blocks.len()]);
}

/// Decrypts a value from any position on.
pub struct KeyStream(Ctr<Aes256>);

impl KeyStream {
    pub(super) fn new(blocks: &Aes256, nonce: &[u8; NONCE_BYTES]) -> Self {
        Self(ctr(blocks.clone(), nonce))
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
    use crate::snapshot::encryption::vectors::seal;
    use crate::snapshot::encryption::{DataKey, Envelope};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn pieces_of_any_length_have_the_tag_that_aes_gcm_gives_the_whole(
            key: [u8; 32],
            nonce: [u8; 12],
            raw_key in proptest::collection::vec(any::<u8>(), 0..80),
            plain in proptest::collection::vec(any::<u8>(), 0..3000),
            cuts in proptest::collection::vec(1usize..1200, 1..8),
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
            let key = DataKey::new(&key);
            let mut authenticator = key.authenticator(&nonce, &data);
            let mut cuts = cuts.iter().cycle();
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(rest.len().min(*cuts.next().unwrap()));
                authenticator.update(piece);
                rest = after;
            }
            prop_assert_eq!(authenticator.matches(tag), bit.is_none());
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
