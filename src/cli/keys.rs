//! `ekvsnap keys`: which keys there are.

use std::fmt;
use std::io::{self, BufWriter, IsTerminal, Write};

use bytesize::ByteSize;
use clap::{Args, ValueEnum};
use ekvsnap::error::Error;
use ekvsnap::keys::{Expires, Filter, Key, Order, list};
use ekvsnap::progress::{Phase, Progress};
use ekvsnap::snapshot::Escaped;
use ekvsnap::staging::Staging;
use jiff::{SpanRelativeTo, Timestamp};

use super::args::{WhichKeys, parse_size};
use super::exit::{Status, leaving_nothing};
use super::log::{Manners, goes_on};
use super::progress::Bars;
use super::source::SourceArgs;

const EXAMPLES: &str = "\
Examples:
  ekvsnap keys prod.db
  ekvsnap keys prod.db --match 'user:*' --type hash
  ekvsnap keys prod.db --sort size --limit 20
  ekvsnap keys prod.db --expires-before 7d --sort expiry
  ekvsnap keys prod.db --scope s3=photos --larger-than 10MiB
  ekvsnap keys 0000000000002710.fsm --match 'session:*' | wc -l

  Each to a file of its own:
  ekvsnap keys prod.db --match 'user:1*' -0 |
    xargs -0 -I{} sh -c 'ekvsnap get prod.db \"$1\" > \"out/$1\"' - {}

Columns:
  FAMILY    redis, dynamodb, s3 or sqs
  TYPE      string, hll, hash, list, set, stream, zset; item; object; queue
  BYTES     what a client gets: values, names, members, items; of a queue its messages' bodies
  ELEMENTS  fields, items, members, entries or messages
  EXPIRES   in UTC
  KEY       as `get` takes it: of an item table/hash or table/hash/range, of an object bucket/key;
            what is no text is escaped: \\n, \\xff, \\\\

Fields of the objects that --json prints, one a line:
  family, scope, key, type, bytes, elements, expires, expire_at_ms, key_hex
The key is text, or X'00FF' where it is none; key_hex are its bytes, or those of the encoded key
attributes of an item. Fields may be added, but none is renamed.";

/// List keys: by family, type, pattern, size or expiry
///
/// Keys come in the order of their bytes, family by family, as they are read: the first ones at once. Any other order
/// looks at all of them before.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Keys {
    #[command(flatten)]
    source: SourceArgs,

    #[command(flatten)]
    which: WhichKeys,

    /// Only keys that match, by the rules of Redis' KEYS, bytes being bytes: * ? [a-c] [^x] and \ before what is meant as
    /// it is. Compared is what the column KEY shows
    #[arg(long = "match", value_name = "GLOB", help_heading = "Which keys")]
    pattern: Option<String>,

    /// Only keys with more bytes than this, e.g. 64KiB
    #[arg(long, value_name = "SIZE", value_parser = parse_size, help_heading = "Which keys")]
    larger_than: Option<ByteSize>,

    /// Only keys that expire before this: an RFC 3339 time, or a span after the snapshot's time, e.g. 12h or 7d; 0s for
    /// those that had expired
    #[arg(long, value_name = "WHEN", value_parser = parse_when, help_heading = "Which keys")]
    expires_before: Option<When>,

    /// Only keys that never expire
    #[arg(long, conflicts_with = "expires_before", help_heading = "Which keys")]
    no_expiry: bool,

    /// Their order: by key, by size (the largest first), or by expiry (the next to expire first)
    #[arg(long, value_enum, value_name = "BY", default_value_t = Sort::Key, help_heading = "Output")]
    sort: Sort,

    /// At most so many
    #[arg(long, value_name = "N", help_heading = "Output")]
    limit: Option<u64>,

    /// Print a JSON object for each key; its shape is said below
    #[arg(long, help_heading = "Output")]
    json: bool,

    /// Print nothing but the bytes of what the column KEY shows, each followed by a NUL, for xargs -0
    #[arg(short = '0', long, conflicts_with = "json", help_heading = "Output")]
    null: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Sort {
    #[value(help = None)]
    Key,
    #[value(help = None)]
    Size,
    #[value(help = None)]
    Expiry,
}

/// A moment, or how long it is after the snapshot's time.
#[derive(Clone, Copy, Debug)]
enum When {
    At(i64),
    After(i64),
}

fn parse_when(text: &str) -> Result<When, String> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(When::At(time.as_millisecond()));
    }
    let span: jiff::Span =
        text.parse().map_err(|_| "neither a time (2026-04-29T15:42:11Z) nor a span (12h, 7d)")?;
    let span = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|error| error.to_string())?;
    i64::try_from(span.as_millis()).map(When::After).map_err(|_| "the span is too long".to_owned())
}

impl Keys {
    pub fn run(self, manners: &Manners) -> anyhow::Result<Status> {
        let bars = Bars::new(manners)?;
        let source = self.source.open(self.which.adapters(), &bars)?;
        let filter = self.filter(source.staging())?;
        let order = match self.sort {
            Sort::Key => Order::Key,
            Sort::Size => Order::Size,
            Sort::Expiry => Order::Expiry,
        };
        let mut out = Out::new(self.json, self.null);
        bars.begin(Phase::Look, None);
        let listed = list(source.staging(), &filter, order, self.limit, |key| {
            if out.is_terminal {
                bars.end();
            }
            bars.advance(1);
            if bars.is_interrupted() {
                return Err(Error::Interrupted.into());
            }
            goes_on(out.key(key))
        });
        bars.end();
        listed.map_err(|error: anyhow::Error| match error.downcast::<Error>() {
            Ok(error) => leaving_nothing(error),
            Err(error) => error,
        })?;
        let _ = goes_on(out.end())?;
        source.status()
    }

    fn filter(&self, staging: &Staging) -> anyhow::Result<Filter> {
        let snapshot_ms: i64 = staging.fact("snapshot_ms").map_err(Error::from)?.unwrap_or_default();
        Ok(Filter {
            pattern: self.pattern.as_ref().map(|pattern| pattern.clone().into_bytes()),
            larger_than: self.larger_than.map(|size| size.as_u64()),
            expires: match self.expires_before {
                _ if self.no_expiry => Expires::Never,
                None => Expires::Any,
                Some(When::At(ms)) => Expires::Before(ms),
                // What expires at the snapshot's time has expired.
                Some(When::After(ms)) => Expires::Before(snapshot_ms.saturating_add(ms).saturating_add(1)),
            },
            ..self.which.filter(staging)?
        })
    }
}

/// Standard output, in the form asked for.
struct Out {
    out: BufWriter<io::StdoutLock<'static>>,
    is_terminal: bool,
    json: bool,
    null: bool,
    begun: bool,
}

impl Out {
    fn new(json: bool, null: bool) -> Self {
        let out = io::stdout().lock();
        Self { is_terminal: out.is_terminal(), out: BufWriter::new(out), json, null, begun: false }
    }

    fn key(&mut self, key: &Key<'_>) -> io::Result<()> {
        if self.json {
            serde_json::to_writer(&mut self.out, key)?;
            self.out.write_all(b"\n")?;
        } else if self.null {
            self.out.write_all(key.name)?;
            self.out.write_all(b"\0")?;
        } else {
            self.header()?;
            line(
                &mut self.out,
                [
                    &key.family,
                    &key.key_type,
                    &key.bytes,
                    &Dash(key.elements),
                    &Dash(expires(key)),
                    &Escaped(key.name),
                ],
            )?;
        }
        // Somebody may be looking.
        if self.is_terminal { self.out.flush() } else { Ok(()) }
    }

    fn header(&mut self) -> io::Result<()> {
        if std::mem::replace(&mut self.begun, true) {
            return Ok(());
        }
        line(&mut self.out, [&"FAMILY", &"TYPE", &"BYTES", &"ELEMENTS", &"EXPIRES", &"KEY"])
    }

    fn end(mut self) -> io::Result<()> {
        if !self.json && !self.null {
            self.header()?;
        }
        self.out.flush()
    }
}

/// Widths suit all but giants, since the first line is printed before the last one is known.
fn line(
    out: &mut impl Write,
    [family, of, bytes, elements, expires, key]: [&dyn fmt::Display; 6],
) -> io::Result<()> {
    let [family, of, bytes, elements, expires] =
        [family, of, bytes, elements, expires].map(ToString::to_string);
    writeln!(out, "{family:<8} {of:<6} {bytes:>10} {elements:>8}  {expires:<24}  {key}")
}

fn expires<'k>(key: &Key<'k>) -> Option<&'k str> {
    key.expires.or(key.expire_at_ms.map(|_| "after the year 9999"))
}

/// What there may be, or a dash.
struct Dash<T>(Option<T>);

impl<T: fmt::Display> fmt::Display for Dash<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(what) => what.fmt(f),
            None => f.write_str("-"),
        }
    }
}
