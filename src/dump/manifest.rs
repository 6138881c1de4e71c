//! `MANIFEST.json`: what a dump says of itself (`docs/format/dump.md` section 4).
//!
//! Owns the fields, their order and spelling, when one is left out, and what a reader refuses. Where the values come
//! from, the form of `wall_time_iso` among them, is left to the caller. Names are written in the order they are given.

use super::json::{self, Layout, Markup};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, Visitor},
};
use serde_json::{Map, Value};
use std::fmt;

/// The one format version there is.
pub const FORMAT_VERSION: u64 = 1;

/// The phase of every dump that was decoded from snapshots.
pub const PHASE: &str = "phase0-snapshot-decode";

/// A whole manifest. An empty string, an empty list and 0 mean "unknown" where the format leaves a field out for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT_VERSION`].
    pub format_version: u64,
    /// [`PHASE`].
    pub phase: String,
    /// Version of the elastickv that wrote the snapshot; empty if not given.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub elastickv_version: String,
    /// Name of the cluster; empty if not given.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cluster_id: String,
    /// Raft index of the snapshot; 0 if unknown.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub snapshot_index: u64,
    /// Greatest commit timestamp (HLC) of all inputs; 0 if unknown.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub last_commit_ts: u64,
    /// When the dump was made, UTC with three digits of milliseconds. The only field that may differ between two runs.
    pub wall_time_iso: String,
    /// The input; with several, the first of them.
    pub source: Source,
    /// What was asked for, and what it holds.
    pub adapters: Adapters,
    /// What was left out or let in by options.
    pub exclusions: Exclusions,
    /// `sha256`.
    pub checksum_algorithm: String,
    /// `sha256sum`.
    pub checksum_format: String,
    /// `rfc3986-unreserved-plus-percent`.
    pub encoded_filename_charset: String,
    /// [`KEY_SEGMENT_MAX_BYTES`](super::name::KEY_SEGMENT_MAX_BYTES).
    pub key_segment_max_bytes: u64,
    /// What the file beside an S3 object adds to its name.
    pub s3_meta_suffix: String,
    /// How an S3 object gives way whose path is also a folder.
    pub s3_collision_strategy: String,
    /// How DynamoDB items are spread over files.
    pub dynamodb_layout: String,
    /// Our own block; absent from dumps of other tools.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decode: Option<Decode>,
}

impl Manifest {
    /// A manifest with every fixed field of the format, without adapters, and all exclusions at `false`.
    #[must_use]
    pub fn new(wall_time_iso: String, source: Source) -> Self {
        Self {
            format_version: FORMAT_VERSION,
            phase: PHASE.to_owned(),
            elastickv_version: String::new(),
            cluster_id: String::new(),
            snapshot_index: 0,
            last_commit_ts: 0,
            wall_time_iso,
            source,
            adapters: Adapters::default(),
            exclusions: Exclusions::default(),
            checksum_algorithm: "sha256".to_owned(),
            checksum_format: "sha256sum".to_owned(),
            encoded_filename_charset: "rfc3986-unreserved-plus-percent".to_owned(),
            key_segment_max_bytes: super::name::KEY_SEGMENT_MAX_BYTES as u64,
            s3_meta_suffix: ".elastickv-meta.json".to_owned(),
            s3_collision_strategy: "leaf-data-suffix".to_owned(),
            dynamodb_layout: "per-item".to_owned(),
            decode: None,
        }
    }

    /// The bytes of `MANIFEST.json`: indented, with a newline at the end.
    ///
    /// # Errors
    /// None is known: every field has a form in JSON, and memory takes every write.
    pub fn to_bytes(&self) -> serde_json::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        json::push_document(self, Layout::Indented(0), Markup::Keep, &mut bytes)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Reads a manifest; keys that the format does not know are ignored.
    ///
    /// # Errors
    /// What "Reading a manifest" of `docs/format/dump.md` section 4 refuses, the version first: a newer format may
    /// differ in everything else.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        let mut deserializer = serde_json::Deserializer::from_slice(bytes);
        let document = Map::deserialize(&mut deserializer).map_err(ManifestError::NotAnObject)?;
        deserializer.end().map_err(|_| ManifestError::TrailingBytes)?;

        match present(&document, "format_version") {
            None => return Err(ManifestError::NoFormatVersion),
            Some(version) => match version.as_u64() {
                Some(0) => return Err(ManifestError::NoFormatVersion),
                Some(FORMAT_VERSION) => {}
                Some(version) => return Err(ManifestError::NewerFormat(version)),
                None => return Err(ManifestError::BadFormatVersion(version.to_string())),
            },
        }
        match document.get("phase") {
            Some(Value::String(phase)) if phase == PHASE => {}
            Some(phase) => return Err(ManifestError::UnknownPhase(phase.to_string())),
            None => return Err(ManifestError::UnknownPhase("none".to_owned())),
        }
        for section in ["source", "adapters", "exclusions"] {
            present(&document, section).ok_or(ManifestError::MissingSection(section))?;
        }
        if let Some(Value::Object(exclusions)) = document.get("exclusions") {
            for flag in REQUIRED_EXCLUSIONS {
                present(exclusions, flag).ok_or(ManifestError::MissingExclusion(flag))?;
            }
        }
        serde_json::from_value(Value::Object(document)).map_err(ManifestError::BadField)
    }
}

/// Where the data came from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Path of the snapshot as it was given.
    pub fsm_path: String,
    /// Checksum of the snapshot; `None` if it has no footer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fsm_crc32c: Option<Crc32c>,
}

/// The adapters of a dump: `None` if one was not asked for, an empty list if it holds nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adapters {
    /// DynamoDB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dynamodb: Option<DynamoDb>,
    /// S3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub s3: Option<S3>,
    /// Redis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redis: Option<Redis>,
    /// SQS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sqs: Option<Sqs>,
}

/// What a dump holds of DynamoDB.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DynamoDb {
    /// Names of the tables as text, in byte order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<String>,
}

/// What a dump holds of S3.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct S3 {
    /// Names of the buckets as text, in byte order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub buckets: Vec<String>,
}

/// What a dump holds of Redis.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redis {
    /// Numbers of the databases.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub databases: Vec<u32>,
}

/// What a dump holds of SQS.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sqs {
    /// Names of the queues as text, in byte order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub queues: Vec<String>,
}

/// The options that decide what is in a dump and what is not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exclusions {
    /// Unfinished S3 uploads are in the dump.
    pub include_incomplete_uploads: bool,
    /// S3 chunks without an object are in the dump.
    pub include_orphans: bool,
    /// SQS messages keep the time until which they are hidden.
    pub preserve_sqs_visibility: bool,
    /// The side records of SQS are in the dump.
    pub include_sqs_side_records: bool,
    /// S3 objects give way to folders of the same path. Set only if S3 was asked for; left out if false.
    #[serde(default, skip_serializing_if = "is_false")]
    pub rename_s3_collisions: bool,
}

/// The flags that every manifest must hold.
const REQUIRED_EXCLUSIONS: [&str; 4] =
    ["include_incomplete_uploads", "include_orphans", "preserve_sqs_visibility", "include_sqs_side_records"];

/// Our own block: how the dump was made and what was met on the way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decode {
    /// Version of this tool.
    pub tool_version: String,
    /// Timestamp (HLC) at which the snapshot was read, or `None` for its end.
    pub as_of: Option<u64>,
    /// Rows read per class (`docs/format/snapshot.md` section 6).
    pub rows: Counts,
    /// Keys exported per family.
    pub keys: Counts,
    /// Warnings per kind.
    pub warnings: Counts,
    /// Malformed rows that were set aside.
    pub quarantined_rows: u64,
    /// Rows whose value was encrypted, by key id. Not written if there are none.
    #[serde(default, skip_serializing_if = "Counts::is_empty")]
    pub encrypted_rows: Counts,
    /// How far the bytes of the inputs could be checked.
    pub integrity: Integrity,
    /// Expired keys were left out. Not written if false.
    #[serde(default, skip_serializing_if = "is_false")]
    pub drop_expired: bool,
    /// All inputs, if there are several; else empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<SourceEntry>,
}

/// How far the bytes of the inputs could be checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Integrity {
    /// The footer of every input agrees with its bytes.
    #[serde(rename = "crc32c-verified")]
    Crc32cVerified,
    /// An input has no footer.
    #[serde(rename = "no-footer")]
    NoFooter,
}

/// One input of several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceEntry {
    /// Path as it was given.
    pub fsm_path: String,
    /// Checksum; `None` if the file has no footer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fsm_crc32c: Option<Crc32c>,
    /// Raft index; 0 if unknown.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub snapshot_index: u64,
    /// Its own last commit timestamp (HLC).
    pub last_commit_ts: u64,
    /// Rows read from it.
    pub rows: u64,
}

/// A CRC32C, written as 8 lower-case hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Crc32c(pub u32);

impl From<Crc32c> for String {
    fn from(Crc32c(crc): Crc32c) -> Self {
        format!("{crc:08x}")
    }
}

impl TryFrom<String> for Crc32c {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        const REFUSED: &str = "a CRC32C is 8 lower-case hex digits";
        let crc = u32::from_str_radix(&text, 16).map(Crc32c).map_err(|_| REFUSED)?;
        if String::from(crc) == text { Ok(crc) } else { Err(REFUSED) }
    }
}

/// Names with numbers, a JSON object that keeps the order it was given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts(pub Vec<(String, u64)>);

impl Counts {
    /// Are there none?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Counts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, count)| (name, count)))
    }
}

impl<'de> Deserialize<'de> for Counts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Counts;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of counts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Counts, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Counts(pairs))
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

/// Why a manifest was refused.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// Not JSON, or not an object.
    #[error("the manifest is not a JSON object")]
    NotAnObject(#[source] serde_json::Error),
    /// Something other than white space follows the object.
    #[error("bytes follow the end of the manifest")]
    TrailingBytes,
    /// `format_version` is missing, null or 0.
    #[error("the manifest has no format_version")]
    NoFormatVersion,
    /// `format_version` is not a whole number.
    #[error("format_version {0} is not a whole number")]
    BadFormatVersion(String),
    /// The dump was made by a later tool.
    #[error("format_version {0} is newer than this tool, which reads up to {FORMAT_VERSION}")]
    NewerFormat(u64),
    /// The phase, as it stands in the manifest, is not one that this tool knows.
    #[error("unknown phase {0}, expected \"{PHASE}\"")]
    UnknownPhase(String),
    /// A section is missing or null.
    #[error("the manifest has no section \"{0}\"")]
    MissingSection(&'static str),
    /// One of the flags that must be given is missing or null.
    #[error("the manifest has no exclusion flag \"{0}\"")]
    MissingExclusion(&'static str),
    /// Another field is missing or of another type than the format says.
    #[error("a field of the manifest is missing or malformed")]
    BadField(#[source] serde_json::Error),
}

fn present<'a>(object: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    object.get(key).filter(|value| !value.is_null())
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

fn is_false(flag: &bool) -> bool {
    !flag
}

#[cfg(test)]
mod tests;
