//! The tracker's table on disk, so that a restart forgets nobody who is reached at an address.
//!
//! Written once a minute and at the end, beside its place and then renamed: a relay that is killed at any moment finds the old or the
//! new one. What is damaged is passed over. The table is locked for a megabyte at a time.

use std::fs::File;
use std::io::{self, BufReader, Read as _, Write as _};
use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tombolo_core::tracker::registry::snapshot::{
    HEAD, SECTION_HEAD, SnapshotError, head, parse_head, section_head, section_length, swarms,
};

use super::Tracker;
use crate::replace::{PUBLIC, replace};
use crate::serve::Relay;
use crate::system;

/// How often the table is written.
const ROUND: Duration = Duration::from_secs(60);

/// Seconds after which the peers of a snapshot are taken for gone. The completed counts stay.
const OLD: u64 = 3600;

/// Puts the table back as it was. That there is no snapshot is no fault.
pub(crate) fn restore(tracker: &Tracker, path: &Path) {
    let read = File::open(path).and_then(|file| read(tracker, file));
    if let Err(error) = read.or_else(|error| match error.kind() {
        io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    }) {
        tracing::warn!(path = %path.display(), %error, "what comes after in the snapshot is forgotten");
    }
}

fn read(tracker: &Tracker, file: File) -> io::Result<()> {
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("no file"));
    }
    let mut left = file.metadata()?.len();
    let mut file = BufReader::new(file);
    let mut first = [0; HEAD];
    file.read_exact(&mut first)?;
    left = left.saturating_sub(HEAD as u64);
    let taken = parse_head(&first).map_err(io::Error::other)?;
    let is_old = (system::unix() as u64).saturating_sub(taken) > OLD;
    let now = tracker.now();
    let mut payload = Vec::new();
    while left >= SECTION_HEAD as u64 {
        let mut head = [0; SECTION_HEAD];
        file.read_exact(&mut head)?;
        let length = section_length(&head).map_err(io::Error::other)?;
        left -= SECTION_HEAD as u64;
        if length as u64 > left {
            return Err(io::Error::other(SnapshotError::Short));
        }
        left -= length as u64;
        payload.resize(length, 0);
        file.read_exact(&mut payload)?;
        match swarms(&head, &payload) {
            Ok(swarms) => swarms
                .map(|saved| if is_old { saved.deserted() } else { saved })
                .for_each(|saved| tracker.part(saved.swarm).registry.restore(now, &saved)),
            Err(error) => tracing::warn!(%error, "a part of the tracker's peers is forgotten"),
        }
    }
    Ok(())
}

/// Writes the table, after whoever is writing it now.
///
/// # Errors
/// As writing a file may fail.
pub(crate) fn save(tracker: &Tracker, path: &Path) -> io::Result<()> {
    // The last may still be at it when the relay stops.
    let _saving = tracker.saving.lock().unwrap_or_else(PoisonError::into_inner);
    replace(path, PUBLIC, |file| write(tracker, file))
}

fn write(tracker: &Tracker, file: &mut File) -> io::Result<()> {
    file.write_all(&head(system::unix() as u64))?;
    let mut payload = Vec::new();
    for part in 0..tracker.parts.len() {
        let mut from = Some(0);
        while let Some(place) = from {
            payload.clear();
            from = tracker
                .with(part, |part| part.registry.save(tracker.now(), place, &mut payload))
                .flatten();
            if !payload.is_empty() {
                file.write_all(&section_head(&payload))?;
                file.write_all(&payload)?;
            }
        }
    }
    file.sync_data()
}

/// Writes the table now and then, for ever.
pub(crate) async fn keep(relay: Arc<Relay>) {
    let mut told = false;
    loop {
        tokio::time::sleep(ROUND).await;
        let writing = relay.clone();
        let written = tokio::task::spawn_blocking(move || save(&writing.tracker, &writing.settings.snapshot)).await;
        match written {
            Ok(Ok(())) => told = false,
            // Once: a full disk stays full for many rounds.
            Ok(Err(error)) if !told => {
                tracing::warn!(%error, "the tracker's peers are not kept");
                told = true;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Asker, Place, Settings};
    use super::*;
    use tombolo_core::key::{PeerId, SwarmKey};
    use tombolo_core::tracker::query::AnnounceRequest;
    use tombolo_core::tracker::registry::Answer;

    fn tracker() -> Tracker {
        let settings = Settings {
            interval: 60,
            peer_ttl: Duration::from_secs(600),
            max_peers: 1_000,
            allow_local: true,
            full_scrape: false,
            own: Vec::new(),
        };
        Tracker::new(settings, PeerId([1; 20]), Arc::default())
    }

    fn announce(tracker: &Tracker, number: u16) {
        let [high, low] = number.to_be_bytes();
        let request = AnnounceRequest::new(SwarmKey([low; 20]), PeerId([high; 20]));
        let asker = Asker {
            request: &request,
            place: Place::Native(([10, 0, high, low], 6881).into()),
            numwant: 0,
            family: None,
        };
        tracker.announce(&asker, &mut Answer::default());
    }

    #[test]
    fn who_saves_while_another_does_waits_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tracker.peers");
        let known = tracker();
        (0..10_000).for_each(|number| announce(&known, number));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..10).for_each(|_| save(&known, &path).unwrap()));
            }
        });
        let again = tracker();
        restore(&again, &path);
        assert_eq!(again.size(), known.size());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
