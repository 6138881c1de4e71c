//! Functions that plain SQLite lacks: bytes to readable text and back, timestamps to times, keys to file names, Redis'
//! patterns. NULL gives NULL; an argument that cannot be meant is an error. The rules are those of the rooms that own
//! them; this module only makes them callable.

use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::{FromSql, Type, Value, ValueRef};
use rusqlite::{Connection, Error};

use crate::dump::name::{key_of_name, push_file_name};
use crate::family::redis::glob;
use crate::snapshot::{Escaped, Hlc, unescape};
use crate::staging::U64;

/// A function of SQL.
pub struct Function {
    /// Its name.
    pub name: &'static str,
    /// Its arguments by name, in their order.
    pub arguments: &'static [&'static str],
    /// What it gives.
    pub meaning: &'static str,
    call: fn(&Arguments<'_>) -> Result<Option<Value>, ArgumentError>,
}

/// All of them.
pub const FUNCTIONS: &[Function] = &[
    Function {
        name: "readable",
        arguments: &["bytes"],
        meaning: "bytes as text, as messages show keys: UTF-8 as it is, other bytes and controls as escapes",
        call: |arguments| Ok(arguments.bytes(0)?.map(|bytes| Escaped(bytes).to_string().into())),
    },
    Function {
        name: "unreadable",
        arguments: &["text"],
        meaning: "the bytes that readable() shows so, as a blob",
        call: |arguments| {
            let Some(text) = arguments.text(0)? else { return Ok(None) };
            Ok(Some(unescape(text).map_err(|error| arguments.wrong(error.to_string()))?.into()))
        },
    },
    Function {
        name: "hlc_time",
        arguments: &["hlc"],
        meaning: "wall-clock part of an HLC timestamp as RFC 3339 text in UTC; NULL beyond the year 9999",
        call: |arguments| Ok(arguments.hlc(0)?.and_then(Hlc::to_rfc3339).map(Value::Text)),
    },
    Function {
        name: "hlc_ms",
        arguments: &["hlc"],
        meaning: "wall-clock part of an HLC timestamp in Unix milliseconds",
        // 48 bits.
        call: |arguments| Ok(arguments.hlc(0)?.map(|hlc| Value::Integer(hlc.unix_ms().cast_signed()))),
    },
    Function {
        name: "hlc_of",
        arguments: &["time"],
        meaning: "the last HLC timestamp in the millisecond of an RFC 3339 time, as --as-of takes it",
        call: |arguments| {
            let Some(text) = arguments.text(0)? else { return Ok(None) };
            let hlc: Hlc = text.parse().map_err(|error| arguments.wrong(format!("{error}")))?;
            Ok(Some(U64(hlc.0).into()))
        },
    },
    Function {
        name: "encode_name",
        arguments: &["key"],
        meaning: "file name of a key in the dump, without its extension",
        call: |arguments| {
            Ok(arguments.bytes(0)?.map(|key| {
                let mut name = Vec::new();
                // Both kinds are names.
                let _ = push_file_name(key, &mut name);
                String::from_utf8_lossy(&name).into_owned().into()
            }))
        },
    },
    Function {
        name: "decode_name",
        arguments: &["name"],
        meaning: "key that a file name without its extension stands for, as a blob; NULL for one with a hash, whose \
                  key stands in KEYMAP.jsonl",
        call: |arguments| {
            let Some(name) = arguments.text(0)? else { return Ok(None) };
            Ok(key_of_name(name).map_err(|error| arguments.wrong(error.to_string()))?.map(Value::Blob))
        },
    },
    Function {
        name: "redis_glob",
        arguments: &["pattern", "key"],
        meaning: "1 if the key matches a pattern of Redis' KEYS, else 0: * ? [a-c] [^x] and \\ before what is meant \
                  as it is",
        call: |arguments| {
            let (Some(pattern), Some(key)) = (arguments.bytes(0)?, arguments.bytes(1)?) else {
                return Ok(None);
            };
            Ok(Some(glob::matches(pattern, key).into()))
        },
    },
];

/// An argument that cannot be meant.
#[derive(Debug, thiserror::Error)]
#[error("{function}({arguments}): {why}")]
struct ArgumentError {
    function: &'static str,
    arguments: String,
    why: String,
}

/// The arguments of one call.
struct Arguments<'c> {
    function: &'static Function,
    context: &'c Context<'c>,
}

impl Arguments<'_> {
    /// A blob, or the bytes of a text.
    fn bytes(&self, at: usize) -> Result<Option<&[u8]>, ArgumentError> {
        match self.context.get_raw(at) {
            ValueRef::Null => Ok(None),
            ValueRef::Blob(bytes) | ValueRef::Text(bytes) => Ok(Some(bytes)),
            other => Err(self.unexpected(at, "a blob or a text", other.data_type())),
        }
    }

    /// Text, or a blob that is one: names and keys are blobs in many tables.
    fn text(&self, at: usize) -> Result<Option<&str>, ArgumentError> {
        match self.context.get_raw(at) {
            ValueRef::Null => Ok(None),
            ValueRef::Blob(bytes) | ValueRef::Text(bytes) => match str::from_utf8(bytes) {
                Ok(text) => Ok(Some(text)),
                Err(_) => Err(self.wrong(format!("{} is not UTF-8", self.name(at)))),
            },
            other => Err(self.unexpected(at, "a text", other.data_type())),
        }
    }

    /// As columns hold it: an integer, or digits above 2^63.
    fn hlc(&self, at: usize) -> Result<Option<Hlc>, ArgumentError> {
        match self.context.get_raw(at) {
            ValueRef::Null => Ok(None),
            value @ (ValueRef::Integer(_) | ValueRef::Text(_)) => match U64::column_result(value) {
                Ok(U64(number)) => Ok(Some(Hlc(number))),
                Err(_) => Err(self.wrong(format!("{} must be a number from 0 to 2^64 - 1", self.name(at)))),
            },
            other => Err(self.unexpected(at, "an HLC timestamp", other.data_type())),
        }
    }

    fn name(&self, at: usize) -> &'static str {
        self.function.arguments.get(at).copied().unwrap_or_default()
    }

    fn unexpected(&self, at: usize, wanted: &str, got: Type) -> ArgumentError {
        let got = match got {
            Type::Integer => "an integer",
            Type::Real => "a real number",
            Type::Blob => "a blob",
            Type::Text => "a text",
            Type::Null => "NULL",
        };
        self.wrong(format!("{} must be {wanted}, not {got}", self.name(at)))
    }

    fn wrong(&self, why: String) -> ArgumentError {
        ArgumentError { function: self.function.name, arguments: self.function.arguments.join(", "), why }
    }
}

/// Makes all of them callable.
pub(super) fn register(connection: &Connection) -> rusqlite::Result<()> {
    let flags =
        FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    for function in FUNCTIONS {
        // No function has more arguments than fit.
        let arguments = i32::try_from(function.arguments.len()).unwrap_or(i32::MAX);
        connection.create_scalar_function(function.name, arguments, flags, move |context| {
            (function.call)(&Arguments { function, context })
                .map_err(|error| Error::UserFunctionError(error.into()))
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn database() -> Connection {
        let db = Connection::open_in_memory().unwrap();
        register(&db).unwrap();
        db
    }

    fn value(sql: &str) -> Value {
        database().query_row(&format!("SELECT {sql}"), [], |row| row.get(0)).unwrap()
    }

    fn assert_true(sql: &str) {
        assert_eq!(value(sql), Value::Integer(1), "{sql}");
    }

    fn error(sql: &str) -> String {
        let error =
            database().query_row(&format!("SELECT {sql}"), [], |row| row.get::<_, Value>(0)).unwrap_err();
        error.to_string()
    }

    #[test]
    fn bytes_become_readable_text_and_bytes_again() {
        assert_true(r"readable(x'00ff0a6bc3b6') = '\0\xff\nkö'");
        assert_true(r"unreadable('\0\xff\nkö') = x'00ff0a6bc3b6'");
        assert_true("readable('text') = 'text' AND typeof(unreadable('text')) = 'blob'");
        assert_true("length(readable(zeroblob(1000))) = 2000");
    }

    #[test]
    fn timestamps_become_times_and_timestamps_again() {
        assert_true("hlc_time(117654191454945358) = '2026-11-21T11:28:09.730Z'");
        assert_true("hlc_ms(117654191454945358) = 1795260489730");
        assert_true("hlc_of('2026-11-21T11:28:09.730Z') = (1795260489730 << 16) + 65535");
        assert_true("hlc_of('2026-11-21T12:28:09.73+01:00') = hlc_of('2026-11-21T11:28:09.730Z')");
        assert_true("hlc_of(hlc_time(117654191454945358)) = 117654191454945358 | 65535");
    }

    #[test]
    fn timestamps_above_two_to_the_63_are_text_as_in_columns() {
        assert_true("hlc_ms('18446744073709551615') = 281474976710655");
        assert_true("hlc_time('09223372036854775808') = '6429-10-17T02:45:55.328Z'");
        assert_true("hlc_of('9000-01-01T00:00:00Z') = '14538859610112065535'");
        assert_true("hlc_time('18446744073709551615') IS NULL");
    }

    #[test]
    fn keys_become_file_names_and_keys_again() {
        assert_true("encode_name('user:1/~') = 'user%3A1%2F%7E'");
        assert_true("decode_name('user%3A1%2F%7E') = CAST('user:1/~' AS BLOB)");
        assert_true("decode_name('b64.AAEC_w') = x'000102ff'");
        assert_true("decode_name(encode_name(zeroblob(300))) IS NULL");
    }

    #[test]
    fn redis_patterns_match_blobs_and_texts() {
        assert_true("redis_glob('user:[0-9]*', CAST('user:42' AS BLOB))");
        assert_true("NOT redis_glob('user:?', 'user:42')");
        assert_true("redis_glob(x'ff2a', x'ff00')");
    }

    #[test]
    fn null_gives_null() {
        for function in FUNCTIONS {
            for null in 0..function.arguments.len() {
                let arguments: Vec<_> =
                    (0..function.arguments.len()).map(|at| if at == null { "NULL" } else { "'a'" }).collect();
                assert_true(&format!("{}({}) IS NULL", function.name, arguments.join(", ")));
            }
        }
    }

    #[test]
    fn what_cannot_be_meant_is_an_error_that_names_function_and_argument() {
        for (sql, says) in [
            ("readable(1)", "readable(bytes): bytes must be a blob or a text, not an integer"),
            (r"unreadable('a\q')", "unreadable(text): the escape at byte 1 is none of"),
            ("unreadable(x'ff')", "unreadable(text): text is not UTF-8"),
            ("hlc_time(-1)", "hlc_time(hlc): hlc must be a number from 0 to 2^64 - 1"),
            ("hlc_time('yesterday')", "hlc_time(hlc): hlc must be a number"),
            ("hlc_ms(1.5)", "hlc_ms(hlc): hlc must be an HLC timestamp, not a real number"),
            ("hlc_of('yesterday')", "hlc_of(time): \"yesterday\" is neither an HLC timestamp"),
            ("decode_name('a/b')", "decode_name(name): \"a/b\" is no name that a key gets"),
            (
                "redis_glob('*', 2.5)",
                "redis_glob(pattern, key): key must be a blob or a text, not a real number",
            ),
        ] {
            assert!(error(sql).contains(says), "{sql}: {}", error(sql));
        }
    }

    proptest! {
        #[test]
        fn every_key_is_had_back_from_readable_and_from_its_name(key: Vec<u8>) {
            let db = database();
            let sql = "SELECT unreadable(readable(?1)) = ?1, ifnull(decode_name(encode_name(?1)) = ?1, length(?1) > 79)";
            let (readable, name): (bool, bool) =
                db.query_row(sql, [key], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
            prop_assert!(readable && name);
        }
    }
}
