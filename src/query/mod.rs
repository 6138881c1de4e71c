//! The query room: what people may ask of a staging database, and what helps them to. It owns the database as a
//! guest sees it (this module), the functions that plain SQLite lacks (`functions`), what went wrong with a query and
//! where (`error`), where statements end (`script`), what tables and views hold (`relations`), and the metadata file
//! of datasette (`datasette`). How rows are shown is left to the command line, what they mean to the families.

mod datasette;
mod error;
mod functions;
mod relations;
mod script;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use rusqlite::config::DbConfig;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;

pub use datasette::metadata;
pub use error::{Place, QueryError, near};
pub use functions::{FUNCTIONS, Function};
pub use relations::{RELATIONS, Relation, relations};
pub use script::{MAX_STATEMENT_BYTES, Script, Statement};

use crate::staging::{Staging, StagingError};

/// Pragmas that tell something about their argument; all others with an argument set something.
const TELLING_PRAGMAS: [&str; 10] = [
    "foreign_key_check",
    "foreign_key_list",
    "index_info",
    "index_list",
    "index_xinfo",
    "integrity_check",
    "quick_check",
    "table_info",
    "table_list",
    "table_xinfo",
];

/// Pragmas that do something without an argument.
const DOING_PRAGMAS: [&str; 4] = ["incremental_vacuum", "optimize", "shrink_memory", "wal_checkpoint"];

/// A staging database for queries that somebody else has written: nothing in it or beside it can be changed, and no
/// other file can be reached.
pub struct Database {
    staging: Staging,
    refused: Refused,
}

/// What the query that is being prepared was not allowed to do first.
type Refused = Arc<Mutex<Option<Change>>>;

/// What goes beyond reading.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Change {
    /// In words of SQL.
    Named(String),
    /// What the first word of the statement says: `DROP`, `VACUUM`.
    Statement,
}

impl Database {
    /// Opens one, also one whose load was interrupted.
    ///
    /// # Errors
    /// It is not one, somebody works on it, a newer version made it, or a power cut may have torn it.
    pub fn open(path: &Path) -> Result<Self, StagingError> {
        let staging = Staging::open_read_only(path)?;
        if staging.may_be_torn()? {
            return Err(StagingError::Torn(path.to_owned()));
        }
        let connection = staging.connection();
        functions::register(connection)?;
        connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        // A view in a file from elsewhere calls none of the functions that could do harm.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
        // A misspelt column in double quotes is an error, not a text.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
        let refused = Refused::default();
        let note = Arc::clone(&refused);
        connection.authorizer(Some(move |context: AuthContext<'_>| match change(context.action) {
            None => Authorization::Allow,
            Some(what) => {
                note.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(what);
                Authorization::Deny
            }
        }))?;
        Ok(Self { staging, refused })
    }

    /// The connection, to run statements of [`Script`] with.
    pub fn connection(&self) -> &Connection {
        self.staging.connection()
    }

    /// The database, to be asked in any other way.
    pub fn staging(&self) -> &Staging {
        &self.staging
    }

    /// Has the load come to its end?
    ///
    /// # Errors
    /// Whatever SQLite says.
    pub fn is_complete(&self) -> Result<bool, StagingError> {
        Ok(self.staging.fact::<i64>("complete")?.is_some())
    }

    /// What SQLite's error means for the statement that it is about.
    pub fn explain(&self, error: rusqlite::Error, statement: &Statement) -> QueryError {
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner).take();
        error::explain(error, statement, refused, self.connection())
    }
}

/// What an action would do beyond reading.
fn change(action: AuthAction<'_>) -> Option<Change> {
    Some(Change::Named(match action {
        AuthAction::Select
        | AuthAction::Read { .. }
        | AuthAction::Recursive
        | AuthAction::Transaction { .. }
        | AuthAction::Savepoint { .. } => return None,
        AuthAction::Function { function_name } if function_name != "load_extension" => return None,
        AuthAction::Function { function_name } => format!("{function_name}()"),
        AuthAction::Pragma { pragma_name, pragma_value } => {
            let is_in = |names: &[&str]| names.iter().any(|name| name.eq_ignore_ascii_case(pragma_name));
            let reads = if pragma_value.is_some() { is_in(&TELLING_PRAGMAS) } else { !is_in(&DOING_PRAGMAS) };
            if reads {
                return None;
            }
            format!("PRAGMA {pragma_name}")
        }
        // A change of the schema begins with one of its table.
        AuthAction::Insert { table_name } if !table_name.starts_with("sqlite_") => {
            format!("INSERT INTO {table_name}")
        }
        AuthAction::Update { table_name, .. } if !table_name.starts_with("sqlite_") => {
            format!("UPDATE {table_name}")
        }
        AuthAction::Delete { table_name } if !table_name.starts_with("sqlite_") => {
            format!("DELETE FROM {table_name}")
        }
        _ => return Some(Change::Statement),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database() -> (tempfile::TempDir, Database) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s.db");
        Staging::create(&path).unwrap().close().unwrap();
        let database = Database::open(&path).unwrap();
        (directory, database)
    }

    fn run(database: &Database, sql: &str) -> Result<(), QueryError> {
        let statement = Statement { text: sql.to_owned(), line: 1 };
        let explain = |error| database.explain(error, &statement);
        let mut query = database.connection().prepare(sql).map_err(explain)?;
        let mut rows = query.query([]).map_err(explain)?;
        while rows.next().map_err(explain)?.is_some() {}
        Ok(())
    }

    #[test]
    fn whatever_changes_something_is_refused_by_name() {
        let (directory, database) = database();
        let before = std::fs::read(directory.path().join("s.db")).unwrap();
        for (sql, what) in [
            ("INSERT INTO run VALUES ('a', 1)", "INSERT INTO run"),
            ("WITH x AS (SELECT 1) UPDATE run SET value = 1", "UPDATE run"),
            ("DELETE FROM run", "DELETE FROM run"),
            ("REPLACE INTO run VALUES ('a', 1)", "INSERT INTO run"),
            ("DROP VIEW keys", "DROP"),
            ("CREATE TABLE x (a)", "CREATE"),
            ("CREATE TEMP TABLE x (a)", "CREATE"),
            ("CREATE VIRTUAL TABLE x USING fts5(a)", "CREATE"),
            ("ALTER TABLE run RENAME TO x", "ALTER"),
            ("ATTACH 'other.db' AS other", "ATTACH"),
            ("DETACH main", "DETACH"),
            ("VACUUM INTO 'other.db'", "VACUUM"),
            ("VACUUM", "VACUUM"),
            ("REINDEX", "REINDEX"),
            ("ANALYZE", "ANALYZE"),
            ("PRAGMA journal_mode = wal", "PRAGMA journal_mode"),
            ("PRAGMA writable_schema(on)", "PRAGMA writable_schema"),
            ("PRAGMA optimize", "PRAGMA optimize"),
            ("SELECT load_extension('other.so')", "load_extension()"),
        ] {
            match run(&database, sql) {
                Err(QueryError::NotReading(refused)) => assert_eq!(refused, what, "{sql}"),
                other => panic!("{sql}: {other:?}"),
            }
        }
        assert_eq!(std::fs::read(directory.path().join("s.db")).unwrap(), before);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "a file has come");
    }

    #[test]
    fn everything_that_reads_is_run() {
        let (_directory, database) = database();
        for relation in relations(database.connection()).unwrap() {
            run(&database, &format!("SELECT * FROM {}", relation.name)).unwrap();
        }
        for sql in [
            "PRAGMA table_info(run)",
            "PRAGMA journal_mode",
            "PRAGMA integrity_check",
            "SELECT * FROM pragma_index_list('run')",
            "SELECT * FROM dbstat",
            "BEGIN",
            "COMMIT",
            "EXPLAIN QUERY PLAN SELECT * FROM keys",
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9) SELECT sum(i) FROM n",
            "SELECT value FROM json_each('[1, 2]')",
        ] {
            run(&database, sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        }
    }

    #[test]
    fn what_cannot_be_meant_is_told_from_what_fails() {
        let (_directory, database) = database();
        for sql in [
            "SELECT",
            "SELECT 1 2",
            "SELECT \"kez\" FROM keys",
            "SELECT abs(-9223372036854775807 - 1)",
            "SELECT json('{')",
            "SELECT readable(1)",
            "SELECT zeroblob(3000000000)",
        ] {
            assert!(matches!(run(&database, sql), Err(QueryError::Invalid { .. })), "{sql}");
        }
        database.connection().progress_handler(1, Some(|| true)).unwrap();
        assert!(matches!(run(&database, "SELECT count(*) FROM keys"), Err(QueryError::Interrupted)));
    }
}
