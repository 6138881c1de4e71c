//! Rows of the filesystem adapter, which has no format yet (`docs/format/snapshot.md` section 6): counted, and said to
//! be missing.

#![allow(clippy::unwrap_used, reason = "this is test code, if not inside a test function")]

mod decode_support;

use std::fs;

use decode_support::{decode, inputs, load_options, scratch};
use ekvsnap::load::LoadOptions;
use ekvsnap::report::Report;
use ekvsnap_testkit::sorted::SortedSnapshot;
use ekvsnap_testkit::version::Version;

fn report(options: &LoadOptions) -> Report {
    let folder = scratch();
    let file = folder.path().join("filesystem.fsm");
    let rows = [
        Version::put(b"!fs|inode|1".to_vec(), 9, b"visible".to_vec()),
        Version::put(b"!fs|inode|2".to_vec(), 9, b"visible".to_vec()),
        Version::put(b"!fs|inode|2".to_vec(), 8, b"superseded".to_vec()),
    ];
    fs::write(&file, SortedSnapshot::new(9).versions(&rows).to_bytes().unwrap()).unwrap();
    decode(&inputs(&file), options, folder.path(), 1).unwrap().report
}

#[test]
fn visible_rows_of_the_filesystem_adapter_mean_that_a_whole_dump_is_incomplete() {
    let report = report(&load_options());
    let warning = report.warnings.iter().find(|warning| warning.kind == "family_not_read").unwrap();
    assert_eq!((warning.count, warning.samples.as_slice()), (2, &["internal: 2 rows".to_owned()][..]));
    assert!(report.is_incomplete());
}
