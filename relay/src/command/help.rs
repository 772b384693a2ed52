//! What `--help` says besides the flags: examples, the environment, the exit statuses.

use clap::Command;

/// What each command is used for, as it is typed.
const EXAMPLES: [(&str, &str); 14] = [
    (
        "create",
        "  tombolo create holiday/ -o holiday.torrent --tracker udp://tracker.example:6969
  tombolo create film.mkv -o film.torrent --hybrid --piece-length 1MiB",
    ),
    (
        "get",
        "  tombolo get 'magnet:?xt=urn:btih:…' --out downloads
  tombolo get a.torrent --no-dht --peer 192.0.2.7:6881 --down 2MiB
  TOMBOLO_ENCRYPTION=require tombolo get a.torrent",
    ),
    (
        "seed",
        "  tombolo seed holiday/ --tracker wss://tracker.example/announce
  tombolo seed a.torrent --dir downloads --up 500KiB",
    ),
    (
        "peer",
        "  tombolo peer --role leecher --torrent a.torrent --dir out --listen 127.0.0.1:0 --json-control",
    ),
    (
        "show",
        "  tombolo show a.torrent
  tombolo show --json 'magnet:?xt=urn:btih:…'
  tombolo show --raw --json resume.dat",
    ),
    ("check", "  tombolo check a.torrent --dir downloads"),
    (
        "magnet",
        "  tombolo magnet a.torrent
  tombolo magnet a.torrent --select 0,2,4-6 --peer 192.0.2.7:6881
  tombolo magnet 'magnet:?xt=urn:btih:…'",
    ),
    (
        "announce",
        "  tombolo announce a.torrent
  tombolo announce --ipv6 udp://tracker.example:6969 HASH
  tombolo announce --json wss://tracker.example 'magnet:?xt=urn:btih:…'",
    ),
    (
        "scrape",
        "  tombolo scrape a.torrent b.torrent
  tombolo scrape http://tracker.example/announce HASH",
    ),
    (
        "serve",
        "  tombolo serve --data /var/lib/tombolo
  tombolo serve --listen 0.0.0.0:8080 --tcp 0.0.0.0:6881 --bridge list --allow HASH
  tombolo serve --cache 4GiB --print-config > tombolo.toml
  tombolo serve --config tombolo.toml --log json",
    ),
    (
        "tracker",
        "  tombolo tracker --listen 0.0.0.0:8080 --udp 0.0.0.0:6969
  tombolo tracker --config tracker.toml",
    ),
    ("passkey", "  tombolo passkey --data /var/lib/tombolo --days 30"),
    (
        "completions",
        "  tombolo completions bash > /etc/bash_completion.d/tombolo
  tombolo completions zsh > ~/.zfunc/_tombolo
  tombolo completions fish > ~/.config/fish/completions/tombolo.fish",
    ),
    (
        "tombolo",
        "  tombolo seed holiday/
  tombolo get 'magnet:?xt=urn:btih:…'
  tombolo serve --data /var/lib/tombolo",
    ),
];

const ENVIRONMENT: &str =
    "  Every flag --some-flag of every command may be given as TOMBOLO_SOME_FLAG. Switches take 1,
  true, yes or 0, false, no; flags that may be repeated take their values with spaces between
  them. An empty variable counts as none.";

const PRECEDENCE: &str = "  A flag goes before the environment, that before the file of --config, that before the
  default.";

const STATUSES: &str = "  0    done; of serve, tracker, seed and peer: ended by SIGTERM
  1    failed while running; check: something is bad or missing; announce, scrape: a tracker
       did not answer, or refused
  2    what was given is refused: an argument, a .torrent, a link, a configuration
  130  interrupted by SIGINT
  With --json a failure is one line on stdout:
  {\"error\":{\"code\":\"kebab-case\",\"message\":\"one line\"}}";

/// Adds the sections to every command.
pub(super) fn complete(command: Command) -> Command {
    let names: Vec<String> = command
        .get_subcommands()
        .map(|command| command.get_name().to_owned())
        .collect();
    let command = names
        .into_iter()
        .fold(command, |command, name| command.mut_subcommand(name, sections));
    sections(command)
}

fn sections(command: Command) -> Command {
    let mut text = String::new();
    let mut section = |title: &str, body: &str| text.extend([title, "\n", body, "\n\n"]);
    for (_, examples) in EXAMPLES.iter().filter(|(name, _)| *name == command.get_name()) {
        section("Examples:", examples);
    }
    let is_configurable = command.get_arguments().any(|arg| arg.get_long() == Some("config"));
    let precedence = if is_configurable {
        ["\n", PRECEDENCE].concat()
    } else {
        String::new()
    };
    section("Environment:", &[ENVIRONMENT, &precedence].concat());
    section("Exit status:", STATUSES);
    command.after_long_help(text.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::settings::commands;

    #[test]
    fn every_command_has_examples_and_no_other_has() {
        let command = commands();
        let names: Vec<&str> = command
            .get_subcommands()
            .map(Command::get_name)
            .chain(["tombolo"])
            .collect();
        for name in &names {
            assert!(EXAMPLES.iter().any(|(named, _)| named == name), "{name}");
        }
        assert!(EXAMPLES.iter().all(|(name, _)| names.contains(name)));
    }
}
