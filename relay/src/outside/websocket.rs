//! A WebSocket to a tracker, as the client of it.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Error};
use url::Url;

use super::stream::connect;
use super::{PATIENCE, Policy, USER_AGENT};
use crate::stream::Stream;

/// The longest message taken, in bytes. Ten offers in one announce are some 30 KiB.
const LONGEST: usize = 1 << 20;

/// How often a ping is sent, so that no proxy on the way takes the connection for dead; twice that without a sign of life ends it.
const PING: Duration = Duration::from_secs(60);

/// What happened on a WebSocket.
pub(super) enum Message {
    /// It is open.
    Open,
    /// A message came.
    Text(String),
}

/// Opens a WebSocket, sends what comes from `outgoing`, gives what comes in to `receive`. Ends well when `outgoing` does, and with the
/// reason when the other end or the connection does.
pub(super) async fn run(
    policy: &Policy,
    url: &str,
    mut outgoing: UnboundedReceiver<String>,
    receive: impl Fn(Message),
) -> Result<(), String> {
    let mut socket = open(policy, url).await?;
    receive(Message::Open);
    let mut pings = tokio::time::interval_at(tokio::time::Instant::now() + PING, PING);
    let mut silent = 0;
    loop {
        tokio::select! {
            text = outgoing.recv() => {
                let Some(text) = text else {
                    // The other end has PATIENCE to hear it, and no more.
                    let _ = tokio::time::timeout(PATIENCE, socket.close(None)).await;
                    return Ok(());
                };
                socket.send(tungstenite::Message::text(text)).await.map_err(|error| reason(&error))?;
            }
            message = socket.next() => {
                silent = 0;
                match message {
                    None => return Err("it was closed".into()),
                    Some(Err(error)) => return Err(reason(&error)),
                    Some(Ok(tungstenite::Message::Text(text))) => receive(Message::Text(text.as_str().into())),
                    Some(Ok(tungstenite::Message::Binary(bytes))) => {
                        // Some trackers send their JSON so.
                        if let Ok(text) = std::str::from_utf8(&bytes) {
                            receive(Message::Text(text.into()));
                        }
                    }
                    Some(Ok(tungstenite::Message::Close(frame))) => {
                        let why = frame.filter(|frame| !frame.reason.is_empty());
                        return Err(why.map_or_else(|| "it was closed".into(), |frame| frame.reason.to_string()));
                    }
                    Some(Ok(_)) => {}
                }
            }
            _ = pings.tick() => {
                silent += 1;
                if silent > 2 {
                    return Err("it fell silent".into());
                }
                let ping = tungstenite::Message::Ping(tungstenite::Bytes::new());
                socket.send(ping).await.map_err(|error| reason(&error))?;
            }
        }
    }
}

async fn open(policy: &Policy, url: &str) -> Result<WebSocketStream<Stream>, String> {
    let url = Url::parse(url).map_err(|error| format!("no URL: {error}"))?;
    if !matches!(url.scheme(), "ws" | "wss") {
        return Err(format!("{} is not WebSocket", url.scheme()));
    }
    let mut request = url.as_str().into_client_request().map_err(|error| reason(&error))?;
    request
        .headers_mut()
        .insert("user-agent", HeaderValue::from_static(USER_AGENT));
    let stream = connect(policy, &url).await?;
    let config = WebSocketConfig::default()
        .max_message_size(Some(LONGEST))
        .max_frame_size(Some(LONGEST));
    let opening = tokio_tungstenite::client_async_with_config(request, stream, Some(config));
    match tokio::time::timeout(PATIENCE, opening).await {
        Ok(Ok((socket, _))) => Ok(socket),
        Ok(Err(error)) => Err(reason(&error)),
        Err(_) => Err("no answer in time".into()),
    }
}

fn reason(error: &Error) -> String {
    match error {
        Error::Http(response) => format!("HTTP {}", response.status().as_u16()),
        Error::ConnectionClosed | Error::AlreadyClosed => "it was closed".into(),
        error => error.to_string(),
    }
}
