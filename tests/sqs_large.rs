//! Messages too long to be copied with their row, and too long for memory, byte for byte, from a file and through a
//! pipe.

#![allow(clippy::unwrap_used, clippy::panic, reason = "this is test code, if not inside a test function")]

mod support;

use ekvsnap::snapshot::limits::{BATCH_BYTES, INLINE_PAYLOAD_BYTES};
use ekvsnap_testkit::sqs_rows::{Home, message, meta, meta_key, padded};
use support::expected::compact;
use support::sqs::*;
use support::{How, SQS};

/// Bodies around the length at which a payload stays where it is, beyond a batch, and beyond what is decoded in memory.
const LENGTHS: [usize; 5] = [
    INLINE_PAYLOAD_BYTES * 3 / 4 - 300,
    INLINE_PAYLOAD_BYTES * 3 / 4 + 3,
    200_000,
    2 * BATCH_BYTES + 777,
    (2 << 20) + 5,
];

/// Text of this length with characters that JSON escapes, and others of two bytes.
fn text(length: usize) -> Vec<u8> {
    let mut text: Vec<u8> = (0..length).map(|i| b"abc\"<\n\\defgh"[i % 12] ^ (i / 4096 % 2) as u8).collect();
    for at in (1000..length - 1).step_by(9999) {
        text[at..at + 2].copy_from_slice("ü".as_bytes());
    }
    text
}

/// The value of a message with this body, as a node writes it.
fn stored(body: &[u8], more: &str) -> Vec<u8> {
    message(&format!(
        "{{\"message_id\":\"m\",\"body\":\"{}\",\"send_timestamp_millis\":{SENT_MS},\"queue_generation\":1{more}}}",
        padded(body)
    ))
}

fn line(body: &[u8], more: &str) -> String {
    format!(
        "{{\"message_id\":\"m\",\"body\":{}{more},\"send_timestamp_millis\":{SENT_MS},\"available_at_millis\":0,\
         \"visible_at_millis\":0,\"receive_count\":0,\"queue_generation\":1}}\n",
        compact(body)
    )
}

#[test]
fn long_bodies_are_exported_whole_whether_they_are_text_or_not() {
    let runs = LENGTHS.map(|length| (length, false)).into_iter().chain([(200_000, true)]);
    for (length, self_contained) in runs {
        let mut bytes = text(length);
        bytes[length - 1] = 0xff;
        for (body, kind) in [(text(length), "text"), (bytes, "blob")] {
            let rows = standard([(Home::classic("q", 1).data("m"), stored(&body, ""))]);
            let dump = dump_how(&rows, How { self_contained, ..SQS });
            assert!(dump.files["q/messages.jsonl"] == line(&body, "").as_bytes(), "a body of {length} bytes");
            dump.assert_warnings(&[]);
            let kept = if length * 4 / 3 > INLINE_PAYLOAD_BYTES { "integer" } else { kind };
            assert_eq!(dump.ask("SELECT typeof(body) FROM sqs_message"), [format!("Text({kept:?})")]);
            let found = dump.ask("SELECT body_bytes FROM sqs_messages");
            // Of a body by reference it is what its text can hold at most.
            let expected = if kept == "integer" { length.div_ceil(3) * 3 } else { length };
            assert_eq!(found, [format!("Integer({expected})")]);
        }
    }
}

#[test]
fn long_attributes_are_exported_whole() {
    let value = "v".repeat(300_000);
    let attributes = format!("{{\"a\":{{\"DataType\":\"String\",\"StringValue\":\"{value}\"}}}}");
    let more = format!(",\"message_attributes\":{attributes}");
    let rows = standard([(Home::classic("q", 1).data("m"), stored(b"short", &more))]);
    let dump = dump(&rows);
    assert!(dump.files["q/messages.jsonl"] == line(b"short", &more).as_bytes());
}

#[test]
fn a_long_body_with_escapes_or_broken_text_around_it_is_decoded_all_the_same() {
    let body = text(100_000);
    let escaped = message(&format!(
        "{{\"message_id\":\"m\",\"body\":\"{}\\u003d\",\"send_timestamp_millis\":{SENT_MS},\"queue_generation\":1}}",
        padded(&body).strip_suffix('=').unwrap()
    ));
    let mut broken = stored(&body, ",\"later\":\"?\"");
    let at = broken.len() - 3;
    broken[at] = 0xff;
    for value in [escaped, broken] {
        let dump = dump(&standard([(Home::classic("q", 1).data("m"), value)]));
        assert!(dump.files["q/messages.jsonl"] == line(&body, "").as_bytes());
    }
}

#[test]
fn a_queue_with_a_long_meta_row_and_long_side_rows_is_exported_whole() {
    let tag = "é<".repeat(30_000);
    let (key, value) = (Home::classic("q", 1).dedup("", "x".repeat(100_000)), vec![0xff; 100_000]);
    let rows = [
        (meta_key("q"), meta(&format!("{{\"name\":\"q\",\"generation\":1,\"tags\":{{\"t\":\"{tag}\"}}}}"))),
        (key.clone(), value.clone()),
    ];
    let dump = dump_how(&rows, WITH_SIDE_RECORDS);
    let tags: serde_json::Value = serde_json::from_slice(&dump.files["q/_extra.json"]).unwrap();
    assert_eq!(tags["tags"]["t"], tag);
    assert_eq!(side_keys(&dump, "q"), [key]);
    let record: serde_json::Value =
        serde_json::from_slice(&dump.files["q/_internals/side_records.jsonl"]).unwrap();
    assert_eq!(record["value_b64"], ekvsnap_testkit::sqs_rows::segment(&value));
}
