//! `ekvsnap token`: the 17 bytes by which a Raft log refers to a snapshot, and the `.snap` file that carries them.

use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use ekvsnap::error::Error;
use ekvsnap::snapshot::{self, SnapFileError, TokenError};
use ekvsnap::verify::{
    Comparison, Finding, Kind, SnapshotIdentity, TokenFile, TokenFileError, broken, compare_token,
};
use serde_json::json;

use super::exit::{Status, UsageError, leaving_nothing};
use super::log::Manners;
use super::new_file;
use super::progress::Bars;
use super::verify::Printer;

/// Print, make and check snapshot tokens: what a Raft log says of the snapshot that it begins after
///
/// A token names a snapshot by its Raft index and its CRC-32C. A node keeps it in snap/<term>-<index>.snap, and starts
/// only if fsm-snap/<index>.fsm is the snapshot that it means.
#[derive(Subcommand)]
pub enum Token {
    Show(Show),
    Make(Make),
    Check(Check),
}

const SHOW_EXAMPLES: &str = "\
Examples:
  ekvsnap token show snap/0000000000000007-00000000000011c7.snap
  ekvsnap token show 454b56540100000000000011c709ba5132

Fields of the object that --json prints:
  token             34 hex digits
  index, crc32c     of the snapshot that it means
  snap              of a .snap file: index, term, voters and learners (node ids, 16 hex digits each), crc32c of the
                    file's own content; else null";

/// Print what a token or a .snap file says: index, term, voters, checksum
#[derive(Args)]
#[command(after_help = SHOW_EXAMPLES)]
pub struct Show {
    /// A .snap file, a file that holds the 17 bytes of a token, or a token as 34 hex digits
    #[arg(value_name = "TOKEN")]
    token: PathBuf,

    /// Print one JSON object; its shape is said below
    #[arg(long)]
    json: bool,
}

const MAKE_EXAMPLES: &str = "\
Examples:
  ekvsnap token make 00000000000011c7.fsm
  ekvsnap token make restored.fsm --index 1 -o token";

/// Make the token of a snapshot, which is read to its end for it
#[derive(Args)]
#[command(after_help = MAKE_EXAMPLES)]
pub struct Make {
    /// The snapshot
    #[arg(value_name = "SNAPSHOT")]
    snapshot: PathBuf,

    /// The Raft index, for a snapshot that does not say it: one without the row _meta_applied_index and whose name is no
    /// index
    #[arg(long, value_name = "N")]
    index: Option<u64>,

    /// Write the 17 bytes into this file, which must not exist, instead of printing hex digits
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

const CHECK_EXAMPLES: &str = "\
Examples:
  ekvsnap token check snap/0000000000000007-00000000000011c7.snap fsm-snap/00000000000011c7.fsm
  ekvsnap token check 454b56540100000000000011c709ba5132 00000000000011c7.fsm

With --json every line is an object: what agrees (agrees, detail), what does not as a finding of
`ekvsnap verify --json`, and the result at the end.

Exit status: 0 they belong together, 7 they do not, others as for all commands.";

/// Say whether a token or a .snap file belongs to a snapshot, one line a comparison
#[derive(Args)]
#[command(after_help = CHECK_EXAMPLES)]
pub struct Check {
    /// A .snap file, a file that holds the 17 bytes of a token, or a token as 34 hex digits
    #[arg(value_name = "TOKEN")]
    token: PathBuf,

    /// The snapshot
    #[arg(value_name = "SNAPSHOT")]
    snapshot: PathBuf,

    /// Print JSON objects; their shape is said below
    #[arg(long)]
    json: bool,
}

impl Token {
    pub fn run(self, manners: &Manners) -> anyhow::Result<Status> {
        match self {
            Self::Show(command) => command.run(manners),
            Self::Make(command) => command.run(manners),
            Self::Check(command) => command.run(manners),
        }
    }
}

/// The token that an argument stands for: hex digits, unless a file has that name.
fn held(argument: &Path) -> Result<TokenFile, TokenFileError> {
    let digits = argument.to_str().and_then(|text| text.parse().ok());
    match digits {
        Some(token) if !argument.exists() => Ok(TokenFile::Token(token)),
        _ => TokenFile::read(argument),
    }
}

fn hex_ids(ids: &[u64]) -> Vec<String> {
    ids.iter().map(|id| format!("{id:016x}")).collect()
}

impl Show {
    fn run(self, manners: &Manners) -> anyhow::Result<Status> {
        let held = held(&self.token)?;
        let token = held.token();
        let snap = match &held {
            TokenFile::Snap(snap) => Some(snap),
            TokenFile::Token(_) => None,
        };
        let text = if self.json {
            let snap = snap.map(|snap| {
                json!({
                    "index": snap.index, "term": snap.term, "voters": hex_ids(&snap.voters),
                    "learners": hex_ids(&snap.learners), "crc32c": format!("{:08x}", snap.crc32c),
                })
            });
            let crc32c = format!("{:08x}", token.crc32c);
            let object =
                json!({ "token": token.to_string(), "index": token.index, "crc32c": crc32c, "snap": snap });
            serde_json::to_string_pretty(&object)? + "\n"
        } else {
            let mut text =
                format!("token     {token}\nindex     {}\ncrc32c    {:08x}\n", token.index, token.crc32c);
            if let Some(snap) = snap {
                let named =
                    |ids: &[u64]| if ids.is_empty() { "none".to_owned() } else { hex_ids(ids).join(" ") };
                if snap.index != token.index {
                    writeln!(text, "          but the .snap file says index {}", snap.index)?;
                }
                writeln!(text, "term      {}", snap.term)?;
                writeln!(text, "voters    {}", named(&snap.voters))?;
                writeln!(text, "learners  {}", named(&snap.learners))?;
            }
            text
        };
        manners.print(&text)?;
        Ok(Status::Whole)
    }
}

impl Make {
    fn run(self, manners: &Manners) -> anyhow::Result<Status> {
        let bars = Bars::new(manners)?;
        let snapshot = SnapshotIdentity::read(&self.snapshot, &bars).map_err(leaving_nothing)?;
        let path = self.snapshot.display();
        let Some(crc32c) = snapshot.crc32c else {
            return Err(UsageError(format!("{path} has no CRC-32C footer, so no token can mean it")).into());
        };
        if let (Some(given), Some(stated)) = (self.index, snapshot.applied_index)
            && given != stated
        {
            let why = format!("{path} says itself that its index is {stated}, which a node believes");
            return Err(UsageError(why).into());
        }
        let Some(index) = self.index.or(snapshot.index()) else {
            return Err(
                UsageError(format!("{path} does not say its Raft index: give it with --index")).into()
            );
        };
        if let (Some(name), Some(stated)) = (snapshot.name_index, snapshot.applied_index)
            && name != stated
        {
            tracing::warn!("{path} is named for index {name}, but its content says {stated}, which counts");
        }
        let token = snapshot::Token { index, crc32c };
        match &self.output {
            None => manners.print(&format!("{token}\n"))?,
            Some(output) => new_file::write(output, &token.encode())?,
        }
        Ok(Status::Whole)
    }
}

impl Check {
    fn run(self, manners: &Manners) -> anyhow::Result<Status> {
        let bars = Bars::new(manners)?;
        let printer = Printer::new(manners, &bars, self.json);
        let findings = |finding: Finding| printer.print(&finding);
        let held = match held(&self.token) {
            Ok(held) => Some(held),
            Err(TokenFileError::Snap { error, .. })
                if !matches!(error, SnapFileError::NoToken(TokenError::Version(_))) =>
            {
                let path = self.token.as_os_str().as_bytes();
                findings(Finding::new(Kind::SnapFileMalformed, path, one_line(&error)));
                None
            }
            Err(error) => return Err(error.into()),
        };
        let snapshot = match SnapshotIdentity::read(&self.snapshot, &bars) {
            Ok(snapshot) => Some(snapshot),
            Err(Error::Snapshot(error)) => {
                findings(broken(error)?);
                None
            }
            Err(error) => return Err(leaving_nothing(error)),
        };
        if let (Some(held), Some(snapshot)) = (held, snapshot) {
            let file = self.token.exists().then_some(&*self.token);
            for comparison in compare_token(&held, file, &snapshot) {
                match comparison.finding() {
                    Some(finding) => findings(finding),
                    None if self.json => {
                        let Comparison { name, detail, .. } = comparison;
                        printer.line(&json!({ "agrees": name, "detail": detail }).to_string());
                    }
                    None if !manners.quiet => {
                        printer.line(&format!("agrees    {}: {}", comparison.name, comparison.detail));
                    }
                    None => {}
                }
            }
        }
        printer.finish("token", json!({}), "")
    }
}

fn one_line(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
