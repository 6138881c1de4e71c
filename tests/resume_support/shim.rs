//! A library that stands between ekvsnap and the system and makes the Nth call fail (`tests/faults/shim.c`); rustix is
//! built with its feature `use-libc` for that, in tests only.

#![allow(dead_code, reason = "only some of the tests need it")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The library, for `LD_PRELOAD`.
pub fn shim() -> &'static Path {
    static SHIM: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, path) = SHIM.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shim.so");
        let cc = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
        let mut compile = Command::new(cc);
        compile.args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"]).arg(&path);
        assert!(compile.args(["tests/faults/shim.c", "-ldl"]).status().unwrap().success());
        (folder, path)
    });
    path
}

/// Lets one call that a command makes below a folder fail; `mark` is made when that has happened.
pub fn let_fail(command: &mut Command, below: &Path, kinds: &str, nth: usize, errno: i32, mark: &Path) {
    let _ = std::fs::remove_file(mark);
    command.env("LD_PRELOAD", shim()).env("FAULT_UNDER", below).env("FAULT_KIND", kinds);
    command.env("FAULT_NTH", nth.to_string()).env("FAULT_ERRNO", errno.to_string()).env("FAULT_MARK", mark);
}
