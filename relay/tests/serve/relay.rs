//! A relay in a process of its own, and plain HTTP to it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long anything may take before a test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A relay that is killed when the test is done.
pub(crate) struct Relay {
    child: Child,
    stdout: BufReader<ChildStdout>,
    pub(crate) ready: Value,
    /// The folder goes with the last relay that uses it.
    _folder: Option<tempfile::TempDir>,
}

impl Relay {
    /// A relay on free ports in a folder of its own, with `--allow-local`.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut relay = Self::start_in(folder.path(), &[&["--allow-local"], arguments].concat());
        relay._folder = Some(folder);
        relay
    }

    /// A relay on free ports in that folder.
    pub(crate) fn start_in(data: &Path, arguments: &[&str]) -> Self {
        let mut relay = Self::spawn(data, arguments);
        relay.ready = relay.line();
        assert_eq!(relay.ready["event"], "ready", "{}", relay.ready);
        relay
    }

    /// The process, whatever becomes of it.
    pub(crate) fn spawn(data: &Path, arguments: &[&str]) -> Self {
        let listeners = ["--listen", "--udp", "--tcp", "--rtc"]
            .into_iter()
            .filter(|flag| !arguments.contains(flag));
        let mut child = Command::new(env!("CARGO_BIN_EXE_tombolo"))
            .args(["serve", "--json", "--data"])
            .arg(data)
            .args(listeners.flat_map(|flag| [flag, "127.0.0.1:0"]))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self {
            child,
            stdout,
            ready: Value::Null,
            _folder: None,
        }
    }

    /// The next line on stdout.
    pub(crate) fn line(&mut self) -> Value {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line:?}: {error}"))
    }

    pub(crate) fn address(&self, kind: &str) -> SocketAddr {
        self.ready[kind].as_str().unwrap().parse().unwrap()
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-s", name, &pid])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        eventually("the process ends", || self.child.try_wait().unwrap())
    }

    /// Sends a request with further header lines; the status and the body.
    pub(crate) fn ask(&self, request: &str, headers: &[&str], body: &str) -> (u16, Vec<u8>) {
        self.ask_at(self.address("http"), request, headers, body)
    }

    /// The same of one of several listeners.
    pub(crate) fn ask_at(&self, address: SocketAddr, request: &str, headers: &[&str], body: &str) -> (u16, Vec<u8>) {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let host = if headers.iter().any(|line| line.starts_with("Host:")) {
            String::new()
        } else {
            format!("Host: {address}\r\n")
        };
        let headers: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
        let length = body.len();
        let head =
            format!("{request} HTTP/1.1\r\n{host}{headers}Connection: close\r\nContent-Length: {length}\r\n\r\n");
        stream.write_all(&[head.as_bytes(), body.as_bytes()].concat()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
        let status = std::str::from_utf8(&answer[9..12]).unwrap().parse().unwrap();
        (status, answer[end + 4..].to_vec())
    }

    pub(crate) fn get(&self, path: &str) -> (u16, Vec<u8>) {
        self.ask(&format!("GET {path}"), &[], "")
    }

    pub(crate) fn json(&self, request: &str, body: &Value) -> (u16, Value) {
        let (status, body) = self.ask(request, &[], &body.to_string());
        (status, serde_json::from_slice(&body).unwrap())
    }

    pub(crate) fn stats(&self) -> Value {
        let (status, body) = self.get("/stats.json");
        assert_eq!(status, 200);
        serde_json::from_slice(&body).unwrap()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks until there is an answer.
pub(crate) fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(start.elapsed() < PATIENCE, "waited too long until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
