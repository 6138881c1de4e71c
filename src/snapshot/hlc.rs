//! Hybrid logical clock timestamps: what they mean and how people write them.
//! Leaves the question which timestamp matters to `versions`.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;

/// A hybrid logical clock timestamp: the upper 48 bits are Unix milliseconds, the lower 16 a logical counter
/// (`docs/format/snapshot.md`, opening).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hlc(pub u64);

impl Hlc {
    /// The wall-clock part, in Unix milliseconds.
    pub fn unix_ms(self) -> u64 {
        self.0 >> 16
    }

    /// The last timestamp of a millisecond: a wall time as read timestamp includes all of its millisecond
    /// (`docs/format/snapshot.md` section 5). `None` if the millisecond does not fit into 48 bits.
    pub fn end_of_ms(unix_ms: u64) -> Option<Self> {
        (unix_ms < 1 << 48).then_some(Self(unix_ms << 16 | 0xFFFF))
    }

    /// The wall-clock part as RFC 3339 text with milliseconds, or `None` beyond the year 9999.
    pub fn to_rfc3339(self) -> Option<String> {
        rfc3339(i64::try_from(self.unix_ms()).ok()?)
    }
}

/// Unix milliseconds as RFC 3339 text in UTC with three digits of milliseconds; `None` beyond the year 9999.
pub fn rfc3339(unix_ms: i64) -> Option<String> {
    Some(format!("{:.3}", Timestamp::from_millisecond(unix_ms).ok()?))
}

impl fmt::Display for Hlc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to_rfc3339() {
            Some(time) => write!(f, "{} ({time})", self.0),
            None => write!(f, "{}", self.0),
        }
    }
}

/// Text that is neither an HLC number nor an RFC 3339 time.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is neither an HLC timestamp (a number) nor an RFC 3339 time such as 2026-04-29T15:42:11Z")]
pub struct NotATimestamp(String);

impl FromStr for Hlc {
    type Err = NotATimestamp;

    /// Reads an HLC number, or an RFC 3339 time, which means the end of its millisecond.
    fn from_str(text: &str) -> Result<Self, NotATimestamp> {
        if let Ok(number) = text.parse() {
            return Ok(Self(number));
        }
        text.parse::<Timestamp>()
            .ok()
            .and_then(|time| u64::try_from(time.as_millisecond()).ok())
            .and_then(Self::end_of_ms)
            .ok_or_else(|| NotATimestamp(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wall_time_means_the_end_of_its_millisecond() {
        let hlc: Hlc = "2024-04-29T14:13:20.001Z".parse().unwrap();
        assert_eq!(hlc, Hlc(1_714_400_000_001 << 16 | 0xFFFF));
        assert_eq!(hlc.to_rfc3339().unwrap(), "2024-04-29T14:13:20.001Z");
    }

    #[test]
    fn a_number_is_taken_as_it_is_and_nonsense_is_refused() {
        assert_eq!("117000000000000".parse::<Hlc>().unwrap(), Hlc(117_000_000_000_000));
        for text in ["", "yesterday", "-1", "1960-01-01T00:00:00Z", "18446744073709551616"] {
            assert!(text.parse::<Hlc>().is_err(), "{text}");
        }
    }
}
