//! How long a datagram may be: from a size that passes everywhere up to Ethernet's, by trying.
//!
//! A probe is an ordinary packet that is longer than those known to pass and that routers may not cut. One that is lost says nothing about
//! the path's load; it is sent again and may then be cut. Invariant: at most one probe is under way.

use super::packet::Sequence;
use core::net::SocketAddr;

/// What every path of IPv6 carries, and nearly every one of IPv4: 1,280 bytes less the headers of IPv6 and UDP.
const FLOOR: usize = 1_232;

/// Closer than this the search is over, in bytes.
const CLOSE: usize = 24;

/// The search for the longest datagram.
#[derive(Clone, Debug)]
pub(super) struct Mtu {
    /// Known to pass.
    floor: usize,
    /// May pass.
    ceiling: usize,
    probe: Option<(Sequence, usize)>,
}

impl Mtu {
    pub(super) const fn new(to: SocketAddr) -> Self {
        // Ethernet's 1,500 bytes less the headers.
        let ceiling = if to.is_ipv4() { 1_472 } else { 1_452 };
        Self {
            floor: FLOOR,
            ceiling,
            probe: None,
        }
    }

    /// The longest datagram that passes, as far as is known.
    pub(super) const fn size(&self) -> usize {
        self.floor
    }

    /// The length of a probe, if one is to be sent. The first has the full length: most paths are Ethernet's.
    pub(super) const fn wanted(&self) -> Option<usize> {
        if self.probe.is_some() || self.ceiling < self.floor + CLOSE {
            None
        } else {
            Some(self.ceiling)
        }
    }

    /// A probe is sent as that packet.
    pub(super) const fn sent(&mut self, sequence: Sequence, size: usize) {
        self.probe = Some((sequence, size));
    }

    /// A packet arrived.
    pub(super) fn acked(&mut self, sequence: Sequence) {
        if let Some((probe, size)) = self.probe
            && probe == sequence
        {
            self.floor = size;
            self.probe = None;
        }
    }

    /// A packet was lost. True: it was the probe.
    pub(super) fn lost(&mut self, sequence: Sequence) -> bool {
        let Some((_, size)) = self.probe.filter(|(probe, _)| *probe == sequence) else {
            return false;
        };
        // Halfway next time; what is close enough is not worth a further loss.
        self.ceiling = (self.floor + size) / 2;
        self.probe = None;
        true
    }

    /// The probe under way, if there is one, was not acknowledged in time.
    pub(super) fn timed_out(&mut self) {
        if let Some((probe, _)) = self.probe {
            self.lost(probe);
        }
    }

    /// Nothing passes any more: back to what passes everywhere, for good.
    pub(super) const fn stalled(&mut self) {
        self.floor = FLOOR;
        self.ceiling = FLOOR;
        self.probe = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found on a path that carries `limit` bytes, and after how many probes.
    fn search(limit: usize) -> (usize, usize) {
        let mut mtu = Mtu::new(([127, 0, 0, 1], 1).into());
        let mut probes = 0;
        while let Some(size) = mtu.wanted() {
            probes += 1;
            mtu.sent(Sequence(probes), size);
            assert_eq!(mtu.wanted(), None, "one at a time");
            assert!(!mtu.lost(Sequence(probes + 1)));
            if size <= limit {
                mtu.acked(Sequence(probes));
            } else {
                assert!(mtu.lost(Sequence(probes)));
            }
        }
        (mtu.size(), probes.into())
    }

    #[test]
    fn the_search_ends_close_below_the_limit() {
        assert_eq!(search(1_472), (1_472, 1));
        for limit in FLOOR..1_472 {
            let (size, probes) = search(limit);
            assert!(
                size <= limit && limit - size < 130 && probes < 6,
                "{limit} {size} {probes}"
            );
        }
    }

    #[test]
    fn a_path_that_narrows_is_believed() {
        let mut mtu = Mtu::new(([127, 0, 0, 1], 1).into());
        mtu.stalled();
        assert_eq!((mtu.size(), mtu.wanted()), (FLOOR, None));
    }
}
