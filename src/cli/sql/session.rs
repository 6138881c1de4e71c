//! Statements one after the other: each is run, its rows are shown, and somebody who waits sees that it works.

use std::io::{self, BufRead, BufWriter, IsTerminal, Read, Write};
use std::sync::Arc;

use anyhow::Context;
use console::Term;
use ekvsnap::query::{Database, MAX_STATEMENT_BYTES, QueryError, Script, Statement};

use super::command;
use super::sheet::Format;
use super::wait::Wait;
use crate::cli::exit::UsageError;
use crate::cli::interrupt::Interrupt;
use crate::cli::log::{Manners, StdoutError};

/// Steps of SQLite's machine between two looks at the clock and at signals: well below a millisecond.
const STEPS: i32 = 10_000;

/// What statements are run in.
pub struct Session {
    pub database: Database,
    pub format: Format,
    pub manners: Manners,
    wait: Arc<Wait>,
    pub interrupt: Interrupt,
    /// Was there a result before, which has to be told from the next?
    has_results: bool,
}

/// Does the session go on?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    Continue,
    Quit,
}

impl Session {
    pub fn new(
        database: Database,
        format: Format,
        manners: Manners,
        interrupt: Interrupt,
    ) -> anyhow::Result<Self> {
        let wait = Arc::new(Wait::new(&manners));
        let (drawn, asked) = (Arc::clone(&wait), interrupt.clone());
        database.connection().progress_handler(
            STEPS,
            Some(move || {
                drawn.draw();
                asked.is_set()
            }),
        )?;
        Ok(Self { database, format, manners, wait, interrupt, has_results: false })
    }

    /// Runs all statements of a text, and the commands in between, until one fails.
    pub fn run(&mut self, mut text: impl BufRead, name: &str) -> anyhow::Result<()> {
        let mut script = Script::default();
        let mut line = Vec::new();
        let mut line_number = 0;
        loop {
            line.clear();
            // A byte more than a line may have tells that it has more.
            let limit = (MAX_STATEMENT_BYTES + 1) as u64;
            let read = (&mut text).take(limit).read_until(b'\n', &mut line);
            if read.with_context(|| format!("cannot read {name}"))? == 0 {
                break;
            }
            line_number += 1;
            if line.len() > MAX_STATEMENT_BYTES {
                return Err(QueryError::TooLong { line: line_number, limit: MAX_STATEMENT_BYTES }.into());
            }
            let line = str::from_utf8(&line)
                .map_err(|_| UsageError(format!("{name} is not text: line {line_number} is not UTF-8")))?;
            if self.line(&mut script, line)? == Flow::Quit {
                return Ok(());
            }
        }
        if let Some(statement) = script.rest() {
            self.statement(&statement)?;
        }
        if self.interrupt.is_set() { Err(QueryError::Interrupted.into()) } else { Ok(()) }
    }

    /// Runs what was typed at the prompt: whole statements, or a command.
    pub fn run_lines(&mut self, text: &str) -> anyhow::Result<Flow> {
        self.has_results = false;
        self.line(&mut Script::default(), text)
    }

    /// Takes a line, and runs what is complete with it.
    fn line(&mut self, script: &mut Script, line: &str) -> anyhow::Result<Flow> {
        if script.is_between_statements() && line.trim_start().starts_with('.') {
            // It counts as a line.
            script.push("\n");
            script.next_statement();
            return command::run(self, line);
        }
        script.push(line);
        while let Some(statement) = script.next_statement() {
            self.statement(&statement)?;
        }
        if let Some(line) = script.too_long() {
            return Err(QueryError::TooLong { line, limit: MAX_STATEMENT_BYTES }.into());
        }
        Ok(Flow::Continue)
    }

    /// Runs a statement and shows its rows.
    fn statement(&mut self, statement: &Statement) -> anyhow::Result<()> {
        if self.interrupt.is_set() {
            return Err(QueryError::Interrupted.into());
        }
        self.wait.begin();
        let result = self.show(statement);
        self.wait.end();
        let cut = result?;
        if cut > 0 {
            tracing::info!(
                hint = "--format csv, json or jsonl shows values whole; at the prompt .format does",
                "{cut} {} cut to fit into the table",
                if cut == 1 { "value is" } else { "values are" }
            );
        }
        Ok(())
    }

    /// How many values were cut.
    fn show(&mut self, statement: &Statement) -> anyhow::Result<u64> {
        let Self { database, format, wait, has_results, .. } = self;
        let explain = |error| database.explain(error, statement);
        let mut query = database.connection().prepare(&statement.text).map_err(explain)?;
        let columns: Vec<String> = query.column_names().into_iter().map(str::to_owned).collect();
        let mut rows = query.query([]).map_err(explain)?;
        if columns.is_empty() {
            while rows.next().map_err(explain)?.is_some() {}
            return Ok(0);
        }
        let mut out = BufWriter::new(Shown { wait });
        if std::mem::replace(has_results, true) && format.separates_results() {
            out.write_all(b"\n").map_err(StdoutError)?;
        }
        let width = Term::stdout().size_checked().map(|(_, width)| usize::from(width));
        let count = columns.len();
        let mut sheet = format.sheet(columns, width, out);
        while let Some(row) = rows.next().map_err(explain)? {
            let values: Result<Vec<_>, _> = (0..count).map(|column| row.get_ref(column)).collect();
            sheet.row(&values.map_err(explain)?).map_err(StdoutError)?;
            wait.count_row();
        }
        Ok(sheet.end().map_err(StdoutError)?)
    }
}

/// Standard output. On a terminal, rows take the place of the sign that the query works.
struct Shown<'w> {
    wait: &'w Wait,
}

impl Write for Shown<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if io::stdout().is_terminal() {
            self.wait.end();
        }
        io::stdout().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().flush()
    }
}
