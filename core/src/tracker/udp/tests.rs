use super::*;
use alloc::vec;

const CONNECTION: Connection = Connection(0x0102_0304_0506_0708);
const TRANSACTION: Transaction = Transaction(0x0a0b_0c0d);

fn announce() -> AnnounceRequest {
    AnnounceRequest {
        swarm: SwarmKey([1; 20]),
        peer_id: PeerId([2; 20]),
        port: 6881,
        uploaded: 3,
        downloaded: 4,
        left: Some(5),
        event: AnnounceEvent::Started,
        numwant: Some(50),
        key: Some(7),
        tracker_id: None,
    }
}

fn request(announce: AnnounceRequest, url_data: Vec<u8>) -> Request {
    Request::Announce {
        connection: CONNECTION,
        transaction: TRANSACTION,
        announce,
        ip: None,
        url_data,
    }
}

#[test]
fn packets_have_the_beps_places() {
    let connect = Request::Connect(TRANSACTION).encode();
    assert_eq!(
        connect,
        [0, 0, 4, 0x17, 0x27, 0x10, 0x19, 0x80, 0, 0, 0, 0, 10, 11, 12, 13]
    );
    let packet = request(announce(), Vec::new()).encode();
    assert_eq!(packet.len(), 98);
    assert_eq!(&packet[..16], [1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 1, 10, 11, 12, 13]);
    assert_eq!((&packet[16..36], &packet[36..56]), (&[1; 20][..], &[2; 20][..]));
    assert_eq!((packet[63], packet[71], packet[79], packet[83]), (4, 5, 3, 2));
    assert_eq!((packet[91], packet[95], &packet[96..]), (7, 50, &[0x1a, 0xe1][..]));
}

#[test]
fn requests_round_trip() {
    let events = [
        AnnounceEvent::Periodic,
        AnnounceEvent::Started,
        AnnounceEvent::Stopped,
        AnnounceEvent::Completed,
    ];
    let mut requests = vec![Request::Connect(TRANSACTION)];
    requests.extend(events.map(|event| request(AnnounceRequest { event, ..announce() }, vec![b'/'; 600])));
    let (numwant, key) = (None, None);
    requests.push(request(
        AnnounceRequest {
            numwant,
            key,
            ..announce()
        },
        Vec::new(),
    ));
    requests.push(Request::Scrape {
        connection: CONNECTION,
        transaction: TRANSACTION,
        swarms: vec![SwarmKey([1; 20]), SwarmKey([2; 20])],
    });
    for request in requests {
        assert_eq!(Request::decode(&request.encode()), Ok(request));
    }
}

#[test]
fn responses_round_trip_in_both_families() {
    let (v4, v6) = ("1.2.3.4:5".parse().unwrap(), "[2001:db8::1]:6".parse().unwrap());
    let reply = |peers| AnnounceReply {
        interval: 1800,
        incomplete: Some(2),
        complete: Some(1),
        peers,
        ..AnnounceReply::default()
    };
    let counts = ScrapeCounts {
        complete: 1,
        incomplete: 2,
        downloaded: 3,
    };
    for (family, own) in [(Family::V4, v4), (Family::V6, v6)] {
        for (sent, read) in [
            (
                Response::Connect(TRANSACTION, CONNECTION),
                Response::Connect(TRANSACTION, CONNECTION),
            ),
            (
                Response::Announce(TRANSACTION, reply(vec![v4, v6])),
                Response::Announce(TRANSACTION, reply(vec![own])),
            ),
            (
                Response::Scrape(TRANSACTION, vec![counts]),
                Response::Scrape(TRANSACTION, vec![counts]),
            ),
            (
                Response::Error(TRANSACTION, "no".into()),
                Response::Error(TRANSACTION, "no".into()),
            ),
        ] {
            let mut packet = Vec::new();
            sent.encode(family, &mut packet);
            assert_eq!(Response::decode(&packet, family), Ok(read));
        }
    }
    assert_eq!(
        Family::from(IpAddr::V6(Ipv4Addr::LOCALHOST.to_ipv6_mapped())),
        Family::V4
    );
    assert_eq!(Family::from(IpAddr::V6(core::net::Ipv6Addr::LOCALHOST)), Family::V6);
}

#[test]
fn a_long_reason_is_cut() {
    let packet = [&[0, 0, 0, 3, 0, 0, 0, 0][..], &[0xff; 5_000]].concat();
    let Ok(Response::Error(_, reason)) = Response::decode(&packet, Family::V4) else {
        panic!("no refusal");
    };
    assert!(reason.len() <= MAX_REASON && reason.chars().all(|c| c == char::REPLACEMENT_CHARACTER));
}

#[test]
fn options_end_where_they_are_not_whole() {
    for (options, data) in [
        (&b"\x02\x02/a\x01\x02\x02?b\x00\x02\x01x"[..], &b"/a?b"[..]),
        (b"\x02\x05/a", b""),
        (b"\x02", b""),
        (b"\x07\x01x\x02\x01y", b"y"),
    ] {
        assert_eq!(url_data(options), data, "{}", options.escape_ascii());
    }
    assert!(url_data(&[2; 60_000]).len() <= MAX_URL_DATA);
}

#[test]
fn malformed_packets_are_refused() {
    let short = |expected, received| UdpError::Short { expected, received };
    let list = |item, received| UdpError::List { item, received };
    let packet = |action: u32, len: usize| {
        let mut packet = vec![0; len];
        packet[8..12].copy_from_slice(&action.to_be_bytes());
        packet
    };
    let requests = [
        (vec![], short(16, 0)),
        (vec![0; 15], short(16, 15)),
        (packet(0, 16), UdpError::Protocol(0)),
        (packet(1, 97), short(98, 97)),
        (packet(2, 16), list(20, 0)),
        (packet(2, 37), list(20, 21)),
        (packet(9, 16), UdpError::Action(9)),
    ];
    for (packet, error) in requests {
        assert_eq!(Request::decode(&packet), Err(error));
    }
    let responses: [(&[u8], UdpError); 6] = [
        (&[0; 7], short(8, 7)),
        (&[0; 15], short(16, 15)),
        (&[0, 0, 0, 1, 0, 0, 0, 0, 0], short(20, 9)),
        (&[0, 0, 0, 2, 0, 0, 0, 0, 0], list(12, 1)),
        (&[0, 0, 0, 7, 0, 0, 0, 0], UdpError::Action(7)),
        (
            &[[0, 0, 0, 1], [0; 4], [0; 4], [0; 4], [0; 4], [1; 4]].concat(),
            list(6, 4),
        ),
    ];
    for (packet, error) in responses {
        assert_eq!(Response::decode(packet, Family::V4), Err(error));
    }
}
