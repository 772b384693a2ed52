use super::*;
use alloc::vec;

const V1: &str = "0123456789abcdef0123456789ABCDEF01234567";
const V2: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn v1_hashes() -> InfoHashes {
    InfoHashes::from(InfoHashV1(unhex(V1).unwrap()))
}

fn parse(parameters: &str) -> Magnet {
    Magnet::parse(&alloc::format!("magnet:?xt=urn:btih:{V1}&{parameters}")).unwrap()
}

#[test]
fn bare_hashes_are_read() {
    assert_eq!(Magnet::parse(V1), Ok(Magnet::new(v1_hashes())));
    let base32 = "AERUKZ4JVPG66AJDIVTYTK6N54ASGRLH";
    assert_eq!(Magnet::parse(base32), Ok(Magnet::new(v1_hashes())));
    assert_eq!(Magnet::parse(&base32.to_lowercase()), Ok(Magnet::new(v1_hashes())));
    let v2 = InfoHashes::new(None, Some(InfoHashV2(unhex(V2).unwrap()))).unwrap();
    assert_eq!(Magnet::parse(V2), Ok(Magnet::new(v2)));
    for text in [V1, V2, base32, "magnet:?xt=urn:btih:5"] {
        assert!(Magnet::is_like(text), "{text}");
    }
    for text in ["file.torrent", &V1[1..], "10123456789012345678901234567890", ""] {
        assert!(!Magnet::is_like(text), "{text}");
    }
}

#[test]
fn every_parameter_is_read_in_any_letter_case() {
    let link = alloc::format!(
        "MAGNET:?XT=URN:BTIH:{V1}&xt.2=urn:btmh:1220{V2}&dn=a+b%20c%C3%A4&Tr=http%3A%2F%2Ft%2Fa&tr.1=udp://u:1&tr=http://t/a&tr=&\
         ws=http://w/&x.pe=Host.example:6881&x.pe=[2001:db8::1]:80&x.pe=1.2.3.4:5&x.pe=1.2.3.4:5&so=4-6,0,5&xl=9&as=x&lonely"
    );
    let magnet = Magnet::parse(&link).unwrap();
    assert_eq!(
        magnet.hashes,
        InfoHashes::new(v1_hashes().v1(), Some(InfoHashV2(unhex(V2).unwrap()))).unwrap()
    );
    assert_eq!(magnet.name.as_deref(), Some("a b cä"));
    assert_eq!(magnet.trackers, ["http://t/a", "udp://u:1"]);
    assert_eq!(magnet.web_seeds, ["http://w/"]);
    let peers: Vec<_> = magnet.peers.iter().map(PeerAddress::to_string).collect();
    assert_eq!(peers, ["host.example:6881", "[2001:db8::1]:80", "1.2.3.4:5"]);
    assert_eq!(magnet.select_only, Some(vec![0, 4, 5, 6]));
    assert_eq!(Magnet::parse(&magnet.to_string()), Ok(magnet));
}

#[test]
fn invalid_peers_are_left_out() {
    let invalid = [
        "host",
        "host:",
        ":1",
        "host:0",
        "host:65536",
        "host:+5",
        "2001:db8::1:80",
        "[::1",
        "[::g]:1",
        "a b:1",
        "1.2.3:4",
        "1.2.3.256:4",
        "a..b:1",
        "-a:1",
        "a/b:1",
    ];
    for peer in invalid {
        assert!(parse(&["x.pe=", peer].concat()).peers.is_empty(), "{peer}");
    }
}

#[test]
fn absurd_selections_are_dropped_and_never_expanded() {
    assert_eq!(parse("so=0-4294967295,7").select_only, Some(vec![7]));
    assert_eq!(parse("so=5-3,x,-1,,99999999999999").select_only, Some(vec![]));
    assert_eq!(parse("dn=x").select_only, None);
    let many = alloc::format!("so={}", vec!["0-1048575"; 10_000].join(","));
    assert_eq!(parse(&many).select_only.map(|indices| indices.len()), Some(1 << 20));
}

#[test]
fn percent_signs_that_lead_nowhere_stay() {
    assert_eq!(parse("dn=100%&tr=http://t/%zz%4").name.as_deref(), Some("100%"));
    assert_eq!(parse("tr=http://t/%zz%4").trackers, ["http://t/%zz%4"]);
    assert_eq!(parse("dn=%ff").name.as_deref(), Some("\u{fffd}"));
}

#[test]
fn malformed_links_are_refused() {
    let v1 = "40 hexadecimal or 32 base32 digits";
    let v2 = "64 hexadecimal digits";
    let two = alloc::format!("magnet:?xt=urn:btih:{V1}&xt=urn:btih:{}", V1.replace('0', "1"));
    let v2_short = alloc::format!("magnet:?xt=urn:btmh:1220{}", &V2[2..]);
    let sign = alloc::format!("+{}", &V1[1..]);
    let table: [(&str, MagnetError); 13] = [
        ("", MagnetError::NotMagnet),
        ("http://x/", MagnetError::NotMagnet),
        (&V1[..20], MagnetError::NotMagnet),
        (&sign, MagnetError::NotMagnet),
        ("magnet:", MagnetError::NoHash),
        ("magnet:?dn=x&xt=urn:sha1:abc", MagnetError::NoHash),
        (
            "magnet:?xt=urn:btih:",
            MagnetError::HashLength {
                expected: v1,
                received: 0,
            },
        ),
        (
            "magnet:?xt=urn:btih:0123456789abcdef0123",
            MagnetError::HashLength {
                expected: v1,
                received: 20,
            },
        ),
        (
            "magnet:?xt=urn:btih:0123456789abcdefg",
            MagnetError::HashDigit {
                expected: v1,
                received: 'g',
            },
        ),
        (
            "magnet:?xt=urn:btih:1ERUKZ4JVPG66AJDIVTYTK6N54ASGRLH",
            MagnetError::HashDigit {
                expected: "32 base32 digits",
                received: '1',
            },
        ),
        (
            "magnet:?xt=urn:btmh:1114abcd",
            MagnetError::HashKind {
                received: "1114".into(),
            },
        ),
        (
            &v2_short,
            MagnetError::HashLength {
                expected: v2,
                received: 62,
            },
        ),
        (&two, MagnetError::TwoHashes),
    ];
    for (text, error) in table {
        assert_eq!(Magnet::parse(text), Err(error), "{text}");
    }
    let long = "magnet:?".to_string() + &"x".repeat(MAX_MAGNET);
    assert_eq!(
        Magnet::parse(&long),
        Err(MagnetError::TooLong {
            received: MAX_MAGNET + 8
        })
    );
}
