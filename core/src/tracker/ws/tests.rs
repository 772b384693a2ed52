use super::*;
use alloc::vec;

const SWARM: SwarmKey = SwarmKey(*b"\0\x01\x7f\x80\xff\"\\\nabcdefghijkl");
const PEER: PeerId = PeerId(*b"-WW0103-\xc3\xbf\x00\x1f\xf0\x9f012345");
const OTHER: PeerId = PeerId(*b"-TB0100-abcdefghijkl");
const SDP: &str = "v=0\r\no=- 1 2 IN IP4 0.0.0.0\r\ns=\"x\"\r\n";

fn signal() -> Signal<'static> {
    Signal {
        swarm: SWARM,
        from: PEER,
        offer: OfferId([0xfe; 20]),
        sdp: Sdp::new(SDP),
    }
}

fn announce() -> AnnounceRequest {
    AnnounceRequest {
        swarm: SWARM,
        peer_id: PEER,
        port: 0,
        uploaded: 1,
        downloaded: 2,
        left: None,
        event: AnnounceEvent::Started,
        numwant: Some(5),
        key: Some(0xa1b2),
        tracker_id: Some("t\u{1}".into()),
    }
}

#[test]
fn requests_round_trip() {
    let offer = |id| Offer {
        id: OfferId([id; 20]),
        sdp: Sdp::new(SDP),
    };
    let whole = AnnounceRequest {
        left: Some(0),
        event: AnnounceEvent::Periodic,
        numwant: None,
        key: None,
        tracker_id: None,
        ..announce()
    };
    let to = OTHER;
    let requests = [
        Request::Announce(announce(), vec![offer(0), offer(255)]),
        Request::Announce(whole, vec![]),
        Request::Answer { to, signal: signal() },
        Request::Scrape(vec![SWARM, SwarmKey([9; 20])]),
        Request::Scrape(vec![]),
    ];
    for request in requests {
        assert_eq!(Request::decode(&request.encode()), Ok(request));
    }
}

#[test]
fn replies_round_trip() {
    let reply = AnnounceReply {
        interval: 120,
        min_interval: Some(60),
        complete: Some(3),
        incomplete: Some(4),
        warning: Some("slow \"down\"".into()),
        tracker_id: Some("x".into()),
        ..AnnounceReply::default()
    };
    let counts = ScrapeCounts {
        complete: 1,
        incomplete: 2,
        downloaded: 3,
    };
    let failure = Failure {
        reason: "no\nway".into(),
        retry_in_minutes: None,
    };
    let replies = [
        Reply::Announced(SWARM, reply),
        Reply::Offer(signal()),
        Reply::Answer(signal()),
        Reply::Scraped(vec![(SWARM, counts), (SwarmKey([9; 20]), ScrapeCounts::default())]),
        Reply::Failed(Some(SWARM), failure.clone()),
        Reply::Failed(None, failure),
        Reply::Unknown,
    ];
    for reply in replies {
        assert_eq!(Reply::decode(&reply.encode()), Ok(reply));
    }
}

#[test]
fn an_sdp_is_relayed_as_it_came() {
    let text = r#"{"action":"announce","info_hash":"aaaaaaaaaaaaaaaaaaaa","peer_id":"bbbbbbbbbbbbbbbbbbbb","numwant":1,
        "offers":[{"offer":{"type":"offer","sdp":"v=0\r\n\u0041\/"},"offer_id":"cccccccccccccccccccc"}],"left":null}"#;
    let Ok(Request::Announce(request, offers)) = Request::decode(text) else {
        panic!("not an announce");
    };
    assert_eq!(
        (request.left, request.numwant, request.is_seed()),
        (None, Some(1), false)
    );
    let sdp = offers[0].sdp.clone();
    assert_eq!(sdp.text(), "v=0\r\nA/");
    let relayed = Reply::Offer(Signal {
        swarm: request.swarm,
        from: request.peer_id,
        offer: offers[0].id,
        sdp: sdp.into_owned(),
    });
    assert!(
        relayed
            .encode()
            .contains(r#""offer":{"type":"offer","sdp":"v=0\r\n\u0041\/"}"#)
    );
}

/// What bittorrent-tracker and libtorrent write: other keys, other escapes, fields of types we do not use.
#[test]
fn the_flavours_of_others_are_read() {
    let libtorrent = r#"{"action":"announce","info_hash":"\u00ffaaaaaaaaaaaaaaaaaaa","uploaded":0,"downloaded":0,"left":16384,"corrupt":0,
        "numwant":1,"event":"started","peer_id":"-LT2110-bbbbbbbbbbbb","key":"8C0FFEE1","offers":[]}"#;
    let Ok(Request::Announce(request, offers)) = Request::decode(libtorrent) else {
        panic!("not an announce");
    };
    assert_eq!(
        (request.swarm.0[0], request.left, request.key),
        (0xff, Some(16_384), Some(0x8c0f_fee1))
    );
    assert!(offers.is_empty());
    let tracker =
        r#"{"complete":1,"incomplete":0,"action":"announce","interval":120,"info_hash":"aaaaaaaaaaaaaaaaaaaa"}"#;
    let Ok(Reply::Announced(swarm, reply)) = Reply::decode(tracker) else {
        panic!("not a reply");
    };
    assert_eq!(
        (swarm, reply.interval, reply.complete),
        (SwarmKey([b'a'; 20]), 120, Some(1))
    );
    assert_eq!(Reply::decode(r#"{"action":"pong"}"#), Ok(Reply::Unknown));
    assert_eq!(
        Reply::decode(r#"{"action":"announce","info_hash":"aaaaaaaaaaaaaaaaaaaa"}"#),
        Ok(Reply::Unknown)
    );
}

#[test]
fn malformed_offers_are_passed_over_and_many_are_cut() {
    let offer =
        |sdp: &str, id: &str| alloc::format!(r#"{{"offer":{{"type":"offer","sdp":"{sdp}"}},"offer_id":"{id}"}}"#);
    let id = "cccccccccccccccccccc";
    let bad = [
        offer("x", "short"),
        offer(&"x".repeat(MAX_SDP + 1), id),
        "{}".into(),
        "7".into(),
        offer("good", id),
    ];
    let count = |offers: &[String]| {
        let text = alloc::format!(
            r#"{{"action":"announce","info_hash":"aaaaaaaaaaaaaaaaaaaa","peer_id":"bbbbbbbbbbbbbbbbbbbb","offers":[{}]}}"#,
            offers.join(",")
        );
        match Request::decode(&text) {
            Ok(Request::Announce(_, offers)) => offers.len(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(count(&bad), 1);
    assert_eq!(count(&vec![offer("good", id); 50]), MAX_OFFERS);
}

#[test]
fn malformed_messages_are_refused() {
    let hash = "aaaaaaaaaaaaaaaaaaaa";
    let with = |rest: &str| alloc::format!(r#"{{"action":"announce","info_hash":"{hash}"{rest}}}"#);
    let requests = [
        ("{".into(), WsError::Json(JsonError { offset: 1 })),
        ("[]".into(), WsError::Field("action")),
        (r#"{"action":"dance"}"#.into(), WsError::Field("action")),
        (
            r#"{"action":"announce","info_hash":"aaa"}"#.into(),
            WsError::Field("info_hash"),
        ),
        (with(""), WsError::Field("peer_id")),
        (with(r#","peer_id":"too short""#), WsError::Field("peer_id")),
        (with(r#","answer":{}"#), WsError::Field("to_peer_id")),
        (
            with(&alloc::format!(
                r#","to_peer_id":"{hash}","peer_id":"{hash}","answer":{{}}"#
            )),
            WsError::Field("offer_id"),
        ),
        (
            with(&alloc::format!(
                r#","to_peer_id":"{hash}","peer_id":"{hash}","offer_id":"{hash}","answer":{{"sdp":5}}"#
            )),
            WsError::Field("sdp"),
        ),
        (
            "x".repeat(MAX_MESSAGE + 1),
            WsError::TooLong {
                received: MAX_MESSAGE + 1,
            },
        ),
    ];
    for (text, error) in requests {
        assert_eq!(Request::decode(&text), Err(error), "{text:.80}");
    }
    let replies = [
        ("".into(), WsError::Json(JsonError { offset: 0 })),
        (
            r#"{"action":"announce","interval":1}"#.into(),
            WsError::Field("info_hash"),
        ),
        (with(r#","offer":{"sdp":"x"}"#), WsError::Field("peer_id")),
        (
            with(&alloc::format!(
                r#","offer":{{}},"peer_id":"{hash}","offer_id":"{hash}""#
            )),
            WsError::Field("sdp"),
        ),
    ];
    for (text, error) in replies {
        assert_eq!(Reply::decode(&text), Err(error), "{text:.80}");
    }
}
