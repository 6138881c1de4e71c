//! Table A and bundles of it, as in the vectors of `docs/format/sstable.md` section 8, and what is said of those that are
//! refused.

use ekvsnap::snapshot::SnapshotError;
use ekvsnap_testkit::container::{Footer, HlcHeader, frame};
use ekvsnap_testkit::sst_writer::{Bundle, RawRow, Table};
use ekvsnap_testkit::version::Version;
use ekvsnap_testkit::writer::APPLIED_INDEX;

/// `0102030405060708` hex.
pub const TS: u64 = 0x0102_0304_0506_0708;

pub fn row(version: &Version) -> RawRow {
    (version.raw_key(), version.raw_value())
}

pub fn rows_of_table_a() -> Vec<RawRow> {
    vec![
        row(&Version::put("!redis|str|a", TS, "hello")),
        row(&Version::tombstone("!redis|str|a", 7)),
        (APPLIED_INDEX.to_vec(), 42u64.to_le_bytes().to_vec()),
    ]
}

pub fn bundle(tables: Vec<Table>) -> Bundle {
    Bundle { tables, last_commit_ts: TS, min_retained_ts: 0, applied_index: Some(42) }
}

pub fn file(bundle: &Bundle) -> Vec<u8> {
    frame(&HlcHeader::None, &bundle.to_bytes(), Footer::Good)
}

#[track_caller]
pub fn assert_corrupt(error: &SnapshotError, what: &str) {
    let said = error.to_string();
    assert!(matches!(error, SnapshotError::Corrupt { .. }), "not corrupt, but: {said}");
    assert!(said.contains(what), "{said}");
}

#[track_caller]
pub fn assert_unsupported(error: &SnapshotError, what: &str) {
    let said = error.to_string();
    assert!(matches!(error, SnapshotError::Unsupported { .. }), "not unsupported, but: {said}");
    assert!(said.contains(what), "{said}");
}
