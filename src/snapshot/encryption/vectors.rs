//! The keys and rows of `docs/format/encryption.md` section 10.

use std::collections::BTreeMap;

use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes256Gcm, Nonce};
use zeroize::Zeroizing;

use super::kek::{KEY_BYTES, Kek, WRAPPED_BYTES};
use super::keyring::Keyring;
use super::sidecar::{Purpose, Sidecar, WrappedKey};

/// Digits in any grouping.
pub fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().filter_map(|c| c.to_digit(16)).map(|digit| digit as u8).collect();
    digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

const fn bytes<const N: usize>(text: &str) -> [u8; N] {
    let (text, mut bytes, mut i) = (text.as_bytes(), [0; N], 0);
    while i < N {
        bytes[i] = nibble(text[2 * i]) << 4 | nibble(text[2 * i + 1]);
        i += 1;
    }
    bytes
}

const fn nibble(digit: u8) -> u8 {
    if digit.is_ascii_digit() { digit - b'0' } else { digit - b'a' + 10 }
}

pub const KEK: [u8; KEY_BYTES] = bytes("1f9dcb2f69384dc618c2f833a8b42fe66501b6198360e04aae34cb7d83738184");
pub const WRAPPED_1: [u8; WRAPPED_BYTES] = bytes(
    "9528efc9f96a134e091a48cd17f68531ecfaa78b5d7224653f7afc081fe683cee3413f35fd0119b1b3c93e40f46bae780003db5b0ac3a978f58a7863",
);
pub const DEK_1: [u8; KEY_BYTES] = bytes("683e7a2025f42bd24aaa9e240b4d931506990b8a76a6aff685a7f9c770246be0");
pub const WRAPPED_4_TEXT: &str =
    "oMpn20St/nPtujKoxwwMlb5y3a4sA0IBzHdrYbDNUWTYwU/sMf0k87IS6742wrZwlu466a/TLe6STyfb";
pub const WRAPPED_4: [u8; WRAPPED_BYTES] = bytes(
    "a0ca67db44adfe73edba32a8c70c0c95be72ddae2c034201cc776b61b0cd5164d8c14fec31fd24f3b212ebbe36c2b67096ee3ae9afd32dee924f27db",
);
pub const DEK_4: [u8; KEY_BYTES] = bytes("8957254ac147411bf8d477d8f930cbf50b748af697e53bcd256c2c00e8f62867");

/// The data key of V4 to V8, and its id.
pub const DEK: [u8; KEY_BYTES] = bytes("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
pub const KEY_ID: u32 = 0x0102_0304;

/// A value under a key: ciphertext and tag.
pub fn seal(key: &[u8; KEY_BYTES], nonce: &[u8; 12], data: &[u8], plain: &[u8]) -> Vec<u8> {
    let mut value = plain.to_vec();
    let cipher = Aes256Gcm::new(key.into());
    let tag = cipher.encrypt_inout_detached(&Nonce::from(*nonce), data, value.as_mut_slice().into()).unwrap();
    value.extend_from_slice(&tag);
    value
}

/// All keys of the vectors, those of the node's store code wrapped here.
pub fn keyring() -> Keyring {
    let wrapped: Vec<u8> = [vec![5; 12], seal(&KEK, &[5; 12], b"", &DEK)].concat();
    let keys = [(1, WRAPPED_1), (4, WRAPPED_4), (KEY_ID, wrapped.try_into().unwrap())];
    let keys: BTreeMap<_, _> =
        keys.map(|(id, wrapped)| (id, WrappedKey { purpose: Purpose::Storage, wrapped })).into();
    Keyring::open(&Sidecar { raft_cutover_index: 0, keys }, &Kek::new(Zeroizing::new(KEK))).unwrap()
}

/// Data key, its id, raw key, value and plaintext.
pub type Vector = ([u8; KEY_BYTES], u32, Vec<u8>, Vec<u8>, Vec<u8>);

/// V1, V2, V4, V5, V7 and V8.
pub fn rows() -> Vec<Vector> {
    let row = |key, id, raw_key, value, plain| (key, id, hex(raw_key), hex(value), hex(plain));
    vec![
        row(
            DEK_1,
            1,
            "2172656469737c7374727c7a7a3a66696c6c6572fe5e020da5a6ffff",
            "02 0000000000000000 01 00 00000001 d4c000010000000000000005 179b5b92 0df73f8d45fb06b73549f27270ac631e",
            "ff010078",
        ),
        row(
            DEK_4,
            4,
            "2172656469737c7374727c0dfe5e020d9281fff1",
            "02 0000000000000000 01 00 00000004 d4c00001000000000000014e c58aa87fb9 d18d22af5045a535f8987d361d917477",
            "ff0100c328",
        ),
        row(
            DEK,
            KEY_ID,
            "6bfffffffffffffc17",
            "02efcdab89674523010100 01020304 abcd00020000000000000001 957ad015c8 a8b9c8a3669c6b54865d3e5b387cb319",
            "68656c6c6f",
        ),
        row(
            DEK,
            KEY_ID,
            "6bfffffffffffff82f",
            "0200000000000000000100 01020304 abcd00020000000000000002 75947a463b69d65f83a1a3dfad3d5abe",
            "",
        ),
        row(
            DEK,
            KEY_ID,
            "65fffffffffffff05f",
            "0200000000000000000100 01020304 abcd00020000000000000003 4e f835683428a006d5161ab18d05c31ad9",
            "78",
        ),
        row(
            DEK,
            KEY_ID,
            "65ffffffffffffec77",
            "0200000000000000100100 01020304 abcd00020000000000000004 77 139f215c3664c0bf8a8122b6b9ea0b88",
            "78",
        ),
    ]
}
