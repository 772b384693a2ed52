//! What sessions report, as log lines.
//!
//! Nothing here runs for a block: what is reported of each piece or peer is logged at `trace`, and costs a comparison otherwise. Of the
//! URL of a tracker or web seed only the host is shown, since the rest may hold a user's key or password.

use tombolo_core::event::{Report, StorageError, Torrent};
use url::{Position, Url};

/// Logs a report.
pub fn report(torrent: Torrent, report: &Report) {
    match report {
        Report::Metadata(metainfo) => {
            tracing::info!(?torrent, info_hash = %metainfo.hashes.swarm(), "metadata is here");
        }
        Report::Layers(_) => tracing::debug!(?torrent, "the hashes of all pieces are here"),
        Report::Complete => tracing::info!(?torrent, "complete"),
        Report::Checked => tracing::debug!(?torrent, "what storage held is checked"),
        Report::Announced(url, peers) => tracing::debug!(?torrent, tracker = shown(url), peers, "announced"),
        Report::TrackerFailed(url, reason) => {
            tracing::debug!(
                ?torrent,
                tracker = shown(url),
                reason = hidden(reason, url),
                "a tracker failed"
            );
        }
        Report::TrackerWarning(url, reason) => {
            tracing::warn!(
                ?torrent,
                tracker = shown(url),
                reason = hidden(reason, url),
                "a tracker warns"
            );
        }
        Report::WebSeedFailed(url, reason) => {
            tracing::debug!(
                ?torrent,
                web_seed = shown(url),
                reason = hidden(reason, url),
                "a web seed failed"
            );
        }
        Report::HashFailed(piece) => tracing::warn!(?torrent, piece = piece.number(), "a piece failed its hash"),
        Report::Banned(link) => tracing::warn!(?torrent, ?link, "a peer that sent bad data is banned"),
        Report::StorageFailed(StorageError::Full) => tracing::error!(?torrent, "there is no room left on the disk"),
        Report::StorageFailed(StorageError::Other(reason)) => tracing::error!(?torrent, reason, "storage failed"),
        Report::BadMetadata(reason) => tracing::warn!(?torrent, reason, "the metadata cannot be used"),
        other => tracing::trace!(?torrent, report = ?other),
    }
}

/// A URL as it is logged: without path, query and user.
fn shown(url: &str) -> String {
    Url::parse(url).map_or_else(
        |_| "?".into(),
        |url| format!("{}://{}", url.scheme(), &url[Position::BeforeHost..Position::AfterPort]),
    )
}

/// A reason without the URL that it may repeat.
fn hidden(reason: &str, url: &str) -> String {
    reason.replace(url, &shown(url))
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn of_a_url_only_the_host_is_logged() {
        for url in [
            "https://me:word@t.example:8443/KEY/announce?passkey=KEY",
            "udp://t.example:8443/announce?KEY",
        ] {
            let logged = shown(url);
            assert!(
                logged.ends_with("://t.example:8443") && !logged.contains("me"),
                "{logged}"
            );
            assert!(!hidden(&format!("{url} is bad"), url).contains("KEY"));
        }
        assert_eq!(shown("no URL"), "?");
    }

    #[test]
    fn nothing_that_is_reported_shows_a_key() {
        #[derive(Clone, Default)]
        struct Lines(Arc<Mutex<Vec<u8>>>);
        impl Write for Lines {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.lock().unwrap().extend_from_slice(bytes);
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(move || writer.clone())
            .finish();
        let url = || "https://me:KEY@h.example/KEY/".to_owned();
        tracing::subscriber::with_default(subscriber, || {
            for said in [
                Report::WebSeedFailed(url(), format!("{} is missing", url())),
                Report::TrackerFailed(url(), format!("{} is missing", url())),
                Report::TrackerWarning(url(), format!("{} is missing", url())),
                Report::Announced(url(), 1),
            ] {
                report(Torrent(1), &said);
            }
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.matches("h.example").count(), 7, "{text}");
        assert!(!text.contains("KEY"), "{text}");
    }
}
