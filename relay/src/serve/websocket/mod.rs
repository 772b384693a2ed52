//! WebSockets (RFC 6455), the server's side: for the tracker, whose messages are text, and for `/wire`, whose messages are
//! parts of a byte stream.

pub(crate) mod frame;
pub(crate) mod handshake;
