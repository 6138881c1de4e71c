//! Messages: from the value of a data row to a typed record (`docs/format/sqs.md` section 2.2). Pure functions over
//! a value in memory; `giant` does the same for values that are too long for it. What the key says is left to `rows`,
//! what becomes of a message in the dump to `document`.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::json_values::{self, Expected};
use crate::dump::json::{Markup, push_string};
use crate::family::go_json;

/// What the value of a data row begins with.
pub const MAGIC: &[u8] = b"\0SM\x01";

/// The names of its fields.
pub const FIELDS: [&str; 17] = [
    "message_id",
    "body",
    "md5_of_body",
    "md5_of_message_attributes",
    "message_attributes",
    "sender_id",
    "send_timestamp_millis",
    "available_at_millis",
    "visible_at_millis",
    "receive_count",
    "first_receive_millis",
    "current_receipt_token",
    "queue_generation",
    "message_group_id",
    "message_deduplication_id",
    "sequence_number",
    "dead_letter_source_arn",
];

/// A message. Absent fields are zero or empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message<'a> {
    /// Equals the id in the key, unless somebody went wrong.
    pub message_id: Cow<'a, str>,
    /// As the client sent it.
    pub body: Body,
    /// Lower-case hex.
    pub md5_of_body: Cow<'a, str>,
    /// Lower-case hex.
    pub md5_of_message_attributes: Cow<'a, str>,
    /// JSON object as in the dump: names by their bytes, values as stored, no white space; empty without attributes.
    pub message_attributes: Vec<u8>,
    /// Nodes of today never write it.
    pub sender_id: Cow<'a, str>,
    /// Unix ms.
    pub send_timestamp_millis: i64,
    /// Unix ms.
    pub available_at_millis: i64,
    /// Unix ms.
    pub visible_at_millis: i64,
    /// How often it was received.
    pub receive_count: i64,
    /// Unix ms, 0 if it never was.
    pub first_receive_millis: i64,
    /// What the next receipt handle ends with.
    pub current_receipt_token: Vec<u8>,
    /// Equals the generation in the key, unless somebody went wrong.
    pub queue_generation: u64,
    /// FIFO: the group.
    pub message_group_id: Cow<'a, str>,
    /// FIFO: the deduplication id that the client supplied.
    pub message_deduplication_id: Cow<'a, str>,
    /// FIFO: its number in the queue, 0 for none.
    pub sequence_number: u64,
    /// Of a message that was moved to a dead-letter queue.
    pub dead_letter_source_arn: Cow<'a, str>,
}

/// The body of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Body {
    /// Its bytes; empty if it is too long for memory.
    pub bytes: Vec<u8>,
    /// Where its base64 text stands in the value, if it stands there without escapes: first byte and length.
    pub text: Option<(u64, u64)>,
}

/// Why a data row's value is none.
#[derive(Debug, thiserror::Error)]
pub enum Malformed {
    /// It begins otherwise.
    #[error("the value does not begin with the magic of a message")]
    Magic,
    /// Its JSON is none, or a field is of the wrong type.
    #[error("the JSON of the message cannot be read: {0}")]
    Json(serde_json::Error),
    /// A body that is too long for memory, and not as nodes write it.
    #[error(
        "the JSON of the message cannot be read: body is not base64 with padding, written without escapes"
    )]
    GiantBody,
}

/// Takes the value of a data row apart; `use_message` gets what is in it.
///
/// # Errors
/// The rule that it breaks.
pub fn decode<T>(value: &[u8], use_message: impl FnOnce(&Message<'_>) -> T) -> Result<T, Malformed> {
    let json = value.strip_prefix(MAGIC).ok_or(Malformed::Magic)?;
    let document = go_json::text(json);
    let is_stored = matches!(document, Cow::Borrowed(_));
    let mut message = Message::default();
    json_values::each_field(&document, |name, field| {
        if name == "body" {
            message.body.bytes = json_values::bytes(field)?;
            let text = json_values::unescaped(field).filter(|_| is_stored);
            message.body.text = text.map(|text| {
                let start = text.as_ptr().addr() - document.as_ptr().addr() + MAGIC.len();
                (start as u64, text.len() as u64)
            });
            return Ok(());
        }
        take(&mut message, name, field)
    })
    .map_err(Malformed::Json)?;
    Ok(use_message(&message))
}

/// Takes one field in, whatever it is but the body.
///
/// # Errors
/// What it should have been.
pub fn take<'a>(message: &mut Message<'a>, name: &str, field: &'a RawValue) -> Result<(), Expected> {
    match name {
        "message_id" => message.message_id = json_values::string(field)?,
        "md5_of_body" => message.md5_of_body = json_values::string(field)?,
        "md5_of_message_attributes" => message.md5_of_message_attributes = json_values::string(field)?,
        "message_attributes" => message.message_attributes = attributes(field)?,
        "sender_id" => message.sender_id = json_values::string(field)?,
        "send_timestamp_millis" => message.send_timestamp_millis = json_values::integer(field)?,
        "available_at_millis" => message.available_at_millis = json_values::integer(field)?,
        "visible_at_millis" => message.visible_at_millis = json_values::integer(field)?,
        "receive_count" => message.receive_count = json_values::integer(field)?,
        "first_receive_millis" => message.first_receive_millis = json_values::integer(field)?,
        "current_receipt_token" => message.current_receipt_token = json_values::bytes(field)?,
        "queue_generation" => message.queue_generation = json_values::integer(field)?,
        "message_group_id" => message.message_group_id = json_values::string(field)?,
        "message_deduplication_id" => message.message_deduplication_id = json_values::string(field)?,
        "sequence_number" => message.sequence_number = json_values::integer(field)?,
        "dead_letter_source_arn" => message.dead_letter_source_arn = json_values::string(field)?,
        _ => {}
    }
    Ok(())
}

/// Values keep the text in which they are stored.
fn attributes(field: &RawValue) -> Result<Vec<u8>, Expected> {
    let mut out = Vec::new();
    for (name, value) in json_values::object(field)? {
        out.push(if out.is_empty() { b'{' } else { b',' });
        push_string(&name, Markup::Keep, &mut out);
        out.push(b':');
        json_values::push_compact(value, &mut out);
    }
    if !out.is_empty() {
        out.push(b'}');
    }
    Ok(out)
}

#[cfg(test)]
mod tests;
