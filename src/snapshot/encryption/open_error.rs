//! Why an encrypted row cannot be read (`docs/format/encryption.md` section 7). What is wrong with the files that hold
//! the keys is said in `sidecar`, `kek` and `keyring`.

use std::fmt;

use crate::snapshot::Hlc;

/// How many key ids a message lists.
const LISTED: usize = 20;

/// Key ids for a message; long lists are cut.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyIds {
    listed: Vec<u32>,
    more: usize,
}

impl FromIterator<u32> for KeyIds {
    fn from_iter<I: IntoIterator<Item = u32>>(ids: I) -> Self {
        let mut ids = ids.into_iter();
        let listed = ids.by_ref().take(LISTED).collect();
        Self { listed, more: ids.count() }
    }
}

impl fmt::Display for KeyIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.listed.is_empty() {
            return f.write_str("none");
        }
        let listed: Vec<_> = self.listed.iter().map(u32::to_string).collect();
        f.write_str(&listed.join(", "))?;
        if self.more > 0 { write!(f, " and {} more", self.more) } else { Ok(()) }
    }
}

/// What is wrong with an encrypted value, or with the keys for it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// No keys were given.
    #[error("it is encrypted (key id {0}), and no keys were given")]
    NoKeys(u32),
    /// An older sidecar, another cluster's, or the key was retired: these cannot be told apart.
    #[error(
        "key id {key_id} is not in the sidecar (it holds {held}): the sidecar is older than the snapshot or of another \
         cluster, or key {key_id} was retired"
    )]
    UnknownKeyId {
        /// The id that the row names.
        key_id: u32,
        /// The ids that the sidecar has.
        held: KeyIds,
    },
    /// The sidecar's entry is damaged.
    #[error("key id {key_id} does not open under this key-encryption key (ids that do: {opened})")]
    DoesNotOpen {
        /// The id that the row names.
        key_id: u32,
        /// The ids that open.
        opened: KeyIds,
    },
    /// Rows are encrypted with storage keys only.
    #[error("key id {0} is a Raft key")]
    RaftKey(u32),
    /// The tag does not match.
    #[error("authentication failed under key id {0}: key, header or value of this row was changed")]
    Tampered(u32),
    /// The state bits say clear, and the value is an envelope that opens.
    #[error("an encrypted value (key id {0}) relabelled as clear text")]
    Relabelled(u32),
    /// Shorter than an envelope of nothing.
    #[error("an encrypted value of {0} bytes; its envelope alone has 34")]
    Short(u64),
    /// No key has this id.
    #[error("an encrypted value with key id 0")]
    KeyIdZero,
    /// An envelope of a later version.
    #[error("an encryption envelope of version {0}, written by a newer version of elastickv")]
    Version(u8),
    /// An envelope with flags of a later version.
    #[error(
        "an encryption envelope (key id {key_id}) with flags {flags:#04x}, written by a newer version of elastickv"
    )]
    Flags {
        /// The id that it names.
        key_id: u32,
        /// The byte found.
        flags: u8,
    },
}

impl OpenError {
    /// Are the keys at fault? Then the same run can come further with others.
    pub fn is_of_keys(&self) -> bool {
        matches!(
            self,
            Self::NoKeys(_) | Self::UnknownKeyId { .. } | Self::DoesNotOpen { .. } | Self::RaftKey(_)
        )
    }

    /// Did a later version of elastickv write it?
    pub fn is_newer(&self) -> bool {
        matches!(self, Self::Version(_) | Self::Flags { .. })
    }
}

/// An encrypted row that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncryptedRow {
    /// The snapshot as given.
    pub name: String,
    /// Where the row begins, in bytes from the start of the file.
    pub offset: u64,
    /// The row's user key, in readable form.
    pub key: String,
    /// Commit timestamp of this version.
    pub commit_ts: Hlc,
    /// What is wrong with it.
    pub what: OpenError,
    /// CRC-32C of the file and what its footer says, if the rest could be read and they disagree.
    pub footer: Option<[u32; 2]>,
}

impl EncryptedRow {
    /// Are the keys at fault? In a file that is damaged anyway, the key id may be what was damaged.
    pub fn is_of_keys(&self) -> bool {
        self.footer.is_none() && self.what.is_of_keys()
    }

    /// Did a later version of elastickv write it? In a file that is damaged anyway, nobody knows.
    pub fn is_newer(&self) -> bool {
        self.footer.is_none() && self.what.is_newer()
    }
}

impl fmt::Display for EncryptedRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, offset, key, commit_ts, what, footer } = self;
        write!(
            f,
            "{name}: the value of key {key}, commit timestamp {commit_ts}, row at byte {offset}: {what}"
        )?;
        if let Some([computed, footer]) = footer {
            write!(
                f,
                "; the file is damaged, too: its CRC-32C is {computed:08x}, its footer says {footer:08x}"
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_of_key_ids_are_cut() {
        assert_eq!((1..=3).collect::<KeyIds>().to_string(), "1, 2, 3");
        assert_eq!(KeyIds::default().to_string(), "none");
        assert!((1..=1000).collect::<KeyIds>().to_string().ends_with("19, 20 and 980 more"));
    }
}
