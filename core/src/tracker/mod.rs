//! Trackers: the codecs of their three protocols, for the client's side and the server's, and the server's table.

pub mod http;
mod json;
pub mod query;
pub mod ws;

pub use json::JsonError;
pub(crate) mod announcer;
pub(crate) mod offers;
