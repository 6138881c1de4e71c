//! Which version counts, the obvious way.
//!
//! Owns: `docs/format/snapshot.md` section 5 for one file, over a whole set of versions in memory and
//! without any use of their order. Slow and plain on purpose: it is what cleverer code is held against.
//! Leaves: the refusal of read times before `min_retained_ts`, and operational rows.

use std::collections::BTreeMap;

use crate::version::Version;

/// What one version is to a reader; every version is exactly one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fate {
    /// Its payload is the key's value.
    Visible,
    /// A newer version of its key counts, whatever that one is.
    Superseded,
    /// It counts, and deletes the key (an expiry on a tombstone changes nothing).
    Tombstone,
    /// It counts, and had ended by the read time.
    Expired,
    /// It was committed after the read timestamp.
    TooNew,
}

/// The state a client would have seen, and how many versions had which fate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// The value of every key that exists.
    pub values: BTreeMap<Vec<u8>, Vec<u8>>,
    /// How many versions had each fate; a fate that none had is absent.
    pub fates: BTreeMap<Fate, usize>,
}

impl Verdict {
    /// How many versions had this fate.
    pub fn count(&self, fate: Fate) -> usize {
        self.fates.get(&fate).copied().unwrap_or(0)
    }
}

/// Reads `versions` (any order, one per key and timestamp) at `read_ts`; `None` = no upper bound, and
/// expiries are then held against `last_commit_ts`. All timestamps are HLC numbers.
pub fn judge(versions: &[Version], read_ts: Option<u64>, last_commit_ts: u64) -> Verdict {
    let mut verdict = Verdict::default();
    let mut by_key: BTreeMap<&[u8], BTreeMap<u64, &Version>> = BTreeMap::new();
    for version in versions {
        by_key.entry(&version.user_key).or_default().insert(version.commit_ts, version);
    }
    for (user_key, history) in by_key {
        let newest = history.keys().copied().filter(|&ts| read_ts.is_none_or(|t| ts <= t)).max();
        for (commit_ts, version) in history {
            let fate = if read_ts.is_some_and(|t| commit_ts > t) {
                Fate::TooNew
            } else if Some(commit_ts) != newest {
                Fate::Superseded
            } else if version.tombstone {
                Fate::Tombstone
            } else if version.expire_at != 0 && version.expire_at <= read_ts.unwrap_or(last_commit_ts) {
                Fate::Expired
            } else {
                verdict.values.insert(user_key.to_vec(), version.payload.clone());
                Fate::Visible
            };
            *verdict.fates.entry(fate).or_default() += 1;
        }
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(versions: &[Version], read_ts: Option<u64>, last_commit_ts: u64) -> Option<Vec<u8>> {
        judge(versions, read_ts, last_commit_ts).values.remove(b"k".as_slice())
    }

    #[test]
    fn the_newest_version_up_to_the_read_timestamp_counts() {
        let history = [Version::put("k", 5, "b"), Version::put("k", 9, "c"), Version::put("k", 2, "a")];
        assert_eq!(value(&history, None, 9), Some(b"c".to_vec()));
        assert_eq!(value(&history, Some(8), 9), Some(b"b".to_vec()));
        assert_eq!(value(&history, Some(5), 9), Some(b"b".to_vec()));
        assert_eq!(value(&history, Some(1), 9), None);
    }

    #[test]
    fn without_a_read_timestamp_even_a_version_after_the_last_commit_counts() {
        assert_eq!(value(&[Version::put("k", 10, "v")], None, 9), Some(b"v".to_vec()));
    }

    #[test]
    fn a_deleted_key_does_not_fall_back_to_an_older_version() {
        let history = [Version::put("k", 1, "a"), Version::tombstone("k", 2), Version::put("k", 3, "c")];
        assert_eq!(value(&history, Some(2), 9), None);
        assert_eq!(value(&history, None, 9), Some(b"c".to_vec()));
    }

    #[test]
    fn an_expiry_ends_a_version_at_its_very_timestamp() {
        let history = [Version::put("k", 1, "old"), Version::expiring("k", 2, 7, "v")];
        assert_eq!(value(&history, None, 6), Some(b"v".to_vec()));
        assert_eq!(value(&history, None, 7), None);
        assert_eq!(value(&history, Some(6), 7), Some(b"v".to_vec()));
        assert_eq!(value(&history, Some(7), 6), None);
    }

    #[test]
    fn every_version_has_exactly_one_fate() {
        let versions = [
            Version::put("a", 1, "1"),
            Version::put("a", 2, "2"),
            Version::tombstone("b", 2),
            Version::expiring("c", 2, 3, "3"),
            Version::put("c", 4, "4"),
        ];
        let verdict = judge(&versions, Some(3), 9);
        let all = [Fate::Visible, Fate::Superseded, Fate::Tombstone, Fate::Expired, Fate::TooNew];
        assert_eq!(all.map(|fate| verdict.count(fate)), [1; 5]);
        assert_eq!(verdict.values, BTreeMap::from([(b"a".to_vec(), b"2".to_vec())]));
    }
}
