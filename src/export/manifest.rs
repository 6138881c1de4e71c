//! What the manifest says of an export, from the report on what was staged (`docs/format/dump.md` section 4). The form
//! is `dump::manifest`'s.

use super::ExportOptions;
use crate::dump::manifest::{
    Adapters, Counts, Crc32c, Decode, DynamoDb, Exclusions, Integrity, Manifest, Redis, S3, Source,
    SourceEntry, Sqs,
};
use crate::family::Exported;
use crate::report::{Report, SourceReport};

/// The manifest of a dump in which each adapter has written this much.
pub(super) fn manifest(report: &Report, options: &ExportOptions, exported: &[(&str, Exported)]) -> Manifest {
    let first = report.sources.first();
    let mut manifest = Manifest::new(options.wall_time.clone(), first.map(source).unwrap_or_default());
    manifest.elastickv_version.clone_from(&options.elastickv_version);
    manifest.cluster_id.clone_from(&options.cluster_id);
    manifest.snapshot_index = first.and_then(|source| source.snapshot_index).unwrap_or(0);
    manifest.last_commit_ts = report.last_commit_ts().0;
    // An adapter that was asked for and holds nothing is there, and empty.
    let scopes = |adapter: &str| {
        exported.iter().find(|(name, _)| *name == adapter).map(|(_, done)| done.scopes.clone())
    };
    manifest.adapters = Adapters {
        dynamodb: scopes("dynamodb").map(|tables| DynamoDb { tables }),
        s3: scopes("s3").map(|buckets| S3 { buckets }),
        redis: scopes("redis").map(|databases| Redis {
            databases: databases.iter().filter_map(|number| number.parse().ok()).collect(),
        }),
        sqs: scopes("sqs").map(|queues| Sqs { queues }),
    };
    let s3 = options.adapters.iter().any(|adapter| adapter == "s3");
    manifest.exclusions = Exclusions {
        include_incomplete_uploads: options.choices.include_incomplete_uploads,
        include_orphans: options.choices.include_orphans,
        preserve_sqs_visibility: options.choices.preserve_sqs_visibility,
        include_sqs_side_records: options.choices.include_sqs_side_records,
        rename_s3_collisions: s3 && options.choices.rename_s3_collisions,
    };
    manifest.dynamodb_layout = options.choices.dynamodb_layout.name().to_owned();
    manifest.decode = Some(decode(report, options, exported));
    manifest
}

fn source(source: &SourceReport) -> Source {
    Source { fsm_path: source.path.clone(), fsm_crc32c: crc(source) }
}

fn crc(source: &SourceReport) -> Option<Crc32c> {
    source.crc32c.as_deref().and_then(|digits| u32::from_str_radix(digits, 16).ok()).map(Crc32c)
}

fn decode(report: &Report, options: &ExportOptions, exported: &[(&str, Exported)]) -> Decode {
    let verified = report.sources.iter().all(|source| source.crc32c.is_some());
    let entry = |source: &SourceReport| SourceEntry {
        fsm_path: source.path.clone(),
        fsm_crc32c: crc(source),
        snapshot_index: source.snapshot_index.unwrap_or(0),
        last_commit_ts: source.last_commit_ts,
        rows: source.rows,
    };
    Decode {
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        as_of: report.as_of,
        rows: Counts(report.classes.iter().map(|class| (class.class.to_owned(), class.rows)).collect()),
        keys: Counts(exported.iter().map(|(adapter, done)| ((*adapter).to_owned(), done.keys)).collect()),
        warnings: Counts(report.warnings.iter().map(|w| (w.kind.to_owned(), w.count)).collect()),
        quarantined_rows: report.quarantined_rows,
        encrypted_rows: Counts(report.encrypted_rows().map(|(id, rows)| (id.to_string(), rows)).collect()),
        integrity: if verified { Integrity::Crc32cVerified } else { Integrity::NoFooter },
        drop_expired: options.choices.drop_expired,
        sources: if report.sources.len() > 1 {
            report.sources.iter().map(entry).collect()
        } else {
            Vec::new()
        },
    }
}
