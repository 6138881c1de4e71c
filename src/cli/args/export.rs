//! What to write into a dump, and how. Which families are written is left to `which`.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use bytesize::ByteSize;
use clap::{Args, ValueEnum};
use ekvsnap::family::{Choices, DynamoDbLayout};
use ekvsnap::snapshot::encryption::Keyring;
use ekvsnap::snapshot::rfc3339;
use jiff::Timestamp;

use super::which::check_scopes;
use super::{BUNDLE_SIZE, parse_scope, parse_size, threads};
use crate::cli::exit::UsageError;

/// What to write, and how.
#[derive(Args)]
pub struct ExportArgs {
    /// The directory of the dump; missing directories above it are made
    #[arg(long, short, value_name = "DIR", help_heading = "Output")]
    pub output: PathBuf,

    /// Replace a directory that is there already, once the new dump is complete
    #[arg(long, help_heading = "Output")]
    pub force: bool,

    /// Of this adapter only this database, table, bucket or queue, e.g. `redis=0`; repeatable
    #[arg(long = "scope", value_name = "FAMILY=NAME", value_parser = parse_scope, help_heading = "What to write")]
    scopes: Vec<(String, String)>,

    /// Leave out Redis keys whose expiry had passed when the snapshot was taken, and SQS messages whose retention had
    /// been over for ten seconds
    #[arg(long, help_heading = "What to write")]
    drop_expired: bool,

    /// Keep the state of SQS messages: when each becomes visible, how often it was received, its receipt token.
    /// Otherwise all of them are written as never received and visible at once
    #[arg(long, help_heading = "What to write")]
    preserve_sqs_visibility: bool,

    /// Write what SQS keeps beside messages, too, as raw rows in `_internals/side_records.jsonl`: indexes, FIFO
    /// deduplication windows, group locks, sequence numbers, purged generations. Deleted queues get a folder `*.orphan`
    #[arg(long, help_heading = "What to write")]
    include_sqs_side_records: bool,

    /// DynamoDB items as one file each (per-item), or many to a file, one per line (jsonl)
    #[arg(
        long,
        value_enum,
        default_value_t = BundleMode::PerItem,
        value_name = "MODE",
        help_heading = "What to write"
    )]
    dynamodb_bundle_mode: BundleMode,

    /// With `--dynamodb-bundle-mode jsonl`: a file is at most this long, e.g. 500KB; a larger item stands alone.
    /// Default: 64MiB
    #[arg(long, value_name = "SIZE", value_parser = parse_size, help_heading = "What to write")]
    dynamodb_bundle_size: Option<ByteSize>,

    /// Leave out S3 objects whose key cannot be a path here (`..`, `a//b`, names too long, names taken), and exit with
    /// status 1. Otherwise they are written under another name, and the bucket's KEYMAP.jsonl says which key it is
    #[arg(long, help_heading = "What to write")]
    no_rename_collisions: bool,

    /// Rename such objects; this is what happens without any option
    #[arg(long, conflicts_with = "no_rename_collisions", help_heading = "What to write")]
    rename_collisions: bool,

    /// Write down S3 multipart uploads that were begun and not finished, as `_incomplete_uploads/records.jsonl`
    #[arg(long, help_heading = "What to write")]
    include_incomplete_uploads: bool,

    /// Write S3 chunks that belong to no object, below `_orphans`: what overwriting, deleting and aborting left behind
    #[arg(long, help_heading = "What to write")]
    include_orphans: bool,

    /// Name of the cluster, for the manifest
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true, help_heading = "Manifest")]
    cluster_id: String,

    /// Version of the elastickv that wrote the snapshot, for the manifest
    #[arg(
        long,
        value_name = "VERSION",
        default_value = "",
        hide_default_value = true,
        help_heading = "Manifest"
    )]
    elastickv_version: String,

    /// Time of the dump (RFC 3339), with which two dumps of one snapshot are the same to the byte. Default: the
    /// environment variable SOURCE_DATE_EPOCH, or now
    #[arg(long, value_name = "TIME", help_heading = "Manifest")]
    wall_time: Option<Timestamp>,

    /// Threads that write files; the dump is the same whatever their number. Default: as many as the machine has
    #[arg(long, value_name = "N", help_heading = "Output", value_parser = clap::value_parser!(u16).range(1..=64))]
    threads: Option<u16>,
}

impl ExportArgs {
    /// With the adapters to export.
    pub fn options(
        &self,
        adapters: Vec<String>,
        keys: Option<Arc<Keyring>>,
    ) -> anyhow::Result<ekvsnap::export::ExportOptions> {
        check_scopes(&self.scopes, &adapters)?;
        let dynamodb_layout = match (self.dynamodb_bundle_mode, self.dynamodb_bundle_size) {
            (BundleMode::PerItem, None) => DynamoDbLayout::PerItem,
            (BundleMode::PerItem, Some(_)) => {
                let why = "--dynamodb-bundle-size needs --dynamodb-bundle-mode jsonl: without it every item is a file";
                return Err(UsageError(why.to_owned()).into());
            }
            (BundleMode::Jsonl, size) => {
                DynamoDbLayout::Jsonl { part_bytes: size.unwrap_or(BUNDLE_SIZE).as_u64() }
            }
        };
        Ok(ekvsnap::export::ExportOptions {
            adapters,
            scopes: self.scopes.clone(),
            choices: Choices {
                drop_expired: self.drop_expired,
                dynamodb_layout,
                rename_s3_collisions: !self.no_rename_collisions,
                include_incomplete_uploads: self.include_incomplete_uploads,
                include_orphans: self.include_orphans,
                preserve_sqs_visibility: self.preserve_sqs_visibility,
                include_sqs_side_records: self.include_sqs_side_records,
            },
            cluster_id: self.cluster_id.clone(),
            elastickv_version: self.elastickv_version.clone(),
            wall_time: self.wall_time()?,
            threads: threads(self.threads),
            keys,
        })
    }

    fn wall_time(&self) -> anyhow::Result<String> {
        let time = match (self.wall_time, std::env::var("SOURCE_DATE_EPOCH")) {
            (Some(time), _) => time,
            (None, Ok(epoch)) => epoch
                .parse()
                .ok()
                .and_then(|seconds| Timestamp::from_second(seconds).ok())
                .ok_or_else(|| {
                    UsageError(format!("SOURCE_DATE_EPOCH is {epoch:?}, not a number of seconds since 1970"))
                })?,
            (None, Err(_)) => Timestamp::now(),
        };
        rfc3339(time.as_millisecond()).context("the wall time is out of range")
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum BundleMode {
    PerItem,
    Jsonl,
}
