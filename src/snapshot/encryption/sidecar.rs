//! The sidecar: a node's `keys.json` with its wrapped data keys (`docs/format/encryption.md` section 4). Pure. Leaves
//! opening the keys to `keyring`.
//!
//! No message shows what a field holds: a key may have slipped into the wrong one.

use std::collections::{BTreeMap, HashMap};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::kek::WRAPPED_BYTES;
use crate::snapshot::Readable;

/// The versions that are known. 2 has the index at which storage was switched on, too.
const VERSIONS: std::ops::RangeInclusive<u64> = 1..=2;

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Values of rows.
    Storage,
    /// Entries of the Raft log.
    Raft,
}

/// A data key as the sidecar holds it.
pub struct WrappedKey {
    /// What it is for.
    pub purpose: Purpose,
    /// Nonce, ciphertext and tag.
    pub wrapped: [u8; WRAPPED_BYTES],
}

/// What a reader needs of a sidecar.
pub struct Sidecar {
    /// Raft index of the Raft cutover, 0 if there was none yet.
    pub raft_cutover_index: u64,
    /// The keys by id.
    pub keys: BTreeMap<u32, WrappedKey>,
}

/// What is wrong with a sidecar.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SidecarError {
    /// Not JSON, or no object.
    #[error("it is no JSON object (line {line}, column {column})")]
    NotJson {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// A field is missing.
    #[error("the field {0} is missing")]
    Missing(String),
    /// A field holds something else than it should.
    #[error("the field {field} is not {expected}")]
    Wrong {
        /// Which field, with the key id if it belongs to one.
        field: String,
        /// What it should hold.
        expected: &'static str,
    },
    /// A version that no node has written yet.
    #[error("it has version {0}, written by a newer version of elastickv; 1 and 2 are known")]
    Newer(u64),
    /// A key of another kind.
    #[error("the purpose of key id {0} is neither storage nor raft")]
    Purpose(u32),
    /// A key under something else than a number.
    #[error("the key id {0} is not a decimal number from 1 to 4294967295")]
    KeyId(String),
    /// Not the length of a wrapped key.
    #[error("the wrapped key of key id {key_id} has {length} bytes instead of 60")]
    WrappedLength {
        /// The key.
        key_id: u32,
        /// Its bytes.
        length: usize,
    },
    /// The active key of a purpose is not there, or for another purpose.
    #[error("active.{purpose} is key id {key_id}, which keys does not hold for that purpose")]
    Active {
        /// `storage` or `raft`.
        purpose: &'static str,
        /// The id it names.
        key_id: u32,
    },
}

type Object<'a> = HashMap<String, &'a RawValue>;

impl Sidecar {
    /// Reads the bytes of a sidecar. Unknown fields are passed over.
    ///
    /// # Errors
    /// What is wrong, with field and key id.
    pub fn parse(json: &[u8]) -> Result<Self, SidecarError> {
        let top: Object<'_> = serde_json::from_slice(json)
            .map_err(|error| SidecarError::NotJson { line: error.line(), column: error.column() })?;
        // Before anything else: later versions may have other fields.
        let version = required(&top, "", "version", "a number")?;
        if version == 0 {
            return Err(SidecarError::Wrong { field: "version".to_owned(), expected: "1 or 2" });
        }
        if !VERSIONS.contains(&version) {
            return Err(SidecarError::Newer(version));
        }
        let cutover = optional(&top, "", "raft_envelope_cutover_index", "a number")?;
        let mut keys = BTreeMap::new();
        let entries: Object<'_> = required(&top, "", "keys", "an object")?;
        for (id, entry) in entries {
            let key_id = key_id(&id)?;
            keys.insert(key_id, wrapped_key(key_id, entry)?);
        }
        let active: Object<'_> = optional(&top, "", "active", "an object")?.unwrap_or_default();
        for (name, purpose) in [("storage", Purpose::Storage), ("raft", Purpose::Raft)] {
            let key_id = optional(&active, "active.", name, "a key id")?.unwrap_or(0);
            if key_id != 0 && keys.get(&key_id).is_none_or(|key| key.purpose != purpose) {
                return Err(SidecarError::Active { purpose: name, key_id });
            }
        }
        Ok(Self { raft_cutover_index: cutover.unwrap_or(0), keys })
    }
}

/// In the one form in which nodes write it, so that no two texts are one id.
fn key_id(text: &str) -> Result<u32, SidecarError> {
    text.parse()
        .ok()
        .filter(|id: &u32| *id != 0 && id.to_string() == text)
        .ok_or_else(|| SidecarError::KeyId(format!("\"{}\"", Readable(text.as_bytes()))))
}

fn wrapped_key(key_id: u32, entry: &RawValue) -> Result<WrappedKey, SidecarError> {
    let prefix = format!("keys.{key_id}.");
    let entry: Object<'_> = read(entry, prefix.trim_end_matches('.'), "an object")?;
    let purpose = match required::<String>(&entry, &prefix, "purpose", "text")?.as_str() {
        "storage" => Purpose::Storage,
        "raft" => Purpose::Raft,
        _ => return Err(SidecarError::Purpose(key_id)),
    };
    let text: String = required(&entry, &prefix, "wrapped", "text")?;
    let wrapped = STANDARD.decode(text).map_err(|_| SidecarError::Wrong {
        field: format!("{prefix}wrapped"),
        expected: "standard base64 with padding",
    })?;
    let length = wrapped.len();
    let wrapped = wrapped.try_into().map_err(|_| SidecarError::WrappedLength { key_id, length })?;
    Ok(WrappedKey { purpose, wrapped })
}

fn required<'a, T: Deserialize<'a>>(
    object: &Object<'a>,
    prefix: &str,
    name: &str,
    expected: &'static str,
) -> Result<T, SidecarError> {
    optional(object, prefix, name, expected)?.ok_or_else(|| SidecarError::Missing(format!("{prefix}{name}")))
}

fn optional<'a, T: Deserialize<'a>>(
    object: &Object<'a>,
    prefix: &str,
    name: &str,
    expected: &'static str,
) -> Result<Option<T>, SidecarError> {
    object.get(name).map(|value| read(value, &format!("{prefix}{name}"), expected)).transpose()
}

fn read<'a, T: Deserialize<'a>>(
    value: &'a RawValue,
    field: &str,
    expected: &'static str,
) -> Result<T, SidecarError> {
    let wrong = |_| SidecarError::Wrong { field: field.to_owned(), expected };
    serde_json::from_str(value.get()).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::encryption::vectors::{WRAPPED_4, WRAPPED_4_TEXT};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn sidecar() -> Value {
        json!({
            "version": 2, "raft_applied_index": 440, "storage_envelope_active": true,
            "storage_envelope_cutover_index": 233, "raft_envelope_cutover_index": 291,
            "active": { "storage": 4, "raft": 3 },
            "keys": {
                "3": { "purpose": "raft", "wrapped": WRAPPED_4_TEXT, "created": "2026-11-21T11:51:12Z", "local_epoch": 1 },
                "4": { "purpose": "storage", "wrapped": WRAPPED_4_TEXT, "created": "2026-11-21T11:51:15Z", "local_epoch": 1 },
            },
        })
    }

    fn fault(change: impl FnOnce(&mut Value)) -> String {
        let mut changed = sidecar();
        change(&mut changed);
        match Sidecar::parse(changed.to_string().as_bytes()) {
            Ok(_) => "nothing is wrong".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_sidecar_gives_its_keys_and_its_raft_cutover() {
        let read = Sidecar::parse(sidecar().to_string().as_bytes()).unwrap();
        assert_eq!(read.raft_cutover_index, 291);
        assert_eq!(read.keys.keys().copied().collect::<Vec<_>>(), [3, 4]);
        assert_eq!((read.keys[&3].purpose, read.keys[&4].purpose), (Purpose::Raft, Purpose::Storage));
        assert_eq!(read.keys[&4].wrapped, WRAPPED_4);
    }

    #[test]
    fn what_a_reader_does_not_need_may_be_missing() {
        assert_eq!(
            fault(|json| {
                let object = json.as_object_mut().unwrap();
                object.retain(|name, _| name == "version" || name == "keys");
                object.insert("later".to_owned(), json!([1]));
            }),
            "nothing is wrong"
        );
        assert_eq!(fault(|json| json["version"] = json!(1)), "nothing is wrong");
        assert_eq!(fault(|json| json["active"] = json!({ "storage": 0, "raft": 0 })), "nothing is wrong");
    }

    #[test]
    fn whatever_is_wrong_is_named_with_its_field_and_key_id_and_nothing_of_it_is_shown() {
        let wrapped = |text: &str| {
            let text = json!(text);
            fault(|json| json["keys"]["4"]["wrapped"] = text)
        };
        let under = |id: &str| {
            let id = id.to_owned();
            fault(|json| {
                let key = json["keys"]["4"].clone();
                json["keys"][id] = key;
            })
        };
        let secret = "c2VjcmV0";
        for (said, expected) in [
            (
                fault(|json| json["version"] = json!(3)),
                "it has version 3, written by a newer version of elastickv; 1 and 2 are known",
            ),
            (fault(|json| json["version"] = json!(0)), "the field version is not 1 or 2"),
            (fault(|json| json["version"] = json!(secret)), "the field version is not a number"),
            (
                fault(|json| drop(json.as_object_mut().unwrap().remove("version"))),
                "the field version is missing",
            ),
            (fault(|json| drop(json.as_object_mut().unwrap().remove("keys"))), "the field keys is missing"),
            (fault(|json| json["keys"] = json!(secret)), "the field keys is not an object"),
            (fault(|json| json["keys"]["4"] = json!(secret)), "the field keys.4 is not an object"),
            (
                fault(|json| json["keys"]["4"]["purpose"] = json!(secret)),
                "the purpose of key id 4 is neither storage nor raft",
            ),
            (fault(|json| json["keys"]["4"]["purpose"] = json!(7)), "the field keys.4.purpose is not text"),
            (
                fault(|json| drop(json["keys"]["4"].as_object_mut().unwrap().remove("wrapped"))),
                "the field keys.4.wrapped is missing",
            ),
            (wrapped(secret), "the wrapped key of key id 4 has 6 bytes instead of 60"),
            (wrapped(&WRAPPED_4_TEXT[..76]), "the wrapped key of key id 4 has 57 bytes instead of 60"),
            (wrapped("c2VjcmV0Cg"), "the field keys.4.wrapped is not standard base64 with padding"),
            (wrapped("____"), "the field keys.4.wrapped is not standard base64 with padding"),
            (under("0"), "the key id \"0\" is not a decimal number from 1 to 4294967295"),
            (under("04"), "the key id \"04\" is not a decimal number from 1 to 4294967295"),
            (under("+4"), "the key id \"+4\" is not a decimal number from 1 to 4294967295"),
            (under("4294967296"), "the key id \"4294967296\" is not a decimal number from 1 to 4294967295"),
            (under("4294967295"), "nothing is wrong"),
            (
                fault(|json| json["active"]["storage"] = json!(5)),
                "active.storage is key id 5, which keys does not hold for that purpose",
            ),
            (
                fault(|json| json["active"]["storage"] = json!(3)),
                "active.storage is key id 3, which keys does not hold for that purpose",
            ),
            (
                fault(|json| json["active"]["raft"] = json!(4)),
                "active.raft is key id 4, which keys does not hold for that purpose",
            ),
            (fault(|json| json["active"]["raft"] = json!(-1)), "the field active.raft is not a key id"),
        ] {
            assert_eq!(said, expected);
            assert!(!said.contains(secret));
        }
        for (text, at) in [("", (1, 0)), ("{\n  \"version\": ", (2, 13)), ("[]", (1, 1))] {
            let (line, column) = at;
            let error = Sidecar::parse(text.as_bytes()).err().unwrap();
            assert!(
                matches!(&error, SidecarError::NotJson { line: l, .. } if *l == line),
                "{error} {column}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Sidecar::parse(&bytes);
        }

        #[test]
        fn one_byte_changed_is_read_or_refused(at: prop::sample::Index, byte: u8) {
            let mut json = sidecar().to_string().into_bytes();
            let at = at.index(json.len());
            json[at] = byte;
            if let Err(error) = Sidecar::parse(&json) {
                prop_assert!(!error.to_string().contains(&WRAPPED_4_TEXT[10..30]));
            }
        }
    }
}
