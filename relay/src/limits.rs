//! What a process may use, and whom it talks to: one set for `get`, `seed` and `serve`, enforced by the session and its shard.

use std::future::pending;

use tokio::signal::unix::{SignalKind, signal};

use crate::lists::Lists;
use crate::proxy::Way;
use crate::shard::ShardConfig;
use crate::shards::Shards;

/// The limits. `None` leaves what a command has by default.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    /// Bytes a second sent, in all.
    pub up: Option<u64>,
    /// Bytes a second received, in all.
    pub down: Option<u64>,
    /// Bytes a second sent of one torrent.
    pub torrent_up: Option<u64>,
    /// Bytes a second received of one torrent.
    pub torrent_down: Option<u64>,
    /// Links in all.
    pub connections: Option<usize>,
    /// Links of one torrent.
    pub torrent_connections: Option<usize>,
    /// Dials under way.
    pub half_open: Option<usize>,
    /// Peers of one torrent that are sent something at a time.
    pub upload_slots: Option<usize>,
    /// Bytes of pieces between request and storage.
    pub memory: Option<u64>,
    /// Who is talked to.
    pub lists: Lists,
    /// From where and through what connections are made.
    pub way: Way,
}

impl Limits {
    /// Puts them into the settings of shards.
    pub fn apply(&self, shard: &mut ShardConfig) {
        let session = &mut shard.session;
        session.up = self.up.or(session.up);
        session.down = self.down.or(session.down);
        session.torrent_up = self.torrent_up.or(session.torrent_up);
        session.torrent_down = self.torrent_down.or(session.torrent_down);
        session.max_links = self.connections.unwrap_or(session.max_links);
        session.max_peers = self.torrent_connections.unwrap_or(session.max_peers);
        session.half_open = self.half_open.unwrap_or(session.half_open);
        session.unchoke_slots = self.upload_slots.unwrap_or(session.unchoke_slots);
        session.memory = self.memory.unwrap_or(session.memory);
        shard.lists = self.lists.clone();
        shard.outside.way = self.way.clone();
    }
}

/// Reads the lists again whenever the process gets SIGHUP. Never ends; to be called within a runtime.
pub(crate) async fn reread_lists(shards: Shards) {
    let lists = shards.lists().clone();
    // Without lists the signal means what it always did.
    let hangups = (!lists.is_empty()).then(|| signal(SignalKind::hangup()));
    let Some(Ok(mut hangups)) = hangups else {
        return pending().await;
    };
    while hangups.recv().await.is_some() {
        let again = lists.clone();
        let read = tokio::task::spawn_blocking(move || again.reload()).await;
        match read {
            Ok(Ok(odd)) => {
                shards.refilter();
                odd.iter().for_each(|odd| tracing::warn!("{odd}"));
            }
            Ok(Err(error)) => tracing::warn!("the lists stay as they were: {error}"),
            // It panicked, and said so.
            Err(_) => {}
        }
    }
}
