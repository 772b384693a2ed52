//! The upgrade from HTTP to a WebSocket (RFC 6455, 4.2), the server's side.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{
    CONNECTION, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use sha1::{Digest, Sha1};

/// What is appended to the client's key (RFC 6455, 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Whether a request asks to become a WebSocket.
pub(crate) fn is_upgrade(headers: &HeaderMap) -> bool {
    has_token(headers, &CONNECTION, "upgrade") && has_token(headers, &UPGRADE, "websocket")
}

/// The headers of the answer 101; `None` if the request is malformed or of another version. A subprotocol is agreed to
/// whatever it is (the first): some trackers' clients name one.
pub(crate) fn accept(headers: &HeaderMap) -> Option<HeaderMap> {
    let key = headers.get(SEC_WEBSOCKET_KEY)?;
    let is_key = STANDARD.decode(key.as_bytes()).is_ok_and(|key| key.len() == 16);
    if !is_key || headers.get(SEC_WEBSOCKET_VERSION)? != "13" {
        return None;
    }
    let digest = Sha1::new().chain_update(key.as_bytes()).chain_update(GUID).finalize();
    let mut answer = HeaderMap::new();
    answer.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    answer.insert(UPGRADE, HeaderValue::from_static("websocket"));
    answer.insert(
        SEC_WEBSOCKET_ACCEPT,
        HeaderValue::from_str(&STANDARD.encode(digest)).ok()?,
    );
    let protocols = headers
        .get(SEC_WEBSOCKET_PROTOCOL)
        .and_then(|value| value.to_str().ok());
    if let Some(first) = protocols
        .and_then(|list| list.split(',').next())
        .map(str::trim)
        .filter(|name| !name.is_empty())
    {
        answer.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_str(first).ok()?);
    }
    Some(answer)
}

fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let values = headers
        .get_all(name)
        .into_iter()
        .filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .any(|word| word.trim().eq_ignore_ascii_case(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        fields
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn the_example_of_the_rfc() {
        let headers = request(&[
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "WebSocket"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("sec-websocket-version", "13"),
            ("sec-websocket-protocol", "webtorrent, other"),
        ]);
        assert!(is_upgrade(&headers));
        let answer = accept(&headers).unwrap();
        assert_eq!(answer[SEC_WEBSOCKET_ACCEPT], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(answer[SEC_WEBSOCKET_PROTOCOL], "webtorrent");
    }

    #[test]
    fn a_short_key_and_an_old_version_are_refused() {
        let old = [
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("sec-websocket-version", "8"),
        ];
        let short = [("sec-websocket-key", "AAAA"), ("sec-websocket-version", "13")];
        assert!(accept(&request(&old)).is_none() && accept(&request(&short)).is_none());
        assert!(!is_upgrade(&request(&[
            ("connection", "close"),
            ("upgrade", "websocket")
        ])));
    }
}
