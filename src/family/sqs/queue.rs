//! Queues: from the value of a meta row to a typed record (`docs/format/sqs.md` section 2.1). Pure functions. What
//! becomes of a queue in the dump is left to `document`, whether it is to be believed to the stage.

use serde_json::Map;
use serde_json::value::RawValue;

use super::json_values::{self, Expected};
use crate::dump::json::{Markup, push_string};
use crate::family::go_json;

/// What the value of a meta row begins with.
pub const MAGIC: &[u8] = b"\0SQ\x01";

/// A queue's configuration. Absent fields are zero, false or empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Queue {
    /// Equals the name in the key, unless somebody went wrong.
    pub name: String,
    /// The current generation.
    pub generation: u64,
    /// The generation at CreateQueue.
    pub incarnation: u64,
    /// HLC.
    pub created_at_hlc: u64,
    /// Messages have groups and sequence numbers.
    pub is_fifo: bool,
    /// A message without deduplication id has that of its body.
    pub content_based_dedup: bool,
    /// Seconds.
    pub visibility_timeout_seconds: i64,
    /// Seconds; 0 and less: for ever.
    pub message_retention_seconds: i64,
    /// Seconds.
    pub delay_seconds: i64,
    /// Seconds.
    pub receive_message_wait_seconds: i64,
    /// Bytes.
    pub maximum_message_size: i64,
    /// JSON text, as the client sent it.
    pub redrive_policy: String,
    /// JSON text, as the client sent it.
    pub redrive_allow_policy: String,
    /// Compact JSON object of strings, by the bytes of their names; empty without tags.
    pub tags: Vec<u8>,
    /// Compact JSON object as stored; empty without a throttle.
    pub throttle: Vec<u8>,
    /// Unix ms.
    pub last_purged_at_millis: i64,
    /// Unix ms.
    pub created_at_millis: i64,
    /// Unix ms.
    pub last_modified_at_millis: i64,
    /// 0 and 1 mean classic keys.
    pub partition_count: u32,
    /// `perMessageGroupId`, `perQueue` or nothing.
    pub fifo_throughput_limit: String,
    /// `messageGroup`, `queue` or nothing.
    pub deduplication_scope: String,
}

/// Why a meta row's value is none.
#[derive(Debug, thiserror::Error)]
pub enum Malformed {
    /// It begins otherwise.
    #[error("the value does not begin with the magic of a queue meta")]
    Magic,
    /// Its JSON is none, or a field is of the wrong type.
    #[error("the JSON of the queue meta cannot be read: {0}")]
    Json(serde_json::Error),
}

/// Takes the value of a meta row apart.
///
/// # Errors
/// The rule that it breaks.
pub fn decode(value: &[u8]) -> Result<Queue, Malformed> {
    let document = go_json::text(value.strip_prefix(MAGIC).ok_or(Malformed::Magic)?);
    let mut queue = Queue::default();
    json_values::each_field(&document, |name, value| take(&mut queue, name, value))
        .map_err(Malformed::Json)?;
    Ok(queue)
}

fn take(queue: &mut Queue, name: &str, value: &RawValue) -> Result<(), Expected> {
    match name {
        "name" => queue.name = json_values::string(value)?.into_owned(),
        "generation" => queue.generation = json_values::integer(value)?,
        "incarnation" => queue.incarnation = json_values::integer(value)?,
        "created_at_hlc" => queue.created_at_hlc = json_values::integer(value)?,
        "is_fifo" => queue.is_fifo = json_values::boolean(value)?,
        "content_based_dedup" => queue.content_based_dedup = json_values::boolean(value)?,
        "visibility_timeout_seconds" => queue.visibility_timeout_seconds = json_values::integer(value)?,
        "message_retention_seconds" => queue.message_retention_seconds = json_values::integer(value)?,
        "delay_seconds" => queue.delay_seconds = json_values::integer(value)?,
        "receive_message_wait_seconds" => queue.receive_message_wait_seconds = json_values::integer(value)?,
        "maximum_message_size" => queue.maximum_message_size = json_values::integer(value)?,
        "redrive_policy" => queue.redrive_policy = json_values::string(value)?.into_owned(),
        "redrive_allow_policy" => queue.redrive_allow_policy = json_values::string(value)?.into_owned(),
        "tags" => queue.tags = tags(value)?,
        "throttle" => queue.throttle = throttle(value)?,
        "last_purged_at_millis" => queue.last_purged_at_millis = json_values::integer(value)?,
        "created_at_millis" => queue.created_at_millis = json_values::integer(value)?,
        "last_modified_at_millis" => queue.last_modified_at_millis = json_values::integer(value)?,
        "partition_count" => queue.partition_count = json_values::integer(value)?,
        "fifo_throughput_limit" => queue.fifo_throughput_limit = json_values::string(value)?.into_owned(),
        "deduplication_scope" => queue.deduplication_scope = json_values::string(value)?.into_owned(),
        _ => {}
    }
    Ok(())
}

fn tags(value: &RawValue) -> Result<Vec<u8>, Expected> {
    let mut out = Vec::new();
    for (name, value) in json_values::object(value)? {
        out.push(if out.is_empty() { b'{' } else { b',' });
        push_string(&name, Markup::Keep, &mut out);
        out.push(b':');
        push_string(&json_values::string(value)?, Markup::Keep, &mut out);
    }
    if !out.is_empty() {
        out.push(b'}');
    }
    Ok(out)
}

/// Members in the order in which they are stored, numbers as they are stored.
fn throttle(value: &RawValue) -> Result<Vec<u8>, Expected> {
    const RATES: [&str; 6] = [
        "send_capacity",
        "send_refill_per_second",
        "recv_capacity",
        "recv_refill_per_second",
        "default_capacity",
        "default_refill_per_second",
    ];
    // Values are their texts.
    let mut members = Map::new();
    let taken = json_values::each_member(value.get(), |name, value| {
        let is_number = value.get().starts_with(|first: char| first == '-' || first.is_ascii_digit());
        if value.get() == "null" {
            members.shift_remove(name);
            return Ok(());
        }
        if !is_number && RATES.iter().any(|rate| name.eq_ignore_ascii_case(rate)) {
            return Err("a number");
        }
        let mut text = Vec::new();
        json_values::push_compact(value, &mut text);
        members.insert(name.to_owned(), String::from_utf8_lossy(&text).into());
        Ok(())
    });
    taken.map_err(|_| "an object of numbers")?;
    let mut out = Vec::new();
    for (name, text) in &members {
        out.push(if out.is_empty() { b'{' } else { b',' });
        push_string(name, Markup::Keep, &mut out);
        out.push(b':');
        out.extend_from_slice(text.as_str().unwrap_or_default().as_bytes());
    }
    if !out.is_empty() {
        out.push(b'}');
    }
    Ok(out)
}

#[cfg(test)]
mod tests;
