//! Which version of a key counts: the rule of `docs/format/snapshot.md` section 5, and the order of raw keys on
//! which it rests. Knows raw keys and timestamps; neither families nor files.
//!
//! Raw keys ascend, and a raw key is the user key followed by its complemented commit timestamp, so the newest
//! version of a key comes first and the first one at or below the read timestamp decides. But rows of a longer
//! key K·x can stand between the rows of K, where x sorts between two of K's complemented timestamps. K can still
//! receive rows only while rows begin with K: the keys still open are therefore prefixes of the current raw key,
//! and remembering how long each of them is remembers them all, in a few bytes a key.

use super::hlc::Hlc;

/// Bytes of the complemented commit timestamp at the end of a versioned raw key.
pub const TIMESTAMP_BYTES: usize = 8;

/// User key and commit timestamp of a raw key (`docs/format/snapshot.md` section 2); of one too short for a timestamp, all
/// of it and 0.
pub fn split_raw_key(raw_key: &[u8]) -> (&[u8], u64) {
    match raw_key.split_last_chunk() {
        Some((user_key, &suffix)) => (user_key, !u64::from_be_bytes(suffix)),
        None => (raw_key, 0),
    }
}

/// What the rule says of one version. Every version read gets exactly one verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Verdict {
    /// Its payload is the value of the key.
    Visible,
    /// A newer version of the key counts.
    Superseded,
    /// It counts, and says that the key does not exist.
    Tombstone,
    /// It counts, and its expiry has passed.
    Expired,
    /// It was committed after the read timestamp.
    AfterReadTimestamp,
}

impl Verdict {
    /// All verdicts, in the order in which they are printed.
    pub const ALL: [Self; 5] =
        [Self::Visible, Self::Superseded, Self::Tombstone, Self::Expired, Self::AfterReadTimestamp];

    /// The name in SQL and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Visible => "visible",
            Self::Superseded => "superseded",
            Self::Tombstone => "tombstone",
            Self::Expired => "expired",
            Self::AfterReadTimestamp => "after_read_timestamp",
        }
    }
}

impl Verdict {
    /// The verdict of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verdict| verdict.name() == name)
    }
}

/// The moment at which the store is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadAt {
    /// Versions after this do not count; `None` is no upper bound.
    pub as_of: Option<Hlc>,
    /// The body's own timestamp, against which expiries are judged without `as_of`.
    pub last_commit_ts: Hlc,
}

impl ReadAt {
    /// Does a version of this commit timestamp count at all?
    pub fn reaches(&self, commit_ts: u64) -> bool {
        self.as_of.is_none_or(|as_of| commit_ts <= as_of.0)
    }

    /// The verdict on the version that decides for its key. `expire_at` is an HLC timestamp, 0 for none.
    pub fn decide(&self, tombstone: bool, expire_at: u64) -> Verdict {
        if tombstone {
            Verdict::Tombstone
        } else if expire_at != 0 && expire_at <= self.as_of.unwrap_or(self.last_commit_ts).0 {
            Verdict::Expired
        } else {
            Verdict::Visible
        }
    }
}

/// The state of the rule between two rows of a body in raw key order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Versions {
    last: Vec<u8>,
    started: bool,
    open: Vec<Open>,
}

/// A user key that is a prefix of the last raw key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Open {
    bytes: usize,
    decided: bool,
}

impl Versions {
    /// Takes the next raw key. If it does not come strictly after the one before it, nothing changes and the answer
    /// is false.
    #[inline]
    pub fn advance(&mut self, raw_key: &[u8]) -> bool {
        let shared = common_prefix(&self.last, raw_key);
        let ascends = match (self.last.get(shared), raw_key.get(shared)) {
            (Some(before), Some(now)) => before < now,
            (None, Some(_)) => true,
            (_, None) => !self.started && raw_key.is_empty(),
        };
        if !ascends {
            return false;
        }
        self.started = true;
        self.last.truncate(shared);
        self.last.extend_from_slice(&raw_key[shared..]);
        while self.open.last().is_some_and(|key| key.bytes > shared) {
            self.open.pop();
        }
        true
    }

    /// The rule as it stood after `last` was taken, with `open_keys` as [`Self::open_keys`] gave them.
    pub fn resumed(last: Vec<u8>, open_keys: &[(u64, bool)]) -> Self {
        let open =
            open_keys.iter().map(|&(bytes, decided)| Open { bytes: bytes as usize, decided }).collect();
        Self { last, started: true, open }
    }

    /// The user keys that can still receive versions, by their length in bytes, and whether they are decided.
    pub fn open_keys(&self) -> Vec<(u64, bool)> {
        self.open.iter().map(|key| (key.bytes as u64, key.decided)).collect()
    }

    /// The raw key that `advance` took last.
    pub fn last(&self) -> &[u8] {
        &self.last
    }

    /// The verdict on the version whose raw key `advance` took last; its user key has `user_bytes` bytes.
    #[inline]
    pub fn judge(
        &mut self,
        user_bytes: usize,
        commit_ts: u64,
        tombstone: bool,
        expire_at: u64,
        read_at: &ReadAt,
    ) -> Verdict {
        // Only keys at most eight bytes longer can lie above this one on the stack.
        let mut place = self.open.len();
        while place > 0 && self.open[place - 1].bytes > user_bytes {
            place -= 1;
        }
        if place == 0 || self.open[place - 1].bytes != user_bytes {
            self.open.insert(place, Open { bytes: user_bytes, decided: false });
            place += 1;
        }
        let key = &mut self.open[place - 1];
        if key.decided {
            return Verdict::Superseded;
        }
        if !read_at.reaches(commit_ts) {
            return Verdict::AfterReadTimestamp;
        }
        key.decided = true;
        read_at.decide(tombstone, expire_at)
    }
}

/// Length in bytes of the longest common prefix.
#[inline]
fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    let (words_a, words_b) = (a.as_chunks().0, b.as_chunks().0);
    for (i, (x, y)) in words_a.iter().zip(words_b).enumerate() {
        let differing = u64::from_le_bytes(*x) ^ u64::from_le_bytes(*y);
        if differing != 0 {
            return 8 * i + differing.trailing_zeros() as usize / 8;
        }
    }
    let shared = 8 * words_a.len().min(words_b.len());
    shared + a[shared..].iter().zip(&b[shared..]).take_while(|(x, y)| x == y).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(user_key: &[u8], commit_ts: u64) -> Vec<u8> {
        [user_key, &(!commit_ts).to_be_bytes()].concat()
    }

    fn judge(versions: &mut Versions, user_key: &[u8], commit_ts: u64) -> Verdict {
        let read_at = ReadAt { as_of: None, last_commit_ts: Hlc(u64::MAX) };
        assert!(versions.advance(&raw(user_key, commit_ts)));
        versions.judge(user_key.len(), commit_ts, false, 0, &read_at)
    }

    #[test]
    fn a_key_stays_decided_while_rows_of_longer_keys_stand_between_its_versions() {
        let mut versions = Versions::default();
        let longer = [&b"k"[..], &(!0x0500u64).to_be_bytes()[..7], b"\xfe~"].concat();
        assert_eq!(judge(&mut versions, b"k", 0x0502), Verdict::Visible);
        assert_eq!(judge(&mut versions, &longer, 9), Verdict::Visible);
        assert_eq!(judge(&mut versions, &longer, 8), Verdict::Superseded);
        assert_eq!(judge(&mut versions, b"k", 0x0403), Verdict::Superseded);
        assert_eq!(judge(&mut versions, b"l", 1), Verdict::Visible);
    }

    #[test]
    fn a_raw_key_that_does_not_ascend_is_noticed() {
        let mut versions = Versions::default();
        assert!(versions.advance(b""));
        assert!(!versions.advance(b""));
        assert!(versions.advance(b"ab"));
        assert!(!versions.advance(b"ab"));
        assert!(versions.advance(b"abc"));
        assert!(!versions.advance(b"ab"));
        assert!(!versions.advance(b"aa"));
    }

    #[test]
    fn common_prefixes_are_found_at_every_length() {
        for length in 0..40 {
            let a = vec![7u8; length];
            for differs in 0..length {
                let mut b = a.clone();
                b[differs] = 8;
                assert_eq!(common_prefix(&a, &b), differs);
            }
            assert_eq!(common_prefix(&a, &a), length);
            assert_eq!(common_prefix(&a, &[&a[..], b"x"].concat()), length);
        }
    }
}
