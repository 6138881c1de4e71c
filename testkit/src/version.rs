//! One version of one user key.
//!
//! Owns: its fields, and its raw key and raw value in an `EKVPBBL1` body.
//! Leaves: files to the writers, and what a set of versions means to [`crate::oracle`].

/// Bit 0 of a versioned value's flag byte (`docs/format/snapshot.md` section 2).
pub const FLAG_TOMBSTONE: u8 = 1;

/// One retained version; timestamps are HLC numbers (Unix ms << 16 | counter).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// The key as a client of the store knows it, without timestamp.
    pub user_key: Vec<u8>,
    /// Commit timestamp.
    pub commit_ts: u64,
    /// Whether this version deletes the key.
    pub tombstone: bool,
    /// Timestamp at which the version stops to exist; 0 = never.
    pub expire_at: u64,
    /// The value; empty in the tombstones that nodes write.
    pub payload: Vec<u8>,
}

impl Version {
    /// A value without expiry.
    pub fn put(user_key: impl Into<Vec<u8>>, commit_ts: u64, payload: impl Into<Vec<u8>>) -> Self {
        Self::expiring(user_key, commit_ts, 0, payload)
    }

    /// A value that ends at the HLC timestamp `expire_at`.
    pub fn expiring(
        user_key: impl Into<Vec<u8>>,
        commit_ts: u64,
        expire_at: u64,
        payload: impl Into<Vec<u8>>,
    ) -> Self {
        let (user_key, payload) = (user_key.into(), payload.into());
        Self { user_key, commit_ts, tombstone: false, expire_at, payload }
    }

    /// A deletion.
    pub fn tombstone(user_key: impl Into<Vec<u8>>, commit_ts: u64) -> Self {
        Self { tombstone: true, ..Self::put(user_key, commit_ts, []) }
    }

    /// User key and complemented commit timestamp (`docs/format/snapshot.md` section 2).
    pub fn raw_key(&self) -> Vec<u8> {
        raw_key(&self.user_key, self.commit_ts)
    }

    /// Flag byte, expiry and payload (`docs/format/snapshot.md` section 2).
    pub fn raw_value(&self) -> Vec<u8> {
        let flags = if self.tombstone { FLAG_TOMBSTONE } else { 0 };
        [&[flags], self.expire_at.to_le_bytes().as_slice(), &self.payload].concat()
    }
}

/// The raw key of `user_key` at `commit_ts`; newer versions of a key sort first.
pub fn raw_key(user_key: &[u8], commit_ts: u64) -> Vec<u8> {
    [user_key, &(!commit_ts).to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newer_versions_sort_first() {
        assert!(raw_key(b"k", 256) < raw_key(b"k", 255));
        assert_eq!(raw_key(b"k", 1), b"k\xff\xff\xff\xff\xff\xff\xff\xfe");
    }

    #[test]
    fn a_value_is_flags_then_little_endian_expiry_then_payload() {
        assert_eq!(Version::expiring("k", 1, 2, "v").raw_value(), b"\0\x02\0\0\0\0\0\0\0v");
        assert_eq!(Version::tombstone("k", 1).raw_value(), b"\x01\0\0\0\0\0\0\0\0");
    }
}
