//! Whole inputs for each decoder: what damage starts from.

use bytes::Bytes;
use tombolo_core::key::{PeerId, SwarmKey};
use tombolo_core::metainfo::Metainfo;
use tombolo_core::tracker::http::{PeerForm, announce_url, encode_announce, encode_failure, encode_scrape};
use tombolo_core::tracker::passkey::Passkeys;
use tombolo_core::tracker::query::{AnnounceEvent, AnnounceReply, AnnounceRequest, Failure, ScrapeCounts};
use tombolo_core::tracker::udp::{Connection, Family, Request, Response, Transaction};
use tombolo_core::wire::handshake::{Handshake, Reserved};
use tombolo_core::wire::hashes::HashRange;
use tombolo_core::wire::message::{Message, RawRange};

type Inputs = Vec<Vec<u8>>;

/// What the doors ask for.
const SWARM: SwarmKey = SwarmKey([b'a'; 20]);

fn texts(texts: &[&str]) -> Inputs {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

pub(crate) fn bencode() -> Inputs {
    texts(&[
        "d1:ai1e1:bl1:x2:yze1:cd1:k0:e1:di-70ee",
        "lli0ed0:leeei123456789e3:abce",
        "i-1ei2e",
        "10:0123456789",
    ])
}

/// Lists of addresses in every form.
pub(crate) fn filter() -> Inputs {
    texts(&[
        "# x\n1.2.3.4\n1.2.3.0/24\n1.2.3.4-1.2.3.9\n2001:db8::/32\n::1-::5\n::ffff:1.2.3.4\n",
        "001.002.003.000 - 001.002.003.255 , 000 , Some one\r\n1.2.3.4 , 128 , other",
        "Some: one:1.2.3.4-255.255.255.255\n// y\n0.0.0.0/0",
    ])
}

/// What names other peers: PEX, holepunch, introductions, local discovery.
pub(crate) fn finding() -> Inputs {
    let mut inputs = texts(&[
        "d5:added12:abcdefghijkl7:added.f2:\u{10}\u{2}6:added618:abcdefghijklmnopqr8:added6.f1:x7:dropped6:abcdef8:dropped60:e",
        "BT-SEARCH * HTTP/1.1\r\nHost: 239.192.152.143:6771\r\nPort: 6881\r\nInfohash: 5a3ce9c14e7a08645677bbd1cfe7d8f956d53256\r\n\
         cookie: x\r\n\r\n\r\n",
    ]);
    inputs.push(vec![0, 0, 1, 2, 3, 4, 5, 6, 0, 0, 0, 0]);
    inputs.push([&[2, 1][..], &[9; 18], &[0, 0, 0, 3]].concat());
    inputs.push([&[0][..], &[7; 20], &[1], &[8; 20], &[0]].concat());
    inputs.push([&[2][..], &[7; 20], &[9; 20], b"v=0"].concat());
    inputs
}

/// Questions and answers of the DHT.
pub(crate) fn krpc() -> Inputs {
    texts(&[
        "d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe",
        "d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz1234564:wantl2:n42:n6ee1:q9:find_node2:roi1e1:t2:aa1:y1:qe",
        "d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz123456e1:q9:get_peers1:t2:aa1:y1:qe",
        "d1:ad2:id20:abcdefghij012345678912:implied_porti1e9:info_hash20:mnopqrstuvwxyz1234564:porti6881e5:token8:aoeusnthe1:q13:\
         announce_peer1:t2:aa1:y1:qe",
        "d2:ip6:abcdef1:rd2:id20:abcdefghij01234567895:nodes26:abcdefghijklmnopqrstuvwxyz5:token8:aoeusnth6:valuesl6:axje.u\
         6:idhtnmee1:t4:aaaa1:y1:re",
        "d1:eli201e23:A Generic Error Ocurrede1:t2:aa1:y1:ee",
    ])
}

/// Ranges of a torrent's trees, each with the answer to it.
pub(crate) fn hashes() -> Inputs {
    let torrent = Bytes::from_static(include_bytes!("../data/v2-mix.torrent"));
    let layers = Metainfo::parse(&torrent)
        .map(|metainfo| metainfo.layers)
        .unwrap_or_default();
    let ranges = layers.entries().flat_map(|(root, _)| {
        [(2, 0), (4, 1)].map(|(length, proofs)| HashRange {
            root: *root,
            base: 1,
            index: 0,
            length,
            proofs,
        })
    });
    ranges
        .map(|range| [&range.encode()[..], &layers.prove(&range, &[]).unwrap_or_default()].concat())
        .collect()
}

pub(crate) fn door() -> Inputs {
    let peer = |reserved| Handshake {
        reserved,
        swarm: SWARM,
        peer_id: PeerId(*b"-XX0000-000000000001"),
    };
    [Reserved::OURS, Reserved([0; 8])]
        .map(|reserved| [&peer(reserved).encode()[..], b"\0\0\0\x01\x0f and more"].concat())
        .into()
}

pub(crate) fn extended() -> Inputs {
    let mut inputs = texts(&[
        "d1:ei1e1:md11:lt_donthavei7e11:ut_metadatai3ee13:metadata_sizei100e1:pi6881e4:reqqi250e1:v9:test 1.23e",
        "d1:mdee",
    ]);
    inputs.extend([b"d6:yourip4:\x7f\0\0\x01e".to_vec(), vec![0, 0, 1, 2]]);
    inputs
}

pub(crate) fn frame() -> Inputs {
    let range = RawRange {
        index: 1,
        begin: 16_384,
        length: 16_384,
    };
    let messages = [
        Message::KeepAlive,
        Message::Choke,
        Message::Interested,
        Message::Have(7),
        Message::Bitfield(Bytes::from_static(&[0xf0, 0x80])),
        Message::Request(range),
        Message::Piece {
            index: 1,
            begin: 0,
            block: Bytes::from_static(b"some bytes of a block").into(),
        },
        Message::Cancel(range),
        Message::Port(6881),
        Message::Suggest(3),
        Message::HaveAll,
        Message::HaveNone,
        Message::Reject(range),
        Message::AllowedFast(2),
        Message::Extended {
            id: 3,
            payload: Bytes::from_static(b"d8:msg_typei0e5:piecei0ee"),
        },
        Message::Unknown(99),
    ];
    let mut inputs: Inputs = messages.chunks(4).map(stream).collect();
    inputs.push(stream(&messages));
    inputs
}

/// The bytes of these messages, one after the other.
fn stream(messages: &[Message]) -> Vec<u8> {
    let mut bytes = Vec::new();
    messages.iter().for_each(|message| message.encode(&mut bytes));
    bytes
}

pub(crate) fn magnet() -> Inputs {
    texts(&[
        "magnet:?xt=urn:btih:c12fe1c06bba254a9dc9f519b335aa7c1367a88a&dn=A%20name+%C3%A9&tr=udp%3A%2F%2Ft.example%3A80&x.pe=1.2.3.4:5",
        "magnet:?xt=urn:btih:YEX6DQDLXISUVHOJ6UM3GNNKPQJWPKEK&so=0,2-4,9&ws=http://a/b&x.pe=[::1]:80&x.pe=host:1",
        "magnet:?xt=urn:btmh:1220caf1e1c30e81cb361b9ee167c4aa64228a7fa4fa9f6105232b28ad099f3a302e&xt=urn:btih:c12fe1c06bba254a9dc9f519b335aa7c1367a88a",
        "c12fe1c06bba254a9dc9f519b335aa7c1367a88a",
    ])
}

pub(crate) fn metadata() -> Inputs {
    texts(&[
        "d8:msg_typei0e5:piecei3ee",
        "d8:msg_typei1e5:piecei0e10:total_sizei10ee0123456789",
        "d8:msg_typei2e5:piecei1ee",
        "d8:msg_typei9e5:piecei1ee",
    ])
}

pub(crate) fn metainfo() -> Inputs {
    let hashes = "h".repeat(40);
    let single = format!("d6:lengthi20000e4:name5:a.bin12:piece lengthi16384e6:pieces40:{hashes}7:privatei1ee");
    let files =
        "ld6:lengthi10000e4:pathl1:a5:b.txteed4:attr1:p6:lengthi6384e4:pathl4:.pad4:6384eed6:lengthi99e4:pathl1:ceee";
    let many = format!("d5:files{files}4:name3:dir12:piece lengthi16384e6:pieces40:{hashes}e");
    let around = |info: &str| {
        let trackers = "8:announce9:http://t/13:announce-listll9:http://t/el9:udp://t:1ee";
        format!("d{trackers}7:comment2:hi10:created by1:x13:creation datei7e4:info{info}8:url-listl9:http://w/ee")
    };
    let mut inputs = texts(&[&around(&single), &around(&many), &single, &many]);
    inputs.push(include_bytes!("../data/v2-single.torrent").to_vec());
    inputs.push(include_bytes!("../data/hybrid-single.torrent").to_vec());
    inputs
}

fn request() -> AnnounceRequest {
    AnnounceRequest {
        swarm: SWARM,
        peer_id: PeerId(*b"-XX0000-000000000001"),
        port: 6881,
        uploaded: 1,
        downloaded: 2,
        left: Some(3),
        event: AnnounceEvent::Started,
        numwant: Some(50),
        key: Some(0x1234_abcd),
        tracker_id: Some("t 1".into()),
    }
}

fn reply() -> AnnounceReply {
    AnnounceReply {
        interval: 1800,
        min_interval: Some(60),
        complete: Some(4),
        incomplete: Some(5),
        peers: ["10.0.0.2:6881", "[2001:db8::1]:80"]
            .map(|peer| peer.parse().unwrap())
            .into(),
        warning: Some("slow".into()),
        tracker_id: Some("t".into()),
        ..AnnounceReply::default()
    }
}

fn counts() -> ScrapeCounts {
    ScrapeCounts {
        complete: 1,
        incomplete: 2,
        downloaded: 3,
    }
}

pub(crate) fn tracker_http() -> Inputs {
    let refusal = Failure {
        reason: "not today".into(),
        retry_in_minutes: Some(5),
    };
    let url = announce_url("http://t/announce", &request());
    let query = url.split_once('?').unwrap().1;
    vec![
        encode_announce(&reply(), PeerForm::Compact),
        encode_announce(&reply(), PeerForm::Dictionary(None)),
        encode_failure(&refusal),
        encode_scrape(&[(SWARM, counts())]),
        query.as_bytes().to_vec(),
        format!("{query}&compact=1&no_peer_id=1&info_hash=%00%ff").into_bytes(),
        b"https://t.example:80/x/announce?a=b".to_vec(),
    ]
}

pub(crate) fn tracker_udp() -> Inputs {
    let (connection, transaction) = (Connection(0x1122_3344_5566_7788), Transaction(9));
    let announce = Request::Announce {
        connection,
        transaction,
        announce: AnnounceRequest {
            tracker_id: None,
            ..request()
        },
        ip: None,
        url_data: b"/announce?x=1".to_vec(),
    };
    let scrape = Request::Scrape {
        connection,
        transaction,
        swarms: vec![SWARM, SwarmKey([b'b'; 20])],
    };
    let mut inputs = vec![
        Request::Connect(transaction).encode(),
        announce.encode(),
        scrape.encode(),
    ];
    let responses = [
        Response::Connect(transaction, connection),
        Response::Announce(transaction, reply()),
        Response::Scrape(transaction, vec![counts(), counts()]),
        Response::Error(transaction, "not today".into()),
    ];
    for family in [Family::V4, Family::V6] {
        for response in &responses {
            let mut packet = Vec::new();
            response.encode(family, &mut packet);
            inputs.push(packet);
        }
    }
    inputs
}

/// Requests as they begin, a list, a passkey, two swarms of a snapshot.
pub(crate) fn tracker_server() -> Inputs {
    let mut inputs = texts(&[
        "GET /announce?info_hash=%00 HTTP/1.1\r\nHost: tracker\r\nConnection: close\r\n\r\n",
        "GET /key/scrape?x HTTP/1.0\r\nContent-Length: 0\r\nConnection: keep-alive\r\nUpgrade: x\r\n\r\n",
        "5a3ce9c14e7a08645677bbd1cfe7d8f956d53256 # one\r\n\n5a3ce9c14e7a08645677bbd1cfe7d8f956d53256\
         5a3ce9c14e7a08645677bbd1\n",
        &Passkeys::new([7; 32]).mint(0x1000),
    ]);
    let peer = |id: u8, address: &[u8]| [&[id; 20][..], &[0, 0, 1, 0], address, &[1, 2]].concat();
    let head = |swarm: u8, counts: [u8; 4]| {
        let counts = counts.iter().flat_map(|count| [0, 0, 0, *count]);
        [&[swarm; 20][..], &[0, 0, 0, 3]]
            .concat()
            .into_iter()
            .chain(counts)
            .collect::<Vec<_>>()
    };
    let first = [
        head(1, [1, 2, 1, 1]),
        peer(1, &[10; 4]),
        peer(2, &[11; 4]),
        peer(1, &[12; 16]),
    ]
    .concat();
    inputs.push([first, head(2, [0, 1, 0, 0]), peer(3, &[13; 4])].concat());
    inputs
}

pub(crate) fn tracker_ws() -> Inputs {
    let ids = r#""info_hash":"aaaaaaaaaaaaaaaaaa\u00ff\"","peer_id":"-XX0000-bbbbbbbbbbbb""#;
    let offer = r#"{"offer":{"type":"offer","sdp":"v=0\r\no=- 1 2 \u0041\/"},"offer_id":"cccccccccccccccccccc"}"#;
    texts(&[
        &format!(
            r#"{{"action":"announce",{ids},"uploaded":1,"downloaded":2,"left":3,"event":"started","numwant":2,"offers":[{offer},{offer}]}}"#
        ),
        &format!(
            r#"{{"action":"announce",{ids},"to_peer_id":"dddddddddddddddddddd","offer_id":"cccccccccccccccccccc","answer":{{"type":"answer","sdp":"v=0"}}}}"#
        ),
        r#"{"action":"scrape","info_hash":["aaaaaaaaaaaaaaaaaaaa","bbbbbbbbbbbbbbbbbbbb"]}"#,
        &format!(
            r#"{{"action":"announce",{ids},"interval":120,"complete":1,"incomplete":2,"warning message":"slow"}}"#
        ),
        &format!(
            r#"{{"action":"announce",{ids},"offer":{{"type":"offer","sdp":"v=0"}},"offer_id":"cccccccccccccccccccc"}}"#
        ),
        &format!(r#"{{"action":"announce",{ids},"failure reason":"not today"}}"#),
        r#"{"action":"scrape","files":{"aaaaaaaaaaaaaaaaaaaa":{"complete":1,"incomplete":2,"downloaded":3}}}"#,
    ])
}
