//! Writes one of the measuring files of [`ekvsnap_testkit::scenarios`].
//!
//! Owns: arguments and the output file. Leaves: what is in it to the library.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use clap::Parser;
use ekvsnap_testkit::scenarios::{Scenario, generate};

/// Write a large synthetic snapshot for measuring
#[derive(Debug, Parser)]
struct Arguments {
    /// What the file holds
    scenario: Scenario,

    /// The file to write; an existing one is replaced
    out: PathBuf,

    /// The size N that the scenarios speak of
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    rows: u64,

    /// Leave out the HLC header, the operational rows and the CRC footer
    #[arg(long)]
    plain: bool,
}

fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    generate(arguments.scenario, arguments.rows, arguments.plain, File::create(&arguments.out)?)?;
    println!("{}: {} rows", arguments.out.display(), arguments.scenario.rows(arguments.rows));
    Ok(())
}
