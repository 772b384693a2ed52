//! File names made safe: what a torrent calls a file, as it is written to disk.
//!
//! Names come from strangers. They are changed only where a file system cannot hold them or where they could escape from the folder or deceive
//! the eye; every change puts `_`. Invariant of a [`FilePath`]: relative, at least one element, no element empty, `.`, `..`, over
//! [`MAX_ELEMENT`] bytes, or with a `/`, `\`, NUL, control or invisible format character in it.

use crate::gather::Gather;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt;

/// The longest name of a file or folder, in bytes: what Linux, macOS and Windows file systems hold.
pub const MAX_ELEMENT: usize = 255;

/// The longest path, in bytes: Linux's PATH_MAX without its NUL.
pub const MAX_PATH: usize = 4095;

/// The folder of our own state beside the content, which no torrent may write into.
const STATE_FOLDER: &str = ".tombolo";

/// The longest extension kept when a name is cut, in bytes with its dot.
const MAX_EXTENSION: usize = 16;

/// Where a file is, relative to the folder that the torrent is put in.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FilePath(Box<str>);

impl FilePath {
    /// The path whose elements a torrent gives as these bytes; `None` without any, or if it is longer than [`MAX_PATH`].
    pub fn new<'a>(elements: impl IntoIterator<Item = &'a [u8]>) -> Option<Self> {
        Self::of(&mut elements.into_iter())
    }

    fn of(elements: &mut dyn Iterator<Item = &[u8]>) -> Option<Self> {
        let mut path = String::new();
        for bytes in elements {
            if !path.is_empty() {
                path.push('/');
            }
            path.push_str(&element(bytes));
            if path.len() > MAX_PATH {
                return None;
            }
        }
        if path == STATE_FOLDER
            || path
                .strip_prefix(STATE_FOLDER)
                .is_some_and(|rest| rest.starts_with('/'))
        {
            path.replace_range(..1, "_");
        }
        (!path.is_empty()).then(|| Self(path.into()))
    }

    /// Its folders' names and then its own.
    pub fn elements(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }

    /// Its elements joined by `/`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it lies in the folder `other`, at any depth.
    pub(super) fn is_inside(&self, other: &Self) -> bool {
        self.0.strip_prefix(&*other.0).is_some_and(|rest| rest.starts_with('/'))
    }

    /// The same path with ` (number)` before its extension.
    pub(super) fn numbered(&self, number: usize) -> Self {
        let (folder, name) = self
            .0
            .rsplit_once('/')
            .map_or(("", &*self.0), |(folder, name)| (folder, name));
        let (stem, extension) = split_extension(name);
        let mark = alloc::format!(" ({number})");
        let stem = cut(stem, MAX_ELEMENT - mark.len() - extension.len());
        let slash = if folder.is_empty() { "" } else { "/" };
        Self([folder, slash, stem, &mark, extension].concat().into())
    }
}

/// One element of a path as it is written to disk.
pub fn element(bytes: &[u8]) -> String {
    let mut name = String::with_capacity(bytes.len().min(MAX_ELEMENT));
    for chunk in bytes.utf8_chunks() {
        name.extend(chunk.valid().chars().map(|c| if is_unsafe(c) { '_' } else { c }));
        if !chunk.invalid().is_empty() {
            name.push('_');
        }
    }
    if matches!(&name[..], "" | "." | "..") {
        return "_".into();
    }
    if name.len() > MAX_ELEMENT {
        let (stem, extension) = split_extension(&name);
        return [cut(stem, MAX_ELEMENT - extension.len()), extension].concat();
    }
    name
}

/// Whether no name may have that character: separators, controls, and what turns or hides text without being seen.
const fn is_unsafe(c: char) -> bool {
    matches!(c, '/' | '\\' | '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}')
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// A name in its stem and its extension with the dot; no extension if that is long or all of the name.
fn split_extension(name: &str) -> (&str, &str) {
    match name.rfind('.') {
        Some(dot) if dot > 0 && name.len() - dot <= MAX_EXTENSION => name.split_at(dot),
        _ => (name, ""),
    }
}

/// The beginning of `text` that is at most `length` bytes long.
fn cut(text: &str, length: usize) -> &str {
    &text[..text.floor_char_boundary(length)]
}

/// Gives distinct names where two files have one path, or where a file has the path of a folder: the first file keeps its name.
///
/// O(n log n): a file is numbered by its place, plus the count of files where that name is taken, so no name is tried for two files.
pub(super) fn make_distinct(paths: &mut [&mut FilePath]) {
    // Sorted by elements, a path comes right before what lies inside of it.
    let mut order: Vec<usize> = (0..paths.len()).gather();
    order.sort_unstable_by(|&a, &b| by_elements(paths[a], paths[b]).then(a.cmp(&b)));
    let mut renamed = Vec::new();
    let mut rest = &order[..];
    while let Some(&first) = rest.first() {
        let path = &*paths[first];
        let (same, others) = rest.split_at(rest.partition_point(|&other| paths[other] == path));
        let is_folder = others.first().is_some_and(|&next| paths[next].is_inside(path));
        for &file in &same[usize::from(!is_folder)..] {
            let mut candidates = (file..).step_by(paths.len()).map(|number| path.numbered(number));
            let name = candidates.find(|name| {
                let place = order.partition_point(|&other| by_elements(paths[other], name).is_lt());
                let taken = |&other: &usize| paths[other] == name || paths[other].is_inside(name);
                !order.get(place).is_some_and(taken)
            });
            name.into_iter().for_each(|name| renamed.push((file, name)));
        }
        rest = others;
    }
    for (file, name) in renamed {
        *paths[file] = name;
    }
}

/// The order of the elements, found without cutting them: no other character of a path is below a `/` that counts as 0.
fn by_elements(a: &FilePath, b: &FilePath) -> Ordering {
    let key = |byte: u8| if byte == b'/' { 0 } else { byte };
    a.0.bytes().map(key).cmp(b.0.bytes().map(key))
}

impl fmt::Display for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_changed_only_where_they_must_be() {
        let long = "ä".repeat(200) + ".mkv";
        let cut_long = "ä".repeat(125) + ".mkv";
        let table: [(&[u8], &str); 18] = [
            (b"plain.txt", "plain.txt"),
            (b" <spaces>:\"|?* stay ", " <spaces>:\"|?* stay "),
            ("日本語 ümlaut 🎉".as_bytes(), "日本語 ümlaut 🎉"),
            (b"...", "..."),
            (b"", "_"),
            (b".", "_"),
            (b"..", "_"),
            (b"../../etc/passwd", ".._.._etc_passwd"),
            (b"/etc", "_etc"),
            (b"C:\\x", "C:_x"),
            (b"a\0b\x1fc\x7f", "a_b_c_"),
            ("a\u{85}b".as_bytes(), "a_b"),
            ("exe.\u{202e}gpj".as_bytes(), "exe._gpj"),
            ("a\u{200b}\u{feff}\u{2066}b".as_bytes(), "a___b"),
            (b"bad\xff\xfeutf8", "bad__utf8"),
            (b"cut\xe6\x97", "cut_"),
            (long.as_bytes(), &cut_long),
            (&[b'x'; 300], &"x".repeat(255)),
        ];
        for (bytes, expected) in table {
            assert_eq!(element(bytes), expected, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn a_path_has_elements_and_a_bound() {
        let path = FilePath::new([&b"a"[..], b"..", b"c"]).unwrap();
        assert_eq!(path.elements().collect::<Vec<_>>(), ["a", "_", "c"]);
        assert_eq!(FilePath::new([]), None);
        assert!(FilePath::new([&[b'x'; 255][..]; 16]).is_some());
        assert_eq!(FilePath::new([&[b'x'; 255][..]; 17]), None);
    }

    #[test]
    fn our_own_state_is_out_of_reach() {
        assert_eq!(FilePath::new([&b".tombolo"[..]]).unwrap().as_str(), "_tombolo");
        assert_eq!(FilePath::new([&b".tombolo"[..], b"x"]).unwrap().as_str(), "_tombolo/x");
        assert_eq!(FilePath::new([&b"x"[..], b".tombolo"]).unwrap().as_str(), "x/.tombolo");
        assert_eq!(FilePath::new([&b".tombolos"[..]]).unwrap().as_str(), ".tombolos");
    }

    fn distinct(paths: &[&str]) -> Vec<String> {
        let mut paths: Vec<_> = paths
            .iter()
            .map(|path| FilePath::new(path.split('/').map(str::as_bytes)).unwrap())
            .collect();
        make_distinct(&mut paths.iter_mut().collect::<Vec<_>>());
        paths.iter().map(|path| path.as_str().into()).collect()
    }

    #[test]
    fn two_files_of_one_path_get_distinct_names() {
        assert_eq!(distinct(&["a", "A", "b/a"]), ["a", "A", "b/a"]);
        assert_eq!(
            distinct(&["d/a.txt", "d/a.txt", "d/a (1).txt", "d/a.txt"]),
            ["d/a.txt", "d/a (5).txt", "d/a (1).txt", "d/a (3).txt"]
        );
        let long = "x".repeat(255);
        assert_eq!(distinct(&[&long, &long]), [long.clone(), "x".repeat(251) + " (1)"]);
        let (one, two) = ("x".repeat(254) + "1", "x".repeat(254) + "2");
        let cut = "x".repeat(251);
        assert_eq!(
            distinct(&[&one, &two, &one, &two]),
            [one.clone(), two.clone(), cut.clone() + " (2)", cut + " (3)"]
        );
    }

    #[test]
    fn a_file_makes_way_for_the_folder_of_its_path() {
        assert_eq!(
            distinct(&["a", "a b", "a/b", "a/b/c"]),
            ["a (0)", "a b", "a/b (2)", "a/b/c"]
        );
        assert_eq!(
            distinct(&["a/x", "a", "a", "a (1)/x"]),
            ["a/x", "a (5)", "a (2)", "a (1)/x"]
        );
    }

    #[test]
    fn many_files_of_one_path_take_no_quadratic_time() {
        let paths = alloc::vec!["same.txt"; 10_000];
        let names: alloc::collections::BTreeSet<_> = distinct(&paths).into_iter().collect();
        assert_eq!(names.len(), paths.len());
    }
}
