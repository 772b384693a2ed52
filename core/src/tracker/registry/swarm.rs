//! The peers of one swarm, however they are reached, counted once each.

use super::peers::{Peers, Record};
use super::{Answer, Asker, Place, WebPeer};
use crate::key::{PeerId, SwarmKey};
use crate::rng::Rng;
use crate::tracker::query::ScrapeCounts;
use crate::tracker::udp::Family;
use alloc::boxed::Box;
use core::net::{IpAddr, SocketAddr};
use core::ops::Range;

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
        let mut known = places;
        if was != Some(is_seed) {
            self.count(was, Some(is_seed));
            self.set_seed(places, is_seed, seed);
            if was.is_some() {
                // That moved it.
                known = self.places(id, seed);
            }
        }
        let kind = (is_seed, seed);
        let mut connection = None;
        match asker.place {
            Place::Native(address) => {
                let port = address.port().to_be_bytes();
                match address.ip().to_canonical() {
                    IpAddr::V4(ip) => {
                        let new = record(id, seen, (ip.octets(), port));
                        put(&mut self.v4, known.v4, new, kind);
                    }
                    IpAddr::V6(ip) => {
                        let list = self.v6.get_or_insert_default();
                        put(list, known.v6, record(id, seen, (ip.octets(), port)), kind);
                    }
                }
            }
            Place::Web(new) => {
                let list = self.web.get_or_insert_default();
                let before = put(list, known.web, record(id, seen, new.to_be_bytes()), kind);
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
        let no_seeds = asker.request.is_seed();
        let room = |len: usize, leeches: usize| if no_seeds { leeches } else { len };
        // One of them may be the asker itself, in either family.
        let enough = asker.numwant.saturating_add(2);
        if matches!(asker.place, Place::Web(_)) {
            if let Some(list) = &self.web {
                for run in runs(room(list.len(), list.leeches()), enough, rng) {
                    name_web(list, run, asker, answer);
                }
                answer.web.truncate(asker.numwant);
            }
            return;
        }
        let v4 = if asker.family == Some(Family::V6) {
            0
        } else {
            room(self.v4.len(), self.v4.leeches())
        };
        let v6 = self.v6.as_ref().filter(|_| asker.family != Some(Family::V4));
        let v6_room = v6.map_or(0, |list| room(list.len(), list.leeches()));
        for run in runs(v4 + v6_room, enough, rng) {
            name(&self.v4, run.start.min(v4)..run.end.min(v4), asker, answer);
            if let Some(list) = v6 {
                name(list, run.start.max(v4) - v4..run.end.max(v4) - v4, asker, answer);
            }
        }
        answer.ids.truncate(asker.numwant);
        answer.addresses.truncate(asker.numwant);
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

/// The places of at most `count` of `len` records, each once: a run from a random start in either half, going on at the half's beginning
/// after its end. Runs, for records that lie side by side are read several times as fast as those that lie anywhere; two, so that it
/// matters less who came at the same time.
fn runs(len: usize, count: usize, rng: &mut Rng) -> [Range<usize>; 4] {
    let (half, some) = if len <= count { (len, len) } else { (len / 2, count / 2) };
    let rest = len.min(count) - some;
    let [a, b] = run(0..half, some, rng);
    let [c, d] = run(half..len, rest, rng);
    // Neither half always first: of more than are wanted the last are left out.
    if rng.below(2) == 0 { [a, b, c, d] } else { [c, d, a, b] }
}

/// So many places of a range from a random one on, and how it goes on at the range's beginning.
fn run(range: Range<usize>, count: usize, rng: &mut Rng) -> [Range<usize>; 2] {
    let start = range.start + rng.below(range.len());
    let before = (start + count).saturating_sub(range.end);
    [start..start + count - before, range.start..range.start + before]
}

/// Adds the records of a run, without the asker's own.
fn name<const N: usize>(list: &Peers<([u8; N], [u8; 2])>, run: Range<usize>, asker: &Asker<'_>, answer: &mut Answer)
where
    IpAddr: From<[u8; N]>,
{
    for record in list.records().get(run).unwrap_or_default() {
        if record.id != asker.request.peer_id {
            answer.ids.push(record.id);
            answer.addresses.push(socket(record.address));
        }
    }
}

/// The same of web peers.
fn name_web(list: &Peers<Web>, run: Range<usize>, asker: &Asker<'_>, answer: &mut Answer) {
    let records = list.records().get(run).unwrap_or_default();
    let others = records.iter().filter(|record| record.id != asker.request.peer_id);
    answer.web.extend(others.map(|record| WebPeer {
        peer_id: record.id,
        connection: u64::from_be_bytes(record.address),
    }));
}

const fn record<A>(id: PeerId, seen: u32, address: A) -> Record<A> {
    Record { id, seen, address }
}

/// Renews the record at a place, or adds one: to the seeds or to the others, by the hash's seed. Gives the address it had before.
fn put<A: Copy>(
    list: &mut Peers<A>,
    place: Option<usize>,
    record: Record<A>,
    (is_seed, seed): (bool, u64),
) -> Option<A> {
    let Some(place) = place else {
        list.insert(record, is_seed, seed);
        return None;
    };
    let before = list.at(place).map(|before| before.address);
    list.renew(place, record.seen, record.address);
    before
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

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;
    use alloc::vec::Vec;

    #[test]
    fn runs_have_every_place_once_and_begin_anywhere() {
        let mut rng = Rng::new(5);
        for (len, count) in (0..40).flat_map(|len| (0..45).map(move |count| (len, count))) {
            let places: Vec<usize> = runs(len, count, &mut rng).into_iter().flatten().collect();
            let distinct: BTreeSet<_> = places.iter().copied().collect();
            assert_eq!((places.len(), distinct.len()), (len.min(count), len.min(count)));
            assert!(distinct.last().is_none_or(|&last| last < len), "{places:?} of {len}");
        }
        let mut times = [0; 11];
        for _ in 0..11_000 {
            runs(11, 4, &mut rng)
                .into_iter()
                .flatten()
                .for_each(|place| times[place] += 1);
        }
        assert!(times.iter().all(|&times| (3_400..4_800).contains(&times)), "{times:?}");
    }
}
