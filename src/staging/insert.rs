//! Rows into tables, two hundred to a prepared statement: a statement costs more than a row, so rows share one.
//! Knows no table; families name theirs.

use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::functions::FunctionFlags;
use rusqlite::types::{Null, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, Statement};

use super::cell::Cell;
use crate::snapshot::Readable;

/// Rows to a statement.
const ROWS: usize = 200;

/// Fewer rows, if they hold so many bytes of texts and blobs: two hundred keys of many MiB are not to be held at once.
const BOUND_BYTES: usize = 1 << 20;

/// A row that stood in its table already: one row key is visible in two files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Duplicate {
    /// Where.
    pub table: String,
    /// The collection, in tables whose primary key is one, by its number, and more.
    pub collection: Option<i64>,
    /// The rest of the primary key, in readable form.
    pub part: String,
}

/// The duplicates that statements have met since they were last drained.
#[derive(Clone, Default)]
pub struct Duplicates(Arc<Mutex<Vec<Duplicate>>>);

impl Duplicates {
    /// Takes those out that were met in tables whose names begin so: a family's own. To be called often: two copies of
    /// one file are duplicates throughout.
    pub fn drain(&self, tables: &str) -> Vec<Duplicate> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.extract_if(.., |duplicate| duplicate.table.starts_with(tables)).collect()
    }

    /// Adds the SQL function by which a statement reports a duplicate; to be called once per connection.
    pub(super) fn register(connection: &Connection) -> rusqlite::Result<Self> {
        let duplicates = Self::default();
        let seen = duplicates.clone();
        connection.create_scalar_function(
            "note_duplicate",
            -1,
            FunctionFlags::SQLITE_UTF8,
            move |context| {
                let collection = match context.get_raw(2) {
                    ValueRef::Integer(number) if context.len() > 3 => Some(number),
                    _ => None,
                };
                let first = if collection.is_some() { 3 } else { 2 };
                let parts = (first..context.len()).map(|part| match context.get_raw(part) {
                    ValueRef::Blob(bytes) | ValueRef::Text(bytes) => Readable(bytes).to_string(),
                    ValueRef::Integer(number) => number.to_string(),
                    ValueRef::Real(_) | ValueRef::Null => String::new(),
                });
                let part = parts.collect::<Vec<_>>().join("-");
                let duplicate = Duplicate { table: context.get(1)?, collection, part };
                seen.0.lock().unwrap_or_else(PoisonError::into_inner).push(duplicate);
                context.get::<i64>(0)
            },
        )?;
        Ok(duplicates)
    }
}

/// A table to insert into.
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// Its columns, the primary key first.
    pub columns: &'static [&'static str],
    /// How many of them are the primary key.
    pub key: usize,
}

/// What to do with a row whose primary key is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// There cannot be one: an error. Such a statement never fails halfway, so SQLite keeps no journal for it, which
    /// makes it the faster one by far.
    Refuse,
    /// The first one counts, the other is noted in [`Duplicates`]. For tables with a column `source`.
    Note,
}

/// Bytes that are text. Unlike a cell they go to their binding in registers.
struct Text<'a>(&'a [u8]);

impl ToSql for Text<'_> {
    #[inline]
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Text(self.0)))
    }
}

/// Collects rows for one table.
pub struct BulkInsert<'c> {
    connection: &'c Connection,
    sql: String,
    /// Prepared for the first row: there are many tables, and most files fill few of them.
    statement: Option<Statement<'c>>,
    columns: usize,
    bound: usize,
    /// Bytes of texts and blobs among them.
    bytes: usize,
    /// The numbers that parameters are bound to, and stay bound to after the statement has run: collections and
    /// sources repeat from row to row, and binding is a good part of a load.
    numbers: Vec<Option<i64>>,
}

impl<'c> BulkInsert<'c> {
    /// Rows of any source.
    pub fn new(connection: &'c Connection, table: &Table, conflict: Conflict) -> Self {
        Self::with_source(connection, table, conflict, None)
    }

    /// Rows of one source, whose number stands in the column `source` of all of them; it is not among the columns of
    /// `table`, nor among the cells of a row.
    pub fn of_source(connection: &'c Connection, table: &Table, conflict: Conflict, source: i64) -> Self {
        Self::with_source(connection, table, conflict, Some(source))
    }

    fn with_source(
        connection: &'c Connection,
        table: &Table,
        conflict: Conflict,
        source: Option<i64>,
    ) -> Self {
        let Table { name, columns, key } = table;
        // What is the same in every row costs the least as part of the statement.
        let (constant, value) =
            source.map_or_else(Default::default, |number| (",source", format!(",{number}")));
        let slots = vec![format!("({}{value})", vec!["?"; columns.len()].join(",")); ROWS].join(",");
        let key = columns[..*key].join(",");
        let on_conflict = match conflict {
            Conflict::Note => {
                format!("ON CONFLICT ({key}) DO UPDATE SET source = note_duplicate(source, '{name}', {key})")
            }
            Conflict::Refuse => String::new(),
        };
        let sql = format!(
            "INSERT OR IGNORE INTO {name} ({}{constant}) VALUES {slots} {on_conflict}",
            columns.join(",")
        );
        Self {
            connection,
            sql,
            statement: None,
            columns: columns.len(),
            bound: 0,
            bytes: 0,
            numbers: vec![None; ROWS * columns.len()],
        }
    }

    /// Takes one row; every `ROWS`th goes to the table together with those before it.
    ///
    /// # Errors
    /// Whatever SQLite says; a table that is not in the schema.
    #[inline(always)]
    pub fn push<const COLUMNS: usize>(&mut self, row: [Cell<'_>; COLUMNS]) -> rusqlite::Result<()> {
        debug_assert_eq!(COLUMNS, self.columns);
        let statement = match &mut self.statement {
            Some(statement) => statement,
            unprepared => unprepared.insert(self.connection.prepare(&self.sql)?),
        };
        let first = self.bound * COLUMNS;
        for (slot, cell) in (first..).zip(&row) {
            let known = &mut self.numbers[slot];
            // Each kind is bound as what it is: a cell that is taken apart behind a call costs more than its binding.
            match cell.0 {
                ValueRef::Integer(number) => {
                    if *known != Some(number) {
                        statement.raw_bind_parameter(slot + 1, number)?;
                        *known = Some(number);
                    }
                    continue;
                }
                ValueRef::Blob(bytes) => {
                    self.bytes += bytes.len();
                    statement.raw_bind_parameter(slot + 1, bytes)?;
                }
                ValueRef::Text(bytes) => {
                    self.bytes += bytes.len();
                    statement.raw_bind_parameter(slot + 1, Text(bytes))?;
                }
                ValueRef::Real(number) => statement.raw_bind_parameter(slot + 1, number)?,
                ValueRef::Null => statement.raw_bind_parameter(slot + 1, Null)?,
            }
            *known = None;
        }
        self.bound += 1;
        if self.bound == ROWS || self.bytes >= BOUND_BYTES { self.flush() } else { Ok(()) }
    }

    /// Sends the rows taken so far to the table.
    ///
    /// # Errors
    /// Whatever SQLite says.
    pub fn flush(&mut self) -> rusqlite::Result<()> {
        let Some(statement) = self.statement.as_mut().filter(|_| self.bound > 0) else { return Ok(()) };
        // Slots that the last rows do not fill are NULL; no table allows that, and IGNORE passes over them.
        for slot in self.bound * self.columns..ROWS * self.columns {
            statement.raw_bind_parameter(slot + 1, Null)?;
            self.numbers[slot] = None;
        }
        let taken = statement.raw_execute()?;
        if taken != self.bound {
            // Either the primary key is there already, or a column is NULL that must not be.
            return Err(rusqlite::Error::StatementChangedRows(taken));
        }
        (self.bound, self.bytes) = (0, 0);
        Ok(())
    }
}
