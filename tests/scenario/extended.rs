//! The extension protocol (BEP 10): the handshake, said again when it changes, and unknown messages passed over.

use bytes::Bytes;
use tombolo_core::time::Span;
use tombolo_core::wire::extended::{ExtendedHandshake, Extension};
use tombolo_core::wire::message::Message;
use tombolo_tests::sim::{Content, Puppet, Setup, Sim, TORRENT};

fn hello(messages: &[Message]) -> Vec<ExtendedHandshake> {
    let payload = |message: &Message| match message {
        Message::Extended { id: 0, payload } => ExtendedHandshake::decode(payload).ok(),
        _ => None,
    };
    messages.iter().filter_map(payload).collect()
}

#[test]
fn the_handshake_names_what_we_speak() {
    let content = Content::single(65_536, 65_536);
    let mut sim = Sim::new(1);
    let seed = sim.add(Setup::seed(&content));
    let link = sim.puppet(seed, Puppet::new(1));
    let heard = sim.heard(seed, link);
    let [hello] = &hello(&heard)[..] else {
        panic!("{heard:?}")
    };
    assert!(hello.ids.of(Extension::Metadata).is_some() && hello.ids.of(Extension::DontHave).is_some());
    assert!(hello.ids.of(Extension::PeerExchange).is_some());
    assert!(
        hello.ids.of(Extension::Holepunch).is_none(),
        "what is not obeyed, for there is no uTP here, is not announced"
    );
    assert_eq!(hello.metadata_size, Some(content.metainfo.info.len() as u32));
    assert!(
        hello.upload_only == Some(true)
            && hello
                .client
                .as_ref()
                .is_some_and(|client| client.starts_with("Tombolo"))
    );
}

#[test]
fn a_peer_without_it_gets_no_extended_message() {
    let content = Content::single(65_536, 65_536);
    let mut sim = Sim::new(2);
    let seed = sim.add(Setup::seed(&content));
    let link = sim.puppet(seed, Puppet::new(1).plain());
    let heard = sim.heard(seed, link);
    assert_eq!(heard, [Message::Bitfield(Bytes::from_static(&[0x80]))]);
}

#[test]
fn what_a_peer_says_of_itself_is_shown_and_unknown_messages_are_passed_over() {
    let content = Content::single(65_536, 65_536);
    let mut sim = Sim::new(3);
    let seed = sim.add(Setup::seed(&content));
    let link = sim.puppet(seed, Puppet::new(1));
    let payload = Bytes::from_static(b"d1:md6:ut_foxi9ee1:v8:Foxy 1.2e");
    sim.say(seed, link, &Message::Extended { id: 0, payload });
    sim.say(
        seed,
        link,
        &Message::Extended {
            id: 99,
            payload: Bytes::from_static(b"what"),
        },
    );
    sim.say(seed, link, &Message::Unknown(77));
    sim.run_for(Span::from_secs(1));
    let now = sim.now;
    assert_eq!(sim.node(seed).session.peers(now, TORRENT)[0].client, "Foxy 1.2");
}

#[test]
fn a_handshake_that_is_no_dictionary_closes_the_link() {
    let content = Content::single(65_536, 65_536);
    let mut sim = Sim::new(4);
    let seed = sim.add(Setup::seed(&content));
    let link = sim.puppet(seed, Puppet::new(1));
    sim.say(
        seed,
        link,
        &Message::Extended {
            id: 0,
            payload: Bytes::from_static(b"i1e"),
        },
    );
    assert_eq!(sim.node(seed).closed.len(), 1);
}
