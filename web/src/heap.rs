//! Memory for the engine, in a third of the code that the standard library brings for it.
//!
//! Two-level segregated fit: free chunks are in lists by size, eight for each doubling, and a bit says which lists have any. So taking and giving
//! back are O(1), and what is given back is joined with free neighbours at once. Invariants: chunks lie end to end from the start of a
//! region to its mark; no two free chunks touch; a free chunk is in the list of its size. A chunk costs 8 bytes.

/// What chunks are multiples of, and what they are aligned to behind their head. Nothing in Rust asks for more by itself.
const GRAIN: u32 = 16;

/// A chunk's head: the size of the chunk before it (0: none) and its own, with [`USED`].
const HEAD: u32 = 8;

/// Set in a chunk's own size while somebody has it.
const USED: u32 = 1;

/// Lists for each doubling, as a power of two.
const FINE: u32 = 3;

/// The least size, as a power of two, whose lists are a doubling's own.
const LEAST: u32 = GRAIN.trailing_zeros() + FINE;

/// Doublings. The first has all that is smaller than [`LEAST`].
const COARSE: usize = (32 - LEAST + 1) as usize;

/// Where the memory is and how there comes to be more.
trait Memory {
    /// The word at an offset, which is in memory.
    fn word(&self, offset: u32) -> *mut u32;
    /// At least so many bytes more: where they start and end, both multiples of [`GRAIN`], the start not 0. `None`: there are none.
    fn grow(&mut self, bytes: u32) -> Option<(u32, u32)>;
}

/// Chunks by their offsets.
struct Heap<M> {
    memory: M,
    /// Which doublings have a list that is not empty, and which of their lists that are.
    coarse: u32,
    fine: [u8; COARSE],
    /// The first chunk of each list, 0 if none. A free chunk's first two words behind its head are the next and the one before.
    first: [[u32; 1 << FINE]; COARSE],
    /// Where the last region ends.
    end: u32,
}

/// The list of chunks of a size.
const fn list(size: u32) -> (usize, usize) {
    if size < 1 << LEAST {
        return (0, (size / GRAIN) as usize);
    }
    let power = size.ilog2();
    let fine = (size >> (power - FINE)) & ((1 << FINE) - 1);
    ((power - LEAST + 1) as usize, fine as usize)
}

impl<M: Memory> Heap<M> {
    const fn new(memory: M) -> Self {
        Self {
            memory,
            coarse: 0,
            fine: [0; COARSE],
            first: [[0; 1 << FINE]; COARSE],
            end: 0,
        }
    }

    fn get(&self, offset: u32) -> u32 {
        // SAFETY: offsets are those of chunks, which are in memory; their words are aligned and nobody else's.
        unsafe { *self.memory.word(offset) }
    }

    fn set(&mut self, offset: u32, word: u32) {
        // SAFETY: as above.
        unsafe { *self.memory.word(offset) = word }
    }

    /// The size of a chunk for so many bytes; `None` if there is no such.
    fn size_for(bytes: usize) -> Option<u32> {
        let size = u32::try_from(bytes).ok()?.checked_add(HEAD)?;
        size.checked_next_multiple_of(GRAIN)
    }

    fn size(&self, chunk: u32) -> u32 {
        self.get(chunk + 4) & !USED
    }

    fn is_free(&self, chunk: u32) -> bool {
        self.get(chunk + 4) & USED == 0
    }

    /// Gives a chunk its size, which the one behind it has to know as well.
    fn mark(&mut self, chunk: u32, size: u32, used: u32) {
        self.set(chunk + 4, size | used);
        self.set(chunk + size, size);
    }

    /// Puts a free chunk into its list.
    fn link(&mut self, chunk: u32) {
        let (coarse, fine) = list(self.size(chunk));
        let next = self.first[coarse][fine];
        self.set(chunk + 8, next);
        self.set(chunk + 12, 0);
        if next != 0 {
            self.set(next + 12, chunk);
        }
        self.first[coarse][fine] = chunk;
        self.fine[coarse] |= 1 << fine;
        self.coarse |= 1 << coarse;
    }

    /// Takes a free chunk out of its list.
    fn unlink(&mut self, chunk: u32) {
        let (next, before) = (self.get(chunk + 8), self.get(chunk + 12));
        if next != 0 {
            self.set(next + 12, before);
        }
        if before != 0 {
            return self.set(before + 8, next);
        }
        let (coarse, fine) = list(self.size(chunk));
        self.first[coarse][fine] = next;
        if next == 0 {
            self.fine[coarse] &= !(1 << fine);
            if self.fine[coarse] == 0 {
                self.coarse &= !(1 << coarse);
            }
        }
    }

    /// A free chunk of at least that size: the first of its list if that is, as it is where buffers of one size come and go, and else any of
    /// the next list, whose chunks all are.
    fn find(&self, size: u32) -> Option<u32> {
        let (mut coarse, fine) = list(size);
        let first = self.first[coarse][fine];
        if first != 0 && self.size(first) >= size {
            return Some(first);
        }
        let mut lists = u32::from(self.fine[coarse]) & (!1 << fine);
        if lists == 0 {
            let doublings = self.coarse & (!1 << coarse);
            if doublings == 0 {
                return None;
            }
            coarse = doublings.trailing_zeros() as usize;
            lists = self.fine[coarse].into();
        }
        Some(self.first[coarse][lists.trailing_zeros() as usize])
    }

    /// Takes a chunk of at least that size.
    fn take(&mut self, size: u32) -> Option<u32> {
        loop {
            if let Some(chunk) = self.find(size) {
                self.unlink(chunk);
                self.cut(chunk, size);
                return Some(chunk);
            }
            self.extend(size)?;
        }
    }

    /// Of a chunk that is in no list, makes one of that size that is used; the rest is free.
    fn cut(&mut self, chunk: u32, size: u32) {
        let whole = self.size(chunk);
        self.mark(chunk, size, USED);
        if whole > size {
            self.mark(chunk + size, whole - size, USED);
            self.give(chunk + size);
        }
    }

    /// Gives a used chunk back.
    fn give(&mut self, mut chunk: u32) {
        let mut size = self.size(chunk);
        let (before, behind) = (self.get(chunk), chunk + size);
        if self.is_free(behind) {
            self.unlink(behind);
            size += self.size(behind);
        }
        if before != 0 && self.is_free(chunk - before) {
            chunk -= before;
            self.unlink(chunk);
            size += before;
        }
        self.mark(chunk, size, 0);
        self.link(chunk);
    }

    /// Makes a used chunk larger or smaller where it is; false where that cannot be.
    fn resize(&mut self, chunk: u32, size: u32) -> bool {
        let (mut whole, behind) = (self.size(chunk), chunk + self.size(chunk));
        if self.is_free(behind) {
            whole += self.size(behind);
        }
        if whole < size {
            return false;
        }
        if self.is_free(behind) {
            self.unlink(behind);
            self.mark(chunk, whole, USED);
        }
        self.cut(chunk, size);
        true
    }

    /// More memory, as one free chunk with at least that size. A region's first chunk is so that what is behind its head is aligned; its mark
    /// is a head without a chunk, which counts as used.
    fn extend(&mut self, size: u32) -> Option<()> {
        let (start, end) = self.memory.grow(size.checked_add(2 * GRAIN)?)?;
        let mut chunk = start + GRAIN - HEAD;
        if start == self.end {
            // The mark of the last region becomes the head.
            chunk = start - HEAD;
        } else {
            self.set(chunk, 0);
        }
        self.end = end;
        self.mark(chunk, end - HEAD - chunk, USED);
        self.set(end - HEAD + 4, USED);
        self.give(chunk);
        Some(())
    }
}

#[cfg(target_arch = "wasm32")]
mod global {
    use super::{GRAIN, HEAD, Heap, Memory};
    use std::alloc::{GlobalAlloc, Layout};
    use std::cell::UnsafeCell;
    use std::ptr::{copy_nonoverlapping, null_mut};

    /// wasm's own memory.
    struct Linear;

    impl Memory for Linear {
        fn word(&self, offset: u32) -> *mut u32 {
            offset as *mut u32
        }

        fn grow(&mut self, bytes: u32) -> Option<(u32, u32)> {
            const PAGE: usize = 1 << 16;
            let pages = (bytes as usize).div_ceil(PAGE);
            let before = std::arch::wasm32::memory_grow::<0>(pages);
            // Refused with the largest number. The last page is left alone: its end would be 2³².
            let after = before.checked_add(pages).filter(|after| *after < PAGE)?;
            Some(((before * PAGE) as u32, (after * PAGE) as u32))
        }
    }

    /// The heap of all, in a world of one thread.
    struct Global(UnsafeCell<Heap<Linear>>);

    // SAFETY: the engine runs in one thread; its memory is not shared.
    unsafe impl Sync for Global {}

    #[global_allocator]
    static GLOBAL: Global = Global(UnsafeCell::new(Heap::new(Linear)));

    impl Global {
        fn with<R>(&self, act: impl FnOnce(&mut Heap<Linear>) -> R) -> R {
            // SAFETY: one thread, and nothing in the heap calls anything that asks for memory.
            act(unsafe { &mut *self.0.get() })
        }
    }

    // SAFETY: a chunk belongs to nobody else until it is given back, has the bytes that were asked for, and is aligned to `GRAIN` behind its
    // head; more is refused.
    unsafe impl GlobalAlloc for Global {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            if layout.align() > GRAIN as usize {
                return null_mut();
            }
            let chunk = Heap::<Linear>::size_for(layout.size()).and_then(|size| self.with(|heap| heap.take(size)));
            chunk.map_or(null_mut(), |chunk| (chunk + HEAD) as *mut u8)
        }

        unsafe fn dealloc(&self, bytes: *mut u8, _: Layout) {
            self.with(|heap| heap.give(bytes as u32 - HEAD));
        }

        unsafe fn realloc(&self, bytes: *mut u8, layout: Layout, length: usize) -> *mut u8 {
            let size = Heap::<Linear>::size_for(length);
            if size.is_some_and(|size| self.with(|heap| heap.resize(bytes as u32 - HEAD, size))) {
                return bytes;
            }
            // SAFETY: the caller's promises are the same; both are this long, and not the same.
            unsafe {
                let longer = self.alloc(Layout::from_size_align_unchecked(length, layout.align()));
                if !longer.is_null() {
                    copy_nonoverlapping(bytes, longer, layout.size().min(length));
                    self.dealloc(bytes, layout);
                }
                longer
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::UnsafeCell;
    use tombolo_core::rng::Rng;

    /// Memory that is a vector; its offsets start at `GRAIN`, since there is none at 0.
    struct Words(Vec<UnsafeCell<u32>>, u32);

    impl Memory for Words {
        fn word(&self, offset: u32) -> *mut u32 {
            self.0[(offset / 4) as usize].get()
        }

        fn grow(&mut self, bytes: u32) -> Option<(u32, u32)> {
            let (start, end) = (self.1, self.1 + bytes.next_multiple_of(4096));
            let has_room = end as usize <= self.0.len() * 4;
            self.1 = if has_room { end } else { start };
            has_room.then_some((start, end))
        }
    }

    fn heap(bytes: u32) -> Heap<Words> {
        let words = (0..bytes / 4).map(|_| UnsafeCell::new(0)).collect();
        Heap::new(Words(words, GRAIN))
    }

    fn taken(heap: &mut Heap<Words>, bytes: usize) -> Option<u32> {
        heap.take(Heap::<Words>::size_for(bytes).unwrap())
    }

    /// Chunks lie end to end, none that are free touch, and lists have what they should.
    fn check(heap: &Heap<Words>) {
        let (mut chunk, mut before, mut free) = (2 * GRAIN - HEAD, 0, 0);
        let mut was_free = false;
        while heap.size(chunk) != 0 {
            assert_eq!((heap.get(chunk), chunk % GRAIN), (before, GRAIN - HEAD));
            assert!(!(was_free && heap.is_free(chunk)));
            was_free = heap.is_free(chunk);
            free += usize::from(was_free);
            before = heap.size(chunk);
            chunk += before;
        }
        let mut listed = 0;
        for (coarse, lists) in heap.first.iter().enumerate() {
            assert_eq!(heap.coarse >> coarse & 1 != 0, heap.fine[coarse] != 0);
            for (fine, &first) in lists.iter().enumerate() {
                assert_eq!(heap.fine[coarse] >> fine & 1 != 0, first != 0);
                let mut chunk = first;
                while chunk != 0 {
                    assert!(heap.is_free(chunk) && list(heap.size(chunk)) == (coarse, fine));
                    listed += 1;
                    chunk = heap.get(chunk + 8);
                }
            }
        }
        assert_eq!(listed, free);
    }

    #[test]
    fn nobody_writes_where_somebody_else_does() {
        let (mut heap, mut rng, mut held) = (heap(4 << 20), Rng::new(1), Vec::new());
        for step in 0..20_000_u32 {
            let most = [40, 600, 20_000][rng.below(3)];
            let bytes = rng.below(most);
            match rng.below(if held.len() < 60 { 3 } else { 6 }) {
                0 | 1 => held.extend(taken(&mut heap, bytes).map(|chunk| (chunk, bytes, step))),
                _ if held.is_empty() => {}
                2 => {
                    let (chunk, length, mark) = held.swap_remove(rng.below(held.len()));
                    if heap.resize(chunk, Heap::<Words>::size_for(bytes).unwrap()) {
                        held.push((chunk, bytes, mark));
                    } else {
                        assert!(bytes > length);
                        heap.give(chunk);
                    }
                }
                _ => heap.give(held.swap_remove(rng.below(held.len())).0),
            }
            // What was written at both ends is still there.
            for &(chunk, bytes, mark) in &held {
                let last = chunk + HEAD + (bytes as u32 / 4).saturating_sub(1) * 4;
                assert!(mark == step || heap.get(chunk + HEAD) == mark);
                heap.set(last, mark);
                heap.set(chunk + HEAD, mark);
                assert_eq!(heap.get(last), mark);
            }
            if step % 50 == 0 {
                check(&heap);
            }
        }
        held.drain(..).for_each(|(chunk, ..)| heap.give(chunk));
        check(&heap);
        assert_eq!(heap.coarse.count_ones(), 1, "all is one chunk again");
    }

    #[test]
    fn buffers_that_come_and_go_take_no_more_memory() {
        let mut heap = heap(8 << 20);
        let mut held: Vec<u32> = (0..16).filter_map(|_| taken(&mut heap, 256 << 10)).collect();
        let end = heap.end;
        let mut rng = Rng::new(2);
        for _ in 0..1_000 {
            heap.give(held.swap_remove(rng.below(held.len())));
            // Small ones between them, which are soon given back.
            let small = taken(&mut heap, 100).unwrap();
            held.extend(taken(&mut heap, 256 << 10));
            heap.give(small);
        }
        assert_eq!(held.len(), 16);
        assert!(heap.end - end <= 256 << 10, "{}", heap.end - end);
    }

    #[test]
    fn what_cannot_be_had_is_refused() {
        let mut heap = heap(1 << 20);
        assert_eq!(taken(&mut heap, 2 << 20), None);
        for bytes in [u32::MAX as usize, u32::MAX as usize - 7, usize::MAX] {
            assert_eq!(Heap::<Words>::size_for(bytes), None);
        }
        assert!(taken(&mut heap, 0).is_some());
        check(&heap);
    }
}
