//! Which trackers a tab asks: those it can reach at all, and nobody outside a loopback page that was not named.

use tombolo_core::host::is_v4;

/// What decides.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Choice<'a> {
    /// Trackers named by the page's address: they replace all others.
    pub(crate) named: &'a [String],
    /// The relay's own.
    pub(crate) relay: Option<&'a str>,
    /// The torrent's own, in order.
    pub(crate) own: &'a [String],
    /// The user's own.
    pub(crate) extra: &'a [String],
    /// Whether the torrent's own were named by the page's address, or the page is not on a loopback address.
    pub(crate) may_go_outside: bool,
}

/// The trackers to announce to, each once.
pub(crate) fn choose(choice: Choice<'_>) -> Vec<String> {
    if !choice.named.is_empty() {
        return choice.named.to_vec();
    }
    let own = choice.own.iter().map(String::as_str);
    let own = own.filter(|url| can_be_asked(url) && (choice.may_go_outside || is_loopback(url)));
    let extra = choice.extra.iter().map(String::as_str).filter(|url| can_be_asked(url));
    let mut chosen: Vec<String> = Vec::new();
    for url in choice.relay.into_iter().chain(own).chain(extra) {
        if !chosen.iter().any(|other| other == url) {
            chosen.push(String::from(url));
        }
    }
    chosen
}

/// Whether a tab can use it: not over UDP, and not over HTTP, where browsers are refused (CORS) and the answer would be addresses
/// that no tab can connect to. The relay asks those.
fn can_be_asked(url: &str) -> bool {
    ["ws://", "wss://"].iter().any(|scheme| starts_with(url, scheme))
}

fn starts_with(url: &str, scheme: &str) -> bool {
    url.get(..scheme.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
}

/// Whether a URL's host is this machine itself.
pub(crate) fn is_loopback(url: &str) -> bool {
    let rest = url
        .split_once(':')
        .map_or(url, |(_, rest)| rest.trim_start_matches('/'));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let host = match host.strip_prefix('[') {
        Some(bracketed) => bracketed.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let named = host == "localhost" || host.ends_with(".localhost");
    named || host == "::1" || host.starts_with("127.") && is_v4(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(named: &[&str], own: &[&str], may_go_outside: bool) -> Vec<String> {
        let texts = |urls: &[&str]| urls.iter().map(ToString::to_string).collect::<Vec<_>>();
        choose(Choice {
            named: &texts(named),
            relay: Some("ws://127.0.0.1:1/announce"),
            own: &texts(own),
            extra: &texts(&["wss://mine", "udp://mine"]),
            may_go_outside,
        })
    }

    #[test]
    fn what_is_named_replaces_the_rest() {
        assert_eq!(chosen(&["ws://a"], &["ws://b"], true), ["ws://a"]);
    }

    #[test]
    fn what_a_tab_cannot_reach_is_left_out() {
        let own = [
            "udp://a:1",
            "WSS://b",
            "https://c/announce",
            "ws://127.0.0.1:1/announce",
            "ftp://d",
        ];
        assert_eq!(
            chosen(&[], &own, true),
            ["ws://127.0.0.1:1/announce", "WSS://b", "wss://mine"]
        );
    }

    #[test]
    fn a_loopback_page_asks_nothing_outside() {
        let own = [
            "ws://a.example",
            "ws://localhost.example",
            "ws://127.0.0.1@b.example",
            "ws://[::1]:5/x",
            "ws://127.9.9.9:1",
        ];
        assert_eq!(
            chosen(&[], &own, false),
            [
                "ws://127.0.0.1:1/announce",
                "ws://[::1]:5/x",
                "ws://127.9.9.9:1",
                "wss://mine"
            ]
        );
    }
}
