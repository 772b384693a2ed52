//! The peers of one swarm, however they are reached, counted once each.

use super::peers::{Peers, Record};
use super::{Answer, Asker, Place, WebPeer};
use crate::key::{PeerId, SwarmKey};
use crate::rng::Rng;
use crate::tracker::query::ScrapeCounts;
use crate::tracker::udp::Family;
use alloc::boxed::Box;
use core::net::{IpAddr, SocketAddr};

/// An address and a port, without alignment.
pub(super) type V4 = ([u8; 4], [u8; 2]);
pub(super) type V6 = ([u8; 16], [u8; 2]);
/// The number of a connection, without alignment.
type Web = [u8; 8];

/// One swarm. Few have peers of IPv6 or web peers, so those lists are set aside.
#[derive(Clone, Debug)]
pub(super) struct Swarm {
    pub(super) key: SwarmKey,
    pub(super) counts: ScrapeCounts,
    /// Whether it was empty when it was last looked at.
    pub(super) deserted: bool,
    v4: Peers<V4>,
    v6: Option<Box<Peers<V6>>>,
    web: Option<Box<Peers<Web>>>,
}

/// Where a peer is in each list, if it is there: one that has addresses of both families is in two.
#[derive(Clone, Copy)]
struct Places {
    v4: Option<usize>,
    v6: Option<usize>,
    web: Option<usize>,
}

/// What was known of a peer before its announce.
#[derive(Clone, Copy, Default)]
pub(super) struct Before {
    pub(super) was_seed: bool,
    /// The connection it had, if that was another.
    pub(super) connection: Option<u64>,
}

impl Places {
    fn has(&self, place: Place) -> bool {
        match place {
            Place::Native(address) if address.ip().to_canonical().is_ipv4() => self.v4.is_some(),
            Place::Native(_) => self.v6.is_some(),
            Place::Web(_) => self.web.is_some(),
        }
    }

    const fn lists(&self) -> usize {
        self.v4.is_some() as usize + self.v6.is_some() as usize + self.web.is_some() as usize
    }
}

impl Swarm {
    pub(super) fn new(key: SwarmKey) -> Self {
        Self {
            key,
            counts: ScrapeCounts::default(),
            deserted: false,
            v4: Peers::default(),
            v6: None,
            web: None,
        }
    }

    /// How many records there are.
    pub(super) fn len(&self) -> usize {
        self.natives() + self.web.as_ref().map_or(0, |list| list.len())
    }

    /// How many records of native peers there are.
    pub(super) fn natives(&self) -> usize {
        self.v4.len() + self.v6.as_ref().map_or(0, |list| list.len())
    }

    /// The records of IPv4, and how many of them, the first, are no seeds.
    pub(super) fn saved_v4(&self) -> (usize, &[Record<V4>]) {
        (self.v4.leeches(), self.v4.records())
    }

    /// The same of IPv6.
    pub(super) fn saved_v6(&self) -> (usize, &[Record<V6>]) {
        self.v6
            .as_ref()
            .map_or((0, &[]), |list| (list.leeches(), list.records()))
    }

    /// Whether there are native peers and web peers.
    pub(super) fn has_both_kinds(&self) -> bool {
        let web = self.web.as_ref().map_or(0, |list| list.len());
        (1..self.len()).contains(&web)
    }

    /// Adds or renews a peer; a new record only if there are fewer than `most`, else it gives `None`.
    pub(super) fn put(&mut self, asker: &Asker<'_>, seen: u32, most: usize, seed: u64) -> Option<Before> {
        let id = asker.request.peer_id;
        let is_seed = asker.request.is_seed();
        let places = self.places(id, seed);
        let was = self.is_seed(places);
        if !places.has(asker.place) && self.len() >= most {
            return None;
        }
        if was != Some(is_seed) {
            self.count(was, Some(is_seed));
            self.set_seed(places, is_seed, seed);
        }
        let mut connection = None;
        match asker.place {
            Place::Native(address) => {
                let port = address.port().to_be_bytes();
                match address.ip().to_canonical() {
                    IpAddr::V4(ip) => {
                        put(&mut self.v4, record(id, seen, (ip.octets(), port)), is_seed, seed);
                    }
                    IpAddr::V6(ip) => {
                        let list = self.v6.get_or_insert_default();
                        put(list, record(id, seen, (ip.octets(), port)), is_seed, seed);
                    }
                }
            }
            Place::Web(new) => {
                let list = self.web.get_or_insert_default();
                let before = put(list, record(id, seen, new.to_be_bytes()), is_seed, seed);
                connection = before.map(u64::from_be_bytes).filter(|&before| before != new);
            }
        }
        let was_seed = was == Some(true);
        Some(Before { was_seed, connection })
    }

    /// Forgets the record of a peer that is reached there: under the same connection, or at the same address whatever the port.
    pub(super) fn leave(&mut self, id: PeerId, place: Place, seed: u64) {
        let places = self.places(id, seed);
        let was = self.is_seed(places);
        let left = match place {
            Place::Native(address) => match address.ip().to_canonical() {
                IpAddr::V4(ip) => leave(&mut self.v4, places.v4, seed, |at| at.0 == ip.octets()),
                IpAddr::V6(ip) => {
                    let list = self.v6.as_deref_mut();
                    list.is_some_and(|list| leave(list, places.v6, seed, |at| at.0 == ip.octets()))
                }
            },
            Place::Web(connection) => {
                let list = self.web.as_deref_mut();
                list.is_some_and(|list| leave(list, places.web, seed, |at| at == connection.to_be_bytes()))
            }
        };
        if left && places.lists() == 1 {
            self.count(was, None);
        }
    }

    /// Forgets all that were seen last before `limit`; gives when the longest silent of the others was seen. O(peers).
    pub(super) fn expire(&mut self, limit: u32, seed: u64) -> Option<u32> {
        let mut oldest = None;
        for list in [Family::V4, Family::V6].map(Some).into_iter().chain([None]) {
            let mut place = self.list_len(list);
            while place > 0 {
                place -= 1;
                // Backwards: what takes the place of one that goes comes from after it, where all are looked at.
                match self.seen(list, place) {
                    Some((_, seen)) if seen >= limit => {
                        oldest = Some(oldest.map_or(seen, |oldest: u32| oldest.min(seen)))
                    }
                    Some((id, _)) => self.drop_at(list, place, id, seed),
                    None => {}
                }
            }
        }
        if self.v6.as_ref().is_some_and(|list| list.len() == 0) {
            self.v6 = None;
        }
        if self.web.as_ref().is_some_and(|list| list.len() == 0) {
            self.web = None;
        }
        oldest
    }

    /// The connection of a web peer.
    pub(super) fn connection(&self, id: PeerId, seed: u64) -> Option<u64> {
        let list = self.web.as_ref()?;
        let record = list.at(list.find(id, seed)?)?;
        Some(u64::from_be_bytes(record.address))
    }

    /// Fills `answer` with peers for `asker`, at random.
    pub(super) fn sample(&self, asker: &Asker<'_>, rng: &mut Rng, answer: &mut Answer) {
        let own = asker.request.peer_id;
        let no_seeds = asker.request.is_seed();
        let room = |len: usize, leeches: usize| if no_seeds { leeches } else { len };
        if let (Place::Web(_), Some(list)) = (asker.place, &self.web) {
            for place in Walk::new(room(list.len(), list.leeches()), rng) {
                match list.at(place).filter(|_| answer.web.len() < asker.numwant) {
                    Some(record) if record.id != own => answer.web.push(WebPeer {
                        peer_id: record.id,
                        connection: u64::from_be_bytes(record.address),
                    }),
                    Some(_) => {}
                    None => break,
                }
            }
        }
        if matches!(asker.place, Place::Web(_)) {
            return;
        }
        let v4 = if asker.family == Some(Family::V6) {
            0
        } else {
            room(self.v4.len(), self.v4.leeches())
        };
        let v6 = self.v6.as_ref().filter(|_| asker.family != Some(Family::V4));
        let v6_room = v6.map_or(0, |list| room(list.len(), list.leeches()));
        for place in Walk::new(v4 + v6_room, rng) {
            if answer.addresses.len() >= asker.numwant {
                break;
            }
            let found = match place.checked_sub(v4) {
                None => self.v4.at(place).map(|record| (record.id, socket(record.address))),
                Some(place) => v6
                    .and_then(|list| list.at(place))
                    .map(|record| (record.id, socket(record.address))),
            };
            if let Some((id, address)) = found.filter(|(id, _)| *id != own) {
                answer.ids.push(id);
                answer.addresses.push(address);
            }
        }
    }

    /// Makes a peer a seed, or no seed, in every list.
    fn set_seed(&mut self, places: Places, is_seed: bool, seed: u64) {
        places
            .v4
            .into_iter()
            .for_each(|place| self.v4.set_seed(place, is_seed, seed));
        if let (Some(list), Some(place)) = (&mut self.v6, places.v6) {
            list.set_seed(place, is_seed, seed);
        }
        if let (Some(list), Some(place)) = (&mut self.web, places.web) {
            list.set_seed(place, is_seed, seed);
        }
    }

    fn places(&self, id: PeerId, seed: u64) -> Places {
        Places {
            v4: self.v4.find(id, seed),
            v6: self.v6.as_ref().and_then(|list| list.find(id, seed)),
            web: self.web.as_ref().and_then(|list| list.find(id, seed)),
        }
    }

    fn is_seed(&self, places: Places) -> Option<bool> {
        let v4 = places.v4.map(|place| self.v4.is_seed(place));
        let v6 = || Some(self.v6.as_ref()?.is_seed(places.v6?));
        let web = || Some(self.web.as_ref()?.is_seed(places.web?));
        v4.or_else(v6).or_else(web)
    }

    /// Moves a peer from one count to the other.
    const fn count(&mut self, was: Option<bool>, is: Option<bool>) {
        match was {
            Some(true) => self.counts.complete -= 1,
            Some(false) => self.counts.incomplete -= 1,
            None => {}
        }
        match is {
            Some(true) => self.counts.complete += 1,
            Some(false) => self.counts.incomplete += 1,
            None => {}
        }
    }

    /// The length of a native list, or of the web list where there is no family.
    fn list_len(&self, list: Option<Family>) -> usize {
        match list {
            Some(Family::V4) => self.v4.len(),
            Some(Family::V6) => self.v6.as_ref().map_or(0, |list| list.len()),
            None => self.web.as_ref().map_or(0, |list| list.len()),
        }
    }

    fn seen(&self, list: Option<Family>, place: usize) -> Option<(PeerId, u32)> {
        match list {
            Some(Family::V4) => self.v4.at(place).map(|record| (record.id, record.seen)),
            Some(Family::V6) => self.v6.as_ref()?.at(place).map(|record| (record.id, record.seen)),
            None => self.web.as_ref()?.at(place).map(|record| (record.id, record.seen)),
        }
    }

    fn drop_at(&mut self, list: Option<Family>, place: usize, id: PeerId, seed: u64) {
        let places = self.places(id, seed);
        let was = self.is_seed(places);
        match list {
            Some(Family::V4) => self.v4.remove(place, seed),
            Some(Family::V6) => self.v6.iter_mut().for_each(|list| list.remove(place, seed)),
            None => self.web.iter_mut().for_each(|list| list.remove(place, seed)),
        }
        if places.lists() == 1 {
            self.count(was, None);
        }
    }
}

/// Every number below `len` once, in an order that is different each time: from a random start in random steps that share no factor with `len`.
struct Walk {
    at: usize,
    step: usize,
    len: usize,
    left: usize,
}

impl Walk {
    fn new(len: usize, rng: &mut Rng) -> Self {
        let mut step = 1 + rng.below(len.saturating_sub(1));
        while greatest_common_divisor(step, len) > 1 {
            step -= 1;
        }
        Self {
            at: rng.below(len),
            step,
            len,
            left: len,
        }
    }
}

impl Iterator for Walk {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        self.left = self.left.checked_sub(1)?;
        let at = self.at;
        self.at = (at + self.step) % self.len;
        Some(at)
    }
}

const fn greatest_common_divisor(mut a: usize, mut b: usize) -> usize {
    while b > 0 {
        (a, b) = (b, a % b);
    }
    a
}

const fn record<A>(id: PeerId, seen: u32, address: A) -> Record<A> {
    Record { id, seen, address }
}

/// Adds or renews a record; gives the address it had before. The seed's place is set already.
fn put<A: Copy>(list: &mut Peers<A>, record: Record<A>, is_seed: bool, seed: u64) -> Option<A> {
    match list.find(record.id, seed) {
        Some(place) => {
            let before = list.at(place).map(|before| before.address);
            list.renew(place, record.seen, record.address);
            before
        }
        None => {
            list.insert(record, is_seed, seed);
            None
        }
    }
}

fn leave<A: Copy>(list: &mut Peers<A>, place: Option<usize>, seed: u64, is_there: impl Fn(A) -> bool) -> bool {
    let place = place.filter(|&place| list.at(place).is_some_and(|record| is_there(record.address)));
    place.into_iter().for_each(|place| list.remove(place, seed));
    place.is_some()
}

fn socket<const N: usize>((ip, port): ([u8; N], [u8; 2])) -> SocketAddr
where
    IpAddr: From<[u8; N]>,
{
    SocketAddr::new(ip.into(), u16::from_be_bytes(port))
}
