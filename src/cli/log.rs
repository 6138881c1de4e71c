//! How loud a run is and in which form it speaks. Messages go to standard error, results to standard output.

use std::fmt::{self, Debug, Write as _};
use std::io::{self, IsTerminal, Write};
use std::ops::ControlFlow;

use clap::{Args, ValueEnum};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, layer};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, prelude::*, registry};

/// Options of every command.
#[derive(Args, Clone, Copy)]
pub struct Manners {
    /// Say nothing but errors: no progress, no summary, no warnings. The exit status still tells
    #[arg(long, short, global = true, help_heading = "Messages")]
    pub quiet: bool,

    /// Form of the messages on standard error: text for people, json for machines (one object a line; the summary
    /// is then one of them)
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t = LogFormat::Text,
        value_name = "FORMAT",
        help_heading = "Messages"
    )]
    pub log_format: LogFormat,
}

/// Forms of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    #[value(help = None)]
    Text,
    #[value(help = None)]
    Json,
}

/// A result that nobody could be given; the run itself went well.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to standard output")]
pub struct StdoutError(#[source] pub io::Error);

impl StdoutError {
    /// Has whoever read it read enough?
    pub fn is_closed(&self) -> bool {
        self.0.kind() == io::ErrorKind::BrokenPipe
    }
}

impl Manners {
    /// Sends messages where they belong.
    pub fn install(&self) {
        let level = if self.quiet { LevelFilter::ERROR } else { LevelFilter::INFO };
        // Standard error may be closed or full; there is nowhere to say so.
        let messages = layer().with_writer(io::stderr).with_target(false).log_internal_errors(false);
        let ours = Targets::new().with_target("ekvsnap", level);
        match self.log_format {
            LogFormat::Json => registry().with(messages.json().flatten_event(true).with_filter(ours)).init(),
            LogFormat::Text => {
                let messages = messages.with_ansi(io::stderr().is_terminal()).event_format(ForPeople);
                registry().with(messages.with_filter(ours)).init();
            }
        }
    }

    /// May progress be drawn?
    pub fn draws(&self) -> bool {
        !self.quiet && self.log_format == LogFormat::Text && io::stderr().is_terminal()
    }

    /// Writes a result to standard output. Whoever has closed the pipe has read enough.
    pub fn print(&self, text: &str) -> anyhow::Result<()> {
        let mut out = io::stdout().lock();
        goes_on(out.write_all(text.as_bytes()).and_then(|()| out.flush())).map(|_| ())
    }
}

/// Does anybody still read standard output, to which this was written?
pub fn goes_on(written: io::Result<()>) -> anyhow::Result<ControlFlow<()>> {
    match written.map_err(StdoutError) {
        Ok(()) => Ok(ControlFlow::Continue(())),
        Err(error) if error.is_closed() => Ok(ControlFlow::Break(())),
        Err(error) => Err(error.into()),
    }
}

/// `error: what`, and below it what else helps.
struct ForPeople;

impl<S, N> FormatEvent<S, N> for ForPeople
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    N: for<'w> FormatFields<'w> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let (word, colour) = match *event.metadata().level() {
            Level::ERROR => ("error", 31),
            Level::WARN => ("warning", 33),
            _ => ("note", 36),
        };
        let mut said = Said::default();
        event.record(&mut said);
        if out.has_ansi_escapes() {
            write!(out, "\x1b[1;{colour}m{word}:\x1b[0m ")?;
        } else {
            write!(out, "{word}: ")?;
        }
        writeln!(out, "{}{}", said.message, said.count)?;
        if !said.below.is_empty() {
            writeln!(out, "{}", said.below)?;
        }
        Ok(())
    }
}

/// The fields of an event that people want to see.
#[derive(Default)]
struct Said {
    message: String,
    count: String,
    below: String,
}

impl Visit for Said {
    fn record_str(&mut self, field: &Field, value: &str) {
        // A string cannot refuse.
        let _ = match field.name() {
            "hint" if value.is_empty() => Ok(()),
            "hint" => write!(self.below, "  help: {value}"),
            "examples" => write!(self.below, "  {}", value.replace('\n', "\n  ")),
            _ => Ok(()),
        };
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "count" {
            let _ = write!(self.count, " ({value})");
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            let _ = write!(self.message, "{value:?}");
        }
    }
}
