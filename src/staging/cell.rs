//! Rust values as the schema holds them: unsigned 64-bit numbers, text where bytes are text, references to large
//! values. The reasons stand in the migrations.

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, Value, ValueRef};

/// A u64 whose order SQL keeps: INTEGER while it fits, 20 decimal digits of text above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct U64(pub u64);

impl ToSql for U64 {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Owned((*self).into()))
    }
}

impl From<U64> for Value {
    fn from(number: U64) -> Self {
        match i64::try_from(number.0) {
            Ok(number) => Self::Integer(number),
            Err(_) => Self::Text(number.digits()),
        }
    }
}

impl U64 {
    /// As many digits as the greatest has, so that text sorts as the numbers do.
    fn digits(self) -> String {
        format!("{:020}", self.0)
    }
}

impl FromSql for U64 {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value {
            ValueRef::Integer(number) => u64::try_from(number).ok(),
            ValueRef::Text(digits) => str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()),
            _ => return Err(FromSqlError::InvalidType),
        }
        .map(Self)
        .ok_or(FromSqlError::InvalidType)
    }
}

/// One value on its way into a table, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct Cell<'a>(pub ValueRef<'a>);

impl<'a> Cell<'a> {
    /// Bytes that stay bytes, so that they sort as bytes.
    pub fn blob(bytes: &'a [u8]) -> Self {
        Self(ValueRef::Blob(bytes))
    }

    /// Bytes as TEXT where they are text.
    #[inline]
    pub fn text_or_blob(bytes: &'a [u8]) -> Self {
        Self(if is_text(bytes) { ValueRef::Text(bytes) } else { ValueRef::Blob(bytes) })
    }

    /// A number.
    pub fn integer(number: i64) -> Self {
        Self(ValueRef::Integer(number))
    }

    /// A number as [`U64`] has it; where it is text, its digits are put into `digits`.
    pub fn unsigned(number: u64, digits: &'a mut String) -> Self {
        match i64::try_from(number) {
            Ok(number) => Self::integer(number),
            Err(_) => {
                *digits = U64(number).digits();
                Self(ValueRef::Text(digits.as_bytes()))
            }
        }
    }

    /// A number or NULL.
    pub fn optional(number: Option<i64>) -> Self {
        Self(number.map_or(ValueRef::Null, ValueRef::Integer))
    }

    /// A yes or no as 1 or 0.
    pub fn flag(flag: bool) -> Self {
        Self::integer(i64::from(flag))
    }

    /// A double; NaN becomes NULL, as SQLite has it.
    pub fn real(number: f64) -> Self {
        Self(if number.is_nan() { ValueRef::Null } else { ValueRef::Real(number) })
    }
}

impl ToSql for Cell<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(self.0))
    }
}

/// UTF-8 without NUL: what SQLite's text functions and people's terminals take whole.
// Called, unlike what makes a cell of it: the answer fits into a register.
#[inline(never)]
pub fn is_text(bytes: &[u8]) -> bool {
    is_ascii_text(bytes) || !bytes.contains(&0) && str::from_utf8(bytes).is_ok()
}

/// Most text is ASCII, which eight bytes at a time tell.
#[inline]
fn is_ascii_text(bytes: &[u8]) -> bool {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    let (words, rest) = bytes.as_chunks();
    let odd = words.iter().fold(0, |odd, word| {
        let word = u64::from_ne_bytes(*word);
        // Taking one away sets the highest bit of a zero.
        odd | word | word.wrapping_sub(ONES)
    });
    odd & (ONES << 7) == 0 && rest.iter().all(|byte| matches!(byte, 1..=0x7F))
}

/// The bytes behind hex digits of either case; `None` for what are none.
pub fn parse_hex(digits: &[u8]) -> Option<Vec<u8>> {
    let value = |digit: u8| char::from(digit).to_digit(16);
    let (pairs, []) = digits.as_chunks() else { return None };
    pairs.iter().map(|&[high, low]| u8::try_from(value(high)? << 4 | value(low)?).ok()).collect()
}

/// The bytes behind a blob literal, `X'00FF'`, as views show them; `None` for another text.
pub fn blob_literal(text: &[u8]) -> Option<Vec<u8>> {
    text.strip_prefix(b"X'")?.strip_suffix(b"'").and_then(parse_hex)
}

/// Text without control characters: what can be shown as a key in a line of its own.
pub fn is_printable(bytes: &[u8]) -> bool {
    str::from_utf8(bytes).is_ok_and(|text| !text.chars().any(char::is_control))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::Connection;

    #[test]
    fn a_blob_literal_is_read_and_nothing_else_is() {
        assert_eq!(blob_literal(b"X'00fF'"), Some(vec![0, 0xFF]));
        assert_eq!(blob_literal(b"X''"), Some(Vec::new()));
        for text in ["X'0'", "X'0g'", "X'00", "x'00'", "00", "X'+1'", "X'\u{661}'"] {
            assert_eq!(blob_literal(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn unsigned_numbers_keep_their_order_in_sql() {
        let numbers =
            [0, 1, i64::MAX as u64, 1 << 63, 9_999_999_999_999_999_999, 10_000_000_000_000_000_000, u64::MAX];
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch("CREATE TABLE t (n ANY) STRICT").unwrap();
        for number in numbers.iter().rev() {
            db.execute("INSERT INTO t VALUES (?)", [U64(*number)]).unwrap();
        }
        let mut query = db.prepare("SELECT n FROM t ORDER BY n").unwrap();
        let sorted: Vec<u64> =
            query.query_map([], |row| row.get(0).map(|U64(n)| n)).unwrap().map(Result::unwrap).collect();
        assert_eq!(sorted, numbers);
    }

    #[test]
    fn text_is_utf8_without_nul_wherever_the_odd_byte_stands() {
        for length in 0..20 {
            let mut bytes = vec![b'a'; length];
            assert!(is_text(&bytes));
            for at in 0..length {
                for (odd, text) in [(0, false), (1, true), (0x7F, true), (0x80, false), (0xFF, false)] {
                    bytes[at] = odd;
                    assert_eq!(is_text(&bytes), text, "{bytes:?}");
                }
                bytes[at] = b'a';
            }
        }
        assert!(is_text("zwölf ☂".as_bytes()));
        assert!(!is_text("zwölf\0☂".as_bytes()));
    }

    #[test]
    fn a_score_keeps_every_bit_in_a_column_of_any_type() {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch("CREATE TABLE t (n ANY) STRICT").unwrap();
        for score in [-0.0, 0.0, 1.0, 5e-324, f64::INFINITY, f64::NEG_INFINITY, -1.5e300] {
            db.execute("DELETE FROM t", []).unwrap();
            db.execute("INSERT INTO t VALUES (?)", [Cell::real(score)]).unwrap();
            let back: f64 = db.query_row("SELECT n FROM t", [], |row| row.get(0)).unwrap();
            assert_eq!(back.to_bits(), score.to_bits());
        }
        assert!(matches!(Cell::real(f64::NAN).0, ValueRef::Null));
    }
}
