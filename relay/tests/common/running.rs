//! A command that runs beside the test: its JSON lines, its stdin, its end.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long anything may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running command. Killed when it is dropped.
pub(crate) struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    incoming: Option<Receiver<Value>>,
    lines: Vec<Value>,
}

impl Running {
    /// Starts the binary with these arguments.
    pub(crate) fn start<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Self {
        Self::of(Command::new(env!("CARGO_BIN_EXE_tombolo")).args(args))
    }

    /// Starts a command that becomes the binary.
    pub(crate) fn of(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, incoming) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines() {
                let value = serde_json::from_str(&line.unwrap()).unwrap();
                if sender.send(value).is_err() {
                    // Dropping the pipe closes the command's stdout.
                    return;
                }
            }
        });
        Self {
            child,
            stdin,
            incoming: Some(incoming),
            lines: Vec::new(),
        }
    }

    /// Waits for a line that is as wanted.
    pub(crate) fn until(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let received = self.incoming.as_ref().unwrap().recv_timeout(left);
            match received {
                Ok(line) => {
                    self.lines.push(line.clone());
                    if wanted(&line) {
                        return line;
                    }
                }
                Err(RecvTimeoutError::Timeout) => panic!("nothing came: {:?}", self.tail()),
                Err(RecvTimeoutError::Disconnected) => panic!("it ended: {:?} {:?}", self.child.wait(), self.tail()),
            }
        }
    }

    /// Waits until it is ready: its port.
    pub(crate) fn ready(&mut self) -> u16 {
        let line = self.until(|line| line.get("ready").is_some());
        line["ready"].as_u64().unwrap().try_into().unwrap()
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Writes a line to its stdin.
    pub(crate) fn say(&mut self, line: &Value) {
        writeln!(self.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    /// The lines so far.
    pub(crate) fn lines(&self) -> &[Value] {
        &self.lines
    }

    /// Reads its stdout no more.
    pub(crate) fn close_stdout(&mut self) {
        self.incoming = None;
    }

    /// Sends a signal and waits for the end.
    pub(crate) fn end(&mut self, signal: &str) -> Option<i32> {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", signal, &pid]).status().unwrap();
        assert!(sent.success());
        self.wait()
    }

    /// Waits for its end: the exit status.
    pub(crate) fn wait(&mut self) -> Option<i32> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < deadline, "it does not end: {:?}", self.tail());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn tail(&self) -> &[Value] {
        &self.lines[self.lines.len().saturating_sub(5)..]
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
