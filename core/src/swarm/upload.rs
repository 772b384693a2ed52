//! Answering requests: what is let wait, what is read for it, and what goes out next.

use alloc::vec::Vec;

use super::download::raw;
use super::peer::{Peer, Upload};
use super::promise::MAX_UPLOADS;
use super::reads::Lookup;
use super::reason::Reason;
use super::{Content, Swarm};
use crate::event::{Action, Link};
use crate::gather::Gather;
use crate::layout::{Piece, Range};
use crate::session::context::Context;
use crate::slices::Slices;
use crate::wire::frame::MAX_BLOCK;
use crate::wire::message::{Message, RawRange};

/// Bytes that are brought into memory for one peer ahead of being sent: more than a transport takes at once.
const AHEAD: usize = 1 << 20;

impl Swarm {
    /// REQUEST came.
    pub(super) fn on_request(&mut self, cx: &mut Context, link: Link, asked: RawRange) -> Result<(), Reason> {
        let (Some(peer), Some(content)) = (self.peers.get_mut(&link), &mut self.content) else {
            return Ok(());
        };
        let range = content.layout.range(asked.index, asked.begin, asked.length);
        let range = range.filter(|range| range.length as usize <= MAX_BLOCK);
        let range = range.ok_or(Reason::Protocol("REQUEST outside the torrent or too long"))?;
        let held = content.holds(range.piece) && self.super_seed.serves(peer, range.piece);
        let served = !peer.ours.choking || peer.granted.contains(&range.piece);
        if !served || peer.uploads.len() >= MAX_UPLOADS || !held && !can_fetch(content, peer, range.piece) {
            refuse(peer, range);
            return Ok(());
        }
        peer.uploads.push_back(Upload {
            range,
            data: None,
            fresh: !held,
        });
        if let Some(bridge) = &mut content.bridge {
            if held {
                bridge.touch(range.piece, cx.now);
            } else if bridge.want(range.piece) {
                content.picker.set_urgent(range.piece, cx.now);
                self.touch_hungry();
            }
        }
        Ok(())
    }

    /// CANCEL came. With the fast extension it is answered by REJECT.
    pub(super) fn on_cancel(&mut self, cx: &mut Context, link: Link, asked: RawRange) {
        let (Some(peer), Some(content)) = (self.peers.get_mut(&link), &self.content) else {
            return;
        };
        let Some(range) = content.layout.range(asked.index, asked.begin, asked.length) else {
            return;
        };
        let Some(at) = peer.uploads.iter().position(|upload| upload.range == range) else {
            return;
        };
        if let Some(upload) = peer.uploads.remove(at) {
            refuse(peer, range);
            if upload.data.is_none() {
                self.unwant(cx, range.piece);
            }
        }
    }

    /// Unchokes a peer.
    pub(super) fn unchoke(&mut self, cx: &Context, link: Link) {
        let Some(peer) = self.peers.get_mut(&link).filter(|peer| peer.ours.choking) else {
            return;
        };
        peer.ours.choking = false;
        peer.unchoked_at = Some(cx.now);
        peer.send(&Message::Unchoke);
        self.touch(link);
    }

    /// Chokes a peer: its requests are refused.
    pub(super) fn choke(&mut self, cx: &mut Context, link: Link) {
        let Some(peer) = self.peers.get_mut(&link).filter(|peer| !peer.ours.choking) else {
            return;
        };
        peer.ours.choking = true;
        peer.send(&Message::Choke);
        let granted = core::mem::take(&mut peer.granted);
        let refused = peer.take_uploads(|upload| !granted.contains(&upload.range.piece));
        peer.granted = granted;
        refused.iter().for_each(|upload| refuse(peer, upload.range));
        for upload in refused.iter().filter(|upload| upload.data.is_none()) {
            self.unwant(cx, upload.range.piece);
        }
        self.touch(link);
    }

    /// A request that waited for a piece is no more. When it was the last, the piece is not fetched on.
    pub(super) fn unwant(&mut self, cx: &mut Context, piece: Piece) {
        let Some(content) = &mut self.content else { return };
        if !content.bridge.as_mut().is_some_and(|bridge| bridge.unwant(piece)) {
            return;
        }
        content.picker.clear_urgent(piece);
        let arrived = content.picker.open_piece(piece).is_some_and(|open| open.is_complete());
        if arrived || content.picker.lacks(piece) {
            return;
        }
        let cancelled = content.picker.drop_piece(piece);
        content.assembly.discard(piece);
        content.settle_memory(cx);
        self.cancel(&cancelled);
    }

    /// Refuses what waits for a piece that cannot be had any more.
    pub(super) fn refuse_waiting(&mut self, cx: &mut Context, piece: Piece) {
        let links: Vec<Link> = self.peers.keys().copied().gather();
        for link in links {
            let Some(peer) = self.peers.get_mut(&link) else {
                continue;
            };
            let refused = peer.take_uploads(|upload| upload.range.piece == piece && upload.data.is_none());
            refused.iter().for_each(|upload| refuse(peer, upload.range));
            for _ in &refused {
                self.unwant(cx, piece);
            }
            self.touch(link);
        }
    }

    /// Brings what a peer is to be sent next into memory.
    pub(super) fn feed_uploads(&mut self, cx: &mut Context, link: Link) {
        let (Some(peer), Some(content)) = (self.peers.get_mut(&link), &mut self.content) else {
            return;
        };
        let mut ahead = 0;
        for upload in &mut peer.uploads {
            if ahead >= AHEAD {
                break;
            }
            if upload.data.is_none() {
                if !content.picker.held().contains(upload.range.piece.index()) {
                    continue;
                }
                let Some(range) = content.layout.without_padding(upload.range) else {
                    upload.data = Some(zeros(upload.range.length));
                    continue;
                };
                match content.reads.look_up(range, &content.layout, cx.now) {
                    Lookup::Ready(mut data) => {
                        data.extend(zeros(upload.range.length - range.length));
                        upload.data = Some(data);
                    }
                    Lookup::Loading => {}
                    Lookup::Load(spans) => {
                        for span in spans {
                            let job = cx.job(self.torrent);
                            content.loading.insert(job, span);
                            cx.act(Action::Load(job, self.torrent, span));
                        }
                    }
                }
            }
            ahead += upload.range.length as usize;
        }
    }

    /// Looks again at peers that wait for bytes.
    pub(super) fn touch_uploading(&mut self) {
        self.touch_where(|peer| peer.uploads.iter().any(|upload| upload.data.is_none()));
    }

    /// The next bytes for a link, at most `room` of them.
    pub(crate) fn poll_frame(&mut self, cx: &mut Context, link: Link, room: usize) -> Option<Slices> {
        let peer = self.peers.get_mut(&link)?;
        let frame = match peer.take_control(room) {
            Some(control) => Some(Slices::from(control)),
            None => self.next_block(cx, link, room),
        };
        let peer = self.peers.get_mut(&link)?;
        match &frame {
            Some(_) => peer.last_sent = cx.now,
            None => peer.flushing = peer.has_output() && self.limits.up(cx) > 0,
        }
        frame
    }

    fn next_block(&mut self, cx: &mut Context, link: Link, room: usize) -> Option<Slices> {
        let peer = self.peers.get_mut(&link)?;
        let fits = |upload: &Upload| upload.data.as_ref().is_some_and(|data| data.len() + 13 <= room);
        let at = peer.uploads.iter().position(|upload| upload.data.is_some())?;
        if !fits(&peer.uploads[at]) {
            return None;
        }
        if self.limits.up(cx) == 0 {
            self.clock.by(self.limits.up_at(cx), cx.now);
            return None;
        }
        let Upload { range, data, fresh } = peer.uploads.remove(at)?;
        let data = data?;
        let length = data.len() as u64;
        self.limits.sent(cx, length);
        peer.sent += length;
        peer.up.add(length, cx.now);
        self.sent.count(peer.transport, length);
        self.rates.up.add(length, cx.now);
        self.sent_cached += if fresh { 0 } else { length };
        let mut frame = Slices::from(bytes::Bytes::copy_from_slice(&Message::piece_head(
            range.piece.number(),
            range.begin,
            range.length,
        )));
        frame.extend(data);
        self.feed_uploads(cx, link);
        Some(frame)
    }
}

/// Padding (BEP 47), as v1 peers ask for it.
pub(super) fn zeros(length: u32) -> Slices {
    static ZEROS: [u8; MAX_BLOCK] = [0; MAX_BLOCK];
    bytes::Bytes::from_static(&ZEROS[..MAX_BLOCK.min(length as usize)]).into()
}

/// Whether someone else than the asker may have the piece.
fn can_fetch(content: &Content, peer: &Peer, piece: Piece) -> bool {
    let other = content.bridge.as_ref().map(|bridge| bridge.beyond(peer.transport));
    other.is_some_and(|pieces| pieces.contains(piece.index()))
}

/// REJECT, to a peer that understands it; to another silence says the same.
fn refuse(peer: &mut Peer, range: Range) {
    if peer.fast {
        peer.send(&Message::Reject(raw(range)));
    }
}
