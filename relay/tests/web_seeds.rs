//! `tombolo get` from web servers (BEP 19, BEP 17), with small ones on loopback.

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;

use common::running::Running;
use common::{assert_same, create, odd_files, peer};
use serde_json::json;

/// A web server of a folder that knows ranges, until the test ends.
struct Server {
    address: SocketAddr,
    /// The paths that it was asked for.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start(root: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = asked.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (root, log) = (root.clone(), log.clone());
                thread::spawn(move || serve(stream.unwrap(), &root, &log));
            }
        });
        Self { address, asked }
    }

    fn count(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

/// Answers requests until the other end has no more.
fn serve(mut stream: TcpStream, root: &Path, log: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    loop {
        let (mut path, mut range) = (String::new(), None);
        let mut line = String::new();
        while reader.read_line(&mut line).is_ok_and(|length| length > 0) && line.trim() != "" {
            let lower = line.to_lowercase();
            if let Some(rest) = line.strip_prefix("GET ") {
                path = rest.split(' ').next().unwrap().to_owned();
            } else if let Some(bytes) = lower.strip_prefix("range: bytes=") {
                let (first, last) = bytes.trim().split_once('-').unwrap();
                range = Some((first.parse::<usize>().unwrap(), last.parse::<usize>().unwrap()));
            }
            line.clear();
        }
        if path.is_empty() {
            return;
        }
        log.lock().unwrap().push(path.clone());
        let (head, body) = answer(root, &path, range);
        let head = format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n", body.len());
        // It may be aborted.
        if stream
            .write_all(head.as_bytes())
            .and_then(|()| stream.write_all(&body))
            .is_err()
        {
            return;
        }
    }
}

fn answer(root: &Path, path: &str, range: Option<(usize, usize)>) -> (String, Vec<u8>) {
    if let Some(query) = path.strip_prefix("/seed?info_hash=") {
        return hoffman(root, query);
    }
    let Ok(bytes) = fs::read(root.join(decode(path.trim_start_matches('/')))) else {
        return ("404 Not Found".into(), Vec::new());
    };
    let (first, last) = range.expect("a range is asked for");
    let head = format!(
        "206 Partial Content\r\ncontent-range: bytes {first}-{last}/{}",
        bytes.len()
    );
    (head, bytes[first..=last].to_vec())
}

/// A piece of the one file `content`, in pieces of 16 KiB; the first question finds the server busy.
fn hoffman(root: &Path, query: &str) -> (String, Vec<u8>) {
    let mark = root.join("asked");
    if !mark.exists() {
        fs::write(mark, "").unwrap();
        return ("503 Service Unavailable".into(), b"1".to_vec());
    }
    let field = |name: &str| query.split('&').find_map(|field| field.strip_prefix(name)).unwrap();
    let piece: usize = field("piece=").parse().unwrap();
    let (first, last) = field("ranges=").split_once('-').unwrap();
    let bytes = fs::read(root.join("content")).unwrap();
    let at = |text: &str| piece * 16_384 + text.parse::<usize>().unwrap();
    ("200 OK".into(), bytes[at(first)..=at(last)].to_vec())
}

fn decode(path: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = path.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        if first == b'%' {
            bytes.push(u8::from_str_radix(std::str::from_utf8(&after[..2]).unwrap(), 16).unwrap());
            rest = &after[2..];
        } else {
            bytes.push(first);
            rest = after;
        }
    }
    String::from_utf8(bytes).unwrap()
}

/// Runs `get` to its end.
fn get(torrent: &Path, out: &Path) {
    let mut get = Running::start([
        "get",
        torrent.to_str().unwrap(),
        "--out",
        out.to_str().unwrap(),
        "--json",
        "--allow-local",
        "--listen",
        "127.0.0.1:0",
    ]);
    get.until(|line| line.get("finished").is_some());
    assert_eq!(get.wait(), Some(0));
}

#[test]
fn a_folder_comes_from_a_web_seed_alone() {
    let dir = tempfile::tempdir().unwrap();
    let set = odd_files(dir.path());
    let server = Server::start(dir.path().into());
    let url = format!("http://{}/", server.address);
    for version in ["v1", "v2", "hybrid"] {
        let torrent = dir.path().join("x.torrent");
        let flag = format!("--{version}");
        let more = ["--piece-length", "16KiB", "--web-seed", &url, &flag];
        create(&set, &torrent, &more);
        let out = dir.path().join(version);
        get(&torrent, &out);
        assert_same(&set, &out.join("set"));
    }
    let asked = server.asked.lock().unwrap();
    assert!(
        asked.contains(&"/set/a/b/three%20%C3%BCn%C3%AF.bin".into()),
        "{asked:?}"
    );
    assert!(
        asked
            .iter()
            .all(|path| !path.contains("empty") && !path.contains("pad"))
    );
}

#[test]
fn pieces_come_from_a_server_of_bep_17_that_was_busy_first() {
    let dir = tempfile::tempdir().unwrap();
    let content = dir.path().join("content");
    fs::write(&content, common::noise(5, 200_001)).unwrap();
    let server = Server::start(dir.path().into());
    let torrent = dir.path().join("x.torrent");
    create(&content, &torrent, &["--piece-length", "16KiB"]);
    let mut bytes = fs::read(&torrent).unwrap();
    let url = format!("http://{}/seed", server.address);
    let seeds = format!("9:httpseedsl{}:{url}e", url.len());
    let info = bytes.windows(6).position(|window| window == b"4:info").unwrap();
    bytes.splice(info..info, seeds.into_bytes());
    fs::write(&torrent, bytes).unwrap();
    let out = dir.path().join("out");
    get(&torrent, &out);
    assert_eq!(fs::read(out.join("content")).unwrap(), fs::read(&content).unwrap());
    assert_eq!(server.count(), 14, "13 pieces, and once too early");
}

#[test]
fn a_peer_under_control_asks_no_web_seed() {
    let dir = tempfile::tempdir().unwrap();
    let set = odd_files(dir.path());
    let server = Server::start(dir.path().into());
    let torrent = dir.path().join("x.torrent");
    create(&set, &torrent, &["--web-seed", &format!("http://{}/", server.address)]);
    let mut seed = peer("seeder", &torrent, dir.path(), &[]);
    let port = seed.ready();
    let out = dir.path().join("out");
    let mut leech = peer("leecher", &torrent, &out, &[]);
    leech.ready();
    leech.say(&json!({"connect": ["127.0.0.1", port]}));
    leech.until(|line| line.get("finished").is_some());
    assert_same(&set, &out.join("set"));
    assert_eq!(server.count(), 0);
    // Reading what was never sent: it shows that the server lives.
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.write_all(b"GET /nothing HTTP/1.1\r\n\r\n").unwrap();
    let mut status = [0; 12];
    stream.read_exact(&mut status).unwrap();
    assert_eq!(&status, b"HTTP/1.1 404");
}
