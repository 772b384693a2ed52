//! What a relay keeps under `--data` beside its cache: its swarms and their native peers, the metainfo it has learnt, its token.
//!
//! Every file is written beside its place and renamed, so that a relay that is killed at any moment finds the old or the new one. What
//! cannot be read is treated as missing: all of it can be had again.

use std::fs;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tombolo_core::bencode::{DictWriter, Writer};
use tombolo_core::key::{SwarmKey, hex, unhex};
use tombolo_core::metainfo::Metainfo;
use tombolo_core::tracker::passkey::Passkeys;

use crate::replace::{PUBLIC, SECRET, replace};

/// The longest metainfo or table that is read back: what the API takes, with room.
const LONGEST: u64 = 64 << 20;

/// A swarm that the relay is in, as it is remembered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Remembered {
    /// What it is, trackers included.
    pub(crate) magnet: String,
    /// Whether it was named at the start, and stays.
    pub(crate) pinned: bool,
    /// Native peers.
    pub(crate) peers: Vec<SocketAddr>,
}

/// The folder of a relay.
#[derive(Clone, Debug)]
pub(crate) struct State {
    data: PathBuf,
}

impl State {
    /// Opens the folder, making it where it is missing.
    ///
    /// # Errors
    /// It cannot be made, or nothing can be written in it.
    pub(crate) fn open(data: &Path) -> io::Result<Self> {
        fs::create_dir_all(data.join("torrents"))?;
        let probe = data.join(".probe");
        fs::write(&probe, b"")?;
        fs::remove_file(probe)?;
        Ok(Self { data: data.to_owned() })
    }

    /// The swarms of the last time.
    pub(crate) fn swarms(&self) -> Vec<Remembered> {
        let text = read(&self.data.join("swarms.json")).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Remembers the swarms.
    ///
    /// # Errors
    /// As writing a file may fail.
    pub(crate) fn remember(&self, swarms: &[Remembered]) -> io::Result<()> {
        self.write("swarms.json", &serde_json::to_vec_pretty(swarms)?, PUBLIC)
    }

    /// The metainfo of a swarm, if it was kept.
    pub(crate) fn metainfo(&self, swarm: SwarmKey) -> Option<Metainfo> {
        let metainfo = Metainfo::parse_unfinished(&read(&self.data.join(metainfo_name(swarm)))?.into()).ok()?;
        let is_it = metainfo.hashes.swarms().any(|own| own == swarm);
        is_it.then_some(metainfo)
    }

    /// Keeps of a metainfo what its info-hash vouches for: the info dictionary, and the piece layers that are here.
    ///
    /// # Errors
    /// As writing a file may fail.
    pub(crate) fn keep_metainfo(&self, metainfo: &Metainfo) -> io::Result<()> {
        let mut torrent = Vec::new();
        Writer::new(&mut torrent).dict(|dict| {
            dict.entry("info").raw(&metainfo.info);
            if !metainfo.layers.is_empty() {
                let layers = |dict: &mut DictWriter<'_>| {
                    let entries = metainfo.layers.entries();
                    entries.for_each(|(root, layer)| dict.entry(root).bytes(&layer));
                };
                dict.entry("piece layers").dict(layers);
            }
        });
        for swarm in metainfo.hashes.swarms() {
            self.write(&metainfo_name(swarm), &torrent, PUBLIC)?;
        }
        Ok(())
    }

    /// Forgets a swarm's metainfo and cache.
    pub(crate) fn forget(&self, swarm: SwarmKey) {
        // Either may never have been there.
        let _ = fs::remove_file(self.data.join(metainfo_name(swarm)));
        let _ = fs::remove_dir_all(self.data.join("cache").join(swarm.to_string()));
    }

    /// What the API asks for, made at the first start. Only the owner can read its file.
    ///
    /// # Errors
    /// There is no entropy, or the file cannot be written.
    pub(crate) fn token(&self) -> io::Result<String> {
        let kept = read(&self.data.join("token")).and_then(|text| String::from_utf8(text).ok());
        if let Some(token) = kept
            .map(|token| token.trim().to_owned())
            .filter(|token| !token.is_empty())
        {
            return Ok(token);
        }
        let mut bytes = [0; 20];
        getrandom::fill(&mut bytes).map_err(io::Error::other)?;
        let token = hex(&bytes);
        self.write("token", token.as_bytes(), SECRET)?;
        Ok(token)
    }

    /// What the tracker's passkeys are signed with, made when it is asked for first. Only the owner can read its file.
    ///
    /// # Errors
    /// There is no entropy, or the file cannot be written, or is not ours.
    pub(crate) fn passkeys(&self) -> io::Result<Passkeys> {
        let path = self.data.join("passkeys");
        if path.exists() {
            let kept = read(&path).and_then(|text| String::from_utf8(text).ok());
            let secret = kept.and_then(|text| unhex::<32>(text.trim()));
            // Made anew, it would make every passkey worthless.
            return secret
                .map(Passkeys::new)
                .ok_or_else(|| io::Error::other("the file `passkeys` does not have 64 hexadecimal digits"));
        }
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(io::Error::other)?;
        self.write("passkeys", hex(&secret).as_bytes(), SECRET)?;
        Ok(Passkeys::new(secret))
    }

    /// Where the tracker's peers are kept.
    pub(crate) fn snapshot(&self) -> PathBuf {
        self.data.join("tracker.peers")
    }

    fn write(&self, name: &str, bytes: &[u8], mode: u32) -> io::Result<()> {
        replace(&self.data.join(name), mode, |file| file.write_all(bytes))
    }
}

fn metainfo_name(swarm: SwarmKey) -> String {
    format!("torrents/{swarm}.torrent")
}

fn read(path: &Path) -> Option<Vec<u8>> {
    let metadata = fs::symlink_metadata(path).ok()?;
    (metadata.is_file() && metadata.len() <= LONGEST).then(|| fs::read(path).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use std::os::unix::fs::PermissionsExt as _;
    use tombolo_core::metainfo::create::{Creator, Hashes, Version};

    #[test]
    fn what_is_kept_is_there_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(folder.path()).unwrap();
        assert!(state.swarms().is_empty());
        let swarms = vec![Remembered {
            magnet: "magnet:?xt=urn:btih:0101010101010101010101010101010101010101".into(),
            pinned: true,
            peers: vec!["127.0.0.1:6881".parse().unwrap(), "[::1]:6881".parse().unwrap()],
        }];
        state.remember(&swarms).unwrap();
        let token = state.token().unwrap();
        let again = State::open(folder.path()).unwrap();
        assert_eq!((again.swarms(), again.token().unwrap()), (swarms, token));
        let mode = fs::metadata(folder.path().join("token")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_metainfo_is_kept_under_its_own_hash_only() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(folder.path()).unwrap();
        let info = Bytes::from(
            [
                &b"d6:lengthi4e4:name1:a12:piece lengthi16384e6:pieces20:"[..],
                &[7; 20],
                b"e",
            ]
            .concat(),
        );
        let metainfo = Metainfo::from_info(info.clone()).unwrap();
        let (hashes, other) = (metainfo.hashes, SwarmKey([9; 20]));
        state.keep_metainfo(&metainfo).unwrap();
        assert_eq!(state.metainfo(hashes.swarm()).unwrap().info, info);
        let name = |swarm| folder.path().join(metainfo_name(swarm));
        fs::copy(name(hashes.swarm()), name(other)).unwrap();
        assert_eq!(state.metainfo(other), None);
        state.forget(hashes.swarm());
        assert_eq!(state.metainfo(hashes.swarm()), None);
    }

    #[test]
    fn piece_layers_are_kept_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(folder.path()).unwrap();
        let mut creator = Creator::single(b"a", 100_000);
        creator.set_version(Version::V2);
        let layout = creator.layout().unwrap();
        let mut hashes = Hashes::of(&layout);
        for piece in layout.iter() {
            let digests = creator
                .hashing(&layout, piece, 100_000)
                .digest(&Bytes::from(vec![7; 16_384]).into());
            hashes.set(piece, &digests);
        }
        let whole = Metainfo::parse(&creator.torrent(&hashes).unwrap().into()).unwrap();
        let bare = Metainfo::from_info(whole.info.clone()).unwrap();
        let swarm = whole.hashes.swarm();
        for metainfo in [bare, whole] {
            state.keep_metainfo(&metainfo).unwrap();
            assert_eq!(state.metainfo(swarm).unwrap().layers, metainfo.layers);
        }
    }

    #[test]
    fn the_secret_of_passkeys_stays() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(folder.path()).unwrap();
        let passkey = state.passkeys().unwrap().mint(5);
        assert_eq!(state.passkeys().unwrap().check(&passkey, 1), Ok(5));
        let path = folder.path().join("passkeys");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(&path, "abc").unwrap();
        assert!(state.passkeys().is_err(), "it is not replaced");
    }

    #[test]
    fn rubbish_and_links_count_as_missing() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(folder.path()).unwrap();
        fs::write(folder.path().join("swarms.json"), b"{").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", folder.path().join("token")).unwrap();
        assert!(state.swarms().is_empty());
        assert_eq!(state.token().unwrap().len(), 40);
    }
}
