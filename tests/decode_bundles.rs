//! Snapshots of real nodes of every family, put into SST bundles: the dump is that of the ordinary file, whether the
//! bundle is read as a file or as it streams in, and whether its large values are referred to or included.

#![allow(clippy::unwrap_used, reason = "this is test code, if not inside a test function")]

mod decode_support;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use decode_support::*;
use ekvsnap::load::LoadOptions;
use ekvsnap_testkit::bundled::bundled;
use ekvsnap_testkit::sst_writer::{Compress, Cut};

const ORDINARY: [&str; 5] = [
    "redis-small/00000000000002ef.fsm",
    "redis-legacy/0000000000000097.fsm",
    "dynamodb-small/00000000000008fd.fsm",
    "s3-small/0000000000000385.fsm",
    "sqs-small/0000000000000353.fsm",
];

/// A dump without what it says of its source.
fn without_source(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = tree(root);
    files.retain(|path, _| path != Path::new("MANIFEST.json") && path != Path::new("CHECKSUMS"));
    files
}

#[test]
fn a_bundle_with_the_rows_of_a_snapshot_decodes_to_the_same_dump() {
    for name in ORDINARY {
        let folder = scratch();
        let (dump, ordinary) = (folder.path().join("dump"), Path::new(FIXTURES).join(name));
        decode(&inputs(&ordinary), &load_options(), folder.path(), 1).unwrap();
        let expected = without_source(&dump);
        let file = fs::read(&ordinary).unwrap();
        for (compress, table_bytes) in
            [(Compress::IfItSaves, 64 << 20), (Compress::Always, 100_000), (Compress::Never, 30_000)]
        {
            let path = folder.path().join(ordinary.file_name().unwrap());
            fs::write(&path, bundled(&file, table_bytes, &Cut { compress, ..Cut::default() })).unwrap();
            for self_contained in [false, true] {
                let options = LoadOptions { self_contained, ..load_options() };
                decode(&inputs(&path), &options, folder.path(), 1).unwrap();
                assert!(without_source(&dump) == expected, "{name}, {compress:?}, {self_contained}");
            }
            let mut command = ekvsnap(["decode", "-q", "--force", "-", "-o"]);
            let output = command.arg(&dump).stdin(File::open(&path).unwrap()).output().unwrap();
            assert!(matches!(output.status.code(), Some(0 | 1)), "{}", said(&output).1);
            assert!(without_source(&dump) == expected, "{name}, {compress:?}, from standard input");
            // The bundle, the dump and the database: nothing that was spooled.
            assert_eq!(names(folder.path()).len(), 3);
        }
    }
}
