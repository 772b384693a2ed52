//! The arguments of a command, whichever way they are given.
//!
//! Every flag `--some-flag` may come from the environment as `TOMBOLO_SOME_FLAG`, and, of commands with `--config`, from a TOML file under
//! the key `some-flag`. Invariants: a flag goes before the environment, that before the file, that before the default; the names follow
//! from the definitions of the flags, so that none can be forgotten. Cost: the arguments are read up to three times.

mod file;
mod print;

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::builder::BoolishValueParser;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, CommandFactory, FromArgMatches, Id};

use super::failure::Failure;
use super::{Tombolo, help};
use file::File;

/// What names of variables begin with.
const PREFIX: &str = "TOMBOLO_";

/// Flags whose values are never shown: they are passwords, or have one in them.
const SECRET: [&str; 2] = ["token", "proxy"];

/// The flags of a command that can be configured by a file.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Configuration")]
pub(super) struct Config {
    /// Read settings from a TOML file, whose keys are the names of the flags; see --print-config
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print all settings as they now are, as such a file with comments, and end
    #[arg(long)]
    print_config: bool,
}

/// What was asked for.
#[derive(Debug)]
pub(super) enum Asked {
    /// To run a command.
    Run(Box<Tombolo>),
    /// To be told this.
    Print(String),
}

/// Why nothing is done.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The arguments are wrong.
    Misused(clap::Error),
    /// The file is, and whether that is to be told as JSON.
    File(Failure, bool),
}

/// All commands as clap knows them, with what their help says besides.
pub(super) fn commands() -> Command {
    help::complete(Tombolo::command())
}

/// Reads the arguments, the environment, and the file that they name.
///
/// # Errors
/// An argument, a variable or a line of the file is refused.
pub(super) fn read(arguments: &[OsString]) -> Result<Asked, Refusal> {
    let command = equipped(arguments);
    let parse = |arguments: &[OsString]| match command.clone().try_get_matches_from(arguments) {
        Err(error) if !error.use_stderr() => Ok(Err(Asked::Print(error.to_string()))),
        Err(error) => Err(error),
        Ok(matches) => Ok(Ok(matches)),
    };
    let mut matches = match parse(arguments).map_err(Refusal::Misused)? {
        Ok(matches) => matches,
        Err(help) => return Ok(help),
    };
    if let Some((name, given)) = matches.subcommand()
        && let (Some(command), Some(path)) = (command.find_subcommand(name), path(given))
    {
        let refuse = |failure| Refusal::File(failure, is_set(given, "json"));
        let file = File::read(&path).map_err(refuse)?;
        let more = file
            .arguments(command, |arg| is_open(command, given, arg))
            .map_err(refuse)?;
        let at = arguments.iter().position(|word| word == name).map_or(0, |at| at + 1);
        let all = [&arguments[..at], &more, &arguments[at..]].concat();
        matches = match parse(&all).map_err(|error| refuse(file.blame(&error)))? {
            Ok(matches) => matches,
            Err(help) => return Ok(help),
        };
    }
    if let Some((name, given)) = matches.subcommand()
        && let Some(command) = command.find_subcommand(name)
        && is_set(given, "print_config")
    {
        return Ok(Asked::Print(print::settings(command, given)));
    }
    let tombolo = Tombolo::from_arg_matches(&matches).map_err(Refusal::Misused)?;
    Ok(Asked::Run(Box::new(tombolo)))
}

/// The commands, of which the one that is called takes what the environment has for it.
fn equipped(arguments: &[OsString]) -> Command {
    let commands = commands();
    let given = commands
        .clone()
        .ignore_errors(true)
        .try_get_matches_from(arguments)
        .ok();
    let given = given.as_ref().and_then(ArgMatches::subcommand);
    // Where nothing can be read of the arguments, help may be wanted: then no variable is looked at that could spoil it.
    let (name, given) = match given {
        Some((name, given)) => (name.to_owned(), Some(given)),
        None => match arguments.get(1).and_then(|word| word.to_str()) {
            Some(name) if commands.find_subcommand(name).is_some() => (name.to_owned(), None),
            _ => return commands,
        },
    };
    commands.mut_subcommand(name, |command| {
        let named: HashSet<Id> = given
            .iter()
            .flat_map(|given| {
                given
                    .ids()
                    .filter(|id| given.value_source(id.as_str()) == Some(ValueSource::CommandLine))
            })
            .cloned()
            .collect();
        let overruled: HashSet<Id> = command
            .get_arguments()
            .filter(|arg| named.iter().any(|id| excludes(&command, arg, id)))
            .map(|arg| arg.get_id().clone())
            .collect();
        command.mut_args(|arg| {
            let ignored = given.is_none() || named.contains(arg.get_id()) || overruled.contains(arg.get_id());
            with_variable(arg, ignored)
        })
    })
}

/// A flag that may come from the environment. A variable that is empty, says no, or is overruled counts as not there.
fn with_variable(arg: Arg, ignored: bool) -> Arg {
    let Some(name) = variable_of(&arg) else { return arg };
    let value = std::env::var_os(&name);
    let is_empty = value.as_ref().is_some_and(|value| value.is_empty());
    let value = value.filter(|_| !is_empty);
    let arg = match arg.get_action() {
        ArgAction::SetTrue => arg.value_parser(BoolishValueParser::new()),
        ArgAction::Append if value.is_some() && !ignored => arg.value_delimiter(' '),
        _ => arg,
    };
    let says_no = matches!(arg.get_action(), ArgAction::SetTrue) && value.as_deref().is_some_and(says_no);
    if ignored && value.is_some() || is_empty || says_no {
        arg
    } else {
        arg.env(name).hide_env_values(true)
    }
}

/// The variable that a flag may come from.
fn variable_of(arg: &Arg) -> Option<String> {
    let asks = matches!(
        arg.get_action(),
        ArgAction::Help | ArgAction::HelpShort | ArgAction::HelpLong | ArgAction::Version
    );
    let name = arg.get_long().filter(|name| !asks && *name != "print-config")?;
    Some([PREFIX, &name.replace('-', "_").to_ascii_uppercase()].concat())
}

fn says_no(value: &OsStr) -> bool {
    let value = value.to_ascii_lowercase();
    ["0", "n", "no", "f", "false", "off"].iter().any(|word| value == *word)
}

/// Whether neither a flag nor the environment decides on `arg`, so that the file may.
fn is_open(command: &Command, given: &ArgMatches, arg: &Arg) -> bool {
    let is_named = |id: &Id| {
        let source = given.value_source(id.as_str());
        matches!(source, Some(ValueSource::CommandLine | ValueSource::EnvVariable))
    };
    let says_no = || {
        variable_of(arg)
            .and_then(std::env::var_os)
            .is_some_and(|value| says_no(&value))
    };
    let is_switch = matches!(arg.get_action(), ArgAction::SetTrue);
    let is_overruled = || {
        let others = command.get_arguments().map(Arg::get_id);
        others.into_iter().any(|id| is_named(id) && excludes(command, arg, id))
    };
    !(is_named(arg.get_id()) || is_overruled() || is_switch && says_no())
}

/// Whether a flag cannot be given beside another, by its own word or the other's.
fn excludes(command: &Command, arg: &Arg, other: &Id) -> bool {
    let conflict = |one: &Arg, id: &Id| {
        let excluded = command.get_arg_conflicts_with(one);
        excluded.iter().any(|other| other.get_id() == id)
    };
    let other = command.get_arguments().find(|candidate| candidate.get_id() == other);
    other.is_some_and(|other| conflict(arg, other.get_id()) || conflict(other, arg.get_id()))
}

fn path(given: &ArgMatches) -> Option<PathBuf> {
    given.try_get_one::<PathBuf>("config").ok().flatten().cloned()
}

fn is_set(given: &ArgMatches, switch: &str) -> bool {
    given.try_get_one::<bool>(switch).ok().flatten().is_some_and(|set| *set)
}

#[cfg(test)]
mod tests;
