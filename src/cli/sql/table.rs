//! Rows as a table for people. The first rows say how wide the columns are, the others follow as they come. Where there
//! are more columns than a terminal takes, each row is a list of its values. What a terminal would obey or show wrongly
//! is escaped; what is too long is cut.

use std::fmt::Write as _;
use std::io::{self, Write};

use console::{Alignment, measure_text_width, pad_str};
use rusqlite::types::ValueRef;

use super::sheet::{Sheet, push_blob_literal, push_real};

/// Rows that say how wide columns are, and the cells that they have at most.
const SAMPLE_ROWS: usize = 1000;
const SAMPLE_CELLS: usize = 20_000;

/// The widest column, and the widest that none is made narrower than to fit into a terminal.
const MAX_WIDTH: usize = 60;
const MIN_WIDTH: usize = 12;

/// Characters of a value that are looked at; more than fit into a column, since some take no room.
const MAX_CHARS: usize = 4 * MAX_WIDTH;

const GAP: &str = "  ";

/// A result as a table.
pub struct TableSheet<W> {
    columns: Vec<String>,
    terminal_width: Option<usize>,
    sample: Vec<Vec<Cell>>,
    /// Known once the sample is taken.
    layout: Option<Layout>,
    rows: u64,
    cut: u64,
    out: W,
}

/// Where values stand.
enum Layout {
    /// Side by side, in columns so wide.
    Columns(Vec<usize>),
    /// One below the other, behind names so wide, and themselves so wide at most.
    List { names: usize, values: usize },
}

/// A value as it is shown.
struct Cell {
    text: String,
    is_number: bool,
    is_whole: bool,
}

impl<W: Write> TableSheet<W> {
    pub fn new(columns: Vec<String>, terminal_width: Option<usize>, out: W) -> Self {
        let columns = columns.iter().map(|name| Cell::of_text(name.as_bytes()).text).collect();
        Self { columns, terminal_width, sample: Vec::new(), layout: None, rows: 0, cut: 0, out }
    }

    /// The table begins: its header and the sample.
    fn begin(&mut self) -> io::Result<()> {
        let mut widths: Vec<usize> = self.columns.iter().map(|name| measure_text_width(name)).collect();
        let names = widths.iter().copied().max().unwrap_or(0);
        for row in &self.sample {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(measure_text_width(&cell.text));
            }
        }
        let layout = match (widest(&widths, self.terminal_width), self.terminal_width) {
            (None, Some(terminal)) if !self.sample.is_empty() => {
                Layout::List { names, values: terminal.saturating_sub(names + GAP.len()).max(MIN_WIDTH) }
            }
            (most, _) => {
                let most = most.unwrap_or(MIN_WIDTH);
                Layout::Columns(widths.into_iter().map(|width| width.min(most)).collect())
            }
        };
        if let Layout::Columns(widths) = &layout {
            // A header stands where its values do.
            let is_number = |at: usize| {
                self.sample.first().and_then(|row| row.get(at)).is_some_and(|cell| cell.is_number)
            };
            let header: Vec<Cell> = (self.columns.iter().enumerate())
                .map(|(at, name)| Cell { text: name.clone(), is_number: is_number(at), is_whole: true })
                .collect();
            write_line(&header, widths, &mut self.out)?;
            let rules: Vec<String> = widths.iter().map(|width| "─".repeat(*width)).collect();
            writeln!(self.out, "{}", rules.join(GAP))?;
        }
        for row in std::mem::take(&mut self.sample) {
            self.write_row(&row, &layout)?;
        }
        self.layout = Some(layout);
        Ok(())
    }

    fn write_row(&mut self, row: &[Cell], layout: &Layout) -> io::Result<()> {
        match layout {
            Layout::Columns(widths) => self.cut += write_line(row, widths, &mut self.out)?,
            Layout::List { names, values } => {
                for (name, cell) in self.columns.iter().zip(row) {
                    let name = Cell { text: name.clone(), is_number: false, is_whole: true };
                    let value = Cell { text: cell.text.clone(), is_number: false, is_whole: cell.is_whole };
                    self.cut += write_line(&[name, value], &[*names, *values], &mut self.out)?;
                }
                writeln!(self.out)?;
            }
        }
        Ok(())
    }
}

impl<W: Write> Sheet for TableSheet<W> {
    fn row(&mut self, values: &[ValueRef<'_>]) -> io::Result<()> {
        self.rows += 1;
        let row: Vec<Cell> = values.iter().map(|value| Cell::of(*value)).collect();
        if let Some(layout) = self.layout.take() {
            self.write_row(&row, &layout)?;
            self.layout = Some(layout);
            return Ok(());
        }
        self.sample.push(row);
        let cells = self.sample.len().saturating_mul(values.len());
        if self.sample.len() >= SAMPLE_ROWS || cells >= SAMPLE_CELLS { self.begin() } else { Ok(()) }
    }

    fn end(mut self: Box<Self>) -> io::Result<u64> {
        if self.layout.is_none() {
            self.begin()?;
        }
        writeln!(self.out, "({} {})", self.rows, if self.rows == 1 { "row" } else { "rows" })?;
        self.out.flush()?;
        Ok(self.cut)
    }
}

impl Cell {
    fn of(value: ValueRef<'_>) -> Self {
        let mut bytes = Vec::new();
        let (is_number, is_whole) = match value {
            ValueRef::Text(bytes) => return Self::of_text(bytes),
            ValueRef::Null => {
                bytes.extend_from_slice(b"NULL");
                (false, true)
            }
            ValueRef::Integer(number) => {
                bytes.extend_from_slice(number.to_string().as_bytes());
                (true, true)
            }
            ValueRef::Real(number) => {
                push_real(number, &mut bytes);
                (true, true)
            }
            ValueRef::Blob(blob) => {
                push_blob_literal(blob.get(..MAX_CHARS).unwrap_or(blob), &mut bytes);
                (false, blob.len() <= MAX_CHARS)
            }
        };
        Self { text: String::from_utf8_lossy(&bytes).into_owned(), is_number, is_whole }
    }

    /// Nothing in a key may move the cursor, ring the bell or turn the writing around.
    fn of_text(bytes: &[u8]) -> Self {
        let mut text = String::new();
        let mut left = MAX_CHARS;
        // Enough for so many characters, however long they are.
        let looked_at = bytes.get(..4 * MAX_CHARS).unwrap_or(bytes);
        for chunk in looked_at.utf8_chunks() {
            for character in chunk.valid().chars().take(left) {
                if is_harmless(character) {
                    text.push(character);
                } else {
                    text.extend(character.escape_debug());
                }
                left -= 1;
            }
            if left == 0 {
                break;
            }
            for byte in chunk.invalid().iter().take(left) {
                // A String takes every write.
                let _ = write!(text, "\\x{byte:02x}");
                left -= 1;
            }
        }
        let is_whole = looked_at.len() == bytes.len() && left > 0;
        Self { text, is_number: false, is_whole }
    }
}

fn is_harmless(character: char) -> bool {
    !character.is_control()
        && !matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// How wide a column may be for all of them to fit; `None` if they cannot.
fn widest(widths: &[usize], terminal_width: Option<usize>) -> Option<usize> {
    let Some(available) = terminal_width else { return Some(MAX_WIDTH) };
    let gaps = GAP.len() * widths.len().saturating_sub(1);
    let fits = |most: &usize| widths.iter().map(|width| *width.min(most)).sum::<usize>() + gaps <= available;
    // One column alone may have the whole terminal.
    let most = if widths.len() == 1 { available.max(MIN_WIDTH) } else { MAX_WIDTH };
    (MIN_WIDTH..=most).rev().find(fits)
}

/// Writes the cells side by side; how many of them were cut.
fn write_line(cells: &[Cell], widths: &[usize], out: &mut impl Write) -> io::Result<u64> {
    let mut line = String::new();
    let mut cut = 0;
    for (cell, width) in cells.iter().zip(widths) {
        if !line.is_empty() {
            line.push_str(GAP);
        }
        let alignment = if cell.is_number { Alignment::Right } else { Alignment::Left };
        let is_cut = !cell.is_whole || measure_text_width(&cell.text) > *width;
        cut += u64::from(is_cut);
        // Longer than the column in any case, so that it gets its mark.
        let text =
            if cell.is_whole { cell.text.clone() } else { format!("{}{}", cell.text, " ".repeat(*width)) };
        line.push_str(&pad_str(&text, *width, alignment, Some("…")));
    }
    writeln!(out, "{}", line.trim_end())?;
    Ok(cut)
}
