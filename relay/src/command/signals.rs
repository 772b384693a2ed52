//! The signals that end a command.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGINT and SIGTERM, from the moment this is made.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Takes over the signals, within a runtime.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for the next one: the exit status that it calls for.
    pub(super) async fn next(&mut self) -> u8 {
        tokio::select! {
            _ = self.interrupt.recv() => 130,
            _ = self.terminate.recv() => 0,
        }
    }

    /// Does the last things; a further signal ends the process at once.
    pub(super) async fn last(&mut self, status: u8, work: impl Future<Output = ()>) {
        tokio::select! {
            () = work => {}
            _ = self.next() => std::process::exit(i32::from(status)),
        }
    }
}
