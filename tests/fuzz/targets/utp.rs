//! Packets are read without a panic and read the same when written again; a socket takes any of them at any time.
#![no_main]
use libfuzzer_sys::fuzz_target;
use std::net::SocketAddr;
use tombolo_core::time::{Span, Time};
use tombolo_core::utp::packet::Packet;
use tombolo_core::utp::{Config, Event, Socket};

fuzz_target!(|data: &[u8]| {
    if let Ok(packet) = Packet::decode(data) {
        let mut out = Vec::new();
        packet.header.encode(packet.selective, &mut out);
        out.extend_from_slice(packet.payload);
        let again = Packet::decode(&out).expect("it was written by us");
        assert_eq!((again.header, again.selective, again.payload), (packet.header, packet.selective, packet.payload));
    }
    let peer = SocketAddr::from(([127, 0, 0, 1], 1));
    let mut socket = Socket::new(Config::default(), 1);
    let mut now = Time::ZERO;
    socket.connect(now, peer);
    let mut out = Vec::new();
    // Datagrams of different lengths, each a part of the input, to a connection that reads, writes and waits.
    for (index, datagram) in data.chunks(usize::from(data.first().copied().unwrap_or(0)) + 20).enumerate() {
        socket.receive(now, peer, datagram);
        while let Some(event) = socket.poll() {
            let (Event::Accepted(handle, _) | Event::Stirred(handle)) = event;
            let _ = socket.read(handle);
            if socket.room(handle).is_ok_and(|room| room > 0) {
                socket.write(handle, vec![7; 5_000].into());
            }
            if index % 7 == 6 {
                socket.close(now, handle);
            }
        }
        out.clear();
        while socket.transmit(now, 8, &mut out).is_some() {}
        now += Span::from_millis(1 << (index % 15));
        socket.due(now);
    }
});
