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
const TELLING_PRAGMAS: [&str; 11] = [
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
    "table_valued_functions",
];

/// Pragmas that do something without an argument.
const DOING_PRAGMAS: [&str; 5] =
    ["incremental_vacuum", "optimize", "shrink_memory", "wal_checkpoint", "release_memory"];

/// A staging database for queries that somebody else has written: nothing in it or beside it can be changed, and no
/// other file can be reached.
pub struct Database {
    staging: Staging,
    refused: Refused,
}

/// What the query that is being prepared was not allowed to do.
type Refused = Arc<Mutex<Option<String>>>;

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

/// What an action would do beyond reading, in words of SQL.
fn change(action: AuthAction<'_>) -> Option<String> {
    Some(match action {
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
        AuthAction::Attach { .. } => "another database file".to_owned(),
        AuthAction::Detach { .. } => "DETACH".to_owned(),
        AuthAction::Insert { table_name } if !table_name.starts_with("sqlite_") => {
            format!("INSERT INTO {table_name}")
        }
        AuthAction::Update { table_name, .. } if !table_name.starts_with("sqlite_") => {
            format!("UPDATE {table_name}")
        }
        AuthAction::Delete { table_name } if !table_name.starts_with("sqlite_") => {
            format!("DELETE FROM {table_name}")
        }
        _ => "a change of the schema".to_owned(),
    })
}
