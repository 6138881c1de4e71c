//! `ekvsnap decode`: snapshots into a directory tree, in one go.

use std::path::{Path, PathBuf};

use clap::Args;
use ekvsnap::dump::target::{PartialDump, Target};
use ekvsnap::error::Error;
use ekvsnap::export::{Dumped, ExportOptions, export, staging_beside};
use ekvsnap::load::Input;

use super::args::{AdapterArgs, ExportArgs, Inputs, LoadArgs};
use super::exit::{Status, UsageError};
use super::log::Manners;
use super::progress::Bars;
use super::staged::{Kept, Scratch, say_what_is_left};
use super::text;

const EXAMPLES: &str = "\
Examples:
  ekvsnap decode 0000000000002710.fsm -o dump

  All groups of a node, at one moment:
  ekvsnap decode /var/lib/elastickv/n1 -o dump --as-of consistent

  Redis only, without what had expired:
  ekvsnap decode *.fsm -o dump --adapter redis --drop-expired

  From a pipe, and is the dump still what was written?
  zstd -dc backup.fsm.zst | ekvsnap decode - -o dump
  cd dump && sha256sum -c CHECKSUMS";

/// Decode snapshots into a directory tree of plain files: load and export in one go
///
/// The tree is written to DIR.partial and gets its name as the last step, so DIR is either complete or not there.
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
        let kept = match &self.staging {
            Some(staging) => {
                check_apart(staging, &self.how.output)?;
                Some(Kept::new(staging, self.how.force)?)
            }
            None => None,
        };
        let bars = Bars::new(manners)?;
        let beside = staging_beside(&target);
        // Held from the start: nobody should load for an hour to hear that another run has the place.
        let partial = target.begin().map_err(Error::from)?;
        let left = partial.path().to_owned();
        let dumped = match kept {
            None => self.through(beside, &inputs, partial, &options, &bars),
            Some(kept) => self.keeping(kept, &inputs, partial, &options, &bars),
        };
        let dumped = dumped.inspect_err(|_| say_what_is_left(&left))?;
        text::finish(manners, &dumped, &self.how.output)
    }

    fn through(
        &self,
        beside: PathBuf,
        inputs: &[Input],
        partial: PartialDump,
        options: &ExportOptions,
        bars: &Bars,
    ) -> anyhow::Result<Dumped> {
        let (scratch, staging) = Scratch::load(beside, inputs, &self.load.options(&self.adapters), bars)?;
        let dumped = export(&staging, partial, options, bars);
        drop(staging);
        drop(scratch);
        Ok(dumped?)
    }

    fn keeping(
        &self,
        kept: Kept<'_>,
        inputs: &[Input],
        partial: PartialDump,
        options: &ExportOptions,
        bars: &Bars,
    ) -> anyhow::Result<Dumped> {
        let staging = kept.load(inputs, &self.load.options(&self.adapters), bars)?;
        let dumped = export(&staging, partial, options, bars)?;
        staging.close().map_err(Error::from)?;
        Ok(dumped)
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
