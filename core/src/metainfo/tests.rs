use super::*;
use crate::bencode::{BencodeError, Fault};
use crate::key::hex;
use crate::layout::{LayoutError, MAX_PIECES};
use alloc::format;
use alloc::string::ToString;
use alloc::vec;

fn parse(text: impl AsRef<[u8]>) -> Result<Metainfo, MetainfoError> {
    Metainfo::parse(&Bytes::copy_from_slice(text.as_ref()))
}

/// A .torrent with these fields in its info dictionary besides a name, a piece length of 16 KiB and one piece.
fn with(fields: &str) -> Result<Metainfo, MetainfoError> {
    let pieces = "x".repeat(20);
    parse(format!(
        "d4:infod{fields}4:name1:n12:piece lengthi16384e6:pieces20:{pieces}ee"
    ))
}

fn paths(metainfo: &Metainfo) -> Vec<&str> {
    metainfo.files.iter().map(|file| file.path.as_str()).collect()
}

#[test]
fn a_single_file() {
    let bytes = b"d8:announce8:http://t7:comment3:\xffab10:created by4:make13:creation datei1700000000e\
                  4:infod6:lengthi20000e4:name5:a.txt12:piece lengthi16384e6:pieces40:0123456789012345678901234567890123456789\
                  7:privatei1ee8:url-list8:http://we";
    let metainfo = parse(bytes).unwrap();
    assert_eq!(
        (metainfo.name.as_str(), metainfo.multi_file, metainfo.private),
        ("a.txt", false, true)
    );
    assert_eq!(paths(&metainfo), ["a.txt"]);
    assert_eq!((metainfo.layout.pieces(), metainfo.content_length()), (2, 20_000));
    assert_eq!(
        metainfo.piece_hash(metainfo.layout.piece(1).unwrap()),
        Some(*b"01234567890123456789")
    );
    assert_eq!(metainfo.trackers, [["http://t"]]);
    assert_eq!(metainfo.web_seeds, ["http://w"]);
    assert_eq!(metainfo.comment.as_deref(), Some("\u{fffd}ab"));
    assert_eq!(
        (metainfo.created_by.as_deref(), metainfo.creation_date),
        (Some("make"), Some(1_700_000_000))
    );
    let alone = Metainfo::from_info(metainfo.info.clone()).unwrap();
    assert_eq!((alone.hashes, alone.files), (metainfo.hashes, metainfo.files));
}

/// The hash of the dictionary as it came, though its keys are unsorted: a re-encoding would have another.
#[test]
fn the_info_hash_is_over_the_bytes_received() {
    let info = format!(
        "d4:name1:n6:lengthi5e12:piece lengthi16384e6:pieces20:{}e",
        "x".repeat(20)
    );
    let metainfo = parse(format!("d4:info{info}8:announce1:te")).unwrap();
    let expected: [u8; 20] = sha1(&[info.as_bytes()]);
    assert_eq!(metainfo.hashes.v1().map(|hash| hash.0), Some(expected));
    assert_eq!(hex(&sha1(&[b"abc"])), "a9993e364706816aba3e25717850c26c9cd0d89d");
}

#[test]
fn a_folder_with_attributes() {
    let files = "5:filesld4:attr1:x6:lengthi100e4:pathl1:aed6:lengthi0e4:pathl1:b1:ceed4:attr1:p6:lengthi28e4:pathl4:.pad2:28ee\
                 d4:attr2:lh4:pathl1:se12:symlink pathl1:a2:..eed6:lengthi9e4:pathl1:de10:path.utf-8l2:\u{e4}eee"
        .replace("4:pathl1:aed6", "4:pathl1:aeed6");
    let metainfo = with(&files).unwrap();
    assert_eq!(paths(&metainfo), ["n/a", "n/b/c", "n/.pad/28", "n/s", "n/ä"]);
    let offsets: Vec<_> = metainfo.files.iter().map(|file| file.offset).collect();
    assert_eq!(offsets, [0, 100, 100, 128, 128]);
    assert!(metainfo.files[0].executable && metainfo.files[2].pad && metainfo.files[3].hidden);
    assert_eq!(metainfo.files[3].symlink.as_ref().map(FilePath::as_str), Some("a/_"));
    assert_eq!((metainfo.content_length(), metainfo.layout.total()), (109, 137));
}

#[test]
fn a_single_file_is_never_a_link() {
    let metainfo = with("4:attr1:l6:lengthi100e").unwrap();
    assert!(metainfo.files[0].symlink.is_none());
    let out = "4:attr1:l6:lengthi100e4:name1:n12:piece lengthi16384e6:pieces20:xxxxxxxxxxxxxxxxxxxx12:symlink pathl4:.ssh2:ide";
    let metainfo = parse(format!("d4:infod{out}ee")).unwrap();
    assert!(
        metainfo.files[0].symlink.is_none(),
        "it would lead to something that is not the torrent's"
    );
}

#[test]
fn hostile_names_are_made_safe() {
    let entry = |path: &str| format!("d6:lengthi1e4:pathl{path}ee");
    let files = [
        entry("2:..2:..3:etc"),
        entry("5:/root"),
        entry("0:"),
        entry("3:a\0b"),
        entry("3:a\\b"),
        entry("6:a\u{202e}bc"),
        entry("1:.1:x"),
    ]
    .concat();
    let metainfo = with(&format!("5:filesl{files}e")).unwrap();
    assert_eq!(
        paths(&metainfo),
        ["n/_/_/etc", "n/_root", "n/_", "n/a_b", "n/a_b (4)", "n/a_bc", "n/_/x"].map(|path| if path == "n/_" {
            "n/_ (2)"
        } else {
            path
        })
    );
    let pieces = "x".repeat(20);
    let named = |name: &str| {
        parse(format!(
            "d4:infod6:lengthi1e4:name{}:{name}12:piece lengthi1e6:pieces20:{pieces}ee",
            name.len()
        ))
        .unwrap()
        .name
    };
    assert_eq!(
        [named(".."), named("a/b"), named(""), named(".tombolo")],
        ["_", "a_b", "_", "_tombolo"]
    );
}

#[test]
fn trackers_are_tiers() {
    let info = format!(
        "4:infod6:lengthi1e4:name1:n12:piece lengthi1e6:pieces20:{}e",
        "x".repeat(20)
    );
    let tiers = |fields: &str| parse(format!("d{fields}{info}e")).unwrap().trackers;
    assert_eq!(
        tiers("8:announce1:z13:announce-listll1:a1:beli5e0:el1:cee"),
        vec![vec!["a", "b"], vec!["c"]]
    );
    assert_eq!(tiers("8:announce1:z13:announce-listle"), vec![vec!["z"]]);
    assert_eq!(tiers("8:announcei5e13:announce-listl1:ce"), vec![vec!["c"]]);
    assert!(tiers("").is_empty());
    let many = format!("13:announce-listl{}e", "l1:ae".repeat(MAX_URLS + 5));
    assert_eq!(tiers(&many).len(), MAX_URLS);
}

#[test]
fn malformed_metainfo_is_refused() {
    use MetainfoError::{Bencode, Field, Layout, LengthAndFiles, Missing, NoDictionary, NoPath, Number, Overflow};
    let fault = |offset, fault| Bencode(BencodeError { offset, fault });
    let table = [
        (parse(""), fault(0, Fault::Expected("a value", None))),
        (parse("d4:infode4:infodee"), fault(11, Fault::Duplicate)),
        (parse("l".repeat(1_000)), fault(128, Fault::Depth)),
        (parse("le"), NoDictionary),
        (parse("de"), Missing("info")),
        (parse("d4:infolee"), Field("info", "a dictionary")),
        (parse("d4:infodee"), Missing("name")),
        (parse("d4:infod4:namei5eee"), Missing("name")),
        (parse("d4:infod4:name1:nee"), Missing("piece length")),
        (parse("d4:infod4:name1:n12:piece lengthi1eee"), Missing("pieces")),
        (with(""), Missing("length")),
        (with("5:filesle6:lengthi1e"), LengthAndFiles),
        (with("5:filesle"), Layout(LayoutError::Empty)),
        (with("5:filesi1e"), Field("files", "a list")),
        (with("5:filesli1ee"), Field("files", "a list of dictionaries")),
        (with("5:filesld4:pathl1:aeee"), Missing("length")),
        (with("5:filesld6:lengthi1eee"), NoPath { file: 0 }),
        (with("5:filesld6:lengthi1e4:pathleee"), NoPath { file: 0 }),
        (with("5:filesld6:lengthi1e4:path1:aee"), Field("path", "a list")),
        (
            with("5:filesld6:lengthi1e4:pathli5eeee"),
            Field("path", "a list of strings"),
        ),
        (with("6:length1:a"), Field("length", "a number")),
        (with("6:lengthi-1e"), Number("length", "-1".into())),
        (
            with("6:lengthi9223372036854775808e"),
            Number("length", "9223372036854775808".into()),
        ),
        (
            with("5:filesld6:lengthi9223372036854775807e4:pathl1:aeed6:lengthi1e4:pathl1:beee"),
            Overflow { file: 1 },
        ),
        (with("6:lengthi0e"), Layout(LayoutError::Empty)),
        (
            with("6:lengthi16385e"),
            MetainfoError::PieceCount {
                expected: 2,
                received: 1,
            },
        ),
        (
            with("6:lengthi35184372088832e"),
            Layout(LayoutError::TooManyPieces(1 << 31)),
        ),
        (with("6:lengthi1e12:meta versioni3e"), Field("meta version", "1 or 2")),
        (
            parse("d4:infod6:lengthi1e4:name1:n12:piece lengthi0e6:pieces0:ee"),
            Layout(LayoutError::PieceLength(0)),
        ),
        (
            parse("d4:infod6:lengthi1e4:name1:n12:piece lengthi4294967296e6:pieces0:ee"),
            Layout(LayoutError::PieceLength(1 << 32)),
        ),
        (
            parse("d4:infod6:lengthi1e4:name1:n12:piece lengthi1e6:pieces3:abcee"),
            MetainfoError::PiecesLength { received: 3 },
        ),
    ];
    for (at, (result, error)) in table.into_iter().enumerate() {
        assert_eq!(result, Err(error), "line {at}");
    }
}

#[test]
fn what_is_too_much_is_refused() {
    let long = format!(
        "5:filesld6:lengthi1e4:pathl{}eee",
        format!("255:{}", "x".repeat(255)).repeat(17)
    );
    assert_eq!(with(&long), Err(MetainfoError::Path { file: 0 }));
    assert_eq!(
        parse(vec![b'0'; MAX_METAINFO + 1]),
        Err(MetainfoError::TooLarge {
            received: MAX_METAINFO + 1
        })
    );
}

#[test]
fn every_refusal_is_one_line_with_its_numbers() {
    let table = [
        (
            with("6:lengthi16385e"),
            "bad-metainfo",
            "'pieces' has 1 hashes for 2 pieces",
        ),
        (
            with("6:lengthi-7e"),
            "bad-metainfo",
            "'length' is -7, which is out of range",
        ),
        (
            parse("d3:abci01ee"),
            "bad-bencode",
            "byte 7: a number may not begin with 0 or be -0",
        ),
        (
            with("6:lengthi35184372088832e"),
            "bad-metainfo",
            &format!("2147483648 pieces are more than {MAX_PIECES}"),
        ),
    ];
    for (result, code, message) in table {
        let error = result.unwrap_err();
        assert_eq!((error.code(), error.to_string().as_str()), (code, message));
    }
}

mod v2 {
    use super::*;

    /// A v2 info dictionary with that tree, and with these fields of v1.
    fn v2(tree: &str, piece_length: u64, v1: (&str, &str)) -> Result<Metainfo, MetainfoError> {
        parse(document(tree, piece_length, v1))
    }

    fn document(tree: &str, piece_length: u64, v1: (&str, &str)) -> String {
        let (files, pieces) = v1;
        let head = format!("d4:infod9:file tree{tree}{files}12:meta versioni2e4:name1:n");
        format!("{head}12:piece lengthi{piece_length}e{pieces}ee")
    }

    fn leaf(length: u64) -> String {
        format!("d0:d6:lengthi{length}e11:pieces root32:{}ee", "r".repeat(32))
    }

    #[test]
    fn files_begin_at_pieces() {
        let tree = format!("d1:ad1:b{}1:cd0:d6:lengthi0eeee1:d{}e", leaf(16_385), leaf(7));
        assert_eq!(
            v2(&tree, 16_384, ("", "")),
            Err(MetainfoError::PieceLayer { piece: 0 }),
            "a .torrent has the hashes of its pieces"
        );
        let metainfo = Metainfo::parse_unfinished(&document(&tree, 16_384, ("", "")).into()).unwrap();
        assert_eq!(paths(&metainfo), ["n/a/b", "n/a/c", "n/d"]);
        let places: Vec<_> = metainfo.files.iter().map(|file| (file.offset, file.length)).collect();
        assert_eq!(places, [(0, 16_385), (16_385, 0), (32_768, 7)]);
        assert_eq!((metainfo.layout.pieces(), metainfo.content_length()), (3, 16_392));
        assert_eq!((metainfo.layout.total(), metainfo.layout.end()), (16_392, 32_775));
        let lengths: Vec<_> = metainfo
            .layout
            .iter()
            .map(|piece| metainfo.layout.piece_length(piece))
            .collect();
        assert_eq!(lengths, [16_384, 1, 7]);
        assert_eq!(metainfo.files[0].pieces_root.as_deref(), Some(&[b'r'; 32]));
        assert_eq!(metainfo.files[1].pieces_root, None);
        assert!(metainfo.hashes.v1().is_none() && metainfo.hashes.v2().is_some());
        assert_eq!(metainfo.piece_hash(metainfo.layout.piece(0).unwrap()), None);
    }

    #[test]
    fn a_single_file_has_the_torrents_name() {
        let metainfo = v2(&format!("d1:n{}e", leaf(5)), 16_384, ("", "")).unwrap();
        assert_eq!((paths(&metainfo), metainfo.multi_file), (vec!["n"], false));
        let metainfo = v2(&format!("d1:m{}e", leaf(5)), 16_384, ("", "")).unwrap();
        assert_eq!((paths(&metainfo), metainfo.multi_file), (vec!["n/m"], true));
    }

    #[test]
    fn a_hybrid_lists_the_same_files_twice() {
        let tree = format!("d1:a{}1:b{}e", leaf(5), leaf(6));
        let pieces = format!("6:pieces40:{}", "x".repeat(40));
        let hybrid = |files: &str| v2(&tree, 16_384, (files, &pieces));
        let pad = "d4:attr1:p6:lengthi16379e4:pathl4:.pad5:16379ee";
        let one = "d6:lengthi5e4:pathl1:aee";
        let other = "d6:lengthi6e4:pathl1:bee";
        let metainfo = hybrid(&format!("5:filesl{one}{pad}{other}e")).unwrap();
        assert!(metainfo.hashes.v1().is_some() && metainfo.hashes.v2().is_some());
        let roots: Vec<_> = metainfo.files.iter().map(|file| file.pieces_root.is_some()).collect();
        assert_eq!(roots, [true, false, true]);
        for (files, file) in [
            (
                format!(
                    "5:filesl{one}{pad}{}e",
                    other.replace('6', "7").replace("7:length", "6:length")
                ),
                1,
            ),
            (format!("5:filesl{one}{pad}e"), 1),
            (format!("5:filesl{one}{other}e"), 1),
            (format!("5:filesl{one}{pad}{pad}{other}e"), 1),
            (format!("5:filesl{one}{pad}{other}d6:lengthi1e4:pathl1:ceee"), 2),
            (format!("5:filesl{other}{pad}{one}e"), 0),
        ] {
            assert_eq!(hybrid(&files), Err(MetainfoError::Hybrid { file }), "{files}");
        }
    }

    #[test]
    fn malformed_trees_are_refused() {
        use MetainfoError::{Field, Missing, NoPath, PieceLengthV2, PiecesRoot};
        let v2 = |tree: &str, length| v2(tree, length, ("", ""));
        let shape = "of dictionaries within each other";
        let table = [
            (v2("de", 16_383), PieceLengthV2(16_383)),
            (v2("de", 8_192), PieceLengthV2(8_192)),
            (v2("de", 16_384), MetainfoError::Layout(LayoutError::Empty)),
            (v2("le", 16_384), Field("file tree", "a dictionary")),
            (v2("d1:ai5ee", 16_384), Field("file tree", shape)),
            (v2("d0:de1:adee", 16_384), NoPath { file: 0 }),
            (v2("d1:ad0:de1:bd0:deeee", 16_384), Field("file tree", shape)),
            (
                v2("d1:ad0:d4:attr1:peee", 16_384),
                Field("file tree", "without pad files"),
            ),
            (
                v2(
                    &format!("d1:ad0:d6:lengthi1e11:pieces root32:{}eee", "\0".repeat(32)),
                    16_384,
                ),
                PiecesRoot { file: 0 },
            ),
            (
                v2("d1:ad0:i5eee", 16_384),
                Field("file tree", "of files that are dictionaries"),
            ),
            (v2("d1:ad0:d6:lengthi1eeee", 16_384), PiecesRoot { file: 0 }),
            (
                v2("d1:ad0:d6:lengthi1e11:pieces root3:abceee", 16_384),
                PiecesRoot { file: 0 },
            ),
            (
                parse("d4:infod12:meta versioni2e4:name1:n12:piece lengthi16384eee"),
                Missing("file tree"),
            ),
        ];
        for (at, (result, error)) in table.into_iter().enumerate() {
            assert_eq!(result, Err(error), "line {at}");
        }
    }
}
