//! The files of a queue, to the byte: `_queue.json`, `_extra.json`, the lines of `messages.jsonl` and of
//! `side_records.jsonl` (`docs/format/sqs.md` sections 5.2 to 5.6). Pure functions. Order, names and files are left to
//! `export`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

use crate::dump::json::{Layout, Markup, push_document, push_string, push_value};

/// `_queue.json`; what is zero, false or empty is left out where the format says so.
#[derive(Debug, Default, Serialize)]
pub struct QueueFile<'a> {
    /// Always 1.
    pub format_version: u64,
    /// The queue's name.
    pub name: &'a str,
    /// Has it groups and sequence numbers?
    #[serde(skip_serializing_if = "is_false")]
    pub fifo: bool,
    /// Is a body its own deduplication id?
    #[serde(skip_serializing_if = "is_false")]
    pub content_based_deduplication: bool,
    /// Seconds.
    pub visibility_timeout_seconds: i64,
    /// Seconds.
    pub message_retention_seconds: i64,
    /// Seconds.
    pub delay_seconds: i64,
    /// Seconds.
    #[serde(skip_serializing_if = "is_zero")]
    pub receive_message_wait_seconds: i64,
    /// Bytes.
    #[serde(skip_serializing_if = "is_zero")]
    pub maximum_message_size: i64,
    /// JSON text, as the client sent it.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub redrive_policy: &'a str,
    /// JSON text, as the client sent it.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub redrive_allow_policy: &'a str,
    /// 0 and 1 mean classic keys.
    #[serde(skip_serializing_if = "is_zero")]
    pub partition_count: i64,
    /// `perMessageGroupId`, `perQueue` or nothing.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub fifo_throughput_limit: &'a str,
    /// `messageGroup`, `queue` or nothing.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub deduplication_scope: &'a str,
}

/// `_extra.json`: what `_queue.json` has no field for.
#[derive(Debug, Serialize)]
struct ExtraFile<'a> {
    format_version: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    throttle: Option<Members<'a>>,
}

/// Members in their order, with the texts of their values.
#[derive(Debug)]
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl Serialize for Members<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

fn is_false(flag: &bool) -> bool {
    !flag
}

fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// Appends `_queue.json`.
///
/// # Errors
/// None is known: every field has a form in JSON.
pub fn push_queue(queue: &QueueFile<'_>, out: &mut Vec<u8>) -> serde_json::Result<()> {
    push_document(queue, Layout::Indented(0), Markup::Escape, out)
}

/// Appends `_extra.json` from the tags and the throttle as `queue` gives them, each `None` if there is none.
///
/// # Errors
/// They are not such texts.
pub fn push_extra(tags: Option<&str>, throttle: Option<&str>, out: &mut Vec<u8>) -> serde_json::Result<()> {
    let tags = tags.map(serde_json::from_str).transpose()?;
    let throttle = match throttle {
        Some(text) => {
            let mut members = Vec::new();
            super::json_values::each_member(text, |name, value| {
                members.push((name.to_owned(), value));
                Ok(())
            })?;
            Some(Members(members))
        }
        None => None,
    };
    let file = ExtraFile { format_version: 1, tags, throttle };
    push_document(&file, Layout::Indented(0), Markup::Escape, out)
}

/// A line of `messages.jsonl` without its body. Absent fields are zero or empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Line<'a> {
    /// From the key; nodes only make ids that are text.
    pub message_id: &'a [u8],
    /// Lower-case hex.
    pub md5_of_body: &'a str,
    /// Lower-case hex.
    pub md5_of_message_attributes: &'a str,
    /// JSON object as `message` gives it.
    pub message_attributes: &'a str,
    /// Nodes of today never write it.
    pub sender_id: &'a str,
    /// Unix ms.
    pub send_timestamp_millis: i64,
    /// Unix ms.
    pub available_at_millis: i64,
    /// What `--preserve-sqs-visibility` adds.
    pub visibility: Visibility<'a>,
    /// As stored.
    pub queue_generation: u64,
    /// FIFO: the group.
    pub message_group_id: &'a str,
    /// FIFO: the deduplication id that the client supplied.
    pub message_deduplication_id: &'a str,
    /// FIFO: its number in the queue, 0 for none.
    pub sequence_number: u64,
    /// Of a message that was moved to a dead-letter queue.
    pub dead_letter_source_arn: &'a str,
    /// From the key; `None` in classic keys.
    pub partition: Option<u32>,
}

/// How a message stands in its queue; all zero or empty if that is not preserved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Visibility<'a> {
    /// Unix ms.
    pub visible_at_millis: i64,
    /// How often it was received.
    pub receive_count: i64,
    /// Unix ms, 0 if it never was.
    pub first_receive_millis: i64,
    /// What the next receipt handle ends with.
    pub current_receipt_token: &'a [u8],
}

impl Line<'_> {
    /// Appends the line up to its body.
    pub fn push_head(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"message_id\":");
        push_string(&crate::family::go_json::text(self.message_id), Markup::Keep, out);
        out.extend_from_slice(b",\"body\":");
    }

    /// Appends a body that is in memory.
    pub fn push_body(body: &[u8], out: &mut Vec<u8>) {
        push_value(body, Layout::Compact, Markup::Escape, out);
    }

    /// Appends the line from its body on, the line end included.
    pub fn push_tail(&self, out: &mut Vec<u8>) {
        push_text("md5_of_body", self.md5_of_body, out);
        push_text("md5_of_message_attributes", self.md5_of_message_attributes, out);
        if !self.message_attributes.is_empty() {
            push_name("message_attributes", out);
            out.extend_from_slice(self.message_attributes.as_bytes());
        }
        push_text("sender_id", self.sender_id, out);
        push_number("send_timestamp_millis", self.send_timestamp_millis, out);
        push_number("available_at_millis", self.available_at_millis, out);
        push_number("visible_at_millis", self.visibility.visible_at_millis, out);
        push_number("receive_count", self.visibility.receive_count, out);
        if self.visibility.first_receive_millis != 0 {
            push_number("first_receive_millis", self.visibility.first_receive_millis, out);
        }
        push_text("current_receipt_token", &STANDARD.encode(self.visibility.current_receipt_token), out);
        push_number("queue_generation", self.queue_generation, out);
        push_text("message_group_id", self.message_group_id, out);
        push_text("message_deduplication_id", self.message_deduplication_id, out);
        if self.sequence_number != 0 {
            push_number("sequence_number", self.sequence_number, out);
        }
        push_text("dead_letter_source_arn", self.dead_letter_source_arn, out);
        if let Some(partition) = self.partition {
            push_number("partition", partition, out);
        }
        out.extend_from_slice(b"}\n");
    }
}

fn push_name(name: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

fn push_text(name: &str, text: &str, out: &mut Vec<u8>) {
    if !text.is_empty() {
        push_name(name, out);
        push_string(text, Markup::Keep, out);
    }
}

fn push_number(name: &str, number: impl itoa::Integer, out: &mut Vec<u8>) {
    push_name(name, out);
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Appends the beginning of a line of `side_records.jsonl`: up to the hex digits of the key, which follow, then
/// [`SIDE_VALUE`], the base64url text of the value, and [`SIDE_END`].
pub fn push_side_head(prefix: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"prefix\":\"");
    out.extend_from_slice(prefix.as_bytes());
    out.extend_from_slice(b"\",\"key_hex\":\"");
}

/// Stands between key and value of a side record.
pub const SIDE_VALUE: &[u8] = b"\",\"value_b64\":\"";

/// Ends the line of a side record.
pub const SIDE_END: &[u8] = b"\"}\n";

#[cfg(test)]
mod tests;
