//! What a node remembers over a restart: its ids and the nodes it knew, bencoded as in an answer.

use alloc::vec::Vec;

use super::krpc::{Contact, MAX_NODES};
use super::{Dht, Event, Half, NodeId};
use crate::address::{compact_list, put_compact};
use crate::bencode::{self, Writer};
use crate::time::Time;

/// Nodes of each network that are remembered.
const MAX_SAVED: usize = 200;

impl Dht {
    /// What is worth remembering: at most some 10 kB.
    pub fn export(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let nodes = |half: &Half| {
            let mut bytes = Vec::new();
            let near: Vec<Contact> = half.table.closest(&half.id, MAX_SAVED);
            near.iter().for_each(|node| put_compact(node.address, &mut bytes));
            bytes
        };
        let [v4, v6] = self.halves.each_ref().map(Option::as_ref);
        Writer::new(&mut out).dict(|dict| {
            v4.into_iter().for_each(|half| dict.bytes("id", half.id.0));
            v6.into_iter().for_each(|half| dict.bytes("id6", half.id.0));
            v4.into_iter().for_each(|half| dict.bytes("nodes", nodes(half)));
            v6.into_iter().for_each(|half| dict.bytes("nodes6", nodes(half)));
        });
        out
    }

    /// Takes up what [`export`](Self::export) gave, before anything else happens: the same ids, and the nodes as contacts. What
    /// cannot be read is as if it were not there.
    pub fn import(&mut self, now: Time, saved: &[u8]) {
        let Some(dict) = bencode::decode(saved).ok().and_then(|value| value.dict()) else {
            return;
        };
        let [id, id6, nodes, nodes6] = dict.fields(["id", "id6", "nodes", "nodes6"]);
        for (v6, id, nodes) in [(false, id, nodes), (true, id6, nodes6)] {
            let id = id.and_then(|id| <[u8; 20]>::try_from(id.bytes()?).ok());
            if let (Some(id), Some(half)) = (id, self.half_mut(v6))
                && half.table.len() == 0
            {
                *half = Half::new(NodeId(id), now);
            }
            let nodes = nodes.and_then(|nodes| nodes.bytes()).unwrap_or_default();
            let contacts: Vec<_> = compact_list(nodes, v6).take(4 * MAX_NODES).collect();
            self.handle(now, Event::Contacts(&contacts));
        }
    }
}
