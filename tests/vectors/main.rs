//! Torrents that libtorrent 2.1.1 made (`tests/data`), against what we make of the same content.
//!
//! Byte i of a file is (7 i + the length of its path + i / 256) modulo 256; that of the single file, 1 in place of the path's length.

use bytes::Bytes;
use tombolo_core::key::hex;
use tombolo_core::metainfo::create::{Creator, Hashes, NewFile, Version};
use tombolo_core::metainfo::{Metainfo, Verdict};

const FILES: [(&str, usize); 6] = [
    ("empty", 0),
    ("one-block", 16_384),
    ("small", 5_000),
    ("sub/three-pieces", 65_537),
    ("sub/whole", 32_768),
    ("z", 40_000),
];

fn content(length: usize, seed: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 7 + seed + (at >> 8)) as u8).collect()
}

fn data(path: &str) -> Vec<u8> {
    FILES
        .iter()
        .find(|(name, _)| path == format!("mix/{name}"))
        .map_or_else(|| content(100_000, 1), |(name, length)| content(*length, name.len()))
}

/// The bytes of a torrent, with zeros where it has gaps.
fn all(metainfo: &Metainfo) -> Bytes {
    let mut bytes = vec![0; metainfo.layout.end() as usize];
    for file in metainfo.files.iter().filter(|file| !file.pad) {
        let data = data(file.path.as_str());
        assert_eq!(data.len() as u64, file.length, "{}", file.path);
        bytes[file.offset as usize..][..data.len()].copy_from_slice(&data);
    }
    bytes.into()
}

fn creator(name: &str, version: Version) -> Creator {
    let names = |path: &str| path.split('/').map(|name| name.as_bytes().to_vec()).collect();
    let file = |(path, length): &(&str, usize)| NewFile::new(names(path), *length as u64);
    let mut creator = match name {
        "mix" => Creator::folder(b"mix", FILES.iter().map(file).collect()),
        _ => Creator::single(b"single.bin", 100_000),
    };
    creator.piece_length = 32_768;
    creator.set_version(version);
    creator
}

fn check(torrent: &'static [u8], name: &str, version: Version, (v1, v2): (Option<&str>, &str)) {
    let metainfo = Metainfo::parse(&Bytes::from_static(torrent)).expect("libtorrent made it");
    assert_eq!(metainfo.hashes.v1().map(|hash| hash.to_string()).as_deref(), v1);
    assert_eq!(metainfo.hashes.v2().map(|hash| hash.to_string()).as_deref(), Some(v2));
    let (bytes, mut hashes) = (all(&metainfo), Hashes::of(&metainfo.layout));
    for piece in metainfo.layout.iter() {
        let start = metainfo.layout.offset(piece) as usize;
        let data = bytes.slice(start..start + metainfo.layout.piece_length(piece) as usize);
        let digests = metainfo.hashing(piece).digest(&data.into());
        assert_eq!(
            metainfo.is_right(piece, &digests),
            Some(Verdict::Right),
            "{name} {piece:?}"
        );
        hashes.set(piece, &digests);
    }
    let ours = creator(name, version).torrent(&hashes).expect("it can be made");
    let ours = Metainfo::parse(&ours.into()).expect("we read what we make");
    assert_eq!(ours.layers, metainfo.layers);
    assert_eq!(
        hex(&ours.info),
        hex(&metainfo.info),
        "the same dictionary, so the same hashes"
    );
}

#[test]
fn v2_of_many_files() {
    let v2 = "b63f8814a9669e5343d0c1c2d395f78ad3a017211dc42b4a1dbfcd9fb2a82c73";
    check(include_bytes!("../data/v2-mix.torrent"), "mix", Version::V2, (None, v2));
}

#[test]
fn a_hybrid_of_many_files() {
    let v1 = "721ee2caa0713c9f3e4937fb4110c9cf60d60ab4";
    let v2 = "72f7a47aa4fa8da08fc699fc9537aa3edfb8a77f8523ea1be08012c79780536b";
    check(
        include_bytes!("../data/hybrid-mix.torrent"),
        "mix",
        Version::Hybrid,
        (Some(v1), v2),
    );
}

#[test]
fn v2_of_a_single_file() {
    let v2 = "0140d4eac0410fe7c1a59ee0b12d306375daa1ef418060f751ae95b35e0cd987";
    check(
        include_bytes!("../data/v2-single.torrent"),
        "single",
        Version::V2,
        (None, v2),
    );
}

#[test]
fn a_hybrid_of_a_single_file() {
    let v1 = "46f639669e4f12498c0fd893b4b3e4e4090bfb54";
    let v2 = "8e9235803199e02fc1377695639f67a05c2599fdc19089f96d129e9dc36d5043";
    check(
        include_bytes!("../data/hybrid-single.torrent"),
        "single",
        Version::Hybrid,
        (Some(v1), v2),
    );
}

/// A torrent of 732,766,208 bytes in 1,398 pieces of 512 KiB.
#[test]
fn the_golden_metainfo_is_read() {
    let hashes = vec![0x5a; 27_960];
    let info = [
        &b"d6:lengthi732766208e4:name10:golden.iso12:piece lengthi524288e6:pieces27960:"[..],
        &hashes,
        b"e",
    ]
    .concat();
    let torrent = [b"d8:announce28:http://tracker.test/announce4:info", &info[..], b"e"].concat();
    let metainfo = Metainfo::parse(&torrent.into()).expect("it is well formed");
    assert_eq!(metainfo.info, info);
    let layout = &metainfo.layout;
    assert_eq!((layout.pieces(), layout.total()), (1_398, 732_766_208));
    let last = layout.iter().next_back().expect("a piece");
    assert_eq!(layout.piece_length(last), 732_766_208 - 1_397 * 524_288);
}
