//! Trackers over HTTP (BEP 3, 7, 23, 24, 31, 48): URLs and bencoded answers for the client, queries and answers for the server.
//!
//! Queries are read in one pass and without allocation (but for a tracker id): a server reads tens of thousands a second.

mod query;
mod reply;
mod request;
mod url;

pub use query::{AnnounceQuery, MAX_QUERY, QueryError, parse_announce_query, parse_scrape_query};
pub use reply::{
    MAX_REPLY, PeerForm, ReplyError, encode_announce, encode_announce_into, encode_failure, encode_scrape,
    parse_announce, parse_scrape,
};
pub use request::{Asked, Head, Kind, MAX_HEAD, path_asks};
pub use url::{announce_url, scrape_url};
