//! A load: snapshots in, staged rows out. This module says what is loaded and whether an interrupted load may go on;
//! `source` knows the files, `writer` moves their rows. What rows mean is the families' business, what bytes mean the
//! snapshot room's.

mod malformed;
mod source;
mod writer;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use self::malformed::Policy;
pub use self::source::Input;
use self::source::{Identity, Opened};
use crate::error::Error;
use crate::family::{FAMILIES, Reconcile, snapshot_time};
use crate::progress::{Phase, Progress};
use crate::snapshot::Hlc;
use crate::snapshot::encryption::Keyring;
use crate::staging::{LargeValues, Staging, StagingError, U64, Warnings, is_empty, remove};

/// How often a run that waits for its input looks whether it should stop.
const INTERRUPT_POLL: Duration = Duration::from_millis(50);

/// At which moment the store is looked at (`docs/format/snapshot.md` section 5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AsOf {
    /// The newest version of everything.
    #[default]
    Newest,
    /// A moment given as HLC timestamp.
    At(Hlc),
    /// The smallest `last_commit_ts` of the files: a moment that all of them reach.
    Consistent,
}

/// What to do with a row that its family cannot read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnError {
    /// Stop with an error that names it.
    #[default]
    Stop,
    /// Keep it in the table `quarantine` and go on.
    Quarantine,
}

/// How to load.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// The moment to look at.
    pub as_of: AsOf,
    /// What to do with malformed rows.
    pub on_error: OnError,
    /// The adapters whose rows are staged; rows of others are only counted.
    pub adapters: Vec<String>,
    /// Large values go into the database, too, which then needs the snapshots no more.
    pub self_contained: bool,
    /// The keys for encrypted values. They are never kept: a load that goes on needs them again.
    pub keys: Option<Arc<Keyring>>,
}

/// Reads snapshots into the staging database at `path`. If a load of the same snapshots with the same options has
/// been interrupted there, it goes on where that one stopped; if it has come to its end, nothing is left to do.
///
/// # Errors
/// Whatever keeps a snapshot from being read to its end and found right. The database is removed if another try could
/// not do better, and kept for another try otherwise. Another load's database is refused unless `restart` is set.
pub fn stage(
    inputs: &[Input],
    path: &Path,
    restart: bool,
    options: &LoadOptions,
    progress: &dyn Progress,
) -> Result<Staging, Error> {
    // An input that cannot be read must not cost anybody a database.
    let opened = open(inputs, progress)?;
    let resumable = inputs.iter().all(Input::can_be_read_again);
    let staging = match Staging::open(path) {
        Err(StagingError::Open { error, .. }) if error.kind() == io::ErrorKind::NotFound => {
            Staging::create(path)?
        }
        Err(StagingError::NotStaging(path)) if is_empty(&path) => Staging::create(&path)?,
        Ok(staging) if restart => recreate(staging)?,
        Ok(staging) if resumable => staging,
        // Nothing to go on with: the same load starts over, and no other database is touched.
        Ok(staging) => {
            let begun = staging.fact::<String>("plan")?;
            let same =
                begun.is_none_or(|begun| begun == plan(options, read_timestamp(options.as_of, &opened)));
            if !same || staging.fact::<i64>("complete")?.is_some() {
                return Err(StagingError::Exists(path.to_owned()).into());
            }
            recreate(staging)?
        }
        Err(StagingError::Torn(path)) => {
            tracing::warn!("{} was being written when the machine went down: starting over", path.display());
            remove(&path)?;
            Staging::create(&path)?
        }
        Err(error) => return Err(error.into()),
    };
    match load_opened(opened, &staging, options, progress) {
        Ok(()) => Ok(staging),
        Err(error) => {
            // Nobody is helped by a database of a run that had no keys from its beginning.
            let is_begun = || staging.has_progress().unwrap_or(true);
            if !resumable || !error.is_worth_another_try() || error.is_of_keys() && !is_begun() {
                drop(staging);
                remove(path)?;
            }
            Err(error)
        }
    }
}

fn recreate(staging: Staging) -> Result<Staging, StagingError> {
    let path = staging.path().to_owned();
    // While it is still locked: nobody else shall begin in it.
    remove(&path)?;
    drop(staging);
    Staging::create(&path)
}

/// Reads snapshots into a staging database that is new, or in which the same load has been interrupted.
///
/// # Errors
/// Whatever keeps a snapshot from being read to its end and found right; another load's database.
pub fn load(
    inputs: &[Input],
    staging: &Staging,
    options: &LoadOptions,
    progress: &dyn Progress,
) -> Result<(), Error> {
    load_opened(open(inputs, progress)?, staging, options, progress)
}

fn open<'i>(inputs: &'i [Input], progress: &dyn Progress) -> Result<Vec<Opened<'i>>, Error> {
    inputs.iter().map(|input| Opened::wait_for(input, progress)).collect()
}

fn load_opened(
    opened: Vec<Opened<'_>>,
    staging: &Staging,
    options: &LoadOptions,
    progress: &dyn Progress,
) -> Result<(), Error> {
    let connection = staging.connection();
    let as_of = read_timestamp(options.as_of, &opened);
    let plan = plan(options, as_of);
    match staging.fact::<String>("plan")? {
        None => begin(staging, options, &plan, as_of, &opened)?,
        Some(begun) => {
            check_same(staging, &begun, &plan, &opened)?;
            if staging.fact::<i64>("complete")?.is_some() {
                // The run that completed it may not have lived to make it last.
                if staging.is_unsynced()? {
                    staging.end_unsynced()?;
                }
                return Ok(());
            }
            tracing::info!("going on with the load that was interrupted");
        }
    }

    connection.execute_batch("BEGIN")?;
    let total = opened.iter().map(|one| one.identity.bytes).sum::<Option<u64>>();
    progress.begin(Phase::Load, total);
    let mut warnings = Warnings::read(connection)?;
    let last_commit_ts =
        opened.iter().map(|one| one.reader.opening().last_commit_ts).max().unwrap_or_default();
    let snapshot_ms = snapshot_time(as_of, last_commit_ts);
    // For views that judge times.
    staging.set_fact("snapshot_ms", snapshot_ms)?;
    let mut authentic = Vec::new();
    for (source, mut one) in opened.into_iter().enumerate() {
        // Small files end before they come to a checkpoint at which they would stop.
        if progress.is_interrupted() {
            return Err(Error::Interrupted);
        }
        if let Some(as_of) = as_of {
            one.reader.read_as_of(as_of);
        }
        if options.self_contained {
            one.reader.hand_on_everything();
        }
        if let Some(keys) = &options.keys {
            one.reader.decrypt_with(Arc::clone(keys));
        }
        authentic.extend(writer::load_one(source as i64, one, staging, options, &mut warnings, progress)?);
    }
    progress.end();
    if progress.is_interrupted() {
        return Err(Error::Interrupted);
    }

    progress.begin(Phase::Reconcile, None);
    let policy = Policy { staging, on_error: options.on_error };
    let large_values = LargeValues::new(connection, options.keys.clone());
    authentic.into_iter().try_for_each(|one| large_values.trust(one))?;
    for family in FAMILIES.iter().filter(|family| is_staged(family.name(), options)) {
        family.reconcile(&mut Reconcile {
            staging,
            large_values: &large_values,
            snapshot_ms,
            warnings: &mut warnings,
            progress,
            malformed: &|row, rule, warnings| policy.take(row, rule, warnings),
        })?;
    }
    warnings.save(connection)?;
    staging.set_fact("complete", 1)?;
    connection.execute_batch("COMMIT")?;
    staging.end_unsynced()?;
    progress.end();
    Ok(())
}

/// Everything about a run that its result depends on, in readable form.
fn plan(options: &LoadOptions, as_of: Option<Hlc>) -> String {
    let as_of = as_of.map_or_else(|| "the newest versions".to_owned(), |as_of| format!("as of {}", as_of.0));
    let on_error = match options.on_error {
        OnError::Stop => "stopping at",
        OnError::Quarantine => "quarantining",
    };
    let large_values = if options.self_contained { "included" } else { "by reference" };
    format!(
        "ekvsnap {}, {as_of}, {on_error} malformed rows, adapters {}, large values {large_values}",
        env!("CARGO_PKG_VERSION"),
        options.adapters.join(",")
    )
}

fn begin(
    staging: &Staging,
    options: &LoadOptions,
    plan: &str,
    as_of: Option<Hlc>,
    opened: &[Opened<'_>],
) -> Result<(), Error> {
    staging.begin_unsynced()?;
    staging.connection().execute_batch("BEGIN")?;
    staging.set_fact("tool_version", env!("CARGO_PKG_VERSION"))?;
    staging.set_fact("adapters", options.adapters.join(","))?;
    staging.set_fact("as_of", as_of.map(|as_of| U64(as_of.0)))?;
    staging.set_fact("plan", plan)?;
    for (source, one) in opened.iter().enumerate() {
        one.enter(staging, source as i64)?;
    }
    staging.connection().execute_batch("COMMIT")?;
    Ok(())
}

/// Refuses to go on with something else than what was begun.
fn check_same(staging: &Staging, begun: &str, plan: &str, opened: &[Opened<'_>]) -> Result<(), Error> {
    let other =
        |begun: String, asked: String| Error::OtherRun { staging: staging.path().to_owned(), begun, asked };
    if begun != plan {
        return Err(other(begun.to_owned(), plan.to_owned()));
    }
    let known = Identity::of_sources(staging)?;
    let asked: Vec<&Identity> = opened.iter().map(|one| &one.identity).collect();
    if known.len() == asked.len() && known.iter().zip(&asked).all(|(a, b)| a.is_same(b)) {
        return Ok(());
    }
    let describe = |all: &[&Identity]| all.iter().map(|one| one.describe()).collect::<Vec<_>>().join(", ");
    Err(other(describe(&known.iter().collect::<Vec<_>>()), describe(&asked)))
}

/// Transactions are looked at whatever was asked for: their intents may be writes of any family.
fn is_staged(family: &str, options: &LoadOptions) -> bool {
    family == "txn" || options.adapters.iter().any(|adapter| adapter == family)
}

fn read_timestamp(as_of: AsOf, opened: &[Opened<'_>]) -> Option<Hlc> {
    match as_of {
        AsOf::Newest => None,
        AsOf::At(as_of) => Some(as_of),
        // An empty state has no timestamp and constrains nothing.
        AsOf::Consistent => {
            opened.iter().map(|one| one.reader.opening().last_commit_ts).filter(|ts| *ts > Hlc(0)).min()
        }
    }
}
