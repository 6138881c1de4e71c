//! The schema: SQL files under `migrations/`, applied in order. The order is part of every database in use, so a
//! new file goes to the end.

use rusqlite::Connection;
use rusqlite_migration::{M, MigrationDefinitionError, Migrations};

use super::StagingError;

/// `PRAGMA application_id` of a staging database: `EKVS`.
pub const APPLICATION_ID: i32 = 0x454B_5653;

const MIGRATIONS: &[M<'static>] = &[
    M::up(include_str!("../../migrations/01_snapshot.sql")),
    M::up(include_str!("../../migrations/02_redis.sql")),
    M::up(include_str!("../../migrations/03_txn.sql")),
    M::up(include_str!("../../migrations/04_dump.sql")),
    M::up(include_str!("../../migrations/05_dynamodb.sql")),
    M::up(include_str!("../../migrations/06_s3.sql")),
    M::up(include_str!("../../migrations/07_sqs.sql")),
    M::up(include_str!("../../migrations/08_keys.sql")),
    M::up(include_str!("../../migrations/09_leftovers.sql")),
];

/// Brings a database to the newest schema.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), StagingError> {
    use rusqlite_migration::Error::MigrationDefinition;
    match Migrations::from_slice(MIGRATIONS).to_latest(connection) {
        Ok(()) => Ok(()),
        Err(MigrationDefinition(MigrationDefinitionError::DatabaseTooFarAhead)) => Err(StagingError::Newer),
        // Without the statement, which is a page of SQL.
        Err(rusqlite_migration::Error::RusqliteError { err, .. }) => Err(err.into()),
        Err(error) => Err(StagingError::Migration(error)),
    }
}

/// Is the schema of this version or an older one? For databases that are only read.
pub(super) fn is_newer(connection: &Connection) -> Result<bool, rusqlite::Error> {
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    Ok(usize::try_from(version).is_ok_and(|version| version > MIGRATIONS.len()))
}
