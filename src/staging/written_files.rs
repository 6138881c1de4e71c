//! Which files of a dump an earlier run has finished. An export asks for all of them, in much the order of their paths, so
//! they are looked up in stretches; which run is the same one is for the export to say.

use rusqlite::Connection;

use super::column;

/// Most paths that are held.
const STRETCH: u64 = 256;

/// The table of finished files, as it is asked by a run that goes on.
pub struct WrittenFiles<'c> {
    connection: &'c Connection,
    /// All paths of the table from `from` to the last of them, in order; to the end of the table if they are fewer than
    /// were asked for.
    paths: Vec<Vec<u8>>,
    from: Option<Vec<u8>>,
    asked: u64,
}

impl<'c> WrittenFiles<'c> {
    /// Of one staging database.
    pub fn new(connection: &'c Connection) -> Self {
        Self { connection, paths: Vec::new(), from: None, asked: 1 }
    }

    /// Had the run been through with this file before? Not to be asked of what this run has written.
    ///
    /// # Errors
    /// Whatever SQLite says.
    pub fn contains(&mut self, path: &[u8]) -> rusqlite::Result<bool> {
        let begun = self.from.as_deref().is_some_and(|from| from <= path);
        let is_end = (self.paths.len() as u64) < self.asked;
        let reaches = is_end || self.paths.last().is_some_and(|last| path <= last.as_slice());
        if !(begun && reaches) {
            // Whoever asks in another order should not pay for a stretch each time.
            self.asked = if begun { (2 * self.asked).min(STRETCH) } else { 1 };
            self.read(path)?;
        }
        Ok(self.paths.binary_search_by(|known| known.as_slice().cmp(path)).is_ok())
    }

    fn read(&mut self, from: &[u8]) -> rusqlite::Result<()> {
        let sql = "SELECT path FROM dump_file WHERE path >= ? ORDER BY path LIMIT ?";
        let mut query = self.connection.prepare_cached(sql)?;
        let mut rows = query.query((from, self.asked.cast_signed()))?;
        self.paths.clear();
        while let Some(row) = rows.next()? {
            self.paths.push(column::blob(row, 0)?.to_vec());
        }
        self.from = Some(from.to_vec());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn a_file_is_known_if_it_is_in_the_table_in_whatever_order_they_are_asked_for(
            written in proptest::collection::btree_set(0u16..900, 0..700),
            in_order: bool,
            asked in proptest::collection::vec(0u16..900, 0..300),
        ) {
            let connection = Connection::open_in_memory().unwrap();
            connection.execute_batch("CREATE TABLE dump_file (path BLOB PRIMARY KEY) WITHOUT ROWID").unwrap();
            for path in &written {
                connection.execute("INSERT INTO dump_file VALUES (?)", [path.to_be_bytes()]).unwrap();
            }
            let mut files = WrittenFiles::new(&connection);
            let asked = if in_order { BTreeSet::from_iter(asked).into_iter().collect() } else { asked };
            for path in asked {
                prop_assert_eq!(files.contains(&path.to_be_bytes()).unwrap(), written.contains(&path));
            }
        }
    }
}
