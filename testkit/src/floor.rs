//! The floor of a whole run: the least that any way through SQLite costs.
//!
//! Owns: rows as a scenario's rows are staged, inserted from memory in key order, by one thread, into an empty table;
//! read back in order; as many bytes as the export writes, in one file. Nothing is parsed, checked, hashed or
//! formatted. Leaves: the reasons of the pragmas to ekvsnap's staging room, whose choices are repeated here, and
//! measuring to `scripts/bench.py`.

use std::error::Error;
use std::fs::File;
use std::io::Write;
use std::path::Path;

use clap::ValueEnum;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, Statement, ToSql, types::ToSqlOutput};

use crate::scenarios::{HASH_FIELDS, Numbered, SEED};

/// Rows to a statement, as in staging.
const ROWS: u64 = 50;

/// Bytes to a write.
const WRITE_BYTES: usize = 256 << 10;

/// Whose rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shape {
    /// The fields of the scenario `hashes`
    Hashes,
    /// The members of the scenario `zset`
    Zset,
}

/// Inserts `rows` rows into a new database, reads them back, and writes `bytes` bytes to a new file.
pub fn run(shape: Shape, rows: u64, database: &Path, bytes: u64, file: &Path) -> Result<(), Box<dyn Error>> {
    let access = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
    let connection = Connection::open_with_flags(database, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.pragma_update(None, "page_size", 32 << 10)?;
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    connection.pragma_update(None, "synchronous", "OFF")?;
    connection.pragma_update(None, "cache_size", -(16 << 10))?;
    connection.execute_batch(
        "CREATE TABLE element (
            collection INTEGER NOT NULL, name BLOB NOT NULL, value ANY, source INTEGER NOT NULL,
            PRIMARY KEY (collection, name)
        ) STRICT, WITHOUT ROWID",
    )?;
    insert(&connection, Rows::new(shape), rows)?;
    write_back(&connection, rows, bytes, File::create(file)?)
}

fn insert(connection: &Connection, mut rows: Rows, count: u64) -> rusqlite::Result<()> {
    let prepare = |slots: u64| {
        let slots = vec!["(?,?,?,?)"; slots as usize].join(",");
        // A statement that may fail halfway keeps a journal of its own, in a temporary file. A floor that pays for
        // that would be too high; with IGNORE nothing can fail.
        connection.prepare(&format!("INSERT OR IGNORE INTO element VALUES {slots}"))
    };
    connection.execute_batch("BEGIN")?;
    let mut statement = prepare(ROWS)?;
    let mut at = 0;
    while at < count {
        let slots = ROWS.min(count - at);
        if slots < ROWS {
            statement = prepare(slots)?;
        }
        for slot in 0..slots {
            rows.bind(at + slot, &mut statement, 4 * slot as usize)?;
        }
        statement.raw_execute()?;
        at += slots;
    }
    connection.execute_batch("COMMIT")
}

fn write_back(connection: &Connection, rows: u64, bytes: u64, mut file: File) -> Result<(), Box<dyn Error>> {
    let mut query =
        connection.prepare("SELECT collection, name, value FROM element ORDER BY collection, name")?;
    let mut found = query.query([])?;
    let mut buffer = Vec::with_capacity(2 * WRITE_BYTES);
    let (mut seen, mut written) = (0, 0);
    while let Some(row) = found.next()? {
        // The name stands for what is read, zeros for what an export writes around it.
        let start = buffer.len();
        buffer.extend_from_slice(row.get_ref(1)?.as_blob()?);
        if let ValueRef::Text(value) = row.get_ref(2)? {
            buffer.extend_from_slice(value);
        }
        seen += 1;
        let due = (u128::from(bytes) * seen / u128::from(rows)) as u64;
        buffer.resize(start + (due - written) as usize, 0);
        written = due;
        if buffer.len() >= WRITE_BYTES {
            file.write_all(&buffer)?;
            buffer.clear();
        }
    }
    Ok(file.write_all(&buffer)?)
}

/// Rows that come from memory at next to no cost: a number counted up in a buffer.
struct Rows {
    shape: Shape,
    name: Numbered,
    value: Numbered,
    rng: fastrand::Rng,
}

struct Cell<'a>(ValueRef<'a>);

impl ToSql for Cell<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(self.0))
    }
}

impl Rows {
    fn new(shape: Shape) -> Self {
        let name = match shape {
            Shape::Hashes => Numbered::new(b"field:", 4),
            Shape::Zset => Numbered::new(b"player:", 12),
        };
        Self { shape, name, value: Numbered::new(b"value-", 34), rng: fastrand::Rng::with_seed(SEED) }
    }

    fn bind(&mut self, i: u64, statement: &mut Statement<'_>, before: usize) -> rusqlite::Result<()> {
        let (collection, name, value) = match self.shape {
            Shape::Hashes => {
                (i / HASH_FIELDS, self.name.at(i % HASH_FIELDS), ValueRef::Text(self.value.at(i)))
            }
            Shape::Zset => (0, self.name.at(i), ValueRef::Real(self.rng.f64() * 1e6)),
        };
        let collection = ValueRef::Integer(collection as i64 + 1);
        let row = [collection, ValueRef::Blob(name), value, ValueRef::Integer(0)];
        for (column, cell) in row.into_iter().enumerate() {
            statement.raw_bind_parameter(before + column + 1, Cell(cell))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_staged_in_order_and_the_file_has_the_size_asked_for() {
        let directory = std::env::temp_dir().join(format!("ekvsnap-floor-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        for shape in [Shape::Hashes, Shape::Zset] {
            let (database, file) =
                (directory.join(format!("{shape:?}.db")), directory.join(format!("{shape:?}")));
            run(shape, 1234, &database, 99_999, &file).unwrap();
            assert_eq!(std::fs::metadata(&file).unwrap().len(), 99_999);
            let connection = Connection::open(&database).unwrap();
            let count = |sql| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
            assert_eq!(count("SELECT count(*) FROM element"), 1234);
            let collections = if shape == Shape::Hashes { 13 } else { 1 };
            assert_eq!(count("SELECT count(DISTINCT collection) FROM element"), collections);
        }
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
