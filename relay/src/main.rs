//! The native relay and peer.

use std::process::ExitCode;

fn main() -> ExitCode {
    tombolo_relay::command::run()
}
