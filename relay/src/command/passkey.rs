//! `tombolo passkey`: signs a passkey by which somebody may use a private tracker.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::failure::Failure;
use super::output;
use crate::{serve, system};

/// Seconds in a day.
const DAY: u64 = 24 * 3600;

/// The flags of `tombolo passkey`.
#[derive(Clone, Debug, Args)]
pub(super) struct Passkey {
    /// The folder of the relay that runs with `--private`, or will.
    #[arg(long, value_name = "DIR", default_value = "tombolo-data")]
    data: PathBuf,
    /// How many days it is good; for ever without.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..100_000))]
    days: Option<u64>,
    /// Print JSON.
    #[arg(long)]
    pub(super) json: bool,
}

impl Passkey {
    /// Prints a passkey.
    pub(super) fn run(&self) -> Result<(), Failure> {
        let expires = self.days.map_or(0, |days| system::unix() as u64 + days * DAY);
        let passkeys = serve::passkeys(&self.data).map_err(|error| Failure::io(self.data.display(), &error))?;
        let passkey = passkeys.mint(expires);
        if self.json {
            output::line(&json!({
                "passkey": passkey, "path": format!("/{passkey}/announce"), "expires": self.days.map(|_| expires),
            }));
        } else {
            output::say(&format!("/{passkey}/announce"));
        }
        Ok(())
    }
}
