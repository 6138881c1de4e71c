//! Commands that begin with a dot, in the manner of sqlite3: what is there, and how it is shown.

use std::fmt::Write;

use clap::ValueEnum;
use ekvsnap::query::{FUNCTIONS, near, relations};

use super::session::{Flow, Session};
use super::sheet::Format;
use crate::cli::exit::UsageError;

/// A command.
struct Command {
    name: &'static str,
    /// Its argument, in brackets if it may be left out; empty if it takes none.
    argument: &'static str,
    meaning: &'static str,
    run: fn(&mut Session, &str) -> anyhow::Result<Flow>,
}

const COMMANDS: &[Command] = &[
    Command {
        name: ".tables",
        argument: "[GLOB]",
        meaning: "views and tables, and what they hold",
        run: tables,
    },
    Command { name: ".schema", argument: "[NAME]", meaning: "the statements that made them", run: schema },
    Command {
        name: ".functions",
        argument: "",
        meaning: "functions beside SQLite's own",
        run: |session, _| print(session, &functions()),
    },
    Command {
        name: ".format",
        argument: "[FORMAT]",
        meaning: "form of the rows: table, csv, json, jsonl",
        run: format,
    },
    Command { name: ".help", argument: "", meaning: "this list", run: |session, _| print(session, &help()) },
    Command { name: ".quit", argument: "", meaning: "the end; so does Ctrl-D", run: |_, _| Ok(Flow::Quit) },
];

/// The names of all commands.
pub fn names() -> impl Iterator<Item = &'static str> {
    COMMANDS.iter().map(|command| command.name)
}

/// Runs a line that begins with a dot.
pub fn run(session: &mut Session, line: &str) -> anyhow::Result<Flow> {
    let line = line.trim().trim_end_matches(';').trim_end();
    let (name, argument) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let argument = argument.trim();
    let Some(command) = COMMANDS.iter().find(|command| command.name == name) else {
        let alike = near(name, names().map(str::to_owned).collect());
        let meant = alike.first().map_or(String::new(), |name| format!("; did you mean {name}?"));
        return Err(UsageError(format!("no command {name}: .help lists them{meant}")).into());
    };
    if command.argument.is_empty() && !argument.is_empty() {
        return Err(UsageError(format!("{name} takes no argument")).into());
    }
    (command.run)(session, argument)
}

fn print(session: &Session, text: &str) -> anyhow::Result<Flow> {
    session.manners.print(text)?;
    Ok(Flow::Continue)
}

fn help() -> String {
    let commands = COMMANDS.iter().map(|command| {
        (format!("{} {}", command.name, command.argument).trim_end().to_owned(), command.meaning)
    });
    let keys = [("Tab", "completes names and keywords"), ("Ctrl-C", "clears the line, stops a query")];
    let keys = keys.map(|(key, meaning)| (key.to_owned(), meaning));
    list(&commands.chain(keys).collect::<Vec<_>>())
        + "Anything else is SQL, which may take several lines and ends with a semicolon.\n"
}

fn functions() -> String {
    let functions: Vec<_> = FUNCTIONS
        .iter()
        .map(|function| (format!("{}({})", function.name, function.arguments.join(", ")), function.meaning))
        .collect();
    list(&functions)
}

/// Names, and what they mean beside them.
fn list(entries: &[(String, &str)]) -> String {
    let width = entries.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    entries.iter().fold(String::new(), |mut text, (name, meaning)| {
        // A String takes every write.
        let _ = writeln!(text, "{}", format!("{name:width$}  {meaning}").trim_end());
        text
    })
}

fn tables(session: &mut Session, glob: &str) -> anyhow::Result<Flow> {
    let connection = session.database.connection();
    let glob = if glob.is_empty() { "*" } else { glob };
    let mut matches = connection.prepare("SELECT ?1 GLOB ?2")?;
    let (mut views, mut tables) = (Vec::new(), Vec::new());
    for relation in relations(connection)? {
        if matches.query_row((&relation.name, glob), |row| row.get(0))? {
            let kind = if relation.is_view { &mut views } else { &mut tables };
            kind.push((relation.name, relation.holds));
        }
    }
    if views.is_empty() && tables.is_empty() {
        return Err(UsageError(format!("no table or view is called {glob}")).into());
    }
    // Views are for people; in the order of the documentation.
    let gap = if views.is_empty() || tables.is_empty() { "" } else { "\n" };
    let all: Vec<_> = views.iter().chain(&tables).cloned().collect();
    let text = list(&all);
    let split = text.split_inclusive('\n').take(views.len()).map(str::len).sum();
    let (views, tables) = text.split_at_checked(split).unwrap_or((&text, ""));
    print(session, &format!("{views}{gap}{tables}"))
}

fn schema(session: &mut Session, name: &str) -> anyhow::Result<Flow> {
    let connection = session.database.connection();
    let mut statements = connection.prepare(
        "SELECT sql || ';\n' FROM sqlite_schema WHERE sql IS NOT NULL AND (?1 = '' OR name = ?1 OR tbl_name = ?1)",
    )?;
    let statements = statements.query_map([name], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
    if statements.is_empty() {
        let names = relations(connection)?.into_iter().map(|relation| relation.name).collect();
        let meant = near(name, names).first().map_or(String::new(), |name| format!("; did you mean {name}?"));
        return Err(UsageError(format!("no table or view is called {name}{meant}")).into());
    }
    print(session, &statements.concat())
}

fn format(session: &mut Session, name: &str) -> anyhow::Result<Flow> {
    if name.is_empty() {
        let names = session.format.to_possible_value();
        return print(session, &format!("{}\n", names.as_ref().map_or("", |value| value.get_name())));
    }
    session.format = Format::from_str(name, true)
        .map_err(|_| UsageError(format!("no format {name}: there are table, csv, json and jsonl")))?;
    Ok(Flow::Continue)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_in_the_help() {
        let help = help();
        assert!(names().all(|name| help.contains(name)));
        assert!(FUNCTIONS.iter().all(|function| functions().contains(function.name)));
    }

    #[test]
    fn every_function_is_in_the_help_of_sql() {
        for function in FUNCTIONS {
            let call = format!("{}({})", function.name, function.arguments.join(", "));
            assert!(super::super::EXAMPLES.contains(&call), "{call} is not there");
        }
    }
}
