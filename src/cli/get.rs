//! `ekvsnap get`: one key, as a dump would have it.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use ekvsnap::dump::push_hex;
use ekvsnap::dump::tree::TreeError;
use ekvsnap::error::Error;
use ekvsnap::family::Content;
use ekvsnap::keys::{Called, Filter, Found, find, get, near, stored_content};
use ekvsnap::snapshot::Readable;
use ekvsnap::staging::{Staging, parse_hex};

use super::args::{KeyArgs, ReadArgs, WhichKeys};
use super::exit::{KeyError, Status, UsageError, leaving_nothing};
use super::log::{Manners, goes_on};
use super::progress::Bars;
use super::source::Source;

/// How many keys of one name are shown.
const SHOWN: usize = 5;

const EXAMPLES: &str = "\
Examples:
  ekvsnap get prod.db user:42
  ekvsnap get prod.db orders/c-17/2026-04-29     an item: table/hash/range, or table/hash
  ekvsnap get prod.db photos/cat.jpg             an object: bucket/key
  ekvsnap get prod.db photos/cat.jpg --about     what is known of it
  ekvsnap get prod.db mails                      the messages of a queue
  ekvsnap get prod.db mails --about              its attributes
  ekvsnap get prod.db 'bin:\\x00\\xff'             as `keys` and messages show it
  ekvsnap get prod.db \"X'62696E3A00FF'\"         as views show it
  ekvsnap get prod.db --hex 62696e3a00ff         key_hex of `keys --json`
  ekvsnap get 0000000000002710.fsm user:42 --as-of 2026-04-29T15:42:11Z

If keys of several families share a name, --family, --type or --scope tells which one is meant.
A key that is not there, and a name that is not one key's, end with exit status 2.";

/// Print one key: exactly the bytes of its file in a dump
///
/// A string, a HyperLogLog or an object is printed as its bytes, a collection or an item as JSON, the messages of a queue
/// as one JSON object a line.
#[derive(Args)]
#[command(after_help = EXAMPLES, override_usage = "ekvsnap get [OPTIONS] <SOURCE>... <KEY>")]
pub struct Get {
    /// What is asked: a staging database made by `ekvsnap load`; or snapshot files (*.fsm), a node's data directory, or -
    /// for standard input, which are read to their end first. And behind it what the key is called: as `keys` shows it
    #[arg(value_name = "SOURCE KEY", required = true)]
    arguments: Vec<OsString>,

    #[command(flatten)]
    read: ReadArgs,

    #[command(flatten)]
    keys: KeyArgs,

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
        let (key, sources) = match &self.arguments[..] {
            [sources @ .., key] if !sources.is_empty() => (key, sources),
            _ => return Err(UsageError("a key is missing: get SOURCE KEY".to_owned()).into()),
        };
        let sources: Vec<_> = sources.iter().map(PathBuf::from).collect();
        let bytes = key.as_bytes();
        let called = match self.hex {
            false => Called::Name(bytes.to_vec()),
            true => Called::Order(parse_hex(bytes).ok_or_else(|| {
                UsageError(format!("--hex {:?} is no even number of hex digits", key.display().to_string()))
            })?),
        };
        let bars = Bars::new(manners)?;
        let source = Source::open(&sources, &self.read, self.keys.read()?, self.which.adapters(), &bars)?;
        let filter = self.which.filter(source.staging())?;
        let found = find(source.staging(), &filter, &called).map_err(leaving_nothing)?;
        let found = match &found[..] {
            [found] => found,
            [] => {
                return Err(missing(key, source.staging(), &filter, &called)
                    .map_err(leaving_nothing)?
                    .into());
            }
            several => return Err(ambiguous(key, several).into()),
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
}

fn missing(key: &OsStr, staging: &Staging, filter: &Filter, called: &Called) -> Result<KeyError, Error> {
    let key = Readable(key.as_bytes());
    let of_any_type = Filter { types: Vec::new(), ..filter.clone() };
    if let Some(found) = find(staging, &of_any_type, called)?.first() {
        let message = format!("{key} is no {}: it is a {}", filter.types.join(", "), found.key_type);
        return Ok(KeyError { message, hint: "leave --type away".to_owned() });
    }
    let near: Vec<_> = near(staging, filter, called)?.iter().map(|name| Readable(name).to_string()).collect();
    let hint = if near.is_empty() {
        "`ekvsnap keys` lists what is there; items are called table/hash or table/hash/range, objects bucket/key"
            .to_owned()
    } else {
        format!("nearby are {}", near.join(", "))
    };
    Ok(KeyError { message: format!("there is no key {key} in {}", filter.adapters.join(", ")), hint })
}

fn ambiguous(key: &OsStr, several: &[Found]) -> KeyError {
    let shown = several.iter().take(SHOWN).map(|Found { family, key_type, name, place }| {
        let mut hex = Vec::new();
        push_hex(&place.key, &mut hex);
        format!("{family} {key_type} {} (--hex {})", Readable(name), Readable(&hex))
    });
    let mut shown: Vec<_> = shown.collect();
    if several.len() > SHOWN {
        shown.push("…".to_owned());
    }
    let (key, shown) = (Readable(key.as_bytes()), shown.join("; "));
    KeyError {
        message: format!("{key} is the name of {} keys: {shown}", several.len()),
        hint: "--family, --type, --scope or --hex tells which one is meant".to_owned(),
    }
}
