use super::*;
use alloc::vec;
use alloc::vec::Vec;

const SWARM: SwarmKey = SwarmKey([5; 20]);

fn entropy(seed: u64) -> Entropy {
    let mut entropy = [0; SECRET + 8];
    Rng::new(seed).fill(&mut entropy);
    entropy
}

/// What one end came to.
#[derive(Debug, Default)]
struct End {
    open: Option<Option<Ciphers>>,
    rest: Vec<u8>,
}

/// Lets two handshakes speak, cutting what they say at random; after their handshakes both say `more`.
fn speak(one: Policy, other: Policy, seed: u64) -> Result<[End; 2], MseError> {
    let mut rng = Rng::new(seed);
    let mut machines = [
        Handshake::outgoing(one, SWARM, Bytes::from_static(b"hello"), &entropy(seed)),
        Handshake::incoming(other, &entropy(seed + 1_000)),
    ];
    let mut ends = [End::default(), End::default()];
    let mut wires: [Vec<u8>; 2] = [vec![], vec![]];
    let mut said = [false; 2];
    for _ in 0..100_000 {
        for end in 0..2 {
            if let Some(output) = machines[end].take_output() {
                wires[1 - end].extend_from_slice(&output);
            }
            if let (Some(ciphers), false) = (&mut ends[end].open, said[end]) {
                let mut more = b"more".to_vec();
                if let Some(ciphers) = ciphers {
                    ciphers.send.apply(&mut more);
                }
                wires[1 - end].append(&mut more);
                said[end] = true;
            }
            let part: Vec<u8> = {
                let length = rng.below(60).min(wires[end].len());
                wires[end].drain(..length).collect()
            };
            if let Some(ciphers) = &mut ends[end].open {
                let mut part = part;
                if let Some(ciphers) = ciphers {
                    ciphers.receive.apply(&mut part);
                }
                ends[end].rest.extend_from_slice(&part);
                continue;
            }
            let mut progress = machines[end].receive(&part)?;
            if let Progress::Asked(alias) = progress {
                assert_eq!(alias, Alias::of(SWARM));
                progress = machines[end].admit(SWARM)?;
            }
            if let Progress::Open(ciphers, rest) = progress {
                ends[end].open = Some(ciphers);
                ends[end].rest = rest.to_vec();
            }
        }
        if ends[0].rest.ends_with(b"more") && ends[1].rest.ends_with(b"more") {
            return Ok(ends);
        }
    }
    panic!("seed {seed}: {ends:?}");
}

#[test]
fn both_ends_come_to_the_same_whatever_the_cut() {
    for seed in 0..30 {
        for (one, other, encrypted) in [
            (Policy::Prefer, Policy::Prefer, false),
            (Policy::Require, Policy::Prefer, true),
            (Policy::Prefer, Policy::Require, true),
            (Policy::Require, Policy::Require, true),
        ] {
            let [opened, answered] = speak(one, other, seed).unwrap();
            assert_eq!((opened.rest, answered.rest), (b"more".to_vec(), b"hellomore".to_vec()));
            assert_eq!(opened.open.unwrap().is_some(), encrypted);
            assert_eq!(answered.open.unwrap().is_some(), encrypted);
        }
    }
}

#[test]
fn the_cipher_is_rc4_without_its_beginning() {
    // By another implementation, for the hash of "key".
    let mut cipher = Rc4::new(&[b"ke", b"y"]);
    let mut bytes = [0; 16];
    cipher.apply(&mut bytes[..5]);
    cipher.apply(&mut bytes[5..]);
    let mut whole = [0; 16];
    Rc4::new(&[b"key"]).apply(&mut whole);
    assert_eq!(bytes, whole);
    assert_eq!(
        bytes,
        [14, 60, 144, 59, 143, 78, 99, 202, 113, 152, 176, 44, 253, 235, 226, 246]
    );
}

#[test]
fn no_common_method_is_an_error() {
    let mut plaintext_only = Handshake::outgoing(Policy::Prefer, SWARM, Bytes::new(), &entropy(1));
    plaintext_only.methods = PLAINTEXT;
    let mut answering = Handshake::incoming(Policy::Require, &entropy(2));
    answering.receive(&plaintext_only.take_output().unwrap()).unwrap();
    plaintext_only.receive(&answering.take_output().unwrap()).unwrap();
    let progress = answering.receive(&plaintext_only.take_output().unwrap());
    assert!(matches!(progress, Ok(Progress::Asked(_))));
    let refused = answering.admit(SWARM).unwrap_err();
    assert_eq!(
        refused,
        MseError::Method {
            expected: RC4,
            received: PLAINTEXT
        }
    );
}

/// An answering handshake that has received a key, and what the opening one has to send next.
fn begun() -> (Handshake, Handshake) {
    let mut opening = Handshake::outgoing(Policy::Require, SWARM, Bytes::new(), &entropy(1));
    let mut answering = Handshake::incoming(Policy::Require, &entropy(2));
    answering.receive(&opening.take_output().unwrap()[..KEY]).unwrap();
    opening.receive(&answering.take_output().unwrap()[..KEY]).unwrap();
    opening.output.clear();
    (opening, answering)
}

/// The error that a request of these bytes, encrypted after the right hashes, comes to.
fn request(bytes: &[u8]) -> MseError {
    let (mut opening, mut answering) = begun();
    let shared = opening.shared;
    let mask = hash(&[b"req3", &shared]);
    let alias = Alias::of(SWARM).0;
    answering.receive(&hash(&[b"req1", &shared])).unwrap();
    let hidden: [u8; 20] = core::array::from_fn(|n| alias[n] ^ mask[n]);
    answering.receive(&hidden).unwrap();
    let mut cipher = Rc4::new(&[b"keyA", &shared, &SWARM.0]);
    let mut bytes = bytes.to_vec();
    cipher.apply(&mut bytes);
    opening.ciphers = None;
    answering.receive(&bytes).unwrap();
    answering.admit(SWARM).unwrap_err()
}

#[test]
fn malformed_handshakes_are_refused() {
    let table = [
        (&[0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0][..], MseError::Lost),
        (
            &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 1],
            MseError::Padding { received: 513 },
        ),
        (
            &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0],
            MseError::Method {
                expected: RC4,
                received: 4,
            },
        ),
    ];
    for (bytes, error) in table {
        assert_eq!(request(bytes), error, "{bytes:?}");
    }
    let mut answering = Handshake::incoming(Policy::Prefer, &entropy(1));
    assert_eq!(answering.receive(&[0; KEY]).unwrap_err(), MseError::Key);
    let (_, mut answering) = begun();
    assert_eq!(answering.receive(&[7; MAX_PADDING + 20]).unwrap_err(), MseError::Lost);
    assert!(answering.waiting.len() < 2 * MAX_PADDING);
}

#[test]
fn the_first_bytes_tell_what_comes() {
    let table: [(&[u8], _); 6] = [
        (b"", None),
        (b"\x13BitTorr", None),
        (b"\x13BitTorrent protocol", Some(false)),
        (b"\x13BitTorrent protocol\0\0", Some(false)),
        (b"\x13BitTorrenX", Some(true)),
        (b"\x12", Some(true)),
    ];
    for (begin, hidden) in table {
        assert_eq!(is_hidden(begin), hidden, "{begin:?}");
    }
}
