//! Encrypted values: rows sealed as a node seals them, the two files that hold the keys, and whole `EKVPBBL1` files
//! encrypted row by row.
//!
//! Owns: `docs/format/encryption.md` sections 2 to 4, in constant memory but for one row. The ciphers are `aes-gcm`'s,
//! as the reader's are; everything around them is written here once more.
//! Leaves: damage to the tests, which change the bytes.

use std::fmt::Write as _;
use std::fs::{OpenOptions, Permissions};
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes256Gcm, Nonce};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::container::{Footer, HlcHeader};
use crate::version::FLAG_TOMBSTONE;
use crate::writer::SnapshotWriter;

/// Bit 1 of a versioned value's flag byte: its payload is an envelope (`docs/format/snapshot.md` section 2).
pub const FLAG_ENCRYPTED: u8 = 2;

/// A data key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DataKey {
    /// Its id, for rows not 0.
    pub id: u32,
    /// Whether values are encrypted with it, or Raft log entries.
    pub storage: bool,
    /// AES-256.
    pub bytes: [u8; 32],
}

impl DataKey {
    /// A storage key that is all made of one byte.
    pub fn storage(id: u32, byte: u8) -> Self {
        Self { id, storage: true, bytes: [byte; 32] }
    }
}

/// What a node keeps beside its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFiles {
    /// The key-encryption key.
    pub kek: [u8; 32],
    /// The data keys.
    pub keys: Vec<DataKey>,
    /// Log index of the Raft cutover, 0 for none.
    pub raft_cutover_index: u64,
}

impl KeyFiles {
    /// With two storage keys, 1 and 0x01020304, and a Raft key, 2.
    pub fn new() -> Self {
        let raft = DataKey { id: 2, storage: false, bytes: [22; 32] };
        let keys = vec![DataKey::storage(1, 11), raft, DataKey::storage(0x0102_0304, 33)];
        Self { kek: [7; 32], keys, raft_cutover_index: 0 }
    }

    /// The sidecar, as a node writes it.
    pub fn sidecar(&self) -> String {
        let active =
            |storage| self.keys.iter().rev().find(|key| key.storage == storage).map_or(0, |key| key.id);
        let mut keys: Vec<_> = self.keys.iter().map(|key| (key.id.to_string(), key)).collect();
        keys.sort();
        let mut entries = String::new();
        for (id, key) in keys {
            let purpose = if key.storage { "storage" } else { "raft" };
            let wrapped = STANDARD.encode(self.wrapped(key));
            let comma = if entries.is_empty() { "" } else { "," };
            let _ = write!(
                entries,
                "{comma}\n    \"{id}\": {{\n      \"purpose\": \"{purpose}\",\n      \"wrapped\": \"{wrapped}\",\n      \
                 \"created\": \"2026-11-21T11:51:08Z\",\n      \"local_epoch\": 1\n    }}"
            );
        }
        format!(
            "{{\n  \"version\": 2,\n  \"raft_applied_index\": 440,\n  \"storage_envelope_active\": true,\n  \
             \"storage_envelope_cutover_index\": 233,\n  \"raft_envelope_cutover_index\": {},\n  \"active\": {{\n    \
             \"storage\": {},\n    \"raft\": {}\n  }},\n  \"keys\": {{{entries}\n  }}\n}}",
            self.raft_cutover_index,
            active(true),
            active(false),
        )
    }

    fn wrapped(&self, key: &DataKey) -> Vec<u8> {
        let nonce = [key.id as u8; 12];
        [&nonce[..], &sealed(&self.kek, &nonce, &[], &key.bytes)].concat()
    }

    /// Writes `keys.json` and `kek.bin` into a folder, for their owner only.
    pub fn write_to(&self, folder: &Path) -> io::Result<()> {
        for (name, bytes) in [("keys.json", self.sidecar().as_bytes()), ("kek.bin", &self.kek)] {
            let path = folder.join(name);
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(&path)?;
            file.set_permissions(Permissions::from_mode(0o600))?;
            file.write_all(bytes)?;
        }
        Ok(())
    }
}

impl Default for KeyFiles {
    fn default() -> Self {
        Self::new()
    }
}

/// The encrypted form of a value as it is stored in clear: version header and payload. The header's flags gain
/// [`FLAG_ENCRYPTED`].
pub fn seal(key: &DataKey, nonce: [u8; 12], raw_key: &[u8], clear: &[u8]) -> Vec<u8> {
    let (header, plain) = clear.split_at(9);
    let mut value = header.to_vec();
    value[0] |= FLAG_ENCRYPTED;
    let prefix = [&[1, 0], &key.id.to_be_bytes()[..]].concat();
    let data = [&prefix[..], &value, raw_key].concat();
    value.extend_from_slice(&prefix);
    value.extend_from_slice(&nonce);
    value.extend(sealed(&key.bytes, &nonce, &data, plain));
    value
}

/// Nonces of one node and one start of its process.
#[derive(Debug, Default)]
pub struct Nonces(u64);

impl Nonces {
    /// One more: node abcd, epoch 2, and a counter from 1.
    pub fn take(&mut self) -> [u8; 12] {
        self.0 += 1;
        let mut nonce = [0xab, 0xcd, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0];
        nonce[4..].copy_from_slice(&self.0.to_be_bytes());
        nonce
    }
}

fn sealed(key: &[u8; 32], nonce: &[u8; 12], data: &[u8], plain: &[u8]) -> Vec<u8> {
    let mut value = plain.to_vec();
    let cipher = Aes256Gcm::new(key.into());
    let tag = cipher.encrypt_inout_detached(&Nonce::from(*nonce), data, value.as_mut_slice().into());
    // Only values of 64 GiB and more are too long.
    value.extend_from_slice(tag.unwrap_or_default().as_slice());
    value
}

/// Rewrites an `EKVPBBL1` file with its values encrypted; `key` says under which key the value of the nth versioned row
/// is, `None` for clear. Operational rows and tombstones stay as they are, as in a node.
pub fn encrypt<'k, W: Write>(
    source: impl Read,
    out: W,
    mut key: impl FnMut(u64) -> Option<&'k DataKey>,
) -> io::Result<W> {
    let mut source = BufReader::with_capacity(256 << 10, source);
    let mut head = vec![0; 8];
    source.read_exact(&mut head)?;
    let mut header = HlcHeader::None;
    if head.starts_with(b"EKVTHLC") {
        let mut length = [0, 8];
        if head[7] == b'2' {
            source.read_exact(&mut length)?;
            head.extend(length);
        }
        let end = head.len() + usize::from(u16::from_be_bytes(length));
        let start = head.len();
        head.resize(end, 0);
        source.read_exact(&mut head[start..])?;
        header = HlcHeader::Bytes(std::mem::replace(&mut head, vec![0; 8]));
        source.read_exact(&mut head)?;
    }
    if head != b"EKVPBBL1" {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "no EKVPBBL1 body"));
    }
    let mut field = [0; 8];
    source.read_exact(&mut field)?;
    let mut writer = SnapshotWriter::new(out, &header, u64::from_le_bytes(field))?;
    let (mut nonces, mut rows) = (Nonces::default(), 0);
    let (mut raw_key, mut value) = (Vec::new(), Vec::new());
    let footer = loop {
        let mut got = 0;
        while got < 8 {
            match source.read(&mut field[got..])? {
                0 => break,
                n => got += n,
            }
        }
        if got < 8 {
            break if got == 4 { Footer::Good } else { Footer::None };
        }
        take(&mut source, u64::from_le_bytes(field), &mut raw_key)?;
        source.read_exact(&mut field)?;
        take(&mut source, u64::from_le_bytes(field), &mut value)?;
        let operational = raw_key.starts_with(b"_meta_") || raw_key.starts_with(b"!encryption|writers|");
        let chosen = if operational { None } else { key(rows) };
        rows += u64::from(!operational);
        match chosen {
            Some(key) if value[0] & FLAG_TOMBSTONE == 0 => {
                writer.raw(&raw_key, &seal(key, nonces.take(), &raw_key, &value))?;
            }
            _ => writer.raw(&raw_key, &value)?,
        }
    };
    writer.finish(footer)
}

fn take(source: &mut impl Read, bytes: u64, into: &mut Vec<u8>) -> io::Result<()> {
    into.clear();
    if source.take(bytes).read_to_end(into)? as u64 == bytes {
        Ok(())
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sorted::SortedSnapshot;
    use crate::split::raw_rows;
    use crate::version::Version;
    use crate::writer::APPLIED_INDEX;

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.chars().filter_map(|c| c.to_digit(16)).map(|digit| digit as u8).collect();
        digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
    }

    #[test]
    fn the_vectors_of_the_format_are_sealed_to_the_byte() {
        let key = DataKey { id: 0x0102_0304, storage: true, bytes: std::array::from_fn(|i| i as u8) };
        let mut nonces = Nonces::default();
        let v4 =
            seal(&key, nonces.take(), &hex("6bfffffffffffffc17"), b"\0\xef\xcd\xab\x89\x67\x45\x23\x01hello");
        assert_eq!(
            v4,
            hex(
                "02efcdab8967452301010001020304abcd00020000000000000001957ad015c8a8b9c8a3669c6b54865d3e5b387cb319"
            )
        );
        let v5 = seal(&key, nonces.take(), &hex("6bfffffffffffff82f"), &[0; 9]);
        assert_eq!(
            v5,
            hex("0200000000000000000100 01020304 abcd00020000000000000002 75947a463b69d65f83a1a3dfad3d5abe")
        );
    }

    #[test]
    fn a_file_is_rewritten_row_by_row_and_what_a_node_leaves_in_clear_stays() {
        let clear = SortedSnapshot::new(9)
            .header(HlcHeader::V2 { ceiling_ms: 1, cutover_index: 2, extra: vec![7; 3] })
            .operational(APPLIED_INDEX, 3)
            .versions(&[Version::put("a", 1, "x"), Version::tombstone("b", 2), Version::put("c", 3, "")])
            .to_bytes()
            .unwrap();
        let files = KeyFiles::new();
        assert_eq!(encrypt(&clear[..], Vec::new(), |_| None).unwrap(), clear);
        let sealed = encrypt(&clear[..], Vec::new(), |row| (row == 0).then_some(&files.keys[0])).unwrap();
        let before = raw_rows(&clear, 29, true);
        let after = raw_rows(&sealed, 29, true);
        assert_eq!(before.len(), after.len());
        for ((key, value), (same, sealed)) in before.into_iter().zip(after) {
            assert_eq!(key, same);
            if key.starts_with(b"a") {
                assert_eq!((sealed[0], sealed.len()), (FLAG_ENCRYPTED, value.len() + 34));
            } else {
                assert_eq!(value, sealed);
            }
        }
    }
}
