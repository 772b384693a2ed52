//! Maps and sets as sorted vectors: their order is the keys' order, so it decides nothing that a hash would.
//!
//! Search is O(log n); inserting and removing shift what comes after, which costs nothing for keys that only grow (handles,
//! times) and little for the few thousand entries that a swarm has. Each use compiles to a twentieth of a `BTreeMap`'s code,
//! which the browser has to download.

use alloc::vec::Vec;

/// A map as a vector sorted by key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Map<K, V>(Vec<(K, V)>);

/// A set as a sorted vector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set<K>(Map<K, ()>);

impl<K, V> Default for Map<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K, V> Map<K, V> {
    /// An empty map.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// How many entries it has.
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it has none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes every entry out.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Its entries in the order of their keys.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> + ExactSizeIterator {
        self.0.iter().map(|(key, value)| (key, value))
    }

    /// Its entries, to be changed.
    pub fn iter_mut(&mut self) -> impl DoubleEndedIterator<Item = (&K, &mut V)> + ExactSizeIterator {
        self.0.iter_mut().map(|(key, value)| (&*key, value))
    }

    /// Its keys in order.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &K> + ExactSizeIterator {
        self.0.iter().map(|(key, _)| key)
    }

    /// Its values in the order of their keys.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &V> + ExactSizeIterator {
        self.0.iter().map(|(_, value)| value)
    }

    /// Its values, to be changed.
    pub fn values_mut(&mut self) -> impl DoubleEndedIterator<Item = &mut V> + ExactSizeIterator {
        self.0.iter_mut().map(|(_, value)| value)
    }

    /// Keeps the entries for which `keep` holds.
    pub fn retain(&mut self, mut keep: impl FnMut(&K, &mut V) -> bool) {
        self.0.retain_mut(|(key, value)| keep(key, value));
    }

    /// The entry with the least key.
    pub fn first(&self) -> Option<(&K, &V)> {
        self.0.first().map(|(key, value)| (key, value))
    }

    /// Takes the entry with the least key out.
    pub fn pop_first(&mut self) -> Option<(K, V)> {
        (!self.0.is_empty()).then(|| self.0.remove(0))
    }
}

impl<K: Ord, V> Map<K, V> {
    /// The value of a key.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.find(key).ok().map(|at| &self.0[at].1)
    }

    /// The value of a key, to be changed.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.find(key).ok().map(|at| &mut self.0[at].1)
    }

    /// The entries from the first on whose key is not less than `key`.
    pub fn from<'a>(&'a self, key: &K) -> impl Iterator<Item = (&'a K, &'a V)> + use<'a, K, V> {
        let at = self.find(key).unwrap_or_else(|at| at);
        self.0[at..].iter().map(|(key, value)| (key, value))
    }

    /// Whether a key is there.
    pub fn contains_key(&self, key: &K) -> bool {
        self.find(key).is_ok()
    }

    /// Sets the value of a key; the one it had before.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self.find(&key) {
            Ok(at) => Some(core::mem::replace(&mut self.0[at].1, value)),
            Err(at) => {
                self.0.insert(at, (key, value));
                None
            }
        }
    }

    /// The value of a key, which is `make`'s if it had none.
    pub fn get_or_insert_with(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        let at = match self.find(&key) {
            Ok(at) => at,
            Err(at) => {
                self.0.insert(at, (key, make()));
                at
            }
        };
        &mut self.0[at].1
    }

    /// Takes a key out; its value.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        self.find(key).ok().map(|at| self.0.remove(at).1)
    }

    fn find(&self, key: &K) -> Result<usize, usize> {
        // Keys that only grow are looked up and inserted at the end.
        match self.0.last() {
            Some((last, _)) if last < key => Err(self.0.len()),
            _ => self.0.binary_search_by(|(other, _)| other.cmp(key)),
        }
    }
}

impl<K> Default for Set<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K> Set<K> {
    /// An empty set.
    pub const fn new() -> Self {
        Self(Map::new())
    }

    /// How many members it has.
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it has none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Its members in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &K> + ExactSizeIterator {
        self.0.keys()
    }

    /// The least member.
    pub fn first(&self) -> Option<&K> {
        self.0.first().map(|(key, ())| key)
    }

    /// Takes the least member out.
    pub fn pop_first(&mut self) -> Option<K> {
        self.0.pop_first().map(|(key, ())| key)
    }

    /// Takes every member out.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

impl<K: Ord> Set<K> {
    /// Adds a member; true if it was not there.
    pub fn insert(&mut self, key: K) -> bool {
        self.0.insert(key, ()).is_none()
    }

    /// Takes a member out; true if it was there.
    pub fn remove(&mut self, key: &K) -> bool {
        self.0.remove(key).is_some()
    }

    /// The members from the first on that is not less than `key`.
    pub fn from<'a>(&'a self, key: &K) -> impl Iterator<Item = &'a K> + use<'a, K> {
        self.0.from(key).map(|(key, ())| key)
    }

    /// Whether it is a member.
    pub fn contains(&self, key: &K) -> bool {
        self.0.contains_key(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;
    use alloc::collections::BTreeMap;

    #[test]
    fn it_does_what_a_tree_does() {
        let (mut map, mut tree, mut rng) = (Map::new(), BTreeMap::new(), Rng::new(1));
        for step in 0..10_000 {
            let key = rng.below(60);
            match rng.below(4) {
                0 => assert_eq!(map.insert(key, step), tree.insert(key, step)),
                1 => assert_eq!(map.remove(&key), tree.remove(&key)),
                2 => assert_eq!(map.get_or_insert_with(key, || step), tree.entry(key).or_insert(step)),
                _ if step % 50 == 0 => assert_eq!(map.pop_first(), tree.pop_first()),
                _ => assert_eq!(
                    (map.get(&key), map.contains_key(&key)),
                    (tree.get(&key), tree.contains_key(&key))
                ),
            }
            assert!(map.iter().eq(tree.iter()) && map.first() == tree.first_key_value());
            assert!(map.from(&key).eq(tree.range(key..)));
        }
    }

    #[test]
    fn a_set_has_each_member_once() {
        let mut set = Set::new();
        assert!(set.insert(2) && set.insert(1) && !set.insert(2));
        assert!(set.contains(&1) && set.first() == Some(&1));
        assert!(set.remove(&1) && !set.remove(&1) && set.pop_first() == Some(2) && set.is_empty());
    }
}
