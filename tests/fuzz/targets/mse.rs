//! Both ends of the encryption handshake come to the same whatever the cut, and hold no more than was sent.
#![no_main]
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use tombolo_core::key::SwarmKey;
use tombolo_core::mse::{Handshake, Policy, Progress};

const SWARM: SwarmKey = SwarmKey([b'a'; 20]);

/// Gives all bytes to a handshake, in parts of that length; what it comes to, and what it answers.
fn give(mut handshake: Handshake, data: &[u8], part: usize) -> (String, Vec<u8>) {
    let mut answers = Vec::new();
    let mut end = String::from("more");
    let mut fed = 0;
    for bytes in data.chunks(part) {
        fed += bytes.len();
        let mut progress = handshake.receive(bytes);
        if let Ok(Progress::Asked(_)) = progress {
            progress = handshake.admit(SWARM);
        }
        answers.extend(handshake.take_output().into_iter().flatten());
        match progress {
            Ok(Progress::Open(ciphers, rest)) => {
                let mut stream = [&rest[..], &data[fed..]].concat();
                if let Some(mut ciphers) = ciphers {
                    ciphers.receive.apply(&mut stream[rest.len()..]);
                }
                end = format!("open {stream:?}");
                break;
            }
            Err(error) => {
                end = format!("{error:?}");
                break;
            }
            Ok(_) => {}
        }
    }
    (end, answers)
}

fuzz_target!(|data: &[u8]| {
    let part = 1 + data.last().map_or(0, |&byte| usize::from(byte));
    let entropy = [7; 28];
    let incoming = || Handshake::incoming(Policy::Prefer, &entropy);
    let outgoing = || Handshake::outgoing(Policy::Require, SWARM, Bytes::from_static(b"first"), &entropy);
    for make in [&incoming as &dyn Fn() -> Handshake, &outgoing] {
        assert_eq!(give(make(), data, part), give(make(), data, 1));
    }
});
