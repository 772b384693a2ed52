//! Whatever is asked of a hash tree or answered about it: nothing panics, what is proven has the length that was asked for and follows
//! from the root, and what is learnt is what the tree has.

use bytes::Bytes;
use tombolo_core::merkle::HASH;
use tombolo_core::metainfo::Metainfo;
use tombolo_core::wire::hashes::{HEAD, HashRange, nodes};

const TORRENT: &[u8] = include_bytes!("../../data/v2-mix.torrent");

/// Checks one input.
pub(crate) fn check(data: &[u8]) {
    let Some(head) = data.first_chunk::<HEAD>() else { return };
    let full = Metainfo::parse(&Bytes::from_static(TORRENT))
        .expect("libtorrent made it")
        .layers;
    let info = Metainfo::parse(&Bytes::from_static(TORRENT))
        .expect("libtorrent made it")
        .info;
    let mut bare = Metainfo::from_info(info).expect("its info dictionary").layers;
    // A root that exists, half of the time.
    let mut head = *head;
    let known = full.entries().nth(usize::from(head[0] & 3)).map(|(root, _)| *root);
    if let Some(root) = known.filter(|_| head[1] & 1 == 0) {
        head[..HASH].copy_from_slice(&root);
    }
    let Some(range) = HashRange::decode(&head) else { return };
    assert_eq!(range.encode(), head);
    bare.learn(&range, &data[HEAD..]);
    assert!(!bare.is_complete() || bare == full, "it learnt what is not so");
    match full.needs(&range) {
        Some(pieces) if pieces.is_empty() => {
            let answer = full.prove(&range, &[]).expect("nothing is missing");
            let (all, _) = nodes(&range, &answer).expect("as many as were asked for");
            assert_eq!(all.len(), range.length as usize);
            bare.learn(&range, &answer);
        }
        Some(_) => assert!(
            full.prove(&range, &[])
                .is_none_or(|answer| nodes(&range, &answer).is_some())
        ),
        None => assert_eq!(full.prove(&range, &[]), None),
    }
}
