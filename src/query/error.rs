//! What can be wrong with a query, and where in it.

use std::fmt;

use rusqlite::{Connection, Error, ErrorCode};

use super::relations::relations;
use super::script::Statement;
use super::{Change, FUNCTIONS};
use crate::staging::StagingError;

/// How much of a line is shown on either side of a place, in characters.
const SHOWN_CHARS: usize = 60;

/// How alike a name must be to be meant, from 0 to 1, how much less than the likest, and how many are named.
const LIKENESS: f64 = 0.65;
const LESS_LIKE: f64 = 0.15;
const MAX_SUGGESTIONS: usize = 3;

/// Why a query has no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// It cannot be meant so: SQLite does not understand it, or a function does not take its argument.
    #[error("{message}{}", place.as_ref().map_or(String::new(), ToString::to_string))]
    Invalid {
        /// What SQLite said.
        message: String,
        /// Where, if SQLite knows.
        place: Option<Place>,
        /// Names that are there and like the one that is not.
        near: Vec<String>,
    },
    /// It would do more than read.
    #[error("refused: {0}")]
    NotReading(String),
    /// A statement or a line without an end.
    #[error("line {line} is longer than {limit} bytes, or the statement is that begins in it")]
    TooLong {
        /// Where it begins, from 1.
        line: usize,
        /// The limit.
        limit: usize,
    },
    /// Somebody asked for the end.
    #[error("interrupted")]
    Interrupted,
    /// The database failed.
    #[error(transparent)]
    Staging(#[from] StagingError),
}

/// A place in a query, to be pointed at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// From 1.
    pub line: usize,
    /// The text of that line.
    pub text: String,
    /// Bytes of it before the place.
    pub column: usize,
}

impl fmt::Display for Place {
    /// The line and a mark below it, each on a line of its own, indented; of a long line the part around the place.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (before, behind) = self.text.split_at_checked(self.column).unwrap_or((&self.text, ""));
        let skipped = before.chars().count().saturating_sub(SHOWN_CHARS);
        let shown = |text: &str| text.replace(char::is_control, " ");
        let mut before: String = shown(before).chars().skip(skipped).collect();
        if skipped > 0 {
            before.insert(0, '…');
        }
        let mut rest: String = shown(behind).chars().take(SHOWN_CHARS).collect();
        if behind.chars().nth(SHOWN_CHARS).is_some() {
            rest.push('…');
        }
        let number = if self.line > 1 { format!("line {}: ", self.line) } else { String::new() };
        let indent = console::measure_text_width(&number) + console::measure_text_width(&before);
        write!(f, "\n  {number}{before}{rest}\n  {:indent$}^", "")
    }
}

/// What SQLite's error means. `refused` is what the statement was not allowed to do.
pub(super) fn explain(
    error: Error,
    statement: &Statement,
    refused: Option<Change>,
    connection: &Connection,
) -> QueryError {
    use ErrorCode::{OperationInterrupted, ReadOnly, TooBig, TypeMismatch, Unknown};
    let first_word = || statement.text.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
    match refused {
        Some(Change::Named(what)) => return QueryError::NotReading(what),
        Some(Change::Statement) => return QueryError::NotReading(first_word()),
        None => {}
    }
    let invalid = |message: String, place: Option<Place>| {
        let missing = Missing::of(&message);
        let place = place.or_else(|| place_of_name(statement, missing.as_ref()?.name));
        let near = missing.map_or(Ok(Vec::new()), |missing| missing.near(connection)).unwrap_or_default();
        QueryError::Invalid { message, place, near }
    };
    match error {
        Error::SqlInputError { msg, offset, .. } => {
            invalid(msg, usize::try_from(offset).ok().and_then(|offset| place(statement, offset)))
        }
        Error::SqliteFailure(failure, message) => match failure.code {
            ReadOnly => QueryError::NotReading(first_word()),
            OperationInterrupted => QueryError::Interrupted,
            Unknown | TooBig | TypeMismatch => invalid(message.unwrap_or_else(|| failure.to_string()), None),
            _ => StagingError::from(Error::SqliteFailure(failure, message)).into(),
        },
        // What SQLite was never asked: several statements, a NUL.
        error => invalid(error.to_string(), None),
    }
}

fn place(statement: &Statement, offset: usize) -> Option<Place> {
    let (before, behind) = statement.text.split_at_checked(offset)?;
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let end = offset + behind.find('\n').unwrap_or(behind.len());
    Some(Place {
        line: statement.line + before.bytes().filter(|byte| *byte == b'\n').count(),
        text: statement.text.get(start..end)?.trim_end().to_owned(),
        column: offset - start,
    })
}

/// Where a name stands that SQLite has not said the place of.
fn place_of_name(statement: &Statement, name: &str) -> Option<Place> {
    let is_word = |character: char| character.is_alphanumeric() || character == '_';
    let (offset, _) = statement.text.match_indices(name).find(|(offset, _)| {
        let before = statement.text.get(..*offset).unwrap_or_default();
        let behind = statement.text.get(offset + name.len()..).unwrap_or_default();
        !before.ends_with(is_word) && !behind.starts_with(is_word)
    })?;
    place(statement, offset)
}

/// A name that is not there.
struct Missing<'m> {
    kind: &'m str,
    /// Without the table or database before it.
    name: &'m str,
}

impl<'m> Missing<'m> {
    fn of(message: &'m str) -> Option<Self> {
        let (kind, name) = message.strip_prefix("no such ")?.split_once(": ")?;
        // Behind a name in quotes SQLite wonders whether it is meant as a text.
        let name = name.split(" - ").next()?.rsplit('.').next()?.trim_matches('"');
        Some(Self { kind, name })
    }

    /// Names of its kind that are there and like it.
    fn near(&self, connection: &Connection) -> rusqlite::Result<Vec<String>> {
        let names = match self.kind {
            "table" => relations(connection)?.into_iter().map(|relation| relation.name).collect(),
            "column" => relations(connection)?.into_iter().flat_map(|relation| relation.columns).collect(),
            "function" => FUNCTIONS.iter().map(|function| function.name.to_owned()).collect(),
            _ => return Ok(Vec::new()),
        };
        Ok(near(self.name, names))
    }
}

/// Of these, the names that are most like `name`, the likest first.
pub fn near(name: &str, mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names.dedup();
    let mut rated: Vec<_> = names
        .into_iter()
        .map(|other| {
            (strsim::normalized_damerau_levenshtein(&name.to_lowercase(), &other.to_lowercase()), other)
        })
        .filter(|(likeness, _)| *likeness >= LIKENESS)
        .collect();
    rated.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    let least = rated.first().map_or(0.0, |(likest, _)| likest - LESS_LIKE);
    rated.retain(|(likeness, _)| *likeness >= least);
    rated.into_iter().map(|(_, name)| name).take(MAX_SUGGESTIONS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement(text: &str, line: usize) -> Statement {
        Statement { text: text.to_owned(), line }
    }

    fn marked(text: &str, line: usize, offset: usize) -> String {
        place(&statement(text, line), offset).unwrap().to_string()
    }

    #[test]
    fn a_place_is_marked_in_its_line() {
        assert_eq!(marked("SELECT nope", 1, 7), "\n  SELECT nope\n         ^");
        assert_eq!(marked("SELECT 1,\n  nope\nFROM t", 4, 12), "\n  line 5:   nope\n            ^");
        assert_eq!(marked("SELECT '鍵', nope", 1, 14), "\n  SELECT '鍵', nope\n               ^");
        assert_eq!(marked("\tx", 1, 1), "\n   x\n   ^");
        assert_eq!(marked("SELECT", 1, 6), "\n  SELECT\n        ^");
    }

    #[test]
    fn a_missing_name_is_found_where_sqlite_does_not_say() {
        let statement = statement("SELECT keys_a,\n keyss FROM x.keys", 1);
        assert_eq!(Missing::of("no such table: x.keys").unwrap().name, "keys");
        assert_eq!(Missing::of("no such column: \"k\" - should this be").unwrap().name, "k");
        let found = place_of_name(&statement, "keys").unwrap();
        assert_eq!((found.line, found.column), (2, " keyss FROM x.".len()));
        assert_eq!(place_of_name(&statement, "key"), None);
    }

    #[test]
    fn of_a_long_line_only_what_is_around_the_place_is_shown() {
        let text = format!("{}nope{}", "a,".repeat(500), ",b".repeat(500));
        let shown = marked(&text, 1, 1000);
        let [_, line, mark] = shown.split('\n').collect::<Vec<_>>()[..] else { panic!("{shown}") };
        assert!(line.starts_with("  …") && line.ends_with('…') && line.contains(",nope,"));
        assert_eq!(line.chars().count(), 2 + 1 + 60 + 60 + 1);
        assert_eq!(mark.find('^'), Some(2 + 1 + 60));
    }

    #[test]
    fn names_that_are_like_it_are_suggested() {
        let names = || {
            ["redis_keys", "redis_ttl", "redis_hll", "s3_objects", "sqs_queues"].map(str::to_owned).to_vec()
        };
        assert_eq!(near("redis_key", names()), ["redis_keys"]);
        assert_eq!(near("redis_tll", names()), ["redis_hll", "redis_ttl"]);
        assert_eq!(near("Objects", names()), ["s3_objects"]);
        assert!(near("zzz", names()).is_empty());
    }
}
