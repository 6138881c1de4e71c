//! `ekvsnap stats`: how many keys, how large, of which prefixes, expiring when.

use std::fmt::{Display, Write};

use clap::Args;
use ekvsnap::error::Error;
use ekvsnap::keys::{EXPIRY_CLASSES, FamilyStats, PrefixStats, Separators, StatsOptions, stats};
use ekvsnap::progress::{Phase, Progress};
use ekvsnap::snapshot::rfc3339;
use indicatif::{HumanBytes, HumanCount};
use serde_json::json;

use super::args::WhichKeys;
use super::exit::{Status, leaving_nothing};
use super::log::Manners;
use super::progress::Bars;
use super::source::SourceArgs;

const EXAMPLES: &str = "\
Examples:
  ekvsnap stats prod.db
  ekvsnap stats prod.db --family redis --depth 2 --top 20
  ekvsnap stats prod.db --json | jq '.families[] | {family, keys, bytes}'

Fields of the object that --json prints:
  snapshot_ms      what expiries are judged against, Unix ms
  families         those that have keys, each with
    family, keys, bytes
    types          type, keys, bytes, elements, and biggest: key, bytes, elements
    prefixes       prefix, keys, bytes; the prefix of keys without a separator is empty
    other_prefixes prefixes, keys, bytes of those not shown
    expiries       keys by when they expire, seen from snapshot_ms: expired, within_1_hour,
                   within_1_day, within_7_days, within_30_days, later, never; none counts twice
Keys and prefixes are shown as text, long ones cut. Fields may be added, but none is renamed.";

/// Count keys and bytes by family, type and prefix, name the biggest, and say when keys expire
///
/// Prefixes are those of what `keys` shows: up to the first separator, so of items and objects the table or bucket.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Stats {
    #[command(flatten)]
    source: SourceArgs,

    #[command(flatten)]
    which: WhichKeys,

    /// What ends a prefix: any of these characters
    #[arg(long, value_name = "CHARS", default_value = ":/", value_parser = parse_separators, help_heading = "Prefixes")]
    separator: Vec<Vec<u8>>,

    /// Separators that a prefix has at most
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=16), help_heading = "Prefixes")]
    depth: u8,

    /// Prefixes, and biggest keys of each type, that are named
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(..=1000), help_heading = "Output")]
    top: u16,

    /// Print one JSON object; its shape is said below
    #[arg(long, help_heading = "Output")]
    json: bool,
}

fn parse_separators(text: &str) -> Result<Vec<u8>, String> {
    if text.is_ascii() && !text.is_empty() {
        Ok(text.as_bytes().to_vec())
    } else {
        Err("separators are ASCII characters, at least one".to_owned())
    }
}

impl Stats {
    pub fn run(self, manners: &Manners) -> anyhow::Result<Status> {
        let bars = Bars::new(manners)?;
        let source = self.source.open(self.which.adapters(), &bars)?;
        let staging = source.staging();
        let filter = self.which.filter(staging)?;
        let options = StatsOptions {
            separators: Separators { bytes: self.separator.concat(), depth: self.depth.into() },
            top: self.top.into(),
        };
        bars.begin(Phase::Look, None);
        let families = stats(staging, &filter, &options, &bars).map_err(leaving_nothing)?;
        bars.end();
        let snapshot_ms: i64 = staging.fact("snapshot_ms").map_err(Error::from)?.unwrap_or_default();
        let text = if self.json {
            serde_json::to_string_pretty(&json!({ "snapshot_ms": snapshot_ms, "families": families }))? + "\n"
        } else {
            describe(&families, snapshot_ms, self.top.into())
        };
        manners.print(&text)?;
        source.status()
    }
}

fn describe(families: &[FamilyStats], snapshot_ms: i64, top: usize) -> String {
    let mut out = String::new();
    if families.is_empty() {
        out.push_str("no keys\n");
    }
    for family in families {
        if !out.is_empty() {
            out.push('\n');
        }
        let _ = writeln!(out, "{}: {} keys, {}", family.family, HumanCount(family.keys), size(family.bytes));
        columns(&mut out, [&"type", &"keys", &"bytes", &"elements"]);
        for of in &family.types {
            let elements = HumanCount(of.elements.cast_unsigned()).to_string();
            let elements =
                if of.biggest.iter().all(|key| key.elements.is_none()) { "·".to_owned() } else { elements };
            columns(&mut out, [&of.key_type, &HumanCount(of.keys), &size(of.bytes), &elements]);
        }
        describe_biggest(&mut out, family, top);
        describe_prefixes(&mut out, family);
        describe_expiries(&mut out, family, snapshot_ms);
    }
    out
}

fn columns(out: &mut String, [first, rest @ ..]: [&dyn Display; 4]) {
    let _ = write!(out, "  {:<16}", first.to_string());
    for cell in rest {
        let _ = write!(out, "{:>14}", cell.to_string());
    }
    out.push('\n');
}

fn describe_biggest(out: &mut String, family: &FamilyStats, top: usize) {
    let mut biggest: Vec<_> =
        family.types.iter().flat_map(|of| of.biggest.iter().map(move |key| (of.key_type, key))).collect();
    biggest.sort_by_key(|(_, key)| std::cmp::Reverse(key.bytes));
    if top > 0 {
        let _ = writeln!(out, "  {:>12}  {:<6}  biggest keys", "bytes", "type");
    }
    for (of, key) in biggest.into_iter().take(top) {
        let _ = writeln!(out, "  {:>12}  {of:<6}  {}", size(key.bytes), key.key);
    }
}

fn describe_prefixes(out: &mut String, family: &FamilyStats) {
    let _ = writeln!(out, "  {:>12} {:>14}  prefix", "keys", "bytes");
    let mut line = |keys, bytes, what: &dyn Display| {
        let _ = writeln!(out, "  {:>12} {:>14}  {what}", HumanCount(keys).to_string(), size(bytes));
    };
    for PrefixStats { prefix, keys, bytes } in &family.prefixes {
        let what = if prefix.is_empty() { "(without a separator)" } else { prefix };
        line(*keys, *bytes, &what);
    }
    let others = &family.other_prefixes;
    if others.prefixes > 0 {
        line(others.keys, others.bytes, &format!("({} others)", HumanCount(others.prefixes)));
    }
}

fn describe_expiries(out: &mut String, family: &FamilyStats, snapshot_ms: i64) {
    let counts = EXPIRY_CLASSES.iter().zip(family.expiries.0);
    if counts.clone().all(|((_, reach), count)| reach.is_none() || count == 0) {
        out.push_str("  no key expires\n");
        return;
    }
    let _ = writeln!(out, "  expiry, from {} on", rfc3339(snapshot_ms).unwrap_or_default());
    for ((name, _), count) in counts.filter(|(_, count)| *count > 0) {
        let _ = writeln!(out, "  {:>12}  {}", HumanCount(count).to_string(), name.replace('_', " "));
    }
}

fn size(bytes: i64) -> String {
    HumanBytes(bytes.cast_unsigned()).to_string()
}
