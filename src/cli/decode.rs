//! `ekvsnap decode`: snapshots into a directory tree, in one go.

use std::path::{Path, PathBuf};

use clap::Args;
use ekvsnap::dump::target::{Target, TargetError};
use ekvsnap::error::Error;
use ekvsnap::export::{Dumped, ExportOptions, export, finish, published, staging_beside};
use ekvsnap::load::{Input, LoadOptions, stage};
use ekvsnap::staging::{Staging, remove};

use super::args::{AdapterArgs, ExportArgs, Inputs, KeyArgs, LoadArgs};
use super::exit::{Status, UsageError};
use super::log::Manners;
use super::progress::Bars;
use super::text;

const EXAMPLES: &str = "\
Examples:
  ekvsnap decode 0000000000002710.fsm -o dump

  All groups of a node, at one moment:
  ekvsnap decode /var/lib/elastickv/n1 -o dump --as-of consistent

  Redis only, without what had expired:
  ekvsnap decode *.fsm -o dump --adapter redis --drop-expired

  Of a node that encrypts its data:
  ekvsnap decode 0000000000002710.fsm -o dump --keys keys.json --kek-file kek.bin

  From a pipe, and is the dump still what was written?
  zstd -dc backup.fsm.zst | ekvsnap decode - -o dump
  cd dump && sha256sum -c CHECKSUMS";

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

    #[command(flatten)]
    keys: KeyArgs,

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
        needed.extend(self.keys.paths());
        let options = self.how.options(self.adapters.names(), self.keys.read()?)?;
        let loading = self.load.options(&self.adapters, options.keys.clone());
        let path = match &self.staging {
            Some(staging) => {
                check_apart(staging, &self.how.output)?;
                staging.clone()
            }
            None => staging_beside(&self.how.output),
        };
        let bars = Bars::new(manners)?;
        let target = Target::new(&self.how.output, self.how.force, &needed);
        if matches!(target, Ok(_) | Err(TargetError::Exists(_)))
            && let Some(dumped) = self.published(&inputs, &path, &loading, &options, &bars)?
        {
            return text::finish(manners, &dumped, &self.how.output);
        }
        let target = target.map_err(Error::from)?;
        // Held from the start: nobody should load for an hour to hear that another run has the place.
        let mut partial = target.begin().map_err(Error::from)?;
        let staged = stage(&inputs, &path, self.load.restart, &loading, &bars);
        if staged.as_ref().is_err_and(Error::is_worth_another_try) {
            partial.keep_if_found();
        }
        let staging = staged?;
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

impl Decode {
    /// The dump that is there already, if it is this very run's, which ended before it could tidy up. That is done now.
    fn published(
        &self,
        inputs: &[Input],
        path: &Path,
        loading: &LoadOptions,
        options: &ExportOptions,
        bars: &Bars,
    ) -> anyhow::Result<Option<Dumped>> {
        let (output, over) = (&self.how.output, self.staging.is_none());
        if self.load.restart || !inputs.iter().all(Input::can_be_read_again) {
            return Ok(None);
        }
        let is_ours = || published(&Staging::open(path)?, output, options, over);
        // Whatever is wrong with the database, the dump is there and is not to be touched.
        let Ok(Some(dumped)) = is_ours() else { return Ok(None) };
        // Nothing is left to load; only that it was these snapshots is checked.
        let staging = stage(inputs, path, false, loading, bars)?;
        finish(&staging, output)?;
        staging.close().map_err(Error::from)?;
        if over {
            remove(path).map_err(Error::from)?;
        }
        tracing::info!("{}", text::WRITTEN_ALREADY);
        Ok(Some(dumped))
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
