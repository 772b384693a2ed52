//! HTTPS and WSS.

use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use rcgen::{CertifiedKey, KeyPair};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::json;

use crate::common::{refusal, tombolo};
use crate::meeting::{seeder, tracker};
use crate::relay::{PATIENCE, Relay};
use crate::socket::{Duplex, Socket};
use crate::torrent::{PIECE, Sample};
use crate::tracker::{heard, web_in};
use crate::wire::Tab;

/// A certificate for loopback that nobody has signed but itself.
fn certificate() -> CertifiedKey<KeyPair> {
    rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap()
}

/// Writes it and its key as the files that the flags name.
fn files(folder: &Path, certified: &CertifiedKey<KeyPair>) -> [String; 4] {
    let write = |name: &str, text: String| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let certificate = write("certificate.pem", certified.cert.pem());
    let key = write("key.pem", certified.signing_key.serialize_pem());
    ["--tls-cert".into(), certificate, "--tls-key".into(), key]
}

/// A connection to the relay that trusts that certificate alone.
fn connect(relay: &Relay, certified: &CertifiedKey<KeyPair>) -> Box<dyn Duplex> {
    let mut roots = RootCertStore::empty();
    roots.add(certified.cert.der().clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let address = relay.address("http");
    let name = address.ip().into();
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    Box::new(StreamOwned::new(
        ClientConnection::new(Arc::new(config), name).unwrap(),
        stream,
    ))
}

#[test]
fn page_tracker_and_wire_are_there_over_tls() {
    let (sample, folder) = (Sample::new(8 * PIECE, 21), tempfile::tempdir().unwrap());
    let certified = certificate();
    let flags = files(folder.path(), &certified);
    let relay = Relay::start(&flags.each_ref().map(String::as_str));
    let address = relay.address("http");

    let mut plain = connect(&relay, &certified);
    let request = format!("GET /health HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    plain.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    plain.read_to_string(&mut answer).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nok\n"),
        "{answer}"
    );

    let _seeder = seeder(&sample, folder.path(), &tracker(&relay, "udp"));
    let mut web = Socket::over(connect(&relay, &certified), address, "/announce", "").unwrap();
    for _ in 0..2 {
        web.text(&web_in(sample.swarm(), 1, json!({"offers": []})));
        assert_eq!(heard(&mut web)["action"], "announce");
    }
    let wire = Socket::over(connect(&relay, &certified), address, "/wire", "").unwrap();
    let mut tab = Tab::over(wire, sample.swarm());
    for index in [5, 0, 7] {
        let begin = index as usize * PIECE;
        assert!(
            tab.piece(index) == sample.content[begin..begin + PIECE],
            "piece {index}"
        );
    }
}

#[test]
fn what_cannot_be_used_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let [cert_flag, cert, key_flag, key] = files(folder.path(), &certificate());
    let (none, text) = (folder.path().join("none"), folder.path().join("text"));
    std::fs::write(&text, "-----BEGIN NOTHING-----\n").unwrap();
    let other = folder.path().join("other.pem");
    std::fs::write(&other, certificate().signing_key.serialize_pem()).unwrap();
    let [none, text, other] = [&none, &text, &other].map(|path| path.to_str().unwrap());
    let data = folder.path().join("data");
    let serve = |tls: &[&str]| {
        let fixed = [
            "serve",
            "--json",
            "--listen",
            "127.0.0.1:0",
            "--data",
            data.to_str().unwrap(),
        ];
        tombolo([&fixed, tls].concat())
    };
    for (cert, key, expected) in [
        (none, &key[..], (1, "io")),
        (&cert[..], none, (1, "io")),
        (text, &key, (2, "bad-certificate")),
        (&cert, text, (2, "bad-certificate")),
        (&cert, other, (2, "bad-certificate")),
    ] {
        let (status, code) = refusal(&serve(&[&cert_flag, cert, &key_flag, key]));
        assert_eq!((status, &code[..]), expected, "{cert} {key}");
    }
    for alone in [[&cert_flag, &cert], [&key_flag, &key]] {
        let output = serve(&alone.map(|text| &text[..]));
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{alone:?}");
    }
    assert!(!data.exists(), "nothing is written");
}
