//! What a peer under outside control is told on stdin: one JSON object a line.

use std::io::{BufRead, Read};
use std::net::SocketAddr;

use serde::Deserialize;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// The longest line taken, in bytes.
const LONGEST: u64 = 64 * 1024;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Control {
    /// Connect to a peer.
    Connect(String, u16),
    /// The line cannot be understood, and why.
    Bad(String),
}

#[derive(Deserialize)]
struct Document {
    connect: Option<(String, u16)>,
}

impl Control {
    /// Reads a line. One of which we know no field asks for nothing.
    fn parse(line: &str) -> Option<Self> {
        match serde_json::from_str(line) {
            Ok(Document { connect }) => connect.map(|(host, port)| Self::Connect(host, port)),
            Err(error) => Some(Self::Bad(format!("bad line: {error}"))),
        }
    }
}

/// Reads stdin on a thread of its own. Its end is no reason to end.
pub(super) fn lines() -> std::io::Result<UnboundedReceiver<Control>> {
    let (sender, receiver) = unbounded_channel();
    let read = move || {
        let mut stdin = std::io::stdin().lock();
        let mut line = Vec::new();
        loop {
            line.clear();
            match stdin.by_ref().take(LONGEST).read_until(b'\n', &mut line) {
                Ok(1..) => {}
                _ => return,
            }
            let text = String::from_utf8_lossy(&line);
            let control = if text.trim().is_empty() {
                None
            } else {
                Control::parse(&text)
            };
            if control.is_some_and(|control| sender.send(control).is_err()) {
                return;
            }
        }
    };
    std::thread::Builder::new().name("stdin".into()).spawn(read)?;
    Ok(receiver)
}

/// The address of a host and port.
pub(super) async fn resolve(host: &str, port: u16) -> Result<SocketAddr, String> {
    let found = tokio::net::lookup_host((host, port)).await;
    let address = found.map_err(|error| format!("{host}: {error}"))?.next();
    address.ok_or_else(|| format!("{host} has no address"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_and_unknown_fields_passed_over() {
        let connect = |host: &str, port| Some(Control::Connect(host.into(), port));
        assert_eq!(
            Control::parse(r#"{"connect":["127.0.0.1",80],"x":1}"#),
            connect("127.0.0.1", 80)
        );
        assert_eq!(Control::parse(r#"{"later":true}"#), None);
        for line in ["x", "[]", r#"{"connect":["a",65536]}"#, r#"{"connect":"a:1"}"#, "{}}"] {
            assert!(matches!(Control::parse(line), Some(Control::Bad(_))), "{line}");
        }
    }
}
