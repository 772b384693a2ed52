//! The native end of the data-channel measurements: `README.md` beside this file says how to run them.
//!
//! Reads JSON lines on stdin and answers on stdout. `{"answer":SDP}` answers a page's offer, `{"offer":true}` makes one
//! and `{"accept":SDP}` takes the answer to it; then `{"opened":ms}` follows when the channel is open, and the probe
//! sends `--bytes` (or with `--up` takes them) and ends with `{"done":…}`. With `--pair` it measures itself.

use std::io::{BufRead as _, Write as _};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tombolo_relay::rtc::{Channel, Offer, Options, Pending, Rtc};

/// A PIECE message with a 16 KiB block, as a swarm sends them.
const FRAME: usize = 16_384 + 13;

struct Flags {
    bytes: usize,
    up: bool,
    pair: bool,
    idle: usize,
    listen: SocketAddr,
    options: Options,
}

fn flags() -> Flags {
    let mut flags = Flags {
        bytes: 256 << 20,
        up: false,
        pair: false,
        idle: 0,
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        options: Options {
            allow_local: true,
            ..Options::default()
        },
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut number = || words.next().and_then(|word| word.parse().ok()).expect("a number");
        match word.as_str() {
            "--bytes" => flags.bytes = number(),
            "--window" => flags.options.window = number(),
            "--idle" => flags.idle = number(),
            "--message" => flags.options.message = number(),
            "--listen" => flags.listen = words.next().and_then(|word| word.parse().ok()).expect("an address"),
            "--up" => flags.up = true,
            "--pair" => flags.pair = true,
            "--bench" => {}
            other => panic!("unknown flag {other}"),
        }
    }
    flags
}

/// User and system time of this process so far, in seconds.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_ascii_whitespace();
    fields
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<f64>().ok())
        .sum::<f64>()
        / 100.0
}

/// A figure of this process's memory, in MB: `VmHWM:` is the most it has had, `VmRSS:` what it has.
fn memory(name: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    let kilobytes = line
        .split_ascii_whitespace()
        .nth(1)
        .and_then(|word| word.parse::<f64>().ok());
    kilobytes.unwrap_or_default() * 1.024e-3
}

fn say(value: &Value) {
    println!("{value}");
    std::io::stdout().flush().expect("stdout");
}

async fn send(channel: &Channel, bytes: usize) {
    let block = Bytes::from(vec![7; FRAME]);
    let mut left = bytes;
    while left > 0 {
        let room = channel.writable().await.expect("open");
        let mut frames = Vec::new();
        let mut taken = 0;
        while left > 0 && (taken == 0 || taken + FRAME <= room) {
            let frame = block.slice(..FRAME.min(left));
            left -= frame.len();
            taken += frame.len();
            frames.push(frame);
        }
        channel.send(frames).await.expect("open");
    }
}

async fn take(channel: &Channel, bytes: usize) {
    let mut left = bytes;
    while left > 0 {
        left = left.saturating_sub(channel.recv().await.expect("open").len());
    }
}

fn report(flags: &Flags, seconds: f64, cpu: f64) {
    let rate = flags.bytes as f64 / seconds / 1e6;
    say(&json!({"done": {"seconds": seconds, "mb_per_s": rate, "cpu_s": cpu, "peak_mb": memory("VmHWM:")}}));
}

async fn connect(offering: &Rtc, answering: &Rtc) -> (Channel, Channel) {
    let offer = offering.offer("bench").await.expect("offer");
    let (theirs, answer) = answering.answer(offer.sdp()).await.expect("answer");
    let ours = offer.accept(&answer).await.expect("accept");
    let (ours, theirs) = tokio::join!(ours.open(), theirs.open());
    (ours.expect("open"), theirs.expect("open"))
}

/// What an open connection with nothing to do costs.
async fn idle(flags: &Flags) {
    let endpoints = [(); 2].map(|()| Rtc::bind(&[flags.listen], flags.options.clone()).expect("bind"));
    let mut channels = vec![connect(&endpoints[0], &endpoints[1]).await];
    let (started, spent, before) = (Instant::now(), cpu(), memory("VmRSS:"));
    for _ in 0..flags.idle {
        channels.push(connect(&endpoints[0], &endpoints[1]).await);
    }
    let ends = (2 * flags.idle) as f64;
    let (opened, cost, held) = (
        started.elapsed().as_secs_f64(),
        cpu() - spent,
        memory("VmRSS:") - before,
    );
    let spent = cpu();
    tokio::time::sleep(Duration::from_secs(5)).await;
    say(&json!({"done": {
        "kb_each": held * 1e3 / ends, "open_cpu_ms_each": cost * 1e3 / ends, "opened_s": opened,
        "idle_cpu_ms_each_s": (cpu() - spent) * 200.0 / ends,
    }}));
}

async fn pair(flags: &Flags) {
    let endpoints = [(); 2].map(|()| Rtc::bind(&[flags.listen], flags.options.clone()).expect("bind"));
    let (ours, theirs) = connect(&endpoints[0], &endpoints[1]).await;
    let (started, spent, bytes) = (Instant::now(), cpu(), flags.bytes);
    let sender = tokio::spawn(async move {
        send(&ours, bytes).await;
        ours
    });
    take(&theirs, bytes).await;
    report(flags, started.elapsed().as_secs_f64(), cpu() - spent);
    drop(sender.await);
}

async fn page(flags: &Flags) {
    let rtc = Rtc::bind(&[flags.listen], flags.options.clone()).expect("bind");
    let (lines, mut incoming) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            let _ = lines.send(line);
        }
    });
    let mut offer: Option<Offer> = None;
    let (pending, started): (Pending, Instant) = loop {
        let line = incoming.recv().await.expect("a page");
        let message: Value = serde_json::from_str(&line).expect("JSON");
        if let Some(theirs) = message["answer"].as_str() {
            let started = Instant::now();
            let (pending, answer) = rtc.answer(theirs).await.expect("answer");
            say(&json!({"answer": answer}));
            break (pending, started);
        }
        if let Some(theirs) = message["accept"].as_str() {
            let offer = offer.take().expect("an offer");
            break (offer.accept(theirs).await.expect("accept"), Instant::now());
        }
        let made = rtc.offer("bench").await.expect("offer");
        say(&json!({"offer": made.sdp()}));
        offer = Some(made);
    };
    let channel = pending.open().await.expect("open");
    say(&json!({"opened": started.elapsed().as_secs_f64() * 1e3}));
    // The page says when it is ready: with `{}`.
    incoming.recv().await;
    let (started, spent) = (Instant::now(), cpu());
    if flags.up {
        take(&channel, flags.bytes).await;
    } else {
        send(&channel, flags.bytes).await;
        // The page has all when it says so.
        incoming.recv().await;
    }
    report(flags, started.elapsed().as_secs_f64(), cpu() - spent);
    channel.close().await;
    let deadline = Instant::now() + Duration::from_secs(2);
    while rtc.connections() > 0 && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn main() {
    let flags = flags();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("runtime");
    runtime.block_on(async {
        match flags {
            Flags { idle: 1.., .. } => idle(&flags).await,
            Flags { pair: true, .. } => pair(&flags).await,
            _ => page(&flags).await,
        }
    });
}
