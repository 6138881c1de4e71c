//! `ekvsnap export`: a staging database into a directory tree.

use std::path::PathBuf;

use clap::Args;
use ekvsnap::dump::target::Target;
use ekvsnap::error::Error;
use ekvsnap::export::export;
use ekvsnap::report::Report;
use ekvsnap::staging::Staging;

use super::args::{AdapterArgs, ExportArgs};
use super::exit::Status;
use super::log::Manners;
use super::progress::Bars;
use super::text;

/// Export a staging database as a directory tree of plain files.
#[derive(Args)]
pub struct Export {
    /// A staging database made by `ekvsnap load`
    #[arg(value_name = "STAGING")]
    staging: PathBuf,

    #[command(flatten)]
    adapters: AdapterArgs,

    #[command(flatten)]
    how: ExportArgs,
}

impl Export {
    pub fn run(self, manners: &Manners) -> anyhow::Result<Status> {
        let target = Target::new(&self.how.output, self.how.force, std::slice::from_ref(&self.staging))
            .map_err(Error::from)?;
        let staging = Staging::open(&self.staging).map_err(Error::from)?;
        let adapters =
            if self.adapters.are_given() { self.adapters.names() } else { Report::of(&staging)?.adapters };
        let bars = Bars::new(manners)?;
        let dumped = export(&staging, target, &self.how.options(adapters)?, &bars)?;
        staging.close().map_err(Error::from)?;
        text::finish(manners, &dumped, &self.how.output)
    }
}
