//! Encrypted rows as the reader sees them: what it hands on is what was encrypted, and a change of one bit anywhere is
//! never taken for something else (`docs/format/encryption.md` sections 6, 7 and 10).

#![allow(clippy::unwrap_used, clippy::panic, reason = "this is test code, if not inside a test function")]

mod encryption_support;

use std::collections::BTreeMap;

use ekvsnap::snapshot::encryption::OpenError;
use ekvsnap::snapshot::limits::HELD_VALUE_BYTES;
use ekvsnap::snapshot::{Hlc, SnapshotError};
use ekvsnap_testkit::container::Footer;
use ekvsnap_testkit::encryption::{DataKey, FLAG_ENCRYPTED, KeyFiles, Nonces, encrypt, seal};
use ekvsnap_testkit::sorted::SortedSnapshot;
use ekvsnap_testkit::strategies::histories;
use ekvsnap_testkit::version::Version;
use encryption_support::{keyring, mended, read, what};
use proptest::prelude::*;

/// One row, its stored value as given.
fn file(raw_key: &[u8], value: &[u8]) -> Vec<u8> {
    SortedSnapshot::new(u64::MAX).raw(raw_key, value).to_bytes().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn an_encrypted_file_reads_as_the_same_file_in_clear(
        history in histories(b""),
        sizes in proptest::collection::vec(prop_oneof![0usize..60, (32usize << 10) - 40..(32 << 10) + 40, Just(270_000)], 1..4),
        chosen in proptest::collection::vec(0usize..3, 1..8),
    ) {
        let mut versions = history.versions;
        versions.truncate(30);
        for (version, size) in versions.iter_mut().filter(|version| !version.tombstone).zip(sizes.iter().cycle()) {
            version.payload.resize(*size, 7);
        }
        let clear = SortedSnapshot::new(history.last_commit_ts).versions(&versions).to_bytes().unwrap();
        let files = KeyFiles::new();
        let storage: Vec<_> = files.keys.iter().filter(|key| key.storage).collect();
        let choose = |row: u64| storage.get(chosen[row as usize % chosen.len()]).copied();
        let sealed = encrypt(&clear[..], Vec::new(), choose).unwrap();
        let keys = keyring(&files);
        let ((expected, end), (seen, sealed_end)) = (read(&clear, None).unwrap(), read(&sealed, Some(&keys)).unwrap());
        prop_assert_eq!(&seen, &expected);
        prop_assert_eq!(&sealed_end.counts, &end.counts);
        // Keys change nothing about a file in clear.
        prop_assert_eq!(&read(&clear, Some(&keys)).unwrap().0, &expected);
        let (mut clear_rows, mut encrypted) = (0, BTreeMap::new());
        let mut stored: Vec<_> = versions.iter().map(|version| (version.raw_key(), version.tombstone)).collect();
        stored.sort();
        for (row, (_, tombstone)) in stored.into_iter().enumerate() {
            match choose(row as u64) {
                Some(key) if !tombstone => *encrypted.entry(key.id).or_insert(0) += 1,
                _ => clear_rows += u64::from(!tombstone),
            }
        }
        let counted = |wanted: &str| -> Vec<(u32, u64)> {
            sealed_end.states.iter().filter(|(state, ..)| state.name() == wanted).map(|(_, id, rows)| (id, rows)).collect()
        };
        prop_assert_eq!(counted("clear"), vec![(0, clear_rows)]);
        prop_assert_eq!(counted("encrypted"), encrypted.into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn one_bit_changed_anywhere_in_a_file_with_a_fitting_footer_is_never_taken_for_another_state() {
    let files = KeyFiles::new();
    let (one, other) = (&files.keys[0], &files.keys[2]);
    let rows = [
        Version::put("!redis|str|a", 7, "first"),
        Version::expiring("!redis|str|a", 5, u64::MAX, "older"),
        Version::put("!redis|str|b", 7, ""),
    ];
    let clear = SortedSnapshot::new(9).versions(&rows).to_bytes().unwrap();
    let sealed = encrypt(&clear[..], Vec::new(), |row| Some(if row == 1 { other } else { one })).unwrap();
    let keys = keyring(&files);
    let (expected, _) = read(&sealed, Some(&keys)).unwrap();
    assert_eq!(expected.len(), 2);
    let rows_at = 16;
    for bit in 8 * rows_at..8 * (sealed.len() - 4) {
        let mut changed = sealed.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(read(&mended(changed), Some(&keys)).is_err(), "bit {bit} went unnoticed");
    }
    // The timestamp of the body: it decides about expiries only.
    for bit in 8 * 8..8 * rows_at {
        let mut changed = sealed.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(read(&mended(changed), Some(&keys)).unwrap().0, expected);
    }
}

#[test]
fn a_bit_changed_in_a_long_value_its_key_or_its_header_is_noticed_however_it_is_handed_on() {
    let files = KeyFiles::new();
    let raw_key = Version::put("!redis|str|long", 7, "").raw_key();
    let value = seal(&files.keys[0], Nonces::default().take(), &raw_key, &vec![0; 9 + 40_000]);
    let sealed = file(&raw_key, &value);
    let keys = keyring(&files);
    assert_eq!(read(&sealed, Some(&keys)).unwrap().0[0].2, 40_000);
    let value_at = 16 + 16 + raw_key.len();
    let spots = (24..24 + raw_key.len()).chain(value_at..value_at + 60).chain([value_at + 20_000]);
    for at in spots.chain(sealed.len() - 30..sealed.len() - 4) {
        for bit in 0..8 {
            let mut changed = sealed.clone();
            changed[at] ^= 1 << bit;
            assert!(read(&mended(changed), Some(&keys)).is_err(), "bit {bit} of byte {at}");
        }
    }
}

#[test]
fn a_relabelled_value_is_refused_short_or_long_and_data_that_only_look_like_one_are_not() {
    let files = KeyFiles::new();
    let keys = keyring(&files);
    for length in [0, 5, 32 << 10, (32 << 10) + 1, 300_000, HELD_VALUE_BYTES as usize + 1] {
        let raw_key = Version::put("!redis|str|k", 7, "").raw_key();
        let mut value = seal(&files.keys[0], Nonces::default().take(), &raw_key, &vec![0; 9 + length]);
        for flags in [0, 1] {
            value[0] = flags;
            assert_eq!(
                what(read(&file(&raw_key, &value), Some(&keys))),
                OpenError::Relabelled(1),
                "{length}"
            );
            // Without keys nobody can tell.
            assert!(read(&file(&raw_key, &value), None).is_ok());
        }
        value[0] = 0;
        *value.last_mut().unwrap() ^= 1;
        let (seen, end) = read(&file(&raw_key, &value), Some(&keys)).unwrap();
        assert_eq!((&seen[0].1, end.states.iter().next().unwrap().2), (&value, 1));
    }
}

#[test]
fn every_encrypted_row_is_opened_also_one_that_a_newer_version_replaces() {
    let files = KeyFiles::new();
    let keys = keyring(&files);
    let key = &files.keys[0];
    let versions = [Version::put("k", 9, "new"), Version::put("k", 5, "old"), Version::tombstone("k", 3)];
    let clear = SortedSnapshot::new(9).versions(&versions).to_bytes().unwrap();
    let mut sealed = encrypt(&clear[..], Vec::new(), |row| (row == 1).then_some(key)).unwrap();
    assert_eq!(read(&sealed, Some(&keys)).unwrap().0.len(), 1);
    let at = sealed.windows(3).position(|bytes| bytes == [FLAG_ENCRYPTED, 0, 0]).unwrap();
    // Its expiry and its tombstone bit are covered, too.
    for spot in [at, at + 1, at + 9 + 20] {
        sealed[spot] ^= 1;
        let error = read(&mended(sealed.clone()), Some(&keys)).err().unwrap();
        let SnapshotError::Encrypted(row) = error else { panic!("{error}") };
        assert_eq!((row.what, row.key.as_str(), row.commit_ts), (OpenError::Tampered(1), "k", Hlc(5)));
        sealed[spot] ^= 1;
    }
}

#[test]
fn keys_that_do_not_fit_the_row_say_why() {
    let files = KeyFiles::new();
    let rows = [Version::put("k", 9, "new")];
    let clear = SortedSnapshot::new(9).versions(&rows).to_bytes().unwrap();
    let under = |key: DataKey| encrypt(&clear[..], Vec::new(), |_| Some(&key)).unwrap();
    let keys = keyring(&files);
    let unknown = what(read(&under(DataKey::storage(9, 9)), Some(&keys)));
    assert!(unknown.to_string().starts_with("key id 9 is not in the sidecar (it holds 1, 2, 16909060)"));
    assert_eq!(what(read(&under(files.keys[1]), Some(&keys))), OpenError::RaftKey(2));
    assert_eq!(what(read(&under(DataKey::storage(1, 12)), Some(&keys))), OpenError::Tampered(1));
    assert_eq!(what(read(&under(files.keys[0]), None)), OpenError::NoKeys(1));
}

#[test]
fn a_file_whose_footer_is_wrong_too_says_both() {
    let files = KeyFiles::new();
    let keys = keyring(&files);
    let clear = SortedSnapshot::new(9).versions(&[Version::put("k", 9, "new"), Version::put("l", 9, "x")]);
    let mut sealed = encrypt(&clear.to_bytes().unwrap()[..], Vec::new(), |_| Some(&files.keys[0])).unwrap();
    let at = sealed.len() - 6;
    sealed[at] ^= 1;
    let error = read(&sealed, Some(&keys)).err().unwrap().to_string();
    assert!(error.contains("authentication failed under key id 1"), "{error}");
    assert!(error.contains("the file is damaged, too: its CRC-32C is "), "{error}");
    let mended = read(&mended(sealed), Some(&keys)).err().unwrap().to_string();
    assert!(mended.ends_with("value of this row was changed"), "{mended}");
}

#[test]
fn a_key_id_that_writers_used_and_the_sidecar_lacks_is_counted() {
    let writer = |id: u32, node: u16| {
        [&b"!encryption|writers|"[..], &id.to_be_bytes(), b"|", &node.to_be_bytes()].concat()
    };
    let rows = [(1, 1), (2, 1), (5, 1), (5, 2), (6, 1)];
    let snapshot = rows.iter().fold(SortedSnapshot::new(9).footer(Footer::None), |file, (id, node)| {
        file.raw(writer(*id, *node), [0; 12])
    });
    let keys = keyring(&KeyFiles::new());
    let end = read(&snapshot.to_bytes().unwrap(), Some(&keys)).unwrap().1;
    assert_eq!((end.unlisted.count, end.unlisted.first), (2, vec![5, 6]));
    let end = read(&snapshot.to_bytes().unwrap(), None).unwrap().1;
    assert_eq!(end.unlisted.count, 0);
}

#[test]
fn a_giant_key_is_authenticated_too() {
    let files = KeyFiles::new();
    let keys = keyring(&files);
    let key = [&b"!redis|str|"[..], &vec![b'x'; 2 << 20]].concat();
    for length in [5, 100_000] {
        let raw_key = Version::put(key.clone(), 7, "").raw_key();
        let value = seal(&files.keys[0], Nonces::default().take(), &raw_key, &vec![0; 9 + length]);
        assert_eq!(read(&file(&raw_key, &value), Some(&keys)).unwrap().0[0].1, vec![0; 9 + length]);
        let mut other = raw_key.clone();
        other[1 << 20] ^= 1;
        assert_eq!(what(read(&file(&other, &value), Some(&keys))), OpenError::Tampered(1));
    }
}
