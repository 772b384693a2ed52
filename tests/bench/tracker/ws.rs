//! Announces over WebSocket: a thousand tabs, each announcing as soon as its last announce was answered, and answering every offer.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

/// Tabs under load.
const TABS: u32 = 1_000;

/// Tabs by which memory is measured.
pub(crate) const MANY: u32 = 5_000;

/// How long an announce may wait for answers.
const LOST: Duration = Duration::from_millis(1_000);

/// Tabs in one swarm.
const SWARM: u32 = 20;

/// What an SDP with a few candidates has, in bytes.
const SDP: usize = 700;

/// Announces until the time is over; how many were answered.
pub(crate) fn load(address: SocketAddr, time: Duration, offers: usize) -> u64 {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let answered = std::sync::Arc::new(AtomicU64::new(0));
    runtime.block_on(async {
        let mut tabs = Vec::new();
        for number in 0..TABS {
            tabs.push(connect(address, number).await);
        }
        let until = Instant::now() + time;
        let all: Vec<_> = tabs
            .into_iter()
            .zip(0..)
            .map(|(tab, number)| {
                let answered = answered.clone();
                tokio::spawn(async move {
                    let announcing = announce(tab, number, offers, &answered);
                    let _ = tokio::time::timeout_at(until.into(), announcing).await;
                })
            })
            .collect();
        for one in all {
            let _ = one.await;
        }
    });
    answered.load(Ordering::Relaxed)
}

/// Tabs that are connected and have announced themselves.
pub(crate) struct Held {
    _runtime: tokio::runtime::Runtime,
    _tabs: Vec<Tab>,
}

/// Opens tabs, each in a swarm, and keeps them.
pub(crate) fn hold(address: SocketAddr) -> Held {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let tabs = runtime.block_on(async {
        let mut tabs = Vec::new();
        for number in 0..MANY {
            let mut tab = connect(address, number).await;
            tab.send(&message(number, 0)).await.expect("a tracker");
            while !is_reply(&tab.receive().await.expect("a tracker")) {}
            tabs.push(tab);
        }
        tabs
    });
    Held {
        _runtime: runtime,
        _tabs: tabs,
    }
}

struct Tab {
    stream: TcpStream,
    input: Vec<u8>,
    taken: usize,
}

fn latin(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

fn ids(number: u32) -> ([u8; 20], [u8; 20]) {
    let (_, id, _) = crate::peer(number, 1);
    let mut hash = *b"....a swarm of tabs.";
    hash[..4].copy_from_slice(&(number / SWARM).wrapping_mul(0x9e37_79b1).to_be_bytes());
    (hash, id)
}

fn message(number: u32, offers: usize) -> String {
    let (hash, id) = ids(number);
    let sdp = "v=0 a=candidate\r\n".repeat(SDP / 17);
    let offers: Vec<_> = (0..offers)
        .map(|at| {
            let offer = [&id[..12], &[at as u8; 8]].concat();
            json!({"offer_id": latin(&offer), "offer": {"type": "offer", "sdp": sdp}})
        })
        .collect();
    json!({
        "action": "announce", "info_hash": latin(&hash), "peer_id": latin(&id), "numwant": offers.len(),
        "uploaded": 0, "downloaded": 0, "left": 1, "offers": offers,
    })
    .to_string()
}

fn is_reply(text: &str) -> bool {
    text.contains("\"interval\"")
}

/// Announces again and again. With offers, one counts when all of them were answered: what a tracker drops under load is not free work.
async fn announce(mut tab: Tab, number: u32, offers: usize, answered: &AtomicU64) -> Option<()> {
    let announce = message(number, offers);
    loop {
        tab.send(&announce).await.ok()?;
        let whole = tokio::time::timeout(LOST, until_answered(&mut tab, number, offers)).await;
        match whole {
            Ok(None) => return None,
            Ok(Some(())) => _ = answered.fetch_add(1, Ordering::Relaxed),
            Err(_late) => {}
        }
        tokio::task::yield_now().await;
    }
}

/// Takes in the reply and the answers to the offers, and answers others' offers meanwhile.
async fn until_answered(tab: &mut Tab, number: u32, offers: usize) -> Option<()> {
    let (mut replied, mut answers) = (false, 0);
    while !replied || answers < offers {
        let text = tab.receive().await?;
        if is_reply(&text) {
            replied = true;
        } else if text.contains("\"answer\":") {
            answers += 1;
        } else if text.contains("\"offer\":") {
            tab.send(&answer(number, &text)?).await.ok()?;
        }
    }
    Some(())
}

fn answer(number: u32, offer: &str) -> Option<String> {
    let offer: Value = serde_json::from_str(offer).ok()?;
    let (_, id) = ids(number);
    Some(
        json!({
            "action": "announce", "info_hash": offer["info_hash"], "peer_id": latin(&id), "to_peer_id": offer["peer_id"],
            "offer_id": offer["offer_id"], "answer": {"type": "answer", "sdp": offer["offer"]["sdp"]},
        })
        .to_string(),
    )
}

async fn connect(address: SocketAddr, number: u32) -> Tab {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket
        .bind(SocketAddr::from(([127, 0, 2, (number % 100) as u8 + 1], 0)))
        .expect("an address");
    let mut stream = socket.connect(address).await.expect("a tracker");
    let _ = stream.set_nodelay(true);
    let request = format!(
        "GET / HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.expect("a tracker");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("a tracker"));
    }
    assert!(head.starts_with(b"HTTP/1.1 101"));
    Tab {
        stream,
        input: Vec::new(),
        taken: 0,
    }
}

impl Tab {
    /// Sends a text, masked by zeros.
    async fn send(&mut self, text: &str) -> std::io::Result<()> {
        let mut frame = vec![0x81];
        match u16::try_from(text.len()).expect("short") {
            short @ ..126 => frame.push(0x80 | short as u8),
            length => {
                frame.push(0x80 | 126);
                frame.extend(length.to_be_bytes());
            }
        }
        frame.extend([0; 4]);
        frame.extend(text.as_bytes());
        self.stream.write_all(&frame).await
    }

    /// The next text.
    async fn receive(&mut self) -> Option<String> {
        loop {
            if let Some((is_text, payload)) = self.frame() {
                if is_text {
                    return String::from_utf8(payload).ok();
                }
                continue;
            }
            self.input.drain(..self.taken);
            self.taken = 0;
            if self.stream.read_buf(&mut self.input).await.ok()? == 0 {
                return None;
            }
        }
    }

    /// The next frame of what has come, and whether it is a text.
    fn frame(&mut self) -> Option<(bool, Vec<u8>)> {
        let input = &self.input[self.taken..];
        let (from, length) = match input.get(1)? {
            126 => (4, usize::from(u16::from_be_bytes([*input.get(2)?, *input.get(3)?]))),
            127 => return None,
            short => (2, usize::from(*short)),
        };
        let payload = input.get(from..from + length)?.to_vec();
        let is_text = input[0] & 0x0f == 1;
        self.taken += from + length;
        Some((is_text, payload))
    }
}
