//! `cargo xtask run`: the whole path on one machine, ready to be looked at.
//!
//! A relay with the page, and a second process that has the demo content and speaks TCP only. The address printed names
//! that peer, so a tab that opens it downloads over the relay from a native peer. Ctrl-C ends both processes.

use crate::command;
use crate::console::Console;
use crate::{place, wasm};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// The port that the printed address has, if it is free.
const PORT: &str = "127.0.0.1:8080";
const ANY_PORT: &str = "127.0.0.1:0";
/// Both processes tell trackers and peers that they leave; they take at most 5 s for it.
const PATIENCE: Duration = Duration::from_secs(6);
/// Files of the demo: name, length and seed of their bytes. Uneven lengths, so that pieces straddle files.
const FILES: [(&str, usize, u64); 3] = [
    ("a long one.bin", 48_000_123, 1),
    ("a short one.bin", 7_000_001, 2),
    ("folder/another.bin", 20_000_777, 3),
];
const README: &str =
    "This file came from a native BitTorrent peer over TCP, through the relay, into your browser tab.\n";

/// Builds, starts, prints the address and waits for Ctrl-C. `--debug` builds the relay without optimisation.
pub(crate) fn run(console: &Console, arguments: &[String]) -> Result<(), String> {
    let release = !arguments.iter().any(|argument| argument == "--debug");
    wasm::build(console)?;
    console.say("building the relay (the first time takes some minutes)");
    let mut build = vec!["build", "--package", "tombolo-relay"];
    build.extend(release.then_some("--release"));
    command::run(&mut command::cargo(&build))?;
    let tombolo = place::target()
        .join(if release { "release" } else { "debug" })
        .join("tombolo");
    let folder = place::target().join("demo");
    write_content(&folder.join("content/Tombolo demo"))?;
    let stop = interrupted()?;
    let (mut seeder, ready) = start(seed(&tombolo, &folder))?;
    let served = Peer::parse(&ready).ok_or_else(|| format!("the seeder said: {ready}"));
    let relay = served.and_then(|peer| Ok((start_relay(&tombolo, &folder)?, peer)));
    let ((mut relay, address), peer) = match relay {
        Ok(running) => running,
        Err(error) => {
            end(console, [&mut seeder]);
            return Err(error);
        }
    };
    println!(
        "\n  http://{address}/?magnet={}&peer=127.0.0.1:{}\n",
        escaped(&peer.magnet),
        peer.port
    );
    println!("  http://{address}/stats.json\n\nCtrl-C ends it.");
    let _ = std::io::stdout().flush();
    let gone = wait(&stop, [&mut seeder, &mut relay]);
    end(console, [&mut relay, &mut seeder]);
    if gone {
        Err("a process of the demo ended by itself".to_owned())
    } else {
        Ok(())
    }
}

/// What the seeder's ready line says.
struct Peer {
    port: u64,
    magnet: String,
}

impl Peer {
    fn parse(line: &str) -> Option<Self> {
        let ready: serde_json::Value = serde_json::from_str(line).ok()?;
        Some(Self {
            port: ready.get("ready")?.as_u64()?,
            magnet: ready.get("magnet")?.as_str()?.to_owned(),
        })
    }
}

fn seed(tombolo: &Path, folder: &Path) -> Command {
    let mut command = Command::new(tombolo);
    command.arg("seed").arg(folder.join("content/Tombolo demo"));
    command.args([
        "--json",
        "--listen",
        ANY_PORT,
        "--rtc",
        "off",
        "--no-trackers",
        "--no-dht",
        "--no-lsd",
    ]);
    command.args(["--no-portmap", "--allow-local"]);
    command
}

/// Starts the relay on the well-known port, or on any when that one is taken; with the page's address.
fn start_relay(tombolo: &Path, folder: &Path) -> Result<(Child, String), String> {
    let mut problem = String::new();
    for listen in [PORT, ANY_PORT] {
        let mut command = Command::new(tombolo);
        command.args([
            "serve", "--json", "--listen", listen, "--tcp", ANY_PORT, "--udp", "off", "--rtc", ANY_PORT,
        ]);
        command
            .args(["--no-dht", "--no-lsd", "--no-portmap", "--allow-local", "--data"])
            .arg(folder.join("relay"));
        let (mut relay, line) = start(command)?;
        let ready: Option<serde_json::Value> = serde_json::from_str(&line).ok();
        if let Some(address) = ready.as_ref().and_then(|ready| ready.get("http")?.as_str()) {
            return Ok((relay, address.to_owned()));
        }
        let _ = relay.kill();
        let _ = relay.wait();
        problem = line;
    }
    Err(format!("the relay said: {problem}"))
}

/// Starts a process and reads its first line; what it says later is read and dropped.
fn start(mut command: Command) -> Result<(Child, String), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("{name}: {error}"))?;
    let Some(output) = child.stdout.take() else {
        return Err(format!("{name}: no output"));
    };
    let mut output = BufReader::new(output);
    let mut line = String::new();
    output
        .read_line(&mut line)
        .map_err(|error| format!("{name}: {error}"))?;
    std::thread::spawn(move || drain(output));
    Ok((child, line.trim().to_owned()))
}

fn drain(output: BufReader<ChildStdout>) {
    output.split(b'\n').map_while(Result::ok).for_each(drop);
}

/// A message arrives when the user or the system asks this process to end.
fn interrupted() -> Result<Receiver<()>, String> {
    let (sender, receiver) = channel();
    ctrlc::set_handler(move || {
        let _ = sender.send(());
    })
    .map_err(|error| format!("signals: {error}"))?;
    Ok(receiver)
}

/// Waits for the signal; true when a process ended before it.
fn wait(stop: &Receiver<()>, mut children: [&mut Child; 2]) -> bool {
    while stop.recv_timeout(Duration::from_millis(200)).is_err() {
        if children.iter_mut().any(|child| !matches!(child.try_wait(), Ok(None))) {
            return stop.recv_timeout(Duration::from_millis(500)).is_err();
        }
    }
    false
}

/// Asks every process to end, and makes it end when it does not.
fn end<const N: usize>(console: &Console, children: [&mut Child; N]) {
    console.say("ending");
    for child in &children {
        let _ = command::run_quietly(&mut command::program("kill", &["-TERM", &child.id().to_string()]));
    }
    let last = Instant::now() + PATIENCE;
    for child in children {
        while matches!(child.try_wait(), Ok(None)) && Instant::now() < last {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// Writes the demo's files where they are not there yet; their bytes are the same on every machine.
fn write_content(folder: &Path) -> Result<(), String> {
    let failed = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
    for (name, length, seed) in FILES {
        let path: PathBuf = folder.join(name);
        if std::fs::metadata(&path).is_ok_and(|data| data.len() == length as u64) {
            continue;
        }
        let parent = path.parent().unwrap_or(folder);
        std::fs::create_dir_all(parent).map_err(|error| failed(parent, error))?;
        std::fs::write(&path, noise(length, seed)).map_err(|error| failed(&path, error))?;
    }
    let readme = folder.join("read me.txt");
    std::fs::write(&readme, README).map_err(|error| failed(&readme, error))
}

/// Bytes of a xorshift generator: no two pieces are alike and none compresses.
fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// A magnet as the value of a query parameter.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b':' => out.push(char::from(byte)),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{escaped, noise};

    #[test]
    fn a_magnet_becomes_one_parameter() {
        assert_eq!(
            escaped("magnet:?xt=urn:btih:ab&dn=a b"),
            "magnet:%3Fxt%3Durn:btih:ab%26dn%3Da%20b"
        );
    }

    #[test]
    fn content_has_its_length_and_no_repeats() {
        let bytes = noise(40_003, 7);
        assert_eq!(bytes.len(), 40_003);
        assert_ne!(bytes[..16_384], bytes[16_384..32_768]);
    }
}
