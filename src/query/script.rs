//! Where statements end: a text that comes line by line into statements, without asking SQLite, which would want the
//! whole of it. Knows strings, quoted names and comments, and nothing else of SQL.

/// Longest statement, in bytes; SQLite's own bound would be a gigabyte.
pub const MAX_STATEMENT_BYTES: usize = 1 << 20;

/// A statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// With its semicolon, if it has one, and without white space and comments before it.
    pub text: String,
    /// The line on which it begins, from 1.
    pub line: usize,
}

/// Statements that are still being read.
#[derive(Debug, Default)]
pub struct Script {
    text: String,
    /// Where the next statement begins, and how far it is known.
    start: usize,
    scanned: usize,
    /// Lines before `start`.
    lines: usize,
    inside: Inside,
    /// Where the statement has its first byte that is neither white space nor of a comment.
    content: Option<usize>,
}

/// What the scanner stands in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Inside {
    #[default]
    Statement,
    /// A string or a quoted name, with the byte that ends it. A doubled one ends it and begins another.
    Quotes(u8),
    /// `--` up to the end of the line.
    LineComment,
    /// `/* … */`
    BlockComment,
}

impl Script {
    /// Appends a line, or several; two bytes that belong together must not be torn apart.
    pub fn push(&mut self, lines: &str) {
        if self.is_between_statements() {
            // White space and comments are not kept.
            self.take(self.scanned);
        }
        self.text.drain(..self.start);
        self.scanned -= self.start;
        self.content = self.content.map(|content| content - self.start);
        self.start = 0;
        self.text.push_str(lines);
    }

    /// Takes the next statement out that has its semicolon.
    pub fn next_statement(&mut self) -> Option<Statement> {
        while let Some(&byte) = self.text.as_bytes().get(self.scanned) {
            let next = self.text.as_bytes().get(self.scanned + 1);
            self.scanned += 1;
            match (self.inside, byte, next) {
                (Inside::Statement, b';', _) => {
                    let statement = self.take(self.scanned);
                    if statement.is_some() {
                        return statement;
                    }
                }
                (Inside::Statement, b'-', Some(b'-')) => self.inside = Inside::LineComment,
                (Inside::Statement, b'/', Some(b'*')) => {
                    self.inside = Inside::BlockComment;
                    self.scanned += 1;
                }
                (Inside::Statement, _, _) => {
                    if !byte.is_ascii_whitespace() {
                        self.content.get_or_insert(self.scanned - 1);
                    }
                    match byte {
                        b'\'' | b'"' | b'`' => self.inside = Inside::Quotes(byte),
                        b'[' => self.inside = Inside::Quotes(b']'),
                        _ => {}
                    }
                }
                (Inside::Quotes(end), _, _) if byte == end => self.inside = Inside::Statement,
                (Inside::LineComment, b'\n', _) => self.inside = Inside::Statement,
                (Inside::BlockComment, b'*', Some(b'/')) => {
                    self.inside = Inside::Statement;
                    self.scanned += 1;
                }
                _ => {}
            }
        }
        None
    }

    /// What is left once all lines are there: a last statement without its semicolon.
    pub fn rest(&mut self) -> Option<Statement> {
        let statement = self.next_statement();
        statement.or_else(|| self.take(self.text.len()))
    }

    /// Is no statement begun? Then a line may be something else.
    pub fn is_between_statements(&self) -> bool {
        self.content.is_none() && self.inside == Inside::Statement && self.scanned == self.text.len()
    }

    /// Does the text end in a string, a quoted name or a comment?
    pub fn is_in_quotes(&self) -> bool {
        self.inside != Inside::Statement
    }

    /// The line on which the statement begins that is begun, if it is longer than [`MAX_STATEMENT_BYTES`] already.
    pub fn too_long(&self) -> Option<usize> {
        let is_too_long = self.text.len() - self.start > MAX_STATEMENT_BYTES;
        is_too_long.then(|| self.line_of(self.content.unwrap_or(self.start)))
    }

    fn line_of(&self, at: usize) -> usize {
        self.lines + newlines(self.text.get(self.start..at).unwrap_or_default()) + 1
    }

    fn take(&mut self, end: usize) -> Option<Statement> {
        let statement = self.content.take().map(|content| Statement {
            text: self.text.get(content..end).unwrap_or_default().trim_end().to_owned(),
            line: self.line_of(content),
        });
        self.lines += newlines(self.text.get(self.start..end).unwrap_or_default());
        self.start = end;
        self.scanned = end;
        statement
    }
}

fn newlines(text: &str) -> usize {
    text.bytes().filter(|byte| *byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn statements(text: &str) -> Vec<String> {
        let mut script = Script::default();
        script.push(text);
        let mut all: Vec<_> = std::iter::from_fn(|| script.next_statement()).map(|one| one.text).collect();
        all.extend(script.rest().map(|one| one.text));
        all
    }

    #[test]
    fn statements_end_at_semicolons_outside_of_quotes_and_comments() {
        assert_eq!(statements("SELECT 1; SELECT 2;\nSELECT 3"), ["SELECT 1;", "SELECT 2;", "SELECT 3"]);
        for one in [
            "SELECT ';', 'it''s;', \"a;b\", `c;`, [d;];",
            "SELECT 1 -- not here;\n;",
            "SELECT 1 /* nor here; 'neither */ ;",
            "SELECT 1 - -1 / 2;",
            "-1; ",
            "SELECT '--', '/*', 1;",
            "SELECT 'open; ",
        ] {
            assert_eq!(statements(one), [one.trim_end()], "{one}");
        }
    }

    #[test]
    fn blanks_and_comments_are_no_statements() {
        assert_eq!(statements("-- before;\n /* it; */ SELECT 1;"), ["SELECT 1;"]);
        for none in ["", " \n\t", ";;; ;", "-- nothing;\n", "/* nothing; */ ;", "-- open"] {
            assert!(statements(none).is_empty(), "{none:?}");
        }
    }

    #[test]
    fn a_statement_knows_its_line() {
        let mut script = Script::default();
        let mut lines = Vec::new();
        for line in ["SELECT 1;\n", "\n", "  SELECT\n", " 2; SELECT 3;\n", "-- remark\n", "SELECT 4"] {
            script.push(line);
            lines.extend(std::iter::from_fn(|| script.next_statement()).map(|one| one.line));
        }
        lines.extend(script.rest().map(|one| one.line));
        assert_eq!(lines, [1, 3, 4, 6]);
    }

    #[test]
    fn an_unfinished_statement_is_told_from_none() {
        let after = |text: &str| {
            let mut script = Script::default();
            script.push(text);
            while script.next_statement().is_some() {}
            (script.is_between_statements(), script.is_in_quotes())
        };
        assert_eq!(after("SELECT 1;\n"), (true, false));
        assert_eq!(after(""), (true, false));
        assert_eq!(after("SELECT 1"), (false, false));
        assert_eq!(after("SELECT 'a;\n"), (false, true));
        assert_eq!(after("/* a;\n"), (false, true));
    }

    proptest! {
        #[test]
        fn it_does_not_matter_how_lines_are_dealt_out(lines in prop::collection::vec("[a1;'\"\\[\\]` /*-]{0,9}\n", 0..8)) {
            let mut script = Script::default();
            let mut dealt = Vec::new();
            for line in &lines {
                script.push(line);
                dealt.extend(std::iter::from_fn(|| script.next_statement()).map(|one| one.text));
            }
            dealt.extend(script.rest().map(|one| one.text));
            prop_assert_eq!(dealt, statements(&lines.concat()));
        }

        #[test]
        fn sqlite_takes_what_is_taken_for_a_statement_as_one(text in "(SELECT |1|'[;x]*'|\"[;y]*\"|--[;z]*\n|/\\*[;*]*\\*/|;| ){0,12}") {
            let db = rusqlite::Connection::open_in_memory().unwrap();
            for statement in statements(&text) {
                prop_assert!(!matches!(db.prepare(&statement), Err(rusqlite::Error::MultipleStatement)), "{}", statement);
            }
        }
    }
}
