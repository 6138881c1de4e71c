//! `ekvsnap load`: snapshots into a staging database that stays.

use std::path::PathBuf;

use clap::Args;
use ekvsnap::error::Error;
use ekvsnap::load::stage;
use ekvsnap::report::Report;

use super::args::{AdapterArgs, Inputs, LoadArgs};
use super::exit::Status;
use super::log::Manners;
use super::progress::Bars;
use super::text;

/// Load snapshots into a staging database (SQLite), to query it with any sqlite3 or to export it later.
#[derive(Args)]
pub struct Load {
    #[command(flatten)]
    inputs: Inputs,

    /// The staging database to make. It holds the data of the snapshot in the clear, and is readable by you only
    #[arg(long, value_name = "FILE")]
    staging: PathBuf,

    /// Start over, even if a load into this database has been interrupted and could go on
    #[arg(long)]
    restart: bool,

    #[command(flatten)]
    adapters: AdapterArgs,

    #[command(flatten)]
    how: LoadArgs,
}

impl Load {
    pub fn run(self, manners: &Manners) -> anyhow::Result<Status> {
        let inputs = self.inputs.locate()?;
        let bars = Bars::new(manners)?;
        let staging = stage(&inputs, &self.staging, self.restart, &self.how.options(&self.adapters), &bars)?;
        let report = Report::of(&staging)?;
        staging.close().map_err(Error::from)?;
        if !manners.quiet {
            manners.print(&text::summary(&report))?;
            text::warn(&report);
        }
        Ok(if report.is_incomplete() { Status::Incomplete } else { Status::Whole })
    }
}
