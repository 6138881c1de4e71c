//! `CHECKSUMS`: what `sha256sum` prints, so that `sha256sum -c CHECKSUMS` needs nothing of ours.
//!
//! Owns the form of a line (`docs/format/dump.md` section 5), written and read. Hashing and the order of the lines are
//! left to the caller.

use std::borrow::Cow;

/// Longest line that is read, in bytes: a path of 4096 bytes, which is what Linux allows, all of them escaped, and the
/// sum before it.
pub const MAX_LINE_BYTES: usize = 2 * 4096 + 128;

/// Appends the line of one file: `path` relative to the root of the dump with `/`, and the SHA-256 of its bytes.
pub fn push_line(path: &[u8], sha256: &[u8; 32], out: &mut Vec<u8>) {
    let escaped = path.iter().any(|&byte| escape(byte).is_some());
    if escaped {
        out.push(b'\\');
    }
    super::push_hex(sha256, out);
    out.extend_from_slice(b"  ");
    if escaped {
        for &byte in path {
            match escape(byte) {
                Some(letter) => out.extend_from_slice(&[b'\\', letter]),
                None => out.push(byte),
            }
        }
    } else {
        out.extend_from_slice(path);
    }
    out.push(b'\n');
}

/// The path and the sum of a line, given without its line end; `None` if it is not one that [`push_line`] writes.
pub fn parse_line(line: &[u8]) -> Option<(Cow<'_, [u8]>, [u8; 32])> {
    let escaped = line.first() == Some(&b'\\');
    let (digits, path) = line[usize::from(escaped)..].split_at_checked(64)?;
    let path = path.strip_prefix(b"  ").filter(|path| !path.is_empty())?;
    let mut sha256 = [0; 32];
    for (byte, pair) in sha256.iter_mut().zip(digits.chunks(2)) {
        for &digit in pair {
            let value = match digit {
                b'0'..=b'9' => digit - b'0',
                b'a'..=b'f' => digit - b'a' + 10,
                _ => return None,
            };
            *byte = *byte << 4 | value;
        }
    }
    if !escaped {
        // A backslash alone would have been escaped.
        return path.iter().all(|&byte| escape(byte).is_none()).then_some((Cow::Borrowed(path), sha256));
    }
    let mut plain = Vec::with_capacity(path.len());
    let mut bytes = path.iter();
    while let Some(&byte) = bytes.next() {
        plain.push(match byte {
            b'\\' => match bytes.next()? {
                b'n' => b'\n',
                b'r' => b'\r',
                b'\\' => b'\\',
                _ => return None,
            },
            b'\n' | b'\r' => return None,
            byte => byte,
        });
    }
    plain.iter().any(|&byte| escape(byte).is_some()).then_some((Cow::Owned(plain), sha256))
}

fn escape(byte: u8) -> Option<u8> {
    match byte {
        b'\n' => Some(b'n'),
        b'\r' => Some(b'r'),
        b'\\' => Some(b'\\'),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_paths_with_line_ends_or_backslashes_are_escaped() {
        let mut out = Vec::new();
        push_line(b"redis/db_0/a b", &[0xAB; 32], &mut out);
        push_line(b"s3/x\n\r\\", &[0x01; 32], &mut out);
        let expected =
            format!("{}  redis/db_0/a b\n\\{}  s3/x\\n\\r\\\\\n", "ab".repeat(32), "01".repeat(32));
        assert_eq!(String::from_utf8_lossy(&out), expected);
    }

    proptest! {
        #[test]
        fn a_line_that_was_written_is_read(
            path in prop::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(&b"\n\r\\ab/"[..])], 1..40),
            sha256: [u8; 32],
        ) {
            let mut line = Vec::new();
            push_line(&path, &sha256, &mut line);
            prop_assert_eq!(line.pop(), Some(b'\n'));
            prop_assert_eq!(parse_line(&line), Some((Cow::from(&path), sha256)));
        }

        #[test]
        fn a_line_that_is_read_is_written_so(
            start in prop::sample::select(&["", "\\"][..]),
            digits in "[0-9a-fA-F]{63,65}",
            rest in prop::collection::vec(prop::sample::select(&b" nr\\\n\r/"[..]), 0..8),
        ) {
            let line = [start.as_bytes(), digits.as_bytes(), &rest].concat();
            if let Some((path, sha256)) = parse_line(&line) {
                let mut written = Vec::new();
                push_line(&path, &sha256, &mut written);
                prop_assert_eq!(written.strip_suffix(b"\n"), Some(&line[..]));
            }
        }
    }

    #[test]
    fn what_is_no_line_is_refused() {
        let sum = "0a".repeat(32);
        for line in
            ["", "\\", &sum, &format!("{sum} *p"), &format!("{sum}  "), &format!("{}  p", sum.to_uppercase())]
        {
            assert_eq!(parse_line(line.as_bytes()), None, "{line}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn lines_are_those_of_the_real_sha256sum() -> anyhow::Result<()> {
        use sha2::{Digest, Sha256};
        use std::{ffi::OsStr, fs, os::unix::ffi::OsStrExt, process::Command};

        let root = tempfile::tempdir()?;
        let mut ours = Vec::new();
        let mut sha256sum = Command::new("sha256sum");
        for name in [
            &b"plain"[..],
            b"two  spaces ",
            b"*star",
            b"new\nline",
            b"carriage\rreturn",
            b"back\\slash",
            b"\\n\n\\\r",
            b"tab\tquote\"",
            "имя".as_bytes(),
            b"not\xffutf8",
        ] {
            let path = OsStr::from_bytes(name);
            fs::write(root.path().join(path), name)?;
            sha256sum.arg(path);
            push_line(name, &Sha256::digest(name).into(), &mut ours);
        }
        let theirs = sha256sum.current_dir(&root).output()?;
        assert!(theirs.status.success());
        assert_eq!(String::from_utf8_lossy(&ours), String::from_utf8_lossy(&theirs.stdout));
        assert_eq!(ours, theirs.stdout);

        fs::write(root.path().join("CHECKSUMS"), &ours)?;
        let check =
            Command::new("sha256sum").args(["--strict", "-c", "CHECKSUMS"]).current_dir(&root).output()?;
        assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
        Ok(())
    }
}
