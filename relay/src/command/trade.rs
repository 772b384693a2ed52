//! The time between a node's start and its end: shows progress, obeys the control lines, ends when it is told to or is done.

use std::process::ExitCode;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tombolo_core::event::{Report, StorageError};

use super::control::{self, Control};
use super::failure::Failure;
use super::node::{Node, Settings};
use super::output;
use super::progress::{Progress, SHORTEST};
use super::signals::Signals;
use crate::system::unix;

/// What is printed beside the port when a node is ready.
pub(super) type Ready = serde_json::Map<String, serde_json::Value>;

/// What to do, besides trading.
pub(super) struct Orders {
    /// Whether JSON is printed.
    pub(super) json: bool,
    /// Whether it is a seed: all content must be there.
    pub(super) seed: bool,
    /// End when everything is there.
    pub(super) once: bool,
    /// Say on which port it listens, and this.
    pub(super) ready: Option<Ready>,
    /// Trackers that answered before it was ready.
    pub(super) early: Vec<(String, usize)>,
    /// What is asked on stdin.
    pub(super) control: Option<UnboundedReceiver<Control>>,
}

impl Orders {
    /// Whether progress is not to be shown yet: a seed says first that it is ready. One under control that takes long to
    /// check its content shows that it lives.
    fn holds_back(&self, progress: &Progress) -> bool {
        self.seed && self.json && self.ready.is_some() && (self.control.is_none() || !progress.is_late())
    }
}

/// Runs a node to its end on a runtime of its own.
///
/// # Errors
/// It cannot start, storage fails, or a seed lacks content.
pub(super) fn run(settings: Settings, orders: Orders) -> Result<ExitCode, Failure> {
    crate::system::raise_open_files();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(settings.threads)
        .enable_all()
        .build()
        .map_err(|error| Failure::io("no threads", &error))?;
    let status = runtime.block_on(trade(settings, orders));
    // Nothing is left but tasks that wait for peers.
    runtime.shutdown_timeout(Duration::from_millis(100));
    status
}

async fn trade(settings: Settings, mut orders: Orders) -> Result<ExitCode, Failure> {
    let mut signals = Signals::new().map_err(|error| Failure::io("no signals", &error))?;
    let mut node = Node::start(settings).await?;
    let ended = {
        let trading = follow(&mut node, &mut orders);
        tokio::select! {
            ended = trading => ended.map(|()| 0),
            status = signals.next() => Ok(status),
        }
    };
    let status = ended.as_ref().copied().unwrap_or(1);
    signals.last(status, node.stop()).await;
    ended.map(ExitCode::from)
}

/// Follows what happens until everything is done.
async fn follow(node: &mut Node, orders: &mut Orders) -> Result<(), Failure> {
    let mut progress = Progress::new(orders.json);
    if !orders.seed {
        ready(node, orders);
    }
    let mut ticks = tokio::time::interval(SHORTEST);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            report = node.report() => {
                let Some(report) = report else {
                    return Err(Failure::running("internal", "the torrent's thread has ended"));
                };
                if heed(report, node, orders, &mut progress).await? {
                    return Ok(());
                }
            }
            control = next(&mut orders.control) => obey(&control, node, &progress).await,
            _ = ticks.tick(), if !orders.holds_back(&progress) => {
                if let Some((status, layout)) = node.status().await {
                    progress.show(&status, layout);
                }
            }
        }
    }
}

/// The next control line; never, where there is no control.
async fn next(control: &mut Option<UnboundedReceiver<Control>>) -> Control {
    let line = match control {
        Some(lines) => lines.recv().await,
        None => None,
    };
    match line {
        Some(line) => line,
        None => std::future::pending().await,
    }
}

async fn obey(control: &Control, node: &Node, progress: &Progress) {
    match control {
        Control::Connect(host, port) => match control::resolve(host, *port).await {
            Ok(address) => node.connect(address),
            Err(reason) => progress.alert(&reason),
        },
        Control::Bad(reason) => progress.alert(reason),
    }
}

/// Does what follows from a report; true: everything is done.
async fn heed(report: Report, node: &Node, orders: &mut Orders, progress: &mut Progress) -> Result<bool, Failure> {
    match report {
        Report::Checked if orders.seed => {
            require_whole(node).await?;
            ready(node, orders);
            for (url, peers) in orders.early.drain(..) {
                progress.announced(&url, peers);
            }
        }
        // What a seed says first is that it is ready.
        Report::Announced(url, peers) if orders.seed && orders.ready.is_some() => orders.early.push((url, peers)),
        Report::Complete => {
            finish(node, progress, unix()).await;
            return Ok(orders.once);
        }
        Report::Announced(url, peers) => progress.announced(&url, peers),
        Report::TrackerFailed(url, reason) | Report::WebSeedFailed(url, reason) => {
            progress.alert(&format!("{url}: {reason}"))
        }
        Report::TrackerWarning(url, reason) => progress.alert(&format!("{url} warns: {reason}")),
        Report::HashFailed(piece) => progress.alert(&format!("piece {} failed its hash", piece.number())),
        Report::Banned(_) => progress.alert("a peer that sent bad data is banned"),
        Report::StorageFull(true) => progress.alert("the disk is full: waiting until there is room"),
        Report::StorageFull(false) => progress.alert("there is room on the disk again"),
        Report::StorageFailed(StorageError::Full) => {
            return Err(Failure::running("disk-full", "there is no room left on the disk"));
        }
        Report::StorageFailed(StorageError::Other(reason)) => return Err(Failure::running("io", reason)),
        Report::BadMetadata(reason) => return Err(Failure::running("bad-metainfo", reason)),
        _ => {}
    }
    Ok(false)
}

/// Prints a progress line with everything in it, and then that all is there.
async fn finish(node: &Node, progress: &mut Progress, at: f64) {
    tokio::time::sleep(progress.pause()).await;
    if let Some((status, layout)) = node.status().await {
        progress.show(&status, layout);
    }
    progress.finished(at);
}

async fn require_whole(node: &Node) -> Result<(), Failure> {
    let Some((status, Some(layout))) = node.status().await else {
        return Err(Failure::running("internal", "the torrent is gone"));
    };
    if status.have == layout.total() {
        return Ok(());
    }
    let message = format!("{} of {} bytes of the content are there", status.have, layout.total());
    Err(Failure::running("incomplete", message))
}

/// Says that peers can come.
fn ready(node: &Node, orders: &mut Orders) {
    let Some(mut more) = orders.ready.take() else { return };
    if orders.json {
        more.insert("ready".into(), node.port.into());
        output::line(&more);
    } else if let Some(magnet) = more.get("magnet").and_then(|magnet| magnet.as_str()) {
        output::say(magnet);
    }
}
