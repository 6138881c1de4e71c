//! What a verification finds: its kind, where it is, and what is there. The kinds are a contract with scripts; each
//! stands in `docs/verify.md` with its meaning.

use crate::snapshot::Readable;
use crate::staging;

macro_rules! kinds {
    ($($(#[doc = $meaning:literal])+ $variant:ident = $name:literal;)+) => {
        /// The kinds of findings.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Kind {
            $($(#[doc = $meaning])+ $variant,)+
            /// A warning of the load, under its own name.
            Warning(staging::Kind),
        }

        impl Kind {
            /// All kinds but those of warnings.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The name in JSON and messages.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                    Self::Warning(kind) => kind.name(),
                }
            }

            /// What it means, in a sentence.
            pub fn meaning(self) -> &'static str {
                match self {
                    $(Self::$variant => concat!($($meaning),+).trim_ascii_start(),)+
                    Self::Warning(kind) => kind.meaning(),
                }
            }
        }
    };
}

kinds! {
    /// Bytes that contradict the format of a snapshot, its checksum included; what follows them was not read.
    SnapshotCorrupt = "snapshot_corrupt";
    /// A snapshot that ends in the middle of something.
    SnapshotTruncated = "snapshot_truncated";
    /// A row that breaks a rule of its family; a dump would lack it.
    MalformedRow = "malformed_row";
    /// SQLite finds the staging database damaged, or a power cut may have torn it.
    DatabaseDamaged = "database_damaged";
    /// The load into the staging database never came to its end.
    LoadUnfinished = "load_unfinished";
    /// The snapshot that a staging database was loaded from cannot be opened any more.
    SourceGone = "source_gone";
    /// The snapshot that a staging database was loaded from has changed since.
    SourceChanged = "source_changed";
    /// A large value whose bytes are not where the staging database says.
    LargeValueMissing = "large_value_missing";
    /// A number that a file states of itself is not what is there.
    CountMismatch = "count_mismatch";
    /// A dump without MANIFEST.json.
    ManifestMissing = "manifest_missing";
    /// A MANIFEST.json that a reader has to refuse.
    ManifestMalformed = "manifest_malformed";
    /// A dump without CHECKSUMS: that its files are whole cannot be said.
    ChecksumsMissing = "checksums_missing";
    /// A line of CHECKSUMS that is none.
    ChecksumsMalformed = "checksums_malformed";
    /// A path that stands in CHECKSUMS twice.
    ListedTwice = "listed_twice";
    /// A file that CHECKSUMS lists and the dump lacks.
    FileMissing = "file_missing";
    /// A file that CHECKSUMS does not list.
    FileExtra = "file_extra";
    /// A file with another SHA-256 than CHECKSUMS says.
    ChecksumMismatch = "checksum_mismatch";
    /// A file or folder that cannot be read.
    FileUnreadable = "file_unreadable";
    /// A symbolic link: a dump has none, and it is not followed.
    SymbolicLink = "symbolic_link";
    /// Neither a regular file nor a folder.
    SpecialFile = "special_file";
    /// A folder without anything in it: a dump has none.
    EmptyFolder = "empty_folder";
    /// A file that should be JSON, or JSON lines, and is not.
    JsonMalformed = "json_malformed";
    /// A line of a KEYMAP.jsonl that is none.
    KeymapMalformed = "keymap_malformed";
    /// A key or a name that stands in a KEYMAP.jsonl twice.
    KeymapDuplicate = "keymap_duplicate";
    /// A line of a KEYMAP.jsonl whose name is not that of its key.
    KeymapMismatch = "keymap_mismatch";
    /// A line of a KEYMAP.jsonl that leads to no file.
    KeymapDangling = "keymap_dangling";
    /// A file whose name does not lead back to its key, and no line of a KEYMAP.jsonl does.
    KeymapEntryMissing = "keymap_entry_missing";
    /// Files of a dump that others than their owner can read.
    ReadableByOthers = "readable_by_others";
    /// A file that a decode of the snapshot writes and the dump lacks.
    MissingFromDump = "missing_from_dump";
    /// A file of the dump that a decode of the snapshot does not write.
    NotInSnapshot = "not_in_snapshot";
    /// A file for which a decode of the snapshot writes other bytes.
    DiffersFromSnapshot = "differs_from_snapshot";
    /// A field of MANIFEST.json for which a decode of the snapshot writes another value.
    ManifestDiffers = "manifest_differs";
    /// A .snap file that cannot be read, or whose checksum disagrees.
    SnapFileMalformed = "snap_file_malformed";
    /// The index of the token is not that of the snapshot.
    TokenIndexMismatch = "token_index_mismatch";
    /// The CRC-32C of the token is not that of the snapshot.
    TokenCrcMismatch = "token_crc_mismatch";
    /// The name of a .snap file says another index or term than its content.
    SnapNameMismatch = "snap_name_mismatch";
    /// The index in a .snap file is not that of the token in it.
    SnapIndexMismatch = "snap_index_mismatch";
    /// The name of a snapshot says another index than its row _meta_applied_index.
    SnapshotIndexMismatch = "snapshot_index_mismatch";
}

/// Does it mean that something is wrong?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Yes: the verification has failed.
    Finding,
    /// No, but somebody should know.
    Note,
}

impl Severity {
    /// The name in JSON and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Finding => "finding",
            Self::Note => "note",
        }
    }
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What.
    pub kind: Kind,
    /// How bad.
    pub severity: Severity,
    /// Where: the file; in a dump, relative to its root. Empty if it is no one file.
    pub path: Vec<u8>,
    /// Where in the file, in bytes from its start, if that can be said.
    pub offset: Option<u64>,
    /// Which key, in readable form, if it is one key's.
    pub key: Option<String>,
    /// What is there, and what should be.
    pub detail: String,
}

impl Finding {
    /// Something that is wrong with a file.
    pub fn new(kind: Kind, path: &[u8], detail: impl Into<String>) -> Self {
        Self {
            kind,
            severity: Severity::Finding,
            path: path.to_vec(),
            offset: None,
            key: None,
            detail: detail.into(),
        }
    }

    /// The same at an offset in the file, in bytes.
    #[must_use]
    pub fn at(self, offset: u64) -> Self {
        Self { offset: Some(offset), ..self }
    }

    /// The same about a key.
    #[must_use]
    pub fn of_key(self, key: &[u8]) -> Self {
        Self { key: Some(Readable(key).to_string()), ..self }
    }

    /// The same as a note, or as a finding if it is one.
    #[must_use]
    pub fn note_unless(self, is_finding: bool) -> Self {
        Self { severity: if is_finding { Severity::Finding } else { Severity::Note }, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_stands_in_the_documentation_with_its_meaning() {
        let page = include_str!("../../docs/verify.md");
        for kind in Kind::ALL {
            let line = format!("| `{}` | {} |", kind.name(), kind.meaning());
            assert!(page.contains(&line), "docs/verify.md lacks: {line}");
        }
    }
}
