//! Why a command of the page was not done: a code for programs, one line for people.

use js_sys::Object;
use tombolo_core::magnet::MagnetError;
use tombolo_core::metainfo::MetainfoError;
use wasm_bindgen::JsValue;

use crate::platform::set_member;

/// Why a command was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    code: &'static str,
    message: String,
    /// Expected and received, where numbers differ.
    counts: Option<(u32, u32)>,
}

impl Refusal {
    /// A refusal with this code and words.
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            counts: None,
        }
    }

    /// The torrent that a command is about is not in the list.
    pub(crate) fn no_torrent() -> Self {
        Self::new("not-found", "The torrent is not in the list.")
    }

    /// There is no file of that number.
    pub(crate) fn no_file(file: usize) -> Self {
        Self::new("not-found", format!("This torrent has no file {file}."))
    }
}

impl From<MagnetError> for Refusal {
    fn from(error: MagnetError) -> Self {
        let counts = match &error {
            // Most links are of v1 and in hexadecimal digits: that is the number to compare with.
            MagnetError::HashLength { received, .. } => Some((40, u32::try_from(*received).unwrap_or(u32::MAX))),
            _ => None,
        };
        Self {
            code: "bad-magnet",
            message: format!("This link cannot be used: {error}."),
            counts,
        }
    }
}

impl From<MetainfoError> for Refusal {
    fn from(error: MetainfoError) -> Self {
        Self::new(error.code(), format!("This .torrent cannot be used: {error}."))
    }
}

impl From<Refusal> for JsValue {
    fn from(refusal: Refusal) -> Self {
        let (error, details) = (Object::new(), Object::new());
        if let Some((expected, received)) = refusal.counts {
            set_member(&details, "expected", &expected.into());
            set_member(&details, "received", &received.into());
        }
        set_member(&error, "code", &refusal.code.into());
        set_member(&error, "message", &refusal.message.into());
        set_member(&error, "details", &details);
        error.into()
    }
}
