//! Numbers as keys: what is one, the bytes by which it is ordered, and the text that names it
//! (`docs/format/dynamodb.md` sections 1.3 and 3.2). Numbers outside of keys are text that nobody looks into.

use std::borrow::Cow;
use std::str::FromStr;

use dashu_int::UBig;

/// Beyond so many places before or behind the point, a number is named by its text
/// (`docs/format/dynamodb.md` section 3.2).
const MOST_PLACES: i128 = 1_000_000;

/// A number that can be a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyNumber<'a> {
    /// As written, without the white space around it.
    text: &'a str,
    negative: bool,
    /// ASCII digits before and behind the point.
    int: &'a str,
    fraction: &'a str,
    /// What was written behind the `e`.
    exponent: i64,
    /// Does white space follow the `e`?
    blank: bool,
}

impl<'a> KeyNumber<'a> {
    /// The number that `text` is, or `None`.
    pub fn parse(text: &'a str) -> Option<Self> {
        let text = text.trim();
        let negative = text.starts_with('-');
        let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, Some(exponent)),
            None => (unsigned, None),
        };
        let (int, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = || int.bytes().chain(fraction.bytes());
        if digits().next().is_none() || !digits().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let blank = exponent.is_some_and(|exponent| exponent.starts_with(char::is_whitespace));
        let exponent = exponent.map_or(Some(0), |exponent| exponent.trim().parse().ok())?;
        Some(Self { text, negative, int, fraction, exponent, blank })
    }

    /// Appends the bytes that stand for it in an ordered row key, before they become a segment.
    pub fn push_order(&self, out: &mut Vec<u8>) {
        let Some(digits) = self.significant() else {
            out.push(1);
            return;
        };
        // Lengths are those of a text in memory.
        let exponent =
            (self.int.len() as i64).wrapping_add(self.exponent).wrapping_sub(digits.leading_zeros as i64);
        out.push(if self.negative { 0 } else { 2 });
        let body = out.len();
        push_exponent(exponent, out);
        out.push(0);
        out.extend_from_slice(digits.int.as_bytes());
        out.extend_from_slice(digits.fraction.as_bytes());
        if self.negative {
            out[body..].iter_mut().for_each(|byte| *byte = !*byte);
        }
    }

    /// The nearest double, to compare with.
    pub fn approximate(&self) -> f64 {
        let Self { int, fraction, exponent, .. } = self;
        let sign = if self.negative { "-" } else { "" };
        format!("{sign}{int}.{fraction}e{exponent}").parse().unwrap_or(f64::NAN)
    }

    /// The text that names it: the same for all spellings of a number.
    pub fn canonical(&self) -> Cow<'a, str> {
        if self.blank {
            return Cow::Borrowed(self.text);
        }
        let Some(digits) = self.significant() else { return Cow::Borrowed("0") };
        let places = i128::from(self.exponent) - self.fraction.len() as i128;
        if places.abs() > MOST_PLACES {
            return Cow::Borrowed(self.text);
        }
        // The value is the significant digits as an integer, times ten to the power of `zeros`.
        let zeros = places + digits.trailing_zeros as i128;
        let mut text = String::new();
        if self.negative {
            text.push('-');
        }
        let length = usize::try_from(zeros.unsigned_abs()).unwrap_or_default();
        if zeros >= 0 {
            text.push_str(digits.int);
            text.push_str(digits.fraction);
            push_zeros(length, &mut text);
        } else {
            push_fraction(&[digits.int, digits.fraction].concat(), length, &mut text);
        }
        Cow::Owned(text)
    }

    /// The digits without zeros at either end; `None` if all are zeros.
    fn significant(&self) -> Option<Significant<'a>> {
        let (int, fraction) = (self.int.trim_start_matches('0'), self.fraction.trim_end_matches('0'));
        let (int, fraction) = match (int.is_empty(), fraction.is_empty()) {
            (true, true) => return None,
            (true, false) => ("", fraction.trim_start_matches('0')),
            (false, true) => (int.trim_end_matches('0'), ""),
            (false, false) => (int, fraction),
        };
        let all = self.int.len() + self.fraction.len();
        let leading_zeros = match int {
            "" => self.int.len() + self.fraction.trim_end_matches('0').len() - fraction.len(),
            _ => self.int.len() - self.int.trim_start_matches('0').len(),
        };
        let trailing_zeros = all - leading_zeros - int.len() - fraction.len();
        Some(Significant { int, fraction, leading_zeros, trailing_zeros })
    }
}

/// The digits from the first to the last that is not zero, in the two pieces that the point makes of them.
struct Significant<'a> {
    int: &'a str,
    fraction: &'a str,
    leading_zeros: usize,
    trailing_zeros: usize,
}

/// Byte order is numeric order: sign, number of significant bytes, bytes.
fn push_exponent(exponent: i64, out: &mut Vec<u8>) {
    let magnitude = exponent.unsigned_abs().to_be_bytes();
    let magnitude = &magnitude[magnitude.iter().take_while(|byte| **byte == 0).count()..];
    match exponent {
        0 => out.push(1),
        1.. => {
            out.extend_from_slice(&[2, magnitude.len() as u8]);
            out.extend_from_slice(magnitude);
        }
        _ => {
            out.extend_from_slice(&[0, !(magnitude.len() as u8)]);
            out.extend(magnitude.iter().map(|byte| !byte));
        }
    }
}

/// `digits / 10^places` as a reduced fraction. The digits do not end in zero, so they share with the power of ten either
/// twos or fives, never both, and the fraction is no integer.
fn push_fraction(digits: &str, places: usize, out: &mut String) {
    let shares_twos = matches!(digits.as_bytes().last(), Some(b'2' | b'4' | b'6' | b'8'));
    let shares_fives = digits.ends_with('5');
    let shared = if shares_twos || shares_fives { UBig::from_str(digits).ok() } else { None };
    let Some(mut numerator) = shared else {
        out.push_str(digits);
        out.push_str("/1");
        push_zeros(places, out);
        return;
    };
    let factor = UBig::from(if shares_twos { 2u8 } else { 5 });
    let found = numerator.remove(&factor).unwrap_or(0);
    let cancelled = found.min(places);
    numerator *= factor.pow(found - cancelled);
    // What is left of the cancelled tens.
    let other = UBig::from(if shares_twos { 5u8 } else { 2 }).pow(cancelled);
    out.push_str(&numerator.to_string());
    out.push('/');
    out.push_str(&other.to_string());
    push_zeros(places - cancelled, out);
}

fn push_zeros(zeros: usize, out: &mut String) {
    out.extend(std::iter::repeat_n('0', zeros));
}

#[cfg(test)]
mod tests;
