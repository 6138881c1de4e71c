//! The files of a dump the obvious way, from `docs/format/dump.md` sections 2 and 3: strings put together in
//! memory, sharing no code with the exporter.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// A binary-safe value in an indented file; `indent` is that of the line it stands in.
pub fn value(bytes: &[u8], indent: &str) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => string(text),
        Err(_) => format!("{{\n{indent}  \"base64\": \"{}\"\n{indent}}}", URL_SAFE_NO_PAD.encode(bytes)),
    }
}

/// A binary-safe value in a line.
pub fn compact(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => string(text),
        Err(_) => format!("{{\"base64\":\"{}\"}}", URL_SAFE_NO_PAD.encode(bytes)),
    }
}

fn string(text: &str) -> String {
    let mut out = "\"".to_owned();
    for char in text.chars() {
        match char {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0'..='\u{1f}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                write!(out, "\\u{:04x}", u32::from(char)).unwrap();
            }
            other => out.push(other),
        }
    }
    out + "\""
}

fn document(list: &str, elements: &[String], expire_at_ms: Option<i64>) -> String {
    let expiry = expire_at_ms.map_or("null".to_owned(), |ms| ms.to_string());
    let elements = if elements.is_empty() {
        "[]".to_owned()
    } else {
        format!("[\n    {}\n  ]", elements.join(",\n    "))
    };
    format!("{{\n  \"format_version\": 1,\n  \"{list}\": {elements},\n  \"expire_at_ms\": {expiry}\n}}")
}

fn pair(first: &str, first_value: &str, second: &str, second_value: &str) -> String {
    format!("{{\n      \"{first}\": {first_value},\n      \"{second}\": {second_value}\n    }}")
}

/// A hash; fields in the order given.
pub fn hash<N: AsRef<[u8]>, V: AsRef<[u8]>>(fields: &[(N, V)], expire_at_ms: Option<i64>) -> String {
    let fields: Vec<_> = fields
        .iter()
        .map(|(name, content)| {
            pair("name", &value(name.as_ref(), "      "), "value", &value(content.as_ref(), "      "))
        })
        .collect();
    document("fields", &fields, expire_at_ms)
}

/// A list.
pub fn list<V: AsRef<[u8]>>(items: &[V], expire_at_ms: Option<i64>) -> String {
    let items: Vec<_> = items.iter().map(|item| value(item.as_ref(), "    ")).collect();
    document("items", &items, expire_at_ms)
}

/// A set; members in the order given.
pub fn set<V: AsRef<[u8]>>(members: &[V], expire_at_ms: Option<i64>) -> String {
    let members: Vec<_> = members.iter().map(|member| value(member.as_ref(), "    ")).collect();
    document("members", &members, expire_at_ms)
}

/// A sorted set; members in the order given, scores as JSON.
pub fn zset<V: AsRef<[u8]>>(members: &[(V, &str)], expire_at_ms: Option<i64>) -> String {
    let members: Vec<_> = members
        .iter()
        .map(|(member, score)| pair("member", &value(member.as_ref(), "      "), "score", score))
        .collect();
    document("members", &members, expire_at_ms)
}

/// One line of a stream; fields are name, value, name, value …
pub fn entry<V: AsRef<[u8]>>(id: &str, fields: &[V]) -> String {
    let fields: Vec<_> = fields
        .chunks(2)
        .map(|field| {
            format!("{{\"name\":{},\"value\":{}}}", compact(field[0].as_ref()), compact(field[1].as_ref()))
        })
        .collect();
    format!("{{\"id\":\"{id}\",\"fields\":[{}]}}\n", fields.join(","))
}

/// The last line of a stream.
pub fn stream_meta(length: u64, last: (u64, u64), expire_at_ms: Option<i64>) -> String {
    let expiry = expire_at_ms.map_or("null".to_owned(), |ms| ms.to_string());
    let (ms, seq) = last;
    format!(
        "{{\"_meta\":true,\"length\":{length},\"last_ms\":{ms},\"last_seq\":{seq},\"expire_at_ms\":{expiry}}}\n"
    )
}
