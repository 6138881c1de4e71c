//! SQS queues for tests, and the files that they become.

use ekvsnap::error::Error;
use ekvsnap_testkit::sqs_rows::{Home, queue};

use super::{Dump, How, NOW_MS, Row, SQS, decode, snapshot};

/// Messages of the tests are sent around then: their retention is not over.
pub const SENT_MS: u64 = NOW_MS - 60_000;

/// With everything that queues keep beside messages.
pub const WITH_SIDE_RECORDS: How = How { include_sqs_side_records: true, ..SQS };

/// The dump of these rows.
pub fn dump(rows: &[Row]) -> Dump {
    dump_how(rows, SQS)
}

/// The dump of these rows, made so.
pub fn dump_how(rows: &[Row], how: How) -> Dump {
    decode(&[snapshot(rows)], how).unwrap()
}

/// The dump of several snapshots.
pub fn dump_files(files: &[Vec<Row>]) -> Dump {
    let files: Vec<_> = files.iter().map(|rows| snapshot(rows)).collect();
    decode(&files, SQS).unwrap()
}

/// The error of rows that have to be refused.
pub fn refusal(rows: &[Row]) -> Error {
    match decode(&[snapshot(rows)], SQS) {
        Ok(dump) => panic!("decoded to {:?}", dump.shown()),
        Err(error) => error,
    }
}

/// The Standard queue `q` of generation 1 with these rows.
pub fn standard(rows: impl IntoIterator<Item = Row>) -> Vec<Row> {
    [queue("q", 1, "")].into_iter().chain(rows).collect()
}

/// A message of generation 1 of `q`, sent so many ms after [`SENT_MS`].
pub fn sent(id: &str, after_ms: u64) -> Row {
    Home::classic("q", 1).message(id, id, SENT_MS + after_ms, "")
}

/// The ids in the `messages.jsonl` of a folder, in its order; none without such a file.
pub fn ids(dump: &Dump, folder: &str) -> Vec<String> {
    lines(dump, folder).iter().map(|line| line["message_id"].as_str().unwrap().to_owned()).collect()
}

/// The lines of the `messages.jsonl` of a folder.
pub fn lines(dump: &Dump, folder: &str) -> Vec<serde_json::Value> {
    let Some(file) = dump.files.get(&format!("{folder}/messages.jsonl")) else { return Vec::new() };
    let text = std::str::from_utf8(file).unwrap();
    assert!(text.ends_with('\n'));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Keys of the side records of a folder.
pub fn side_keys(dump: &Dump, folder: &str) -> Vec<Vec<u8>> {
    let file = &dump.files[&format!("{folder}/_internals/side_records.jsonl")];
    let key = |line: &str| {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        unhex(record["key_hex"].as_str().unwrap())
    };
    std::str::from_utf8(file).unwrap().lines().map(key).collect()
}

/// The bytes of hex digits.
pub fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}
