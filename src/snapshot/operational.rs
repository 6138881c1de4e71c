//! The bare, unversioned rows in which a node keeps book (`docs/format/snapshot.md` section 2).

/// The operational rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operational {
    /// `_meta_last_commit_ts`.
    LastCommitTs,
    /// `_meta_min_retained_ts`.
    MinRetainedTs,
    /// `_meta_pending_min_retained_ts`.
    PendingMinRetainedTs,
    /// `_meta_applied_index`.
    AppliedIndex,
    /// A row of the registry of encrypting writers (`docs/format/encryption.md` section 5).
    Writer {
        /// The key that the writer has used.
        key_id: u32,
    },
}

impl Operational {
    /// Which operational row this raw key is, if it is one. For the writers registry the exact shape decides,
    /// since a user key may begin with the same bytes.
    pub fn of(raw_key: &[u8], value_bytes: usize) -> Option<Self> {
        const WRITERS: &[u8] = b"!encryption|writers|";
        match raw_key {
            b"_meta_last_commit_ts" => Some(Self::LastCommitTs),
            b"_meta_min_retained_ts" => Some(Self::MinRetainedTs),
            b"_meta_pending_min_retained_ts" => Some(Self::PendingMinRetainedTs),
            b"_meta_applied_index" => Some(Self::AppliedIndex),
            _ => {
                let &[a, b, c, d, b'|', _, _] = raw_key.strip_prefix(WRITERS)? else { return None };
                (value_bytes == 12).then_some(Self::Writer { key_id: u32::from_be_bytes([a, b, c, d]) })
            }
        }
    }
}

/// What the operational rows of a file say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OperationalFacts {
    /// Oldest timestamp (HLC) at which the file can be read.
    pub min_retained_ts: Option<u64>,
    /// Raft index applied last.
    pub applied_index: Option<u64>,
}

impl OperationalFacts {
    /// Takes one row in; `None` if its value is not the le64 that it has to be.
    pub(super) fn take(&mut self, row: Operational, value: &[u8]) -> Option<()> {
        if matches!(row, Operational::Writer { .. }) {
            return Some(());
        }
        let number = u64::from_le_bytes(value.try_into().ok()?);
        match row {
            // What a manifest said stays (`docs/format/sstable.md` section 1).
            Operational::MinRetainedTs => _ = self.min_retained_ts.get_or_insert(number),
            Operational::AppliedIndex => _ = self.applied_index.get_or_insert(number),
            Operational::LastCommitTs | Operational::PendingMinRetainedTs | Operational::Writer { .. } => {}
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_writers_row_is_told_from_a_user_key_by_its_exact_shape() {
        let key = [&b"!encryption|writers|"[..], &[0, 0, 0, 1], b"|", &[0, 2]].concat();
        assert_eq!(Operational::of(&key, 12), Some(Operational::Writer { key_id: 1 }));
        assert_eq!(Operational::of(&key, 13), None);
        assert_eq!(Operational::of(&key[..26], 12), None);
        assert_eq!(Operational::of(b"_meta_applied_index2", 8), None);
    }
}
