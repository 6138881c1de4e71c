//! What a word at the prompt can become: commands, tables, views, columns, functions and keywords.

use ekvsnap::query::{Relation, Script};

/// Keywords of statements that only read.
const KEYWORDS: [&str; 58] = [
    "ALL",
    "AND",
    "AS",
    "ASC",
    "BETWEEN",
    "BY",
    "CASE",
    "CAST",
    "COLLATE",
    "CROSS",
    "CURRENT_DATE",
    "CURRENT_TIMESTAMP",
    "DESC",
    "DISTINCT",
    "ELSE",
    "END",
    "ESCAPE",
    "EXCEPT",
    "EXISTS",
    "EXPLAIN",
    "FALSE",
    "FILTER",
    "FROM",
    "GLOB",
    "GROUP",
    "HAVING",
    "IN",
    "INNER",
    "INTERSECT",
    "IS",
    "ISNULL",
    "JOIN",
    "LEFT",
    "LIKE",
    "LIMIT",
    "MATERIALIZED",
    "NOT",
    "NULL",
    "NULLS",
    "OFFSET",
    "ON",
    "OR",
    "ORDER",
    "OVER",
    "PARTITION",
    "PLAN",
    "PRAGMA",
    "QUERY",
    "RECURSIVE",
    "SELECT",
    "THEN",
    "TRUE",
    "UNION",
    "USING",
    "VALUES",
    "WHEN",
    "WHERE",
    "WITH",
];

/// All names that there are.
pub struct Names {
    commands: Vec<String>,
    relations: Vec<String>,
    /// Columns, functions with their parenthesis, keywords.
    others: Vec<String>,
}

impl Names {
    /// Of a database with these relations and functions.
    pub fn new(commands: Vec<String>, relations: Vec<Relation>, functions: Vec<String>) -> Self {
        let columns = relations.iter().flat_map(|relation| relation.columns.iter().cloned());
        let functions = functions.into_iter().map(|name| name + "(");
        let keywords = KEYWORDS.iter().map(ToString::to_string);
        let mut others: Vec<_> = columns.chain(functions).chain(keywords).collect();
        others.sort();
        others.dedup();
        Self { commands, relations: relations.into_iter().map(|relation| relation.name).collect(), others }
    }

    /// Where the word begins that ends at `cursor`, and what it can become, in alphabetical order.
    pub fn complete(&self, line: &str, cursor: usize) -> (usize, Vec<String>) {
        let before = line.get(..cursor).unwrap_or(line);
        let is_word = |character: char| character.is_alphanumeric() || character == '_';
        let start = before.trim_end_matches(is_word).len();
        let (before, word) = before.split_at_checked(start).unwrap_or((before, ""));
        if before.trim_start() == "." && start > 0 {
            return (start - 1, matching(&self.commands, &format!(".{word}"), false));
        }
        let mut script = Script::default();
        script.push(before);
        while script.next_statement().is_some() {}
        if script.is_in_quotes() {
            return (start, Vec::new());
        }
        let last = before.split_whitespace().next_back().unwrap_or_default().to_ascii_uppercase();
        let is_command = before.trim_start().starts_with('.');
        let mut names = matching(&self.relations, word, false);
        // Behind these stands a table, and nothing else.
        if !is_command && !matches!(last.as_str(), "FROM" | "JOIN") {
            if word.is_empty() {
                return (start, Vec::new());
            }
            let is_lower = word.chars().all(|character| !character.is_uppercase());
            names.extend(matching(&self.others, word, is_lower));
        }
        names.sort();
        (start, names)
    }
}

/// Those that begin so, whatever the case; keywords in small letters if the word has them.
fn matching(names: &[String], word: &str, is_lower: bool) -> Vec<String> {
    let begins =
        |name: &&String| name.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    let as_typed = |name: &String| {
        if is_lower && KEYWORDS.contains(&name.as_str()) { name.to_ascii_lowercase() } else { name.clone() }
    };
    names.iter().filter(begins).map(as_typed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(line: &str) -> Vec<String> {
        let relation = |name: &str, columns: &[&str]| Relation {
            name: name.to_owned(),
            is_view: true,
            holds: "",
            columns: columns.iter().map(ToString::to_string).collect(),
        };
        let relations = vec![
            relation("redis_keys", &["key", "type", "elements"]),
            relation("redis_ttl", &["key", "expire_at_ms"]),
            relation("warning", &["kind", "count"]),
        ];
        let commands = [".tables", ".format"].map(str::to_owned).to_vec();
        let names = Names::new(commands, relations, ["redis_glob", "count"].map(str::to_owned).to_vec());
        let (start, all) = names.complete(line, line.len());
        all.iter().map(|name| format!("{}{name}", &line[..start])).collect()
    }

    #[test]
    fn tables_come_behind_from_and_join() {
        assert_eq!(completed("SELECT 1 FROM red"), ["SELECT 1 FROM redis_keys", "SELECT 1 FROM redis_ttl"]);
        assert_eq!(
            completed("select 1 from "),
            ["redis_keys", "redis_ttl", "warning"].map(|n| format!("select 1 from {n}"))
        );
        assert_eq!(completed("SELECT * FROM a JOIN wa"), ["SELECT * FROM a JOIN warning"]);
    }

    #[test]
    fn everything_else_comes_elsewhere() {
        assert_eq!(
            completed("SELECT re"),
            ["SELECT recursive", "SELECT redis_glob(", "SELECT redis_keys", "SELECT redis_ttl"]
        );
        assert_eq!(completed("SELECT k.el"), ["SELECT k.elements", "SELECT k.else"]);
        assert_eq!(completed("SEL"), ["SELECT"]);
        assert_eq!(completed("sel"), ["select"]);
        assert_eq!(completed("SELECT coun"), ["SELECT count", "SELECT count("]);
    }

    #[test]
    fn commands_come_at_the_beginning_and_tables_behind_them() {
        assert_eq!(completed(".t"), [".tables"]);
        assert_eq!(completed("."), [".tables", ".format"]);
        assert_eq!(completed(".schema redis_k"), [".schema redis_keys"]);
    }

    #[test]
    fn nothing_is_completed_in_strings_and_out_of_nothing() {
        for line in ["SELECT 'red", "SELECT \"red", "-- red", "SELECT ", ""] {
            assert!(completed(line).is_empty(), "{line}");
        }
        assert_eq!(completed("SELECT 'a', red").len(), 3);
    }
}
