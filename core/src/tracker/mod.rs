//! Trackers: the codecs of their three protocols, for the client's side and the server's, and the server's table.

pub(crate) mod announcer;
pub mod http;
mod json;
pub mod list;
pub(crate) mod offers;
pub mod passkey;
pub mod query;
pub mod registry;
pub mod udp;
pub mod ws;

pub use json::JsonError;
