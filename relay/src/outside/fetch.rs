//! GET over HTTP/1.1, as trackers need it: redirections followed, the body bounded, every step under the address policy.

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::header::{ACCEPT, CONNECTION, HOST, LOCATION, USER_AGENT};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use url::{Position, Url};

use super::stream::connect;
use super::{PATIENCE, Policy};

/// How many redirections are followed.
pub(super) const MAX_REDIRECTS: usize = 5;

/// The body of a URL of at most `limit` bytes, or why there is none.
pub(super) async fn fetch(policy: &Policy, url: &str, limit: usize) -> Result<Bytes, String> {
    let mut url = parse(url)?;
    for _ in 0..=MAX_REDIRECTS {
        let response = request(policy, &url);
        let (response, connection) = tokio::time::timeout(2 * PATIENCE, response)
            .await
            .map_err(|_| "no answer in time")??;
        // The connection has a task of its own, which ends with the response.
        let _connection = connection;
        if response.status() == StatusCode::OK {
            return tokio::time::timeout(2 * PATIENCE, body(response.into_body(), limit))
                .await
                .map_err(|_| "the answer did not end in time")?;
        }
        url = redirected(&url, &response)?;
    }
    Err("redirected too often".into())
}

/// Where a response sends us, or why nowhere.
pub(super) fn redirected(from: &Url, response: &Response<Incoming>) -> Result<Url, String> {
    let redirected = response.status().is_redirection();
    let location = response.headers().get(LOCATION).filter(|_| redirected);
    let Some(location) = location.and_then(|location| location.to_str().ok()) else {
        return Err(format!("HTTP {}", response.status().as_u16()));
    };
    let url = from
        .join(location)
        .map_err(|error| format!("redirected to no URL: {error}"))?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        scheme => Err(format!("redirected to {scheme}")),
    }
}

pub(super) fn parse(url: &str) -> Result<Url, String> {
    let url = Url::parse(url).map_err(|error| format!("no URL: {error}"))?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        scheme => Err(format!("{scheme} is not HTTP")),
    }
}

/// Ends a task when it is dropped.
pub(super) struct Task(pub(super) tokio::task::JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn request(policy: &Policy, url: &Url) -> Result<(Response<Incoming>, Task), String> {
    let stream = connect(policy, url).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| error.to_string())?;
    let task = Task(tokio::spawn(async move {
        // Its failure is the request's failure too.
        let _ = connection.await;
    }));
    let request = Request::get(&url[Position::BeforePath..Position::AfterQuery])
        .header(HOST, &url[Position::BeforeHost..Position::AfterPort])
        .header(USER_AGENT, super::USER_AGENT)
        .header(ACCEPT, "*/*")
        .header(CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| error.to_string())?;
    let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
    Ok((response, task))
}

async fn body(mut incoming: Incoming, limit: usize) -> Result<Bytes, String> {
    let mut body = BytesMut::new();
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(|error| error.to_string())?;
        if let Ok(data) = frame.into_data() {
            if body.len() + data.len() > limit {
                return Err(format!("the answer is longer than {limit} bytes"));
            }
            body.extend_from_slice(&data);
        }
    }
    Ok(body.freeze())
}
