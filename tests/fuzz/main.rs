//! Every decoder against damaged inputs: what each promises of whatever it accepts holds, and nothing panics.
//!
//! The inputs are seeded, so a run is the same every time. `cargo xtask fuzz` looks further with the same checks.

mod checks {
    pub(crate) mod bencode;
    pub(crate) mod door;
    pub(crate) mod extended;
    pub(crate) mod filter;
    pub(crate) mod finding;
    pub(crate) mod frame;
    pub(crate) mod hashes;
    pub(crate) mod krpc;
    pub(crate) mod magnet;
    pub(crate) mod metadata;
    pub(crate) mod metainfo;
    pub(crate) mod tracker_http;
    pub(crate) mod tracker_server;
    pub(crate) mod tracker_udp;
    pub(crate) mod tracker_ws;
}
mod damage;
mod seeds;

use tombolo_core::rng::Rng;

/// Damaged inputs for each decoder: some seconds for all of them.
const ROUNDS: u64 = 100_000;

/// Shows the input that a check failed for.
struct Shown<'a>(&'a [u8]);

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("the input was b\"{}\"", self.0.escape_ascii());
        }
    }
}

/// Checks the inputs as they are, each cut short anywhere, and damaged at random.
fn run(check: fn(&[u8]), inputs: &[Vec<u8>]) {
    let look = |input: &[u8]| {
        let _shown = Shown(input);
        check(input);
    };
    for input in inputs {
        (0..=input.len()).for_each(|end| look(&input[..end]));
    }
    let mut rng = Rng::new(1);
    for _ in 0..ROUNDS {
        let [input, other] = [(); 2].map(|()| &inputs[rng.below(inputs.len())]);
        look(&damage::damage(&mut rng, input, other));
    }
}

#[test]
fn bencode() {
    run(checks::bencode::check, &seeds::bencode());
}

#[test]
fn door() {
    run(checks::door::check, &seeds::door());
}

#[test]
fn extended() {
    run(checks::extended::check, &seeds::extended());
}

#[test]
fn frame() {
    run(checks::frame::check, &seeds::frame());
}

#[test]
fn filter() {
    run(checks::filter::check, &seeds::filter());
}

#[test]
fn finding() {
    run(checks::finding::check, &seeds::finding());
}

#[test]
fn krpc() {
    run(checks::krpc::check, &seeds::krpc());
}

#[test]
fn hashes() {
    run(checks::hashes::check, &seeds::hashes());
}

#[test]
fn magnet() {
    run(checks::magnet::check, &seeds::magnet());
}

#[test]
fn metadata() {
    run(checks::metadata::check, &seeds::metadata());
}

#[test]
fn metainfo() {
    run(checks::metainfo::check, &seeds::metainfo());
}

#[test]
fn tracker_http() {
    run(checks::tracker_http::check, &seeds::tracker_http());
}

#[test]
fn tracker_server() {
    run(checks::tracker_server::check, &seeds::tracker_server());
}

#[test]
fn tracker_udp() {
    run(checks::tracker_udp::check, &seeds::tracker_udp());
}

#[test]
fn tracker_ws() {
    run(checks::tracker_ws::check, &seeds::tracker_ws());
}
