//! The tracker client: announces, back-off, tiers; offers and answers over WebSocket.

use tombolo_core::bits::Bits;
use tombolo_core::config::Config;
use tombolo_core::event::{Action, Add, Event, Mode, Offer, Source};
use tombolo_core::magnet::Magnet;
use tombolo_core::session::Session;
use tombolo_core::status::TrackerState;
use tombolo_core::swarm::Priority;
use tombolo_core::time::{Span, Time};
use tombolo_core::tracker::ws;
use tombolo_tests::sim::{Content, TORRENT};

struct Client {
    session: Session,
    now: Time,
}

impl Client {
    /// One that has nothing, and knows it.
    fn new(trackers: &[&str], offers: bool) -> Self {
        let content = Content::single(100_000, 16_384);
        let mut client = Self::add(Source::Metainfo(content.metainfo), trackers, offers);
        client.session.handle(Time::ZERO, restored(&[], &[]));
        client
    }

    /// One whose storage is not open yet.
    fn add(source: Source, trackers: &[&str], offers: bool) -> Self {
        let mut session = Session::new(
            Config {
                offers,
                port: 6881,
                ..Config::default()
            },
            1,
        );
        let add = Add {
            torrent: TORRENT,
            source,
            mode: Mode::Whole,
            trackers: Some(trackers.iter().map(ToString::to_string).collect()),
            peers: Vec::new(),
            priorities: Vec::<Priority>::new(),
        };
        session.handle(Time::ZERO, Event::Add(Box::new(add)));
        Self {
            session,
            now: Time::ZERO,
        }
    }

    fn actions(&mut self) -> Vec<Action> {
        std::iter::from_fn(|| self.session.poll(self.now)).collect()
    }

    /// What is done at the next deadline.
    fn wait(&mut self) -> Vec<Action> {
        self.now = self.session.deadline().expect("something is due");
        self.session.handle(self.now, Event::Due);
        self.actions()
    }

    fn tell(&mut self, event: Event) -> Vec<Action> {
        self.session.handle(self.now, event);
        self.actions()
    }
}

/// Storage is open: it holds these pieces of the seven, and those to check.
fn restored(held: &[usize], check: &[usize]) -> Event {
    let bits = |pieces: &[usize]| {
        let mut bits = Bits::new(7);
        for piece in pieces {
            bits.insert(*piece);
        }
        bits
    };
    Event::Restored {
        torrent: TORRENT,
        held: bits(held),
        check: bits(check),
    }
}

/// The offers that are to be made.
fn offers(actions: &[Action]) -> Vec<Offer> {
    let offer = |action: &Action| match action {
        Action::MakeOffer(offer, _) => Some(*offer),
        _ => None,
    };
    actions.iter().filter_map(offer).collect()
}

fn fetches(actions: Vec<Action>) -> Vec<(tombolo_core::event::Job, String)> {
    let fetch = |action| match action {
        Action::Fetch { job, url, .. } => Some((job, url)),
        _ => None,
    };
    actions.into_iter().filter_map(fetch).collect()
}

#[test]
fn trackers_are_told_of_us_when_it_is_known_what_is_left() {
    let content = Content::single(100_000, 16_384);
    let source = Source::Metainfo(content.metainfo.clone());
    let mut client = Client::add(source, &["http://t.example/announce", "ws://t.example"], true);
    let opening = client.actions();
    assert!(matches!(opening[..], [Action::Open(..)]), "{opening:?}");
    assert_eq!(client.session.deadline(), None, "nobody waits for a tracker");
    let checking = client.tell(restored(&[0], &[0, 1]));
    let [Action::Check(job, _, piece, hashing)] = checking[..] else {
        panic!("{checking:?}")
    };
    let told = client.tell(Event::Checked(job, Some(hashing.digest(&content.piece(piece).into()))));
    assert!(told.iter().any(|action| matches!(action, Action::MakeOffer(..))));
    let [(_, url)] = &fetches(told)[..] else { panic!() };
    assert!(url.contains(&format!("&left={}", 100_000 - 2 * 16_384)), "{url}");
}

#[test]
fn where_the_metadata_is_missing_trackers_are_told_at_once() {
    let content = Content::single(100_000, 16_384);
    let source = Source::Magnet(Magnet::new(content.metainfo.hashes));
    let mut client = Client::add(source, &["http://t.example/announce"], false);
    assert_eq!(fetches(client.actions()).len(), 1);
}

#[test]
fn an_announce_says_who_we_are_and_takes_peers() {
    let mut client = Client::new(&["http://t.example/announce?x=1"], false);
    let [(job, url)] = &fetches(client.actions())[..] else {
        panic!()
    };
    for part in [
        "http://t.example/announce?x=1&info_hash=",
        "&port=6881",
        "&event=started",
        "&compact=1",
    ] {
        assert!(url.contains(part), "{url}");
    }
    let reply = b"d8:intervali900e5:peers6:\x0a\x00\x00\x02\x1a\xe1e".to_vec();
    let dialled = client.tell(Event::Fetched(*job, Ok(reply.into())));
    assert!(
        dialled
            .iter()
            .any(|action| matches!(action, Action::Dial(_, _, address) if address.to_string() == "10.0.0.2:6881")),
        "{dialled:?}"
    );
    let status = &client.session.trackers(client.now, TORRENT)[0];
    assert_eq!((status.state, status.next), (TrackerState::Working, Some(900_000_000)));
}

#[test]
fn a_tracker_that_fails_is_asked_again_later_and_later() {
    let mut client = Client::new(&["http://t.example/announce"], false);
    let mut jobs = fetches(client.actions());
    let mut waits = Vec::new();
    while waits.len() < 6 {
        let (job, _) = jobs.pop().expect("an announce");
        let failed_at = client.now;
        client.tell(Event::Fetched(job, Err("connection refused".into())));
        while jobs.is_empty() {
            jobs = fetches(client.wait());
        }
        waits.push(client.now.since(failed_at).as_micros());
    }
    assert!(
        waits.windows(2).filter(|pair| pair[0] < pair[1]).count() >= 4,
        "{waits:?}"
    );
    assert_eq!(
        client.session.trackers(client.now, TORRENT)[0].error.as_deref(),
        Some("connection refused")
    );
}

#[test]
fn a_refusal_is_shown_and_its_retry_obeyed() {
    let mut client = Client::new(&["http://t.example/announce"], false);
    let (job, _) = fetches(client.actions()).remove(0);
    client.tell(Event::Fetched(
        job,
        Ok(b"d14:failure reason7:go away8:retry ini5ee".to_vec().into()),
    ));
    let status = &client.session.trackers(client.now, TORRENT)[0];
    assert_eq!(
        (status.error.as_deref(), status.next),
        (Some("go away"), Some(Span::from_secs(300).as_micros()))
    );
}

#[test]
fn offers_go_out_with_the_announce_once_they_are_made() {
    let mut client = Client::new(&["ws://t.example"], true);
    let actions = client.actions();
    let offers = offers(&actions);
    assert_eq!(offers.len(), 5);
    assert!(
        !actions.iter().any(|action| matches!(action, Action::Connect(..))),
        "nothing is said before they are made"
    );
    let mut told = Vec::new();
    for (number, offer) in offers.iter().enumerate() {
        told = client.tell(Event::Described(*offer, format!("sdp {number}")));
    }
    let [Action::Connect(socket, url)] = &told[..] else {
        panic!("{told:?}")
    };
    assert_eq!(url, "ws://t.example");
    let sent = client.tell(Event::Connected(*socket));
    let [Action::Text(_, text)] = &sent[..] else {
        panic!("{sent:?}")
    };
    let Ok(ws::Request::Announce(request, made)) = ws::Request::decode(text) else {
        panic!("{text}")
    };
    assert_eq!((made.len(), made[3].sdp.text().as_str()), (5, "sdp 3"));

    // The answer of a peer finds its offer; an offer of a peer is answered through the same tracker.
    let peer = tombolo_core::key::PeerId([9; 20]);
    let signal = ws::Signal {
        swarm: request.swarm,
        from: peer,
        offer: made[3].id,
        sdp: ws::Sdp::new("answer"),
    };
    let accepted = client.tell(Event::Text(*socket, ws::Reply::Answer(signal).encode()));
    assert!(
        matches!(&accepted[..], [Action::Accept(offer, sdp)] if *offer == offers[3] && sdp == "answer"),
        "{accepted:?}"
    );
    let other = tombolo_core::key::PeerId([8; 20]);
    let signal = ws::Signal {
        swarm: request.swarm,
        from: other,
        offer: ws::OfferId([7; 20]),
        sdp: ws::Sdp::new("their offer"),
    };
    let answering = client.tell(Event::Text(*socket, ws::Reply::Offer(signal).encode()));
    let [Action::Answer(offer, _, sdp)] = &answering[..] else {
        panic!("{answering:?}")
    };
    assert_eq!(sdp, "their offer");
    let answered = client.tell(Event::Described(*offer, "our answer".into()));
    let [Action::Text(_, text)] = &answered[..] else {
        panic!("{answered:?}")
    };
    let Ok(ws::Request::Answer { to, signal }) = ws::Request::decode(text) else {
        panic!("{text}")
    };
    assert_eq!(
        (to, signal.offer, signal.sdp.text().as_str()),
        (other, ws::OfferId([7; 20]), "our answer")
    );
}

#[test]
fn offers_that_nobody_takes_are_withdrawn() {
    let mut client = Client::new(&["ws://t.example"], true);
    for offer in offers(&client.actions()) {
        client.tell(Event::Described(offer, "sdp".into()));
    }
    let mut withdrawn = 0;
    while withdrawn < 5 {
        withdrawn += client
            .wait()
            .iter()
            .filter(|action| matches!(action, Action::Withdraw(_)))
            .count();
        assert!(client.now < Time::ZERO + Span::from_secs(120));
    }
}

#[test]
fn a_tracker_is_told_that_we_stop() {
    let mut client = Client::new(&["http://t.example/announce"], false);
    let (job, _) = fetches(client.actions()).remove(0);
    client.tell(Event::Fetched(job, Ok(b"d8:intervali900e5:peers0:e".to_vec().into())));
    let told = fetches(client.tell(Event::Remove(TORRENT)));
    assert!(told.len() == 1 && told[0].1.contains("&event=stopped"), "{told:?}");
}

#[test]
fn a_udp_tracker_is_connected_to_first_and_asked_again_when_a_packet_is_lost() {
    use tombolo_core::tracker::udp::{Connection, Family, Request, Response};
    let mut client = Client::new(&["udp://t.example:6969/announce"], false);
    let sent = |actions: Vec<Action>| {
        let datagram = |action| match action {
            Action::Datagram(job, host, packet) => Some((job, host, Request::decode(&packet).expect("a request"))),
            _ => None,
        };
        actions.into_iter().find_map(datagram)
    };
    let (job, host, request) = sent(client.actions()).expect("a connect request");
    let Request::Connect(transaction) = request else {
        panic!("{request:?}")
    };
    assert_eq!(host, "t.example:6969");
    let mut again = None;
    while again.is_none() {
        again = sent(client.wait());
    }
    assert_eq!(again.expect("a packet").2, Request::Connect(transaction));
    assert_eq!(client.now.as_micros(), 15_000_000);

    let mut packet = Vec::new();
    Response::Connect(transaction, Connection(77)).encode(Family::V4, &mut packet);
    let (_, _, request) =
        sent(client.tell(Event::Datagram(job, Ok((Family::V4, packet.into()))))).expect("an announce");
    let Request::Announce {
        connection,
        transaction,
        announce,
        ..
    } = request
    else {
        panic!("{request:?}")
    };
    assert_eq!((connection, announce.port), (Connection(77), 6881));
    let reply = tombolo_core::tracker::query::AnnounceReply {
        interval: 1800,
        peers: vec!["10.0.0.2:6881".parse().unwrap()],
        ..Default::default()
    };
    let mut packet = Vec::new();
    Response::Announce(transaction, reply).encode(Family::V4, &mut packet);
    let told = client.tell(Event::Datagram(job, Ok((Family::V4, packet.into()))));
    assert!(told.iter().any(|action| matches!(action, Action::Dial(..))), "{told:?}");
    assert!(
        told.iter()
            .any(|action| matches!(action, Action::Hangup(done) if *done == job))
    );
}
