//! Endpoints on loopback, against each other.

use bytes::{Bytes, BytesMut};
use tokio::time::{Instant, sleep, timeout};

use super::*;

const DEADLINE: Duration = Duration::from_secs(20);

fn options() -> Options {
    Options {
        allow_local: true,
        ..Options::default()
    }
}

fn endpoint(options: Options) -> Rtc {
    Rtc::bind(&["127.0.0.1:0".parse().unwrap()], options).unwrap()
}

/// Connects two endpoints; the first one offers.
async fn pair(a: &Rtc, b: &Rtc) -> (Channel, Channel) {
    let offer = a.offer("test").await.unwrap();
    let (theirs, answer) = b.answer(offer.sdp()).await.unwrap();
    let ours = offer.accept(&answer).await.unwrap();
    let (ours, theirs) = tokio::join!(ours.open(), theirs.open());
    (ours.unwrap(), theirs.unwrap())
}

/// Polls until `done` holds, or fails at the deadline.
async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !done() {
        assert!(Instant::now() < deadline, "{what} did not happen in time");
        sleep(Duration::from_millis(5)).await;
    }
}

/// Repeatable noise: sizes and contents.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Frames of 0 to 40,000 bytes, `total` bytes or a little more together.
    fn frames(&mut self, total: usize) -> Vec<Bytes> {
        let (mut frames, mut length) = (Vec::new(), 0);
        while length < total {
            let size = (self.next() % if self.next().is_multiple_of(4) { 40_000 } else { 64 }) as usize;
            frames.push((0..size).map(|_| self.next() as u8).collect::<Bytes>());
            length += size;
        }
        frames
    }
}

async fn read(channel: &Channel, length: usize) -> BytesMut {
    let mut read = BytesMut::new();
    while read.len() < length {
        read.extend_from_slice(&channel.recv().await.expect("open"));
    }
    read
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn carries_bytes_both_ways_unchanged() {
    let (a, b) = (endpoint(options()), endpoint(options()));
    let (ours, theirs) = pair(&a, &b).await;
    let (there, back) = (Noise(1).frames(4 << 20), Noise(2).frames(4 << 20));
    let (expected_there, expected_back) = (there.concat(), back.concat());
    // In portions, as a session hands them over.
    let send = async |channel: &Channel, frames: Vec<Bytes>| {
        for portion in frames.chunks(50) {
            channel.send(portion.to_vec()).await.unwrap();
        }
    };
    let (_, _, read_there, read_back) = timeout(DEADLINE, async {
        tokio::join!(
            send(&ours, there),
            send(&theirs, back),
            read(&theirs, expected_there.len()),
            read(&ours, expected_back.len())
        )
    })
    .await
    .unwrap();
    assert!(read_there == expected_there && read_back == expected_back);
    assert_eq!(ours.remote_address(), Some(b.local_addresses()[0]));
    assert_eq!(theirs.remote_address(), Some(a.local_addresses()[0]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_consumer_stops_the_sender() {
    let (a, b) = (endpoint(options()), endpoint(options()));
    let (ours, theirs) = pair(&a, &b).await;
    let (block, mut sent, mut last) = (Bytes::from(vec![7; 64 << 10]), 0, Instant::now());
    // The bound of the stack's two queues of 256 messages, the receive window, and the send window.
    let bound = 2 * 256 * MESSAGE + (1 << 20) + window::SMALLEST;
    while last.elapsed() < Duration::from_secs(1) {
        match timeout(Duration::from_secs(1), ours.writable()).await {
            Ok(room) => {
                let part = block.slice(..room.unwrap().min(block.len()));
                sent += part.len();
                ours.send(vec![part]).await.unwrap();
                last = Instant::now();
            }
            Err(_) => break,
        }
        assert!(sent <= bound, "{sent} bytes were taken with nobody reading");
    }
    // And goes on where it stopped.
    let more = 8 << 20;
    let send = async {
        for _ in 0..more / block.len() {
            ours.send(vec![block.clone()]).await.unwrap();
        }
    };
    let (_, read) = timeout(DEADLINE, async { tokio::join!(send, read(&theirs, sent + more)) })
        .await
        .unwrap();
    assert!(read.len() == sent + more && read.iter().all(|byte| *byte == 7));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn either_end_notices_that_the_other_closes() {
    for offerer_closes in [true, false] {
        let (a, b) = (endpoint(options()), endpoint(options()));
        let (ours, theirs) = pair(&a, &b).await;
        let (closing, other) = if offerer_closes { (ours, theirs) } else { (theirs, ours) };
        closing.send(vec![Bytes::from_static(b"last words")]).await.unwrap();
        assert_eq!(other.recv().await.unwrap(), &b"last words"[..]);
        closing.close().await;
        assert!(matches!(
            closing.send(vec![Bytes::from_static(b"more")]).await,
            Err(Error::Closed)
        ));
        assert_eq!(timeout(DEADLINE, other.recv()).await.unwrap(), None);
        drop(other);
        until("the end of both connections", || a.connections() + b.connections() == 0).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_peer_is_given_up() {
    let silence = Duration::from_millis(1500);
    let (a, b) = (endpoint(Options { silence, ..options() }), endpoint(options()));
    let (ours, theirs) = pair(&a, &b).await;
    // Its sockets still hold the port, but nobody reads them or answers.
    b.shared.port.close(theirs.inbox());
    b.shared.port.stop();
    assert_eq!(timeout(DEADLINE, ours.recv()).await.unwrap(), None);
    until("its end", || a.connections() == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_connections_leave_nothing_behind() {
    let metrics = tokio::runtime::Handle::current().metrics();
    let hub = endpoint(options());
    hub.shared.port.start().unwrap();
    let before = metrics.num_alive_tasks();
    {
        // Half of them share one port at the other end too: those need sockets of their own at one end.
        let shared = endpoint(options());
        let mut others = Vec::new();
        let mut channels = Vec::new();
        for index in 0..50 {
            let own = (index % 2 == 0).then(|| endpoint(options()));
            let (ours, theirs) = pair(own.as_ref().unwrap_or(&shared), &hub).await;
            let word = Bytes::from(format!("channel {index}"));
            ours.send(vec![word.clone()]).await.unwrap();
            assert_eq!(theirs.recv().await.unwrap(), word);
            assert!(ours.remote_address().is_some() && theirs.remote_address().is_some());
            channels.push((ours, theirs));
            others.extend(own);
        }
        assert_eq!(hub.connections(), 50);
        for (index, (ours, theirs)) in channels.into_iter().enumerate() {
            if index % 3 == 0 {
                ours.close().await;
            }
            drop(if index % 2 == 0 { ours } else { theirs });
        }
        until("the end of all connections", || {
            hub.connections() + shared.connections() == 0
        })
        .await;
    }
    until("the end of all tasks", || metrics.num_alive_tasks() <= before).await;
    assert_eq!(hub.shared.port.entries(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_limited_and_unanswered_offers_count() {
    let a = endpoint(Options {
        connections: 2,
        ..options()
    });
    let first = a.offer("one").await.unwrap();
    let _second = a.offer("two").await.unwrap();
    assert!(matches!(a.offer("three").await, Err(Error::Full)));
    drop(first);
    until("a free place", || a.connections() == 1).await;
    a.offer("three").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_never_connects_times_out() {
    let a = endpoint(Options {
        open: Duration::from_millis(300),
        ..options()
    });
    let offer = endpoint(options()).offer("gone").await.unwrap();
    let (pending, _) = a.answer(offer.sdp()).await.unwrap();
    drop(offer);
    assert!(matches!(pending.open().await, Err(Error::TimedOut | Error::Closed)));
    until("its end", || a.connections() == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn malformed_descriptions_are_errors_and_leave_nothing_behind() {
    let (a, b) = (endpoint(options()), endpoint(options()));
    let offer = b.offer("test").await.unwrap();
    let mut noise = Noise(3);
    for _ in 0..300 {
        let mut bytes = offer.sdp().as_bytes().to_vec();
        for _ in 0..=noise.next() % 3 {
            let at = noise.next() as usize % bytes.len();
            match noise.next() % 4 {
                0 => bytes.truncate(at.max(1)),
                1 => drop(bytes.remove(at)),
                2 => bytes[at] = b" :=/09azAZ\n\xff"[noise.next() as usize % 12],
                _ => bytes.insert(at, noise.next() as u8),
            }
        }
        let text = String::from_utf8_lossy(&bytes);
        // Some are still good; none may panic.
        match a.answer(&text).await {
            Ok(_) | Err(Error::Sdp(_)) => {}
            Err(error) => panic!("{error}: {text}"),
        }
    }
    let unanswered = a.offer("test").await.unwrap();
    assert!(matches!(
        unanswered.accept("v=0\r\n").await,
        Err(Error::Sdp(SdpError::NoDataChannel))
    ));
    until("the end of all", || a.connections() == 0).await;
}

#[tokio::test]
async fn an_address_in_use_is_an_error() {
    let first = endpoint(options());
    assert!(matches!(
        Rtc::bind(&first.local_addresses(), options()),
        Err(Error::Bind(_))
    ));
}
