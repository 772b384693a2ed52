//! Making torrents of the user's own files, and .torrent files of what is known.

use tombolo_core::bencode::Writer;
use tombolo_core::metainfo::Metainfo;

/// The shortest and the longest piece chosen by itself, in bytes.
const SHORTEST_PIECE: u64 = 64 << 10;
const LONGEST_PIECE: u64 = 16 << 20;

/// About how many pieces a torrent is cut into: enough for many peers to hold different ones, few enough for a short list.
const PIECES: u64 = 1500;

/// A file to be shared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SharedFile {
    /// Its path; the first element is the folder that was shared, if one was.
    pub(crate) path: Vec<String>,
    /// Its length in bytes.
    pub(crate) length: u64,
}

/// The length of pieces for so many bytes: a power of two.
pub(crate) fn piece_length(total: u64) -> u64 {
    (total / PIECES)
        .next_power_of_two()
        .clamp(SHORTEST_PIECE, LONGEST_PIECE)
}

/// The info dictionary of these files (BEP 3). One file without a folder makes a single-file torrent, which has only
/// `length`, `name`, `piece length` and `pieces`.
pub(crate) fn info(files: &[SharedFile], name: &str, piece_length: u64, hashes: &[u8]) -> Vec<u8> {
    let mut info = Vec::new();
    Writer::new(&mut info).dict(|info| {
        match files {
            [file] if file.path.len() <= 1 => info.integer("length", file.length as i64),
            files => info.entry("files").list(|list| put_files(list, files)),
        }
        info.bytes("name", name);
        info.integer("piece length", piece_length as i64);
        info.bytes("pieces", hashes);
    });
    info
}

/// The name of a torrent of these files: the folder that was shared, or the one file.
pub(crate) fn name(files: &[SharedFile]) -> String {
    let first = files.first().and_then(|file| file.path.first());
    let folder = first.filter(|folder| {
        files
            .iter()
            .all(|file| file.path.len() > 1 && file.path.first() == Some(folder))
    });
    match (folder, files) {
        (Some(folder), _) => folder.clone(),
        (None, [file]) => file.path.last().cloned().unwrap_or_else(|| String::from("file")),
        (None, files) => format!("{} files", files.len()),
    }
}

/// The .torrent of a torrent with the trackers it is known to have.
pub(crate) fn with_trackers(metainfo: &Metainfo) -> Vec<u8> {
    let mut torrent = Vec::new();
    Writer::new(&mut torrent).dict(|torrent| {
        if let Some(first) = metainfo.trackers.first().and_then(|tier| tier.first()) {
            torrent.bytes("announce", first);
            torrent.entry("announce-list").list(|tiers| {
                for tier in &metainfo.trackers {
                    put_texts(tiers, tier);
                }
            });
        }
        torrent.entry("info").raw(&metainfo.info);
        if !metainfo.layers.is_empty() {
            torrent.entry("piece layers").dict(|layers| {
                for (root, hashes) in metainfo.layers.entries() {
                    layers.entry(root).bytes(&hashes);
                }
            });
        }
        if !metainfo.web_seeds.is_empty() {
            put_texts(&mut torrent.entry("url-list"), &metainfo.web_seeds);
        }
    });
    torrent
}

fn put_files(list: &mut Writer<'_>, files: &[SharedFile]) {
    let folder = usize::from(files.iter().all(|file| file.path.len() > 1));
    for file in files {
        list.dict(|entry| {
            entry.integer("length", file.length as i64);
            put_texts(&mut entry.entry("path"), file.path.get(folder..).unwrap_or_default());
        });
    }
}

fn put_texts(writer: &mut Writer<'_>, texts: &[String]) {
    writer.list(|list| texts.iter().for_each(|text| list.bytes(text.as_bytes())));
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn file(path: &[&str], length: u64) -> SharedFile {
        SharedFile {
            path: path.iter().map(ToString::to_string).collect(),
            length,
        }
    }

    #[test]
    fn one_file_has_four_fields() {
        let files = [file(&["a.bin"], 5)];
        let info = info(&files, &name(&files), 16384, &[b'x'; 20]);
        assert_eq!(
            info,
            b"d6:lengthi5e4:name5:a.bin12:piece lengthi16384e6:pieces20:xxxxxxxxxxxxxxxxxxxxe"
        );
        let metainfo = Metainfo::from_info(Bytes::from(info)).unwrap();
        assert_eq!(
            (metainfo.name.as_str(), metainfo.files.len(), metainfo.multi_file),
            ("a.bin", 1, false)
        );
    }

    #[test]
    fn a_folder_keeps_its_name_and_paths() {
        let files = [file(&["d", "b"], 16384), file(&["d", "e", "c"], 3)];
        assert_eq!(name(&files), "d");
        let metainfo = Metainfo::from_info(Bytes::from(info(&files, "d", 16384, &[7; 40]))).unwrap();
        let paths: Vec<_> = metainfo.files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, ["d/b", "d/e/c"]);
    }

    #[test]
    fn loose_files_are_put_in_a_folder() {
        let files = [file(&["b"], 1), file(&["c"], 2)];
        assert_eq!(name(&files), "2 files");
        let metainfo = Metainfo::from_info(Bytes::from(info(&files, "2 files", 16384, &[7; 20]))).unwrap();
        assert_eq!(metainfo.files[1].path.as_str(), "2 files/c");
    }

    #[test]
    fn a_torrent_comes_back_with_its_trackers() {
        let files = [file(&["a"], 5)];
        let mut metainfo = Metainfo::from_info(Bytes::from(info(&files, "a", 16384, &[7; 20]))).unwrap();
        metainfo.trackers = vec![
            vec![String::from("wss://a"), String::from("wss://b")],
            vec![String::from("udp://c:1")],
        ];
        metainfo.web_seeds = vec![String::from("https://d/")];
        assert_eq!(Metainfo::parse(&with_trackers(&metainfo).into()).unwrap(), metainfo);
    }

    #[test]
    fn pieces_grow_with_the_whole() {
        assert_eq!(piece_length(1), 64 << 10);
        assert_eq!(piece_length(256 << 20), 256 << 10);
        assert_eq!(piece_length(u64::MAX / 2), 16 << 20);
    }
}
