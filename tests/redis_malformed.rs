//! Malformed rows: the run stops and says which row it was, or sets it aside and says so
//! (`docs/format/redis.md` section 4).

mod support;

use ekvsnap::error::Error;
use ekvsnap_testkit::protobuf::bytes_field;
use ekvsnap_testkit::redis_rows::{
    Blob, Counted, blob_key, count_delta_key, count_meta_key, element_key, hll_key, list_delta_key,
    list_meta, list_meta_key, set_blob, stream_blob, stream_entry, stream_entry_key, stream_meta_key,
    string_key, string_value, ttl_key,
};
use ekvsnap_testkit::version::Version;
use support::{How, LAST_COMMIT_TS, REDIS, Row, decode, dump, refusal, snapshot};

const QUARANTINE: How = How { quarantine: true, ..REDIS };

/// One row for every rule that a Redis row can break, and how the rule is told.
fn malformed() -> Vec<(Row, &'static str)> {
    let protobuf = |magic: &[u8]| [magic, b"\x0a\x05x"].concat();
    vec![
        ((b"!redis|x".to_vec(), vec![]), "the key begins like a Redis row but is of no known kind"),
        ((b"!hs|x".to_vec(), vec![]), "the key begins like a Redis row but is of no known kind"),
        ((b"!hs|fld|\0\0\0\x05uk".to_vec(), vec![]), "the row key does not have the layout of a hash field"),
        (
            (b"!st|mem|\xff\xff\xff\xffuk".to_vec(), vec![]),
            "the row key does not have the layout of a set member",
        ),
        (
            (element_key(Counted::ZSet, b"k", b"m"), vec![0; 7]),
            "a zset member value has 8 bytes, this one has 7",
        ),
        (
            (string_key(b"k"), b"\xff\x01".to_vec()),
            "the envelope of the value ends before its flags or its expiry",
        ),
        (
            (hll_key(b"k"), b"\xff\x02\x01\0\0\0\0\0\0\0".to_vec()),
            "the envelope of the value ends before its flags or its expiry",
        ),
        ((hll_key(b"k"), b"plain".to_vec()), "the value does not begin with the magic of a one-blob set"),
        (
            (hll_key(b"k"), b"\xff\x02\0\0RS\x01\x0a\x05x".to_vec()),
            "the protobuf of the one-blob set does not parse",
        ),
        ((ttl_key(b"k"), vec![0; 9]), "a TTL row's value has 8 bytes, this one has 9"),
        (
            (count_meta_key(Counted::Set, b"k"), vec![0; 12]),
            "a meta value has 8 or 16 bytes, this one has 12",
        ),
        (
            (count_meta_key(Counted::Set, b"k"), (1u64 << 63).to_be_bytes().to_vec()),
            "a length of 9223372036854775808 does not fit a signed 64-bit number",
        ),
        (
            (count_delta_key(Counted::Set, b"k", 1, 1), vec![0; 16]),
            "a length delta has 8 bytes, this one has 16",
        ),
        (
            (list_meta_key(b"k"), list_meta(1, 3, 1, None)),
            "the list meta has head 1, tail 3 and length 1, which do not agree",
        ),
        ((list_delta_key(b"k", 1, 1), vec![0; 8]), "a list meta value has 24 or 32 bytes, this one has 8"),
        ((list_meta_key(b"d|k"), vec![0; 16]), "a list meta value has 24 or 32 bytes, this one has 16"),
        ((b"!lst|itm|short".to_vec(), vec![]), "the row key does not have the layout of a list item"),
        ((stream_meta_key(b"k"), vec![0; 40]), "a stream meta value has 24, 32 or 48 bytes, this one has 40"),
        ((stream_entry_key(b"k", 1, 1), vec![]), "the value does not begin with the magic of a stream entry"),
        (
            (stream_entry_key(b"k", 1, 1), stream_entry(b"1-1", &["n", "v", "n"])),
            "the stream entry has an odd number of fields",
        ),
        (
            (stream_entry_key(b"k", 1, 1), protobuf(b"\0RXE\x01")),
            "the protobuf of the stream entry does not parse",
        ),
        (
            (blob_key(Blob::Hash, b"k"), protobuf(b"\0RH\x01")),
            "the protobuf of the one-blob hash does not parse",
        ),
        (
            (blob_key(Blob::ZSet, b"k"), set_blob(["m"])),
            "the value does not begin with the magic of a one-blob zset",
        ),
        (
            (blob_key(Blob::Stream, b"k"), stream_blob([("1-0", vec!["n", "v"]), ("1", vec![])])),
            "an entry id of the one-blob stream is not of the form ms-seq",
        ),
    ]
}

#[test]
fn a_malformed_row_stops_the_run_with_its_place_its_key_and_its_rule() {
    for (row, rule) in malformed() {
        let before = (b" ".to_vec(), b"a bare string before it".to_vec());
        let Error::MalformedRow { offset, key, rule: broken, name } = refusal(&[before.clone(), row.clone()])
        else {
            panic!("{rule}: refused for another reason");
        };
        assert_eq!(broken.to_string(), rule);
        assert!(name.ends_with("0.fsm"));
        // Magic, last_commit_ts, and the row before.
        assert_eq!(offset, 16 + 8 + (before.0.len() as u64 + 8) + 8 + (before.1.len() as u64 + 9));
        assert_eq!(key, ekvsnap::snapshot::Readable(&row.0).to_string());
    }
}

#[test]
fn the_key_of_a_malformed_row_is_told_as_text_with_escapes() {
    let error = refusal(&[(b"!hs|\xff\n".to_vec(), vec![])]);
    assert!(error.to_string().contains(" at byte 16, key !hs|\\xff\\n: the key begins like"), "{error}");
}

#[test]
fn a_malformed_row_in_quarantine_is_kept_whole_and_the_run_goes_on() {
    for (row, rule) in malformed() {
        let good = (string_key(b"other"), string_value(b"v", None));
        let file = snapshot(&[good.clone(), row.clone()]);
        let dump = decode(&[file], QUARANTINE).unwrap();
        dump.assert_files(&[("strings/other.bin", "v")]);
        dump.assert_warnings(&[("quarantined_row", 1)]);
        assert!(dump.report.is_incomplete());
        assert_eq!(dump.report.quarantined_rows, 1);
        assert_eq!(dump.manifest["decode"]["quarantined_rows"], 1);
        let version = Version::put(row.0.clone(), LAST_COMMIT_TS, row.1.clone());
        let kept: (Vec<u8>, Vec<u8>, String, String) = dump
            .staging
            .query_row("SELECT raw_key, raw_value, rule, class FROM quarantine", [], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
            })
            .unwrap();
        assert_eq!(kept, (version.raw_key(), version.raw_value(), rule.to_owned(), "redis".to_owned()));
        let sample = format!("{} at byte ", ekvsnap::snapshot::Readable(&row.0));
        assert!(dump.samples("quarantined_row")[0].starts_with(&sample));
    }
}

#[test]
fn all_malformed_rows_go_to_quarantine_with_their_offsets() {
    let mut rows: Vec<Row> = malformed().into_iter().map(|(row, _)| row).collect();
    rows.sort();
    rows.dedup_by(|a, b| a.0 == b.0);
    let dump = decode(&[snapshot(&rows)], QUARANTINE).unwrap();
    dump.assert_files::<&str>(&[]);
    dump.assert_warnings(&[("quarantined_row", rows.len() as u64)]);
    let mut offset = 16;
    let offsets: Vec<_> = rows
        .iter()
        .map(|(key, value)| {
            let at = format!("Integer({offset})");
            offset += 8 + key.len() + 8 + 8 + value.len() + 9;
            at
        })
        .collect();
    assert_eq!(dump.ask("SELECT byte_offset FROM quarantine ORDER BY id"), offsets);
}

#[test]
fn half_of_a_malformed_one_blob_is_not_staged() {
    let mut half = stream_blob([("1-0", vec!["n", "v"]), ("2-0", vec!["n", "v"])]);
    half.extend_from_slice(b"\x0a\x7f");
    let rows = [(blob_key(Blob::Stream, b"k"), half)];
    let dump = decode(&[snapshot(&rows)], QUARANTINE).unwrap();
    dump.assert_files::<&str>(&[]);
    for table in ["redis_collection", "redis_stream_entry", "large_value"] {
        assert!(dump.ask(&format!("SELECT 1 FROM {table}")).is_empty(), "{table}");
    }
}

#[test]
fn a_long_malformed_value_is_kept_as_a_large_value() {
    let mut long = stream_entry(b"1-0", &[vec![b'x'; 700_000], b"v".to_vec()]);
    bytes_field(&mut long, 2, b"odd");
    let rows = [(stream_entry_key(b"k", 1, 0), long.clone())];
    let Error::MalformedRow { offset: 16, .. } = refusal(&rows) else { panic!("not at byte 16") };
    let dump = decode(&[snapshot(&rows)], QUARANTINE).unwrap();
    let kept: (i64, i64) = dump
        .staging
        .query_row(
            "SELECT start, length FROM quarantine JOIN large_value ON large_value.id = raw_value",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap();
    // Behind the row's lengths, its key with the timestamp, and the header of the value.
    let start = 16 + 8 + rows[0].0.len() + 8 + 8 + 9;
    assert_eq!(kept, (start as i64, long.len() as i64));
}

#[test]
fn a_value_that_is_ignored_is_not_parsed() {
    let rows = [
        (element_key(Counted::Set, b"k", b"m"), b"\xff\x01whatever".to_vec()),
        (b"!zs|scr|x".to_vec(), b"whatever".to_vec()),
        (b"!redis|route|\xff".to_vec(), b"whatever".to_vec()),
    ];
    dump(&rows).assert_warnings(&[]);
}
