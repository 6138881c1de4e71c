//! What `docs/staging.md` says of the staging database, and asking one as its reader would.

use std::path::Path;

use ekvsnap::family::ADAPTERS;
use ekvsnap::load::{Input, LoadOptions, stage};
use ekvsnap::progress::Silent;
use ekvsnap::snapshot::locate;
use rusqlite::Connection;
use rusqlite::types::Value;

use super::Dump;

/// The page.
pub const PAGE: &str = include_str!("../../docs/staging.md");

/// All rows of a query, columns separated by `|` as the shell shows them.
pub fn ask(dump: &Dump, sql: &str) -> Vec<String> {
    ask_connection(&dump.staging, sql)
}

/// The same of any database.
pub fn ask_connection(connection: &Connection, sql: &str) -> Vec<String> {
    let mut query = connection.prepare(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    let columns = query.column_count();
    let rows = query.query_map([], |row| {
        let cells = (0..columns).map(|column| {
            Ok(match row.get::<_, Value>(column)? {
                Value::Null => String::new(),
                Value::Integer(number) => number.to_string(),
                Value::Real(number) => {
                    connection.query_row("SELECT CAST(? AS TEXT)", [number], |row| row.get(0))?
                }
                Value::Text(text) => text,
                Value::Blob(bytes) => format!("x{}", bytes.escape_ascii()),
            })
        });
        Ok(cells.collect::<rusqlite::Result<Vec<_>>>()?.join("|"))
    });
    rows.unwrap().map(Result::unwrap).collect()
}

/// A command of the page, and what it says that it prints.
pub struct Command {
    /// What stands after the `$`.
    pub line: &'static str,
    pub output: Vec<&'static str>,
}

impl Command {
    /// Database and question, if it asks one.
    pub fn question(&self) -> Option<(&'static str, &'static str)> {
        let (database, sql) = self.line.strip_prefix("sqlite3 ")?.split_once(' ')?;
        Some((database, sql.strip_prefix('"')?.strip_suffix('"')?))
    }

    /// Fixture and database, if it loads one.
    pub fn load(&self) -> Option<(&'static str, &'static str)> {
        self.line.strip_prefix("ekvsnap load ")?.split_once(" --staging ")
    }
}

/// All commands of the page, in its order.
pub fn commands() -> Vec<Command> {
    commands_of(PAGE)
}

/// The same of any page.
pub fn commands_of(page: &'static str) -> Vec<Command> {
    let blocks = page.split("```console\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let mut commands = Vec::<Command>::new();
    for line in blocks.flat_map(str::lines) {
        match line.strip_prefix("$ ") {
            Some(line) => commands.push(Command { line, output: Vec::new() }),
            None => commands.last_mut().unwrap().output.push(line),
        }
    }
    commands
}

/// A table or view, as the page or the database has it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Relation {
    pub name: String,
    /// `table` or `view`.
    pub kind: String,
    pub columns: Vec<String>,
}

/// All tables and views that the page describes.
pub fn described() -> Vec<Relation> {
    let mut relations = Vec::<Relation>::new();
    for line in PAGE.lines() {
        let cells: Vec<_> = line.split(" | ").map(|cell| cell.trim_matches(['|', ' '])).collect();
        let [first, second, ..] = cells[..] else { continue };
        if let Some(name) = first.strip_prefix("**`").and_then(|name| name.strip_suffix("`**")) {
            let (name, kind) = (name.to_owned(), second.to_owned());
            relations.push(Relation { name, kind, columns: Vec::new() });
        } else if line.starts_with("| | `") {
            let names = second.split(", ").map(|name| name.trim_matches('`').to_owned());
            relations.last_mut().unwrap().columns.extend(names);
        }
    }
    relations
}

/// All tables and views that a database has.
pub fn present(connection: &Connection) -> Vec<Relation> {
    let sql =
        "SELECT name, type FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%'";
    let mut query = connection.prepare(sql).unwrap();
    let relations = query.query_map([], |row| {
        let (name, kind): (String, String) = (row.get(0)?, row.get(1)?);
        let columns = ask_connection(connection, &format!("SELECT name FROM pragma_table_xinfo('{name}')"));
        Ok(Relation { name, kind, columns })
    });
    relations.unwrap().map(Result::unwrap).collect()
}

/// Loads what lies at `snapshots` into a database, every family of it.
pub fn load_all(snapshots: &str, database: &Path) {
    let inputs: Vec<_> = locate(&[snapshots.into()]).unwrap().into_iter().map(Input::File).collect();
    let adapters = ADAPTERS.map(str::to_owned).to_vec();
    let options = LoadOptions { adapters, ..LoadOptions::default() };
    stage(&inputs, database, false, &options, &Silent).unwrap().close().unwrap();
}
