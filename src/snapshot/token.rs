//! The snapshot token: the 17 bytes by which a Raft log refers to a snapshot file (`docs/format/snapshot.md` section
//! 1.3). Knows neither the file that carries it (`snap_file`) nor the one it refers to.

use std::fmt;
use std::str::FromStr;

use super::error::Magic;

/// Length of a token in bytes.
pub const TOKEN_BYTES: usize = 17;

const MAGIC: [u8; 4] = *b"EKVT";
const VERSION: u8 = 1;

/// A reference to a snapshot file. Its text form is 34 lower-case hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// Raft index applied last.
    pub index: u64,
    /// CRC-32C of the file without its footer, which holds the same value.
    pub crc32c: u32,
}

/// Why bytes are no token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Too few or too many.
    #[error("a snapshot token has {TOKEN_BYTES} bytes, not {0}")]
    Length(usize),
    /// They begin with something else.
    #[error("a snapshot token begins with \"EKVT\", not with {0}")]
    Magic(String),
    /// A later version wrote it.
    #[error("a snapshot token of version {0}; only version {VERSION} is known")]
    Version(u8),
    /// The text is not hex.
    #[error("a snapshot token is written as {} hex digits", 2 * TOKEN_BYTES)]
    NotHex,
}

impl Token {
    /// Reads the bytes of a token.
    ///
    /// # Errors
    /// They are none, or one of a later version.
    pub fn decode(bytes: &[u8]) -> Result<Self, TokenError> {
        let Some(bytes) = bytes.as_array::<TOKEN_BYTES>() else {
            return Err(TokenError::Length(bytes.len()));
        };
        let [m0, m1, m2, m3, version, i0, i1, i2, i3, i4, i5, i6, i7, c0, c1, c2, c3] = *bytes;
        if [m0, m1, m2, m3] != MAGIC {
            return Err(TokenError::Magic(Magic(&[m0, m1, m2, m3]).to_string()));
        }
        if version != VERSION {
            return Err(TokenError::Version(version));
        }
        Ok(Self {
            index: u64::from_be_bytes([i0, i1, i2, i3, i4, i5, i6, i7]),
            crc32c: u32::from_be_bytes([c0, c1, c2, c3]),
        })
    }

    /// The bytes of the token.
    pub fn encode(self) -> [u8; TOKEN_BYTES] {
        let [i0, i1, i2, i3, i4, i5, i6, i7] = self.index.to_be_bytes();
        let [c0, c1, c2, c3] = self.crc32c.to_be_bytes();
        let [m0, m1, m2, m3] = MAGIC;
        [m0, m1, m2, m3, VERSION, i0, i1, i2, i3, i4, i5, i6, i7, c0, c1, c2, c3]
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.encode().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Token {
    type Err = TokenError;

    /// Reads hex digits of either case.
    fn from_str(text: &str) -> Result<Self, TokenError> {
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let pair = |pair: &[u8]| match *pair {
            [high, low] => Some((digit(high)? << 4 | digit(low)?) as u8),
            _ => None,
        };
        if text.len() != 2 * TOKEN_BYTES {
            return Err(TokenError::NotHex);
        }
        let bytes: Option<Vec<u8>> = text.as_bytes().chunks(2).map(pair).collect();
        Self::decode(&bytes.ok_or(TokenError::NotHex)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_tokens_of_the_specification_are_read() {
        for (hex, index, crc32c) in [
            ("454b56540100000000000011c709ba5132", 4551, 0x09ba_5132),
            ("454b565401000000000000000153d3556a", 1, 0x53d3_556a),
        ] {
            let token = Token { index, crc32c };
            assert_eq!(hex.parse(), Ok(token));
            assert_eq!(hex.to_uppercase().parse(), Ok(token));
            assert_eq!(token.to_string(), hex);
        }
    }

    #[test]
    fn other_bytes_are_refused_for_what_they_are() {
        let token = Token { index: 1, crc32c: 2 }.encode();
        assert_eq!(Token::decode(&token[..16]), Err(TokenError::Length(16)));
        assert_eq!(Token::decode(&[&token[..], b"x"].concat()), Err(TokenError::Length(18)));
        let mut newer = token;
        newer[4] = 2;
        assert_eq!(Token::decode(&newer), Err(TokenError::Version(2)));
        let mut other = token;
        other[3] = b'S';
        assert_eq!(Token::decode(&other), Err(TokenError::Magic("\"EKVS\"".to_owned())));
        for text in ["", "454b", &"+1".repeat(17), &"é".repeat(17)] {
            assert_eq!(text.parse::<Token>(), Err(TokenError::NotHex), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_token_survives_its_bytes_and_its_text(index: u64, crc32c: u32) {
            let token = Token { index, crc32c };
            prop_assert_eq!(Token::decode(&token.encode()), Ok(token));
            prop_assert_eq!(token.to_string().parse(), Ok(token));
        }

        #[test]
        fn bytes_that_are_a_token_are_the_bytes_of_that_token(mut bytes: [u8; TOKEN_BYTES], genuine: bool) {
            if genuine {
                bytes[..5].copy_from_slice(b"EKVT\x01");
            }
            let decoded = Token::decode(&bytes);
            prop_assert!(decoded.is_ok() || !genuine);
            if let Ok(token) = decoded {
                prop_assert_eq!(token.encode(), bytes);
            }
        }

        #[test]
        fn no_text_is_too_odd_to_be_refused(text: String) {
            let _ = text.parse::<Token>();
        }
    }
}
