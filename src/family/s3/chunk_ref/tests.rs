use super::*;
use ekvsnap_testkit::s3_rows::chunk_ref;
use proptest::prelude::*;
use sha2::{Digest, Sha256};

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// The vectors of `docs/format/s3.md` section 6.
#[test]
fn vectors_8_and_9_are_references_of_both_versions() {
    let first =
        hex("0163c1dd951ffedf6f7fd968ad4efa39b8ed584f162f46e715114ee184f8de9201000000000000000400026e31");
    let found = decode(&first).unwrap();
    assert_eq!(found.digest, <[u8; 32]>::from(Sha256::digest("AAAA")));
    assert_eq!((found.size, found.source_peer, found.replicas.count()), (4, &b"n1"[..], 0));

    let second = hex(concat!(
        "02dcdb704109a454784b81229d2b05f368692e758bfa33cb61d04c1b93791b0273000000000000000300026e310002",
        "00026e310003683a3100026e320003683a32"
    ));
    let found = decode(&second).unwrap();
    assert_eq!(found.digest, <[u8; 32]>::from(Sha256::digest("BBB")));
    assert_eq!((found.size, found.source_peer), (3, &b"n1"[..]));
    let replicas: Vec<_> = found.replicas.collect();
    assert_eq!(replicas, [(&b"n1"[..], &b"h:1"[..]), (b"n2", b"h:2")]);

    assert_eq!(decode(&second[..second.len() - 1]), Err(Invalid::Truncated));
    assert_eq!(decode(&[&second[..], b"x"].concat()), Err(Invalid::Trailing(1)));
    for version in [0, 3] {
        assert_eq!(decode(&[&[version], &second[1..]].concat()), Err(Invalid::Version(version)));
    }
}

#[test]
fn version_2_without_replicas_is_read() {
    let mut value = chunk_ref(&[1; 32], 9, b"n", &[]);
    value[0] = 2;
    value.extend([0, 0]);
    assert_eq!(decode(&value).unwrap().replicas.count(), 0);
}

#[test]
fn a_reference_that_ends_anywhere_else_is_refused() {
    let value = chunk_ref(&[1; 32], 9, b"node", &[(b"a", b"h:1"), (b"", b"")]);
    for end in 0..value.len() {
        assert_eq!(decode(&value[..end]), Err(Invalid::Truncated), "{end}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(version in 0..4u8, rest in prop::collection::vec(any::<u8>(), 0..120)) {
        if let Ok(found) = decode(&[&[version], &rest[..]].concat()) {
            prop_assert!(found.replicas.count() <= rest.len());
        }
    }
}
