//! Receive memory: one buffer that all links of a shard read into, in turn.
//!
//! A shard reads one socket at a time and to the end of what is there, so no link needs a buffer of its own; 10,000 idle
//! links cost none. What was read is handed on as slices of the buffer; a buffer is filled again when its last slice is
//! gone. Small reads are copied out instead, so that a few bytes never pin 256 KiB. Cost: O(1) a read.

use std::collections::VecDeque;

use bytes::BytesMut;

/// The size of a buffer: what one read takes in at most. 256 KiB halve the CPU time of 64 KiB on loopback.
const SIZE: usize = 256 << 10;

/// A buffer with less room than this is put aside: short reads cost a system call for few bytes.
const LEAST: usize = 64 << 10;

/// A read up to this long is copied out: it then pins just itself.
const SMALL: usize = 8 << 10;

/// Buffers that are remembered to be used again, 16 MiB: what two transfers at full speed have between socket and disk.
const REMEMBERED: usize = 64;

/// The receive memory of one shard.
#[derive(Default)]
pub(crate) struct Buffers {
    current: BytesMut,
    /// Filled ones, parts of which may still be in use; the oldest first.
    aside: VecDeque<BytesMut>,
}

impl Buffers {
    /// A buffer to read into: empty, with room for at least 64 KiB.
    pub(crate) fn room(&mut self) -> &mut BytesMut {
        if self.current.capacity() < LEAST {
            let full = std::mem::replace(&mut self.current, BytesMut::new());
            self.current = self.reclaimed().unwrap_or_else(|| BytesMut::with_capacity(SIZE));
            if full.capacity() > 0 || !full.is_empty() || self.aside.len() < REMEMBERED {
                self.aside.push_back(full);
            }
            if self.aside.len() > REMEMBERED {
                self.aside.pop_front();
            }
        }
        &mut self.current
    }

    /// Takes what was read into the buffer of [`room`](Self::room).
    pub(crate) fn take(&mut self) -> BytesMut {
        if self.current.len() <= SMALL {
            let copy = BytesMut::from(&self.current[..]);
            self.current.clear();
            return copy;
        }
        self.current.split()
    }

    /// One of the oldest buffers, if nobody uses it any more.
    fn reclaimed(&mut self) -> Option<BytesMut> {
        for _ in 0..self.aside.len().min(4) {
            let mut buffer = self.aside.pop_front()?;
            if buffer.try_reclaim(SIZE) {
                return Some(buffer);
            }
            self.aside.push_back(buffer);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(buffers: &mut Buffers, length: usize) -> BytesMut {
        let room = buffers.room();
        assert!(room.is_empty() && room.capacity() >= LEAST);
        room.resize(length.min(room.capacity()), 7);
        buffers.take()
    }

    #[test]
    fn a_buffer_is_used_again_when_its_slices_are_gone() {
        let mut buffers = Buffers::default();
        let first = read(&mut buffers, SIZE);
        let address = first.as_ptr();
        let second = read(&mut buffers, SIZE);
        assert_ne!(address, second.as_ptr());
        drop(first);
        let third = read(&mut buffers, SIZE);
        assert_eq!(address, third.as_ptr());
        assert_eq!(second[0], 7);
    }

    #[test]
    fn small_reads_pin_only_themselves() {
        let mut buffers = Buffers::default();
        let kept: Vec<_> = (0..1000).map(|_| read(&mut buffers, 5)).collect();
        assert!(kept.iter().all(|data| data.capacity() < SMALL));
        assert_eq!(buffers.aside.len(), 1);
    }
}
