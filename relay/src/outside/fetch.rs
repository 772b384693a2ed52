//! GET over HTTP/1.1, as trackers need it: redirections followed, the body bounded, every step under the address policy.

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::header::CONNECTION;

use super::http::{Connection, MAX_REDIRECTS, parse, redirected};
use super::{PATIENCE, Policy};

/// The body of a URL of at most `limit` bytes, or why there is none.
pub(super) async fn fetch(policy: &Policy, url: &str, limit: usize) -> Result<Bytes, String> {
    let mut url = parse(url)?;
    for _ in 0..=MAX_REDIRECTS {
        let asking = async {
            let mut connection = Connection::open(policy, &url).await?;
            let response = connection.get(&url, [(CONNECTION, "close".into())]).await?;
            Ok::<_, String>((response, connection))
        };
        // It has to live until the answer is read.
        let (response, _connection) = tokio::time::timeout(2 * PATIENCE, asking)
            .await
            .map_err(|_| "no answer in time")??;
        if response.status() == StatusCode::OK {
            return tokio::time::timeout(2 * PATIENCE, body(response.into_body(), limit))
                .await
                .map_err(|_| "the answer did not end in time")?;
        }
        url = redirected(&url, &response)?;
    }
    Err("redirected too often".into())
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
