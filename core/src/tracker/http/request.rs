//! The requests of tracker clients as they come over a connection, told from all others by their first bytes.
//!
//! Most of what a tracker is asked over HTTP is a GET of one line and a few headers: that is read here, without a copy. Whatever is not
//! quite so is left to a server that knows all of HTTP. Cost: linear in the head's length each time more of it has come.

use super::query::MAX_QUERY;

/// The longest head that is read here, in bytes; a longer one is left to others.
pub const MAX_HEAD: usize = MAX_QUERY + 2048;

/// What a path asks of a tracker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An announce (BEP 3).
    Announce,
    /// A scrape (BEP 48).
    Scrape,
}

/// What the first bytes of a connection are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head<'a> {
    /// They may become a request of a tracker client.
    Partial,
    /// They are something else, or not for us to read.
    Other,
    /// A request of a tracker client.
    Asked(Asked<'a>),
}

/// A request of a tracker client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked<'a> {
    /// What it asks.
    pub kind: Kind,
    /// What its path has before that.
    pub passkey: Option<&'a str>,
    /// What follows the `?`.
    pub query: &'a str,
    /// Whether the connection stays open for more.
    pub keep: bool,
    /// How many bytes it has.
    pub length: usize,
}

impl<'a> Head<'a> {
    /// Reads the first bytes of a connection, or what comes after a request.
    pub fn read(input: &'a [u8]) -> Self {
        let first = &input[..input.len().min(5)];
        if !b"GET /".starts_with(first) {
            return Self::Other;
        }
        let Some(end) = input.windows(4).position(|window| window == b"\r\n\r\n") else {
            return if input.len() < MAX_HEAD {
                Self::Partial
            } else {
                Self::Other
            };
        };
        let whole = core::str::from_utf8(&input[..end]).ok();
        whole
            .and_then(|head| asked(head, end + 4))
            .map_or(Self::Other, Self::Asked)
    }
}

fn asked(head: &str, length: usize) -> Option<Asked<'_>> {
    let mut lines = head.split("\r\n");
    let (target, version) = lines.next()?.strip_prefix("GET ")?.split_once(' ')?;
    let mut keep = match version {
        "HTTP/1.1" => true,
        "HTTP/1.0" => false,
        _ => return None,
    };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let (kind, passkey) = path_asks(path)?;
    for line in lines {
        let (name, value) = line.split_once(':')?;
        if name.is_empty() || name.contains([' ', '\t']) {
            return None;
        }
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        match name.len() {
            // A body, a WebSocket, or a client that waits to be told to go on.
            6 if is("expect") => return None,
            7 if is("upgrade") => return None,
            14 if is("content-length") && value.trim() != "0" => return None,
            17 if is("transfer-encoding") => return None,
            10 if is("connection") => {
                for word in value.split(',').map(str::trim) {
                    if word.eq_ignore_ascii_case("close") {
                        keep = false;
                    } else if word.eq_ignore_ascii_case("keep-alive") {
                        keep = true;
                    } else if word.eq_ignore_ascii_case("upgrade") {
                        return None;
                    }
                }
            }
            _ => {}
        }
    }
    Some(Asked {
        kind,
        passkey,
        query,
        keep,
        length,
    })
}

/// What a path asks, and the passkey that it has before that: `/PASSKEY/announce`. `None`: it is none of a tracker's.
pub fn path_asks(path: &str) -> Option<(Kind, Option<&str>)> {
    let path = path.strip_prefix('/')?;
    let (passkey, last) = match path.split_once('/') {
        None => (None, path),
        Some(("", _)) => return None,
        Some((passkey, last)) => (Some(passkey), last),
    };
    match last {
        "announce" => Some((Kind::Announce, passkey)),
        "scrape" => Some((Kind::Scrape, passkey)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_send_is_read() {
        for (request, keep) in [
            (
                "GET /announce?info_hash=%00 HTTP/1.1\r\nHost: a:1\r\nUser-Agent: b\r\n\r\n",
                true,
            ),
            (
                "GET /announce?info_hash=%00 HTTP/1.1\r\nconnection:  Close \r\n\r\n",
                false,
            ),
            ("GET /announce?info_hash=%00 HTTP/1.0\r\n\r\n", false),
            (
                "GET /announce?info_hash=%00 HTTP/1.0\r\nConnection: foo, keep-alive\r\nContent-Length: 0\r\n\r\n",
                true,
            ),
        ] {
            let expected = Asked {
                kind: Kind::Announce,
                passkey: None,
                query: "info_hash=%00",
                keep,
                length: request.len(),
            };
            let more = [request.as_bytes(), b"GET"].concat();
            assert_eq!(Head::read(&more), Head::Asked(expected), "{request}");
            for end in 0..request.len() {
                assert_eq!(Head::read(&request.as_bytes()[..end]), Head::Partial, "{end} {request}");
            }
        }
    }

    #[test]
    fn paths_of_the_tracker() {
        let (announce, scrape) = (Kind::Announce, Kind::Scrape);
        for (path, found) in [
            ("/announce", Some((announce, None))),
            ("/scrape", Some((scrape, None))),
            ("/5f-ab/announce", Some((announce, Some("5f-ab")))),
            ("/5f-ab/scrape", Some((scrape, Some("5f-ab")))),
            ("//announce", None),
            ("/a/b/announce", None),
            ("/announce/", None),
            ("/announce/x", None),
            ("announce", None),
            ("/", None),
            ("", None),
            ("/announce.php", None),
        ] {
            assert_eq!(path_asks(path), found, "{path}");
        }
    }

    #[test]
    fn all_else_is_left_to_others() {
        let long = ["GET /announce?", &"a".repeat(MAX_HEAD)].concat();
        for request in [
            "POST /announce HTTP/1.1\r\n\r\n",
            "get /announce HTTP/1.1\r\n\r\n",
            "GET http://a/announce HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\n\r\n",
            "GET /stats HTTP/1.1\r\n\r\n",
            "GET /announce HTTP/2.0\r\n\r\n",
            "GET /announce\r\n\r\n",
            "GET /announce  HTTP/1.1\r\n\r\n",
            "GET /announce HTTP/1.1\nHost: a\r\n\r\n",
            "GET /announce HTTP/1.1\r\nno header\r\n\r\n",
            "GET /announce HTTP/1.1\r\n folded: x\r\n\r\n",
            "GET /announce HTTP/1.1\r\nTransfer-Encoding : chunked\r\n\r\n",
            "GET /announce HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n",
            "GET /announce HTTP/1.1\r\nContent-Length: 5\r\n\r\n",
            "GET /announce HTTP/1.1\r\nExpect: 100-continue\r\n\r\n",
            "GET /announce HTTP/1.1\r\nConnection: keep-alive, Upgrade\r\n\r\n",
            "GET /announce HTTP/1.1\r\nUpgrade: websocket\r\n\r\n",
            "\x16\x03\x01",
            &long,
        ] {
            assert_eq!(Head::read(request.as_bytes()), Head::Other, "{request:.80}");
        }
        assert_eq!(Head::read(b"GET /announce?\xff HTTP/1.1\r\n\r\n"), Head::Other);
        assert_eq!(Head::read(b""), Head::Partial);
    }
}
