//! Trackers: the codecs of their three protocols, for the client's side and the server's, and the server's table.

pub(crate) mod announcer;
pub mod query;
