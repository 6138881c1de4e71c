//! How far a load has come, kept in the transaction that holds the rows so far: a load that was killed goes on from
//! its last commit. What has to be remembered is the reader's to say ([`Checkpoint`]).

use rusqlite::{Connection, OptionalExtension};

use super::StagingError;
use super::cell::U64;
use crate::snapshot::encryption::{RowStates, State};
use crate::snapshot::{Checkpoint, Class, RowCounts, Verdict};

/// Notes where the reading of a source stands.
///
/// # Errors
/// Whatever SQLite says.
pub fn save_checkpoint(
    connection: &Connection,
    source: i64,
    checkpoint: &Checkpoint,
) -> Result<(), StagingError> {
    let open_keys = serde_json::to_string(&checkpoint.open_keys).map_err(StagingError::Checkpoint)?;
    let table = serde_json::to_string(&checkpoint.table).map_err(StagingError::Checkpoint)?;
    let unlisted = serde_json::to_string(&checkpoint.unlisted).map_err(StagingError::Checkpoint)?;
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO checkpoint (source, byte_offset, crc32c, sst, last_key, open_keys, oversize_keys, \
             payloads, unlisted_keys, min_retained_ts, applied_index) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute((
            source,
            checkpoint.offset.cast_signed(),
            checkpoint.crc32c,
            table,
            &checkpoint.last_key,
            open_keys,
            checkpoint.oversize_keys.cast_signed(),
            checkpoint.payloads.cast_signed(),
            unlisted,
            checkpoint.min_retained_ts.map(U64),
            checkpoint.applied_index.map(U64),
        ))?;
    save_counts(connection, source, &checkpoint.counts)?;
    save_states(connection, source, &checkpoint.states)
}

/// Notes the rows of a source that were read so far.
///
/// # Errors
/// Whatever SQLite says.
pub fn save_counts(connection: &Connection, source: i64, counts: &RowCounts) -> Result<(), StagingError> {
    let mut insert = connection.prepare_cached(
        "INSERT OR REPLACE INTO row_count (source, class, verdict, rows) VALUES (?, ?, ?, ?)",
    )?;
    for (class, verdict, rows) in counts.iter() {
        insert.execute((source, class.name(), verdict.name(), rows.cast_signed()))?;
    }
    Ok(())
}

/// Notes the versioned rows of a source that were read so far, by the state of their value.
///
/// # Errors
/// Whatever SQLite says.
pub fn save_states(connection: &Connection, source: i64, states: &RowStates) -> Result<(), StagingError> {
    let mut insert = connection.prepare_cached(
        "INSERT OR REPLACE INTO row_state_count (source, state, key_id, rows) VALUES (?, ?, ?, ?)",
    )?;
    for (state, key_id, rows) in states.iter() {
        insert.execute((source, state.name(), key_id, rows.cast_signed()))?;
    }
    Ok(())
}

/// Where the reading of a source stood; `None` if it never came to a checkpoint.
///
/// # Errors
/// Whatever SQLite says; a checkpoint that makes no sense.
pub fn read_checkpoint(connection: &Connection, source: i64) -> Result<Option<Checkpoint>, StagingError> {
    let found = connection
        .query_row(
            "SELECT byte_offset, crc32c, last_key, open_keys, oversize_keys, min_retained_ts, applied_index, \
             payloads, unlisted_keys, sst FROM checkpoint WHERE source = ?",
            [source],
            |row| {
                let checkpoint = Checkpoint {
                    offset: row.get::<_, i64>(0)?.cast_unsigned(),
                    crc32c: row.get(1)?,
                    last_key: row.get(2)?,
                    oversize_keys: row.get::<_, i64>(4)?.cast_unsigned(),
                    min_retained_ts: row.get::<_, Option<U64>>(5)?.map(|number| number.0),
                    applied_index: row.get::<_, Option<U64>>(6)?.map(|number| number.0),
                    payloads: row.get::<_, i64>(7)?.cast_unsigned(),
                    ..Checkpoint::default()
                };
                Ok((checkpoint, row.get::<_, String>(3)?, row.get::<_, String>(8)?, row.get::<_, String>(9)?))
            },
        )
        .optional()?;
    let Some((mut checkpoint, open_keys, unlisted, table)) = found else { return Ok(None) };
    checkpoint.table = serde_json::from_str(&table).map_err(StagingError::Checkpoint)?;
    checkpoint.open_keys = serde_json::from_str(&open_keys).map_err(StagingError::Checkpoint)?;
    checkpoint.unlisted = serde_json::from_str(&unlisted).map_err(StagingError::Checkpoint)?;
    checkpoint.counts = read_counts(connection, source)?;
    checkpoint.states = read_states(connection, source)?;
    Ok(Some(checkpoint))
}

fn read_counts(connection: &Connection, source: i64) -> Result<RowCounts, StagingError> {
    let mut counts = RowCounts::default();
    let mut query = connection.prepare("SELECT class, verdict, rows FROM row_count WHERE source = ?")?;
    let mut rows = query.query([source])?;
    while let Some(row) = rows.next()? {
        let (class, verdict): (String, String) = (row.get(0)?, row.get(1)?);
        if let (Some(class), Some(verdict)) = (Class::from_name(&class), Verdict::from_name(&verdict)) {
            counts.set(class, verdict, row.get::<_, i64>(2)?.cast_unsigned());
        }
    }
    Ok(counts)
}

fn read_states(connection: &Connection, source: i64) -> Result<RowStates, StagingError> {
    let mut states = RowStates::default();
    let mut query = connection.prepare("SELECT state, key_id, rows FROM row_state_count WHERE source = ?")?;
    let mut rows = query.query([source])?;
    while let Some(row) = rows.next()? {
        if let Some(state) = State::from_name(&row.get::<_, String>(0)?) {
            states.set(state, row.get(1)?, row.get::<_, i64>(2)?.cast_unsigned());
        }
    }
    Ok(states)
}
