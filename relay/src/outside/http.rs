//! HTTP/1.1 as a client of trackers and web seeds: connections, questions over them, and where an answer sends us.

use bytes::Bytes;
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{ACCEPT, HOST, HeaderName, LOCATION, USER_AGENT};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use url::{Position, Url};

use super::Policy;
use super::stream::connect;

/// How many redirections are followed.
pub(super) const MAX_REDIRECTS: usize = 5;

/// A connection to the host of a URL. It ends when it is dropped.
pub(super) struct Connection {
    sender: SendRequest<Empty<Bytes>>,
    /// What drives it.
    _task: Task,
}

/// Ends a task when it is dropped.
struct Task(tokio::task::JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Connection {
    /// Connects to the host of a URL.
    pub(super) async fn open(policy: &Policy, url: &Url) -> Result<Self, String> {
        let stream = connect(policy, url).await?;
        let (sender, driver) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| error.to_string())?;
        let task = Task(tokio::spawn(async move {
            // Its failure is the request's failure too.
            let _ = driver.await;
        }));
        Ok(Self { sender, _task: task })
    }

    /// Asks for a URL of that host.
    pub(super) async fn get(
        &mut self,
        url: &Url,
        headers: impl IntoIterator<Item = (HeaderName, String)>,
    ) -> Result<Response<Incoming>, String> {
        let mut request = Request::get(&url[Position::BeforePath..Position::AfterQuery])
            .header(HOST, &url[Position::BeforeHost..Position::AfterPort])
            .header(USER_AGENT, super::USER_AGENT)
            .header(ACCEPT, "*/*");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request = request.body(Empty::new()).map_err(|error| error.to_string())?;
        self.sender
            .send_request(request)
            .await
            .map_err(|error| error.to_string())
    }

    /// Waits until the answer before is read; false: it is of no more use.
    pub(super) async fn is_free(&mut self) -> bool {
        self.sender.ready().await.is_ok()
    }

    /// Whether the other end has closed it.
    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }
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
