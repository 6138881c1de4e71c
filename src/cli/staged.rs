//! Staging databases as commands use them: one that goes with the run, or one that stays and gets its name when it is
//! complete. What is in them is the library's.

use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use ekvsnap::dump::target::Claim;
use ekvsnap::error::Error;
use ekvsnap::load::{Input, LoadOptions, load};
use ekvsnap::staging::{Staging, StagingError, check_is_staging};

use super::exit::UsageError;
use super::progress::Bars;

/// What SQLite puts beside a database.
const JOURNAL: &str = "-journal";

/// A database that goes with the run; removed when it is dropped.
pub struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Loads into a new database at `path`, where nobody else works. One that is there already was left by a run
    /// that was killed.
    pub fn load(
        path: PathBuf,
        inputs: &[Input],
        options: &LoadOptions,
        bars: &Bars,
    ) -> anyhow::Result<(Self, Staging)> {
        if let Some(left) = metadata(&path)? {
            if !left.is_file() {
                return Err(StagingError::NotStaging(path).into());
            }
            if left.len() > 0 {
                check_is_free(&path)?;
            }
            remove(&path)?;
        }
        let scratch = Self { path };
        let staging = Staging::create(&scratch.path).map_err(Error::from)?;
        load(inputs, &staging, options, bars)?;
        Ok((scratch, staging))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if remove(&self.path).is_err() {
            say_what_is_left(&self.path);
        }
    }
}

/// Where people want a database.
pub struct Kept<'p> {
    path: &'p Path,
    force: bool,
}

impl<'p> Kept<'p> {
    /// Looks whether a database may be put there. Nothing is changed yet.
    pub fn new(path: &'p Path, force: bool) -> anyhow::Result<Self> {
        if path.file_name().is_none() {
            return Err(UsageError(format!("{} cannot be the name of a new file", path.display())).into());
        }
        if let Some(metadata) = metadata(path)? {
            if !force {
                return Err(StagingError::Exists(path.to_owned()).into());
            }
            if !metadata.is_file() {
                return Err(StagingError::NotStaging(path.to_owned()).into());
            }
            check_is_free(path)?;
        }
        Ok(Self { path, force })
    }

    /// Loads into a new database, which gets its name as the last step.
    pub fn load(self, inputs: &[Input], options: &LoadOptions, bars: &Bars) -> anyhow::Result<Staging> {
        let mut beside = self.path.as_os_str().to_owned();
        beside.push(".partial");
        let claim = Claim::of(Path::new(&beside)).map_err(Error::from)?;
        self.load_in(claim, inputs, options, bars).inspect_err(|_| say_what_is_left(Path::new(&beside)))
    }

    fn load_in(
        &self,
        claim: Claim,
        inputs: &[Input],
        options: &LoadOptions,
        bars: &Bars,
    ) -> anyhow::Result<Staging> {
        let loaded = claim.path().join("staging.db");
        let staging = Staging::create(&loaded).map_err(Error::from)?;
        load(inputs, &staging, options, bars)?;
        staging.close().map_err(Error::from)?;
        let failed = |error| StagingError::Open { path: self.path.to_owned(), error };
        if self.force {
            fs::rename(&loaded, self.path).map_err(failed)?;
        } else {
            // Unlike a rename, a link replaces nothing that has come into being meanwhile.
            match fs::hard_link(&loaded, self.path) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    return Err(StagingError::Exists(self.path.to_owned()).into());
                }
                Err(_) => fs::rename(&loaded, self.path).map_err(failed)?,
            }
        }
        drop(claim);
        Ok(Staging::open(self.path).map_err(Error::from)?)
    }
}

/// After an error: what of ours could not be cleaned up.
pub fn say_what_is_left(path: &Path) {
    if path.symlink_metadata().is_ok() {
        tracing::warn!("{} could not be removed; the next run to the same place removes it", path.display());
    }
}

/// Is it a staging database that nobody works on?
fn check_is_free(path: &Path) -> Result<(), Error> {
    check_is_staging(path)?;
    drop(Staging::open(path)?);
    Ok(())
}

fn metadata(path: &Path) -> Result<Option<Metadata>, StagingError> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StagingError::Open { path: path.to_owned(), error }),
    }
}

fn remove(path: &Path) -> Result<(), StagingError> {
    let mut journal = path.as_os_str().to_owned();
    journal.push(JOURNAL);
    for file in [path, Path::new(&journal)] {
        match fs::remove_file(file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(StagingError::Open { path: file.to_owned(), error });
            }
            _ => {}
        }
    }
    Ok(())
}
