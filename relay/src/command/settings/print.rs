//! The settings of a command as a file that says the same, made from the definitions of its flags.

use std::ffi::OsStr;
use std::fmt::Write as _;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};

use super::file::is_setting;
use super::{SECRET, variable_of};

/// How long a line of comment gets, in characters.
const WIDTH: usize = 100;

/// All settings of a command with the values they have.
pub(super) fn settings(command: &Command, given: &ArgMatches) -> String {
    let name = command.get_name();
    let mut out = format!(
        "# Settings of `tombolo {name}`: `tombolo {name} --config FILE` reads them. Each key is the flag of the same name;\n\
         # flags and variables of the environment go before the file. What begins with `#` is a comment, or has no value yet.\n"
    );
    let mut heading = None;
    for arg in command.get_arguments().filter(|arg| is_setting(arg)) {
        if heading != Some(arg.get_help_heading()) {
            heading = Some(arg.get_help_heading());
            // Writing to a string cannot fail.
            let _ = write!(
                out,
                "\n# {:-<1$}\n",
                format!("{} ", arg.get_help_heading().unwrap_or("General")),
                WIDTH
            );
        }
        setting(arg, given, &mut out);
    }
    out.truncate(out.trim_end().len());
    out
}

fn setting(arg: &Arg, given: &ArgMatches, out: &mut String) {
    let key = arg.get_long().unwrap_or_default();
    out.push('\n');
    comment(&about(arg), out);
    let id = arg.get_id().as_str();
    let values: Vec<&OsStr> = given.get_raw(id).into_iter().flatten().collect();
    let _ = match arg.get_action() {
        ArgAction::SetTrue => {
            let is_set = given.value_source(id) != Some(ValueSource::DefaultValue) && given.get_flag(id);
            writeln!(out, "{key} = {is_set}")
        }
        _ if SECRET.contains(&key) && !values.is_empty() => writeln!(out, "#{key} = (it is set, and not shown)"),
        ArgAction::Append => {
            let list: Vec<_> = values.into_iter().map(literal).collect();
            writeln!(out, "{key} = [{}]", list.join(", "))
        }
        _ => match values.first() {
            Some(value) => writeln!(out, "{key} = {}", literal(value)),
            None => {
                let names = arg.get_value_names().unwrap_or_default();
                writeln!(out, "#{key} = {}", names.first().map_or("VALUE", |name| name.as_str()))
            }
        },
    };
}

/// What a flag is for, which values it has, and its variable.
fn about(arg: &Arg) -> String {
    let help = arg.get_long_help().or_else(|| arg.get_help());
    let mut text = help.map_or_else(String::new, |help| help.to_string().replace("\n\n", ". "));
    let values: Vec<_> = arg
        .get_possible_values()
        .into_iter()
        .filter(|value| !matches!(arg.get_action(), ArgAction::SetTrue) && !value.is_hide_set())
        .map(|value| value.get_name().to_owned())
        .collect();
    if !values.is_empty() {
        let _ = write!(text, " ({})", values.join(", "));
    }
    if let Some(variable) = variable_of(arg) {
        let _ = write!(text, " [{variable}]");
    }
    text
}

/// Writes a text as lines of comment.
fn comment(text: &str, out: &mut String) {
    let mut length = WIDTH;
    for word in text.split_whitespace() {
        if length + word.len() >= WIDTH {
            if out.ends_with(|last| last != '\n') {
                out.push('\n');
            }
            out.push('#');
            length = 1;
        }
        out.push(' ');
        out.push_str(word);
        length += 1 + word.len();
    }
    if out.ends_with(|last| last != '\n') {
        out.push('\n');
    }
}

/// A value as TOML: a number where it reads as one, else a string.
fn literal(value: &OsStr) -> String {
    let text = value.to_string_lossy();
    let is_number = text.parse::<i64>().is_ok_and(|number| number.to_string() == text);
    if is_number {
        text.into_owned()
    } else {
        toml::Value::String(text.into_owned()).to_string()
    }
}
