//! What a run tells people at its end.

use std::fmt::Write;
use std::path::Path;

use ekvsnap::export::Dumped;
use ekvsnap::report::{Report, SourceReport, TablesReport, WarningReport};
use ekvsnap::snapshot::{Hlc, Verdict};
use indicatif::{HumanBytes, HumanCount};

use super::exit::Status;
use super::log::{LogFormat, Manners};

/// Examples of a warning that are shown; `info` and the staging database have more.
const SHOWN: usize = 3;

/// Of a dump that an earlier run has published.
pub const WRITTEN_ALREADY: &str = "the dump had been written to its end already";

/// Says what was written, and how whole it is.
pub fn finish(manners: &Manners, dumped: &Dumped, output: &Path) -> anyhow::Result<Status> {
    let report = &dumped.report;
    let status = warn(report, &dumped.missing_scopes);
    match manners.log_format {
        _ if manners.quiet => {}
        LogFormat::Json => tracing::info!(
            output = %output.display(),
            keys = dumped.keys.iter().map(|(_, keys)| keys).sum::<u64>(),
            files = dumped.files,
            bytes = dumped.bytes,
            rows = report.rows,
            status = status as u8,
            "dump written"
        ),
        LogFormat::Text => {
            let keys: u64 = dumped.keys.iter().map(|(_, keys)| keys).sum();
            let dump = format!(
                "dump      {}: {} keys in {} files, {}\n",
                output.display(),
                HumanCount(keys),
                HumanCount(dumped.files),
                HumanBytes(dumped.bytes)
            );
            manners.print(&(summary(report) + &dump + verdict(status)))?;
        }
    }
    Ok(status)
}

/// Says what was loaded, and how whole it is.
pub fn finish_load(manners: &Manners, report: &Report, staging: &Path) -> anyhow::Result<Status> {
    let status = warn(report, &[]);
    match manners.log_format {
        _ if manners.quiet => {}
        LogFormat::Json => tracing::info!(
            staging = %staging.display(),
            rows = report.rows,
            status = status as u8,
            "snapshots loaded"
        ),
        LogFormat::Text => {
            let staging =
                format!("staging   {}: query it with ekvsnap sql, or export it\n", staging.display());
            manners.print(&(summary(report) + &staging + verdict(status)))?;
        }
    }
    Ok(status)
}

/// The last line, which is the one that is read.
fn verdict(status: Status) -> &'static str {
    match status {
        Status::Whole => "",
        _ => {
            "result    INCOMPLETE: the warnings say what is missing or could not be decided (exit status 1)\n"
        }
    }
}

/// The warnings, one message a kind: a note if the dump is whole all the same.
fn warn(report: &Report, missing_scopes: &[(String, String)]) -> Status {
    for WarningReport { kind, count, meaning, means_incomplete, samples } in &report.warnings {
        let mut examples = samples.iter().take(SHOWN).cloned().collect::<Vec<_>>().join("\n");
        if *count > SHOWN as u64 && samples.len() > SHOWN {
            examples.push_str("\n…");
        }
        if *means_incomplete {
            tracing::warn!(kind, count, examples, "{meaning}");
        } else {
            tracing::info!(kind, count, examples, "{meaning}");
        }
    }
    for (adapter, name) in missing_scopes {
        tracing::warn!(
            "nothing in the snapshot belongs to --scope {adapter}={name}: the dump has none of it"
        );
    }
    if report.is_incomplete() || !missing_scopes.is_empty() { Status::Incomplete } else { Status::Whole }
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
    describe_states(&mut text, report);
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
    if let Some(tables) = &source.tables {
        let TablesReport { count, bytes, raw_blocks, snappy_blocks } = *tables;
        let of = if count == 1 { "table" } else { "tables" };
        let (tables, bytes, rows) = (HumanCount(count), HumanBytes(bytes), HumanCount(source.rows));
        let (blocks, raw_blocks) = (HumanCount(raw_blocks + snappy_blocks), HumanCount(raw_blocks));
        let snappy_blocks = HumanCount(snappy_blocks);
        let _ = writeln!(
            text,
            "          {tables} {of}, {bytes}, {rows} rows in {blocks} data blocks: {snappy_blocks} Snappy, {raw_blocks} raw"
        );
    }
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

/// How the values of rows were stored, if any was encrypted.
fn describe_states(text: &mut String, report: &Report) {
    let encrypted: Vec<String> = report
        .encrypted_rows()
        .map(|(key_id, rows)| format!("{} under key id {key_id}", HumanCount(rows)))
        .collect();
    if encrypted.is_empty() {
        return;
    }
    let others = report
        .row_states
        .iter()
        .filter(|state| state.key_id.is_none())
        .map(|state| format!("{} {}", HumanCount(state.rows), state.state));
    let all: Vec<String> = encrypted.into_iter().chain(others).collect();
    let _ = writeln!(text, "encrypted {}", all.join(", "));
}

fn describe_keys(text: &mut String, report: &Report) {
    if report.families.iter().all(|family| family.keys == 0) {
        text.push_str("keys      none\n");
    }
    for family in report.families.iter().filter(|family| family.keys > 0) {
        let kinds: Vec<String> =
            family.kinds.iter().map(|(kind, keys)| format!("{} {kind}", HumanCount(*keys))).collect();
        let (keys, kinds) = (HumanCount(family.keys), kinds.join(", "));
        let _ = writeln!(text, "keys      {keys} {} ({kinds})", family.family);
    }
    if report.quarantined_rows > 0 {
        let _ = writeln!(text, "          {} rows quarantined", HumanCount(report.quarantined_rows));
    }
}
