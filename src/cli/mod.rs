//! The command line: one file per command, shared arguments in `args`, what people see in `log`, `progress` and
//! `text`. It decides nothing about data; that is the library's.

mod args;
mod completions;
mod decode;
mod exit;
mod export;
mod get;
mod given;
mod hints;
mod info;
mod interrupt;
mod keys;
mod load;
mod log;
mod man;
mod new_file;
mod progress;
mod source;
mod sql;
mod stats;
#[cfg(test)]
mod tests;
mod text;
mod token;
mod verify;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use self::exit::Status;

/// Decode elastickv snapshots: load them into SQLite, look inside, export them as plain files
#[derive(Parser)]
#[command(name = Self::NAME, version, about, after_help = exit::HELP, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Command,

    #[command(flatten)]
    manners: log::Manners,
}

#[derive(Subcommand)]
enum Command {
    Decode(decode::Decode),
    Load(load::Load),
    Export(export::Export),
    Info(info::Info),
    Keys(keys::Keys),
    Get(get::Get),
    Stats(stats::Stats),
    Sql(sql::Sql),
    Verify(verify::Verify),
    #[command(subcommand)]
    Token(token::Token),
    Completions(completions::Completions),
    Man(man::Man),
}

impl Cli {
    /// As it is called.
    const NAME: &'static str = "ekvsnap";
}

/// Runs the command that the arguments name.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors; a closed pipe is nobody's either.
            let _ = error.print();
            return if error.use_stderr() { Status::Usage } else { Status::Whole }.into();
        }
    };
    cli.manners.install();
    let run = match cli.command {
        Command::Decode(command) => command.run(&cli.manners),
        Command::Load(command) => command.run(&cli.manners),
        Command::Export(command) => command.run(&cli.manners),
        Command::Info(command) => command.run(&cli.manners),
        Command::Keys(command) => command.run(&cli.manners),
        Command::Get(command) => command.run(&cli.manners),
        Command::Stats(command) => command.run(&cli.manners),
        Command::Sql(command) => command.run(&cli.manners),
        Command::Verify(command) => command.run(&cli.manners),
        Command::Token(command) => command.run(&cli.manners),
        Command::Completions(command) => command.run(&cli.manners),
        Command::Man(command) => command.run(&cli.manners),
    };
    match run {
        Ok(status) => status.into(),
        Err(error) => exit::report(&error).into(),
    }
}
