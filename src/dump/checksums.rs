//! `CHECKSUMS`: what `sha256sum` prints, so that `sha256sum -c CHECKSUMS` needs nothing of ours.
//!
//! Owns the form of a line (`docs/format/dump.md` section 5). Hashing and the order of the lines are left to the
//! caller.

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

    #[test]
    fn only_paths_with_line_ends_or_backslashes_are_escaped() {
        let mut out = Vec::new();
        push_line(b"redis/db_0/a b", &[0xAB; 32], &mut out);
        push_line(b"s3/x\n\r\\", &[0x01; 32], &mut out);
        let expected =
            format!("{}  redis/db_0/a b\n\\{}  s3/x\\n\\r\\\\\n", "ab".repeat(32), "01".repeat(32));
        assert_eq!(String::from_utf8_lossy(&out), expected);
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
