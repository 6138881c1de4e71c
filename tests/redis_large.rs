//! Values too long to be copied with their row, in every position, byte for byte, from a file and through a pipe.

mod support;

use ekvsnap::snapshot::limits::{BATCH_BYTES, INLINE_PAYLOAD_BYTES, MAX_KEY_BYTES};
use ekvsnap_testkit::redis_rows::{
    Blob, Counted, blob_key, element_key, hash_blob, hll_key, hll_value, list_item_key, list_meta,
    list_meta_key, set_blob, stream_blob, stream_entry, stream_entry_key, stream_meta, stream_meta_key,
    string_key, string_value, zset_blob,
};
use support::{dump, dump_files, expected, refusal};

/// Around the limit, and beyond a batch, so that a pipe's payload comes in several pieces.
const LENGTHS: [usize; 4] =
    [INLINE_PAYLOAD_BYTES - 20, INLINE_PAYLOAD_BYTES, INLINE_PAYLOAD_BYTES + 1, 2 * BATCH_BYTES + 777];

/// Text of this length that is not the same everywhere, with characters that JSON escapes.
fn text(length: usize) -> Vec<u8> {
    let mut text: Vec<u8> = (0..length).map(|i| b"abc\"<\n\\defgh"[i % 12] ^ (i / 4096 % 2) as u8).collect();
    // A two-byte character across what may be a border of pieces.
    if let Some(place) = text.get_mut(BATCH_BYTES - 1..BATCH_BYTES + 1) {
        place.copy_from_slice("ü".as_bytes());
    }
    text
}

/// Bytes of this length that are no text, as only the last one tells.
fn bytes(length: usize) -> Vec<u8> {
    let mut bytes = text(length - 1);
    bytes.push(0xff);
    bytes
}

#[test]
fn long_strings_are_copied_with_and_without_envelope() {
    for length in LENGTHS {
        let rows = [
            (string_key(b"enveloped"), string_value(&bytes(length), Some(u64::MAX))),
            (string_key(b"plain"), bytes(length)),
            (b"bare".to_vec(), text(length)),
        ];
        let dump = dump(&rows);
        for (name, expected) in
            [("enveloped", bytes(length)), ("plain", bytes(length)), ("bare", text(length))]
        {
            assert!(dump.files[&format!("strings/{name}.bin")] == expected, "{name} of {length} bytes");
        }
    }
}

#[test]
fn long_hash_values_and_list_items_are_exported_whole() {
    for length in LENGTHS {
        for content in [text(length), bytes(length)] {
            let rows = [
                (element_key(Counted::Hash, b"h", b"a"), content.clone()),
                (element_key(Counted::Hash, b"h", b"b"), b"short".to_vec()),
                (list_meta_key(b"l"), list_meta(0, 2, 2, None)),
                (list_item_key(b"l", 0), content.clone()),
                (list_item_key(b"l", 1), b"short".to_vec()),
            ];
            let fields: [(&str, &[u8]); 2] = [("a", &content), ("b", b"short")];
            let dump = dump(&rows);
            dump.assert_files(&[
                ("hashes/h.json", expected::hash(&fields, None)),
                ("lists/l.json", expected::list(&[content.as_slice(), b"short"], None)),
            ]);
            dump.assert_warnings(&[]);
        }
    }
}

#[test]
fn long_stream_entries_are_exported_whole() {
    for length in LENGTHS {
        for content in [text(length), bytes(length)] {
            let fields: [&[u8]; 4] = [b"short", &content, &content, b"\xff"];
            let entry = (stream_entry_key(b"x", 1, 1 << 63), stream_entry(b"1-1", &fields));
            let meta = (stream_meta_key(b"x"), stream_meta(1, (1, 1 << 63), None, None));
            let file = expected::entry("1-9223372036854775808", &fields)
                + &expected::stream_meta(1, (1, 1 << 63), None);
            dump(&[entry, meta]).assert_files(&[("streams/x.jsonl", file)]);
        }
    }
}

#[test]
fn a_long_hll_is_validated_and_copied() {
    let members: Vec<_> = (0..20_000u32).map(|n| format!("member {n}")).collect();
    for blob in [set_blob(&members), set_blob([bytes(2 * BATCH_BYTES)])] {
        let rows = [(hll_key(b"a"), hll_value(&blob, None)), (hll_key(b"b"), blob.clone())];
        dump(&rows).assert_files(&[("hll/a.bin", &blob), ("hll/b.bin", &blob)]);
    }
}

#[test]
fn a_member_too_long_for_a_table_is_fine_in_an_hll_and_malformed_in_a_set() {
    let longest = MAX_KEY_BYTES as usize;
    let blob = set_blob([vec![b'm'; longest + 1]]);
    dump(&[(hll_key(b"k"), blob.clone())]).assert_files(&[("hll/k.bin", &blob)]);
    let error = refusal(&[(blob_key(Blob::Set, b"k"), blob)]);
    assert!(error.to_string().ends_with("a name or member of 16777217 bytes; at most 16777216 are read"));
}

#[test]
fn a_long_one_blob_holds_long_and_short_elements() {
    let long = bytes(2 * BATCH_BYTES + 777);
    let also_long = text(INLINE_PAYLOAD_BYTES + 1);
    let fields: [(&[u8], &[u8]); 4] = [(b"a", &long), (b"b", b"short"), (b"c", &also_long), (b"d", &long)];
    let members: [&[u8]; 3] = [b"a", &also_long, &long];
    let mut sorted = members;
    sorted.sort_unstable();
    let entries: [(&str, Vec<&[u8]>); 3] = [
        ("1-0", vec![b"n", b"v"]),
        ("2-0", vec![b"n", &long, &also_long, b""]),
        ("3-0", vec![b"n", b"\xff"]),
    ];
    let rows = [
        (blob_key(Blob::Hash, b"h"), hash_blob(fields)),
        (blob_key(Blob::Set, b"t"), set_blob(members)),
        (blob_key(Blob::ZSet, b"z"), zset_blob(members.map(|member| (member, 1.5)))),
        (blob_key(Blob::Stream, b"x"), stream_blob(entries.clone())),
    ];
    let dump = dump(&rows);
    let lines: String = entries.iter().map(|(id, fields)| expected::entry(id, fields)).collect();
    dump.assert_files(&[
        ("hashes/h.json", expected::hash(&fields, None)),
        ("sets/t.json", expected::set(&sorted, None)),
        ("zsets/z.json", expected::zset(&sorted.map(|member| (member, "1.5")), None)),
        ("streams/x.jsonl", lines + &expected::stream_meta(3, (3, 0), None)),
    ]);
    dump.assert_warnings(&[("redis_stream_legacy_blob", 1)]);
}

#[test]
fn a_long_one_blob_of_many_short_elements_is_staged_element_by_element() {
    // A reader that fetches a whole piece for every element would copy this value ten thousand times.
    let names: Vec<_> = (0..60_000u32).map(|n| format!("{n:08} {}", "x".repeat(n as usize % 7))).collect();
    let rows = [
        (blob_key(Blob::Set, b"t"), set_blob(&names)),
        (blob_key(Blob::Hash, b"h"), hash_blob(names.iter().map(|name| (name, "v")))),
    ];
    let dump = dump(&rows);
    let fields: Vec<_> = names.iter().map(|name| (name, "v")).collect();
    dump.assert_files(&[
        ("sets/t.json", expected::set(&names, None)),
        ("hashes/h.json", expected::hash(&fields, None)),
    ]);
}

#[test]
fn of_a_long_value_in_two_files_the_first_counts() {
    let first = vec![(string_key(b"k"), bytes(100_000))];
    let second = vec![(string_key(b"k"), text(100_000)), (string_key(b"l"), text(90_000))];
    let dump = dump_files(&[first, second]);
    dump.assert_files(&[("strings/k.bin", bytes(100_000)), ("strings/l.bin", text(90_000))]);
    dump.assert_warnings(&[("row_in_two_files", 1)]);
}

#[test]
fn long_names_and_members_of_rows_are_names_and_members() {
    let long = bytes(300_000);
    let rows = [
        (element_key(Counted::Hash, b"h", &long), long.clone()),
        (element_key(Counted::Set, b"t", &long), Vec::new()),
    ];
    dump(&rows).assert_files(&[
        ("hashes/h.json", expected::hash(&[(&long, &long)], None)),
        ("sets/t.json", expected::set(&[&long], None)),
    ]);
}
