//! What others ask of us.

use core::net::SocketAddr;

use super::krpc::{self, Announce, Body, Contact, KrpcError, Message, Query, Response, Want, transaction_of_query};
use super::table::K;
use super::{Action, Dht, NodeId};
use crate::key::SwarmKey;

/// Peers of an answer, at most: with the nodes and the token they fit the smallest packet every path takes.
const MAX_PEERS: usize = 50;

impl Dht {
    /// A datagram came.
    pub(super) fn datagram(&mut self, from: SocketAddr, data: &[u8]) {
        if !self.accepts(from) {
            return;
        }
        match Message::decode(data) {
            Ok(Message {
                body: Body::Query(id, query),
                transaction,
                read_only,
                ..
            }) => {
                if self.is_served(from) {
                    self.reach.hear(from, self.now);
                    let contact = Contact { id, address: from };
                    let body = self.respond(contact, query);
                    self.reply(from, transaction, body);
                    if !read_only {
                        self.welcome(contact);
                    }
                }
            }
            Ok(answer) => self.answer(from, answer),
            Err(error) => self.refuse(from, error, data),
        }
    }

    fn is_served(&mut self, from: SocketAddr) -> bool {
        !self.config.read_only && self.guard.admits(from.ip(), self.now)
    }

    /// A question that cannot be read is refused with the reason.
    fn refuse(&mut self, from: SocketAddr, error: KrpcError, data: &[u8]) {
        let code = match error {
            KrpcError::Field(_) => krpc::PROTOCOL,
            KrpcError::Method => krpc::METHOD,
            KrpcError::Long(_) | KrpcError::Bencode(_) => return,
        };
        if let Some(transaction) = transaction_of_query(data)
            && self.is_served(from)
        {
            self.reply(from, transaction, Body::Error(code));
        }
    }

    fn reply(&mut self, to: SocketAddr, transaction: alloc::vec::Vec<u8>, body: Body) {
        let message = Message {
            transaction,
            body,
            read_only: false,
            ip: Some(to),
        };
        let datagram = message.encode();
        if self.guard.sends(datagram.len(), self.now) {
            self.act(Action::Send(to, datagram));
        }
    }

    /// Whoever asks may be a node worth knowing: if there is a place for it, it is asked back.
    fn welcome(&mut self, contact: Contact) {
        let now = self.now;
        let wanted = self
            .half_mut(contact.address.is_ipv6())
            .is_some_and(|half| half.table.asked(contact, now));
        if wanted {
            self.ping(contact.address, Some(contact.id));
        }
    }

    fn respond(&mut self, from: Contact, query: Query) -> Body {
        let v6 = from.address.is_ipv6();
        let Some(id) = self.half(v6).map(|half| half.id) else {
            return Body::Error(krpc::GENERIC);
        };
        let bare = Response::bare(id);
        Body::Response(match query {
            Query::Ping => bare,
            Query::FindNode(target, want) => self.with_nodes(bare, target, want, v6),
            Query::Unknown(target) => self.with_nodes(bare, target, Want::default(), v6),
            Query::GetPeers(swarm, want) => {
                let response = self.with_nodes(bare, swarm.into(), want, v6);
                self.with_peers(response, swarm, from.address)
            }
            Query::Announce(announce) => {
                if !self.take(&announce, from.address) {
                    return Body::Error(krpc::PROTOCOL);
                }
                bare
            }
        })
    }

    fn with_nodes(&self, mut response: Response, target: NodeId, want: Want, v6: bool) -> Response {
        let wanted = if want == Want::default() {
            [!v6, v6]
        } else {
            [want.v4, want.v6]
        };
        for half in self.halves.iter().zip(wanted).filter(|(_, wanted)| *wanted) {
            let nearest = half.0.as_ref().map(|half| half.table.closest(&target, K));
            response.nodes.extend(nearest.into_iter().flatten());
        }
        response
    }

    fn with_peers(&mut self, mut response: Response, swarm: SwarmKey, from: SocketAddr) -> Response {
        // Of the asker's own family alone: the two networks keep their data apart (BEP 32).
        response.values = self.store.peers(swarm, from.is_ipv6(), MAX_PEERS, &mut self.rng);
        response.token = Some(self.tokens.of(from.ip()).to_vec());
        response
    }

    /// Takes an announce; false if its token is not one that was given to that address.
    fn take(&mut self, announce: &Announce, from: SocketAddr) -> bool {
        if !self.tokens.knows(from.ip(), &announce.token) {
            return false;
        }
        let peer = SocketAddr::new(from.ip(), announce.port.unwrap_or_else(|| from.port()));
        // Where the store is full the announcer need not know.
        self.store.add(announce.swarm, peer, self.now);
        true
    }
}
