//! Does once what [`ekvsnap_testkit::floor`] describes, to be measured as a whole process.
//!
//! Owns: arguments. Leaves: the work to the library, and the clock to `scripts/bench.py`.

use std::error::Error;
use std::path::PathBuf;

use clap::Parser;
use ekvsnap_testkit::floor::{Shape, run};

/// Insert rows from memory into a new SQLite table, read them back in order, and write a file: the floor that whole
/// runs are compared with
#[derive(Debug, Parser)]
struct Arguments {
    /// Whose rows
    shape: Shape,

    /// The database to make
    database: PathBuf,

    /// The file to write; an existing one is replaced
    out: PathBuf,

    /// How many rows
    #[arg(long, value_name = "N", default_value_t = 2_000_000)]
    rows: u64,

    /// How many bytes to write: as many as the export of the scenario
    #[arg(long, value_name = "N")]
    bytes: u64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let Arguments { shape, database, out, rows, bytes } = Arguments::parse();
    run(shape, rows, &database, bytes, &out)
}
