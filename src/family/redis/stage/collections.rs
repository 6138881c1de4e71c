//! The table of collections. Elements come in runs: a collection is entered when its run has ended, with the number of
//! its elements, and many to a statement. Metas, deltas and blobs come alone: they look for it, and enter it if it is
//! not there.

use rusqlite::{Connection, OptionalExtension, Statement};

use super::tables::COLLECTIONS;
use crate::family::redis::rows::{Meta, MetaDetail, Type};
use crate::staging::{BulkInsert, Cell, Conflict, StagingError, U64, is_printable};

pub(super) struct Collections<'c> {
    connection: &'c Connection,
    source: i64,
    table: BulkInsert<'c>,
    set_meta: Statement<'c>,
    /// The number of the collection that the next meta is probably of: they come in the order of the elements.
    next_meta: i64,
    run: Option<Run>,
    /// Types of which a run may belong to a collection that is in the table already.
    looked_up: Vec<Type>,
    /// The next number for a collection or for the elements of a blob.
    next_id: i64,
}

/// Elements of one collection that come one after the other.
struct Run {
    of: Type,
    key: Vec<u8>,
    id: i64,
    /// Is the collection in the table?
    entered: bool,
    /// Elements that the table does not count yet.
    elements: i64,
    /// Those of them whose score is NaN.
    nan_scores: i64,
}

impl<'c> Collections<'c> {
    pub(super) fn new(connection: &'c Connection, source: i64) -> Result<Self, StagingError> {
        let (empty, next_id) = connection.query_row(
            "SELECT count(*) = 0, 1 + max(coalesce(max(id), 0), coalesce(max(blob_id), 0)) FROM redis_collection",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        // The key of a list item does not say how long the user key is, so items of two lists may take turns.
        let looked_up = if empty { vec![Type::List] } else { Type::ALL.to_vec() };
        let table = BulkInsert::of_source(connection, &COLLECTIONS, Conflict::Refuse, source);
        let set_meta = connection.prepare(
            "UPDATE redis_collection SET meta_length = ?, meta_expire_at_ms = ?, list_head = ?, list_tail = ?, \
             stream_last_ms = ?, stream_last_seq = ?, stream_trimmed_ms = ?, stream_trimmed_seq = ? \
             WHERE id = ? AND key = ? AND type = ? AND meta_length IS NULL",
        )?;
        let next_meta = next_id;
        Ok(Self { connection, source, table, set_meta, next_meta, run: None, looked_up, next_id })
    }

    /// The number of the collection whose element comes next.
    #[inline]
    pub(super) fn element_of(&mut self, of: Type, key: &[u8]) -> rusqlite::Result<i64> {
        match &mut self.run {
            Some(run) if run.of == of && run.key == key => {
                run.elements += 1;
                Ok(run.id)
            }
            _ => self.begin_run(of, key),
        }
    }

    fn begin_run(&mut self, of: Type, key: &[u8]) -> rusqlite::Result<i64> {
        self.save_run()?;
        let entered = self.looked_up.contains(&of);
        let id = if entered { self.find_or_enter(of, key)? } else { self.number() };
        self.run = Some(Run { of, key: key.to_vec(), id, entered, elements: 1, nan_scores: 0 });
        Ok(id)
    }

    /// The element that came last has a NaN score.
    pub(super) fn count_nan_score(&mut self) {
        if let Some(run) = &mut self.run {
            run.nan_scores += 1;
        }
    }

    /// Everything that has come is in the table, that of a run which may go on as well.
    pub(super) fn flush(&mut self) -> rusqlite::Result<()> {
        self.save_run()?;
        self.table.flush()
    }

    fn save_run(&mut self) -> rusqlite::Result<()> {
        let Some(Run { of, key, id, entered, elements, nan_scores }) = &mut self.run else { return Ok(()) };
        if !*entered {
            self.table.push([
                Cell::integer(*id),
                Cell::blob(key),
                Cell::flag(is_printable(key)),
                Cell::text_or_blob(of.name().as_bytes()),
                Cell::integer(*elements),
                Cell::integer(*nan_scores),
            ])?;
        } else if *elements > 0 {
            self.connection
                .prepare_cached(
                    "UPDATE redis_collection SET elements = elements + ?, nan_scores = nan_scores + ? WHERE id = ?",
                )?
                .execute((*elements, *nan_scores, *id))?;
        }
        (*entered, *elements, *nan_scores) = (true, 0, 0);
        Ok(())
    }

    /// The number of a collection, which is entered if it is not there.
    pub(super) fn find_or_enter(&mut self, of: Type, key: &[u8]) -> rusqlite::Result<i64> {
        self.flush()?;
        let known = self
            .connection
            .prepare_cached("SELECT id FROM redis_collection WHERE key = ? AND type = ?")?
            .query_row((key, of.name()), |row| row.get(0))
            .optional()?;
        if let Some(id) = known {
            return Ok(id);
        }
        self.look_up(of);
        let id = self.number();
        self.connection
            .prepare_cached(
                "INSERT INTO redis_collection (id, key, key_is_text, type, source) VALUES (?, ?, ?, ?, ?)",
            )?
            .execute((id, key, is_printable(key), of.name(), self.source))?;
        Ok(id)
    }

    fn look_up(&mut self, of: Type) {
        if !self.looked_up.contains(&of) {
            self.looked_up.push(of);
        }
    }

    /// A number that no collection has yet, nor the elements of a blob.
    pub(super) fn number(&mut self) -> i64 {
        let id = self.next_id;
        self.next_id += 1;
        id
    }

    /// Takes a meta row in; false if the collection has one already.
    pub(super) fn meta(&mut self, meta: &Meta<'_>) -> rusqlite::Result<bool> {
        self.flush()?;
        // A number is found faster than a key.
        if self.set_meta(self.next_meta, meta)? {
            return Ok(true);
        }
        let id = self.find_or_enter(meta.of, meta.key)?;
        self.set_meta(id, meta)
    }

    /// False if this is not the collection, or has a meta row.
    fn set_meta(&mut self, id: i64, meta: &Meta<'_>) -> rusqlite::Result<bool> {
        let (mut list, mut stream) = (None, None);
        match meta.detail {
            MetaDetail::Counted => {}
            MetaDetail::List { head, tail } => list = Some((head, tail)),
            MetaDetail::Stream { last, trimmed } => stream = Some((last, trimmed)),
        }
        let changed = self.set_meta.execute((
            meta.length,
            meta.expire_at_ms,
            list.map(|(head, _)| head),
            list.map(|(_, tail)| tail),
            stream.map(|(last, _)| U64(last.0)),
            stream.map(|(last, _)| U64(last.1)),
            stream.map(|(_, trimmed)| U64(trimmed.0)),
            stream.map(|(_, trimmed)| U64(trimmed.1)),
            id,
            meta.key,
            meta.of.name(),
        ))?;
        self.next_meta = id + 1;
        Ok(changed > 0)
    }
}
