//! Transactions in flight: staged so that they can be counted, never exported
//! (`docs/format/snapshot.md` section 6.1). Of the rows under `!txn|` only intents, locks and commit records say
//! something about data; the others are passed over.

mod rows;

use rusqlite::Connection;

use self::rows::Record;
use super::{Context, Export, ExportError, Exported, Family, Reconcile, RowError, Stage};
use crate::error::Error;
use crate::snapshot::{Class, Readable, Row};
use crate::staging::{Kind, Staging, StagingError, U64};

/// The transaction rows.
pub struct Txn;

impl Family for Txn {
    fn name(&self) -> &'static str {
        "txn"
    }

    fn classes(&self) -> &'static [Class] {
        &[Class::Txn]
    }

    fn stage<'c>(&self, staging: &'c Staging, _source: i64) -> Result<Box<dyn Stage + 'c>, StagingError> {
        Ok(Box::new(TxnStage { connection: staging.connection() }))
    }

    fn reconcile(&self, run: &mut Reconcile<'_, '_>) -> Result<(), Error> {
        for (kind, condition) in
            [(Kind::TxnPendingIntents, "1"), (Kind::TxnPendingIntentsCommitted, "commit_ts IS NOT NULL")]
        {
            let connection = run.staging.connection();
            let count = connection.query_row(
                &format!("SELECT count(*) FROM txn_pending WHERE {condition}"),
                [],
                |row| row.get::<_, i64>(0),
            )?;
            let mut query =
                connection.prepare(&format!("SELECT row_key FROM txn_pending WHERE {condition} LIMIT 10"))?;
            let keys = query.query_map([], |row| row.get::<_, Vec<u8>>(0))?.collect::<Result<Vec<_>, _>>()?;
            run.warnings.add_many(
                kind,
                count.cast_unsigned(),
                keys.iter().map(|key| Readable(key).to_string()),
            );
        }
        Ok(())
    }

    fn keys(&self, _connection: &Connection) -> Result<Vec<(String, u64)>, StagingError> {
        Ok(Vec::new())
    }

    fn export(&self, _run: &mut Export<'_, '_>) -> Result<Exported, ExportError> {
        Ok(Exported::default())
    }
}

/// How many rows whose key begins with `prefix` are locked, and the first of them in readable form.
///
/// # Errors
/// Whatever SQLite says.
pub fn locks_on(connection: &Connection, prefix: &[u8]) -> rusqlite::Result<(u64, Vec<String>)> {
    let locked = "FROM txn_lock WHERE substr(row_key, 1, ?2) = ?1";
    let parameters = (prefix, prefix.len() as i64);
    let count: i64 =
        connection.query_row(&format!("SELECT count(*) {locked}"), parameters, |row| row.get(0))?;
    let mut query = connection.prepare(&format!("SELECT row_key {locked} ORDER BY row_key LIMIT 10"))?;
    let samples = query.query_map(parameters, |row| Ok(Readable(row.get_ref(0)?.as_blob()?).to_string()))?;
    Ok((count.cast_unsigned(), samples.collect::<Result<_, _>>()?))
}

struct TxnStage<'c> {
    connection: &'c Connection,
}

impl Stage for TxnStage<'_> {
    fn row(&mut self, row: &Row<'_>, context: &mut Context<'_, '_>) -> Result<(), RowError> {
        let added = match rows::decode(row.user_key, row.payload).map_err(RowError::malformed)? {
            Record::Ignored => return Ok(()),
            Record::Intent { row_key, start_ts, deletes } => self
                .connection
                .prepare_cached(
                    "INSERT OR IGNORE INTO txn_intent (row_key, start_ts, deletes, source) VALUES (?, ?, ?, ?)",
                )?
                .execute((row_key, U64(start_ts), deletes, context.source))?,
            // `rows` has bounded the length of the primary key.
            Record::Lock { row_key, start_ts, primary_key } => self
                .connection
                .prepare_cached(
                    "INSERT OR IGNORE INTO txn_lock (row_key, start_ts, primary_key, source) VALUES (?, ?, ?, ?)",
                )?
                .execute((row_key, U64(start_ts), context.whole(primary_key)?, context.source))?,
            Record::Commit { primary_key, start_ts, commit_ts } => self
                .connection
                .prepare_cached(
                    "INSERT OR IGNORE INTO txn_commit (primary_key, start_ts, commit_ts, source) VALUES (?, ?, ?, ?)",
                )?
                .execute((primary_key, U64(start_ts), U64(commit_ts), context.source))?,
        };
        if added == 0 {
            context.warnings.add(Kind::RowInTwoFiles, Readable(row.user_key).to_string());
        }
        Ok(())
    }

    fn flush(&mut self, _context: &mut Context<'_, '_>) -> Result<(), StagingError> {
        Ok(())
    }
}
