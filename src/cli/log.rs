//! How loud a run is and in which form it speaks. Messages go to standard error, results to standard output.

use std::io::{self, IsTerminal, Write};

use clap::{Args, ValueEnum};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::{Layer, fmt, prelude::*, registry};

/// Options of every command.
#[derive(Args, Clone, Copy)]
pub struct Manners {
    /// Say nothing but errors: no progress, no summary, no warnings
    #[arg(long, short, global = true)]
    pub quiet: bool,

    /// Form of the messages on standard error
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text, value_name = "FORMAT")]
    pub log_format: LogFormat,
}

/// Forms of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// A line for people
    Text,
    /// One JSON object a line
    Json,
}

impl Manners {
    /// Sends messages where they belong.
    pub fn install(&self) {
        let level = if self.quiet { LevelFilter::ERROR } else { LevelFilter::INFO };
        let messages = fmt::layer().with_writer(io::stderr).with_target(false);
        let ours = Targets::new().with_target("ekvsnap", level);
        match self.log_format {
            LogFormat::Json => registry().with(messages.json().flatten_event(true).with_filter(ours)).init(),
            LogFormat::Text => {
                let messages = messages.without_time().with_ansi(io::stderr().is_terminal());
                registry().with(messages.with_filter(ours)).init();
            }
        }
    }

    /// May progress be drawn?
    pub fn draws(&self) -> bool {
        !self.quiet && self.log_format == LogFormat::Text && io::stderr().is_terminal()
    }

    /// Writes a result to standard output. A closed pipe is an `io::Error` that nobody needs to hear of.
    pub fn print(&self, text: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()
    }
}
