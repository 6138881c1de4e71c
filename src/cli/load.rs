//! `ekvsnap load`: snapshots into a staging database that stays.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use ekvsnap::error::Error;
use ekvsnap::load::{Input, LoadOptions, load};
use ekvsnap::report::Report;
use ekvsnap::staging::{Staging, StagingError, check_is_staging};

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

    /// Replace a staging database that is there already
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    adapters: AdapterArgs,

    #[command(flatten)]
    how: LoadArgs,
}

impl Load {
    pub fn run(self, manners: &Manners) -> anyhow::Result<Status> {
        let inputs = self.inputs.locate()?;
        let bars = Bars::new(manners)?;
        let staging = stage(&inputs, &self.staging, self.force, &self.how.options(&self.adapters), &bars)?;
        let report = Report::of(&staging)?;
        staging.close().map_err(Error::from)?;
        if !manners.quiet {
            manners.print(&text::summary(&report))?;
            text::warn(&report);
        }
        Ok(if report.is_incomplete() { Status::Incomplete } else { Status::Whole })
    }
}

/// Loads into a new database; one that cannot be finished is removed.
pub fn stage(
    inputs: &[Input],
    path: &Path,
    replace: bool,
    options: &LoadOptions,
    bars: &Bars,
) -> anyhow::Result<Staging> {
    if replace && path.exists() {
        check_is_staging(path).map_err(Error::from)?;
        // Somebody may be working on it.
        drop(Staging::open(path).map_err(Error::from)?);
        remove(path)?;
    }
    let staging = Staging::create(path).map_err(Error::from)?;
    match load(inputs, &staging, options, bars) {
        Ok(()) => Ok(staging),
        Err(error) => {
            drop(staging);
            remove(path)?;
            Err(error.into())
        }
    }
}

/// Removes a staging database and its journal.
pub fn remove(path: &Path) -> anyhow::Result<()> {
    let mut journal = path.as_os_str().to_owned();
    journal.push("-journal");
    for file in [path, Path::new(&journal)] {
        match fs::remove_file(file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(StagingError::Open { path: file.to_owned(), error }.into());
            }
            _ => {}
        }
    }
    Ok(())
}
