//! The TOML file of a command: flags by their long names.

use std::ffi::OsString;
use std::path::Path;

use clap::error::{ContextKind, ContextValue};
use clap::{Arg, ArgAction, Command};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::command::failure::Failure;

/// The longest file read, in bytes. Allow-lists may be long.
const LONGEST: u64 = 16 << 20;

/// A file that was read.
pub(super) struct File {
    name: String,
    entries: Vec<Entry>,
}

struct Entry {
    key: String,
    line: usize,
    value: Value,
}

enum Value {
    Switch(bool),
    One(String),
    List(Vec<String>),
}

impl File {
    /// Reads a file.
    ///
    /// # Errors
    /// `io`, or `bad-config` with the line that is no TOML or has a value that no flag has.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let io = |error| Failure::io(path.display(), &error);
        let length = std::fs::metadata(path).map_err(io)?.len();
        let name = path.display().to_string();
        if length > LONGEST {
            return Err(refuse(&name, 1, "it is too long"));
        }
        let text = std::fs::read(path).map_err(io)?;
        let text = String::from_utf8(text).map_err(|_| refuse(&name, 1, "it is not UTF-8"))?;
        Self::parse(name, &text)
    }

    /// Reads the text of the file of that name.
    pub(super) fn parse(name: String, text: &str) -> Result<Self, Failure> {
        let table = DeTable::parse(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            refuse(&name, line(text, at), error.message())
        })?;
        let mut entries = Vec::new();
        for (key, found) in table.get_ref() {
            let line = line(text, key.span().start);
            let value = value(found).ok_or_else(|| {
                let kind = found.get_ref().type_str();
                refuse(&name, line, &format!("`{}` cannot be {kind}", key.get_ref()))
            })?;
            let key = key.get_ref().to_string();
            entries.push(Entry { key, line, value });
        }
        entries.sort_by_key(|entry| entry.line);
        Ok(Self { name, entries })
    }

    /// The arguments that say the same as the file, of those flags that are still open.
    ///
    /// # Errors
    /// `bad-config`: a key that is no flag, or a value of another kind than its flag's.
    pub(super) fn arguments(
        &self,
        command: &Command,
        is_open: impl Fn(&Arg) -> bool,
    ) -> Result<Vec<OsString>, Failure> {
        let mut arguments = Vec::new();
        for Entry { key, line, value } in &self.entries {
            let wrong = |why: &str| refuse(&self.name, *line, &format!("`{key}` {why}"));
            let arg = command
                .get_arguments()
                .find(|arg| is_setting(arg) && arg.get_long() == Some(key));
            let arg = arg.ok_or_else(|| wrong(&format!("is no setting of `{}`", command.get_name())))?;
            let values: &[String] = match (value, arg.get_action()) {
                (Value::Switch(false), ArgAction::SetTrue) => continue,
                (Value::Switch(true), ArgAction::SetTrue) => {
                    if is_open(arg) {
                        arguments.push(format!("--{key}").into());
                    }
                    continue;
                }
                (_, ArgAction::SetTrue) => return Err(wrong("is true or false")),
                (Value::Switch(_), _) => return Err(wrong("has a value, not true or false")),
                (Value::One(one), _) => std::slice::from_ref(one),
                (Value::List(list), ArgAction::Append) => list,
                (Value::List(_), _) => return Err(wrong("has one value, not a list")),
            };
            if is_open(arg) {
                arguments.extend(values.iter().map(|value| OsString::from(format!("--{key}={value}"))));
            }
        }
        Ok(arguments)
    }

    /// What clap has against the arguments that came from the file.
    pub(super) fn blame(&self, error: &clap::Error) -> Failure {
        let text = error.to_string();
        let paragraph = text.split("\n\n").next().unwrap_or_default();
        let words = paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
        let flag = match error.get(ContextKind::InvalidArg) {
            Some(ContextValue::String(flag)) => flag.strip_prefix("--").unwrap_or(flag).split([' ', '=']).next(),
            _ => None,
        };
        let entry = self.entries.iter().find(|entry| flag == Some(&entry.key));
        let words = words.strip_prefix("error: ").unwrap_or(&words);
        refuse(&self.name, entry.map_or(1, |entry| entry.line), words)
    }
}

/// Whether a flag may be set by a file.
pub(super) fn is_setting(arg: &Arg) -> bool {
    let told = matches!(
        arg.get_action(),
        ArgAction::Set | ArgAction::SetTrue | ArgAction::Append
    );
    told && arg
        .get_long()
        .is_some_and(|name| !matches!(name, "config" | "print-config"))
}

fn value(found: &Spanned<DeValue<'_>>) -> Option<Value> {
    Some(match found.get_ref() {
        DeValue::Boolean(switch) => Value::Switch(*switch),
        DeValue::Array(list) => Value::List(list.iter().map(one).collect::<Option<_>>()?),
        _ => Value::One(one(found)?),
    })
}

fn one(found: &Spanned<DeValue<'_>>) -> Option<String> {
    match found.get_ref() {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().to_owned()),
        _ => None,
    }
}

/// The number of the line that has this byte, from 1.
fn line(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count()
}

fn refuse(name: &str, line: usize, why: &str) -> Failure {
    Failure::refused("bad-config", format!("{name}, line {line}: {why}"))
}
