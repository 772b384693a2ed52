//! Each kind of tracker connection against a server on loopback.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_tungstenite::tungstenite;

use super::*;

fn local() -> Policy {
    Policy {
        allow_local: true,
        ..Policy::default()
    }
}

fn outside(policy: Policy) -> (Outside, UnboundedReceiver<Event>) {
    let (sender, events) = unbounded_channel();
    let deliver = move |event| sender.send(event).unwrap();
    (Outside::start(policy, deliver), events)
}

/// The next event; fails when none comes.
async fn next(events: &mut UnboundedReceiver<Event>) -> Event {
    let waiting = tokio::time::timeout(Duration::from_secs(30), events.recv());
    waiting.await.unwrap().unwrap()
}

/// A server that answers each request, by its path, with these bytes.
async fn http(answers: Vec<(&'static str, String)>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            let length = stream.read(&mut request).await.unwrap();
            let request = String::from_utf8_lossy(&request[..length]).into_owned();
            let path = request.split(' ').nth(1).unwrap_or_default();
            assert!(request.to_ascii_lowercase().contains(&format!("host: {address}\r\n")));
            let answer = answers.iter().find(|(known, _)| *known == path);
            let missing = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";
            let answer = answer.map_or(missing, |(_, answer)| answer);
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    address
}

#[tokio::test]
async fn http_bodies_redirections_and_failures() {
    let ok = |body: &str| format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let to = |place: &str| format!("HTTP/1.1 302 Found\r\nlocation: {place}\r\ncontent-length: 0\r\n\r\n");
    let chunks = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    let address = http(vec![
        ("/a?info_hash=%00%ff", ok("d5:peers0:e")),
        ("/chunks", chunks.into()),
        ("/there", to("/a?info_hash=%00%ff")),
        ("/round", to("/round")),
        ("/file", to("file:///etc/passwd")),
        ("/cut", ok("whole").replace("content-length: 5", "content-length: 9")),
    ])
    .await;
    for (path, expected) in [
        ("a?info_hash=%00%ff", Ok("d5:peers0:e")),
        ("chunks", Ok("abcde")),
        ("there", Ok("d5:peers0:e")),
        ("round", Err("redirected too often")),
        ("file", Err("redirected to file")),
        ("none", Err("HTTP 404")),
    ] {
        let body = fetch::fetch(&local(), &format!("http://{address}/{path}"), 11).await;
        assert_eq!(body, expected.map(Bytes::from).map_err(String::from), "{path}");
    }
    let url = format!("http://{address}/a?info_hash=%00%ff");
    assert_eq!(
        fetch::fetch(&local(), &url, 10).await.unwrap_err(),
        "the answer is longer than 10 bytes"
    );
    assert!(
        fetch::fetch(&local(), &format!("http://{address}/cut"), 99)
            .await
            .is_err()
    );
    assert!(fetch::fetch(&local(), "ftp://x/", 99).await.is_err());
}

#[tokio::test]
async fn local_addresses_are_refused_unless_allowed() {
    let address = http(vec![]).await;
    let (outside, mut events) = outside(Policy::default());
    let url = format!("http://localhost:{}/", address.port());
    outside.perform(Action::Fetch {
        job: Job(1),
        url,
        limit: 9,
    });
    let Event::Fetched(Job(1), Err(reason)) = next(&mut events).await else {
        panic!()
    };
    assert_eq!(reason, "localhost is a local address, which is not allowed");
    outside.perform(Action::Datagram(Job(2), address.to_string(), Bytes::new()));
    assert!(matches!(next(&mut events).await, Event::Datagram(Job(2), Err(_))));
    let (_sender, receiver) = unbounded_channel();
    let url = format!("ws://{address}/");
    let policy = Policy::default();
    let refused = websocket::run(&policy, &url, receiver, |_| panic!());
    assert!(refused.await.unwrap_err().contains("not allowed"));
}

#[tokio::test]
async fn a_conversation_keeps_its_socket_until_hangup() {
    let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = server.local_addr().unwrap().to_string();
    let (outside, mut events) = outside(local());
    let mut from = Vec::new();
    for (job, text) in [(1, "one"), (1, "two"), (2, "three")] {
        outside.perform(Action::Datagram(Job(job), address.clone(), text.into()));
        let mut buffer = [0; 99];
        let (length, sender) = server.recv_from(&mut buffer).await.unwrap();
        assert_eq!(&buffer[..length], text.as_bytes());
        from.push(sender);
        server.send_to(&buffer[..length], sender).await.unwrap();
        match next(&mut events).await {
            Event::Datagram(answered, data) => {
                assert_eq!((answered, data), (Job(job), Ok((Family::V4, Bytes::from(text)))))
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(from[0], from[1]);
    assert_ne!(from[0], from[2]);
    outside.perform(Action::Hangup(Job(1)));
    assert!(outside.shared.conversations.with(|open| !open.contains_key(&Job(1))));
    outside.perform(Action::Datagram(Job(3), "127.0.0.1".into(), Bytes::new()));
    assert!(matches!(next(&mut events).await, Event::Datagram(Job(3), Err(_))));
}

#[tokio::test]
async fn a_websocket_opens_talks_and_closes() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
        let mut heard = Vec::new();
        while let Some(Ok(message)) = socket.next().await {
            if let tungstenite::Message::Text(text) = message {
                heard.push(text.to_string());
                let answer = tungstenite::Message::Binary(format!("{text}!").into());
                socket.send(answer).await.unwrap();
            }
        }
        heard
    });
    let (sender, receiver) = unbounded_channel();
    let (inward, mut messages) = unbounded_channel();
    let url = format!("ws://{address}/announce?x=1");
    let client =
        tokio::spawn(
            async move { websocket::run(&local(), &url, receiver, |message| inward.send(message).unwrap()).await },
        );
    assert!(matches!(messages.recv().await, Some(websocket::Message::Open)));
    for text in ["one", "two"] {
        sender.send(text.into()).unwrap();
        let Some(websocket::Message::Text(answer)) = messages.recv().await else {
            panic!()
        };
        assert_eq!(answer, format!("{text}!"));
    }
    drop(sender);
    assert_eq!(client.await.unwrap(), Ok(()));
    assert_eq!(server.await.unwrap(), ["one", "two"]);
}

#[tokio::test]
async fn a_websocket_that_the_server_closes_has_a_reason() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
        socket.close(None).await.unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        assert!(stream.read(&mut [0; 999]).await.unwrap() > 0);
        let refusal = b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n";
        stream.write_all(refusal).await.unwrap();
    });
    let url = format!("ws://{address}/");
    for expected in ["it was closed", "HTTP 403"] {
        let (_sender, receiver) = unbounded_channel();
        let policy = local();
        let ended = websocket::run(&policy, &url, receiver, |_| {});
        assert_eq!(ended.await.unwrap_err(), expected);
    }
}
