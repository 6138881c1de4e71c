//! What `verify` finds in a snapshot, and between a snapshot and a token.

#![allow(clippy::unwrap_used, reason = "this is test code, if not inside a test function")]

mod decode_support;

use std::fs;
use std::path::Path;

use decode_support::*;
use ekvsnap::error::Error;
use ekvsnap::family::ADAPTERS;
use ekvsnap::load::Input;
use ekvsnap::progress::Silent;
use ekvsnap::snapshot::{Located, SnapFile, Token};
use ekvsnap::verify::{Finding, Severity, SnapshotIdentity, TokenFile, compare_token, verify_snapshot};
use ekvsnap_testkit::container::HlcHeader;
use ekvsnap_testkit::redis_rows::{string_key, string_value};
use ekvsnap_testkit::snap_file::snap_file;
use ekvsnap_testkit::sorted::SortedSnapshot;
use ekvsnap_testkit::version::Version;

const TS: u64 = 1_714_400_000_000 << 16;

fn verify_inputs(inputs: &[Input]) -> Result<Vec<Finding>, Error> {
    let mut findings = Vec::new();
    let adapters = ADAPTERS.map(str::to_owned).to_vec();
    verify_snapshot(inputs, adapters, None, &Silent, &mut |finding| findings.push(finding))?;
    Ok(findings)
}

fn verify(bytes: &[u8]) -> Result<Vec<Finding>, Error> {
    let folder = scratch();
    let path = folder.path().join("s.fsm");
    fs::write(&path, bytes).unwrap();
    let mut findings = verify_inputs(&[Input::File(Located::new(&path).unwrap())])?;
    findings.retain(|finding| finding.severity == Severity::Finding);
    Ok(findings)
}

fn small() -> SortedSnapshot {
    let row = |key: &str| Version::put(string_key(key.as_bytes()), TS, string_value(b"value", None));
    SortedSnapshot::new(TS)
        .header(HlcHeader::V1 { ceiling_ms: TS >> 16 })
        .version(&row("a"))
        .version(&row("b"))
}

#[test]
fn the_snapshots_of_real_nodes_have_notes_at_most() {
    for name in NAMES {
        let findings = verify_inputs(&inputs(&Path::new(FIXTURES).join(name))).unwrap();
        let wrong: Vec<_> = findings.iter().filter(|finding| finding.severity == Severity::Finding).collect();
        assert!(wrong.is_empty(), "{name}: {wrong:?}");
    }
}

#[test]
fn every_malformed_row_is_a_finding_with_its_place_and_key() {
    let mut snapshot = small();
    for number in 0..20_u8 {
        let key = [b"!hs|fld|\0\0\0\x09", &[number][..]].concat();
        snapshot = snapshot.version(&Version::put(key, TS, b"value"));
    }
    let bytes = snapshot.to_bytes().unwrap();
    let findings = verify(&bytes).unwrap();
    let keys: Vec<_> = findings.iter().map(|finding| finding.key.clone().unwrap()).collect();
    assert_eq!(keys.len(), 20);
    assert_eq!((&*keys[0], &*keys[19]), ("!hs|fld|\\0\\0\\0\\t\\0", "!hs|fld|\\0\\0\\0\\t\\u{13}"));
    for finding in findings {
        assert_eq!(finding.kind.name(), "malformed_row");
        let at = finding.offset.unwrap() as usize;
        assert_eq!(bytes[at + 8..at + 16], *b"!hs|fld|");
    }
}

#[test]
fn a_changed_bit_in_any_byte_of_a_snapshot_is_found() {
    let bytes = small().to_bytes().unwrap();
    assert_eq!(verify(&bytes).unwrap(), []);
    for byte in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[byte] ^= 1 << (byte % 8);
        // Written by a later version, for all that anybody knows.
        if let Ok(findings) = verify(&changed) {
            assert!(!findings.is_empty(), "byte {byte}");
        }
    }
}

#[test]
fn a_snapshot_that_is_cut_off_anywhere_is_found() {
    let bytes = small().to_bytes().unwrap();
    for length in 0..bytes.len() {
        assert!(!verify(&bytes[..length]).unwrap().is_empty(), "{length} bytes");
    }
}

#[test]
fn a_row_that_is_malformed_before_the_end_is_named_beside_it() {
    let malformed = Version::put(b"!hs|fld|".to_vec(), TS, b"value");
    // Rows are handed on in batches; the last of them is lost with the end.
    let much = Version::put(string_key(b"much"), TS, string_value(&[b'x'; 30_000], None));
    let filler: Vec<_> = (0..100)
        .map(|number| Version { user_key: string_key(format!("c{number:03}").as_bytes()), ..much.clone() })
        .collect();
    let mut bytes = small().version(&malformed).versions(&filler).to_bytes().unwrap();
    bytes.pop();
    let kinds: Vec<_> = verify(&bytes).unwrap().iter().map(|finding| finding.kind.name()).collect();
    assert_eq!(kinds[0], "malformed_row");
    assert_eq!(kinds.len(), 2, "{kinds:?}");
}

#[test]
fn the_token_of_a_snapshot_agrees_with_it_and_with_no_other() {
    let snapshots: Vec<_> = NAMES
        .iter()
        .flat_map(|name| inputs(&Path::new(FIXTURES).join(name)))
        .map(|input| SnapshotIdentity::read(Path::new(&input.name()), &Silent).unwrap())
        .collect();
    for one in &snapshots {
        let (index, crc32c) = (one.index().unwrap(), one.crc32c.unwrap());
        assert_eq!(one.name_index, one.applied_index);
        let snap = SnapFile::decode(&snap_file(index, 7, crc32c, &[1, 2])).unwrap();
        let name = format!("snap/{:016x}-{index:016x}.snap", 7);
        for held in [TokenFile::Snap(snap), TokenFile::Token(Token { index, crc32c })] {
            for other in &snapshots {
                let compared = compare_token(&held, Some(Path::new(&name)), other);
                let found = compared.iter().filter(|comparison| comparison.finding().is_some()).count();
                let differs = [one.index() != other.index(), one.crc32c != other.crc32c];
                assert_eq!(found, differs.iter().filter(|differs| **differs).count(), "{compared:?}");
            }
        }
    }
}
