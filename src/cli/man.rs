//! `ekvsnap man`: the manual pages, generated from the arguments themselves.

use std::fs;
use std::io;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Command, CommandFactory};
use clap_mangen::Man as Page;
use roff::{Roff, bold, roman};

use super::Cli;
use super::exit::Status;
use super::log::Manners;

const EXAMPLES: &str = "\
Examples:
  ekvsnap man | man -l -
  ekvsnap man ~/.local/share/man/man1 && man ekvsnap-decode";

/// Print the manual page, or write those of all commands into a directory
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Man {
    /// Write a page per command here: ekvsnap.1, ekvsnap-decode.1, …; pages that are there are replaced. Without it, the
    /// page of ekvsnap goes to standard output
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
}

impl Man {
    pub fn run(self, manners: &Manners) -> anyhow::Result<Status> {
        let mut command = Cli::command().disable_help_subcommand(true);
        command.build();
        let Some(directory) = self.directory else {
            manners.print(&String::from_utf8(page(command)?.1)?)?;
            return Ok(Status::Whole);
        };
        let cannot_write = || format!("cannot write {}", directory.display());
        fs::create_dir_all(&directory).with_context(cannot_write)?;
        for (name, page) in pages(command)? {
            fs::write(directory.join(name), page).with_context(cannot_write)?;
        }
        Ok(Status::Whole)
    }
}

/// The pages of a command and of all below it, each with its file name.
fn pages(command: Command) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut below = Vec::new();
    for subcommand in command.get_subcommands() {
        below.extend(pages(subcommand.clone())?);
    }
    below.insert(0, page(command)?);
    Ok(below)
}

fn page(command: Command) -> io::Result<(String, Vec<u8>)> {
    let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let (is_top, has_commands) = (command.get_name() == Cli::NAME, command.has_subcommands());
    // A date that is empty would be left out, and what follows it take its place.
    let page =
        Page::new(command).date(" ").source(concat!("ekvsnap ", env!("CARGO_PKG_VERSION"))).manual("ekvsnap");
    let mut text = Vec::new();
    page.render_title(&mut text)?;
    page.render_name_section(&mut text)?;
    page.render_synopsis_section(&mut text)?;
    page.render_description_section(&mut text)?;
    page.render_options_section(&mut text)?;
    if has_commands {
        page.render_subcommands_section(&mut text)?;
    }
    render_after_help(&after, &mut text)?;
    if !is_top {
        let mut see_also = Roff::new();
        see_also
            .control("SH", ["SEE ALSO"])
            .text([bold("ekvsnap"), roman("(1), which has the exit statuses")]);
        see_also.to_writer(&mut text)?;
    }
    Ok((page.get_filename(), text))
}

/// What stands below the options in `--help`, its lines as they are: examples would be of no use in a paragraph.
fn render_after_help(after: &str, to: &mut Vec<u8>) -> io::Result<()> {
    let mut roff = Roff::new();
    for line in after.lines() {
        match line.strip_suffix(':') {
            Some(title) if !line.starts_with(' ') => {
                roff.control("fi", []).control("SH", [&*title.to_uppercase()]).control("nf", []);
            }
            _ => {
                roff.text([roman(line)]);
            }
        }
    }
    roff.control("fi", []);
    roff.to_writer(to)
}
