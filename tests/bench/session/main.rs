//! What the protocol itself costs: a seed and a leecher in one thread, without sockets, hashing or storage.
//!
//! `cargo bench -p tombolo-tests --bench session` prints CPU seconds per GiB for several piece lengths.

use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use tombolo_core::bits::Bits;
use tombolo_core::config::Config;
use tombolo_core::digest::Digests;
use tombolo_core::door::Greeting;
use tombolo_core::event::{Action, Add, Event, Link, Mode, Opened, Origin, Source, Torrent, Transport};
use tombolo_core::key::PeerId;
use tombolo_core::metainfo::Metainfo;
use tombolo_core::session::Session;
use tombolo_core::slices::Slices;
use tombolo_core::time::Time;
use tombolo_core::wire::handshake::Reserved;

const TORRENT: Torrent = Torrent(1);
const LINK: Link = Link(1);

/// A frame goes as far as a socket buffer would take it.
const READ: usize = 256 * 1024;

struct Side {
    session: Session,
    held: bool,
    pieces: usize,
    zeros: Bytes,
    flush: bool,
    stored: usize,
}

impl Side {
    fn new(metainfo: &Arc<Metainfo>, held: bool) -> Self {
        let id = PeerId([u8::from(held) + 1; 20]);
        let mut session = Session::new(
            Config {
                peer_id: id,
                ..Config::default()
            },
            7,
        );
        let add = Add {
            torrent: TORRENT,
            source: Source::Metainfo(metainfo.clone()),
            mode: Mode::Whole,
            trackers: None,
            peers: vec![],
            priorities: vec![],
        };
        session.handle(Time::ZERO, Event::Add(Box::new(add)));
        let zeros = Bytes::from(vec![0; 1 << 20]);
        Self {
            session,
            held,
            pieces: metainfo.layout.pieces(),
            zeros,
            flush: false,
            stored: 0,
        }
    }

    fn open(&mut self, metainfo: &Metainfo) {
        let greeting = Greeting {
            swarm: metainfo.hashes.swarm(),
            peer_id: PeerId([u8::from(!self.held) + 1; 20]),
            reserved: Reserved::OURS,
            rest: Bytes::new(),
        };
        let origin = if self.held { Origin::Inbound } else { Origin::Chosen };
        let opened = Opened {
            link: LINK,
            torrent: TORRENT,
            greeting,
            transport: Transport::Tcp,
            origin,
            address: None,
        };
        self.session.handle(Time::ZERO, Event::Opened(Box::new(opened)));
    }

    fn serve(&mut self, now: Time, metainfo: &Metainfo) {
        while let Some(action) = self.session.poll(now) {
            let event = match action {
                Action::Open(torrent, _) => {
                    let held = if self.held {
                        Bits::full(self.pieces)
                    } else {
                        Bits::new(self.pieces)
                    };
                    Event::Restored {
                        torrent,
                        held,
                        check: Bits::new(self.pieces),
                    }
                }
                // The hash is not what is measured.
                Action::Hash(job, data, _) => {
                    assert!(!data.is_empty());
                    let v1 = metainfo.piece_hash(metainfo.layout.iter().next().expect("a piece"));
                    let digests = Digests {
                        v1,
                        ..Digests::default()
                    };
                    Event::Hashed(job, digests)
                }
                Action::Store(job, ..) => {
                    self.stored += 1;
                    Event::Stored(job, Ok(()))
                }
                Action::Load(job, _, range) => {
                    Event::Loaded(job, Ok(Slices::from(self.zeros.slice(..range.length as usize))))
                }
                Action::Flush(_) => {
                    self.flush = true;
                    continue;
                }
                _ => continue,
            };
            self.session.handle(now, event);
        }
    }

    /// What a socket would take now, as the other end would read it.
    fn send(&mut self, now: Time) -> Option<Bytes> {
        let mut read = BytesMut::with_capacity(READ);
        while self.flush && read.len() < READ {
            match self.session.poll_frame(now, LINK, READ - read.len()) {
                Some(frame) => frame.iter().for_each(|part| read.extend_from_slice(part)),
                None => self.flush = false,
            }
            if READ - read.len() < 17_000 {
                break;
            }
        }
        (!read.is_empty()).then(|| read.freeze())
    }
}

fn transfer(total: u64, piece_length: usize) -> f64 {
    let pieces = total.div_ceil(piece_length as u64) as usize;
    let mut info = format!(
        "d6:lengthi{total}e4:name1:x12:piece lengthi{piece_length}e6:pieces{}:",
        pieces * 20
    )
    .into_bytes();
    info.extend(std::iter::repeat_n(7, pieces * 20));
    info.push(b'e');
    let metainfo = Arc::new(Metainfo::from_info(info.into()).expect("the torrent is well formed"));
    let (mut seed, mut leech) = (Side::new(&metainfo, true), Side::new(&metainfo, false));
    seed.serve(Time::ZERO, &metainfo);
    leech.serve(Time::ZERO, &metainfo);
    seed.open(&metainfo);
    leech.open(&metainfo);
    let began = Instant::now();
    let mut turn = 0;
    while leech.stored < pieces {
        turn += 1;
        assert!(turn < 100_000_000, "it goes on: {} of {pieces}", leech.stored);
        let now = Time::from_micros(began.elapsed().as_micros() as u64);
        for side in [&mut seed, &mut leech] {
            side.session.handle(now, Event::Due);
            side.serve(now, &metainfo);
        }
        let (down, up) = (seed.send(now), leech.send(now));
        down.into_iter()
            .for_each(|data| leech.session.handle(now, Event::Received(LINK, data)));
        up.into_iter()
            .for_each(|data| seed.session.handle(now, Event::Received(LINK, data)));
    }
    began.elapsed().as_secs_f64() * (1u64 << 30) as f64 / total as f64
}

fn main() {
    println!("piece length   both ends, s per GiB");
    for piece_length in [16 << 10, 256 << 10, 1 << 20, 4 << 20] {
        let mut runs: Vec<f64> = (0..5).map(|_| transfer(512 << 20, piece_length)).collect();
        runs.sort_by(f64::total_cmp);
        println!("{:>9} KiB   {:.3}", piece_length >> 10, runs[2]);
    }
}
