//! A torrent as files.

use std::fs;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};

use tombolo_core::digest::Digests;

use super::*;

/// Files with odd sizes, empty ones at every place, a pad, several in one piece.
fn odd() -> Sample {
    Sample::new(
        16_384,
        &[
            ("t/empty first", 0),
            ("t/a", 20_001),
            ("t/sub/one", 1),
            ("t/sub/empty", 0),
            ("t/sub/two!", 3),
            ("t/b", 40_000),
            ("pad/5531", 5_531),
            ("t/c", 7),
            ("t/empty last", 0),
        ],
    )
}

/// The digests of a piece that is there.
fn check(files: &Files, piece: Piece) -> Digests {
    files.check(&[(piece, SHA1)]).remove(0).unwrap()
}

#[test]
fn every_file_is_final_when_the_last_piece_is_stored() {
    let (dir, sample) = (tempfile::tempdir().unwrap(), odd());
    let (files, found) = sample.open(dir.path(), &[]);
    assert!(found.held.is_empty() && found.check.is_empty());
    sample.store(&files, [3, 0, 2, 1, 4]);
    sample.assert_whole(dir.path());
    let mode = |name| fs::metadata(dir.path().join(name)).unwrap().permissions().mode() & 0o111;
    assert_ne!(mode("t/sub/two!"), 0);
    assert_eq!(mode("t/sub/one"), 0);
    for piece in sample.content.layout.iter() {
        assert_eq!(check(&files, piece).v1, Some(digest(&sample.data(piece).to_vec())));
        let length = sample.content.layout.piece_length(piece);
        let range = sample.content.layout.range(piece.number(), 1, length - 1).unwrap();
        assert_eq!(&files.load(range).unwrap()[..], &sample.data(piece).to_vec()[1..]);
    }
    assert!(!dir.path().join("pad").exists(), "a pad is not written");
}

#[test]
fn a_file_nobody_selected_is_not_made() {
    let (dir, sample) = (tempfile::tempdir().unwrap(), odd());
    let mut selected = vec![false; 9];
    selected[5] = true;
    let (files, _) = sample.open(dir.path(), &selected);
    sample.store(&files, 1..4);
    assert_eq!(fs::read(dir.path().join("t/b")).unwrap(), sample.file(5));
    assert_eq!(fs::read_dir(dir.path().join("t")).unwrap().count(), 1);
    let first = sample.content.layout.range(1, 0, 16_384).unwrap();
    assert_eq!(files.load(first).unwrap(), sample.data(sample.piece(1)).to_vec());
    drop(files);

    let (files, found) = sample.open(dir.path(), &selected);
    assert_eq!(numbers(&found.held), [1, 2, 3], "the parts are found again");
    files.select(&[]).unwrap();
    sample.store(&files, [0, 4]);
    sample.assert_whole(dir.path());
}

#[test]
fn what_has_not_changed_is_held_and_the_rest_is_checked() {
    let (dir, sample) = (tempfile::tempdir().unwrap(), odd());
    let (files, _) = sample.open(dir.path(), &[]);
    sample.store(&files, [0, 3, 4]);
    drop(files);
    let (files, found) = sample.open(dir.path(), &[]);
    assert_eq!((numbers(&found.held), numbers(&found.check)), (vec![0, 3, 4], vec![]));
    drop(files);

    let file = fs::File::options().write(true).open(dir.path().join("t/b")).unwrap();
    file.write_all_at(b"x", 39_999).unwrap();
    let (files, found) = sample.open(dir.path(), &[]);
    assert_eq!((numbers(&found.held), numbers(&found.check)), (vec![0, 4], vec![3]));
    let digest = check(&files, sample.piece(3));
    assert!(!sample.content.matches(sample.piece(3), &digest));
}

#[test]
fn pieces_stored_before_a_kill_are_checked_and_nothing_else() {
    let (dir, sample) = (tempfile::tempdir().unwrap(), odd());
    let (files, _) = sample.open(dir.path(), &[]);
    sample.store(&files, [1, 2]);
    std::mem::forget(files);
    let (files, found) = sample.open(dir.path(), &[]);
    assert!(found.held.is_empty(), "no record was written");
    assert_eq!(numbers(&found.check), [0, 1, 2], "and 0, whose files are there");
    for piece in [1, 2] {
        let piece = sample.piece(piece);
        assert!(sample.content.matches(piece, &check(&files, piece)));
    }
    sample.store(&files, [0, 3, 4]);
    sample.assert_whole(dir.path());
}

#[test]
fn whole_content_is_found_without_a_record() {
    let (dir, sample) = (tempfile::tempdir().unwrap(), odd());
    for (number, entry) in sample.content.plan.entries().iter().enumerate() {
        if entry.is_regular() && entry.length > 0 {
            let path = dir.path().join(entry.path.as_str());
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, sample.file(number)).unwrap();
        }
    }
    fs::write(dir.path().join("t/c"), [sample.file(7), b"too long"].concat()).unwrap();
    let read_only = Files::open(
        &Folder::read_only(dir.path().into()),
        sample.content.clone(),
        "aa".into(),
        &[],
    )
    .unwrap();
    assert!(read_only.1.check.is_full());
    sample
        .content
        .layout
        .iter()
        .for_each(|piece| drop(read_only.0.check(&[(piece, SHA1)])));
    assert!(
        read_only
            .0
            .store(sample.piece(0), &sample.data(sample.piece(0)))
            .is_err()
    );
    drop(read_only);
    assert!(!dir.path().join(".tombolo").exists(), "a seed writes nothing");

    let (files, found) = sample.open(dir.path(), &[]);
    assert!(found.check.is_full());
    for piece in sample.content.layout.iter() {
        assert!(sample.content.matches(piece, &check(&files, piece)));
    }
    sample.assert_whole(dir.path());
}

#[test]
fn a_sparse_file_of_zeros_may_be_whole() {
    let dir = tempfile::tempdir().unwrap();
    let sample = Sample::new(16_384, &[("pad/zeros", 50_000)]);
    let mut content = sample.content.clone();
    content.plan = Plan::new(vec![Entry {
        path: FilePath::new([&b"zeros"[..]]).unwrap(),
        start: 0,
        length: 50_000,
        kind: Kind::Regular { executable: false },
    }]);
    fs::File::create(dir.path().join("zeros"))
        .unwrap()
        .set_len(50_000)
        .unwrap();
    let (files, found) = Files::open(&Folder::writable(dir.path().into()), content.clone(), "aa".into(), &[]).unwrap();
    assert!(found.check.is_full());
    assert!(content.matches(sample.piece(3), &check(&files, sample.piece(3))));
}

#[test]
fn holes_that_we_left_are_not_hashed() {
    let dir = tempfile::tempdir().unwrap();
    let sample = Sample::new(1 << 20, &[("one", 8 << 20)]);
    let (files, _) = sample.open(dir.path(), &[]);
    sample.store(&files, [7]);
    drop(files);
    let (files, _) = sample.open(dir.path(), &[]);
    sample.store(&files, [5]);
    std::mem::forget(files);
    let (_files, found) = sample.open(dir.path(), &[]);
    assert_eq!((numbers(&found.held), numbers(&found.check)), (vec![], vec![5, 7]));
}

#[test]
fn a_link_in_the_way_is_refused() {
    let (dir, outside, sample) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), odd());
    symlink(outside.path(), dir.path().join("t")).unwrap();
    let (files, found) = sample.open(dir.path(), &[]);
    assert!(found.check.is_empty());
    let error = files.store(sample.piece(0), &sample.data(sample.piece(0))).unwrap_err();
    assert!(error.to_string().starts_with("t is "), "{error}");
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[test]
fn many_files_are_open_a_few_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let names = (0..300).map(|number| format!("d/{number}")).collect::<Vec<_>>();
    let list = names.iter().map(|name| (&name[..], 5_000)).collect::<Vec<_>>();
    let sample = Sample::new(16_384, &list);
    let (files, _) = sample.open(dir.path(), &[]);
    sample.store(&files, 0..sample.content.layout.pieces() as u32);
    sample.assert_whole(dir.path());
}

/// A folder whose content moves to another one.
fn moving(from: &std::path::Path, to: &std::path::Path) -> Folder {
    Folder {
        move_to: Some(to.into()),
        ..Folder::writable(from.into())
    }
}

#[test]
fn a_move_that_was_killed_loses_nothing() {
    let (from, to, sample) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), odd());
    let open = |folder: &Folder| Files::open(folder, sample.content.clone(), "aa".into(), &[]).unwrap();
    let (files, _) = sample.open(from.path(), &[]);
    sample.store(&files, 0..5);
    drop(files);
    // As a kill leaves it: some files are there, some here, one is half copied.
    fs::write(from.path().join(".tombolo/aa.moving"), "").unwrap();
    fs::create_dir_all(to.path().join("t")).unwrap();
    fs::create_dir_all(to.path().join(".tombolo")).unwrap();
    fs::rename(from.path().join("t/a"), to.path().join("t/a")).unwrap();
    fs::write(to.path().join(".tombolo/aa.copy"), "half").unwrap();
    let (files, found) = open(&moving(from.path(), to.path()));
    assert!(found.held.is_full());
    sample.assert_whole(to.path());
    drop(files);
    let left: Vec<_> = fs::read_dir(from.path().join(".tombolo")).unwrap().collect();
    assert!(left.is_empty() && !from.path().join("t").exists(), "{left:?}");
    assert_eq!(fs::read_dir(to.path().join(".tombolo")).unwrap().count(), 1);
    let (_, found) = open(&moving(from.path(), to.path()));
    assert!(found.held.is_full(), "it is known where it is");
}

#[test]
fn what_is_not_whole_stays_until_it_is() {
    let (from, to, sample) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), odd());
    let folder = moving(from.path(), to.path());
    let (files, _) = Files::open(&folder, sample.content.clone(), "aa".into(), &[]).unwrap();
    sample.store(&files, 0..4);
    assert_eq!(fs::read_dir(to.path()).unwrap().count(), 0);
    sample.store(&files, 4..5);
    sample.assert_whole(to.path());
    let range = sample.content.layout.range(0, 0, 16_384).unwrap();
    assert_eq!(files.load(range).unwrap(), sample.data(sample.piece(0)).to_vec());
}
