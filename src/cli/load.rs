//! `ekvsnap load`: snapshots into a staging database that stays.

use std::path::PathBuf;

use clap::Args;
use ekvsnap::error::Error;
use ekvsnap::load::stage;
use ekvsnap::report::Report;

use super::args::{AdapterArgs, Inputs, KeyArgs, LoadArgs};
use super::exit::Status;
use super::log::Manners;
use super::progress::Bars;
use super::text;

const EXAMPLES: &str = "\
Examples:
  ekvsnap load 0000000000002710.fsm --staging prod.db

  Look inside, with any other SQLite, too, and write the tree whenever you like:
  ekvsnap sql prod.db 'SELECT * FROM redis_keys LIMIT 5'
  ekvsnap export prod.db -o dump";

/// Load snapshots into a staging database (SQLite), to query it with any sqlite3 or to export it later
///
/// A load that was interrupted goes on when the same command is run again; until it is complete, nothing is exported
/// from the database.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Load {
    #[command(flatten)]
    inputs: Inputs,

    /// The staging database to make. It holds the data of the snapshot in the clear, and is readable by you only
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    staging: PathBuf,

    #[command(flatten)]
    adapters: AdapterArgs,

    #[command(flatten)]
    how: LoadArgs,

    #[command(flatten)]
    keys: KeyArgs,
}

impl Load {
    pub fn run(self, manners: &Manners) -> anyhow::Result<Status> {
        let inputs = self.inputs.locate()?;
        let options = self.how.options(&self.adapters, self.keys.read()?);
        let bars = Bars::new(manners)?;
        let staging = stage(&inputs, &self.staging, self.how.restart, &options, &bars)?;
        let report = Report::of(&staging)?;
        staging.close().map_err(Error::from)?;
        text::finish_load(manners, &report, &self.staging)
    }
}
