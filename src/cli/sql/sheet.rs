//! The forms that rows of a query are shown in. Each form has a file of its own; none keeps more than the first rows,
//! so a result may have any length.

use std::io::{self, Write};

use clap::ValueEnum;
use rusqlite::types::ValueRef;

use super::csv::CsvSheet;
use super::json::{JsonLinesSheet, JsonSheet};
use super::table::TableSheet;

/// The forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Columns for people; long values are cut
    Table,
    /// Comma-separated, with the names of the columns first
    Csv,
    /// An array of objects
    Json,
    /// An object a line
    Jsonl,
}

/// One result on its way out.
pub trait Sheet {
    /// Another row; values in the order of the columns.
    fn row(&mut self, values: &[ValueRef<'_>]) -> io::Result<()>;

    /// The result has no more rows. How many values were shown in part only.
    fn end(self: Box<Self>) -> io::Result<u64>;
}

impl Format {
    /// A result with these columns. A table is made to fit into `width` characters, if that can be.
    pub fn sheet<'o>(
        self,
        columns: Vec<String>,
        width: Option<usize>,
        out: impl Write + 'o,
    ) -> Box<dyn Sheet + 'o> {
        match self {
            Self::Table => Box::new(TableSheet::new(columns, width, out)),
            Self::Csv => Box::new(CsvSheet::new(columns, out)),
            Self::Json => Box::new(JsonSheet::new(columns, out)),
            Self::Jsonl => Box::new(JsonLinesSheet::new(columns, out)),
        }
    }

    /// Does an empty line stand between two results?
    pub fn separates_results(self) -> bool {
        matches!(self, Self::Table | Self::Csv)
    }
}

/// Appends a number as JSON has it in the dump, the infinities without quotes.
pub fn push_real(number: f64, out: &mut Vec<u8>) {
    let start = out.len();
    ekvsnap::dump::json::push_score(number, out);
    if !number.is_finite() {
        out.pop();
        out.remove(start);
    }
}

/// Appends a blob as SQL writes it.
pub fn push_blob_literal(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.reserve(2 * bytes.len() + 3);
    out.extend_from_slice(b"X'");
    out.extend(
        bytes.iter().flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]),
    );
    out.push(b'\'');
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a query with these rows shows.
    fn shown(format: Format, columns: &[&str], rows: &[&[ValueRef<'_>]]) -> String {
        shown_within(None, format, columns, rows)
    }

    fn shown_within(
        width: Option<usize>,
        format: Format,
        columns: &[&str],
        rows: &[&[ValueRef<'_>]],
    ) -> String {
        let mut out = Vec::new();
        let mut sheet = format.sheet(columns.iter().map(ToString::to_string).collect(), width, &mut out);
        for row in rows {
            sheet.row(row).unwrap();
        }
        sheet.end().unwrap();
        String::from_utf8(out).unwrap()
    }

    const VALUES: &[&[ValueRef<'_>]] = &[
        &[
            ValueRef::Integer(i64::MAX),
            ValueRef::Real(1.5),
            ValueRef::Text(b"a \"b\", c"),
            ValueRef::Blob(b"\0\xff"),
        ],
        &[
            ValueRef::Null,
            ValueRef::Real(f64::NEG_INFINITY),
            ValueRef::Text(b"two\nlines"),
            ValueRef::Blob(b""),
        ],
        &[ValueRef::Integer(-1), ValueRef::Real(-0.0), ValueRef::Text(b"\xff"), ValueRef::Null],
    ];
    const COLUMNS: &[&str] = &["n", "real", "text", "blob"];

    #[test]
    fn csv_is_quoted_as_the_rfc_says() {
        assert_eq!(
            shown(Format::Csv, COLUMNS, &VALUES[..2]),
            "n,real,text,blob\n9223372036854775807,1.5,\"a \"\"b\"\", c\",X'00FF'\n,-inf,\"two\nlines\",X''\n"
        );
        assert_eq!(shown(Format::Csv, &["a,b"], &[]), "\"a,b\"\n");
        assert_eq!(
            shown(Format::Csv, &["a"], &[&[ValueRef::Null]]),
            "a\n\"\"\n",
            "a line of its own is no row"
        );
    }

    #[test]
    fn json_keeps_integers_exact_and_bytes_whole() {
        let lines = [
            r#"{"n":9223372036854775807,"real":1.5,"text":"a \"b\", c","blob":{"base64":"AP8"}}"#,
            r#"{"n":null,"real":"-inf","text":"two\nlines","blob":{"base64":""}}"#,
            r#"{"n":-1,"real":-0,"text":{"base64":"_w"},"blob":null}"#,
        ];
        assert_eq!(shown(Format::Jsonl, COLUMNS, VALUES), lines.join("\n") + "\n");
        assert_eq!(shown(Format::Json, COLUMNS, VALUES), format!("[{}]\n", lines.join(",\n")));
        assert_eq!(shown(Format::Json, COLUMNS, &[]), "[]\n");
        assert_eq!(shown(Format::Jsonl, COLUMNS, &[]), "");
    }

    #[test]
    fn a_table_escapes_what_a_terminal_would_obey() {
        let hostile = "\x1b[31mred\x07\r\u{202e}".as_bytes();
        assert_eq!(
            shown(Format::Table, &["k", "n"], &[&[ValueRef::Text(hostile), ValueRef::Integer(7)], VALUES[2]]),
            "k                              n\n\
             ────────────────────────────  ──\n\
             \\u{1b}[31mred\\u{7}\\r\\u{202e}   7\n\
             \x20                         -1  -0\n(2 rows)\n"
        );
    }

    #[test]
    fn a_table_fits_where_it_can_and_marks_what_it_cuts() {
        let long = "x".repeat(100);
        let row: &[ValueRef<'_>] = &[ValueRef::Text(long.as_bytes()), ValueRef::Text("鍵".as_bytes())];
        let lines = |width| -> Vec<String> {
            shown_within(width, Format::Table, &["a", "b"], &[row]).lines().map(str::to_owned).collect()
        };
        assert_eq!(lines(None)[2], format!("{}…  鍵", "x".repeat(59)));
        assert_eq!(lines(Some(30))[2], format!("{}…  鍵", "x".repeat(25)));
        let blob: &[ValueRef<'_>] = &[ValueRef::Blob(&[7; 10_000])];
        assert_eq!(shown(Format::Table, &["b"], &[blob]).lines().nth(2).unwrap().chars().last(), Some('…'));
    }

    #[test]
    fn what_has_too_many_columns_for_a_terminal_is_a_list() {
        let row: &[ValueRef<'_>] =
            &[ValueRef::Text(b"value that is long"), ValueRef::Integer(7), ValueRef::Null];
        assert_eq!(
            shown_within(Some(20), Format::Table, &["name", "number", "nothing"], &[row, row]),
            "name     value that …\nnumber   7\nnothing  NULL\n\nname     value that …\nnumber   7\nnothing  NULL\n\n\
             (2 rows)\n"
        );
        assert_eq!(shown_within(Some(3), Format::Table, &["name", "x"], &[]), "name  x\n────  ─\n(0 rows)\n");
    }

    #[test]
    fn the_first_rows_say_how_wide_a_column_is() {
        let (short, long) = ([ValueRef::Text(b"ab")], [ValueRef::Text(b"abcdef")]);
        let rows: Vec<&[ValueRef<'_>]> = std::iter::repeat_n(&short[..], 1000).chain([&long[..]]).collect();
        let table = shown(Format::Table, &["t"], &rows);
        assert_eq!(table.lines().nth(1002).unwrap(), "a…");
        assert_eq!(table.lines().count(), 1 + 1 + 1001 + 1);
    }

    #[test]
    fn a_result_without_rows_has_its_columns() {
        assert_eq!(shown(Format::Table, &["key", "n"], &[]), "key  n\n───  ─\n(0 rows)\n");
        assert_eq!(shown(Format::Csv, &["key", "n"], &[]), "key,n\n");
    }
}
