//! The prompt: a line editor with history and completion around a session. An error ends a statement, not the session.

use std::fs;
use std::path::{Path, PathBuf};

use ekvsnap::query::{FUNCTIONS, QueryError, Script, relations};
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{CompletionType, Config, Context, Editor, Helper};

use super::command;
use super::completion::Names;
use super::session::{Flow, Session};
use crate::cli::exit;
use crate::cli::log::StdoutError;

/// Entries of the history.
const HISTORY_ENTRIES: usize = 1000;

const PROMPT: &str = "sql> ";

/// Asks until there is no more to ask.
pub fn ask(session: &mut Session, staging: &Path) -> anyhow::Result<()> {
    let config = Config::builder()
        .max_history_size(HISTORY_ENTRIES)?
        .history_ignore_space(true)
        .completion_type(CompletionType::List)
        .auto_add_history(true)
        .build();
    let mut editor: Editor<Typist, DefaultHistory> = Editor::with_config(config)?;
    editor.set_helper(Some(Typist { names: names(session)? }));
    let history = history_file();
    if let Some(file) = &history {
        // There is none before the first session.
        let _ = editor.load_history(file);
    }
    if !session.manners.quiet {
        session
            .manners
            .print(&format!("{}: .help for help, .tables for tables and views\n", staging.display()))?;
    }
    loop {
        match editor.readline(PROMPT) {
            Ok(text) => {
                if let Some(file) = &history {
                    save(&mut editor, file);
                }
                session.interrupt.clear();
                match session.run_lines(&text) {
                    Ok(Flow::Continue) => {}
                    Ok(Flow::Quit) => return Ok(()),
                    Err(error) => tell(error)?,
                }
            }
            // Ctrl-C clears what was typed.
            Err(ReadlineError::Interrupted) => {}
            Err(ReadlineError::Eof) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Says what went wrong, unless there is nobody any more to hear it.
fn tell(error: anyhow::Error) -> anyhow::Result<()> {
    if error.is::<StdoutError>() {
        return Err(error);
    }
    match error.downcast_ref() {
        Some(QueryError::Interrupted) => tracing::info!("interrupted"),
        _ => {
            exit::report(&error);
        }
    }
    Ok(())
}

fn names(session: &Session) -> anyhow::Result<Names> {
    let connection = session.database.connection();
    let mut builtin =
        connection.prepare("SELECT DISTINCT name FROM pragma_function_list WHERE name GLOB '[a-z]*'")?;
    let mut functions = builtin.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
    functions.extend(FUNCTIONS.iter().map(|function| function.name.to_owned()));
    Ok(Names::new(command::names().map(str::to_owned).collect(), relations(connection)?, functions))
}

/// Where the history is, in a folder that the user alone can read.
fn history_file() -> Option<PathBuf> {
    use std::os::unix::fs::DirBuilderExt;
    let folder = dirs::state_dir()?.join("ekvsnap");
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).ok()?;
    Some(folder.join("sql_history"))
}

/// After every entry: a session may end in many ways. One whose history cannot be kept goes on.
fn save(editor: &mut Editor<Typist, DefaultHistory>, file: &Path) {
    let _ = editor.append_history(file);
}

/// Helps to type.
struct Typist {
    names: Names,
}

impl Completer for Typist {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        cursor: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        Ok(self.names.complete(line, cursor))
    }
}

impl Validator for Typist {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let whole = is_whole(context.input());
        Ok(if whole { ValidationResult::Valid(None) } else { ValidationResult::Incomplete })
    }
}

impl Helper for Typist {}
impl Highlighter for Typist {}
impl Hinter for Typist {
    type Hint = String;
}

/// Is it a command, or do all statements have their semicolon?
fn is_whole(text: &str) -> bool {
    let mut script = Script::default();
    script.push(text);
    while script.next_statement().is_some() {}
    text.trim_start().starts_with('.') || script.is_between_statements()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enter_runs_what_is_whole_and_goes_on_with_what_is_not() {
        for whole in ["", "  ", ".tables", ".schema x", "SELECT 1;", "SELECT ';';", "SELECT 1; -- that\n"] {
            assert!(is_whole(whole), "{whole:?}");
        }
        for part in ["SELECT 1", "SELECT ';", "SELECT 1; SELECT", "/* a;", "SELECT\n  1\n"] {
            assert!(!is_whole(part), "{part:?}");
        }
    }
}
