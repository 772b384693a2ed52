//! Shards as the commands use them: a seed, and two that trade over TCP.

use std::net::SocketAddr;
use std::path::Path;

use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tombolo_core::config::Config;
use tombolo_core::event::{Add, Mode, Report, Source, Torrent};
use tombolo_core::key::PeerId;
use tombolo_core::magnet::Magnet;
use tombolo_core::mse::Policy;
use tombolo_relay::shard::ShardConfig;
use tombolo_relay::shards::{Reports, Shards};
use tombolo_relay::{outside, storage};

use crate::torrent::{PIECE, Sample};

fn start(folder: &Path, name: u8) -> (Shards, Reports) {
    let config = ShardConfig {
        session: Config {
            peer_id: PeerId([name; 20]),
            ..Config::default()
        },
        storage: storage::Policy::Files(storage::Folder::writable(folder.to_owned())),
        disk_threads: 1,
        outside: outside::Policy {
            allow_local: true,
            ..outside::Policy::default()
        },
        tcp: true,
        utp: Vec::new(),
        encryption: Policy::Off,
        rtc: None,
        allow_local: true,
        lists: Default::default(),
        finder: None,
    };
    Shards::start(&config, 1).unwrap()
}

fn add(shards: &Shards, source: Source, peers: Vec<SocketAddr>) -> Torrent {
    let add = |torrent| Add {
        torrent,
        source,
        mode: Mode::Whole,
        trackers: Some(Vec::new()),
        peers,
        priorities: Vec::new(),
    };
    shards.add(add).unwrap()
}

async fn until(reports: &mut Reports, wanted: impl Fn(&Report) -> bool) {
    let waiting = async {
        while let Some((_, report)) = reports.recv().await {
            if wanted(&report) {
                return;
            }
        }
        panic!("the shards ended");
    };
    tokio::time::timeout(crate::relay::PATIENCE, waiting)
        .await
        .expect("it is reported");
}

/// A native seed in this process.
pub(crate) struct Seed {
    runtime: Runtime,
    shards: Shards,
    pub(crate) address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Seed {
    pub(crate) fn start(sample: &Sample) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("sample"), &sample.content).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (shards, mut reports) = start(folder.path(), 7);
        let address = runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            add(&shards, Source::Metainfo(sample.metainfo.clone()), Vec::new());
            until(&mut reports, |report| matches!(report, Report::Complete)).await;
            tokio::spawn(shards.clone().listen(listener));
            address
        });
        Self {
            runtime,
            shards,
            address,
            _folder: folder,
        }
    }

    pub(crate) fn stop(self) {
        self.runtime.block_on(self.shards.stop());
    }
}

#[test]
fn a_magnet_and_a_peer_are_enough() {
    let sample = Sample::new(20 * PIECE + 5, 4);
    let (seed, folder) = (Seed::start(&sample), tempfile::tempdir().unwrap());
    let (shards, mut reports) = start(folder.path(), 8);
    seed.runtime.block_on(async {
        let magnet = Source::Magnet(Magnet::new(sample.metainfo.hashes));
        let torrent = add(&shards, magnet, vec![seed.address]);
        assert_eq!(shards.find(sample.swarm()), Some(torrent));
        until(&mut reports, |report| matches!(report, Report::Complete)).await;
        let received = shards.look(torrent, move |view| {
            view.session.status(view.now, torrent).unwrap().received.native
        });
        assert_eq!(received.await, Some(sample.content.len() as u64));
        shards.stop().await;
        assert_eq!(
            shards.look(torrent, |_| ()).await,
            None,
            "stopped shards answer nothing"
        );
    });
    assert!(std::fs::read(folder.path().join("sample")).unwrap() == sample.content);
    seed.stop();
}

#[test]
fn a_swarm_is_in_one_torrent_and_free_again_when_that_is_removed() {
    let (sample, folder) = (Sample::new(PIECE, 5), tempfile::tempdir().unwrap());
    let (shards, _reports) = start(folder.path(), 9);
    let source = || Source::Metainfo(sample.metainfo.clone());
    let first = add(&shards, source(), Vec::new());
    let again = shards.add(|torrent| Add {
        torrent,
        source: source(),
        mode: Mode::Whole,
        trackers: None,
        peers: Vec::new(),
        priorities: Vec::new(),
    });
    assert_eq!(again, Err(first));
    shards.remove(first);
    assert_ne!(add(&shards, source(), Vec::new()), first);
}
