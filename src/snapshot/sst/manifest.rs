//! The manifest of a bundle (`docs/format/sstable.md` section 1). It may name a million tables and their first and last
//! row keys, so neither it nor the list lies in memory beyond a first bit: both are spooled, the list in a form that is
//! read back table by table.

use std::fmt;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use sha2::{Digest, Sha256};
use tempfile::SpooledTempFile;

use super::super::error::{Fault, SnapshotError, within};
use super::super::input::Input;
use super::super::limits::{MAX_KEY_BYTES, MAX_MANIFEST_BYTES, MAX_TABLES, SPOOLED_IN_MEMORY_BYTES};
use super::error::{SstCorruption, SstUnsupported};

const VERSION: u64 = 1;
const DIGEST_BYTES: usize = 32;

/// What the manifest says of the bundle.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::snapshot) struct Manifest {
    pub last_commit_ts: u64,
    pub min_retained_ts: u64,
    pub applied_index: Option<u64>,
    /// Rows in all tables.
    pub entry_count: u64,
    /// Bytes of all row keys and row values.
    pub uncompressed_bytes: u64,
    /// Bytes of all tables.
    pub total_file_bytes: u64,
    /// Number of tables.
    pub tables: u64,
}

/// What the manifest says of a table.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Listed {
    /// Length in bytes.
    pub size: u64,
    /// SHA-256, as 64 hex digits.
    pub sha256: String,
    /// First and last row key.
    pub smallest: Vec<u8>,
    pub largest: Vec<u8>,
}

/// The tables that the manifest names, in order.
pub(super) struct List {
    spool: BufReader<SpooledTempFile>,
    left: u64,
}

/// Reads length, digest and manifest, which follow the magic.
///
/// # Errors
/// Its digest is wrong, a rule of section 1 is broken, it is of a later version, the file ends before it does.
pub(super) fn read_manifest(input: &mut Input) -> Result<(Manifest, List), SnapshotError> {
    let start = input.offset();
    let shown = input.peek(8 + DIGEST_BYTES)?;
    let fields = shown.first_chunk().zip(shown.get(8..8 + DIGEST_BYTES));
    let Some((&length, digest)) = fields else { return Err(input.truncated(start, "manifest")) };
    let stored = hex(digest);
    let length = i64::from_be_bytes(length);
    let bytes = match u64::try_from(length) {
        Ok(bytes @ 1..) => within("manifest", bytes, MAX_MANIFEST_BYTES),
        _ => Err(SstCorruption::ManifestLength(length).into()),
    };
    let bytes = bytes.map_err(|fault| input.fault(start, fault))?;
    input.consume(8 + DIGEST_BYTES);
    let at = input.offset();
    let mut text = tempfile::spooled_tempfile(SPOOLED_IN_MEMORY_BYTES);
    let computed = copy(input, at, bytes, &mut text)?;
    if computed != stored {
        return Err(input.fault(at, SstCorruption::ManifestDigest { computed, stored }.into()));
    }
    parse(text).map_err(|fault| input.fault(at, fault))
}

/// Copies the manifest, and says which SHA-256 it has.
fn copy(
    input: &mut Input,
    start: u64,
    bytes: usize,
    to: &mut SpooledTempFile,
) -> Result<String, SnapshotError> {
    let mut hash = Sha256::new();
    let mut left = bytes;
    while left > 0 {
        let shown = input.peek(1)?;
        let piece = &shown[..shown.len().min(left)];
        if piece.is_empty() {
            return Err(input.truncated(start, "manifest"));
        }
        let copied = piece.len();
        hash.update(piece);
        to.write_all(piece).map_err(|error| input.fault(start, Fault::Io(error)))?;
        input.consume(copied);
        left -= copied;
    }
    Ok(hex(&hash.finalize()))
}

fn parse(mut text: SpooledTempFile) -> Result<(Manifest, List), Fault> {
    text.rewind().map_err(Fault::Io)?;
    // A later version may have other fields, so it is asked first.
    let Version { version } = serde_json::from_reader(BufReader::new(&mut text)).map_err(unreadable)?;
    if version != VERSION {
        return Err(SstUnsupported::ManifestVersion(version).into());
    }
    text.rewind().map_err(Fault::Io)?;
    let mut listing = Listing {
        spool: BufWriter::new(tempfile::spooled_tempfile(SPOOLED_IN_MEMORY_BYTES)),
        tables: 0,
        bytes: 0,
        fault: None,
    };
    let mut deserializer = serde_json::Deserializer::from_reader(BufReader::new(text));
    let parsed = Whole(&mut listing).deserialize(&mut deserializer);
    if let Some(fault) = listing.fault {
        return Err(fault);
    }
    let manifest = parsed.and_then(|manifest| deserializer.end().map(|()| manifest)).map_err(unreadable)?;
    if listing.bytes != manifest.total_file_bytes {
        let (stated, sum) = (manifest.total_file_bytes, listing.bytes);
        return Err(SstCorruption::TotalBytes { stated, sum }.into());
    }
    let mut spool = listing.spool.into_inner().map_err(|error| Fault::Io(error.into_error()))?;
    spool.rewind().map_err(Fault::Io)?;
    let tables = listing.tables;
    Ok((Manifest { tables, ..manifest }, List { spool: BufReader::new(spool), left: tables }))
}

/// What serde_json cannot read: the text, or the spool that it lies in.
fn unreadable(error: serde_json::Error) -> Fault {
    if error.is_io() { Fault::Io(error.into()) } else { SstCorruption::Manifest(error).into() }
}

impl List {
    /// The next table; `None` after the last.
    ///
    /// # Errors
    /// The spool cannot be read.
    pub fn next(&mut self) -> io::Result<Option<Listed>> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let size = self.number()?;
        let mut sha256 = String::new();
        self.spool.by_ref().take(2 * DIGEST_BYTES as u64).read_to_string(&mut sha256)?;
        Ok(Some(Listed { size, sha256, smallest: self.key()?, largest: self.key()? }))
    }

    fn number(&mut self) -> io::Result<u64> {
        let mut number = [0; 8];
        self.spool.read_exact(&mut number)?;
        Ok(u64::from_le_bytes(number))
    }

    fn key(&mut self) -> io::Result<Vec<u8>> {
        // Written by us, from a key of bounded length.
        let mut key = vec![0; self.number()? as usize];
        self.spool.read_exact(&mut key)?;
        Ok(key)
    }
}

/// Takes the tables of the manifest one by one, checks each by itself, and writes it into the spool.
struct Listing {
    spool: BufWriter<SpooledTempFile>,
    tables: u64,
    bytes: u64,
    /// What is wrong, apart from the JSON.
    fault: Option<Fault>,
}

impl Listing {
    fn take(&mut self, table: &TableEntry) -> Result<(), Fault> {
        let number = self.tables;
        within("number of tables", number + 1, MAX_TABLES)?;
        let wrong = |rule: &str| Fault::from(SstCorruption::Listed { number, rule: rule.to_owned() });
        if table.name != name_of(number) {
            return Err(wrong("one of another name"));
        }
        if table.size == 0 {
            return Err(wrong("an empty one"));
        }
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if table.sha256.len() != 2 * DIGEST_BYTES || !table.sha256.bytes().all(is_digit) {
            return Err(wrong("one whose SHA-256 is not 64 lower-case hex digits"));
        }
        for RowKey(key) in [&table.smallest, &table.largest] {
            within("row key", key.len() as u64, MAX_KEY_BYTES)?;
            if key.is_empty() {
                return Err(wrong("one with an empty row key"));
            }
        }
        // Offsets in a file are signed.
        let bytes = self.bytes.checked_add(table.size).filter(|bytes| *bytes <= i64::MAX as u64);
        self.bytes = bytes.ok_or_else(|| wrong("one that is larger than any file"))?;
        self.tables += 1;
        self.write(table).map_err(Fault::Io)
    }

    fn write(&mut self, table: &TableEntry) -> io::Result<()> {
        self.spool.write_all(&table.size.to_le_bytes())?;
        self.spool.write_all(table.sha256.as_bytes())?;
        for RowKey(key) in [&table.smallest, &table.largest] {
            self.spool.write_all(&(key.len() as u64).to_le_bytes())?;
            self.spool.write_all(key)?;
        }
        Ok(())
    }
}

/// The name of a table by its number, counted from 0.
pub(super) fn name_of(number: u64) -> String {
    format!("{number:06}.sst")
}

/// Lower-case hex digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[derive(Deserialize)]
struct Version {
    version: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TableEntry {
    name: String,
    size: u64,
    sha256: String,
    smallest: RowKey,
    largest: RowKey,
}

struct RowKey(Vec<u8>);

impl<'de> Deserialize<'de> for RowKey {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct InBase64;
        impl Visitor<'_> for InBase64 {
            type Value = RowKey;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a row key in base64")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<RowKey, E> {
                STANDARD.decode(text).map(RowKey).map_err(E::custom)
            }
        }
        from.deserialize_str(InBase64)
    }
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Field {
    Version,
    LastCommitTs,
    MinRetainedTs,
    PendingMinRetainedTs,
    AppliedIndex,
    EntryCount,
    UncompressedBytes,
    TotalFileBytes,
    Files,
}

/// The whole document. Derived code would hold all tables before anybody sees one.
struct Whole<'l>(&'l mut Listing);

impl<'de> DeserializeSeed<'de> for Whole<'_> {
    type Value = Manifest;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Manifest, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Whole<'_> {
    type Value = Manifest;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the manifest of a bundle")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Manifest, A::Error> {
        const NUMBERS: [&str; 7] = [
            "version",
            "last_commit_ts",
            "min_retained_ts",
            "pending_min_retained_ts",
            "entry_count",
            "uncompressed_bytes",
            "total_file_bytes",
        ];
        let mut numbers = [None; NUMBERS.len()];
        let mut applied_index = None;
        let mut files = None;
        while let Some(field) = map.next_key()? {
            let number = match field {
                Field::Version => 0,
                Field::LastCommitTs => 1,
                Field::MinRetainedTs => 2,
                Field::PendingMinRetainedTs => 3,
                Field::EntryCount => 4,
                Field::UncompressedBytes => 5,
                Field::TotalFileBytes => 6,
                Field::AppliedIndex => {
                    once(&mut applied_index, map.next_value::<u64>()?, "applied_index")?;
                    continue;
                }
                Field::Files => {
                    once(&mut files, map.next_value_seed(Files(self.0))?, "files")?;
                    continue;
                }
            };
            once(&mut numbers[number], map.next_value::<u64>()?, NUMBERS[number])?;
        }
        files.ok_or_else(|| A::Error::missing_field("files"))?;
        let mut found = [0; NUMBERS.len()];
        for (found, (number, name)) in found.iter_mut().zip(numbers.into_iter().zip(NUMBERS)) {
            *found = number.ok_or_else(|| A::Error::missing_field(name))?;
        }
        let [_, last_commit_ts, min_retained_ts, _, entry_count, uncompressed_bytes, total_file_bytes] =
            found;
        Ok(Manifest {
            last_commit_ts,
            min_retained_ts,
            applied_index,
            entry_count,
            uncompressed_bytes,
            total_file_bytes,
            tables: 0,
        })
    }
}

fn once<T, E: Error>(slot: &mut Option<T>, value: T, name: &'static str) -> Result<(), E> {
    if slot.replace(value).is_some() { Err(E::duplicate_field(name)) } else { Ok(()) }
}

/// The list of tables; `null` stands for none.
struct Files<'l>(&'l mut Listing);

impl<'de> DeserializeSeed<'de> for Files<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Files<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of tables, or null")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut files: A) -> Result<(), A::Error> {
        while let Some(table) = files.next_element::<TableEntry>()? {
            if let Err(fault) = self.0.take(&table) {
                self.0.fault = Some(fault);
                // Ends the parsing; nobody reads it.
                return Err(A::Error::custom("a table that breaks a rule"));
            }
        }
        Ok(())
    }
}
