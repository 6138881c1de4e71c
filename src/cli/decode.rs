//! `ekvsnap decode`: snapshots into a directory tree, in one go.

use std::path::PathBuf;

use clap::Args;
use ekvsnap::dump::target::Target;
use ekvsnap::error::Error;
use ekvsnap::export::{export, staging_beside};
use ekvsnap::load::stage;
use ekvsnap::staging::remove;

use super::args::{AdapterArgs, ExportArgs, Inputs, LoadArgs};
use super::exit::Status;
use super::log::Manners;
use super::progress::Bars;
use super::text;

/// Decode snapshots into a directory tree of plain files: load and export in one go.
#[derive(Args)]
pub struct Decode {
    #[command(flatten)]
    inputs: Inputs,

    /// Keep the staging database here. Without this option it lies beside the output while the run lasts
    #[arg(long, value_name = "FILE")]
    staging: Option<PathBuf>,

    /// Start over, even if the same run has been interrupted and could go on
    #[arg(long)]
    restart: bool,

    #[command(flatten)]
    adapters: AdapterArgs,

    #[command(flatten)]
    load: LoadArgs,

    #[command(flatten)]
    how: ExportArgs,
}

impl Decode {
    pub fn run(self, manners: &Manners) -> anyhow::Result<Status> {
        let inputs = self.inputs.locate()?;
        let mut needed = self.inputs.paths();
        needed.extend(self.staging.clone());
        let target = Target::new(&self.how.output, self.how.force, &needed).map_err(Error::from)?;
        let options = self.how.options(self.adapters.names())?;
        let bars = Bars::new(manners)?;

        let (path, kept) = match &self.staging {
            Some(path) => (path.clone(), true),
            None => (staging_beside(&target), false),
        };
        let staging = stage(&inputs, &path, self.restart, &self.load.options(&self.adapters), &bars)?;
        let result = export(&staging, target, &options, &bars);
        staging.close().map_err(Error::from)?;
        // A run that failed halfway goes on from here when it is started again.
        if !kept && result.as_ref().err().is_none_or(|error| !error.is_worth_another_try()) {
            remove(&path).map_err(Error::from)?;
        }
        text::finish(manners, &result?, &self.how.output)
    }
}
