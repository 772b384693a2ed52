//! `tombolo serve`.

mod guard;
mod page;
mod reply;
pub(crate) mod websocket;
