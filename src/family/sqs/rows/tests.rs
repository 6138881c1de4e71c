use ekvsnap_testkit::sqs_rows::{Home, generation_key, meta_key, segment, sequence_key, tombstone_key};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// Queue, partition, generation and message id of a data row.
fn message_of(key: &[u8]) -> (Vec<u8>, Option<u32>, u64, Vec<u8>) {
    let Ok(Record::Message { partition, message }) = decode(key) else { panic!("{:?}", decode(key)) };
    (text_of(partition.segment), partition.number, partition.generation, text_of(message))
}

#[test]
fn keys_of_messages_are_those_of_the_vectors() {
    for (key, queue, partition, generation, id) in [
        (
            "217371737c6d73677c646174617c62334a6b5a584a7a00000000000000034d4445794d7a51314e6a63344f5746695932526c5a6a41784d6a4d304e5459334f446c68596d4e6b5a5759",
            "orders",
            None,
            3,
            "0123456789abcdef0123456789abcdef",
        ),
        (
            "217371737c6d73677c646174617c62334a6b5a584a7a00000000000000035a6d5a6c5a57526b59324e69596d46684f546b344f4463334e6a59314e5451304d7a4d794d6a45784d4441",
            "orders",
            None,
            3,
            "ffeeddccbbaa99887766554433221100",
        ),
        (
            "217371737c6d73677c646174617c62334a6b5a584a7a4c6d5a705a6d3800000000000000014d4441784d5449794d7a4d304e4455314e6a59334e7a67344f546c6859574a6959324e6b5a47566c5a6d59",
            "orders.fifo",
            None,
            1,
            "00112233445566778899aabbccddeeff",
        ),
        (
            "217371737c6d73677c646174617c707c614851755a6d6c6d62777c0000000200000000000000015a4756685a474a6c5a575a6b5a57466b596d566c5a6d526c595752695a57566d5a4756685a474a6c5a5759",
            "ht.fifo",
            Some(2),
            1,
            "deadbeefdeadbeefdeadbeefdeadbeef",
        ),
        (
            "217371737c6d73677c646174617c62334a6b5a584a7a00000000000000024d4445794d7a51314e6a63344f5746695932526c5a6a41784d6a4d304e5459334f446c68596d4e6b5a5441",
            "orders",
            None,
            2,
            "0123456789abcdef0123456789abcde0",
        ),
        (
            "217371737c6d73677c646174617c62334a6b5a584a7a4c575273635100000000000000014d4759775a54426b4d474d77596a42684d446b774f4441334d4459774e5441304d444d774d6a41784d4441",
            "orders-dlq",
            None,
            1,
            "0f0e0d0c0b0a09080706050403020100",
        ),
    ] {
        let expected = (queue.as_bytes().to_vec(), partition, generation, id.as_bytes().to_vec());
        assert_eq!(message_of(&unhex(key)), expected);
    }
}

#[test]
fn keys_of_side_rows_are_those_of_the_vectors() {
    for (key, of, time, rest) in [
        (
            "217371737c6d73677c7669737c62334a6b5a584a7a00000000000000030000018bcfe665e84d4445794d7a51314e6a63344f5746695932526c5a6a41784d6a4d304e5459334f446c68596d4e6b5a5759",
            SideFamily::Vis,
            1_700_000_065_000,
            segment("0123456789abcdef0123456789abcdef"),
        ),
        (
            "217371737c6d73677c62796167657c62334a6b5a584a7a00000000000000030000018bcfe568004d4445794d7a51314e6a63344f5746695932526c5a6a41784d6a4d304e5459334f446c68596d4e6b5a5759",
            SideFamily::ByAge,
            1_700_000_000_000,
            segment("0123456789abcdef0123456789abcdef"),
        ),
        (
            "217371737c6d73677c64656475707c62334a6b5a584a7a4c6d5a705a6d3800000000000000015a433078",
            SideFamily::Dedup,
            0,
            segment("d-1"),
        ),
        (
            "217371737c6d73677c67726f75707c62334a6b5a584a7a4c6d5a705a6d3800000000000000015a7a77785067",
            SideFamily::Group,
            0,
            segment("g<1>"),
        ),
        (
            "217371737c6d73677c64656475707c707c614851755a6d6c6d62777c0000000200000000000000015933567a644739745a5849744e44497c62334a6b4c5463",
            SideFamily::Dedup,
            0,
            segment("customer-42") + "|" + &segment("ord-7"),
        ),
    ] {
        let key = unhex(key);
        let Ok(Record::Side { family, partition, time_ms, rest: found }) = decode(&key) else { panic!() };
        assert_eq!((family, time_ms, found), (of, time, rest.as_bytes()));
        // The key is its family, what the partition's keys share, the time if it is an index row, and the rest.
        let mut again = [family.prefix().as_bytes(), partition.prefix].concat();
        if time > 0 {
            again.extend_from_slice(&time_ms.to_be_bytes());
        }
        again.extend_from_slice(found);
        assert_eq!(again, key);
    }
}

#[test]
fn counters_and_tombstones_are_those_of_the_vectors() {
    let gen_row = unhex("217371737c71756575657c67656e7c62334a6b5a584a7a");
    assert_eq!(decode(&gen_row), Ok(Record::Generation { segment: segment("orders").as_bytes() }));
    let seq_row = unhex("217371737c71756575657c7365717c62334a6b5a584a7a4c6d5a705a6d38");
    assert_eq!(decode(&seq_row), Ok(Record::Sequence { segment: segment("orders.fifo").as_bytes() }));
    let meta = unhex("217371737c71756575657c6d6574617c62334a6b5a584a7a");
    assert_eq!(decode(&meta), Ok(Record::Queue { segment: segment("orders").as_bytes() }));
    let tombstone = unhex("217371737c71756575657c746f6d6273746f6e657c62334a6b5a584a7a0000000000000002");
    let expected = Record::Tombstone { segment: b"b3JkZXJz", generation: 2 };
    assert_eq!(decode(&tombstone), Ok(expected));
    assert_eq!(counter(b"3", "gen row"), Ok(3));
    assert_eq!(counter(b"42", "seq row"), Ok(42));
    assert_eq!(tombstone_partitions(b"\x01"), 1);
    assert_eq!(tombstone_partitions(&4u64.to_be_bytes()), 4);
}

#[test]
fn a_counter_is_a_decimal_number_with_white_space_around_it_at_most() {
    for (value, number) in [(" 7\n", 7), ("\u{a0}007", 7), ("18446744073709551615", u64::MAX)] {
        assert_eq!(counter(value.as_bytes(), "gen row"), Ok(number));
    }
    for value in [&b""[..], b"+7", b"-7", b"0x7", b"7 8", b"1e3", b"18446744073709551616", b"\xff"] {
        assert_eq!(counter(value, "gen row"), Err(Malformed::Counter("gen row")), "{value:?}");
    }
}

#[test]
fn a_tombstone_of_any_other_value_had_one_partition() {
    for value in [&b""[..], b"\x02", &0u64.to_be_bytes(), &33u64.to_be_bytes(), &(4u64 << 32).to_be_bytes()] {
        assert_eq!(tombstone_partitions(value), 1, "{value:?}");
    }
    assert_eq!(tombstone_partitions(&32u64.to_be_bytes()), 32);
}

#[test]
fn the_malformed_keys_of_the_vectors_are_refused_and_the_seq_row_among_them_is_not() {
    for (key, rule) in [
        ("217371737c6d73677c646174617c63510000000000000001", Malformed::KeyLayout("message")),
        ("217371737c6d73677c646174617c635100000001", Malformed::KeyLayout("message")),
        ("217371737c6d73677c646174617c635100000000000000016d2178", Malformed::MessageId),
        ("217371737c6d73677c646174617c6351000000000000000141", Malformed::MessageId),
        ("217371737c6d73677c646174617c00000000000000016251", Malformed::Queue("message")),
        ("217371737c6d73677c646174617c707c63510000000100000000000000016251", Malformed::KeyLayout("message")),
        ("217371737c6d73677c646174617c707c63517c00000001", Malformed::KeyLayout("message")),
        ("217371737c6d73677c7669737c63515151", Malformed::KeyLayout("vis row")),
    ] {
        assert_eq!(decode(&unhex(key)), Err(rule), "{key}");
    }
    let seq = unhex("217371737c71756575657c7365717c62334a6b5a584a7a4c6d5a705a6d38");
    assert!(matches!(decode(&seq), Ok(Record::Sequence { .. })));
}

#[test]
fn a_segment_that_an_encoder_would_not_write_is_refused_everywhere() {
    // Both are `q` to a lenient decoder.
    assert!(decode(b"!sqs|queue|meta|cQ").is_ok());
    let one = 1u64.to_be_bytes();
    for segment in ["cR", "c", "cQ==", "c+", "c/A", "cQ\n"] {
        assert_eq!(
            decode(format!("!sqs|queue|meta|{segment}").as_bytes()),
            Err(Malformed::Queue("queue meta"))
        );
        for (prefix, kind) in [("gen", "gen row"), ("seq", "seq row")] {
            let key = format!("!sqs|queue|{prefix}|{segment}");
            assert_eq!(decode(key.as_bytes()), Err(Malformed::Queue(kind)));
        }
        let tombstone = [format!("!sqs|queue|tombstone|{segment}").as_bytes(), &one].concat();
        assert_eq!(decode(&tombstone), Err(Malformed::Queue("tombstone")));
        let partitioned = [format!("!sqs|msg|group|p|{segment}|").as_bytes(), &[0; 4], &one, b"Zw"].concat();
        assert_eq!(decode(&partitioned), Err(Malformed::Queue("group row")));
    }
    let message = [b"!sqs|msg|data|cR".as_slice(), &one, b"bQ"].concat();
    assert_eq!(decode(&message), Err(Malformed::Queue("message")));
    let message = [b"!sqs|msg|data|cQ".as_slice(), &one, b"bR"].concat();
    assert_eq!(decode(&message), Err(Malformed::MessageId));
}

#[test]
fn only_a_meta_row_may_have_an_empty_name() {
    assert_eq!(decode(b"!sqs|queue|meta|"), Ok(Record::Queue { segment: b"" }));
    for key in [&b"!sqs|queue|gen|"[..], b"!sqs|queue|seq|", b"!sqs|queue|tombstone|\0\0\0\0\0\0\0\x01"] {
        assert!(decode(key).is_err());
    }
}

#[test]
fn fixed_width_fields_may_hold_a_bar() {
    let bars = u32::from_be_bytes(*b"||||");
    let home = Home::partition("q.fifo", bars, u64::from_be_bytes(*b"||||||||"));
    let expected = (b"q.fifo".to_vec(), Some(bars), home.generation, b"m".to_vec());
    assert_eq!(message_of(&home.data("m")), expected);
}

#[test]
fn what_follows_the_fixed_fields_of_a_side_row_is_not_looked_at() {
    let one = 1u64.to_be_bytes();
    for rest in [&b""[..], b"!!", b"\xff|"] {
        for family in ["group", "dedup"] {
            let key = [format!("!sqs|msg|{family}|cQ").as_bytes(), &one, rest].concat();
            assert!(matches!(decode(&key), Ok(Record::Side { rest: found, .. }) if found == rest));
        }
        let key = [b"!sqs|msg|vis|cQ".as_slice(), &one, &one, rest].concat();
        assert!(matches!(decode(&key), Ok(Record::Side { time_ms: 1, rest: found, .. }) if found == rest));
    }
}

#[test]
fn rows_of_no_known_family_and_routes_are_unknown() {
    for key in ["!sqs|", "!sqs|route|global", "!sqs|msg|", "!sqs|msg|dat|x", "!sqs|queue|", "!sqs|queue|x|y"]
    {
        assert_eq!(decode(key.as_bytes()), Ok(Record::Unknown), "{key}");
    }
}

proptest! {
    #[test]
    fn keys_decode_to_what_was_put_in(
        queue in "[a-zA-Z0-9_-]{1,20}( |\\.fifo)?",
        number in proptest::option::of(any::<u32>()),
        // Exact below 2^56 in classic keys, as the format says.
        generation in 0..1u64 << 56,
        time: u64,
        id in vec(any::<u8>(), 1..40),
    ) {
        let home = Home { queue: &queue, partition: number, generation };
        let (queue_text, id_text) = (segment(&queue), segment(&id));
        let expected = (queue.as_bytes().to_vec(), number, generation, id.clone());
        prop_assert_eq!(message_of(&home.data(&id)), expected);
        for (key, of) in [(home.vis(time, &id), SideFamily::Vis), (home.byage(time, &id), SideFamily::ByAge)] {
            let Ok(Record::Side { family, partition, time_ms, rest }) = decode(&key) else { panic!() };
            prop_assert_eq!((family, time_ms, rest), (of, time, id_text.as_bytes()));
            prop_assert_eq!((text_of(partition.segment), partition.number), (queue.clone().into_bytes(), number));
        }
        let key = tombstone_key(&queue, time);
        let expected = Record::Tombstone { segment: queue_text.as_bytes(), generation: time };
        prop_assert_eq!(decode(&key), Ok(expected));
        for key in [meta_key(&queue), generation_key(&queue), sequence_key(&queue)] {
            let Ok(
                Record::Queue { segment } | Record::Generation { segment } | Record::Sequence { segment },
            ) = decode(&key) else { panic!() };
            prop_assert_eq!(text_of(segment), queue.as_bytes());
        }
    }

    #[test]
    fn no_key_makes_the_decoder_panic(
        prefix in prop::sample::select(vec![
            "!sqs|msg|data|", "!sqs|msg|data|p|", "!sqs|msg|vis|", "!sqs|msg|vis|p|", "!sqs|msg|dedup|p|",
            "!sqs|msg|group|", "!sqs|msg|byage|p|cQ|", "!sqs|queue|meta|", "!sqs|queue|tombstone|", "!sqs|", "",
        ]),
        rest in vec(prop_oneof![Just(b'|'), Just(b'A'), Just(0u8), any::<u8>()], 0..40),
    ) {
        let key = [prefix.as_bytes(), &rest].concat();
        match decode(&key) {
            Ok(Record::Message { partition, message }) => {
                prop_assert!(!text_of(message).is_empty());
                prop_assert!(!text_of(partition.segment).is_empty());
                let again = [b"!sqs|msg|data|".as_slice(), partition.prefix, message].concat();
                prop_assert_eq!(again, key);
            }
            Ok(Record::Queue { segment }) => prop_assert_eq!(meta_key(text_of(segment)), key),
            _ => {}
        }
    }
}
