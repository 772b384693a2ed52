//! A disk with its workers, driven by actions as a session does.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use tombolo_core::event::{Action, Event, Job, StorageError, Torrent};
use tombolo_core::metainfo::Metainfo;

use super::*;
use crate::storage::{Disk, Policy};

const TORRENT: Torrent = Torrent(1);

/// A metainfo of one file of these bytes.
fn metainfo(name: &str, bytes: &[u8], piece_length: usize) -> Arc<Metainfo> {
    let digests: Vec<u8> = bytes.chunks(piece_length).flat_map(digest).collect();
    let mut info = Vec::from(format!("d6:lengthi{}e4:name{}:{name}", bytes.len(), name.len()));
    info.extend(format!("12:piece lengthi{piece_length}e6:pieces{}:", digests.len()).into_bytes());
    info.extend(digests);
    info.push(b'e');
    Arc::new(Metainfo::from_info(info.into()).unwrap())
}

fn start(policy: Policy) -> (Disk, Receiver<Event>) {
    let (sender, events) = channel();
    let deliver = move |event| sender.send(event).unwrap();
    (Disk::start(policy, 3, deliver).unwrap(), events)
}

/// The next event; fails when none comes.
fn next(events: &Receiver<Event>) -> Event {
    events.recv_timeout(Duration::from_secs(30)).unwrap()
}

fn give(disk: &Disk, action: Action) {
    assert!(disk.perform(action).is_none());
}

#[test]
fn jobs_of_a_piece_see_those_before_them() {
    let dir = tempfile::tempdir().unwrap();
    let sample = Sample::new(16_384, &[("f", 3_000_000)]);
    let metainfo = metainfo("f", &sample.bytes, 16_384);
    for policy in [
        Policy::Files(Folder::writable(dir.path().into())),
        Policy::Cache { dir: dir.path().into() },
    ] {
        let (disk, events) = start(policy);
        give(&disk, Action::Open(TORRENT, Arc::clone(&metainfo)));
        let Event::Restored { held, check, .. } = next(&events) else {
            panic!()
        };
        assert!(held.is_empty() && check.is_empty());
        for piece in metainfo.layout.iter() {
            let number = u64::from(piece.number());
            let range = metainfo.layout.range(piece.number(), 5, 100).unwrap();
            give(&disk, Action::Store(Job(number), TORRENT, piece, sample.data(piece)));
            give(&disk, Action::Load(Job(1_000 + number), TORRENT, range));
            give(&disk, Action::Hash(Job(2_000 + number), sample.data(piece), SHA1));
            give(&disk, Action::Check(Job(3_000 + number), TORRENT, piece, SHA1));
        }
        for _ in 0..4 * metainfo.layout.pieces() {
            match next(&events) {
                Event::Stored(_, stored) => stored.unwrap(),
                Event::Loaded(job, data) => {
                    let piece = sample.piece(job.0 as u32 - 1_000);
                    assert_eq!(data.unwrap(), sample.data(piece).slice(5..105));
                }
                Event::Hashed(job, digests) => {
                    assert_eq!(metainfo.piece_hash(sample.piece(job.0 as u32 - 2_000)), digests.v1);
                }
                Event::Checked(job, digests) => {
                    assert_eq!(
                        metainfo.piece_hash(sample.piece(job.0 as u32 - 3_000)),
                        digests.unwrap().v1
                    );
                }
                other => panic!("{other:?}"),
            }
        }
    }
    sample.assert_whole(dir.path());
}

#[test]
fn dropping_the_disk_finishes_what_was_given() {
    let dir = tempfile::tempdir().unwrap();
    let sample = Sample::new(65_536, &[("f", 3_000_000)]);
    let metainfo = metainfo("f", &sample.bytes, 65_536);
    let policy = Policy::Files(Folder::writable(dir.path().into()));
    let (disk, events) = start(policy.clone());
    give(&disk, Action::Open(TORRENT, Arc::clone(&metainfo)));
    next(&events);
    for piece in metainfo.layout.iter() {
        give(&disk, Action::Store(Job(0), TORRENT, piece, sample.data(piece)));
    }
    drop(disk);
    assert_eq!(events.try_iter().count(), metainfo.layout.pieces());
    let (disk, events) = start(policy);
    give(&disk, Action::Open(TORRENT, metainfo));
    let Event::Restored { held, .. } = next(&events) else {
        panic!()
    };
    assert!(held.is_full(), "the record was left behind");
}

#[test]
fn a_torrent_that_is_not_open_or_cannot_be_is_answered_too() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("file"), "").unwrap();
    let sample = Sample::new(16_384, &[("f", 20_000)]);
    let metainfo = metainfo("f", &sample.bytes, 16_384);
    let piece = sample.piece(0);
    let (disk, events) = start(Policy::Files(Folder::writable(dir.path().join("file"))));
    for _ in 0..2 {
        give(&disk, Action::Store(Job(1), TORRENT, piece, sample.data(piece)));
        assert!(matches!(
            next(&events),
            Event::Stored(Job(1), Err(StorageError::Other(_)))
        ));
        give(&disk, Action::Check(Job(2), TORRENT, piece, SHA1));
        assert!(matches!(next(&events), Event::Checked(Job(2), None)));
        give(&disk, Action::Open(TORRENT, Arc::clone(&metainfo)));
        assert!(matches!(next(&events), Event::Restored { check, .. } if check.is_empty()));
    }
    assert!(disk.perform(Action::Hangup(Job(9))).is_some(), "not ours to do");
}
