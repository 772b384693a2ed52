//! Node ids: 160 bits, near each other by XOR (BEP 5), and tied to the address of their node (BEP 42).

use core::fmt;
use core::net::IpAddr;

use crate::address::is_local;
use crate::crc32c::crc32c;
use crate::key::{SwarmKey, hex};
use crate::rng::Rng;

/// The 20 bytes by which a node names itself; info-hashes are points of the same space.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub [u8; 20]);

impl NodeId {
    /// How far two points are from each other, to be compared with other distances.
    pub fn distance(&self, other: &Self) -> [u8; 20] {
        core::array::from_fn(|at| self.0[at] ^ other.0[at])
    }

    /// How many bits two points share from the first on: 160 if they are the same.
    pub fn shared_bits(&self, other: &Self) -> usize {
        let distance = self.distance(other);
        let zeros = distance.iter().take_while(|byte| **byte == 0).count();
        zeros * 8 + distance.get(zeros).map_or(0, |byte| byte.leading_zeros() as usize)
    }

    /// A random point.
    pub fn random(rng: &mut Rng) -> Self {
        let mut id = [0; 20];
        rng.fill(&mut id);
        Self(id)
    }

    /// A random point that shares exactly `bits` bits with this one, from the first on.
    pub fn random_sharing(&self, bits: usize, rng: &mut Rng) -> Self {
        let mut id = Self::random(rng);
        for bit in 0..=bits.min(159) {
            let mask = 0x80 >> (bit % 8);
            let own = self.0[bit / 8] & mask;
            let wanted = if bit == bits { own ^ mask } else { own };
            id.0[bit / 8] = id.0[bit / 8] & !mask | wanted;
        }
        id
    }

    /// A random id that a node at that address may have (BEP 42).
    pub fn for_address(ip: IpAddr, rng: &mut Rng) -> Self {
        let mut id = Self::random(rng);
        let crc = prefix(ip, id.0[19]).to_be_bytes();
        id.0[0] = crc[0];
        id.0[1] = crc[1];
        id.0[2] = crc[2] & 0xf8 | id.0[2] & 0x07;
        id
    }

    /// Whether a node at that address may have it (BEP 42). At local addresses any will do.
    pub fn fits(&self, ip: IpAddr) -> bool {
        let crc = prefix(ip, self.0[19]).to_be_bytes();
        is_local(ip) || self.0[..2] == crc[..2] && self.0[2] & 0xf8 == crc[2] & 0xf8
    }
}

/// What the first 21 bits of an id must be, given its last byte: of an address only so much counts that whoever has a network
/// cannot choose its ids freely.
fn prefix(ip: IpAddr, random: u8) -> u32 {
    let top = (random & 7) << 5;
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let mut masked = mask(ip.octets(), [0x03, 0x0f, 0x3f, 0xff]);
            masked[0] |= top;
            crc32c(&masked)
        }
        IpAddr::V6(ip) => {
            let mut half = [0; 8];
            half.copy_from_slice(&ip.octets()[..8]);
            let mut masked = mask(half, [0x01, 0x03, 0x07, 0x0f, 0x1f, 0x3f, 0x7f, 0xff]);
            masked[0] |= top;
            crc32c(&masked)
        }
    }
}

fn mask<const N: usize>(bytes: [u8; N], mask: [u8; N]) -> [u8; N] {
    core::array::from_fn(|at| bytes[at] & mask[at])
}

impl From<SwarmKey> for NodeId {
    fn from(swarm: SwarmKey) -> Self {
        Self(swarm.0)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::unhex;

    #[test]
    fn the_ids_of_bep_42() {
        let table = [
            ("124.31.75.21", "5fbfbff10c5d6a4ec8a88e4c6ab4c28b95eee401"),
            ("21.75.31.124", "5a3ce9c14e7a08645677bbd1cfe7d8f956d53256"),
            ("65.23.51.170", "a5d43220bc8f112a3d426c84764f8c2a1150e616"),
            ("84.124.73.14", "1b0321dd1bb1fe518101ceef99462b947a01ff41"),
            ("43.213.53.83", "e56f6cbf5b7c4be0237986d5243b87aa6d51305a"),
        ];
        for (ip, id) in table {
            let id = NodeId(unhex(id).unwrap());
            assert!(id.fits(ip.parse().unwrap()), "{ip}");
            assert!(!id.fits("9.9.9.9".parse().unwrap()), "{ip}");
        }
    }

    #[test]
    fn ids_are_made_to_fit() {
        let mut rng = Rng::new(3);
        for ip in ["1.2.3.4", "200.9.8.7", "2001:db8::1", "2606:4700::1111"] {
            let ip = ip.parse().unwrap();
            let id = NodeId::for_address(ip, &mut rng);
            assert!(id.fits(ip));
            assert!(!id.fits("99.88.77.66".parse().unwrap()));
        }
        assert!(NodeId([0; 20]).fits("127.0.0.1".parse().unwrap()), "local");
    }

    #[test]
    fn shared_bits_are_counted_and_made() {
        let mut rng = Rng::new(5);
        let id = NodeId::random(&mut rng);
        assert_eq!(id.shared_bits(&id), 160);
        for bits in [0, 1, 7, 8, 9, 80, 159] {
            assert_eq!(id.random_sharing(bits, &mut rng).shared_bits(&id), bits);
        }
    }
}
