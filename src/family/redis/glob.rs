//! The patterns of `KEYS` and `SCAN MATCH`, on bytes: `*`, `?`, `[a-c]`, `[^x]`, and `\` before what is meant as it
//! is. The rules are those of Redis' own matcher, its leniency with unfinished classes included.

/// Does the whole key match? In at most (bytes of the pattern × bytes of the key) steps, whatever the pattern.
///
/// A class that is never closed ends with the pattern; `]` right behind `[` closes it, and nothing matches. In ranges
/// bytes count as unsigned, and the ends may be swapped.
pub fn matches(pattern: &[u8], key: &[u8]) -> bool {
    let (mut pattern, mut rest) = (pattern, key);
    // Behind the last star: the pattern, and the key that was tried with it. An earlier star never has to take more,
    // since the last one can.
    let mut last_star = None;
    loop {
        if let [b'*', behind @ ..] = pattern {
            pattern = behind;
            last_star = Some((behind, rest));
            continue;
        }
        let Some((&byte, shorter)) = rest.split_first() else { return pattern.is_empty() };
        if let Some(behind) = match_byte(pattern, byte) {
            (pattern, rest) = (behind, shorter);
        } else {
            let Some((behind, [_, shorter @ ..])) = last_star else { return false };
            (pattern, rest) = (behind, shorter);
            last_star = Some((behind, shorter));
        }
    }
}

/// What every key begins with that matches.
pub fn literal_prefix(pattern: &[u8]) -> Vec<u8> {
    let mut prefix = Vec::new();
    let mut rest = pattern;
    loop {
        rest = match rest {
            [] | [b'*' | b'?' | b'[', ..] => return prefix,
            [b'\\', literal, behind @ ..] | [literal, behind @ ..] => {
                prefix.push(*literal);
                behind
            }
        };
    }
}

/// The pattern behind its first element, which is no star, if that matches.
fn match_byte(pattern: &[u8], byte: u8) -> Option<&[u8]> {
    match pattern {
        [] => None,
        [b'?', behind @ ..] => Some(behind),
        [b'[', b'^', class @ ..] => {
            let (is_in, behind) = match_class(class, byte);
            (!is_in).then_some(behind)
        }
        [b'[', class @ ..] => {
            let (is_in, behind) = match_class(class, byte);
            is_in.then_some(behind)
        }
        [b'\\', literal, behind @ ..] | [literal, behind @ ..] => (*literal == byte).then_some(behind),
    }
}

/// Is the byte in the class, and what follows the class?
fn match_class(class: &[u8], byte: u8) -> (bool, &[u8]) {
    let mut is_in = false;
    let mut rest = class;
    loop {
        rest = match rest {
            [] => return (is_in, rest),
            [b'\\', literal, behind @ ..] => {
                is_in |= *literal == byte;
                behind
            }
            [b']', behind @ ..] => return (is_in, behind),
            [start, b'-', end, behind @ ..] => {
                is_in |= (*start.min(end)..=*start.max(end)).contains(&byte);
                behind
            }
            [literal, behind @ ..] => {
                is_in |= *literal == byte;
                behind
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn assert_all(pattern: &str, matching: &[&str], others: &[&str]) {
        for key in matching {
            assert!(matches(pattern.as_bytes(), key.as_bytes()), "{pattern} does not match {key:?}");
        }
        for key in others {
            assert!(!matches(pattern.as_bytes(), key.as_bytes()), "{pattern} matches {key:?}");
        }
    }

    #[test]
    fn patterns_mean_what_the_documentation_of_keys_says() {
        assert_all("h?llo", &["hello", "hallo", "hxllo"], &["hllo", "heello"]);
        assert_all("h*llo", &["hllo", "heeeello"], &["hll", "xhllo", "hllox"]);
        assert_all("h[ae]llo", &["hello", "hallo"], &["hillo"]);
        assert_all("h[^e]llo", &["hallo", "hbllo"], &["hello"]);
        assert_all("h[a-b]llo", &["hallo", "hbllo"], &["hcllo"]);
        assert_all(r"h\*llo", &["h*llo"], &["hello", r"h\*llo"]);
    }

    #[test]
    fn stars_match_nothing_too() {
        assert_all("*", &["", "a", "a b\n"], &[]);
        assert_all("**", &["", "ab"], &[]);
        assert_all("", &[""], &["a"]);
        assert_all(
            "user:*:name",
            &["user::name", "user:1:name", "user:name:name"],
            &["user:1:names", "user:name"],
        );
        assert_all("a*b*c", &["abc", "aabbcc", "abcbc"], &["acb", "ab"]);
    }

    #[test]
    fn classes_are_read_as_leniently_as_redis_does() {
        assert_all("[abc", &["a", "c"], &["d", "", "[abc"]);
        assert_all("[", &[], &["[", "", "a"]);
        assert_all("[^", &["a", "^"], &["", "ab"]);
        assert_all("[]a]", &[], &["]", "a", "]a]"]);
        assert_all("[^]", &["a"], &[""]);
        assert_all(r"[\]a]", &["]", "a"], &["\\"]);
        assert_all(r"[\^a]", &["^", "a"], &["b"]);
        assert_all("[z-x]", &["x", "y", "z"], &["w"]);
        assert_all("[a-]", &["a", "]", "^"], &["-", "b"]);
        assert_all("[-a]", &["-", "a"], &["b"]);
        assert_all("[a-c-e]", &["b", "-", "e"], &["d"]);
        assert_all("[*?]x", &["*x", "?x"], &["ax"]);
    }

    #[test]
    fn a_backslash_at_the_end_means_itself() {
        assert_all(r"a\", &[r"a\"], &["a"]);
        assert_all(r"\\", &[r"\"], &[r"\\"]);
        assert_all(r"\?", &["?"], &["a"]);
    }

    #[test]
    fn bytes_are_bytes() {
        assert!(matches(b"k?y", b"k\xffy") && matches(b"[\x80-\xff]", b"\xc0") && matches(b"\0*", b"\0\n"));
        assert!(!matches("k?y".as_bytes(), "köy".as_bytes()), "ö has two bytes");
    }

    #[test]
    fn a_hostile_pattern_ends_in_time() {
        assert!(!matches(&b"*a".repeat(200), &[b'a'; 100]));
        assert!(!matches(&[&b"*a".repeat(1000)[..], b"b"].concat(), &[b'a'; 20_000]));
    }

    /// What the pattern means, said the slow way.
    fn reference(pattern: &[u8], key: &[u8]) -> bool {
        match (pattern, key) {
            ([b'*', behind @ ..], _) => (0..=key.len()).any(|taken| reference(behind, &key[taken..])),
            (_, [byte, shorter @ ..]) => {
                match_byte(pattern, *byte).is_some_and(|behind| reference(behind, shorter))
            }
            (_, []) => pattern.is_empty(),
        }
    }

    proptest! {
        #[test]
        fn going_back_to_the_last_star_misses_nothing(pattern in "[ab*?\\[\\]\\\\^-]{0,10}", key in "[ab\\]^-]{0,8}") {
            prop_assert_eq!(matches(pattern.as_bytes(), key.as_bytes()), reference(pattern.as_bytes(), key.as_bytes()));
        }

        #[test]
        fn a_key_that_matches_begins_with_the_literal_prefix(pattern in "[ab*?\\[\\]\\\\^-]{0,10}", key in "[ab\\]^-]{0,8}") {
            let prefix = literal_prefix(pattern.as_bytes());
            prop_assert!(!matches(pattern.as_bytes(), key.as_bytes()) || key.as_bytes().starts_with(&prefix));
            // Anything may follow if the pattern ends in a star.
            let longer = [&prefix[..], key.as_bytes()].concat();
            let escaped: Vec<u8> = prefix.iter().flat_map(|&byte| [b'\\', byte]).chain(*b"*").collect();
            prop_assert!(matches(&escaped, &longer) && literal_prefix(&escaped) == prefix);
        }

        #[test]
        fn a_key_with_every_byte_escaped_matches_itself_only(key: Vec<u8>, other: Vec<u8>) {
            let pattern: Vec<u8> = key.iter().flat_map(|&byte| [b'\\', byte]).collect();
            prop_assert!(matches(&pattern, &key));
            prop_assert_eq!(matches(&pattern, &other), key == other);
        }
    }
}
