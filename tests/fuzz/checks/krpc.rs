//! A message that is read is written so that it is read the same, and a node takes any datagrams without harm.

use tombolo_core::dht::krpc::{Body, Message, Query, Want};
use tombolo_core::dht::{Config, Dht, Event};
use tombolo_core::time::{Span, Time};

/// Checks one input.
pub(crate) fn check(data: &[u8]) {
    if let Ok(mut message) = Message::decode(data) {
        // What we do not know is passed on as the question that it is answered as.
        if let Body::Query(id, Query::Unknown(target)) = message.body {
            message.body = Body::Query(id, Query::FindNode(target, Want::default()));
        }
        if !matches!(message.body, Body::Query(..)) {
            message.read_only = false;
        } else {
            message.ip = None;
        }
        assert_eq!(Message::decode(&message.encode()), Ok(message));
    }
    let config = Config {
        v4: true,
        v6: true,
        read_only: false,
        allow_local: true,
        implied_port: false,
    };
    let mut dht = Dht::new(config, [1; 32]);
    let mut now = Time::ZERO;
    for datagram in data.split(|byte| *byte == 0) {
        now += Span::from_millis(300);
        dht.handle(now, Event::Datagram(([60, 1, 1, 1], 6881).into(), datagram));
        while dht.poll().is_some() {}
    }
}
