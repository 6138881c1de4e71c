//! Everything that can be typed says what it is for, here and in `docs/commands.md`.

use std::collections::BTreeSet;

use clap::{Arg, Command, CommandFactory};

use super::{Cli, exit};

/// A command and all below it, each with the words that call it.
fn all_commands(command: &Command, words: &str) -> Vec<(String, Command)> {
    let mut all = vec![(words.to_owned(), command.clone())];
    for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
        all.extend(all_commands(below, &format!("{words} {}", below.get_name())));
    }
    all
}

fn built() -> Vec<(String, Command)> {
    let mut command = Cli::command();
    command.build();
    all_commands(&command, Cli::NAME)
}

fn help_of(argument: &Arg) -> String {
    argument.get_long_help().or(argument.get_help()).map(ToString::to_string).unwrap_or_default()
}

#[test]
fn clap_finds_nothing_wrong_with_the_arguments() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_and_option_says_what_it_is_for() {
    for (words, command) in built() {
        assert!(command.get_about().is_some(), "{words} has no help");
        for argument in command.get_arguments() {
            assert!(!help_of(argument).is_empty(), "{words}: {argument} has no help");
        }
    }
}

#[test]
fn every_value_of_an_option_is_explained_by_itself_or_named_in_the_help_of_the_option() {
    for (words, command) in built() {
        for argument in command.get_arguments().filter(|argument| argument.get_action().takes_values()) {
            let help = help_of(argument);
            for value in argument.get_possible_values() {
                let named = help
                    .split(|c: char| !c.is_alphanumeric() && c != '-')
                    .any(|word| word == value.get_name());
                assert!(
                    value.get_help().is_some() || named,
                    "{words}: {argument}: {} is not explained",
                    value.get_name()
                );
            }
        }
    }
}

#[test]
fn every_command_but_the_helpers_has_examples() {
    for (words, command) in built().into_iter().filter(|(_, command)| !command.has_subcommands()) {
        let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        assert!(after.starts_with("Examples:\n"), "{words} has no examples");
    }
}

#[test]
fn the_reference_has_every_command_and_no_other() {
    let page = include_str!("../../docs/commands.md");
    let there: BTreeSet<_> = page
        .lines()
        .filter_map(|line| line.strip_prefix("$ ")?.strip_suffix(" --help").map(str::to_owned))
        .collect();
    let all: BTreeSet<_> = built().into_iter().map(|(words, _)| words).collect();
    assert_eq!(there, all);
}

#[test]
fn the_page_on_exit_statuses_has_those_of_the_help() {
    let page = include_str!("../../docs/exit_statuses.md");
    let there: Vec<_> = page
        .lines()
        .filter_map(|line| {
            let (status, rest) = line.strip_prefix("| **")?.split_once("** | ")?;
            Some(format!("  {status:<5}{}", rest.split(" | ").next()?))
        })
        .collect();
    let all: Vec<_> = exit::HELP.lines().skip(1).collect();
    assert_eq!(there, all);
}
