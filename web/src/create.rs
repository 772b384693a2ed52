//! Making torrents of the user's own files, and .torrent files of what is known.

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
    let mut info = b"d".to_vec();
    match files {
        [file] if file.path.len() <= 1 => put(&mut info, "length", &integer(file.length)),
        files => put(&mut info, "files", &list(files)),
    }
    put(&mut info, "name", &string(name.as_bytes()));
    put(&mut info, "piece length", &integer(piece_length));
    put(&mut info, "pieces", &string(hashes));
    info.push(b'e');
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
    let mut torrent = b"d".to_vec();
    if let Some(first) = metainfo.trackers.first().and_then(|tier| tier.first()) {
        put(&mut torrent, "announce", &string(first.as_bytes()));
        let tier = |tier: &Vec<String>| wrap(tier.iter().flat_map(|url| string(url.as_bytes())));
        put(
            &mut torrent,
            "announce-list",
            &wrap(metainfo.trackers.iter().flat_map(tier)),
        );
    }
    put(&mut torrent, "info", &metainfo.info);
    if !metainfo.layers.is_empty() {
        let mut layers = b"d".to_vec();
        for (root, hashes) in metainfo.layers.entries() {
            layers.extend(string(root));
            layers.extend(string(&hashes));
        }
        layers.push(b'e');
        put(&mut torrent, "piece layers", &layers);
    }
    if !metainfo.web_seeds.is_empty() {
        let urls = metainfo.web_seeds.iter().flat_map(|url| string(url.as_bytes()));
        put(&mut torrent, "url-list", &wrap(urls));
    }
    torrent.push(b'e');
    torrent
}

fn list(files: &[SharedFile]) -> Vec<u8> {
    let folder = files.iter().all(|file| file.path.len() > 1);
    wrap(files.iter().flat_map(|file| {
        let inside = file.path.iter().skip(usize::from(folder));
        let mut entry = b"d".to_vec();
        put(&mut entry, "length", &integer(file.length));
        put(
            &mut entry,
            "path",
            &wrap(inside.flat_map(|element| string(element.as_bytes()))),
        );
        entry.push(b'e');
        entry
    }))
}

fn wrap(items: impl Iterator<Item = u8>) -> Vec<u8> {
    std::iter::once(b'l')
        .chain(items)
        .chain(std::iter::once(b'e'))
        .collect()
}

/// Adds a member to a dictionary; keys are given in order.
fn put(dict: &mut Vec<u8>, key: &str, value: &[u8]) {
    dict.extend(string(key.as_bytes()));
    dict.extend(value);
}

fn string(bytes: &[u8]) -> Vec<u8> {
    [format!("{}:", bytes.len()).as_bytes(), bytes].concat()
}

fn integer(value: u64) -> Vec<u8> {
    format!("i{value}e").into_bytes()
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
