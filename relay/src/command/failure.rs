//! Why a command ends without having done what it was asked to.

use std::io;
use std::process::ExitCode;

use serde::Serialize;
use tombolo_core::magnet::MagnetError;
use tombolo_core::metainfo::MetainfoError;

use super::output;

/// A failure: its exit status, a code for programs, a line for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// 1: failed while running; 2: refused input or usage.
    pub(super) status: u8,
    /// In kebab-case.
    pub(super) code: &'static str,
    /// One line.
    pub(super) message: String,
}

#[derive(Serialize)]
struct Document<'a> {
    error: Inner<'a>,
}

#[derive(Serialize)]
struct Inner<'a> {
    code: &'a str,
    message: &'a str,
}

impl Failure {
    /// What was given is refused.
    pub(super) fn refused(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status: 2,
            code,
            message: message.into(),
        }
    }

    /// Something went wrong while running.
    pub(super) fn running(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status: 1,
            code,
            message: message.into(),
        }
    }

    /// The system refused something to do with `what`.
    pub(super) fn io(what: impl std::fmt::Display, error: &io::Error) -> Self {
        let code = match error.kind() {
            io::ErrorKind::AddrInUse => "address-in-use",
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "disk-full",
            _ => "io",
        };
        Self::running(code, format!("{what}: {error}"))
    }

    /// Says so, on stdout as JSON or on stderr as text; the exit status.
    pub(super) fn report(&self, json: bool) -> ExitCode {
        let message = self.message.lines().collect::<Vec<_>>().join(" ");
        if json {
            output::line(&Document {
                error: Inner {
                    code: self.code,
                    message: &message,
                },
            });
        } else {
            output::complain(&message);
        }
        ExitCode::from(self.status)
    }
}

impl From<MetainfoError> for Failure {
    fn from(error: MetainfoError) -> Self {
        Self::refused(error.code(), error.to_string())
    }
}

impl From<MagnetError> for Failure {
    fn from(error: MagnetError) -> Self {
        Self::refused("bad-magnet", error.to_string())
    }
}
