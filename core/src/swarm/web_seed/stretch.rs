//! What a web seed is asked for, to get a run of blocks: stretches of its files (BEP 19) or of pieces (BEP 17), and their URLs.
//!
//! Invariant: the stretches of a run have its bytes in order and nothing else. Cost: a search among the files for each piece.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

use crate::layout::{Block, Layout};
use crate::metainfo::Metainfo;
use crate::percent;

/// Where bytes come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// From that file.
    File(usize),
    /// From that piece (BEP 17).
    Piece(u32),
    /// From nowhere: they are zeros (BEP 47: pad files are never asked for).
    Zeros,
}

/// Bytes that are asked for at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) place: Place,
    /// The first of them, within the file or piece.
    pub(super) start: u64,
    pub(super) length: u64,
}

/// The stretches of a run of blocks that lie one after the other; by pieces for a server of BEP 17.
pub(super) fn of(metainfo: &Metainfo, blocks: &[Block], by_pieces: bool) -> Vec<Stretch> {
    let mut stretches = Vec::new();
    for block in blocks {
        let range = metainfo.layout.block_range(*block);
        let (begin, length) = (u64::from(range.begin), u64::from(range.length));
        if by_pieces {
            let place = Place::Piece(block.piece.number());
            append(&mut stretches, place, begin, length);
        } else {
            of_files(
                metainfo,
                metainfo.layout.offset(block.piece) + begin,
                length,
                &mut stretches,
            );
        }
    }
    stretches
}

/// Appends the parts of files that are the bytes from `start` of the torrent.
fn of_files(metainfo: &Metainfo, start: u64, length: u64, stretches: &mut Vec<Stretch>) {
    let end = start + length;
    let first = metainfo
        .files
        .partition_point(|file| file.offset + file.length <= start);
    for (number, file) in metainfo.files.iter().enumerate().skip(first) {
        let (from, to) = (start.max(file.offset), end.min(file.offset + file.length));
        if file.offset >= end {
            break;
        }
        if from < to {
            let place = if file.pad { Place::Zeros } else { Place::File(number) };
            append(stretches, place, from - file.offset, to - from);
        }
    }
}

fn append(stretches: &mut Vec<Stretch>, place: Place, start: u64, length: u64) {
    match stretches.last_mut() {
        Some(last) if last.place == place && last.start + last.length == start => last.length += length,
        _ => stretches.push(Stretch { place, start, length }),
    }
}

/// The URL to ask for a stretch.
pub(super) fn url(seed: &str, metainfo: &Metainfo, stretch: &Stretch) -> String {
    let mut url = String::from(seed);
    match stretch.place {
        Place::File(number) => {
            let elements = metainfo.files.get(number).map(|file| file.path.elements());
            // BEP 19: the URL of a folder, even if it does not end so; that of a file, unless it does.
            if metainfo.multi_file && !url.ends_with('/') {
                url.push('/');
            }
            if url.ends_with('/') {
                for (at, element) in elements.into_iter().flatten().enumerate() {
                    if at > 0 {
                        url.push('/');
                    }
                    percent::encode(element.as_bytes(), &mut url);
                }
            }
        }
        Place::Piece(piece) => {
            url.push_str(if url.contains('?') {
                "&info_hash="
            } else {
                "?info_hash="
            });
            percent::encode(&metainfo.hashes.swarm().0, &mut url);
            let (first, last) = (stretch.start, stretch.start + stretch.length - 1);
            // Writing to a string does not fail.
            let _ = write!(url, "&piece={piece}&ranges={first}-{last}");
        }
        Place::Zeros => {}
    }
    url
}

/// How many of `blocks` lie one after the other, from the first on.
pub(super) fn run(layout: &Layout, blocks: &[Block]) -> usize {
    let mut count = 0;
    while let Some(next) = blocks.get(count) {
        let follows = count == 0 || {
            let one = blocks[count - 1];
            one.piece == next.piece && one.number + 1 == next.number
                || one.piece.number() + 1 == next.piece.number()
                    && next.number == 0
                    && one.number + 1 == layout.blocks(one.piece)
        };
        if !follows {
            break;
        }
        count += 1;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::BLOCK;
    use crate::metainfo::create::{Creator, Hashes, NewFile, Version};

    const PIECE: u64 = 2 * BLOCK as u64;

    fn metainfo(version: Version, files: &[(&[u8], u64)]) -> Metainfo {
        let names = |name: &[u8]| name.split(|byte| *byte == b'/').map(<[u8]>::to_vec).collect();
        let file = |&(name, length): &(&[u8], u64)| NewFile::new(names(name), length);
        let mut creator = Creator::folder("fo ü".as_bytes(), files.iter().map(file).collect());
        creator.piece_length = PIECE;
        creator.set_version(version);
        let layout = creator.layout().unwrap();
        let offsets = creator.offsets().unwrap();
        let mut hashes = Hashes::of(&layout);
        for piece in layout.iter() {
            let file = offsets.partition_point(|&offset| offset <= layout.offset(piece)) - 1;
            let data = bytes::Bytes::from(alloc::vec![0; layout.piece_length(piece) as usize]);
            let hashing = creator.hashing(&layout, piece, files[file].1);
            hashes.set(piece, &hashing.digest(&data.into()));
        }
        let torrent = creator.torrent(&hashes).unwrap();
        Metainfo::parse(&torrent.into()).unwrap()
    }

    fn single(name: &str) -> Metainfo {
        let info = alloc::format!(
            "d6:lengthi100e4:name{}:{name}12:piece lengthi16384e6:pieces20:{}e",
            name.len(),
            "x".repeat(20)
        );
        Metainfo::from_info(info.into()).unwrap()
    }

    fn all(metainfo: &Metainfo) -> Vec<Block> {
        let blocks = |piece| (0..metainfo.layout.blocks(piece)).map(move |number| Block { piece, number });
        metainfo.layout.iter().flat_map(blocks).collect()
    }

    fn places(metainfo: &Metainfo, by_pieces: bool) -> Vec<(Place, u64, u64)> {
        let stretches = of(metainfo, &all(metainfo), by_pieces);
        stretches.iter().map(|s| (s.place, s.start, s.length)).collect()
    }

    #[test]
    fn a_run_goes_from_file_to_file() {
        let files: [(&[u8], u64); 4] = [(b"a", 10), (b"b", 0), (b"c", 2 * PIECE), (b"d", 5)];
        let v1 = metainfo(Version::V1, &files);
        let file = Place::File;
        assert_eq!(
            places(&v1, false),
            [(file(0), 0, 10), (file(2), 0, 2 * PIECE), (file(3), 0, 5)]
        );
        let pieces = Place::Piece;
        assert_eq!(
            places(&v1, true),
            [(pieces(0), 0, PIECE), (pieces(1), 0, PIECE), (pieces(2), 0, 15)]
        );
    }

    #[test]
    fn what_aligns_files_is_never_asked_for() {
        let files: [(&[u8], u64); 3] = [(b"a", 10), (b"c", PIECE + 1), (b"d", 5)];
        for version in [Version::V2, Version::Hybrid] {
            let metainfo = metainfo(version, &files);
            let lengths: Vec<_> = places(&metainfo, false).iter().map(|place| place.2).collect();
            assert_eq!(lengths, [10, PIECE + 1, 5]);
        }
        // Padding that ends within a piece is content, and still nobody has to send it.
        let pad = "d4:attr1:p6:lengthi6e4:pathl1:peed6:lengthi100e4:pathl1:zeee";
        let info = alloc::format!(
            "d5:filesld6:lengthi10e4:pathl1:aee{pad}4:name1:n12:piece lengthi16384e6:pieces20:{}e",
            "x".repeat(20)
        );
        let metainfo = Metainfo::from_info(info.into()).unwrap();
        assert_eq!(
            places(&metainfo, false),
            [(Place::File(0), 0, 10), (Place::Zeros, 0, 6), (Place::File(2), 0, 100)]
        );
    }

    #[test]
    fn urls_are_as_their_bep_says() {
        let stretch = |place| Stretch {
            place,
            start: 5,
            length: 10,
        };
        let of = |seed: &str, metainfo: &Metainfo, place| url(seed, metainfo, &stretch(place));
        let one = single("a b?.bin");
        assert_eq!(of("http://h/x.bin", &one, Place::File(0)), "http://h/x.bin");
        assert_eq!(of("http://h/d/", &one, Place::File(0)), "http://h/d/a%20b%3F.bin");
        let many = metainfo(Version::V1, &[(b"x", 1), ("ä/#1".as_bytes(), 9)]);
        for seed in ["http://h/d", "http://h/d/"] {
            assert_eq!(of(seed, &many, Place::File(1)), "http://h/d/fo%20%C3%BC/%C3%A4/%231");
        }
        let hoffman = of("http://h/seed.php", &one, Place::Piece(0));
        assert!(hoffman.starts_with("http://h/seed.php?info_hash=%"), "{hoffman}");
        assert!(hoffman.ends_with("&piece=0&ranges=5-14"), "{hoffman}");
        assert!(of("http://h/s?k=1", &one, Place::Piece(7)).starts_with("http://h/s?k=1&info_hash="));
    }

    #[test]
    fn only_what_lies_together_is_a_run() {
        let metainfo = metainfo(Version::V1, &[(b"a", 4 * PIECE)]);
        let all = all(&metainfo);
        let length = |places: &[usize]| {
            let blocks: Vec<Block> = places.iter().map(|&at| all[at]).collect();
            run(&metainfo.layout, &blocks)
        };
        assert_eq!(length(&[]), 0);
        assert_eq!(length(&[1, 2, 3]), 3);
        assert_eq!(length(&[0, 2, 3]), 1);
        assert_eq!(length(&[0, 1, 4]), 2);
        assert_eq!(length(&[3, 2]), 1);
    }
}
