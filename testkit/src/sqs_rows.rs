//! Keys and values of every SQS row kind.
//!
//! Owns: `docs/format/sqs.md` sections 1 and 2: base64url segments, keys of both keyspaces, magics. The JSON inside
//! values is the caller's, word for word, since what a node makes of odd JSON is what some tests are about; [`meta`]
//! and [`message`] are the plain kind. All times are Unix milliseconds.
//!
//! Leaves: what a set of rows means to section 3 and the code under test.

/// Text of `bytes` in base64 with these last two digits; `pad` says whether it is filled up.
fn base64(bytes: &[u8], last: [u8; 2], pad: bool) -> String {
    let digit = |value: u8| match value {
        0..26 => (b'A' + value) as char,
        26..52 => (b'a' + value - 26) as char,
        52..62 => (b'0' + value - 52) as char,
        other => last[usize::from(other - 62)] as char,
    };
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let [a, b, c] = [0, 1, 2].map(|at| group.get(at).copied().unwrap_or(0));
        let digits = [a >> 2, (a & 3) << 4 | b >> 4, (b & 15) << 2 | c >> 6, c & 63];
        text.extend(digits.into_iter().take(group.len() + 1).map(digit));
        text.extend(pad.then_some('=').into_iter().cycle().take(3 - group.len()));
    }
    text
}

/// base64url without padding: a name or id in a key.
pub fn segment(bytes: impl AsRef<[u8]>) -> String {
    base64(bytes.as_ref(), *b"-_", false)
}

/// Standard base64 with padding: bytes in JSON.
pub fn padded(bytes: impl AsRef<[u8]>) -> String {
    base64(bytes.as_ref(), *b"+/", true)
}

/// Key of a queue's meta row.
pub fn meta_key(queue: impl AsRef<[u8]>) -> Vec<u8> {
    format!("!sqs|queue|meta|{}", segment(queue)).into_bytes()
}

/// Key of a queue's generation row.
pub fn generation_key(queue: impl AsRef<[u8]>) -> Vec<u8> {
    format!("!sqs|queue|gen|{}", segment(queue)).into_bytes()
}

/// Key of a queue's sequence row.
pub fn sequence_key(queue: impl AsRef<[u8]>) -> Vec<u8> {
    format!("!sqs|queue|seq|{}", segment(queue)).into_bytes()
}

/// Key of the tombstone of one generation of a queue.
pub fn tombstone_key(queue: impl AsRef<[u8]>, generation: u64) -> Vec<u8> {
    let prefix = format!("!sqs|queue|tombstone|{}", segment(queue));
    [prefix.as_bytes(), &generation.to_be_bytes()].concat()
}

/// One generation of a queue, or one partition of it: where messages and their side rows are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Home<'a> {
    /// The queue's name.
    pub queue: &'a str,
    /// The partition; `None` makes classic keys.
    pub partition: Option<u32>,
    /// The generation.
    pub generation: u64,
}

impl<'a> Home<'a> {
    /// A generation under classic keys.
    pub fn classic(queue: &'a str, generation: u64) -> Self {
        Self { queue, partition: None, generation }
    }

    /// A partition of a generation.
    pub fn partition(queue: &'a str, partition: u32, generation: u64) -> Self {
        Self { queue, partition: Some(partition), generation }
    }

    fn key(&self, family: &str, rest: &[&[u8]]) -> Vec<u8> {
        let mut key = format!("!sqs|msg|{family}|").into_bytes();
        if let Some(partition) = self.partition {
            key.extend_from_slice(format!("p|{}|", segment(self.queue)).as_bytes());
            key.extend_from_slice(&partition.to_be_bytes());
        } else {
            key.extend_from_slice(segment(self.queue).as_bytes());
        }
        key.extend_from_slice(&self.generation.to_be_bytes());
        key.extend_from_slice(&rest.concat());
        key
    }

    /// Key of a message.
    pub fn data(&self, message_id: impl AsRef<[u8]>) -> Vec<u8> {
        self.key("data", &[segment(message_id).as_bytes()])
    }

    /// Key of the index row by visible time.
    pub fn vis(&self, visible_ms: u64, message_id: impl AsRef<[u8]>) -> Vec<u8> {
        self.key("vis", &[&visible_ms.to_be_bytes(), segment(message_id).as_bytes()])
    }

    /// Key of the index row by send time.
    pub fn byage(&self, send_ms: u64, message_id: impl AsRef<[u8]>) -> Vec<u8> {
        self.key("byage", &[&send_ms.to_be_bytes(), segment(message_id).as_bytes()])
    }

    /// Key of a deduplication window; the group only counts in partitions.
    pub fn dedup(&self, group: impl AsRef<[u8]>, deduplication_id: impl AsRef<[u8]>) -> Vec<u8> {
        let group = if self.partition.is_some() { segment(group) + "|" } else { String::new() };
        self.key("dedup", &[group.as_bytes(), segment(deduplication_id).as_bytes()])
    }

    /// Key of a group's lock.
    pub fn group(&self, group: impl AsRef<[u8]>) -> Vec<u8> {
        self.key("group", &[segment(group).as_bytes()])
    }

    /// A whole data row: a plain message without attributes, sent and visible at `send_ms`. `more` is further
    /// members, each with a comma before it.
    pub fn message(
        &self,
        message_id: &str,
        body: impl AsRef<[u8]>,
        send_ms: u64,
        more: &str,
    ) -> (Vec<u8>, Vec<u8>) {
        let json = format!(
            "{{\"message_id\":\"{message_id}\",\"body\":\"{}\",\"send_timestamp_millis\":{send_ms},\
             \"available_at_millis\":{send_ms},\"visible_at_millis\":{send_ms},\"receive_count\":0,\
             \"queue_generation\":{}{more}}}",
            padded(body),
            self.generation
        );
        (self.data(message_id), message(&json))
    }
}

/// A whole meta row of a queue that keeps messages for four days. `more` is further members, each with a comma
/// before it.
pub fn queue(name: &str, generation: u64, more: &str) -> (Vec<u8>, Vec<u8>) {
    let json = format!(
        "{{\"name\":\"{name}\",\"generation\":{generation},\"visibility_timeout_seconds\":30,\
         \"message_retention_seconds\":345600,\"delay_seconds\":0,\"receive_message_wait_seconds\":0,\
         \"maximum_message_size\":262144{more}}}"
    );
    (meta_key(name), meta(&json))
}

/// The value of a meta row.
pub fn meta(json: &str) -> Vec<u8> {
    [b"\0SQ\x01", json.as_bytes()].concat()
}

/// The value of a data row.
pub fn message(json: &str) -> Vec<u8> {
    [b"\0SM\x01", json.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_of_the_vectors() {
        fn hex(bytes: &[u8]) -> String {
            bytes.iter().map(|byte| format!("{byte:02x}")).collect()
        }
        let orders = Home::classic("orders", 3);
        let ht = Home::partition("ht.fifo", 2, 1);
        for (key, vector) in [
            (meta_key("orders"), "217371737c71756575657c6d6574617c62334a6b5a584a7a"),
            (generation_key("orders"), "217371737c71756575657c67656e7c62334a6b5a584a7a"),
            (sequence_key("orders.fifo"), "217371737c71756575657c7365717c62334a6b5a584a7a4c6d5a705a6d38"),
            (
                tombstone_key("orders", 2),
                "217371737c71756575657c746f6d6273746f6e657c62334a6b5a584a7a0000000000000002",
            ),
            (
                orders.data("0123456789abcdef0123456789abcdef"),
                "217371737c6d73677c646174617c62334a6b5a584a7a00000000000000034d4445794d7a51314e6a63344f5746695932526c5a6a41784d6a4d304e5459334f446c68596d4e6b5a5759",
            ),
            (
                orders.vis(1_700_000_065_000, "0123456789abcdef0123456789abcdef"),
                "217371737c6d73677c7669737c62334a6b5a584a7a00000000000000030000018bcfe665e84d4445794d7a51314e6a63344f5746695932526c5a6a41784d6a4d304e5459334f446c68596d4e6b5a5759",
            ),
            (
                Home::classic("orders.fifo", 1).dedup("g<1>", "d-1"),
                "217371737c6d73677c64656475707c62334a6b5a584a7a4c6d5a705a6d3800000000000000015a433078",
            ),
            (
                ht.dedup("customer-42", "ord-7"),
                "217371737c6d73677c64656475707c707c614851755a6d6c6d62777c0000000200000000000000015933567a644739745a5849744e44497c62334a6b4c5463",
            ),
            (
                ht.group("customer-42"),
                "217371737c6d73677c67726f75707c707c614851755a6d6c6d62777c0000000200000000000000015933567a644739745a5849744e4449",
            ),
        ] {
            assert_eq!(hex(&key), vector);
        }
    }

    #[test]
    fn bytes_in_json_are_padded() {
        assert_eq!([&b"a"[..], b"ab", b"abc", b"\xfb\xff"].map(padded), ["YQ==", "YWI=", "YWJj", "+/8="]);
        assert_eq!(segment(b"\xfb\xff"), "-_8");
    }
}
