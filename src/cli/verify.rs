//! `ekvsnap verify`: is a snapshot, a staging database or a dump what it should be?

use std::cell::{Cell, RefCell};
use std::fmt::Write;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytesize::ByteSize;
use clap::Args;
use ekvsnap::report::Report;
use ekvsnap::snapshot::Escaped;
use ekvsnap::verify::{
    AgainstOptions, DumpOptions, Finding, Severity, Subset, verify_against, verify_dump, verify_snapshot,
    verify_staging,
};
use indicatif::{HumanBytes, HumanCount};
use serde_json::{Value, json};

use super::args::{AdapterArgs, BUNDLE_SIZE, KeyArgs, inputs_at, parse_scope, parse_size, threads};
use super::exit::{Status, UsageError, leaving_nothing};
use super::given::Given;
use super::log::Manners;
use super::progress::Bars;
use super::text;

const EXAMPLES: &str = "\
Examples:
  ekvsnap verify 0000000000002710.fsm
  ekvsnap verify dump
  ekvsnap verify dump --against 0000000000002710.fsm

  A seventh of a large dump every day of the week:
  ekvsnap verify dump --subset $(date +%u)/7

  The files that have to be fetched again:
  ekvsnap verify dump --json | jq -r 'select(.kind == \"checksum_mismatch\") | .path'

Objects that --json prints, one a line as they come up:
  severity   finding or note; notes do not change the exit status
  kind       what was found, e.g. checksum_mismatch or malformed_row, or a kind of warning
  path       the file; in a dump, relative to its root; empty if it is no one file;
             {\"base64\": base64url} if it is not UTF-8
  offset     where in the file, in bytes, or null
  key        which key, or null
  detail     what is there, and what should be
and at the end one with
  result     passed or failed
  verified   snapshot, staging, dump or token
  findings, notes
             how many of each
  files, files_read, bytes_read
             of a dump
  rows, quarantined_rows
             of a snapshot or a staging database
Fields may be added, but none is renamed. docs/verify.md lists the kinds.

Exit status: 0 nothing was found, 7 something was; others, as for all commands, mean that it could
not be looked at.";

/// Say whether a snapshot, a staging database or a dump is whole, one line a finding
///
/// A snapshot is read to its end: its checksum, every row of it. Of a staging database, the file itself, its counters and
/// the snapshots that it refers to are checked. Of a dump, the bytes of every file (CHECKSUMS), the counts of MANIFEST,
/// the names of KEYMAP, and that nothing is missing or there besides. With --against, a dump is also compared with what
/// the snapshots decode to now. With --quiet only findings are printed.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Verify {
    /// A snapshot, a node's data directory, a staging database, a dump, or - for a snapshot on standard input
    #[arg(value_name = "PATH")]
    path: PathBuf,

    /// Decode these snapshots once more, with the options that the dump's MANIFEST names, and compare. TMPDIR needs room
    /// for a staging database and a dump
    #[arg(long, value_name = "SNAPSHOT", num_args = 1.., help_heading = "Dump")]
    against: Vec<PathBuf>,

    /// Read only every Tth file of a dump, e.g. 1/7: N from 1 to T together read every file once. Which files are there
    /// is always looked at
    #[arg(long, value_name = "N/T", value_parser = parse_subset, help_heading = "Dump")]
    subset: Option<Subset>,

    /// The dump was made with this --scope; MANIFEST does not say so. Repeatable
    #[arg(
        long = "scope",
        value_name = "FAMILY=NAME",
        value_parser = parse_scope,
        requires = "against",
        help_heading = "Dump"
    )]
    scopes: Vec<(String, String)>,

    /// The dump was made with this --dynamodb-bundle-size; MANIFEST does not say so. Default: 64MiB
    #[arg(long, value_name = "SIZE", value_parser = parse_size, requires = "against", help_heading = "Dump")]
    dynamodb_bundle_size: Option<ByteSize>,

    /// Threads that read files. Default: as many as the machine has
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64), help_heading = "Dump")]
    threads: Option<u16>,

    #[command(flatten)]
    adapters: AdapterArgs,

    #[command(flatten)]
    keys: KeyArgs,

    /// Print one JSON object a line; their shape is said below
    #[arg(long)]
    json: bool,
}

impl Verify {
    pub fn run(self, manners: &Manners) -> anyhow::Result<Status> {
        let given = Given::at(&self.path);
        if given != Given::Dump && (!self.against.is_empty() || self.subset.is_some()) {
            let path = self.path.display();
            return Err(UsageError(format!("--against and --subset are for dumps; {path} is none")).into());
        }
        let keys = self.keys.read()?;
        let bars = Bars::new(manners)?;
        let printer = Printer::new(manners, &bars, self.json);
        let mut findings = |finding: Finding| printer.print(&finding);
        let (looked_at, summary) = match given {
            Given::Dump => {
                let (subset, threads) = (self.subset.unwrap_or(Subset::ALL), threads(self.threads));
                let checked = verify_dump(&self.path, DumpOptions { subset, threads }, &bars, &mut findings)
                    .map_err(leaving_nothing)?;
                if !self.against.is_empty() {
                    let options = AgainstOptions {
                        scopes: self.scopes,
                        bundle_bytes: self.dynamodb_bundle_size.unwrap_or(BUNDLE_SIZE).as_u64(),
                        threads,
                        keys,
                    };
                    let inputs = inputs_at(self.against)?;
                    verify_against(&self.path, &inputs, &options, &bars, &mut findings)
                        .map_err(leaving_nothing)?;
                }
                let looked_at = json!({
                    "files": checked.files, "files_read": checked.files_read, "bytes_read": checked.bytes_read,
                });
                let (files, read) = (HumanCount(checked.files), HumanCount(checked.files_read));
                let bytes = HumanBytes(checked.bytes_read);
                (
                    looked_at,
                    format!(
                        "dump      {}: {files} files, {read} of them read, {bytes}\n",
                        self.path.display()
                    ),
                )
            }
            Given::Staging => {
                of_report(verify_staging(&self.path, &bars, &mut findings).map_err(leaving_nothing)?.as_ref())
            }
            Given::Snapshot => {
                let inputs = inputs_at(vec![self.path])?;
                of_report(Some(
                    &verify_snapshot(&inputs, self.adapters.names(), keys, &bars, &mut findings)
                        .map_err(leaving_nothing)?,
                ))
            }
        };
        printer.finish(given.name(), looked_at, &summary)
    }
}

/// What was read, for machines and for people.
fn of_report(report: Option<&Report>) -> (Value, String) {
    let Some(report) = report else { return (json!({}), String::new()) };
    let looked_at = json!({ "rows": report.rows, "quarantined_rows": report.quarantined_rows });
    (looked_at, if report.complete { text::summary(report) } else { String::new() })
}

/// Prints findings as they come up.
pub struct Printer<'m> {
    manners: &'m Manners,
    bars: &'m Bars,
    json: bool,
    findings: Cell<u64>,
    notes: Cell<u64>,
    failed: RefCell<Option<anyhow::Error>>,
}

impl<'m> Printer<'m> {
    pub fn new(manners: &'m Manners, bars: &'m Bars, json: bool) -> Self {
        let (findings, notes) = (Cell::new(0), Cell::new(0));
        Self { manners, bars, json, findings, notes, failed: RefCell::default() }
    }

    /// Prints one.
    pub fn print(&self, finding: &Finding) {
        let count = if finding.severity == Severity::Finding { &self.findings } else { &self.notes };
        count.set(count.get() + 1);
        if self.json {
            self.line(&as_json(finding).to_string());
        } else if finding.severity == Severity::Finding || !self.manners.quiet {
            self.line(&as_text(finding));
        }
    }

    /// Prints a line, above a bar that is being drawn.
    pub fn line(&self, line: &str) {
        self.bars.suspend(|| {
            if let Err(error) = self.manners.print(&format!("{line}\n")) {
                self.failed.borrow_mut().get_or_insert(error);
            }
        });
    }

    /// Prints the result, with what was looked at.
    pub fn finish(self, verified: &str, looked_at: Value, summary: &str) -> anyhow::Result<Status> {
        let (findings, notes) = (self.findings.get(), self.notes.get());
        let status = if findings == 0 { Status::Whole } else { Status::Unverified };
        if self.json {
            let result = if findings == 0 { "passed" } else { "failed" };
            let mut object =
                json!({ "result": result, "verified": verified, "findings": findings, "notes": notes });
            if let (Value::Object(object), Value::Object(looked_at)) = (&mut object, looked_at) {
                object.extend(looked_at);
            }
            self.line(&object.to_string());
        } else if !self.manners.quiet {
            let result = match findings {
                0 => "passed: no findings".to_owned(),
                1 => "FAILED: 1 finding (exit status 7)".to_owned(),
                _ => format!("FAILED: {} findings (exit status 7)", HumanCount(findings)),
            };
            self.line(&format!("{summary}result    {result}"));
        }
        match self.failed.into_inner() {
            Some(error) => Err(error),
            None => Ok(status),
        }
    }
}

/// A path of other bytes than UTF-8 is given as a dump gives such values (`docs/format/dump.md` section 2).
fn path_as_json(path: &[u8]) -> Value {
    match str::from_utf8(path) {
        Ok(path) => json!(path),
        Err(_) => json!({ "base64": URL_SAFE_NO_PAD.encode(path) }),
    }
}

fn as_json(finding: &Finding) -> Value {
    let Finding { kind, severity, path, offset, key, detail } = finding;
    json!({
        "severity": severity.name(), "kind": kind.name(), "path": path_as_json(path), "offset": offset, "key": key,
        "detail": detail,
    })
}

fn as_text(finding: &Finding) -> String {
    let mut line = format!("{:<10}{}: ", finding.severity.name(), finding.kind.name());
    if !finding.path.is_empty() {
        // A string cannot refuse.
        let _ = write!(line, "{}", Escaped(&finding.path));
        if let Some(offset) = finding.offset {
            let _ = write!(line, " at byte {offset}");
        }
        if let Some(key) = &finding.key {
            let _ = write!(line, ", key {key}");
        }
        line.push_str(": ");
    }
    line.push_str(&finding.detail);
    line
}

fn parse_subset(text: &str) -> Result<Subset, String> {
    let number = |text: &str| text.parse().ok();
    text.split_once('/')
        .and_then(|(part, of)| Subset::new(number(part)?, number(of)?))
        .ok_or_else(|| "a subset has the form N/T, e.g. 1/7, with N from 1 to T".to_owned())
}
