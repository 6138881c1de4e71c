//! `docs/staging.md` against the staging database: every table and view stands there with its columns, and every query
//! prints what the page says.

#![allow(clippy::unwrap_used, clippy::panic, reason = "this is test code, if not inside a test function")]

mod support;

use std::collections::BTreeMap;

use ekvsnap::staging::Staging;
use rusqlite::Connection;
use support::documentation::{PAGE, ask_connection, commands, described, load_all, present};

#[test]
fn every_table_and_view_is_described_with_its_columns_and_no_other() {
    let directory = tempfile::tempdir().unwrap();
    let staging = Staging::create(&directory.path().join("staging.db")).unwrap();
    let (mut described, mut present) = (described(), present(staging.connection()));
    described.sort();
    present.sort();
    for (described, present) in described.iter().zip(&present) {
        assert_eq!(described, present);
    }
    assert_eq!(described.len(), present.len());
}

#[test]
fn every_question_is_answered_as_the_page_says() {
    let directory = tempfile::tempdir().unwrap();
    let mut databases = BTreeMap::<&str, Connection>::new();
    let mut questions = 0;
    for command in commands() {
        if let Some((fixture, name)) = command.load() {
            let path = directory.path().join(name);
            load_all(fixture, &path);
            databases.insert(name, Connection::open(path).unwrap());
        } else {
            let (name, sql) =
                command.question().unwrap_or_else(|| panic!("unknown command: {}", command.line));
            assert_eq!(ask_connection(&databases[name], sql), command.output, "{sql}");
            questions += 1;
        }
    }
    assert!(questions >= 20, "{questions} questions");
}

#[test]
fn every_other_statement_of_the_page_can_be_asked() {
    let directory = tempfile::tempdir().unwrap();
    let staging = Staging::create(&directory.path().join("staging.db")).unwrap();
    let blocks = PAGE.split("```sql\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let statements: Vec<_> = blocks.flat_map(str::lines).collect();
    assert!(!statements.is_empty());
    for sql in statements {
        ask_connection(staging.connection(), sql);
    }
}
