//! A torrent that is accepted keeps the promises of its type: safe and distinct paths, files that fill the layout, the hash of the bytes.

use bytes::Bytes;
use std::collections::BTreeSet;
use tombolo_core::metainfo::{MAX_ELEMENT, Metainfo, element};

fn keep_promises(metainfo: &Metainfo) {
    let mut paths = BTreeSet::new();
    let mut end = 0;
    for file in &metainfo.files {
        for name in file.path.elements() {
            assert!(
                name.len() <= MAX_ELEMENT && element(name.as_bytes()) == name,
                "{name:?}"
            );
        }
        assert!(file.offset >= end);
        end = file.offset + file.length;
        assert!(file.pad || paths.insert(file.path.as_str()), "{}", file.path);
    }
    for path in &paths {
        let inside = [path, "/"].concat();
        assert!(
            !paths
                .range(&inside[..]..)
                .next()
                .is_some_and(|next| next.starts_with(&inside)),
            "{path}"
        );
    }
    assert_eq!(end, metainfo.layout.end());
    let lengths = metainfo
        .layout
        .iter()
        .map(|piece| u64::from(metainfo.layout.piece_length(piece)));
    assert_eq!(lengths.sum::<u64>(), metainfo.layout.total());
    assert_eq!(metainfo.layers.is_empty(), metainfo.hashes.v2().is_none());
    let hashed = metainfo.hashes.v1().map_or(0, |_| metainfo.layout.pieces());
    assert_eq!(metainfo.piece_hashes.len(), 20 * hashed);
    assert!(
        metainfo
            .layout
            .iter()
            .all(|piece| metainfo.piece_hash(piece).is_some() == (hashed > 0))
    );
}

/// Checks one input.
pub(crate) fn check(data: &[u8]) {
    let data = Bytes::copy_from_slice(data);
    if let Ok(metainfo) = Metainfo::parse(&data) {
        keep_promises(&metainfo);
        let alone = Metainfo::from_info(metainfo.info.clone()).expect("its info dictionary alone");
        assert_eq!((alone.hashes, alone.files), (metainfo.hashes, metainfo.files));
    }
    if let Ok(metainfo) = Metainfo::from_info(data) {
        keep_promises(&metainfo);
    }
}
