//! Whom the tracker serves, and with which swarms: lists of info-hashes in files, and passkeys.
//!
//! A file is read again when it has changed, and at SIGHUP; while it cannot be read, or has a line that is no hash, the list stays as it was.
//! Cost: a look at the files a second; where there are no lists, an announce costs nothing.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use tokio::signal::unix::{SignalKind, signal};
use tombolo_core::key::SwarmKey;
use tombolo_core::tracker::list::HashList;
use tombolo_core::tracker::passkey::{PasskeyError, Passkeys};

use crate::lists;
use crate::serve::ServeError;
use crate::system;

/// How often the files are looked at.
const ROUND: Duration = Duration::from_secs(1);

/// Whom the tracker is to serve.
#[derive(Clone, Debug, Default)]
pub struct AccessConfig {
    /// A file of the info-hashes that alone are served.
    pub allow: Option<PathBuf>,
    /// A file of info-hashes that are not served.
    pub deny: Option<PathBuf>,
    /// Whether an announce needs a passkey.
    pub private: bool,
}

/// What an announce may have been signed with: until when that is good, in Unix seconds (0: for ever).
pub(crate) type Pass = Result<u64, PasskeyError>;

/// The rules.
#[derive(Debug, Default)]
pub(crate) struct Access {
    allow: Option<Watched>,
    deny: Option<Watched>,
    passkeys: Option<Passkeys>,
}

/// A list and the file that it is in.
#[derive(Debug)]
struct Watched {
    path: PathBuf,
    list: RwLock<(HashList, Stamp)>,
}

/// By what a file is known to be another: when it was changed, its length and its number.
type Stamp = Option<(SystemTime, u64, u64)>;

impl Access {
    /// Reads the lists. `passkeys` are those of a private tracker.
    ///
    /// # Errors
    /// A list cannot be read.
    pub(crate) fn open(config: &AccessConfig, passkeys: Option<Passkeys>) -> Result<Self, ServeError> {
        let watch = |path: &Option<PathBuf>| path.clone().map(Watched::open).transpose();
        Ok(Self {
            allow: watch(&config.allow)?,
            deny: watch(&config.deny)?,
            passkeys,
        })
    }

    /// Whether a swarm is served.
    pub(crate) fn serves(&self, swarm: SwarmKey) -> bool {
        self.allow.as_ref().is_none_or(|list| list.has(swarm)) && !self.denies(swarm)
    }

    /// Whether a swarm must not be served, by whatever part of the relay.
    pub(crate) fn denies(&self, swarm: SwarmKey) -> bool {
        self.deny.as_ref().is_some_and(|list| list.has(swarm))
    }

    /// What the passkey of a URL is worth.
    pub(crate) fn pass(&self, passkey: Option<&str>) -> Pass {
        match &self.passkeys {
            None => Ok(0),
            Some(keys) => keys.check(passkey.unwrap_or_default(), unix()),
        }
    }

    /// Whether a pass that was good still is.
    pub(crate) fn still(&self, pass: Pass) -> Result<(), PasskeyError> {
        match pass? {
            until if until != 0 && until <= unix() => Err(PasskeyError::Expired(until)),
            _ => Ok(()),
        }
    }

    /// Keeps the lists as their files are, for ever.
    pub(crate) async fn watch(self: Arc<Self>) {
        if self.lists().next().is_none() {
            return;
        }
        let Ok(mut hangup) = signal(SignalKind::hangup()) else {
            return;
        };
        loop {
            let forced = tokio::select! {
                _ = hangup.recv() => true,
                () = tokio::time::sleep(ROUND) => false,
            };
            // One of millions of hashes takes a while.
            let access = self.clone();
            let read = move || access.lists().for_each(|list| list.refresh(forced));
            // If it panicked, it has said so.
            let _ = tokio::task::spawn_blocking(read).await;
        }
    }

    fn lists(&self) -> impl Iterator<Item = &Watched> {
        self.allow.iter().chain(&self.deny)
    }
}

impl Watched {
    fn open(path: PathBuf) -> Result<Self, ServeError> {
        let stamp = stamp(&path);
        match read(&path) {
            Ok(list) => Ok(Self {
                list: RwLock::new((list, stamp)),
                path,
            }),
            Err(message) => Err(ServeError { code: "list", message }),
        }
    }

    fn has(&self, swarm: SwarmKey) -> bool {
        self.list.read().unwrap_or_else(PoisonError::into_inner).0.has(swarm)
    }

    /// Reads the file again if it is another than it was, or when told to.
    fn refresh(&self, forced: bool) {
        let stamp = stamp(&self.path);
        let is_same = |known: &Stamp| *known == stamp;
        if !forced && is_same(&self.list.read().unwrap_or_else(PoisonError::into_inner).1) {
            return;
        }
        let found = read(&self.path);
        let mut list = self.list.write().unwrap_or_else(PoisonError::into_inner);
        list.1 = stamp;
        match found {
            Ok(found) => {
                tracing::info!(list = %self.path.display(), hashes = found.len(), "a list is read");
                list.0 = found;
            }
            Err(message) => tracing::warn!(why = message, "a list stays as it was"),
        }
    }
}

fn stamp(path: &Path) -> Stamp {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len(), metadata.ino()))
}

fn read(path: &Path) -> Result<HashList, String> {
    let told = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    // A pipe could not be read a second time.
    if !std::fs::metadata(path).map_err(|error| told(&error))?.is_file() {
        return Err(told(&"no file"));
    }
    let text = lists::text(path).map_err(|error| told(&error))?;
    HashList::parse(&text).map_err(|error| told(&error))
}

fn unix() -> u64 {
    system::unix() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const SWARM: SwarmKey = SwarmKey([0xab; 20]);
    const OTHER: SwarmKey = SwarmKey([0xcd; 20]);

    fn access(allow: Option<&Path>, deny: Option<&Path>) -> Result<Access, ServeError> {
        let config = AccessConfig {
            allow: allow.map(Path::to_owned),
            deny: deny.map(Path::to_owned),
            private: false,
        };
        Access::open(&config, None)
    }

    #[test]
    fn lists_say_what_is_served() {
        let folder = tempfile::tempdir().unwrap();
        let (one, both) = (folder.path().join("one"), folder.path().join("both"));
        std::fs::write(&one, "ab".repeat(20)).unwrap();
        std::fs::write(&both, format!("{}\n{}\n", "ab".repeat(20), "cd".repeat(20))).unwrap();
        for (allow, deny, serves) in [
            (None, None, (true, true)),
            (Some(&one), None, (true, false)),
            (None, Some(&one), (false, true)),
            (Some(&both), Some(&one), (false, true)),
        ] {
            let access = access(allow.map(PathBuf::as_path), deny.map(PathBuf::as_path)).unwrap();
            assert_eq!((access.serves(SWARM), access.serves(OTHER)), serves);
        }
    }

    #[test]
    fn a_list_follows_its_file_and_survives_a_bad_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list");
        assert_eq!(access(Some(&path), None).unwrap_err().code, "list");
        std::fs::write(&path, "ab".repeat(20)).unwrap();
        let access = access(Some(&path), None).unwrap();
        let list = access.allow.as_ref().unwrap();
        for (file, serves) in [
            ("cd".repeat(20), (false, true)),
            ("no hash".into(), (false, true)),
            (String::new(), (false, false)),
        ] {
            std::fs::write(&path, file).unwrap();
            list.refresh(true);
            assert_eq!((access.serves(SWARM), access.serves(OTHER)), serves);
        }
        std::fs::write(&path, "ab".repeat(20) + "\n\n").unwrap();
        list.refresh(false);
        assert!(access.serves(SWARM), "its length is another");
        std::fs::remove_file(&path).unwrap();
        list.refresh(false);
        assert!(access.serves(SWARM), "it is gone, and the list stays");
    }

    #[test]
    fn a_pass_ends() {
        let keys = Passkeys::new([1; 32]);
        let access = Access {
            passkeys: Some(keys.clone()),
            ..Access::default()
        };
        let (past, future) = (unix() - 1, unix() + 1_000);
        assert_eq!(access.pass(None), Err(PasskeyError::Malformed));
        assert_eq!(access.pass(Some(&keys.mint(past))), Err(PasskeyError::Expired(past)));
        let pass = access.pass(Some(&keys.mint(future)));
        assert_eq!((pass, access.still(pass)), (Ok(future), Ok(())));
        assert_eq!(access.still(Ok(past)), Err(PasskeyError::Expired(past)));
        assert_eq!(access.still(access.pass(Some(&keys.mint(0)))), Ok(()));
        assert_eq!(Access::default().pass(None), Ok(0));
    }
}
