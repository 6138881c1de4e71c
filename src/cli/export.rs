//! `ekvsnap export`: a staging database into a directory tree.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use ekvsnap::dump::target::{Target, TargetError};
use ekvsnap::error::Error;
use ekvsnap::export::{Dumped, ExportOptions, export, finish, published};
use ekvsnap::report::Report;
use ekvsnap::snapshot::encryption::Keyring;
use ekvsnap::staging::Staging;

use super::args::{AdapterArgs, ExportArgs, KeyArgs};
use super::exit::Status;
use super::log::Manners;
use super::progress::Bars;
use super::text;

const EXAMPLES: &str = "\
Examples:
  ekvsnap export prod.db -o dump
  ekvsnap export prod.db -o live --drop-expired

  The same bytes whenever it runs:
  ekvsnap export prod.db -o dump --force --wall-time 2026-04-29T15:42:11Z";

/// Export a staging database as a directory tree of plain files
///
/// The tree is written to DIR.partial and gets its name as the last step, so DIR is either complete or not there. An
/// export that was interrupted goes on when the same command is run again. Values over 32 KiB are not in the database
/// (unless it was loaded with --self-contained): the snapshot has to lie where it was loaded from, and if they are
/// encrypted there, the keys are needed again.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Export {
    /// A staging database made by `ekvsnap load`
    #[arg(value_name = "STAGING")]
    staging: PathBuf,

    #[command(flatten)]
    adapters: AdapterArgs,

    #[command(flatten)]
    how: ExportArgs,

    #[command(flatten)]
    keys: KeyArgs,
}

impl Export {
    pub fn run(self, manners: &Manners) -> anyhow::Result<Status> {
        let keys = self.keys.read()?;
        let needed = [vec![self.staging.clone()], self.keys.paths()].concat();
        let target = Target::new(&self.how.output, self.how.force, &needed);
        if matches!(target, Ok(_) | Err(TargetError::Exists(_)))
            && let Some(dumped) = self.published(&keys)?
        {
            return text::finish(manners, &dumped, &self.how.output);
        }
        let target = target.map_err(Error::from)?;
        let staging = Staging::open(&self.staging).map_err(Error::from)?;
        let options = self.options(&staging, keys)?;
        let bars = Bars::new(manners)?;
        let partial = target.begin().map_err(Error::from)?;
        let dumped = export(&staging, partial, &options, &bars)?;
        staging.close().map_err(Error::from)?;
        text::finish(manners, &dumped, &self.how.output)
    }

    /// The dump that is there already, if it is this very run's, which ended before it could tidy up. That is done now.
    fn published(&self, keys: &Option<Arc<Keyring>>) -> anyhow::Result<Option<Dumped>> {
        // Whatever is wrong with the database, the dump is there and is not to be touched.
        let Ok(staging) = Staging::open(&self.staging) else { return Ok(None) };
        let options = self.options(&staging, keys.clone())?;
        let dumped = published(&staging, &self.how.output, &options, false)?;
        if dumped.is_some() {
            finish(&staging, &self.how.output)?;
            tracing::info!("{}", text::WRITTEN_ALREADY);
        }
        staging.close().map_err(Error::from)?;
        Ok(dumped)
    }

    fn options(&self, staging: &Staging, keys: Option<Arc<Keyring>>) -> anyhow::Result<ExportOptions> {
        let given = self.adapters.are_given();
        self.how.options(if given { self.adapters.names() } else { Report::of(staging)?.adapters }, keys)
    }
}
