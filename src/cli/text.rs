//! What a run tells people at its end.

use std::fmt::Write;
use std::path::Path;

use ekvsnap::export::Dumped;
use ekvsnap::report::{Report, SourceReport, WarningReport};
use ekvsnap::snapshot::{Hlc, Verdict};
use indicatif::{HumanBytes, HumanCount};

use super::exit::Status;
use super::log::{LogFormat, Manners};

/// Says what was written, and how whole it is.
pub fn finish(manners: &Manners, dumped: &Dumped, output: &Path) -> anyhow::Result<Status> {
    if !manners.quiet {
        let mut text = summary(&dumped.report);
        let files = HumanCount(dumped.files);
        let _ = writeln!(text, "dump      {}: {files} files, {}", output.display(), HumanBytes(dumped.bytes));
        match manners.log_format {
            LogFormat::Text => manners.print(&text)?,
            LogFormat::Json => tracing::info!(
                output = %output.display(),
                files = dumped.files,
                bytes = dumped.bytes,
                rows = dumped.report.rows,
                "dump complete"
            ),
        }
        warn(&dumped.report);
    }
    Ok(if dumped.report.is_incomplete() { Status::Incomplete } else { Status::Whole })
}

/// The warnings, one message a kind.
pub fn warn(report: &Report) {
    for WarningReport { kind, count, meaning, samples, .. } in &report.warnings {
        let shown = samples.iter().take(3).cloned().collect::<Vec<_>>().join(", ");
        let more = if *count > 3 && samples.len() > 3 { ", …" } else { "" };
        tracing::warn!(kind, count, "{meaning} ({shown}{more})");
    }
}

/// Sources, rows and keys.
pub fn summary(report: &Report) -> String {
    let mut text = String::new();
    for source in &report.sources {
        describe_source(&mut text, source);
    }
    if let Some(as_of) = report.as_of {
        let _ = writeln!(text, "as of     {}", Hlc(as_of));
    }
    describe_rows(&mut text, report);
    describe_keys(&mut text, report);
    text
}

fn describe_source(text: &mut String, source: &SourceReport) {
    let index = source.snapshot_index.map_or_else(|| "unknown".to_owned(), |index| index.to_string());
    let header = source.header.as_deref().unwrap_or("no header");
    let time = source.last_commit_time.as_deref().unwrap_or("no time");
    let crc = match (&source.crc32c, source.complete) {
        (Some(crc), _) => format!("CRC-32C {crc} verified"),
        (None, true) => "no CRC footer".to_owned(),
        (None, false) => match source.bytes {
            Some(bytes) => format!("read to {} of {}", HumanBytes(source.resumes_at), HumanBytes(bytes)),
            None => "not read to its end".to_owned(),
        },
    };
    let _ = writeln!(text, "snapshot  {}", source.path);
    let _ = writeln!(text, "          {header}, {}, index {index}, {crc}", source.body);
    let _ = writeln!(text, "          last commit {time} (HLC {})", source.last_commit_ts);
}

fn describe_rows(text: &mut String, report: &Report) {
    let _ = writeln!(text, "rows      {}", HumanCount(report.rows));
    let columns = ["rows", "visible", "superseded", "tombstone", "expired", "later"];
    let _ = write!(text, "          {:<12}", "class");
    for column in columns {
        let _ = write!(text, "{column:>12}");
    }
    text.push('\n');
    for class in report.classes.iter().filter(|class| class.rows > 0) {
        let _ = write!(text, "          {:<12}{:>12}", class.class, HumanCount(class.rows).to_string());
        for verdict in Verdict::ALL {
            let rows =
                class.verdicts.iter().find(|(name, _)| *name == verdict.name()).map_or(0, |(_, rows)| *rows);
            let _ =
                write!(text, "{:>12}", if rows == 0 { "·".to_owned() } else { HumanCount(rows).to_string() });
        }
        text.push('\n');
    }
}

fn describe_keys(text: &mut String, report: &Report) {
    for family in &report.families {
        let kinds: Vec<String> =
            family.kinds.iter().map(|(kind, keys)| format!("{} {kind}", HumanCount(*keys))).collect();
        let kinds = if kinds.is_empty() { String::new() } else { format!(" ({})", kinds.join(", ")) };
        let _ = writeln!(text, "keys      {} {}{kinds}", HumanCount(family.keys), family.family);
    }
    if report.quarantined_rows > 0 {
        let _ = writeln!(text, "          {} rows quarantined", HumanCount(report.quarantined_rows));
    }
}
