//! `ekvsnap sql`: queries to a staging database. `session` runs statements, `sheet` and the forms beside it show their
//! rows, `command` knows the commands that begin with a dot, `prompt` asks a person, `completion` helps them type.

mod command;
mod completion;
mod csv;
mod json;
mod prompt;
mod session;
mod sheet;
mod table;
mod wait;

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use clap::Args;
use ekvsnap::query::{self, Database};

use self::session::Session;
use self::sheet::Format;
use super::exit::Status;
use super::interrupt::Interrupt;
use super::log::{Manners, StdoutError};
use super::new_file;

const EXAMPLES: &str = "\
Examples:
  ekvsnap sql prod.db
  ekvsnap sql prod.db .tables
  ekvsnap sql prod.db 'SELECT type, count(*), sum(bytes) FROM keys GROUP BY type'
  ekvsnap sql prod.db -f jsonl \"SELECT key FROM redis_keys WHERE redis_glob('user:[0-9]*', key)\"
  ekvsnap sql prod.db -f csv < questions.sql > answers.csv

Functions beside SQLite's own:
  readable(bytes)           bytes as text, as messages show keys
  unreadable(text)          the bytes that readable() shows so
  hlc_time(hlc)             an HLC timestamp as a time
  hlc_ms(hlc)               an HLC timestamp in Unix milliseconds
  hlc_of(time)              the last HLC timestamp of a time, as --as-of takes it
  encode_name(key)          the file name of a key in the dump, without its extension
  decode_name(name)         the key of a file name
  redis_glob(pattern, key)  does the key match a pattern of Redis' KEYS?

What values look like:
  NULL     NULL in a table, an empty field in CSV, null in JSON
  blobs    X'00FF' in tables and CSV; {\"base64\":\"AP8\"}, base64url, in JSON, where so is text that is
           not UTF-8
  numbers  integers to the last digit; others as in the dump, infinities as +inf and -inf
  names    of columns that are the same: name, name_2, ... in JSON";

/// Query a staging database with SQL; without a query, at a prompt
///
/// Statements come from QUERY, else from standard input; if that is a terminal, from a prompt with history and
/// completion. The database is opened for reading only. docs/staging.md has its tables and views.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Sql {
    /// A staging database made by `ekvsnap load`
    #[arg(value_name = "STAGING")]
    staging: PathBuf,

    /// Statements, separated by semicolons, or a command of the prompt such as .tables
    #[arg(value_name = "QUERY")]
    query: Option<String>,

    /// Form of the rows; that of several results follow one another. Default: table on a terminal, csv elsewhere
    #[arg(long, short, value_enum, value_name = "FORMAT", help_heading = "Output")]
    format: Option<Format>,

    /// Write metadata for datasette into a new file (- for standard output) instead: what tables and views hold, which
    /// are for people, and facets
    #[arg(long, value_name = "FILE", conflicts_with_all = ["query", "format"], help_heading = "Output")]
    datasette_metadata: Option<PathBuf>,
}

impl Sql {
    pub fn run(self, manners: &Manners) -> anyhow::Result<Status> {
        let database = Database::open(&self.staging)?;
        if let Some(file) = &self.datasette_metadata {
            return write_metadata(&database, &self.staging, file, manners);
        }
        if !database.is_complete()? {
            tracing::warn!(
                "the load into {} has not come to its end: rows are missing",
                self.staging.display()
            );
        }
        let format =
            self.format.unwrap_or(if io::stdout().is_terminal() { Format::Table } else { Format::Csv });
        let asks = self.query.is_none() && io::stdin().is_terminal() && io::stdout().is_terminal();
        let interrupt = if asks { Interrupt::listen_at_prompt() } else { Interrupt::listen() }?;
        let mut session = Session::new(database, format, *manners, interrupt)?;
        let run = match &self.query {
            Some(query) => session.run(query.as_bytes(), "the query"),
            None if asks => prompt::ask(&mut session, &self.staging),
            None => session.run(io::stdin().lock(), "standard input"),
        };
        match run {
            Err(error) if error.downcast_ref().is_some_and(StdoutError::is_closed) => Ok(Status::Whole),
            run => run.map(|()| Status::Whole),
        }
    }
}

fn write_metadata(
    database: &Database,
    staging: &Path,
    file: &Path,
    manners: &Manners,
) -> anyhow::Result<Status> {
    let name = staging.file_stem().unwrap_or_default().to_string_lossy();
    let text = serde_json::to_string_pretty(&query::metadata(database.staging(), &name)?)? + "\n";
    if file.as_os_str() == "-" {
        manners.print(&text)?;
    } else {
        new_file::write(file, text.as_bytes())?;
    }
    Ok(Status::Whole)
}
