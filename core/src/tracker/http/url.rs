//! The URLs that a client asks.

use crate::key::SwarmKey;
use crate::percent;
use crate::tracker::query::AnnounceRequest;
use alloc::string::String;
use core::fmt::Write;

/// What is said to be left while the metadata is unknown, in bytes: not 0, which would make a seed of us. libtorrent says the same.
const LEFT_UNKNOWN: u64 = 16 * 1024;

/// The URL that announces `request` to the tracker at `base`, whose own query is kept.
pub fn announce_url(base: &str, request: &AnnounceRequest) -> String {
    let mut url = start(base);
    binary("info_hash", &request.swarm.0, &mut url);
    binary("&peer_id", &request.peer_id.0, &mut url);
    // Writing to a string cannot fail.
    let _ = write!(
        url,
        "&port={}&uploaded={}&downloaded={}&left={}&compact=1&no_peer_id=1",
        request.port,
        request.uploaded,
        request.downloaded,
        request.left.unwrap_or(LEFT_UNKNOWN)
    );
    request
        .event
        .word()
        .into_iter()
        .for_each(|word| url.extend(["&event=", word]));
    request
        .numwant
        .into_iter()
        .for_each(|numwant| _ = write!(url, "&numwant={numwant}"));
    request
        .key
        .into_iter()
        .for_each(|key| _ = write!(url, "&key={key:08x}"));
    request
        .tracker_id
        .iter()
        .for_each(|id| binary("&trackerid", id.as_bytes(), &mut url));
    url
}

/// The URL that asks the tracker at `base` for the counts of `swarms` (BEP 48); `None` if its path does not end in `announce…`.
pub fn scrape_url(base: &str, swarms: &[SwarmKey]) -> Option<String> {
    let path = base.split(['?', '#']).next()?;
    let last = path.rfind('/')? + 1;
    let rest = base.get(last..)?.strip_prefix("announce")?;
    let mut url = start(&[&base[..last], "scrape", rest].concat());
    for (at, swarm) in swarms.iter().enumerate() {
        binary(if at == 0 { "info_hash" } else { "&info_hash" }, &swarm.0, &mut url);
    }
    Some(url)
}

/// `base` without its fragment, ready for a parameter.
fn start(base: &str) -> String {
    let base = base.split('#').next().unwrap_or(base);
    let joint = match base.find('?') {
        None => "?",
        Some(_) if base.ends_with(['?', '&']) => "",
        Some(_) => "&",
    };
    let mut url = String::with_capacity(base.len() + 320);
    url.extend([base, joint]);
    url
}

fn binary(key: &str, bytes: &[u8], url: &mut String) {
    url.extend([key, "="]);
    percent::encode(bytes, url);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::PeerId;
    use crate::tracker::http::parse_announce_query;
    use crate::tracker::query::AnnounceEvent;

    fn request() -> AnnounceRequest {
        AnnounceRequest {
            swarm: SwarmKey(*b"\x124Vx\x9a\xbc\xde\xf1#Eg\x89\xab\xcd\xef\x124Vx\x9a"),
            peer_id: PeerId(*b"-TB0100-abcdefghijkl"),
            port: 6881,
            uploaded: 1,
            downloaded: 2,
            left: Some(3),
            event: AnnounceEvent::Started,
            numwant: Some(50),
            key: Some(0xbeef),
            tracker_id: Some("a b".into()),
        }
    }

    #[test]
    fn an_announce_is_read_back_by_the_server() {
        let url = announce_url("http://t.example/announce?passkey=x#part", &request());
        assert_eq!(
            url,
            "http://t.example/announce?passkey=x&info_hash=%124Vx%9A%BC%DE%F1%23Eg%89%AB%CD%EF%124Vx%9A\
             &peer_id=-TB0100-abcdefghijkl&port=6881&uploaded=1&downloaded=2&left=3&compact=1&no_peer_id=1\
             &event=started&numwant=50&key=0000beef&trackerid=a%20b"
        );
        let query = parse_announce_query(url.split_once('?').unwrap().1).unwrap();
        assert_eq!(query.request, request());
        assert!(query.compact && query.no_peer_id);
    }

    #[test]
    fn a_scrape_replaces_the_last_part_of_the_path() {
        let swarms = [SwarmKey([b'a'; 20]), SwarmKey([b'b'; 20])];
        let table = [
            ("http://t/announce", Some("http://t/scrape?")),
            ("http://t/x/announce", Some("http://t/x/scrape?")),
            ("http://t/announce.php?k=1", Some("http://t/scrape.php?k=1&")),
            ("http://t/a", None),
            ("http://t/announce?x2%0644/", Some("http://t/scrape?x2%0644/&")),
            ("http://t/x%064announce", None),
        ];
        for (base, expected) in table {
            let expected =
                expected.map(|url| [url, "info_hash=", &"a".repeat(20), "&info_hash=", &"b".repeat(20)].concat());
            assert_eq!(scrape_url(base, &swarms), expected, "{base}");
        }
    }
}
