//! A torrent as a cache of pieces.

use std::fs;

use super::*;
use crate::storage::cache::Cache;

#[test]
fn pieces_come_and_go_and_are_checked_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let sample = Sample::new(16_384, &[("f", 100_000)]);
    let layout = &sample.content.layout;
    let (cache, found) = Cache::open(dir.path(), "aa", layout.clone()).unwrap();
    assert!(found.check.is_empty());
    for number in [0, 2, 6] {
        let piece = sample.piece(number);
        cache.store(piece, &sample.data(piece)).unwrap();
    }
    let range = layout.range(6, 100, 50).unwrap();
    assert_eq!(
        &cache.load(range).unwrap()[..],
        &sample.data(sample.piece(6)).to_vec()[100..150]
    );
    cache.discard(sample.piece(2));
    assert!(cache.load(layout.range(2, 0, 1).unwrap()).is_err());
    cache.store(sample.piece(2), &sample.data(sample.piece(2))).unwrap();
    cache.discard(sample.piece(2));
    drop(cache);

    let folder = dir.path().join("cache/aa");
    fs::write(folder.join("1"), "cut short").unwrap();
    fs::write(folder.join("7"), "no such piece").unwrap();
    let (cache, found) = Cache::open(dir.path(), "aa", layout.clone()).unwrap();
    assert_eq!((numbers(&found.held), numbers(&found.check)), (vec![], vec![0, 6]));
    assert!(sample.content.matches(
        sample.piece(6),
        &cache.check(&[(sample.piece(6), SHA1)]).remove(0).unwrap()
    ));
    assert_eq!(fs::read_dir(folder).unwrap().count(), 2);
}
