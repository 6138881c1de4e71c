//! The staging database as people ask it: the views over the S3 tables.

#![allow(clippy::unwrap_used, reason = "test code")]

mod support;

use support::documentation::ask;
use support::{S3, decode};

const FIXTURE: &str = "tests/fixtures/s3-small/0000000000000385.fsm";

#[test]
fn what_every_object_and_chunk_is_asked_for_is_found_without_sorting_or_copying() {
    let dump = decode(&[std::fs::read(FIXTURE).unwrap()], S3).unwrap();
    for sql in [
        "SELECT b.id, h.object FROM s3_bucket b CROSS JOIN s3_head h ON h.bucket = b.name \
         AND h.generation = b.generation WHERE NOT b.refused ORDER BY b.name, h.object",
        "SELECT chunk, length FROM s3_selected_chunk WHERE upload = 1 AND part = 0 ORDER BY chunk",
        "SELECT part, chunk, length FROM s3_selected_chunk WHERE upload = 1 AND (part, chunk) > (0, 3) ORDER BY part, chunk",
        "SELECT 1 FROM s3_object WHERE bucket = 1 AND object >= x'61' AND object < x'62' AND stays >= 1",
    ] {
        for step in ask(&dump, &format!("EXPLAIN QUERY PLAN {sql}")) {
            let copies = ["TEMP B-TREE", "MATERIALIZE", "AUTOMATIC"].iter().any(|word| step.contains(word));
            assert!(!copies, "{sql}: {step}");
        }
    }
    // A chunk finds its part by the number, however many parts there are.
    let steps = ask(&dump, "EXPLAIN QUERY PLAN SELECT part FROM s3_orphan WHERE upload = 1").join(" ");
    assert!(steps.contains("s3_part_by_number (upload=? AND part_no=?)"), "{steps}");
    assert!(steps.contains("SEARCH c USING PRIMARY KEY (upload=?)"), "{steps}");
}
