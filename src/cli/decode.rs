//! `ekvsnap decode`: snapshots into a directory tree, in one go.

use std::path::{Path, PathBuf};

use clap::Args;
use ekvsnap::dump::target::Target;
use ekvsnap::error::Error;
use ekvsnap::export::{export, staging_beside};
use ekvsnap::load::stage;
use ekvsnap::staging::remove;

use super::args::{AdapterArgs, ExportArgs, Inputs, LoadArgs};
use super::exit::{Status, UsageError};
use super::log::Manners;
use super::progress::Bars;
use super::text;

const EXAMPLES: &str = "\
Examples:
  ekvsnap decode 0000000000002710.fsm -o dump
  ekvsnap decode /var/lib/elastickv/n1 -o dump --as-of consistent      all groups of a node, at one moment
  ekvsnap decode *.fsm -o dump --adapter redis --scope redis=0 --drop-expired
  zstd -dc backup.fsm.zst | ekvsnap decode - -o dump
  (cd dump && sha256sum -c CHECKSUMS)                                   is the dump still what was written?";

/// Decode snapshots into a directory tree of plain files: load and export in one go
///
/// The tree is written to DIR.partial and gets its name as the last step, so DIR is either complete or not there. A run
/// that was interrupted goes on when the same command is run again.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Decode {
    #[command(flatten)]
    inputs: Inputs,

    #[command(flatten)]
    adapters: AdapterArgs,

    #[command(flatten)]
    load: LoadArgs,

    #[command(flatten)]
    how: ExportArgs,

    /// Keep the staging database here, to query it with sqlite3 or to export it again. Without this option it lies
    /// beside the output while the run lasts, and takes about as much room as the snapshot
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    staging: Option<PathBuf>,
}

impl Decode {
    pub fn run(self, manners: &Manners) -> anyhow::Result<Status> {
        let inputs = self.inputs.locate()?;
        let mut needed = self.inputs.paths();
        needed.extend(self.staging.clone());
        let options = self.how.options(self.adapters.names())?;
        let target = Target::new(&self.how.output, self.how.force, &needed).map_err(Error::from)?;
        let path = match &self.staging {
            Some(staging) => {
                check_apart(staging, &self.how.output)?;
                staging.clone()
            }
            None => staging_beside(&target),
        };
        let bars = Bars::new(manners)?;
        // Held from the start: nobody should load for an hour to hear that another run has the place.
        let partial = target.begin().map_err(Error::from)?;
        let staging = stage(&inputs, &path, self.load.restart, &self.load.options(&self.adapters), &bars)?;
        let result = export(&staging, partial, &options, &bars);
        staging.close().map_err(Error::from)?;
        // A run that was interrupted goes on from here when it is started again.
        let goes_on = result.as_ref().is_err_and(Error::is_worth_another_try);
        if self.staging.is_none() && !goes_on {
            remove(&path).map_err(Error::from)?;
        }
        text::finish(manners, &result?, &self.how.output)
    }
}

/// A database cannot lie where the dump will be.
fn check_apart(staging: &Path, output: &Path) -> anyhow::Result<()> {
    let (staging_at, output_at) = (std::path::absolute(staging)?, std::path::absolute(output)?);
    if staging_at.starts_with(&output_at) {
        let (staging, output) = (staging.display(), output.display());
        return Err(
            UsageError(format!("--staging {staging} lies in --output {output}; put it elsewhere")).into()
        );
    }
    Ok(())
}
