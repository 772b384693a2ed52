//! Web seeds: HTTP servers that have a torrent's files (BEP 19) or hand out its pieces (BEP 17).
//!
//! Each is one more source for the picker, asked for long runs of blocks one after the other: what it sends goes the way of every block,
//! so that a wrong piece is blamed on it, after which it is not asked again. One that fails is left alone for a while, longer each time.
//! Invariants: what is asked of the picker by a web seed is in its `fetch`; at most [`ACTIVE`] are asked at a time, each for one stretch.
//! Cost: a search for a gap, O(pieces), for each run of blocks.

mod stretch;

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use bytes::Bytes;

use super::assembly::Source;
use super::download::budget;
use super::limits::Limits;
use super::picker::{Asker, Phase, Stride};
use super::rate::{Meter, QUICK};
use super::upload::zeros;
use super::{Content, Swarm};
use crate::bits::Bits;
use crate::event::{Action, Job, Link, Refused, Report, Transport};
use crate::key::PeerId;
use crate::layout::{BLOCK, Block};
use crate::metainfo::Metainfo;
use crate::session::context::Context;
use crate::slices::Slices;
use crate::status::PeerStatus;
use crate::time::{Span, Time};
use stretch::{Place, Stretch};

/// Web seeds of one torrent that are kept; those after them are passed over.
const MAX_SEEDS: usize = 100;

/// Web seeds of one torrent that are asked at a time. More of them load more servers without need: one alone can fill most links.
const ACTIVE: usize = 4;

/// Seconds of a web seed's rate that it is asked for at once: the round trip between two questions is then of no weight.
const AHEAD: u64 = 8;

/// The least and the most bytes to ask for at once, but no less than a piece. The least is what one is asked for whose rate is not known.
const STRIDE: (u64, u64) = (256 << 10, 16 << 20);

/// How long a web seed for which there was nothing to ask is left alone: there may be memory again, or a peer gone, and looking costs
/// O(pieces).
const LOOK: Span = Span::from_millis(100);

/// A web seed that sends nothing for so long has failed.
const PATIENCE: Span = Span::from_secs(30);

/// How long a web seed that failed is left alone, in seconds: doubled with each failure up to the second. One that says that it does not
/// have what it was asked for (HTTP 4xx) is not asked again so soon.
const BACK_OFF: (u64, u64) = (10, 3_600);

/// The longest time, in seconds, that a server may ask to be left alone for.
const MAX_RETRY: u64 = 86_400;

/// A web seed that never sent anything is given up after so many failures: it does not exist, or a page may not ask it (CORS).
const TRIES: u32 = 5;

/// Marks the links that stand for web seeds: a shell counts its own up from 0.
const MARK: u64 = 1 << 63;

/// The web seeds of a torrent.
#[derive(Default)]
pub(crate) struct WebSeeds {
    seeds: Vec<WebSeed>,
    /// Those that the magnet link names.
    pub(super) named: Vec<String>,
    /// Something happened that may give them something to do.
    pub(super) stirred: bool,
}

/// One web seed.
struct WebSeed {
    url: String,
    /// It is of BEP 17: asked by piece.
    by_pieces: bool,
    link: Link,
    slot: u32,
    fetch: Option<Fetch>,
    down: Meter,
    received: u64,
    failures: u32,
    /// When it may be asked again.
    ready: Time,
    /// It sent part of a piece that failed: it gets pieces of its own until one passes.
    parole: bool,
}

/// A run of blocks that is being fetched.
struct Fetch {
    /// The stretch that is asked for.
    job: Job,
    /// What of it has not come.
    left: u64,
    /// The stretches of the run.
    stretches: Vec<Stretch>,
    /// How many of them were asked for.
    asked: usize,
    blocks: Vec<Block>,
    /// How many of the blocks are here in full.
    come: usize,
    /// What came of the next.
    begun: Slices,
    /// When something last came, or it was asked for.
    at: Time,
}

impl WebSeeds {
    /// Whether there is one that may be expected to answer.
    pub(super) fn are_usable(&self) -> bool {
        self.seeds.iter().any(|seed| seed.failures == 0)
    }

    /// Whether there are any.
    pub(super) const fn is_empty(&self) -> bool {
        self.seeds.is_empty()
    }

    /// The web seed that a link stands for is to get pieces of its own, or no longer.
    pub(super) fn set_parole(&mut self, link: Link, parole: bool) {
        let seed = self.seeds.iter_mut().find(|seed| seed.link == link);
        seed.into_iter().for_each(|seed| seed.parole = parole);
    }

    /// Those that are or were of use, as if they were peers.
    pub(crate) fn status(&mut self, pieces: usize, now: Time) -> impl Iterator<Item = PeerStatus> {
        let used = |seed: &&mut WebSeed| seed.fetch.is_some() || seed.received > 0;
        self.seeds
            .iter_mut()
            .filter(used)
            .map(move |seed| seed.status(pieces, now))
    }

    fn of_job(&self, job: Job) -> Option<usize> {
        let of_job = |seed: &WebSeed| seed.fetch.as_ref().is_some_and(|fetch| fetch.job == job);
        self.seeds.iter().position(of_job)
    }
}

impl WebSeed {
    fn source(&self) -> Source {
        let mut id = [0; 20];
        id[..8].copy_from_slice(&self.link.0.to_be_bytes());
        Source {
            link: self.link,
            id: PeerId(id),
            address: None,
            listens: None,
            transport: Transport::Http,
        }
    }

    fn status(&mut self, pieces: usize, now: Time) -> PeerStatus {
        let host = self.url.split('/').nth(2).unwrap_or(&self.url);
        PeerStatus {
            link: self.link,
            peer_id: self.source().id,
            client: host.rsplit('@').next().unwrap_or_default().to_string(),
            address: None,
            transport: Transport::Http,
            relay: false,
            inbound: false,
            interested: self.fetch.is_some(),
            unchoked: self.failures == 0,
            peer_interested: false,
            peer_unchoked: false,
            optimistic: false,
            snubbed: false,
            suspect: self.parole,
            pieces,
            down: self.down.rate(now),
            up: 0,
            received: self.received,
            sent: 0,
            requests: self.fetch.as_ref().map_or(0, |fetch| fetch.blocks.len() - fetch.come),
        }
    }

    /// How much to ask for at once.
    fn stride(&mut self, content: &Content, cx: &mut Context, limits: &mut Limits) -> u64 {
        let (least, most) = STRIDE;
        // Who plays may seek, and is then to be answered soon.
        let most = if content.window.is_some() { 8 * least } else { most };
        let wished = (self.down.rate(cx.now) * AHEAD).clamp(least, most);
        wished
            .min(limits.down(cx))
            .min(cx.config.memory / 4)
            .max(content.layout.nominal_piece_length().into())
    }

    /// It failed: when it may be asked again.
    fn back_off(&self, refused: &Refused) -> Span {
        let (first, most) = BACK_OFF;
        let steps = self.failures.saturating_sub(1).min(16);
        let gone = matches!(refused.status, 400..=499) && !matches!(refused.status, 408 | 429);
        let seconds = (first << steps) * if gone { 6 } else { 1 };
        let asked = u64::from(refused.retry.unwrap_or(0)).min(MAX_RETRY);
        Span::from_secs(seconds.min(most).max(asked))
    }
}

impl Swarm {
    /// The metainfo is known: so are the web seeds.
    pub(super) fn find_web_seeds(&mut self, cx: &mut Context, metainfo: &Metainfo) {
        let named = core::mem::take(&mut self.web_seeds.named);
        let mut urls: Vec<(String, bool)> = Vec::new();
        let files = metainfo.web_seeds.iter().chain(&named).map(|url| (url, false));
        for (url, by_pieces) in files.chain(metainfo.http_seeds.iter().map(|url| (url, true))) {
            let is_http = ["http://", "https://"].iter().any(|scheme| {
                url.get(..scheme.len())
                    .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
            });
            if is_http && urls.len() < MAX_SEEDS && !urls.iter().any(|(other, _)| other == url) {
                urls.push((url.clone(), by_pieces));
            }
        }
        for (url, by_pieces) in urls {
            let link = Link(MARK | cx.unique());
            let slot = self.free_slot(link);
            self.web_seeds.seeds.push(WebSeed {
                url,
                by_pieces,
                link,
                slot,
                fetch: None,
                down: Meter::new(QUICK),
                received: 0,
                failures: 0,
                ready: cx.now,
                parole: false,
            });
        }
        self.web_seeds.stirred = true;
    }

    /// Asks web seeds for what is missing, and no longer for what came from elsewhere.
    pub(super) fn ask_web_seeds(&mut self, cx: &mut Context) {
        let count = self.web_seeds.seeds.len();
        let Some(content) = self.content.as_mut().filter(|content| content.restored && count > 0) else {
            return;
        };
        for seed in &mut self.web_seeds.seeds {
            let waits = |fetch: &Fetch| fetch.left > 0 || fetch.asked < fetch.stretches.len();
            if seed.fetch.as_ref().is_some_and(waits) && content.picker.requests(seed.slot) == 0 {
                stop(cx, seed);
            }
        }
        if self.paused || content.full {
            return;
        }
        // Not everybody is to ask the first.
        let first = cx.rng.below(count);
        for at in (first..count).chain(0..first) {
            let active = self.web_seeds.seeds.iter().filter(|seed| seed.fetch.is_some()).count();
            let seed = &self.web_seeds.seeds[at];
            if active < ACTIVE && seed.fetch.is_none() && seed.ready <= cx.now {
                self.ask_web_seed(cx, at);
            }
        }
    }

    /// Asks a web seed for a run of blocks, if there is one to ask for.
    fn ask_web_seed(&mut self, cx: &mut Context, at: usize) {
        let alone = self.peers.is_empty() && self.web_seeds.seeds.len() == 1;
        let spare = self.spare(cx.now);
        let (Some(content), Some(seed)) = (&mut self.content, self.web_seeds.seeds.get_mut(at)) else {
            return;
        };
        if content.picker.left().pieces == 0 {
            return;
        }
        if self.limits.down(cx) == 0 {
            return self.clock.by(self.limits.down_at(cx), cx.now);
        }
        let before = content.picker.phase();
        let blocks = choose(cx, content, seed, (&mut self.limits, spare.as_ref()), alone);
        content.settle_memory(cx);
        if blocks.is_empty() {
            seed.ready = cx.now + LOOK;
            return self.clock.by(seed.ready, cx.now);
        }
        let stretches = stretch::of(&content.metainfo, &blocks, seed.by_pieces);
        seed.fetch = Some(Fetch {
            job: Job(0),
            left: 0,
            stretches,
            asked: 0,
            blocks,
            come: 0,
            begun: Slices::new(),
            at: cx.now,
        });
        let endgame = before != Phase::Endgame && content.picker.phase() == Phase::Endgame;
        self.next_stretch(cx, at);
        if endgame {
            self.touch_hungry();
        }
    }

    /// A stretch is here in full: asks for the next. Zeros are not asked for.
    fn next_stretch(&mut self, cx: &mut Context, at: usize) {
        while let Some(seed) = self.web_seeds.seeds.get_mut(at)
            && let Some(content) = &self.content
            && let Some(fetch) = &mut seed.fetch
        {
            let Some(&next) = fetch.stretches.get(fetch.asked) else {
                seed.fetch = None;
                if core::mem::take(&mut seed.failures) > 0 {
                    self.spoil_promises();
                }
                break;
            };
            fetch.asked += 1;
            if next.place == Place::Zeros {
                self.take_zeros(cx, at, next.length);
                continue;
            }
            fetch.job = cx.job(self.torrent);
            fetch.left = next.length;
            fetch.at = cx.now;
            cx.act(Action::Stream {
                job: fetch.job,
                url: stretch::url(&seed.url, &content.metainfo, &next),
                start: (!seed.by_pieces).then_some(next.start),
                length: next.length,
            });
            return;
        }
        self.web_seeds.stirred = true;
    }

    /// Bytes came from a web seed.
    pub(crate) fn web_seed_sent(&mut self, cx: &mut Context, job: Job, mut data: Bytes) {
        let Some(at) = self.web_seeds.of_job(job) else { return };
        let seed = &mut self.web_seeds.seeds[at];
        let Some(fetch) = &mut seed.fetch else { return };
        data.truncate(usize::try_from(fetch.left).unwrap_or(usize::MAX));
        let length = data.len() as u64;
        fetch.left -= length;
        fetch.at = cx.now;
        seed.received += length;
        seed.down.add(length, cx.now);
        self.received.count(Transport::Http, length);
        self.rates.down.add(length, cx.now);
        self.take_blocks(cx, at, data.into());
        self.stir_if_idle(at);
    }

    /// Takes zeros that nobody sends. In parts, so that never more waits to be cut than a block.
    fn take_zeros(&mut self, cx: &mut Context, at: usize, mut left: u64) {
        while left > 0 {
            let part = zeros(left.min(1 << 14) as u32);
            left -= part.len() as u64;
            self.take_blocks(cx, at, part);
        }
        self.stir_if_idle(at);
    }

    /// Others may have sent what else a web seed was asked for.
    fn stir_if_idle(&mut self, at: usize) {
        if let (Some(seed), Some(content)) = (self.web_seeds.seeds.get(at), &self.content) {
            self.web_seeds.stirred |= content.picker.requests(seed.slot) == 0;
        }
    }

    /// Takes what came next, as blocks that are here in full.
    fn take_blocks(&mut self, cx: &mut Context, at: usize, data: Slices) {
        if let Some(fetch) = self.web_seeds.seeds.get_mut(at).and_then(|seed| seed.fetch.as_mut()) {
            fetch.begun.extend(data);
        }
        while let Some(seed) = self.web_seeds.seeds.get_mut(at)
            && let Some(fetch) = &mut seed.fetch
            && let Some(content) = &self.content
            && let Some(&block) = fetch.blocks.get(fetch.come)
        {
            let length = content.layout.block_range(block).length as usize;
            if fetch.begun.len() < length {
                break;
            }
            let data = fetch.begun.slice(0..length);
            fetch.begun = fetch.begun.slice(length..fetch.begun.len());
            fetch.come += 1;
            let (source, slot) = (seed.source(), seed.slot);
            self.take_block(cx, block, data, (source, slot));
        }
    }

    /// A web seed has sent all of a stretch, or has not and will not.
    pub(crate) fn web_seed_ended(&mut self, cx: &mut Context, job: Job, result: Result<(), Refused>) {
        let Some(at) = self.web_seeds.of_job(job) else { return };
        let left = self.web_seeds.seeds[at].fetch.as_ref().map_or(0, |fetch| fetch.left);
        match result {
            Ok(()) if left == 0 => self.next_stretch(cx, at),
            Ok(()) => self.web_seed_failed(cx, at, &refused("it ended too soon")),
            Err(refused) => self.web_seed_failed(cx, at, &refused),
        }
    }

    fn web_seed_failed(&mut self, cx: &mut Context, at: usize, refused: &Refused) {
        let seed = &mut self.web_seeds.seeds[at];
        seed.fetch = None;
        seed.failures += 1;
        seed.ready = cx.now + seed.back_off(refused);
        let report = Report::WebSeedFailed(seed.url.clone(), refused.why.clone());
        cx.report(self.torrent, report);
        if seed.received == 0 && seed.failures >= TRIES && refused.retry.is_none() {
            return self.forget_web_seed(cx, at);
        }
        if let Some(content) = &mut self.content {
            content.picker.release_link(seed.slot);
            content.settle_memory(cx);
        }
        self.spoil_promises();
        self.touch_hungry();
    }

    /// What a bridge can promise depends on whether a web seed answers.
    fn spoil_promises(&mut self) {
        if let Some(bridge) = self.content.as_mut().and_then(|content| content.bridge.as_mut()) {
            bridge.spoil();
        }
    }

    /// Gives up on web seeds that send nothing.
    pub(super) fn expire_web_seeds(&mut self, cx: &mut Context) {
        self.web_seeds.stirred = true;
        for at in (0..self.web_seeds.seeds.len()).rev() {
            let seed = &mut self.web_seeds.seeds[at];
            let late = |fetch: &mut Fetch| cx.now.since(fetch.at) >= PATIENCE;
            if seed.fetch.as_mut().is_some_and(late) {
                abort(cx, seed);
                self.web_seed_failed(cx, at, &refused("it sends nothing"));
            }
        }
    }

    /// The torrent is paused: nothing more is asked for.
    pub(super) fn stop_web_seeds(&mut self, cx: &mut Context) {
        for seed in &mut self.web_seeds.seeds {
            if let Some(content) = &mut self.content {
                content.picker.release_link(seed.slot);
                content.settle_memory(cx);
            }
            stop(cx, seed);
        }
    }

    /// A web seed sent wrong bytes: it is not asked again.
    pub(super) fn ban_web_seed(&mut self, cx: &mut Context, link: Link) {
        let Some(at) = self.web_seeds.seeds.iter().position(|seed| seed.link == link) else {
            return;
        };
        let seed = &mut self.web_seeds.seeds[at];
        stop(cx, seed);
        let why = String::from("it sent data that failed its hash");
        cx.report(self.torrent, Report::WebSeedFailed(seed.url.clone(), why));
        self.forget_web_seed(cx, at);
    }

    fn forget_web_seed(&mut self, cx: &mut Context, at: usize) {
        let seed = self.web_seeds.seeds.remove(at);
        self.slots[seed.slot as usize] = None;
        if let Some(content) = &mut self.content {
            content.picker.release_link(seed.slot);
            content.settle_memory(cx);
        }
        self.spoil_promises();
        self.touch_hungry();
    }

    /// Whether web seeds are to be looked after.
    pub(super) fn has_web_work(&self) -> bool {
        let lacks = |content: &Content| content.picker.left().pieces > 0;
        !self.web_seeds.is_empty() && self.content.as_ref().is_some_and(lacks)
    }
}

/// The blocks to ask a web seed for.
fn choose(
    cx: &mut Context,
    content: &mut Content,
    seed: &mut WebSeed,
    (limits, spare): (&mut Limits, Option<&Bits>),
    alone: bool,
) -> Vec<Block> {
    let stride = Stride {
        bytes: seed.stride(content, cx, limits),
        anywhere: !alone,
    };
    let mut room = budget(cx, content);
    if !alone {
        // Peers are to find memory too.
        room.bytes = (room.bytes / 2).max(u64::from(content.layout.nominal_piece_length()).min(room.bytes));
    }
    let asker = Asker {
        link: seed.slot,
        // Not looked at of one that has everything.
        has: &Bits::new(0),
        seed: true,
        only: spare,
        prefer: &[],
        exclusive: seed.parole,
        fast: true,
        now: cx.now,
    };
    let mut blocks = Vec::new();
    let picker = &mut content.picker;
    match spare {
        // In the order in which it is played.
        Some(_) => picker.pick(
            &asker,
            (stride.bytes / u64::from(BLOCK)).max(1) as usize,
            &mut room,
            &mut cx.rng,
            &mut blocks,
        ),
        None => picker.pick_span(&asker, stride, &mut room, &mut cx.rng, &mut blocks),
    }
    let count = stretch::run(&content.layout, &blocks);
    for (at, &block) in blocks.iter().enumerate() {
        if at < count {
            limits.asked(cx, content.layout.block_range(block).length.into());
        } else {
            content.picker.release(block, seed.slot);
        }
    }
    blocks.truncate(count);
    blocks
}

/// Ends what a web seed is asked for, if it is.
fn stop(cx: &mut Context, seed: &mut WebSeed) {
    abort(cx, seed);
    seed.fetch = None;
}

/// Tells the shell that nothing more is wanted.
fn abort(cx: &mut Context, seed: &WebSeed) {
    if let Some(fetch) = &seed.fetch {
        cx.retire(fetch.job.0);
        cx.act(Action::Abort(fetch.job));
    }
}

fn refused(why: &str) -> Refused {
    Refused {
        status: 0,
        retry: None,
        why: why.to_string(),
    }
}
