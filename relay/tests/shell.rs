//! The shell: settings by flag, environment and file; links; trackers asked once; help and completions.

mod common;

use std::ffi::OsStr;
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use common::running::Running;
use common::{create, json, refusal, tombolo, write};
use serde_json::{Value, json};

const HASH: &str = "0123456789abcdef0123456789abcdef01234567";

/// Runs the binary with these variables of the environment.
fn with_variables(variables: &[(&str, &str)], args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tombolo"))
        .args(args)
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// The line of `--print-config` that has this key.
fn setting(variables: &[(&str, &str)], args: &[&str], key: &str) -> String {
    let output = with_variables(variables, &[args, &["--print-config"]].concat());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let line = text.lines().find(|line| line.starts_with(&format!("{key} = ")));
    line.unwrap_or_else(|| panic!("{key}: {text}")).to_owned()
}

#[test]
fn a_flag_goes_before_the_environment_before_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tombolo.toml");
    write(&file, b"interval = 3\nmax-peers = 3\npeer-ttl = 3\nno-dht = true\n");
    let variables = [
        ("TOMBOLO_CONFIG", file.to_str().unwrap()),
        ("TOMBOLO_INTERVAL", "2"),
        ("TOMBOLO_MAX_PEERS", "2"),
    ];
    let found = |key| setting(&variables, &["serve", "--interval", "1"], key);
    assert_eq!(found("interval"), "interval = 1");
    assert_eq!(found("max-peers"), "max-peers = 2");
    assert_eq!(found("peer-ttl"), "peer-ttl = 3");
    assert_eq!(found("no-dht"), "no-dht = true");
    let no = [variables[0], ("TOMBOLO_NO_DHT", "no")];
    assert_eq!(setting(&no, &["serve"], "no-dht"), "no-dht = false");
}

#[test]
fn variables_of_switches_lists_and_what_excludes_them() {
    for (value, expected) in [
        ("1", true),
        ("true", true),
        ("yes", true),
        ("0", false),
        ("No", false),
        ("", false),
    ] {
        let found = setting(&[("TOMBOLO_NO_DHT", value)], &["serve"], "no-dht");
        assert_eq!(found, format!("no-dht = {expected}"), "{value:?}");
    }
    let hosts = setting(&[("TOMBOLO_HOST", "a.example b.example")], &["serve"], "host");
    assert_eq!(hosts, r#"host = ["a.example", "b.example"]"#);
    let one = setting(&[("TOMBOLO_HOST", "a.example")], &["serve", "--host", "c d"], "host");
    assert_eq!(one, r#"host = ["c d"]"#);
    let args = ["seed", "x", "--hybrid", "--dht-bootstrap", "none"];
    let variables = [("TOMBOLO_V2", "1"), ("TOMBOLO_NO_DHT", "1")];
    assert_eq!(setting(&variables, &args, "v2"), "v2 = false");
    assert_eq!(setting(&variables, &args, "no-dht"), "no-dht = false");
    let bad = with_variables(&[("TOMBOLO_INTERVAL", "often")], &["serve"]);
    assert_eq!((bad.status.code(), bad.stdout.len()), (Some(2), 0));
    assert_eq!(String::from_utf8(bad.stderr).unwrap().lines().count(), 1);
}

#[test]
fn what_a_command_must_have_may_come_from_the_environment() {
    let dir = tempfile::tempdir().unwrap();
    let (content, torrent) = (dir.path().join("a.bin"), dir.path().join("a.torrent"));
    write(&content, b"abc");
    let variables = [("TOMBOLO_OUTPUT", torrent.to_str().unwrap()), ("TOMBOLO_JSON", "1")];
    let made = with_variables(&variables, &["create", content.to_str().unwrap()]);
    assert_eq!(json(&made).0, 0);
    assert!(torrent.exists());
}

#[test]
fn a_file_with_an_unknown_key_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("x.toml");
    write(&file, b"# x\nlisten = ['127.0.0.1:0']\nlisen = []\n");
    let file = file.to_str().unwrap();
    for (command, more) in [
        ("serve", None),
        ("tracker", None),
        ("get", Some("x")),
        ("seed", Some("x")),
    ] {
        let mut args = vec![command, "--json", "--config", file];
        args.extend(more);
        if more.is_some() {
            write(Path::new(file), b"# x\nlisten = '127.0.0.1:0'\nlisen = []\n");
        }
        let output = tombolo(&args);
        let (_, value) = json(&output);
        assert!(
            value["error"]["message"].as_str().unwrap().contains("line 3: `lisen`"),
            "{value}"
        );
        assert_eq!(refusal(&output), (2, "bad-config".into()));
    }
}

#[test]
fn help_is_short_or_long() {
    let text = |args: &[&str]| {
        let output = tombolo(args);
        assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "{args:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let all = text(&["--help"]);
    for command in [
        "serve",
        "get",
        "seed",
        "create",
        "show",
        "check",
        "magnet",
        "announce",
        "scrape",
        "tracker",
        "completions",
    ] {
        assert!(all.contains(&format!("\n  {command}")), "{command}");
        let (short, long) = (text(&[command, "-h"]), text(&[command, "--help"]));
        assert!(
            long.contains("Exit status:") && long.contains("Examples:") && long.contains("Environment:"),
            "{command}"
        );
        assert!(!short.contains("Exit status:"), "{command}");
    }
    assert!(text(&["serve", "--help"]).contains("[env: TOMBOLO_PEER_TTL]"));
}

#[test]
fn completions_know_commands_and_flags() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = tombolo(["completions", shell]);
        let script = String::from_utf8(output.stdout).unwrap();
        assert!(
            script.contains("print-config") && script.contains("announce"),
            "{shell}"
        );
    }
    assert_eq!(tombolo(["completions", "perl"]).status.code(), Some(2));
}

#[test]
fn links_are_made_and_taken_apart() {
    let dir = tempfile::tempdir().unwrap();
    let set = common::odd_files(dir.path());
    let torrent = dir.path().join("a b.torrent");
    let args = [
        "--hybrid",
        "--tracker",
        "udp://t.example:1",
        "--tracker",
        "ws://t.example",
        "--web-seed",
        "http://w.example/",
    ];
    let made = create(&set, &torrent, &args);
    let magnet = |args: &[&str]| {
        let output = tombolo([&["magnet", torrent.to_str().unwrap()], args].concat());
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let link = magnet(&[]);
    let (v1, v2) = (
        made["info_hash_v1"].as_str().unwrap(),
        made["info_hash_v2"].as_str().unwrap(),
    );
    assert!(
        link.starts_with(&format!("magnet:?xt=urn:btih:{v1}&xt=urn:btmh:1220{v2}&dn=set&tr=")),
        "{link}"
    );

    let changed = magnet(&[
        "--no-trackers",
        "--select",
        "4-6,0,5",
        "--peer",
        "[::1]:6881",
        "--name",
        "other",
    ]);
    let (status, parts) = json(&tombolo(["magnet", "--json", &changed]));
    let expected = json!({
        "magnet": changed, "info_hash_v1": v1, "info_hash_v2": v2, "name": "other", "trackers": [],
        "web_seeds": ["http://w.example/"], "peers": ["[::1]:6881"], "select_only": [0, 4, 5, 6],
    });
    assert_eq!((status, parts), (0, expected));
    // What `show` says of a link, this says too.
    let (_, shown) = json(&tombolo(["show", "--json", &link]));
    let (_, parts) = json(&tombolo(["magnet", "--json", &link]));
    assert!(
        shown
            .as_object()
            .unwrap()
            .iter()
            .all(|(key, value)| parts[key] == *value)
    );
    let text = String::from_utf8(tombolo(["magnet", &link]).stdout).unwrap();
    assert!(
        text.contains(v1) && text.contains("tracker: udp://t.example:1"),
        "{text}"
    );

    let args = ["magnet", "--json", "--select", "1000", torrent.to_str().unwrap()];
    assert_eq!(refusal(&tombolo(args)), (2, "bad-selection".into()));
    assert_eq!(
        refusal(&tombolo(["magnet", "--json", "magnet:?dn=x"])),
        (2, "bad-magnet".into())
    );
    assert_eq!(
        refusal(&tombolo(["magnet", "--json", "no-such.torrent"])),
        (2, "not-found".into())
    );
}

/// A tracker, and its addresses of HTTP and UDP.
fn tracker(data: &Path, ip: &str) -> (Running, String, String) {
    let any = format!("{ip}:0");
    let args = [
        "tracker",
        "--json",
        "--allow-local",
        "--full-scrape",
        "--listen",
        &any,
        "--udp",
        &any,
        "--data",
    ];
    let mut tracker = Running::start(args.iter().map(OsStr::new).chain([data.as_os_str()]));
    let ready = tracker.until(|line| line["event"] == "ready");
    assert!(ready["tcp"].is_null() && ready["rtc"].is_null());
    let address = |kind: &str| ready[kind].as_str().unwrap().to_owned();
    (tracker, address("http"), address("udp"))
}

#[test]
fn trackers_are_asked_over_every_protocol() {
    for (ip, family) in [("127.0.0.1", "-4"), ("[::1]", "-6")] {
        // A folder each: a tracker remembers its peers.
        let dir = tempfile::tempdir().unwrap();
        let (mut tracker, http, udp) = tracker(dir.path(), ip);
        let urls = [
            format!("http://{http}/announce"),
            format!("udp://{udp}/announce"),
            format!("ws://{http}/announce"),
        ];
        let stay = [
            "announce", &urls[1], HASH, "--event", "started", "--left", "0", "--port", "7001", "--json", family,
        ];
        assert_eq!(json(&tombolo(stay)).0, 0);
        for url in &urls {
            let (status, answer) = json(&tombolo(["announce", "--json", family, url, HASH]));
            assert_eq!(
                (status, &answer["tracker"], &answer["info_hash"]),
                (0, &json!(url), &json!(HASH)),
                "{answer}"
            );
            // A web peer is offered no native one.
            let peers = if url.starts_with("ws") {
                json!([])
            } else {
                json!([format!("{ip}:7001")])
            };
            assert_eq!(
                (&answer["complete"], &answer["peers"]),
                (&json!(1), &peers),
                "{url}: {answer}"
            );
        }
        // Those that announced a start have said that they stop; the one that was told to stay has stayed.
        for url in &urls {
            let (status, counts) = json(&tombolo(["scrape", "--json", family, url, HASH]));
            let expected = json!({"tracker": url, "info_hash": HASH, "complete": 1, "incomplete": 0, "downloaded": counts["downloaded"]});
            assert_eq!((status, counts), (0, expected));
        }
        let (status, all) = json(&tombolo(["scrape", "--json", &urls[0]]));
        assert_eq!((status, &all["info_hash"]), (0, &json!(HASH)));
        let text = String::from_utf8(tombolo(["announce", &urls[0], HASH]).stdout).unwrap();
        assert!(
            text.contains("1 seeds") && text.contains(&format!("\n  {ip}:7001")),
            "{text}"
        );

        let other = if family == "-4" { "-6" } else { "-4" };
        let (status, answer) = json(&tombolo(["announce", "--json", other, &urls[0], HASH]));
        assert_eq!((status, &answer["error"]["code"]), (1, &json!("no-answer")), "{answer}");
        assert_eq!(tracker.end("TERM"), Some(0));
    }
}

#[test]
fn a_torrents_own_trackers_are_asked_and_each_failure_told() {
    let dir = tempfile::tempdir().unwrap();
    let (mut tracker, http, udp) = tracker(dir.path(), "127.0.0.1");
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let silent = format!("udp://{}", silent.local_addr().unwrap());
    let (content, torrent) = (dir.path().join("a.bin"), dir.path().join("a.torrent"));
    write(&content, b"abc");
    let (one, two) = (format!("http://{http}/announce"), format!("udp://{udp}"));
    create(
        &content,
        &torrent,
        &["--tracker", &silent, "--tracker", &one, "--tracker", &two],
    );
    let torrent = torrent.to_str().unwrap();
    let ask = |args: &[&str]| {
        let output = tombolo([&["announce", torrent, "--json", "--timeout", "1"], args].concat());
        let lines = String::from_utf8(output.stdout).unwrap();
        let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        (output.status.code(), lines)
    };
    // It is the torrent that names addresses of this machine, not who runs the command.
    let (status, lines) = ask(&[]);
    assert_eq!((status, lines.len()), (Some(1), 3));
    assert!(
        lines
            .iter()
            .all(|line| line["error"]["message"].as_str().unwrap().contains("not allowed"))
    );
    let (status, lines) = ask(&["--allow-local"]);
    assert_eq!((status, &lines[0]["error"]["code"]), (Some(1), &json!("no-answer")));
    assert!(lines[0]["error"]["message"].as_str().unwrap().contains("within 1 s"));
    assert!(lines[1..].iter().all(|line| line["interval"].is_u64()), "{lines:?}");
    let (status, lines) = ask(&["--tracker", &one]);
    assert_eq!((status, lines.len()), (Some(0), 1));
    assert_eq!(tracker.end("INT"), Some(130));

    for (args, expected) in [
        (vec!["announce", "udp://127.0.0.1:1"], (2, "no-torrent")),
        (vec!["announce", HASH], (2, "no-tracker")),
        (vec!["scrape", HASH], (2, "no-tracker")),
        (
            vec!["announce", "http://127.0.0.1:1/announce", "x.torrent"],
            (2, "not-found"),
        ),
        (vec!["announce", "http://127.0.0.1:1/announce", HASH], (1, "no-answer")),
        (vec!["scrape", "http://127.0.0.1:1/tracker", HASH], (1, "bad-tracker")),
        (
            vec!["announce", "--tracker", "gopher://127.0.0.1", HASH],
            (1, "bad-tracker"),
        ),
    ] {
        let (status, code) = refusal(&tombolo([&args[..], &["--json"]].concat()));
        assert_eq!((status, code.as_str()), expected, "{args:?}");
    }
}

#[test]
fn a_tracker_alone_bridges_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (mut tracker, http, _) = tracker(dir.path(), "127.0.0.1");
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(&http).unwrap();
    let body = format!("{{\"info_hash\":\"{HASH}\"}}");
    write!(
        stream,
        "POST /api/torrents HTTP/1.1\r\nHost: {http}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    assert_eq!(tracker.end("TERM"), Some(0));
}

#[test]
fn logs_are_lines_of_json_on_stderr() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_tombolo"))
        .args([
            "tracker",
            "--log",
            "json",
            "--json",
            "--listen",
            "127.0.0.1:0",
            "--token",
            "hush",
            "--data",
        ])
        .arg(dir.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    let mut stdout = std::io::BufReader::new(child.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut stdout, &mut first).unwrap();
    assert!(first.contains("ready"));
    let pid = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-s", "TERM", &pid])
            .status()
            .unwrap()
            .success()
    );
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        (lines[0]["level"].as_str(), lines[0]["message"].as_str()),
        (Some("INFO"), Some("listening"))
    );
    assert!(!text.contains("hush"));
}
