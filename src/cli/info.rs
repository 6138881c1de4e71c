//! `ekvsnap info`: what a file is and what is in it.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use ekvsnap::dump::manifest::Manifest;
use ekvsnap::load::{LoadOptions, OnError};
use ekvsnap::report::Report;
use ekvsnap::staging::Staging;
use indicatif::HumanCount;
use serde::Serialize;
use serde_json::json;

use super::args::{AdapterArgs, KeyArgs, inputs_at};
use super::exit::Status;
use super::given::Given;
use super::log::Manners;
use super::progress::Bars;
use super::source::load_for_now;
use super::text;

const EXAMPLES: &str = "\
Examples:
  ekvsnap info 0000000000002710.fsm
  ekvsnap info dump
  ekvsnap info prod.db --json | jq '.families[] | {family, keys}'

Fields of the object that --json prints:
  kind              snapshot, staging or dump
  manifest          of a dump: its MANIFEST.json; of the others:
  tool_version      of the ekvsnap that read it
  complete          was it read to its end?
  as_of             HLC of --as-of, or null
  adapters          whose rows were read
  sources           a snapshot each: path, header, body, last_commit_ts, crc32c, rows, ...
  classes, rows     rows by class and by what became of them; the classes add up to rows
  row_states        versioned rows by the state of their value: state, key_id, rows
  families          keys by family and kind
  quarantined_rows  malformed rows
  unfinished_export files that an interrupted export has written, or null
  warnings          kind, count, meaning, means_incomplete, samples
Fields may be added, but none is renamed.";

/// Say what a file is: a snapshot, a staging database or a dump, and what is in it
///
/// A snapshot is read to its end, its checksum is verified and its keys are counted, by way of a temporary staging
/// database in TMPDIR. Malformed rows are counted as quarantined. The exit status is that of a decode.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Info {
    /// A snapshot, a node's data directory, a staging database, a dump, or - for a snapshot on standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Print one JSON object; its shape is said below
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    adapters: AdapterArgs,

    #[command(flatten)]
    keys: KeyArgs,
}

impl Info {
    pub fn run(self, manners: &Manners) -> anyhow::Result<Status> {
        let given = Given::at(&self.file);
        let report = match given {
            Given::Dump => return self.dump(manners),
            Given::Staging => Report::of(&Staging::open_read_only(&self.file)?)?,
            Given::Snapshot => self.snapshot(manners)?,
        };
        let kind = given.name();
        let text = if self.json {
            serde_json::to_string_pretty(&WithKind { kind, report: &report })? + "\n"
        } else {
            describe(kind, &self.file, &report)
        };
        manners.print(&text)?;
        Ok(if report.is_incomplete() || !report.complete { Status::Incomplete } else { Status::Whole })
    }

    fn snapshot(&self, manners: &Manners) -> anyhow::Result<Report> {
        let inputs = inputs_at(vec![self.file.clone()])?;
        let options = LoadOptions {
            on_error: OnError::Quarantine,
            adapters: self.adapters.names(),
            keys: self.keys.read()?,
            ..LoadOptions::default()
        };
        let (_folder, staging) = load_for_now(&inputs, &options, &Bars::new(manners)?)?;
        Ok(Report::of(&staging)?)
    }

    fn dump(&self, manners: &Manners) -> anyhow::Result<Status> {
        let path = self.file.join("MANIFEST.json");
        let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let manifest = Manifest::parse(&bytes).with_context(|| path.display().to_string())?;
        let text = if self.json {
            serde_json::to_string_pretty(&json!({ "kind": Given::Dump.name(), "manifest": manifest }))? + "\n"
        } else {
            describe_dump(&self.file, &manifest)
        };
        manners.print(&text)?;
        Ok(Status::Whole)
    }
}

/// What `--json` prints of a snapshot or a staging database.
#[derive(Serialize)]
struct WithKind<'r> {
    kind: &'static str,
    #[serde(flatten)]
    report: &'r Report,
}

fn describe(kind: &str, file: &Path, report: &Report) -> String {
    let what = if kind == "staging" { "staging database" } else { kind };
    let mut out = format!("{}: {what}", file.display());
    out.push_str(if report.complete { "\n" } else { ", INCOMPLETE: its load has not come to its end\n" });
    out.push_str(&text::summary(report));
    if let Some(files) = report.unfinished_export {
        let _ = writeln!(out, "export    unfinished, {} files written so far", HumanCount(files));
    }
    for warning in &report.warnings {
        let title = if warning.means_incomplete { "warning" } else { "note" };
        let _ = writeln!(out, "{title:<10}{} ({})", warning.meaning, warning.count);
        for sample in &warning.samples {
            let _ = writeln!(out, "            {sample}");
        }
        if warning.count > warning.samples.len() as u64 {
            out.push_str("            …\n");
        }
    }
    out
}

fn describe_dump(file: &Path, manifest: &Manifest) -> String {
    let mut out = format!("{}: dump of {}\n", file.display(), manifest.source.fsm_path);
    let _ = writeln!(out, "made      {}", manifest.wall_time_iso);
    if manifest.snapshot_index > 0 {
        let _ = writeln!(out, "index     {}", manifest.snapshot_index);
    }
    if manifest.last_commit_ts > 0 {
        let _ = writeln!(out, "commit    {}", ekvsnap::snapshot::Hlc(manifest.last_commit_ts));
    }
    let Some(decode) = &manifest.decode else { return out };
    for (title, counts) in [("rows", &decode.rows), ("keys", &decode.keys), ("warnings", &decode.warnings)] {
        let counts: Vec<String> = counts
            .0
            .iter()
            .filter(|(_, count)| *count > 0)
            .map(|(name, count)| format!("{count} {name}"))
            .collect();
        if !counts.is_empty() {
            let _ = writeln!(out, "{title:<10}{}", counts.join(", "));
        }
    }
    out
}
