//! A WebSocket client, written apart from the server's code.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::relay::PATIENCE;

/// What carries a WebSocket.
pub(crate) trait Duplex: Read + Write {}
impl<S: Read + Write> Duplex for S {}

pub(crate) struct Socket {
    stream: Box<dyn Duplex>,
}

/// A whole message, or how the other end closed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Message {
    Text(String),
    Binary(Vec<u8>),
    Close(u16, String),
}

impl Socket {
    pub(crate) fn open(address: SocketAddr, path: &str) -> Self {
        Self::try_open(address, path, "").unwrap()
    }

    /// The status if it is not 101.
    pub(crate) fn try_open(address: SocketAddr, path: &str, headers: &str) -> Result<Self, String> {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self::over(Box::new(stream), address, path, headers)
    }

    /// The same over a connection that is there.
    pub(crate) fn over(
        mut stream: Box<dyn Duplex>,
        address: SocketAddr,
        path: &str,
        headers: &str,
    ) -> Result<Self, String> {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{headers}\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        if !head.starts_with("HTTP/1.1 101") {
            return Err(head);
        }
        assert!(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
        Ok(Self { stream })
    }

    pub(crate) fn send(&mut self, opcode: u8, payload: &[u8]) {
        let mask = [1, 2, 3, 4];
        let mut frame = vec![0x80 | opcode];
        match payload.len() {
            length @ 0..126 => frame.push(0x80 | length as u8),
            length => {
                frame.push(0x80 | 126);
                frame.extend(u16::try_from(length).unwrap().to_be_bytes());
            }
        }
        frame.extend(mask);
        frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        self.stream.write_all(&frame).unwrap();
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.send(1, text.as_bytes());
    }

    /// The next message; pings are passed over.
    pub(crate) fn receive(&mut self) -> Message {
        loop {
            let mut head = [0; 2];
            self.stream.read_exact(&mut head).unwrap();
            assert_eq!((head[0] & 0x70, head[1] & 0x80), (0, 0), "no extension, no mask");
            assert_eq!(head[0] & 0x80, 0x80, "the relay does not split messages");
            let length = match head[1] {
                126 => usize::from(u16::from_be_bytes(self.exactly())),
                127 => usize::try_from(u64::from_be_bytes(self.exactly())).unwrap(),
                short => usize::from(short),
            };
            let mut payload = vec![0; length];
            self.stream.read_exact(&mut payload).unwrap();
            match head[0] & 0x0f {
                1 => return Message::Text(String::from_utf8(payload).unwrap()),
                2 => return Message::Binary(payload),
                8 => {
                    let code = u16::from_be_bytes([payload[0], payload[1]]);
                    return Message::Close(code, String::from_utf8(payload[2..].to_vec()).unwrap());
                }
                _ => {}
            }
        }
    }

    fn exactly<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.stream.read_exact(&mut bytes).unwrap();
        bytes
    }
}
