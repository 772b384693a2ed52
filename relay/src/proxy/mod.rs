//! How connections are made: from which of our addresses, and through a proxy where there is one (SOCKS5, RFC 1928 and 1929, or HTTP CONNECT).
//!
//! Invariants: with a proxy nothing is connected to but the proxy, and names are resolved by it; with addresses of our own named, a
//! connection is made from one of its family or not at all. Not one byte is read past the proxy's answer.

mod stand_in;

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use url::Url;

use stand_in::StandIns;

/// SOCKS5's commands: a connection, and the carrying of datagrams.
const CONNECT: u8 = 1;
const ASSOCIATE: u8 = 3;

/// How long a proxy may take to say whether it carries datagrams.
const PATIENCE: Duration = Duration::from_secs(15);

/// The longest answer of an HTTP proxy, in bytes.
const LONGEST: usize = 8 * 1024;

/// The way out. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Way {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    proxy: Option<Proxy>,
    from: Vec<IpAddr>,
    stand_ins: StandIns,
}

/// A proxy.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    kind: Kind,
    host: String,
    port: u16,
    /// A name and a password.
    login: Option<(Vec<u8>, Vec<u8>)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Socks5,
    Http,
}

/// Where to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target<'a> {
    /// An address.
    Address(SocketAddr),
    /// A host and its port, for a proxy to resolve.
    Host(&'a str, u16),
}

impl fmt::Display for Target<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => write!(f, "{address}"),
            Self::Host(host, port) => write!(f, "{host}:{port}"),
        }
    }
}

/// The password is nobody's business.
impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}:{}", self.kind, self.host, self.port)
    }
}

impl Way {
    /// A way through this proxy, from these addresses of ours; any where none is named.
    pub fn new(proxy: Option<Proxy>, from: Vec<IpAddr>) -> Self {
        Self {
            inner: Arc::new(Inner {
                proxy,
                from,
                stand_ins: StandIns::default(),
            }),
        }
    }

    /// Whether there is a proxy.
    pub fn has_proxy(&self) -> bool {
        self.inner.proxy.is_some()
    }

    /// Our addresses that connections are made from; any where none is named.
    pub(crate) fn own_addresses(&self) -> &[IpAddr] {
        &self.inner.from
    }

    /// An address that stands for a peer whose name the proxy is to resolve. `None`: there are too many.
    pub(crate) fn stand_in(&self, host: &str, port: u16) -> Option<SocketAddr> {
        self.inner.stand_ins.put(host, port)
    }

    /// Whether an address stands for a name.
    pub(crate) fn is_stand_in(&self, address: SocketAddr) -> bool {
        self.inner.stand_ins.get(address).is_some()
    }

    /// Our address for connections to that one; `None`: any will do.
    ///
    /// # Errors
    /// None of the addresses named is of its family.
    pub(crate) fn own_address(&self, to: IpAddr) -> io::Result<Option<IpAddr>> {
        let from = &self.inner.from;
        let own = from.iter().copied().find(|own| own.is_ipv4() == to.is_ipv4());
        if own.is_none() && !from.is_empty() {
            let text = "there is no address of that family to connect from";
            return Err(io::Error::new(io::ErrorKind::AddrNotAvailable, text));
        }
        Ok(own)
    }

    /// Connects.
    ///
    /// # Errors
    /// The other end or the proxy does not answer, or refuses.
    pub(crate) async fn connect(&self, to: Target<'_>) -> io::Result<TcpStream> {
        let Some(proxy) = &self.inner.proxy else {
            return match to {
                Target::Address(address) => self.straight(address).await,
                Target::Host(host, port) => self.straight_to_host(host, port).await,
            };
        };
        let meant = match to {
            Target::Address(address) => self.inner.stand_ins.get(address),
            Target::Host(..) => None,
        };
        let to = meant.as_ref().map_or(to, |(host, port)| Target::Host(host, *port));
        let mut stream = self.straight_to_host(&proxy.host, proxy.port).await?;
        match proxy.kind {
            Kind::Socks5 => drop(proxy.socks5(&mut stream, (CONNECT, to)).await?),
            Kind::Http => proxy.http(&mut stream, to).await?,
        }
        Ok(stream)
    }

    /// Whether there is a proxy that may carry datagrams.
    pub(crate) fn may_carry_datagrams(&self) -> bool {
        let proxy = self.inner.proxy.as_ref();
        proxy.is_some_and(|proxy| proxy.kind == Kind::Socks5)
    }

    /// Asks the proxy to carry datagrams: where it takes them, for as long as the connection is open.
    ///
    /// # Errors
    /// It does not answer, refuses, or is of a kind that carries none.
    pub(crate) async fn associate(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let proxy = self.inner.proxy.as_ref().filter(|proxy| proxy.kind == Kind::Socks5);
        let proxy = proxy.ok_or_else(|| refused("the proxy carries no datagrams"))?;
        let associating = async {
            let mut stream = self.straight_to_host(&proxy.host, proxy.port).await?;
            // From which port they come is not known yet.
            let from = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0);
            let at = proxy.socks5(&mut stream, (ASSOCIATE, Target::Address(from))).await?;
            let mut at = at.ok_or_else(|| refused("the proxy takes datagrams at a name"))?;
            if at.ip().is_unspecified() {
                // At the address that it is reached at (as many say it).
                at.set_ip(stream.peer_addr()?.ip());
            }
            Ok((stream, at))
        };
        tokio::time::timeout(PATIENCE, associating).await?
    }

    /// Where to have a socket for datagrams to that address.
    ///
    /// # Errors
    /// As [`Self::own_address`].
    pub(crate) fn here(&self, to: IpAddr) -> io::Result<SocketAddr> {
        let any = match to {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        Ok(SocketAddr::new(self.own_address(to)?.unwrap_or(any), 0))
    }

    async fn straight(&self, to: SocketAddr) -> io::Result<TcpStream> {
        match self.own_address(to.ip())? {
            None => TcpStream::connect(to).await,
            Some(own) => {
                let socket = match own {
                    IpAddr::V4(_) => TcpSocket::new_v4(),
                    IpAddr::V6(_) => TcpSocket::new_v6(),
                }?;
                socket.bind((own, 0).into())?;
                socket.connect(to).await
            }
        }
    }

    async fn straight_to_host(&self, host: &str, port: u16) -> io::Result<TcpStream> {
        let mut failure = io::Error::new(io::ErrorKind::NotFound, format!("{host} has no address"));
        for address in tokio::net::lookup_host((host, port)).await? {
            match self.straight(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }
}

impl Proxy {
    /// Reads `socks5://[NAME:PASSWORD@]HOST[:PORT]` (`socks5h` is the same) or `http://…`.
    ///
    /// # Errors
    /// It is no such URL; why, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|error| error.to_string())?;
        let (kind, usual) = match url.scheme() {
            "socks5" | "socks5h" => (Kind::Socks5, 1080),
            "http" => (Kind::Http, 8080),
            scheme => return Err(format!("{scheme} is neither socks5 nor http")),
        };
        let host = url
            .host_str()
            .filter(|host| !host.is_empty())
            .ok_or("there is no host")?;
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err("there is something after the host".into());
        }
        let decode = |text: &str| percent_decode_str(text).collect::<Vec<u8>>();
        let login = (decode(url.username()), decode(url.password().unwrap_or_default()));
        let named = !login.0.is_empty();
        if named && (login.0.len() > 255 || !(1..=255).contains(&login.1.len())) {
            return Err("name and password have 1 to 255 bytes".into());
        }
        // 80 is what the URL standard takes for the absence of a port.
        Ok(Self {
            kind,
            host: host.trim_matches(['[', ']']).into(),
            port: url.port().unwrap_or(usual),
            login: named.then_some(login),
        })
    }

    /// Asks for something; the address in the answer, if it is one.
    async fn socks5(
        &self,
        stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
        (command, to): (u8, Target<'_>),
    ) -> io::Result<Option<SocketAddr>> {
        self.login(stream).await?;
        let mut request = vec![5, command, 0];
        put_target(&mut request, to)?;
        stream.write_all(&request).await?;
        let mut head = [0; 4];
        stream.read_exact(&mut head).await?;
        let length = match head {
            [5, 0, _, 1] => 4,
            [5, 0, _, 4] => 16,
            [5, 0, _, 3] => usize::from(stream.read_u8().await?),
            [5, code @ 1..=255, ..] => return Err(refused(reason(code))),
            _ => return Err(refused("the proxy does not speak SOCKS5")),
        };
        let mut host = vec![0; length];
        stream.read_exact(&mut host).await?;
        let port = stream.read_u16().await?;
        let ip = match (head[3], &host[..]) {
            (1, &[a, b, c, d]) => Some(IpAddr::from([a, b, c, d])),
            (4, ip) => <[u8; 16]>::try_from(ip).ok().map(IpAddr::from),
            _ => None,
        };
        Ok(ip.map(|ip| SocketAddr::new(ip, port)))
    }

    async fn login(&self, stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> io::Result<()> {
        let methods: &[u8] = if self.login.is_some() {
            &[5, 2, 0, 2]
        } else {
            &[5, 1, 0]
        };
        stream.write_all(methods).await?;
        let mut chosen = [0; 2];
        stream.read_exact(&mut chosen).await?;
        match (chosen, &self.login) {
            ([5, 0], _) => Ok(()),
            ([5, 2], Some((name, password))) => {
                let login = [&[1, name.len() as u8], &name[..], &[password.len() as u8], password].concat();
                stream.write_all(&login).await?;
                let mut answer = [0; 2];
                stream.read_exact(&mut answer).await?;
                if answer[1] != 0 {
                    return Err(refused("the proxy refuses name and password"));
                }
                Ok(())
            }
            ([5, _], _) => Err(refused("the proxy wants another kind of login")),
            _ => Err(refused("the proxy does not speak SOCKS5")),
        }
    }

    async fn http(&self, stream: &mut (impl AsyncRead + AsyncWrite + Unpin), to: Target<'_>) -> io::Result<()> {
        let mut request = format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n");
        if let Some((name, password)) = &self.login {
            let login = STANDARD.encode([&name[..], b":", password].concat());
            request.push_str(&format!("Proxy-Authorization: Basic {login}\r\n"));
        }
        request.push_str("\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut head = Vec::new();
        // Byte by byte: what follows the head is the other end's.
        while !head.ends_with(b"\r\n\r\n") {
            if head.len() >= LONGEST {
                return Err(refused("the proxy's answer is too long"));
            }
            head.push(stream.read_u8().await?);
        }
        let line = String::from_utf8_lossy(head.split(|&byte| byte == b'\r').next().unwrap_or_default()).into_owned();
        let mut words = line.split(' ');
        let is_http = words.next().is_some_and(|version| version.starts_with("HTTP/1."));
        match words.next().filter(|_| is_http) {
            Some(status) if status.len() == 3 && status.starts_with('2') => Ok(()),
            Some(status) => Err(refused(&format!("the proxy answers {status}"))),
            None => Err(refused("the proxy does not speak HTTP")),
        }
    }
}

/// Appends a host and its port as SOCKS5 writes them.
pub(crate) fn put_target(request: &mut Vec<u8>, to: Target<'_>) -> io::Result<()> {
    let port = match to {
        Target::Address(address) => {
            match address.ip().to_canonical() {
                IpAddr::V4(ip) => request.extend([&[1], &ip.octets()[..]].concat()),
                IpAddr::V6(ip) => request.extend([&[4], &ip.octets()[..]].concat()),
            }
            address.port()
        }
        Target::Host(host, port) => {
            let length = u8::try_from(host.len()).map_err(|_| refused("the name of the host is too long"))?;
            request.extend([&[3, length], host.as_bytes()].concat());
            port
        }
    };
    request.extend(port.to_be_bytes());
    Ok(())
}

/// What a SOCKS5 proxy says (RFC 1928, section 6).
const fn reason(code: u8) -> &'static str {
    match code {
        2 => "the proxy does not allow it",
        3 => "the proxy says: network unreachable",
        4 => "the proxy says: host unreachable",
        5 => "the proxy says: connection refused",
        6 => "the proxy says: time to live expired",
        7 => "the proxy cannot connect",
        8 => "the proxy does not know this kind of address",
        _ => "the proxy has failed",
    }
}

fn refused(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionRefused, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_are_read_from_urls() {
        let proxy = Proxy::parse("socks5://na%3Ame:p%40ss@proxy.test").unwrap();
        let login = Some((b"na:me".to_vec(), b"p@ss".to_vec()));
        assert_eq!((proxy.port, &proxy.login), (1080, &login));
        assert_eq!(format!("{proxy:?}"), "Socks5 proxy.test:1080");
        let proxy = Proxy::parse("http://[::1]:3128/").unwrap();
        assert_eq!((proxy.host.as_str(), proxy.port, proxy.kind), ("::1", 3128, Kind::Http));
        assert_eq!(Proxy::parse("socks5h://10.0.0.1:9050").unwrap().port, 9050);
        let long = format!("socks5://a:{}@h", "x".repeat(256));
        for text in [
            "",
            "h:1",
            "ftp://h",
            "https://h",
            "socks5://",
            "http://h/x",
            "http://h?x",
            "socks5://h#x",
            "socks5://a@h",
            &long,
        ] {
            assert!(Proxy::parse(text).is_err(), "{text}");
        }
    }

    /// What a proxy that answers so gets, and how the attempt ends.
    async fn ask(proxy: &str, to: Target<'_>, answer: &[u8]) -> (Vec<u8>, Result<Vec<u8>, String>) {
        let proxy = Proxy::parse(proxy).unwrap();
        let (mut near, mut far) = tokio::io::duplex(1 << 16);
        far.write_all(answer).await.unwrap();
        far.shutdown().await.unwrap();
        let done = match proxy.kind {
            Kind::Socks5 => proxy.socks5(&mut near, (CONNECT, to)).await.map(drop),
            Kind::Http => proxy.http(&mut near, to).await,
        };
        let (mut asked, mut rest) = (Vec::new(), Vec::new());
        let done = match done {
            Ok(()) => near.read_to_end(&mut rest).await.map(|_| rest),
            Err(error) => Err(error),
        };
        drop(near);
        far.read_to_end(&mut asked).await.unwrap();
        (asked, done.map_err(|error| error.to_string()))
    }

    #[tokio::test]
    async fn socks5_as_it_is_written_down() {
        let v4 = Target::Address("1.2.3.4:258".parse().unwrap());
        let (asked, done) = ask("socks5://h", v4, b"\x05\x00\x05\x00\x00\x01\0\0\0\0\0\0rest").await;
        assert_eq!(asked, b"\x05\x01\x00\x05\x01\x00\x01\x01\x02\x03\x04\x01\x02");
        assert_eq!(done.unwrap(), b"rest", "what follows is the other end's");
        let name = Target::Host("a.test", 80);
        let (asked, done) = ask("socks5://u:pw@h", name, b"\x05\x02\x01\x00\x05\x00\x00\x03\x02xy\0\0").await;
        assert_eq!(
            asked,
            b"\x05\x02\x00\x02\x01\x01u\x02pw\x05\x01\x00\x03\x06a.test\x00\x50"
        );
        assert_eq!(done.unwrap(), b"");
        let v6 = Target::Address("[::1]:1".parse().unwrap());
        let answer = [&b"\x05\x00\x05\x00\x00\x04"[..], &[0; 18]].concat();
        let (asked, done) = ask("socks5://h", v6, &answer).await;
        assert_eq!((asked.len(), done.unwrap()), (3 + 4 + 18, Vec::new()));
    }

    #[tokio::test]
    async fn malformed_answers_of_socks5_proxies() {
        let to = Target::Address("1.2.3.4:1".parse().unwrap());
        for answer in [
            &b""[..],
            b"\x05",
            b"\x04\x00",
            b"\x05\x01",
            b"\x05\xff",
            b"\x05\x02\x01\x01",
            b"\x05\x00\x05\x00\x00",
            b"HTTP/1.1 400",
            b"\x05\x00\x05\x05\x00\x01\0\0\0\0\0\0",
            b"\x05\x00\x05\x63\x00\x01",
            b"\x05\x00\x05\x00\x00\x02\0\0\0\0\0\0",
            b"\x05\x00\x05\x00\x00\x03\xffxy",
            b"\x05\x00\x05\x00\x00\x01\0\0\0\0\0",
            b"\x05\x00\x04\x00\x00\x01\0\0\0\0\0\0",
        ] {
            let (_, done) = ask("socks5://u:p@h", to, answer).await;
            assert!(done.is_err(), "{answer:?}");
        }
        let (_, done) = ask("socks5://h", to, b"\x05\x02").await;
        assert!(done.is_err(), "a login that we have not");
        let long = "x".repeat(256);
        assert!(ask("socks5://h", Target::Host(&long, 1), b"\x05\x00").await.1.is_err());
    }

    #[tokio::test]
    async fn http_connect() {
        let to = Target::Host("a.test", 80);
        let (asked, done) = ask("http://u:p@h", to, b"HTTP/1.1 200 Fine\r\nX: y\r\n\r\nrest").await;
        let text = String::from_utf8(asked).unwrap();
        assert_eq!(
            text,
            "CONNECT a.test:80 HTTP/1.1\r\nHost: a.test:80\r\nProxy-Authorization: Basic dTpw\r\n\r\n"
        );
        assert_eq!(done.unwrap(), b"rest");
        let long = [&b"HTTP/1.1 200 x\r\n"[..], &[b'a'; LONGEST]].concat();
        for answer in [
            &b""[..],
            b"\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n",
            b"HTTP/1.1 407 Login\r\n\r\n",
            b"HTTP/2 200\r\n\r\n",
            b"200 OK\r\n\r\n",
            b"HTTP/1.1 2000\r\n\r\n",
            b"HTTP/1.1\r\n\r\n",
            b"\x05\x00\r\n\r\n",
            &long,
        ] {
            assert!(ask("http://h", to, answer).await.1.is_err(), "{answer:?}");
        }
    }

    #[test]
    fn addresses_of_ours_are_taken_by_family() {
        let own: IpAddr = "127.0.0.7".parse().unwrap();
        let way = Way::new(None, vec![own]);
        assert_eq!(way.own_address("1.2.3.4".parse().unwrap()).unwrap(), Some(own));
        assert!(way.own_address("::1".parse().unwrap()).is_err());
        assert_eq!(Way::default().own_address("::1".parse().unwrap()).unwrap(), None);
    }
}
