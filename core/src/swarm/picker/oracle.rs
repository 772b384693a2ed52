//! The picker against a naive one: random operations, and after each the same answers by plain loops over all pieces.

use super::*;
use crate::layout::BLOCK;
use crate::rng::Rng;
use crate::swarm::open::{ASKED_AT_MOST, BlockState};
use crate::swarm::window::{HORIZON, Playback};
use crate::time::Span;

const LINKS: u32 = 5;

/// How good a choice is: the number of the rule, then what that rule goes by. Less is better.
type Rank = (u32, u64, u64);

/// What the oracle knows by itself.
struct Model {
    layout: Layout,
    held: Vec<bool>,
    priority: Vec<Priority>,
    urgent: Vec<Option<Time>>,
    window: Option<Window>,
    has: Vec<Bits>,
    own: Vec<Option<Piece>>,
    fast: Vec<bool>,
    /// (link, block, extra), oldest first.
    requests: Vec<(u32, Block, bool)>,
    arrived: Vec<Block>,
    open: Vec<bool>,
}

impl Model {
    fn new(layout: Layout) -> Self {
        let pieces = layout.pieces();
        Self {
            layout,
            held: alloc::vec![false; pieces],
            priority: alloc::vec![Priority::Normal; pieces],
            urgent: alloc::vec![None; pieces],
            window: None,
            has: alloc::vec![Bits::new(pieces); LINKS as usize],
            own: alloc::vec![None; LINKS as usize],
            fast: alloc::vec![true; LINKS as usize],
            requests: Vec::new(),
            arrived: Vec::new(),
            open: alloc::vec![false; pieces],
        }
    }

    fn lacks(&self, piece: Piece) -> bool {
        let index = piece.index();
        let due = self.urgent[index].is_some() || self.windowed(piece).is_some();
        !self.held[index] && (self.priority[index] > Priority::Skip || due)
    }

    fn windowed(&self, piece: Piece) -> Option<Time> {
        self.window.as_ref().and_then(|window| window.deadline(piece))
    }

    /// The deadline of the urgent tier.
    fn urgent(&self, piece: Piece) -> Option<Time> {
        let horizon = self.window.as_ref().map(Window::horizon);
        let soon = self.windowed(piece).filter(|&deadline| Some(deadline) <= horizon);
        self.urgent[piece.index()].into_iter().chain(soon).min()
    }

    fn asked(&self, block: Block) -> Vec<u32> {
        let of = self.requests.iter().filter(|(_, other, _)| *other == block);
        of.map(|&(link, ..)| link).collect()
    }

    fn free(&self, piece: Piece) -> Vec<Block> {
        let blocks = (0..self.layout.blocks(piece)).map(|number| Block { piece, number });
        let free = blocks.filter(|block| !self.arrived.contains(block) && self.asked(*block).is_empty());
        free.collect()
    }

    fn availability(&self, piece: Piece) -> u32 {
        self.has.iter().filter(|has| has.contains(piece.index())).count() as u32
    }

    fn held_count(&self) -> usize {
        self.held.iter().filter(|&&held| held).count()
    }

    fn phase(&self) -> Phase {
        let lacking: Vec<_> = self.layout.iter().filter(|&piece| self.lacks(piece)).collect();
        let to_ask = lacking.iter().any(|&piece| {
            let had = self.open[piece.index()] || self.availability(piece) > 0;
            had && !self.free(piece).is_empty()
        });
        let chosen = lacking
            .iter()
            .any(|piece| self.priority[piece.index()] > Priority::Skip);
        match () {
            () if lacking.is_empty() => Phase::Done,
            () if chosen && !to_ask => Phase::Endgame,
            () if self.held_count() < RANDOM_FIRST => Phase::RandomFirst,
            () => Phase::RarestFirst,
        }
    }

    /// How good it is to ask a block of a link; `None` if it must not be asked. Looks at the picker only for who may
    /// share a piece.
    fn rank(&self, picker: &Picker, asker: &Asker<'_>, block: Block, room: bool) -> Option<Rank> {
        let (piece, index) = (block.piece, block.piece.index());
        let may = asker.has.contains(index) && asker.only.is_none_or(|only| only.contains(index));
        let open = picker.open.get(index);
        let joinable = open.is_none_or(|open| {
            open.exclusive.is_none_or(|owner| owner == asker.link)
                && (!asker.exclusive || open.source == Source::One(asker.link))
        });
        let asked = self.asked(block);
        let known = self.arrived.contains(&block) || asked.contains(&asker.link) || asked.len() >= ASKED_AT_MOST;
        if !may || !self.lacks(piece) || !joinable || known || (!self.open[index] && !room) {
            return None;
        }
        if !asked.is_empty() {
            let stalled = open.is_some_and(|open| open.is_stalled(STALLED, asker.now));
            return self.rank_extra(asker, block, &asked, stalled);
        }
        if self.free(piece).first() != Some(&block) {
            return None;
        }
        if let Some(deadline) = self.urgent(piece).filter(|_| asker.fast) {
            return Some((0, deadline.as_micros(), 0));
        }
        if self.open[index] && self.own[asker.link as usize] == Some(piece) {
            return Some((2, 0, 0));
        }
        if let Some(deadline) = self.windowed(piece).filter(|_| self.urgent(piece).is_none()) {
            return Some((3, deadline.as_micros(), 0));
        }
        if self.open[index] {
            return Some((6, self.free(piece).len() as u64, 0));
        }
        if let Some(at) = asker.prefer.iter().position(|&other| other == piece) {
            return Some((4, at as u64, 0));
        }
        let class = Priority::High as u64 - self.priority[index].max(Priority::Low) as u64;
        let random = self.held_count() < RANDOM_FIRST;
        Some((5, class, if random { 0 } else { u64::from(self.availability(piece)) }))
    }

    fn rank_extra(&self, asker: &Asker<'_>, block: Block, asked: &[u32], stalled: bool) -> Option<Rank> {
        let extras = self
            .requests
            .iter()
            .filter(|&&(link, _, extra)| extra && link == asker.link);
        let quick = asked.iter().any(|&link| self.fast[link as usize]);
        if extras.count() >= EXTRA_REQUESTS as usize || quick && !asker.fast {
            return None;
        }
        let late = self
            .urgent(block.piece)
            .filter(|&deadline| asker.fast && deadline <= asker.now + NEAR);
        if let Some(deadline) = late.filter(|_| self.free(block.piece).is_empty() && (stalled || !quick)) {
            return Some((1, deadline.as_micros(), 0));
        }
        let endgame = self.phase() == Phase::Endgame && self.priority[block.piece.index()] > Priority::Skip;
        endgame.then_some((7, asked.len() as u64, u64::from(quick)))
    }

    fn blocks(&self) -> impl Iterator<Item = Block> {
        let layout = self.layout.clone();
        layout
            .iter()
            .flat_map(move |piece| (0..layout.blocks(piece)).map(move |number| Block { piece, number }))
    }

    fn forget_piece(&mut self, piece: Piece) {
        self.requests.retain(|(_, block, _)| block.piece != piece);
        self.arrived.retain(|block| block.piece != piece);
        self.open[piece.index()] = false;
    }

    fn release(&mut self, block: Block, link: u32) {
        self.requests
            .retain(|&(other, asked, _)| (other, asked) != (link, block));
        self.close_untouched(block.piece);
    }

    fn close_untouched(&mut self, piece: Piece) {
        if self.free(piece).len() == self.layout.blocks(piece) as usize {
            self.open[piece.index()] = false;
        }
    }
}

struct Game {
    model: Model,
    picker: Picker,
    rng: Rng,
    now: Time,
    seed: u64,
    /// How often each rule of the order of choice decided.
    rules: [u32; 8],
}

impl Game {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let (pieces, blocks) = (1 + rng.below(90) as u64 / (1 + seed % 9), 1 + rng.below(5) as u64);
        let length = blocks * u64::from(BLOCK);
        let layout = Layout::new(pieces * length - rng.below(length as usize) as u64, length).unwrap();
        Self {
            model: Model::new(layout.clone()),
            picker: Picker::new(layout),
            rng,
            now: Time::from_micros(1),
            seed,
            rules: [0; 8],
        }
    }

    fn piece(&mut self) -> Piece {
        let index = self.rng.below(self.model.layout.pieces());
        self.model.layout.piece(index as u32).unwrap()
    }

    fn link(&mut self) -> u32 {
        self.rng.below(LINKS as usize) as u32
    }

    fn some_pieces(&mut self, of: usize) -> Bits {
        let mut bits = Bits::new(self.model.layout.pieces());
        (0..bits.len()).filter(|_| self.rng.below(of) > 0).for_each(|index| {
            bits.insert(index);
        });
        bits
    }

    fn soon(&mut self) -> Time {
        self.now + Span::from_millis(self.rng.below(4_000) as u64)
    }

    fn step(&mut self) {
        self.now += Span::from_millis(self.rng.below(200) as u64);
        match self.rng.below(22) {
            0 => self.change_peer(),
            1 => self.have(),
            2 => {
                let piece = self.piece();
                let priorities = [Priority::Skip, Priority::Low, Priority::Normal, Priority::High];
                let priority = priorities[self.rng.below(4)];
                self.model.priority[piece.index()] = priority;
                self.picker.set_priority(piece, priority);
            }
            3 => self.change_urgency(),
            4 => self.change_window(),
            5 => {
                let link = self.link();
                let count = self.model.requests.iter().filter(|&&(other, ..)| other == link).count();
                assert_eq!(self.picker.release_link(link), count);
                self.gone(link);
            }
            6 => self.give_up(),
            7..12 => self.receive(),
            12 => {
                if let Some(&(link, block, _)) = self.model.requests.get(self.rng.below(self.model.requests.len())) {
                    assert!(self.picker.release(block, link));
                    self.model.release(block, link);
                }
            }
            _ => self.pick(),
        }
    }

    fn gone(&mut self, link: u32) {
        let pieces: Vec<_> = self.model.requests.iter().map(|(_, block, _)| block.piece).collect();
        self.model.requests.retain(|&(other, ..)| other != link);
        pieces.into_iter().for_each(|piece| self.model.close_untouched(piece));
        self.model.own[link as usize] = None;
        self.model.fast[link as usize] = false;
    }

    fn change_peer(&mut self) {
        let link = self.link();
        let odds = 1 + self.rng.below(4);
        let has = if odds == 4 {
            Bits::full(self.model.layout.pieces())
        } else {
            self.some_pieces(odds)
        };
        let old = core::mem::replace(&mut self.model.has[link as usize], has);
        self.picker.remove_peer(&old);
        self.picker.add_peer(&self.model.has[link as usize]);
        self.picker.release_link(link);
        self.gone(link);
    }

    fn have(&mut self) {
        let (link, piece) = (self.link(), self.piece());
        let has = &mut self.model.has[link as usize];
        if has.insert(piece.index()) {
            self.picker.add_have(piece);
        } else {
            has.remove(piece.index());
            self.picker.remove_have(piece);
        }
    }

    fn change_urgency(&mut self) {
        let (piece, deadline) = (self.piece(), self.soon());
        if self.rng.below(3) == 0 {
            self.picker.clear_urgent(piece);
            self.model.urgent[piece.index()] = None;
        } else {
            self.picker.set_urgent(piece, deadline);
            if !self.model.held[piece.index()] {
                self.model.urgent[piece.index()] = Some(deadline);
            }
        }
    }

    fn change_window(&mut self) {
        // From nothing each time: a deadline that moves a little is left as it was.
        self.picker.set_window(None);
        let total = self.model.layout.total();
        let playback = Playback {
            file: 0..total,
            position: self.rng.below(total as usize) as u64,
            rate: Some(total / (1 + self.rng.below(60) as u64)),
            buffered: Span::ZERO,
        };
        let window = Window::new(&self.model.layout, &playback, self.now);
        assert_eq!(window.horizon(), self.now + HORIZON);
        self.model.window = Some(window).filter(|_| self.rng.below(2) == 0);
        self.picker.set_window(self.model.window.as_ref());
    }

    fn give_up(&mut self) {
        let piece = self.piece();
        if self.rng.below(2) == 0 {
            let mut dropped = self.picker.drop_piece(piece);
            let requests = self.model.requests.iter().filter(|(_, block, _)| block.piece == piece);
            let mut expected: Vec<_> = requests.map(|&(link, block, _)| (link, block)).collect();
            dropped.sort_unstable();
            expected.sort_unstable();
            assert_eq!(dropped, expected);
        } else {
            self.picker.set_missing(piece);
            self.model.held[piece.index()] = false;
        }
        self.model.forget_piece(piece);
    }

    fn receive(&mut self) {
        let at = self.rng.below(self.model.requests.len());
        let Some(&(link, block, _)) = self.model.requests.get(at) else {
            return;
        };
        let mut others = self.model.asked(block);
        others.retain(|&other| other != link);
        let Received::Accepted { piece_complete, cancel } = self.picker.received(block, link) else {
            panic!("{block:?} was asked of {link} and refused");
        };
        let mut cancel: Vec<_> = cancel.into_iter().collect();
        cancel.sort_unstable();
        others.sort_unstable();
        assert_eq!(cancel, others);
        self.model.requests.retain(|&(_, asked, _)| asked != block);
        self.model.arrived.push(block);
        let arrived = self
            .model
            .arrived
            .iter()
            .filter(|other| other.piece == block.piece)
            .count();
        assert_eq!(
            piece_complete,
            arrived == self.model.layout.blocks(block.piece) as usize
        );
        assert_eq!(self.picker.received(block, link), Received::Duplicate);
        if piece_complete {
            self.model.forget_piece(block.piece);
            if self.rng.below(4) > 0 {
                self.picker.set_held(block.piece);
                self.model.held[block.piece.index()] = true;
                self.model.urgent[block.piece.index()] = None;
            } else {
                self.picker.set_missing(block.piece);
            }
        }
    }

    fn pick(&mut self) {
        let (link, prefer, only) = (self.link(), [self.piece(), self.piece()], self.some_pieces(4));
        let room = self.rng.below(4) > 0;
        let has = self.model.has[link as usize].clone();
        let asker = Asker {
            link,
            has: &has,
            seed: has.is_full(),
            only: Some(&only).filter(|_| self.rng.below(3) == 0),
            prefer: if self.rng.below(3) == 0 { &prefer } else { &[] },
            exclusive: self.rng.below(6) == 0,
            fast: self.rng.below(3) > 0,
            now: self.now,
        };
        self.model.fast[link as usize] = asker.fast;
        let ranks = self
            .model
            .blocks()
            .map(|block| self.model.rank(&self.picker, &asker, block, room));
        let best = ranks.flatten().min();
        let mut budget = if room { Budget::UNLIMITED } else { Budget::default() };
        let mut out = Vec::new();
        let before = self.picker.clone();
        self.picker.pick(&asker, 1, &mut budget, &mut self.rng, &mut out);
        let picked = out
            .first()
            .and_then(|&block| self.model.rank(&before, &asker, block, room));
        let (seed, phase) = (self.seed, self.model.phase());
        assert_eq!(picked, best, "{out:?} for {asker:?} in {phase:?}, seed {seed}");
        assert_eq!(out.len(), usize::from(best.is_some()));
        if let (Some(&block), Some((rule, ..))) = (out.first(), picked) {
            self.rules[rule as usize] += 1;
            let extra = !self.model.asked(block).is_empty();
            if !extra && self.model.urgent(block.piece).is_none() {
                self.model.own[link as usize] = Some(block.piece);
            }
            self.model.requests.push((link, block, extra));
            self.model.open[block.piece.index()] = true;
        }
    }

    fn check(&self) {
        let (model, picker) = (&self.model, &self.picker);
        assert_eq!(picker.phase(), model.phase(), "seed {}", self.seed);
        let lacking: Vec<_> = model.layout.iter().filter(|&piece| model.lacks(piece)).collect();
        let bytes = lacking
            .iter()
            .map(|&piece| u64::from(model.layout.piece_length(piece)))
            .sum();
        let pieces = lacking.len();
        assert_eq!(picker.left(), Left { pieces, bytes });
        for piece in model.layout.iter() {
            assert_eq!(picker.availability(piece), model.availability(piece));
            assert_eq!(picker.lacks(piece), model.lacks(piece));
            assert_eq!(
                picker.open_piece(piece).is_some(),
                model.open[piece.index()],
                "{piece:?}"
            );
            assert!(!(model.held[piece.index()] && model.open[piece.index()]));
        }
        for has in &model.has {
            assert_eq!(
                picker.wants(has),
                lacking.iter().any(|piece| has.contains(piece.index()))
            );
        }
        for link in 0..LINKS {
            let requests = model.requests.iter().filter(|&&(other, ..)| other == link);
            assert_eq!(picker.requests(link), requests.count());
        }
        for block in model.blocks().filter(|block| model.open[block.piece.index()]) {
            let state = picker.open_piece(block.piece).map(|open| open.state(block.number));
            match state {
                Some(BlockState::Arrived) => assert!(model.arrived.contains(&block)),
                Some(BlockState::Free) => assert!(model.free(block.piece).contains(&block)),
                Some(BlockState::Requested(links)) => {
                    let (mut links, mut asked): (Vec<_>, _) = (links.to_vec(), model.asked(block));
                    links.sort_unstable();
                    asked.sort_unstable();
                    assert_eq!(links, asked);
                }
                None => panic!("{block:?} is not open"),
            }
        }
    }

    /// From any state, a seed and time complete what is wanted.
    fn finish(&mut self) {
        let full = Bits::full(self.model.layout.pieces());
        for link in 0..LINKS {
            self.picker.release_link(link);
        }
        self.picker.add_peer(&full);
        let (mut out, mut picks) = (Vec::new(), 0);
        while self.picker.phase() != Phase::Done {
            let asker = Asker {
                link: 7,
                has: &full,
                seed: true,
                only: None,
                prefer: &[],
                exclusive: false,
                fast: picks % 2 == 0,
                now: self.now,
            };
            self.picker.pick(
                &asker,
                9,
                &mut Budget {
                    bytes: u64::MAX,
                    reserve: 0,
                },
                &mut self.rng,
                &mut out,
            );
            picks += 1;
            assert!(!out.is_empty() && picks < 2_000, "stuck, seed {}", self.seed);
            for block in out.drain(..) {
                if let Received::Accepted {
                    piece_complete: true, ..
                } = self.picker.received(block, 7)
                {
                    self.picker.set_held(block.piece);
                }
            }
        }
        assert!(self.picker.left() == Left::default() && !self.picker.wants(&full));
    }
}

#[test]
fn every_pick_is_as_good_as_the_oracles() {
    let mut rules = [0; 8];
    for seed in 0..60 {
        let mut game = Game::new(seed);
        for _ in 0..300 {
            game.step();
            game.check();
        }
        (0..8).for_each(|rule| rules[rule] += game.rules[rule]);
        game.finish();
    }
    assert!(
        rules.iter().all(|&times| times > 20),
        "{rules:?}: some rule is hardly tried"
    );
}
