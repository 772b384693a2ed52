//! RC4, of which the first 1,024 bytes are dropped, as message stream encryption wants it. It hides the protocol; it keeps no secrets.

use alloc::boxed::Box;
use sha1::{Digest, Sha1};

/// Bytes of the key stream that are dropped.
const DROPPED: usize = 1_024;

/// One direction's cipher.
#[derive(Clone)]
pub struct Rc4 {
    state: Box<[u8; 256]>,
    i: u8,
    j: u8,
}

impl Rc4 {
    /// The cipher whose key is the hash of those parts.
    pub(super) fn new(parts: &[&[u8]]) -> Self {
        let key = super::hash(parts);
        let mut state: Box<[u8; 256]> = Box::new(core::array::from_fn(|n| n as u8));
        let mut j = 0_u8;
        for i in 0..256 {
            j = j.wrapping_add(state[i]).wrapping_add(key[i % key.len()]);
            state.swap(i, usize::from(j));
        }
        let mut cipher = Self { state, i: 0, j: 0 };
        cipher.apply(&mut [0; DROPPED]);
        cipher
    }

    /// Encrypts or decrypts the next bytes, in place.
    pub fn apply(&mut self, bytes: &mut [u8]) {
        let (mut i, mut j) = (self.i, self.j);
        for byte in bytes {
            i = i.wrapping_add(1);
            let a = self.state[usize::from(i)];
            j = j.wrapping_add(a);
            let b = self.state[usize::from(j)];
            self.state[usize::from(i)] = b;
            self.state[usize::from(j)] = a;
            *byte ^= self.state[usize::from(a.wrapping_add(b))];
        }
        (self.i, self.j) = (i, j);
    }
}

/// The key stream is nobody's business.
impl core::fmt::Debug for Rc4 {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Rc4").finish_non_exhaustive()
    }
}

/// The hash of several parts joined.
pub(super) fn hash(parts: &[&[u8]]) -> [u8; 20] {
    let mut hash = Sha1::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize().into()
}
