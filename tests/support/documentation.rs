//! The queries that `docs/staging.md` shows, and asking them as its reader would.

use rusqlite::types::Value;

use super::Dump;

/// All rows of a query, columns separated by `|` as the shell shows them.
pub fn ask(dump: &Dump, sql: &str) -> Vec<String> {
    let mut query = dump.staging.prepare(sql).unwrap();
    let columns = query.column_count();
    let rows = query.query_map([], |row| {
        let cells = (0..columns).map(|column| {
            Ok(match row.get::<_, Value>(column)? {
                Value::Null => String::new(),
                Value::Integer(number) => number.to_string(),
                Value::Real(number) => number.to_string(),
                Value::Text(text) => text,
                Value::Blob(bytes) => format!("x{}", bytes.escape_ascii()),
            })
        });
        Ok(cells.collect::<rusqlite::Result<Vec<_>>>()?.join("|"))
    });
    rows.unwrap().map(Result::unwrap).collect()
}

/// The queries in one section of the page, and what it says that they print.
pub fn examples(section: &str) -> Vec<(String, Vec<String>)> {
    let page = include_str!("../../docs/staging.md");
    let heading = format!("{section}\n");
    let section = page.split("\n## ").find(|text| text.starts_with(&heading)).unwrap();
    let blocks = section.split("```console\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks
        .map(|block| {
            let (command, output) = block.split_once("\"\n").unwrap();
            let sql = command.split_once('"').unwrap().1;
            (sql.to_owned(), output.lines().map(str::to_owned).collect())
        })
        .collect()
}
