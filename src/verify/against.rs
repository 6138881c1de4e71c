//! A dump against the snapshots that it should be of: they are decoded once more, with what the manifest says of the
//! options, and every file is compared by its sum.

use std::cmp::Ordering;
use std::path::Path;
use std::sync::Arc;

use rusqlite::Rows;
use serde_json::Value;

use super::Findings;
use super::dump::Dump;
use super::finding::{Finding, Kind};
use super::snapshot::{broken, temporary_folder};
use crate::dump::manifest::Manifest;
use crate::dump::target::Target;
use crate::dump::tree::MANIFEST;
use crate::error::Error;
use crate::export::{ExportOptions, export};
use crate::family::{ADAPTERS, Choices, DynamoDbLayout};
use crate::load::{AsOf, Input, LoadOptions, OnError, load};
use crate::progress::Progress;
use crate::snapshot::Hlc;
use crate::snapshot::encryption::Keyring;
use crate::staging::Staging;

/// What a manifest does not say of the decode that made the dump.
#[derive(Clone, Debug)]
pub struct AgainstOptions {
    /// Adapter and name of a database, table, bucket or queue: of that adapter only these.
    pub scopes: Vec<(String, String)>,
    /// How long a bundle of DynamoDB items gets, in bytes.
    pub bundle_bytes: u64,
    /// Threads that write files.
    pub threads: usize,
    /// The keys for encrypted values.
    pub keys: Option<Arc<Keyring>>,
}

/// Fields of the manifest that depend on how and where it was made.
const INCIDENTAL: [&str; 4] = ["wall_time_iso", "fsm_path", "tool_version", "sources"];

/// Decodes snapshots into TMPDIR, which needs room for a staging database and a dump, and says where the dump at `path`
/// is another one. Whether that dump is what its CHECKSUMS says is for [`verify_dump`](super::verify_dump) to look at.
///
/// # Errors
/// The snapshots or the dump cannot be read at all; there is no room.
pub fn verify_against(
    path: &Path,
    inputs: &[Input],
    options: &AgainstOptions,
    progress: &dyn Progress,
    findings: &mut Findings<'_>,
) -> Result<(), Error> {
    let dump = Dump::open(path)?;
    // Whoever has verified the dump knows already what is wrong with these.
    let Some(manifest) = dump.manifest(&mut |_| {})? else { return Ok(()) };
    if !dump.read_checksums(&mut |_| {})? {
        return Ok(());
    }
    let (load_options, export_options) = options_of(&manifest, options);
    let folder = temporary_folder()?;
    let staging = Staging::create(&folder.path().join("verify.db"))?;
    match load(inputs, &staging, &load_options, progress) {
        Ok(()) => {}
        Err(Error::Snapshot(error)) => {
            findings(broken(error)?);
            return Ok(());
        }
        Err(error) => return Err(error),
    }
    let output = folder.path().join("dump");
    let target = Target::new(&output, false, &[])?;
    export(&staging, target.begin()?, &export_options, progress)?;
    compare_files(&dump, &staging, findings)?;
    let made = Dump::open(&output)?.manifest(findings)?;
    if let Some(made) = made {
        compare_manifests(&manifest, &made, findings)?;
    }
    Ok(())
}

/// The options of the decode that a manifest stands for.
fn options_of(manifest: &Manifest, options: &AgainstOptions) -> (LoadOptions, ExportOptions) {
    let of = &manifest.adapters;
    let is_there = [of.dynamodb.is_some(), of.s3.is_some(), of.redis.is_some(), of.sqs.is_some()];
    let adapters: Vec<String> = ADAPTERS
        .iter()
        .zip(is_there)
        .filter(|(_, there)| *there)
        .map(|(name, _)| (*name).to_owned())
        .collect();
    let decode = manifest.decode.as_ref();
    let as_of = decode.and_then(|decode| decode.as_of);
    let exclusions = &manifest.exclusions;
    let dynamodb_layout = if manifest.dynamodb_layout == DynamoDbLayout::PerItem.name() {
        DynamoDbLayout::PerItem
    } else {
        DynamoDbLayout::Jsonl { part_bytes: options.bundle_bytes }
    };
    let load = LoadOptions {
        as_of: as_of.map_or(AsOf::Newest, |as_of| AsOf::At(Hlc(as_of))),
        on_error: OnError::Quarantine,
        adapters: adapters.clone(),
        self_contained: false,
        keys: options.keys.clone(),
    };
    let export = ExportOptions {
        adapters,
        scopes: options.scopes.clone(),
        choices: Choices {
            drop_expired: decode.is_some_and(|decode| decode.drop_expired),
            dynamodb_layout,
            rename_s3_collisions: exclusions.rename_s3_collisions,
            include_incomplete_uploads: exclusions.include_incomplete_uploads,
            include_orphans: exclusions.include_orphans,
            preserve_sqs_visibility: exclusions.preserve_sqs_visibility,
            include_sqs_side_records: exclusions.include_sqs_side_records,
        },
        cluster_id: manifest.cluster_id.clone(),
        elastickv_version: manifest.elastickv_version.clone(),
        wall_time: manifest.wall_time_iso.clone(),
        threads: options.threads,
        keys: options.keys.clone(),
    };
    (load, export)
}

type Sum = (Vec<u8>, [u8; 32]);

/// Goes through both lists of sums at once; they are in the order of the paths.
fn compare_files(dump: &Dump<'_>, staging: &Staging, findings: &mut Findings<'_>) -> Result<(), Error> {
    let next = |rows: &mut Rows<'_>| -> Result<Option<Sum>, rusqlite::Error> {
        rows.next()?.map(|row| Ok((row.get(0)?, row.get(1)?))).transpose()
    };
    let mut listed = dump.listed().map_err(super::VerifyError::from)?;
    let mut made = staging
        .connection()
        .prepare("SELECT path, sha256 FROM dump_file WHERE path <> CAST(? AS BLOB) ORDER BY path")?;
    let (mut listed, mut made) = (listed.query([MANIFEST])?, made.query([MANIFEST])?);
    let (mut there, mut expected) = (next(&mut listed)?, next(&mut made)?);
    loop {
        let order = match (&there, &expected) {
            (None, None) => return Ok(()),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((there, _)), Some((expected, _))) => there.cmp(expected),
        };
        let mut say = |path: &Option<Sum>, kind, detail: &str| {
            if let Some((path, _)) = path {
                findings(Finding::new(kind, path, detail));
            }
        };
        match order {
            Ordering::Less => say(&there, Kind::NotInSnapshot, "a decode of the snapshot does not write it"),
            Ordering::Greater => say(&expected, Kind::MissingFromDump, "a decode of the snapshot writes it"),
            Ordering::Equal if there != expected => {
                say(&there, Kind::DiffersFromSnapshot, "a decode of the snapshot writes other bytes");
            }
            Ordering::Equal => {}
        }
        if order != Ordering::Greater {
            there = next(&mut listed)?;
        }
        if order != Ordering::Less {
            expected = next(&mut made)?;
        }
    }
}

fn compare_manifests(
    there: &Manifest,
    expected: &Manifest,
    findings: &mut Findings<'_>,
) -> Result<(), Error> {
    let value = |manifest: &Manifest| serde_json::to_value(manifest).map_err(Error::Manifest);
    let (mut there, expected) = (value(there)?, value(expected)?);
    if let (Value::Object(there), Value::Object(expected)) = (&mut there, &expected)
        && !there.contains_key("decode")
    {
        // Another tool's says nothing of it.
        there.extend(expected.get("decode").map(|decode| ("decode".to_owned(), decode.clone())));
    }
    differences("", &there, &expected, findings);
    Ok(())
}

fn differences(path: &str, there: &Value, expected: &Value, findings: &mut Findings<'_>) {
    if let (Value::Object(there), Value::Object(expected)) = (there, expected) {
        let names: std::collections::BTreeSet<&String> = there.keys().chain(expected.keys()).collect();
        for name in names.into_iter().filter(|name| !INCIDENTAL.contains(&name.as_str())) {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            let of = |object: &serde_json::Map<String, Value>| object.get(name).cloned().unwrap_or_default();
            differences(&path, &of(there), &of(expected), findings);
        }
    } else if there != expected {
        let shown = |value: &Value| {
            let text = value.to_string();
            crate::snapshot::Readable(text.as_bytes()).to_string().replace("\\\"", "\"")
        };
        let detail = format!("{path} is {}, a decode of the snapshot says {}", shown(there), shown(expected));
        findings(Finding::new(Kind::ManifestDiffers, MANIFEST.as_bytes(), detail));
    }
}
