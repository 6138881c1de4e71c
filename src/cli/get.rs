//! `ekvsnap get`: one key, as a dump would have it.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use anyhow::Context;
use clap::Args;
use ekvsnap::dump::tree::TreeError;
use ekvsnap::error::Error;
use ekvsnap::family::Content;
use ekvsnap::keys::{Called, Filter, Found, find, get, near, stored_content};
use ekvsnap::snapshot::{Escaped, Readable};
use ekvsnap::staging::{Staging, parse_hex};

use super::args::WhichKeys;
use super::exit::{KeyError, Status, UsageError, leaving_nothing};
use super::log::{Manners, goes_on};
use super::progress::Bars;
use super::source::SourceArgs;

/// How many keys of one name are shown.
const SHOWN: usize = 5;

const EXAMPLES: &str = "\
Examples:
  ekvsnap get prod.db user:42
  ekvsnap get prod.db orders/c-17/2026-04-29       an item: table/hash/range, or table/hash
  ekvsnap get prod.db photos/2026/cat.jpg          an object: bucket/key
  ekvsnap get prod.db mails                        the messages of a queue
  ekvsnap get prod.db mails --about                its attributes
  ekvsnap get prod.db photos/2026/cat.jpg --about  what is known of the object
  ekvsnap get prod.db 'bin:\\x00\\xff'               as keys and messages show it; X'62696E3A00FF' as views do
  ekvsnap get prod.db --hex 62696e3a00ff           key_hex of `keys --json`
  ekvsnap get 0000000000002710.fsm user:42 --as-of 2026-04-29T15:42:11Z
If keys of several families share a name, --family, --type or --scope tells which one is meant. A key that is not there,
and a name that is not one key's, end with exit status 2.";

/// Print one key: exactly the bytes of its file in a dump
///
/// A string, a HyperLogLog or an object is printed as its bytes, a collection or an item as JSON, the messages of a queue
/// as one JSON object a line.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Get {
    #[command(flatten)]
    source: SourceArgs,

    /// What the key is called: as `keys` shows it
    #[arg(value_name = "KEY")]
    key: OsString,

    #[command(flatten)]
    which: WhichKeys,

    /// KEY are hex digits: `key_hex` of `keys --json` and of the views
    #[arg(long, help_heading = "Which keys")]
    hex: bool,

    /// Print the bytes that a node stores as the value: of a string, a HyperLogLog, an object, an item. Other keys have no
    /// such bytes
    #[arg(long, help_heading = "Output")]
    raw: bool,

    /// Print the file that tells about the key instead: *.elastickv-meta.json of an object, _queue.json of a queue,
    /// _schema.json of an item's table
    #[arg(long, conflicts_with = "raw", help_heading = "Output")]
    about: bool,
}

impl Get {
    pub fn run(self, manners: &Manners) -> anyhow::Result<Status> {
        let bytes = self.key.as_bytes();
        let called = match self.hex {
            false => Called::Name(bytes.to_vec()),
            true => Called::Order(parse_hex(bytes).ok_or_else(|| {
                UsageError(format!(
                    "--hex {:?} is no even number of hex digits",
                    self.key.display().to_string()
                ))
            })?),
        };
        let bars = Bars::new(manners)?;
        let source = self.source.open(self.which.adapters(), &bars)?;
        let filter = self.which.filter(source.staging())?;
        let found = find(source.staging(), &filter, &called).map_err(leaving_nothing)?;
        let found = match &found[..] {
            [found] => found,
            [] => return Err(self.missing(source.staging(), &filter, &called)?.into()),
            several => return Err(self.ambiguous(several).into()),
        };
        let content = self.content(found)?;
        let stdout =
            File::from(io::stdout().as_fd().try_clone_to_owned().context("cannot write to standard output")?);
        let name = Path::new("standard output");
        let there = match get(
            source.staging(),
            source.keyring.clone(),
            found,
            content,
            name,
            Box::new(stdout),
            &bars,
        ) {
            Ok(path) => path.is_some(),
            Err(Error::Tree(TreeError { source, .. })) => {
                let _ = goes_on(Err(source))?;
                true
            }
            Err(error) => return Err(leaving_nothing(error)),
        };
        let status = source.status()?;
        if there {
            return Ok(status);
        }
        if found.family == "sqs" {
            tracing::info!("the queue has no messages: a dump has no messages.jsonl of it");
            return Ok(status);
        }
        tracing::warn!("a dump has no file of it: there is no path that it could have");
        Ok(Status::Incomplete)
    }

    fn content(&self, found: &Found) -> anyhow::Result<Content> {
        let Found { family, key_type, .. } = found;
        let name = Readable(&found.name);
        if self.about && *family == "redis" {
            let why = format!("nothing lies beside the {key_type} {name}; `keys` shows when it expires");
            return Err(UsageError(why).into());
        }
        match (self.about, self.raw) {
            (true, _) => Ok(Content::About),
            (_, false) => Ok(Content::Value),
            (_, true) => stored_content(key_type).ok_or_else(|| {
                let why = format!(
                    "the {key_type} {name} is not stored as one value, but in a row for each element: leave --raw away"
                );
                UsageError(why).into()
            }),
        }
    }

    fn missing(&self, staging: &Staging, filter: &Filter, called: &Called) -> anyhow::Result<KeyError> {
        let near = near(staging, filter, called)?;
        let near: Vec<_> = near.iter().map(|name| Readable(name).to_string()).collect();
        let hint = if near.is_empty() {
            "`ekvsnap keys` lists what is there; items are called table/hash or table/hash/range, objects bucket/key".to_owned()
        } else {
            format!("nearby are {}", near.join(", "))
        };
        let key = Readable(self.key.as_bytes());
        Ok(KeyError { message: format!("there is no key {key} in {}", filter.adapters.join(", ")), hint })
    }

    fn ambiguous(&self, several: &[Found]) -> KeyError {
        let mut shown: Vec<_> = several
            .iter()
            .take(SHOWN)
            .map(|found| format!("{} {} {}", found.family, found.key_type, Escaped(&found.name)))
            .collect();
        if several.len() > SHOWN {
            shown.push("…".to_owned());
        }
        KeyError {
            message: format!(
                "{} is the name of {} keys: {}",
                Readable(self.key.as_bytes()),
                several.len(),
                shown.join("; ")
            ),
            hint:
                "--family, --type or --scope tells which one is meant, or --hex with key_hex of `keys --json`"
                    .to_owned(),
        }
    }
}
