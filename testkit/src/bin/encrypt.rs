//! Encrypts the values of a snapshot, for measuring.
//!
//! Owns: arguments and files. Leaves: the bytes to [`ekvsnap_testkit::encryption`].

use std::fs::File;
use std::io;
use std::path::PathBuf;

use clap::Parser;
use ekvsnap_testkit::encryption::{KeyFiles, encrypt};

/// Write a snapshot once more with every value encrypted, and the keys beside it
#[derive(Debug, Parser)]
struct Arguments {
    /// An `EKVPBBL1` file
    snapshot: PathBuf,

    /// The file to write; an existing one is replaced
    out: PathBuf,

    /// The folder for keys.json and kek.bin
    keys: PathBuf,
}

fn main() -> io::Result<()> {
    let Arguments { snapshot, out, keys } = Arguments::parse();
    let files = KeyFiles::new();
    files.write_to(&keys)?;
    let storage: Vec<_> = files.keys.iter().filter(|key| key.storage).collect();
    let key = |row: u64| Some(storage[(row % storage.len() as u64) as usize]);
    encrypt(File::open(snapshot)?, File::create(out)?, key)?;
    Ok(())
}
