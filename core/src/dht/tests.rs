//! One node, driven by hand. Networks of nodes are in `tests/scenario/dht.rs`.

use super::krpc::{Announce, Body, Contact, Message, Query, Response, Want};
use super::*;
use alloc::vec;

fn config() -> Config {
    Config {
        v4: true,
        v6: true,
        read_only: false,
        allow_local: false,
        implied_port: false,
    }
}

fn node() -> Dht {
    Dht::new(config(), [1; 32])
}

fn at(n: u8) -> SocketAddr {
    SocketAddr::from(([60, 1, 1, n], 6881))
}

fn sent(dht: &mut Dht) -> Vec<(SocketAddr, Message)> {
    let send = |action| match action {
        Action::Send(to, datagram) => Some((to, Message::decode(&datagram).unwrap())),
        _ => None,
    };
    core::iter::from_fn(|| dht.poll()).filter_map(send).collect()
}

fn ask(dht: &mut Dht, from: SocketAddr, query: Query) -> Option<Body> {
    let message = Message {
        transaction: b"zz".to_vec(),
        body: Body::Query(NodeId([from.port() as u8; 20]), query),
        read_only: true,
        ip: None,
    };
    dht.handle(dht.now, Event::Datagram(from, &message.encode()));
    let answer = sent(dht).into_iter().find(|(to, _)| *to == from)?;
    assert_eq!((&answer.1.transaction[..], answer.1.ip), (&b"zz"[..], Some(from)));
    Some(answer.1.body)
}

fn answer(dht: &mut Dht, from: SocketAddr, transaction: &[u8], response: Response) {
    let message = Message {
        transaction: transaction.to_vec(),
        body: Body::Response(response),
        read_only: false,
        ip: None,
    };
    dht.handle(dht.now, Event::Datagram(from, &message.encode()));
}

/// Lets a contact answer the first question with these nodes.
fn joined(dht: &mut Dht, nodes: Vec<Contact>) {
    dht.handle(Time::ZERO, Event::Contacts(&[at(1)]));
    let (to, question) = sent(dht).remove(0);
    assert_eq!(to, at(1));
    let response = Response {
        nodes,
        ..Response::bare(NodeId([1; 20]))
    };
    answer(dht, to, &question.transaction, response);
}

#[test]
fn an_announce_needs_the_token_of_its_address() {
    let mut dht = node();
    let swarm = SwarmKey([7; 20]);
    let Some(Body::Response(found)) = ask(&mut dht, at(1), Query::GetPeers(swarm, Want::default())) else {
        panic!()
    };
    assert_eq!(found.values, []);
    let announce = |port, token: &[u8]| {
        Query::Announce(Announce {
            swarm,
            port,
            token: token.to_vec(),
        })
    };
    let token = found.token.unwrap();
    let refused = Some(Body::Error(krpc::PROTOCOL));
    assert_eq!(ask(&mut dht, at(2), announce(Some(9), &token)), refused, "spoofed");
    assert_eq!(ask(&mut dht, at(1), announce(Some(9), b"")), refused);
    assert!(matches!(
        ask(&mut dht, at(1), announce(Some(9), &token)),
        Some(Body::Response(_))
    ));
    assert!(matches!(
        ask(&mut dht, at(1), announce(None, &token)),
        Some(Body::Response(_))
    ));
    let Some(Body::Response(found)) = ask(&mut dht, at(3), Query::GetPeers(swarm, Want::default())) else {
        panic!()
    };
    assert_eq!(found.values, [SocketAddr::new(at(1).ip(), 9), at(1)]);
    let v6 = "[2606:4700::1]:9".parse().unwrap();
    let Some(Body::Response(found)) = ask(&mut dht, v6, Query::GetPeers(swarm, Want::default())) else {
        panic!()
    };
    assert_eq!(found.values, [], "the networks keep their peers apart");
}

#[test]
fn what_is_no_question_of_ours_is_refused_and_nonsense_is_not_answered() {
    let mut dht = node();
    let mut tell = |data: &[u8]| {
        dht.handle(Time::ZERO, Event::Datagram(at(1), data));
        sent(&mut dht)
            .into_iter()
            .filter(|(to, _)| *to == at(1))
            .map(|(_, message)| message.body)
            .next()
    };
    let vote = b"d1:ad2:id20:abcdefghij0123456789e1:q4:vote1:t2:aa1:y1:qe";
    assert_eq!(tell(vote), Some(Body::Error(krpc::METHOD)));
    let bad = b"d1:ad2:id20:abcdefghij0123456789e1:q9:find_node1:t2:aa1:y1:qe";
    assert_eq!(tell(bad), Some(Body::Error(krpc::PROTOCOL)));
    for nonsense in [&b""[..], b"hello", b"d1:t2:aa1:y1:re", b"d1:ad", &[0; 2000]] {
        assert_eq!(tell(nonsense), None);
    }
}

#[test]
fn local_addresses_are_neither_answered_nor_believed() {
    let mut dht = node();
    let private = "192.168.1.9:6881".parse().unwrap();
    assert_eq!(ask(&mut dht, private, Query::Ping), None);
    dht.handle(Time::ZERO, Event::Contacts(&[private, "127.0.0.1:1".parse().unwrap()]));
    assert_eq!(sent(&mut dht), []);
    let named = [private, at(2)].map(|address| Contact {
        id: NodeId([address.port() as u8; 20]),
        address,
    });
    joined(&mut dht, named.to_vec());
    let asked: Vec<_> = sent(&mut dht).into_iter().map(|(to, _)| to).collect();
    assert_eq!(asked, [at(2)]);
}

#[test]
fn an_answer_counts_from_who_was_asked_alone() {
    let mut dht = node();
    dht.handle(Time::ZERO, Event::Contacts(&[at(1)]));
    let (to, question) = sent(&mut dht).remove(0);
    answer(&mut dht, at(2), &question.transaction, Response::bare(NodeId([2; 20])));
    answer(&mut dht, to, b"aaaa", Response::bare(NodeId([2; 20])));
    assert_eq!(dht.nodes(), (0, 0));
    answer(&mut dht, to, &question.transaction, Response::bare(NodeId([1; 20])));
    assert_eq!(dht.nodes(), (1, 0));
    answer(&mut dht, to, &question.transaction, Response::bare(NodeId([3; 20])));
    assert_eq!(dht.nodes(), (1, 0), "once");
}

#[test]
fn a_node_under_another_id_than_it_was_named_by_is_not_taken() {
    let mut dht = node();
    let named = Contact {
        id: NodeId([9; 20]),
        address: at(2),
    };
    joined(&mut dht, vec![named]);
    let (to, question) = sent(&mut dht).remove(0);
    assert_eq!(to, at(2));
    answer(&mut dht, to, &question.transaction, Response::bare(NodeId([8; 20])));
    assert_eq!(dht.nodes(), (1, 0));
}

#[test]
fn whoever_asks_is_asked_back_and_then_known_unless_it_only_asks() {
    let mut dht = node();
    let mut question = Message {
        transaction: b"q".to_vec(),
        body: Body::Query(NodeId([5; 20]), Query::Ping),
        read_only: true,
        ip: None,
    };
    dht.handle(Time::ZERO, Event::Datagram(at(5), &question.encode()));
    assert_eq!(sent(&mut dht).len(), 1, "the answer alone");
    question.read_only = false;
    dht.handle(Time::ZERO, Event::Datagram(at(5), &question.encode()));
    let sent = sent(&mut dht);
    assert_eq!(dht.nodes(), (0, 0));
    assert!(matches!(sent[1].1.body, Body::Query(_, Query::Ping)));
    answer(
        &mut dht,
        at(5),
        &sent[1].1.transaction.clone(),
        Response::bare(NodeId([5; 20])),
    );
    assert_eq!(dht.nodes(), (1, 0));
}

#[test]
fn a_read_only_node_answers_nothing_and_says_so() {
    let mut dht = Dht::new(
        Config {
            read_only: true,
            ..config()
        },
        [2; 32],
    );
    assert_eq!(ask(&mut dht, at(1), Query::Ping), None);
    dht.handle(Time::ZERO, Event::Contacts(&[at(1)]));
    assert!(sent(&mut dht)[0].1.read_only);
}

#[test]
fn an_id_follows_the_address_that_others_see() {
    let mut dht = node();
    let ours: IpAddr = "8.8.4.4".parse().unwrap();
    let contacts: Vec<_> = (1..=4).map(at).collect();
    dht.handle(Time::ZERO, Event::Contacts(&contacts));
    for (n, (to, question)) in (1..).zip(sent(&mut dht)) {
        let message = Message {
            transaction: question.transaction,
            body: Body::Response(Response::bare(NodeId([n; 20]))),
            read_only: false,
            ip: Some(SocketAddr::new(ours, 1)),
        };
        dht.handle(Time::ZERO, Event::Datagram(to, &message.encode()));
    }
    assert!(core::iter::from_fn(|| dht.poll()).any(|action| action == Action::Address(ours)));
    assert!(dht.id(false).unwrap().fits(ours));
}

#[test]
fn what_is_exported_is_imported() {
    let mut dht = node();
    joined(&mut dht, vec![]);
    let saved = dht.export();
    let mut again = Dht::new(config(), [9; 32]);
    again.import(Time::ZERO, &saved);
    assert_eq!(again.id(false), dht.id(false));
    assert!(sent(&mut again).iter().any(|(to, _)| *to == at(1)));
    for broken in [&b""[..], b"d2:id3:abce", b"d5:nodes7:abcdefge", b"i1e"] {
        Dht::new(config(), [9; 32]).import(Time::ZERO, broken);
    }
}

#[test]
fn a_silent_network_is_asked_for_again_and_again_but_ever_less_often() {
    let mut dht = node();
    let (mut now, mut asked) = (Time::ZERO, Vec::new());
    while now < Time::ZERO + Span::from_secs(3_600) {
        dht.handle(now, Event::Due);
        let bootstraps = core::iter::from_fn(|| dht.poll()).filter(|action| *action == Action::Bootstrap);
        if bootstraps.count() > 0 {
            asked.push(now.since(Time::ZERO).as_secs());
        }
        now = dht.deadline().unwrap();
    }
    assert_eq!(asked[..4], [0, 5, 15, 35]);
    assert!((12..25).contains(&asked.len()), "{asked:?}");
}

#[test]
fn who_was_not_spoken_to_shows_that_strangers_reach_us() {
    let mut dht = node();
    joined(&mut dht, Vec::new());
    // Whoever we have asked comes through what is before us.
    ask(&mut dht, at(1), Query::Ping);
    assert_eq!((dht.figures().nodes_v4, dht.figures().reachable), (1, false));
    ask(&mut dht, at(9), Query::Ping);
    assert!(dht.figures().reachable);
    dht.handle(dht.now + reach::REACHED + Span::from_secs(1), Event::Due);
    assert!(!dht.figures().reachable, "that was long ago");
}
