//! Many encrypted rows, opened on several threads: whoever opens what, the first value that does not open is the one that
//! is named, and nothing from it on is handed on (`docs/format/encryption.md` sections 6 and 7).

#![allow(clippy::unwrap_used, clippy::panic, reason = "this is test code, if not inside a test function")]

mod encryption_support;

use std::collections::BTreeSet;
use std::sync::Arc;

use ekvsnap::snapshot::SnapshotError;
use ekvsnap::snapshot::encryption::{Keyring, OpenError};
use ekvsnap::snapshot::limits::HELD_VALUE_BYTES;
use ekvsnap_testkit::encryption::{KeyFiles, encrypt};
use ekvsnap_testkit::sorted::SortedSnapshot;
use ekvsnap_testkit::version::Version;
use encryption_support::{Way, keyring, mended, open, read, what};

/// Magic and commit timestamp of an `EKVPBBL1` body.
const BODY: usize = 16;

/// An encrypted file of many batches, its rows numbered from 1.
struct Many {
    keys: Arc<Keyring>,
    /// Where the raw key of each row begins, and where its value ends.
    rows: Vec<(usize, usize)>,
    clear: Vec<u8>,
    sealed: Vec<u8>,
}

impl Many {
    fn new(rows: u32, bytes_of: impl Fn(u32) -> usize) -> Self {
        let version = |row: u32| Version::put(format!("!redis|str|{row:06}"), 9, vec![b'v'; bytes_of(row)]);
        let (files, versions) = (KeyFiles::new(), (1..=rows).map(version).collect::<Vec<_>>());
        let clear = SortedSnapshot::new(9).versions(&versions).to_bytes().unwrap();
        let sealed = encrypt(&clear[..], Vec::new(), |_| Some(&files.keys[0])).unwrap();
        let length = |at: usize| u64::from_le_bytes(*sealed[at..].first_chunk().unwrap()) as usize;
        let mut end = BODY;
        let place = |_: u32| {
            let key = end + 8;
            let value = key + length(end) + 8;
            end = value + length(value - 8);
            (key, end)
        };
        let rows = (1..=rows).map(place).collect();
        Self { keys: keyring(&files), rows, clear, sealed }
    }

    /// Now and then a long one, and one that is too long to be held.
    fn long_and_short() -> Self {
        Self::new(12_000, |row| match row {
            6_000 => HELD_VALUE_BYTES as usize + 9,
            _ if row.is_multiple_of(1_000) => 600_000,
            _ => 60,
        })
    }

    fn short() -> Self {
        Self::new(30_000, |_| 60)
    }

    fn key_of(&self, row: usize) -> usize {
        self.rows[row - 1].0
    }

    fn end_of(&self, row: usize) -> usize {
        self.rows[row - 1].1 - 1
    }

    /// Changes the tags of two rows, and looks what is said of it.
    fn check(&self, way: Way, first: usize, second: usize, footer_fits: bool) {
        let mut damaged = self.sealed.clone();
        for row in BTreeSet::from([first, second]) {
            damaged[self.end_of(row)] ^= 1;
        }
        if footer_fits {
            damaged = mended(damaged);
        }
        let (mut rows, reader) = (0, open(&damaged, Some(&self.keys), true).unwrap());
        let error = match way.read(reader, |batch| rows += batch.rows().count()) {
            Err(SnapshotError::Encrypted(row)) => row,
            other => panic!("{way:?} {first} {second}: {other:?}"),
        };
        let said = (&error.what, &error.key[..], error.footer.is_none());
        let expected = format!("!redis|str|{first:06}");
        assert_eq!(said, (&OpenError::Tampered(1), &expected[..], footer_fits), "{way:?} {first} {second}");
        assert!(rows < first, "{way:?}: {rows} rows before row {first}");
        // More than a few batches in, some were handed on.
        assert!(first < 5_999 || rows > 0);
    }
}

#[test]
fn nothing_from_a_tampered_value_on_is_handed_on_and_the_first_one_is_named_short_or_long() {
    let many = Many::long_and_short();
    for (first, second) in [(6_000, 6_001), (5_999, 6_000), (7, 12_000), (12_000, 12_000), (9_000, 11_999)] {
        Way::ALL.into_iter().for_each(|way| many.check(way, first, second, true));
    }
    assert!(read(&many.sealed, Some(&many.keys)).unwrap().0 == read(&many.clear, None).unwrap().0);
}

#[test]
fn of_short_values_the_first_one_is_named_too_whoever_opens_which_and_the_footer_is_looked_at() {
    let many = Many::short();
    let pairs = [(1, 30_000), (3_000, 9_000), (9_000, 9_001), (14_000, 17_000), (30_000, 30_000)];
    for (first, second) in pairs {
        for (way, footer_fits) in Way::ALL.into_iter().flat_map(|way| [(way, true), (way, false)]) {
            many.check(way, first, second, footer_fits);
        }
    }
    assert!(read(&many.sealed, Some(&many.keys)).unwrap().0 == read(&many.clear, None).unwrap().0);
}

#[test]
fn what_precedes_a_bad_row_is_opened_before_that_is_told_of() {
    let many = Many::long_and_short();
    let mut damaged = many.sealed.clone();
    // Out of order; and two rows before it, in the same batch, a value that has been changed.
    damaged[many.key_of(6_003)] = b' ';
    let damaged_order = mended(damaged.clone());
    assert!(matches!(read(&damaged_order, Some(&many.keys)), Err(SnapshotError::Corrupt { .. })));
    damaged[many.end_of(6_001)] ^= 1;
    assert_eq!(what(read(&mended(damaged), Some(&many.keys))), OpenError::Tampered(1));
}
