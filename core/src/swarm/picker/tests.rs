//! The picker in rows of characters, one for each piece.

use super::*;
use crate::layout::BLOCK;
use crate::rng::Rng;
use crate::swarm::window::Playback;
use alloc::string::String;

/// Blocks in a piece here.
const BLOCKS: u32 = 4;
/// The link that the row `partial` speaks of.
const OTHER: u32 = 9;

/// A torrent's state. Empty rows mean: nobody has it, missing, normal priority, not open.
#[derive(Clone, Copy, Default)]
struct Rows {
    /// How many peers have it.
    availability: &'static str,
    /// `#` where it is held.
    have: &'static str,
    /// `-` skip, `l` low, `n` normal, `h` high.
    priority: &'static str,
    /// The number of blocks that [`OTHER`] sent, or `r`: it was asked for all of them and sent none.
    partial: &'static str,
}

struct Test {
    picker: Picker,
    rng: Rng,
    room: Budget,
    now: Time,
}

fn at(secs: u64) -> Time {
    Time::from_micros(secs * 1_000_000)
}

fn bits(row: &str) -> Bits {
    let mut bits = Bits::new(row.len());
    row.bytes()
        .enumerate()
        .filter(|&(_, mark)| mark != b'.')
        .for_each(|(index, _)| {
            bits.insert(index);
        });
    bits
}

impl Test {
    fn new(rows: Rows) -> Self {
        let pieces = rows.availability.len() as u64;
        let length = u64::from(BLOCKS * BLOCK);
        let mut test = Self {
            picker: Picker::new(Layout::new(pieces * length, length).unwrap()),
            rng: Rng::new(5),
            room: Budget::UNLIMITED,
            now: at(100),
        };
        for (index, count) in rows.availability.bytes().enumerate() {
            let piece = test.piece(index);
            (b'0'..count).for_each(|_| test.picker.add_have(piece));
        }
        for (index, mark) in rows.partial.bytes().enumerate() {
            test.partial(index, mark);
        }
        for (index, _) in rows.have.bytes().enumerate().filter(|&(_, mark)| mark == b'#') {
            test.picker.set_held(test.piece(index));
        }
        for (index, mark) in rows.priority.bytes().enumerate() {
            let priority = match mark {
                b'-' => Priority::Skip,
                b'l' => Priority::Low,
                b'h' => Priority::High,
                _ => Priority::Normal,
            };
            test.picker.set_priority(test.piece(index), priority);
        }
        test
    }

    fn piece(&self, index: usize) -> Piece {
        self.picker.layout.piece(index as u32).unwrap()
    }

    fn block(&self, index: usize, number: u32) -> Block {
        let piece = self.piece(index);
        Block { piece, number }
    }

    fn partial(&mut self, index: usize, mark: u8) {
        let asked = match mark {
            b'.' => return,
            b'r' => BLOCKS,
            digit => u32::from(digit - b'0'),
        };
        let layout = self.picker.layout.clone();
        self.picker.open.open(self.piece(index), &layout);
        for number in 0..asked {
            assert!(self.picker.adopt(self.block(index, number), OTHER));
            if mark != b'r' {
                self.picker.received(self.block(index, number), OTHER);
            }
        }
    }

    /// What a quick link is given, as `piece.block` with spaces.
    fn pick(&mut self, link: u32, has: &str, count: usize) -> String {
        self.pick_as(link, has, count, |_| {})
    }

    fn pick_as<'a>(&mut self, link: u32, has: &str, count: usize, change: impl FnOnce(&mut Asker<'a>)) -> String
    where
        Self: 'a,
    {
        // Leaked, so that `change` may bring sets of any lifetime: this is a test.
        let has = alloc::boxed::Box::leak(alloc::boxed::Box::new(bits(has)));
        let mut asker = Asker {
            link,
            has,
            seed: false,
            only: None,
            prefer: &[],
            exclusive: false,
            fast: true,
            now: self.now,
        };
        change(&mut asker);
        let mut out = Vec::new();
        self.picker.pick(&asker, count, &mut self.room, &mut self.rng, &mut out);
        let names: Vec<_> = out
            .iter()
            .map(|block| alloc::format!("{}.{}", block.piece.number(), block.number))
            .collect();
        names.join(" ")
    }

    fn receive(&mut self, index: usize, number: u32, link: u32) -> Received {
        self.picker.received(self.block(index, number), link)
    }
}

const HELD: Rows = Rows {
    availability: "",
    have: "####",
    priority: "",
    partial: "",
};

#[test]
fn the_rarest_piece_comes_first() {
    let rows = Rows {
        availability: "11114153",
        ..HELD
    };
    assert_eq!(Test::new(rows).pick(0, "********", 5), "5.0 5.1 5.2 5.3 7.0");
    assert_eq!(Test::new(rows).pick(0, "******.*", 1), "5.0");
    assert_eq!(
        Test::new(rows).pick(0, "*****.*.", 9),
        "4.0 4.1 4.2 4.3 6.0 6.1 6.2 6.3"
    );
    assert_eq!(Test::new(rows).pick(0, "####..*.", 1), "6.0");
}

#[test]
fn priority_comes_before_rarity() {
    let rows = Rows {
        availability: "1111312",
        priority: "nnnnhnl",
        ..HELD
    };
    assert_eq!(
        Test::new(rows).pick(0, "*******", 9),
        "4.0 4.1 4.2 4.3 5.0 5.1 5.2 5.3 6.0"
    );
}

#[test]
fn what_is_held_or_skipped_is_never_asked_for() {
    let rows = Rows {
        availability: "11111",
        priority: "nnnn-",
        ..HELD
    };
    let mut test = Test::new(rows);
    assert_eq!(test.pick(0, "*****", 9), "");
    assert_eq!(test.picker.phase(), Phase::Done);
    assert!(!test.picker.wants(&bits("*****")));
    let piece = test.piece(4);
    test.picker.set_priority(piece, Priority::Low);
    assert!(test.picker.wants(&bits("....*")) && !test.picker.wants(&bits("****.")));
    assert_eq!(test.pick(0, "*****", 1), "4.0");
}

#[test]
fn ties_are_broken_at_random() {
    let rows = Rows {
        availability: "1111222221",
        ..HELD
    };
    let mut test = Test::new(rows);
    let mut hits = [0; 10];
    for _ in 0..1_000 {
        let pick = test.pick(0, "*********.", 1);
        hits[usize::from(pick.as_bytes()[0] - b'0')] += 1;
        test.picker.release_link(0);
    }
    assert!(hits[4..9].iter().all(|&hits| hits > 120), "{hits:?}");
    assert_eq!(hits.iter().sum::<u32>(), hits[4..9].iter().sum());
}

#[test]
fn the_first_pieces_are_chosen_at_random() {
    let rows = Rows {
        availability: "91111",
        have: ".###.",
        ..Rows::default()
    };
    let mut test = Test::new(rows);
    assert_eq!(test.picker.phase(), Phase::RandomFirst);
    let mut common = 0;
    for _ in 0..100 {
        common += u32::from(test.pick(0, "*****", 1) == "0.0");
        test.picker.release_link(0);
    }
    assert!((20..80).contains(&common), "{common}");
    let piece = test.piece(1);
    test.picker.set_missing(piece);
    (0..4).for_each(|index| test.picker.set_held(test.piece(index)));
    assert_eq!(test.picker.phase(), Phase::RarestFirst);
}

#[test]
fn a_link_goes_on_with_its_own_piece() {
    let rows = Rows {
        availability: "1111291",
        ..HELD
    };
    let mut test = Test::new(rows);
    assert_eq!(test.pick(0, "....**.", 1), "4.0");
    assert_eq!(test.pick(0, "*******", 2), "4.1 4.2");
    assert_eq!(test.pick(1, "....**.", 1), "5.0", "another link opens another piece");
    assert_eq!(test.pick(0, "*******", 2), "4.3 6.0");
}

#[test]
fn another_links_piece_is_joined_only_when_none_can_be_opened() {
    let rows = Rows {
        availability: "1111111",
        partial: "....12.",
        ..HELD
    };
    let mut test = Test::new(rows);
    assert_eq!(
        test.pick(0, "....***", 6),
        "6.0 6.1 6.2 6.3 5.2 5.3",
        "nearest to its end first"
    );
    let mut full = Test::new(rows);
    full.room = Budget::default();
    assert_eq!(full.pick(0, "....***", 9), "5.2 5.3 4.1 4.2 4.3");
    assert_eq!(full.pick(1, "....***", 9), "", "no endgame while a piece is unopened");
}

#[test]
fn room_is_charged_by_the_piece_and_the_reserve_is_for_urgent_ones() {
    let rows = Rows {
        availability: "11111111",
        ..HELD
    };
    let mut test = Test::new(rows);
    let length = u64::from(BLOCKS * BLOCK);
    test.room = Budget {
        bytes: 2 * length - 1,
        reserve: length,
    };
    assert_eq!(test.pick(0, "********", 99).len(), 4 * 3 + 3);
    assert_eq!((test.room.bytes, test.picker.open_bytes()), (length - 1, length));
    let piece = (4..8)
        .map(|index| test.piece(index))
        .find(|&piece| test.picker.open_piece(piece).is_none());
    test.picker.set_urgent(piece.unwrap(), at(500));
    assert_eq!(test.pick(0, "********", 99).len(), 4 * 3 + 3);
    assert_eq!(test.room.reserve, 0);
}

#[test]
fn urgent_pieces_come_first_by_deadline_and_override_skip() {
    let rows = Rows {
        availability: "111111111",
        priority: "nnnn----n",
        ..HELD
    };
    let mut test = Test::new(rows);
    assert_eq!(test.pick(0, "********.", 9), "", "a bridge wants nothing by itself");
    for (index, secs) in [(6, 400), (4, 300), (7, 200)] {
        let piece = test.piece(index);
        test.picker.set_urgent(piece, at(secs));
    }
    assert!(test.picker.wants(&bits("....*....")));
    assert_eq!(test.pick(0, "****.***.", 6), "7.0 7.1 7.2 7.3 6.0 6.1");
    assert_eq!(
        test.pick(1, "*********", 7),
        "4.0 4.1 4.2 4.3 6.2 6.3 8.0",
        "quick links share urgent pieces at once"
    );
    let piece = test.piece(6);
    test.picker.clear_urgent(piece);
    assert!(!test.picker.lacks(piece) && test.picker.open_piece(piece).is_some());
}

#[test]
fn a_slow_link_takes_urgent_pieces_only_for_want_of_others() {
    let rows = Rows {
        availability: "1111922",
        ..HELD
    };
    let mut test = Test::new(rows);
    let piece = test.piece(4);
    test.picker.set_urgent(piece, at(105));
    assert_eq!(test.pick_as(0, "....**.", 1, |asker| asker.fast = false), "5.0");
    assert_eq!(test.pick_as(1, "....*..", 1, |asker| asker.fast = false), "4.0");
    assert_eq!(test.pick(2, "*******", 2), "4.1 4.2");
}

#[test]
fn near_its_deadline_a_block_is_asked_of_several_links() {
    let rows = Rows {
        availability: "1111999",
        priority: "nnnn---",
        ..HELD
    };
    let mut test = Test::new(rows);
    let piece = test.piece(5);
    test.picker.set_urgent(piece, at(105));
    assert_eq!(test.pick(0, "*******", 3), "5.0 5.1 5.2");
    assert_eq!(test.pick_as(1, "*******", 9, |asker| asker.fast = false), "5.3");
    assert_eq!(test.pick(2, "*******", 9), "", "time enough");
    test.now = at(104);
    assert_eq!(
        test.pick(2, "*******", 9),
        "5.3",
        "a slow link has it, and time is short"
    );
    assert_eq!(test.pick(3, "*******", 9), "", "it moved a moment ago");
    test.now = at(105);
    assert_eq!(test.pick_as(4, "*******", 9, |asker| asker.fast = false), "");
    assert_eq!(test.pick(3, "*******", 9).len(), 15, "the quick ones stall");
    assert_eq!(test.pick(3, "*******", 9), "", "never twice of one link");
}

#[test]
fn the_window_comes_after_the_own_piece_and_by_deadline() {
    let rows = Rows {
        availability: "1111333333",
        priority: "nnnnnnnn--",
        ..HELD
    };
    let mut test = Test::new(rows);
    assert_eq!(test.pick(0, "....*.....", 1), "4.0");
    let length = u64::from(BLOCKS * BLOCK);
    let playback = |position| Playback {
        file: 0..10 * length,
        position: position * length,
        rate: Some(length / 10),
        buffered: crate::time::Span::ZERO,
    };
    let window = |test: &Test, position| Window::new(&test.picker.layout, &playback(position), test.now);
    let ahead = window(&test, 6);
    assert_eq!(ahead.pieces().len(), 4);
    test.picker.set_window(Some(&ahead));
    assert_eq!(
        test.pick(0, "**********", 9),
        "6.0 6.1 6.2 6.3 4.1 4.2 4.3 7.0 7.1",
        "6 is due at once"
    );
    assert!(test.picker.lacks(test.piece(9)), "the window overrides skip");
    // A seek: what is asked for outside the new window is taken back.
    let ahead = window(&test, 9);
    test.picker.set_window(Some(&ahead));
    let undue = test.picker.release_undue();
    assert_eq!(undue.len(), 10);
    assert_eq!(test.picker.requests(0), 0);
    assert!(test.picker.open_pieces().is_empty() && !test.picker.lacks(test.piece(8)));
    assert_eq!(test.pick(0, "**********", 1), "9.0");
    test.picker.set_window(None);
    assert!(!test.picker.lacks(test.piece(9)));
}

#[test]
fn suggested_pieces_come_before_rare_ones_and_a_choked_link_has_its_set() {
    let rows = Rows {
        availability: "1111929",
        ..HELD
    };
    let mut test = Test::new(rows);
    let suggested = [test.piece(2), test.piece(6)];
    assert_eq!(
        test.pick_as(0, "*******", 5, |asker| asker.prefer = &suggested),
        "6.0 6.1 6.2 6.3 5.0"
    );
    let only = bits("**..*..");
    assert_eq!(
        test.pick_as(1, "*******", 9, |asker| asker.only = Some(&only)),
        "4.0 4.1 4.2 4.3"
    );
    assert_eq!(test.pick_as(2, ".......", 2, |asker| asker.seed = true), "5.1 5.2");
}

#[test]
fn an_exclusive_link_shares_no_piece() {
    let rows = Rows {
        availability: "111111",
        partial: "....1.",
        ..HELD
    };
    let mut test = Test::new(rows);
    assert_eq!(
        test.pick_as(0, "******", 9, |asker| asker.exclusive = true),
        "5.0 5.1 5.2 5.3"
    );
    test.picker.release(test.block(5, 3), 0);
    assert_eq!(test.pick(1, ".....*", 9), "");
    assert_eq!(test.pick_as(0, "******", 9, |asker| asker.exclusive = true), "5.3");
    test.receive(5, 0, 0);
    assert_eq!(test.picker.release_link(0), 3);
    assert_eq!(
        test.pick_as(0, ".....*", 9, |asker| asker.exclusive = true),
        "",
        "a new link of that number"
    );
    assert_eq!(test.pick(1, ".....*", 9), "5.1 5.2 5.3");
}

#[test]
fn in_the_endgame_a_block_is_asked_of_three_links_at_most() {
    let rows = Rows {
        availability: "111122220",
        partial: "....r213.",
        ..HELD
    };
    let mut test = Test::new(rows);
    assert_eq!(test.picker.phase(), Phase::RarestFirst);
    assert_eq!(test.pick(1, "********.", 6), "7.3 5.2 5.3 6.1 6.2 6.3");
    assert_eq!(test.picker.phase(), Phase::Endgame, "piece 8 is nowhere to be had");
    let asked = test.pick(2, "....*....", 9);
    assert_eq!(asked.len(), 15, "{asked}");
    assert_eq!(test.pick(2, "********.", 9), "", "no more than EXTRA_REQUESTS");
    assert_eq!(test.pick(3, "....*....", 9).len(), 15);
    assert_eq!(test.pick(4, "....*....", 9), "", "three links at most");
    assert_eq!(test.pick(OTHER, "....*....", 9), "", "never twice of one link");
    let Received::Accepted { cancel, .. } = test.receive(4, 1, 3) else {
        panic!("asked for and not accepted");
    };
    let mut cancel: Vec<_> = cancel.into_iter().collect();
    cancel.sort_unstable();
    assert_eq!(cancel, [2, OTHER]);
    assert_eq!(test.receive(4, 1, 2), Received::Duplicate);
    assert_eq!(test.picker.requests(2), 3);
}

#[test]
fn slow_links_blocks_are_asked_for_again_first() {
    let rows = Rows {
        availability: "111122",
        ..HELD
    };
    let mut test = Test::new(rows);
    assert_eq!(test.pick(0, "....*.", 9).len(), 15);
    assert_eq!(test.pick_as(1, ".....*", 9, |asker| asker.fast = false).len(), 15);
    assert_eq!(test.picker.phase(), Phase::Endgame);
    assert_eq!(
        test.pick_as(1, "******", 9, |asker| asker.fast = false),
        "",
        "a slow one is of no help to a quick one"
    );
    let asked = test.pick(2, "******", 9);
    assert!(asked.split(' ').all(|block| block.starts_with('5')), "{asked}");
}

#[test]
fn released_blocks_are_free_again_and_an_untouched_piece_closes() {
    let rows = Rows {
        availability: "111111",
        ..HELD
    };
    let mut test = Test::new(rows);
    assert_eq!(test.pick(0, "....*.", 3), "4.0 4.1 4.2");
    test.receive(4, 1, 0);
    let block = test.block(4, 0);
    assert!(test.picker.release(block, 0) && !test.picker.release(block, 0));
    assert_eq!(test.pick(0, "....*.", 9), "4.0 4.3");
    assert_eq!(test.picker.release_link(0), 3);
    let open = test
        .picker
        .open_piece(test.piece(4))
        .map(|open| (open.arrived(), open.free()));
    assert_eq!(open, Some((1, 3)));
    assert_eq!(test.picker.spare_piece(), Some(test.piece(4)));
    assert_eq!(test.pick(1, "....*.", 2), "4.0 4.2");
    let dropped = test.picker.drop_piece(test.piece(4));
    assert_eq!(dropped, [(1, test.block(4, 0)), (1, test.block(4, 2))]);
    assert_eq!((test.picker.requests(1), test.picker.open_bytes()), (0, 0));
    test.pick(1, ".....*", 2);
    test.picker.release_link(1);
    assert!(test.picker.open_pieces().is_empty());
}

#[test]
fn a_late_block_can_be_adopted_and_unasked_ones_are_refused() {
    let rows = Rows {
        availability: "111111",
        ..HELD
    };
    let mut test = Test::new(rows);
    test.pick(0, "....*.", 2);
    assert_eq!(test.receive(4, 2, 0), Received::Unasked);
    assert_eq!(test.receive(4, 0, 1), Received::Unasked);
    assert_eq!(test.receive(5, 0, 0), Received::Unasked);
    assert_eq!(test.receive(0, 0, 0), Received::Duplicate);
    let late = test.block(4, 0);
    test.picker.release(late, 0);
    assert_eq!(test.receive(4, 0, 0), Received::Unasked);
    assert!(test.picker.adopt(late, 0));
    assert!(matches!(test.receive(4, 0, 0), Received::Accepted { .. }));
    assert!(!test.picker.adopt(late, 0) && !test.picker.adopt(test.block(5, 0), 0));
}

#[test]
fn a_piece_is_complete_then_held_or_missing_again() {
    let rows = Rows {
        availability: "11112",
        ..HELD
    };
    let mut test = Test::new(rows);
    for good in [false, true] {
        assert_eq!(
            test.picker.left(),
            Left {
                pieces: 1,
                bytes: u64::from(BLOCKS * BLOCK)
            }
        );
        assert_eq!(test.pick(0, "*****", 9), "4.0 4.1 4.2 4.3");
        for number in 0..BLOCKS {
            let Received::Accepted { piece_complete, .. } = test.receive(4, number, 0) else {
                panic!("asked for and not accepted");
            };
            assert_eq!(piece_complete, number == BLOCKS - 1);
        }
        assert_eq!(test.pick(0, "*****", 9), "", "it waits for its hash");
        let piece = test.piece(4);
        if good {
            test.picker.set_held(piece);
        } else {
            test.picker.set_missing(piece);
        }
    }
    assert_eq!(
        (test.picker.phase(), test.picker.left()),
        (Phase::Done, Left::default())
    );
    assert_eq!(test.receive(4, 0, 0), Received::Duplicate);
    let piece = test.piece(0);
    test.picker.set_missing(piece);
    assert_eq!(test.pick(0, "*****", 1), "0.0", "evicted pieces are wanted again");
}

#[test]
fn availability_counts_seeds_and_pieces_together() {
    let mut test = Test::new(Rows {
        availability: "0120",
        ..Rows::default()
    });
    assert_eq!(test.picker.distributed_copies(), (0, 500));
    test.picker.add_peer(&bits("****"));
    test.picker.add_peer(&bits("*..."));
    assert_eq!(test.picker.distributed_copies(), (1, 750));
    let count = |test: &Test| {
        (0..4)
            .map(|index| test.picker.availability(test.piece(index)))
            .collect::<Vec<_>>()
    };
    assert_eq!(count(&test), [2, 2, 3, 1]);
    // The seed loses a piece (BEP 54), then leaves.
    let lost = test.piece(3);
    test.picker.remove_have(lost);
    assert_eq!(count(&test), [2, 2, 3, 0]);
    test.picker.remove_peer(&bits("***."));
    assert_eq!(count(&test), [1, 1, 2, 0]);
    test.picker.remove_peer(&bits("*..."));
    test.picker.remove_peer(&bits("****"));
    assert_eq!(count(&test), [0, 0, 1, 0], "counts never go below nothing");
}
