//! `ekvsnap completions`: what a shell needs to complete the command line, generated from the arguments themselves.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::Cli;
use super::exit::Status;
use super::log::Manners;

const EXAMPLES: &str = "\
Examples:
  bash  ekvsnap completions bash > ~/.local/share/bash-completion/completions/ekvsnap
  zsh   ekvsnap completions zsh > ~/.zfunc/_ekvsnap        (a folder of $fpath, before compinit)
  fish  ekvsnap completions fish > ~/.config/fish/completions/ekvsnap.fish";

/// Print a script by which a shell completes commands, options and their values
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Completions {
    /// The shell: bash, elvish, fish, powershell or zsh
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

impl Completions {
    pub fn run(self, manners: &Manners) -> anyhow::Result<Status> {
        let mut script = Vec::new();
        let mut command = Cli::command();
        let name = command.get_name().to_owned();
        clap_complete::generate(self.shell, &mut command, name, &mut script);
        manners.print(&String::from_utf8(script)?)?;
        Ok(Status::Whole)
    }
}
