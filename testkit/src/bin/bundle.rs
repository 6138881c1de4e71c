//! Turns a measuring file of `generate`, or any snapshot of a node, into a bundle with the same rows.
//!
//! Owns: arguments and files. Leaves: what is in them to the library.

use std::fs;
use std::io;
use std::path::PathBuf;

use clap::Parser;
use ekvsnap_testkit::bundled::{TABLE_BYTES, bundled};
use ekvsnap_testkit::sst_writer::{Compress, Cut};

/// Write the rows of a snapshot (EKVTHLC1, EKVPBBL1, CRC footer) as an SST bundle; both have to fit into memory
#[derive(Debug, Parser)]
struct Arguments {
    /// The snapshot
    snapshot: PathBuf,

    /// The file to write; an existing one is replaced
    out: PathBuf,

    /// Bytes of rows after which a table ends
    #[arg(long, value_name = "N", default_value_t = TABLE_BYTES)]
    table_bytes: usize,

    /// Store every data block as it is
    #[arg(long)]
    raw: bool,
}

fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    let compress = if arguments.raw { Compress::Never } else { Compress::IfItSaves };
    let cut = Cut { compress, ..Cut::default() };
    fs::write(arguments.out, bundled(&fs::read(arguments.snapshot)?, arguments.table_bytes, &cut))
}
