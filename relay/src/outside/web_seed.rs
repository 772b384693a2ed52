//! Bytes of web seeds (BEP 19, BEP 17): ranges over HTTP/1.1, given on as they come.
//!
//! A connection whose answer was read to its end is kept for the next question to that server, for a while: then neither TCP nor TLS has to
//! start anew for each. Redirections are followed as trackers' are, every step under the address policy.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper::header::{CONTENT_RANGE, RANGE, RETRY_AFTER};
use hyper::{HeaderMap, Response, StatusCode};
use tombolo_core::event::Refused;
use url::Url;

use super::http::{Connection, MAX_REDIRECTS, parse, redirected};
use super::{PATIENCE, Policy};

/// How long an idle connection is kept: less than most servers keep theirs.
const IDLE: Duration = Duration::from_secs(30);

/// Idle connections that are kept.
const MAX_IDLE: usize = 16;

/// What is wanted of a web seed.
pub(super) struct Wanted {
    pub(super) url: String,
    /// The first byte of a range; `None`: the whole body.
    pub(super) start: Option<u64>,
    pub(super) length: u64,
}

/// Connections that wait for the next question, by the origin they lead to.
#[derive(Default)]
pub(super) struct Idle(Mutex<HashMap<String, (Connection, Instant)>>);

impl Idle {
    fn take(&self, url: &Url) -> Option<Connection> {
        let origin = url.origin().ascii_serialization();
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (connection, since) = idle.remove(&origin)?;
        (since.elapsed() < IDLE && !connection.is_closed()).then_some(connection)
    }

    fn keep(&self, url: &Url, connection: Connection) {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|_, (connection, since)| since.elapsed() < IDLE && !connection.is_closed());
        if idle.len() < MAX_IDLE {
            idle.insert(url.origin().ascii_serialization(), (connection, Instant::now()));
        }
    }
}

/// Asks for the bytes and gives them to `receive`: all that were wanted, or an error.
pub(super) async fn stream(
    policy: &Policy,
    idle: &Idle,
    wanted: &Wanted,
    receive: impl Fn(Bytes),
) -> Result<(), Refused> {
    let mut url = parse(&wanted.url).map_err(failed)?;
    for _ in 0..=MAX_REDIRECTS {
        let asking = ask(policy, idle, &url, wanted);
        let (response, connection) = in_time(asking).await?.map_err(failed)?;
        let status = response.status();
        if status.is_success() {
            check(&response, wanted)?;
            let finished = read(response.into_body(), wanted.length, receive).await?;
            if finished {
                idle.keep(&url, connection);
            }
            return Ok(());
        }
        if !status.is_redirection() {
            return Err(refusal(response).await);
        }
        url = redirected(&url, &response).map_err(failed)?;
    }
    Err(failed("redirected too often".into()))
}

/// Asks over a connection that is there, or a new one; one that was there may have been closed meanwhile.
async fn ask(
    policy: &Policy,
    idle: &Idle,
    url: &Url,
    wanted: &Wanted,
) -> Result<(Response<Incoming>, Connection), String> {
    let range = || {
        let start = wanted.start?;
        Some((RANGE, format!("bytes={start}-{}", start + wanted.length - 1)))
    };
    if let Some(mut connection) = idle.take(url)
        && connection.is_free().await
        && let Ok(response) = connection.get(url, range()).await
    {
        return Ok((response, connection));
    }
    let mut connection = Connection::open(policy, url).await?;
    let response = connection.get(url, range()).await?;
    Ok((response, connection))
}

/// Whether the answer is to the question: a server that knows no ranges sends the file from its start.
fn check(response: &Response<Incoming>, wanted: &Wanted) -> Result<(), Refused> {
    let start = wanted.start.unwrap_or(0);
    let range = response
        .headers()
        .get(CONTENT_RANGE)
        .and_then(|range| range.to_str().ok());
    let right = match range {
        Some(range) => {
            range
                .strip_prefix("bytes ")
                .and_then(|range| range.split('-').next()?.trim().parse().ok())
                == Some(start)
        }
        None => start == 0 && response.status() == StatusCode::OK,
    };
    if right {
        Ok(())
    } else {
        Err(failed("it sends another range".into()))
    }
}

/// Reads `length` bytes; whether the answer ended with them, so that the connection is free.
async fn read(mut body: Incoming, length: u64, receive: impl Fn(Bytes)) -> Result<bool, Refused> {
    let mut left = length;
    while left > 0 {
        let Some(frame) = in_time(body.frame()).await? else {
            return Err(failed("it ended too soon".into()));
        };
        let frame = frame.map_err(|error| failed(error.to_string()))?;
        if let Ok(mut data) = frame.into_data() {
            data.truncate(usize::try_from(left).unwrap_or(usize::MAX));
            left -= data.len() as u64;
            receive(data);
        }
    }
    Ok(body.is_end_stream())
}

/// Why a server refused, and when it wants to be asked again.
async fn refusal(response: Response<Incoming>) -> Refused {
    let status = response.status();
    let mut retry = number(response.headers());
    if retry.is_none() && status == StatusCode::SERVICE_UNAVAILABLE {
        retry = busy_for(response.into_body()).await;
    }
    Refused {
        status: status.as_u16(),
        retry,
        why: format!("HTTP {}", status.as_u16()),
    }
}

fn number(headers: &HeaderMap) -> Option<u32> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()
}

/// BEP 17: the body of a 503 is the number of seconds to wait.
async fn busy_for(mut body: Incoming) -> Option<u32> {
    let first = in_time(body.frame()).await.ok()??.ok()?.into_data().ok()?;
    std::str::from_utf8(&first).ok()?.trim().parse().ok()
}

async fn in_time<T>(doing: impl Future<Output = T>) -> Result<T, Refused> {
    tokio::time::timeout(2 * PATIENCE, doing)
        .await
        .map_err(|_| failed("no answer in time".into()))
}

fn failed(why: String) -> Refused {
    Refused {
        why,
        ..Refused::default()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::net::SocketAddr;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    fn local() -> Policy {
        Policy {
            allow_local: true,
            ..Policy::default()
        }
    }

    /// A server that gives these answers one after the other, over as few connections as it is let; each request and the number of its
    /// connection come out.
    async fn serve(answers: Vec<&'static str>) -> (SocketAddr, tokio::task::JoinHandle<Vec<(usize, String)>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(async move {
            let (mut heard, mut answers) = (Vec::new(), answers.into_iter());
            for connection in 0.. {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = vec![0; 4096];
                while let Ok(length @ 1..) = stream.read(&mut request).await {
                    heard.push((connection, String::from_utf8_lossy(&request[..length]).to_lowercase()));
                    stream.write_all(answers.next().unwrap().as_bytes()).await.unwrap();
                    if answers.len() == 0 {
                        return heard;
                    }
                }
            }
            heard
        });
        (address, serving)
    }

    async fn get(idle: &Idle, url: &str, start: Option<u64>, length: u64) -> (String, Result<(), Refused>) {
        let wanted = Wanted {
            url: url.into(),
            start,
            length,
        };
        let body = RefCell::new(Vec::new());
        let result = stream(&local(), idle, &wanted, |part| {
            body.borrow_mut().extend_from_slice(&part)
        })
        .await;
        (String::from_utf8(body.into_inner()).unwrap(), result)
    }

    #[tokio::test]
    async fn ranges_come_over_one_connection_and_redirections_are_followed() {
        let (address, serving) = serve(vec![
            "HTTP/1.1 206 Partial\r\ncontent-range: bytes 3-5/9\r\ncontent-length: 3\r\n\r\nabc",
            "HTTP/1.1 302 Found\r\nlocation: /b%20c\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 206 Partial\r\ncontent-range: bytes 6-7/9\r\ncontent-length: 2\r\n\r\nde",
        ])
        .await;
        let idle = Idle::default();
        let url = format!("http://{address}/a");
        assert_eq!(get(&idle, &url, Some(3), 3).await, ("abc".into(), Ok(())));
        assert_eq!(get(&idle, &url, Some(6), 2).await, ("de".into(), Ok(())));
        let heard = serving.await.unwrap();
        assert!(heard[0].1.contains("range: bytes=3-5\r\n") && heard[0].1.starts_with("get /a "));
        assert!(heard[2].1.contains("range: bytes=6-7\r\n") && heard[2].1.starts_with("get /b%20c "));
        assert_eq!(heard[1].0, 0, "the connection was free again");
    }

    #[tokio::test]
    async fn what_is_not_the_range_is_refused() {
        let head = "content-length: 3\r\n\r\nabc";
        for (answer, start, expected) in [
            (format!("HTTP/1.1 200 OK\r\n{head}"), Some(0), None),
            (format!("HTTP/1.1 200 OK\r\n{head}"), None, None),
            (
                format!("HTTP/1.1 200 OK\r\n{head}"),
                Some(4),
                Some("it sends another range"),
            ),
            (
                format!("HTTP/1.1 206 P\r\ncontent-range: bytes 0-2/9\r\n{head}"),
                Some(4),
                Some("it sends another range"),
            ),
            (
                "HTTP/1.1 206 P\r\ncontent-range: bytes 4-5/9\r\ncontent-length: 1\r\n\r\na".into(),
                Some(4),
                Some("it ended too soon"),
            ),
            (
                "HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n".into(),
                Some(4),
                Some("HTTP 404"),
            ),
        ] {
            let (address, _serving) = serve(vec![answer.leak()]).await;
            let url = format!("http://{address}/a");
            let (body, result) = get(&Idle::default(), &url, start, 2).await;
            assert_eq!(result.clone().err().map(|refused| refused.why).as_deref(), expected);
            assert!(result.is_err() || body == "ab", "never more than was wanted");
        }
    }

    #[tokio::test]
    async fn a_busy_server_says_when_to_come_back() {
        for (answer, retry) in [
            (
                "HTTP/1.1 503 Busy\r\nretry-after: 7\r\ncontent-length: 0\r\n\r\n",
                Some(7),
            ),
            ("HTTP/1.1 503 Busy\r\ncontent-length: 2\r\n\r\n90", Some(90)),
            ("HTTP/1.1 503 Busy\r\ncontent-length: 4\r\n\r\nsoon", None),
            ("HTTP/1.1 500 Broken\r\ncontent-length: 2\r\n\r\n90", None),
        ] {
            let (address, _serving) = serve(vec![answer]).await;
            let refused = get(&Idle::default(), &format!("http://{address}/"), Some(0), 2).await.1;
            assert_eq!(refused.unwrap_err().retry, retry, "{answer}");
        }
    }
}
