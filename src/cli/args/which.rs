//! Which families, databases, tables, buckets, queues and keys are meant.

use clap::Args;
use ekvsnap::family::ADAPTERS;
use ekvsnap::keys::{Filter, TYPES, adapters};
use ekvsnap::staging::Staging;

use crate::cli::exit::UsageError;

/// Which families.
#[derive(Args)]
pub struct AdapterArgs {
    /// Only these adapters, of dynamodb, s3, redis and sqs, e.g. `redis,sqs`; rows of others are counted and left out.
    /// Default: all there are
    #[arg(
        long = "adapter",
        visible_alias = "family",
        value_name = "NAME",
        value_delimiter = ',',
        value_parser = ADAPTERS,
        help_heading = "What to read"
    )]
    adapters: Vec<String>,
}

impl AdapterArgs {
    /// Their names, in the order of the manifest; all of them if none is given.
    pub fn names(&self) -> Vec<String> {
        ADAPTERS
            .iter()
            .filter(|name| self.adapters.is_empty() || self.adapters.iter().any(|given| given == *name))
            .map(ToString::to_string)
            .collect()
    }

    /// Those that were given.
    pub fn given(&self) -> Option<Vec<String>> {
        self.are_given().then(|| self.names())
    }

    /// Were any given?
    pub fn are_given(&self) -> bool {
        !self.adapters.is_empty()
    }
}

/// Which keys.
#[derive(Args)]
pub struct WhichKeys {
    #[command(flatten)]
    adapters: AdapterArgs,

    /// Only keys of this database, table, bucket or queue, e.g. `s3=photos`; repeatable. Of other adapters those named
    /// with --adapter remain
    #[arg(long = "scope", value_name = "FAMILY=NAME", value_parser = parse_scope, help_heading = "Which keys")]
    scopes: Vec<(String, String)>,

    /// Only keys of these types: string, hll, hash, list, set, stream or zset of Redis, item, object, queue; e.g.
    /// `hash,zset`
    #[arg(long = "type", value_name = "TYPE", value_delimiter = ',', value_parser = TYPES, help_heading = "Which keys")]
    types: Vec<String>,
}

impl WhichKeys {
    /// The adapters, to read a snapshot with.
    pub fn adapters(&self) -> &AdapterArgs {
        &self.adapters
    }

    /// The keys of a database that are meant.
    pub fn filter(&self, staging: &Staging) -> anyhow::Result<Filter> {
        let adapters = match (self.adapters.given(), &self.scopes[..]) {
            (None, [_, ..]) => {
                adapters(staging, Some(self.scopes.iter().map(|(family, _)| family.clone()).collect()))?
            }
            (given, _) => adapters(staging, given)?,
        };
        check_scopes(&self.scopes, &adapters)?;
        let (scopes, types) = (self.scopes.clone(), self.types.clone());
        Ok(Filter { adapters, scopes, types, ..Filter::default() })
    }
}

/// Is every scope of one of these adapters?
pub(super) fn check_scopes(scopes: &[(String, String)], adapters: &[String]) -> Result<(), UsageError> {
    match scopes.iter().find(|(family, _)| !adapters.contains(family)) {
        None => Ok(()),
        Some((family, name)) => {
            let adapters = adapters.join(",");
            Err(UsageError(format!(
                "--scope {family}={name} does not go together with --adapter {adapters}, which leaves {family} out"
            )))
        }
    }
}

/// Takes `FAMILY=NAME` apart.
pub fn parse_scope(text: &str) -> Result<(String, String), String> {
    let (family, name) = text.split_once('=').ok_or("a scope has the form FAMILY=NAME, e.g. redis=0")?;
    if !ADAPTERS.contains(&family) {
        return Err(format!("no adapter {family:?}; there are {}", ADAPTERS.join(", ")));
    }
    if name.is_empty() {
        return Err("the name after = is empty".to_owned());
    }
    Ok((family.to_owned(), name.to_owned()))
}
