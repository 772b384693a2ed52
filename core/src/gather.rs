//! Collecting into a vector in the least code.
//!
//! What `collect` and `extend` compile to is chosen for speed where lists are long: three functions for each use, which take the first item, then
//! room for as many as the iterator promises, then the rest. There are a hundred uses, most of them for a handful of items.

use alloc::vec::Vec;

/// Collects where the list is short or seldom made.
pub trait Gather: Iterator + Sized {
    /// All items.
    fn gather(self) -> Vec<Self::Item> {
        let mut all = Vec::new();
        self.gather_into(&mut all);
        all
    }

    /// All items, behind what the list has already.
    fn gather_into(self, list: &mut Vec<Self::Item>) {
        for item in self {
            list.push(item);
        }
    }
}

impl<I: Iterator> Gather for I {}
