//! `ekvsnap decode`: snapshots into a directory tree, in one go.

use std::path::PathBuf;

use clap::Args;
use ekvsnap::dump::target::Target;
use ekvsnap::error::Error;
use ekvsnap::export::{export, staging_beside};

use super::args::{AdapterArgs, ExportArgs, Inputs, LoadArgs};
use super::exit::Status;
use super::load::{remove, stage};
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
        // Without the option, what lies there was left by a run that was killed.
        let replace = !kept || self.how.force;
        let staging = stage(&inputs, &path, replace, &self.load.options(&self.adapters), &bars)?;
        let result = export(&staging, target, &options, &bars);
        staging.close().map_err(Error::from)?;
        if !kept {
            remove(&path)?;
        }
        text::finish(manners, &result?, &self.how.output)
    }
}
