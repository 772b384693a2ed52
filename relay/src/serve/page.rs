//! The page: files embedded when the relay was built, or a folder.
//!
//! Every file has an ETag and is revalidated, so that a new relay is a new page at once. Cost: nothing is copied or
//! compressed at run time.

use std::path::{Component, Path, PathBuf};

use bytes::Bytes;
use hyper::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderMap,
    HeaderName, HeaderValue, IF_NONE_MATCH, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Response, StatusCode};
use sha1::{Digest, Sha1};

use super::reply::{self, Reply};

include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// Scripts are ours alone, wasm may be compiled; trackers, relays and web seeds may be anywhere.
const POLICY: &str = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data: blob:; media-src 'self' blob:; worker-src 'self' blob:; \
    connect-src 'self' http: https: ws: wss: data: blob:; object-src 'none'; base-uri 'none'; form-action 'self'; \
    frame-ancestors 'self'";

/// A file of the page in all its forms.
struct Asset {
    path: &'static str,
    tag: &'static str,
    plain: &'static [u8],
    gzip: Option<&'static [u8]>,
    brotli: Option<&'static [u8]>,
}

/// Where the page comes from.
#[derive(Clone, Debug)]
pub(crate) enum Page {
    /// The binary itself.
    Embedded,
    /// A folder, read anew each time: for work on the page.
    Folder(PathBuf),
}

impl Page {
    /// The file of a URL's path, or 404.
    pub(crate) async fn serve(&self, path: &str, headers: &HeaderMap) -> Reply {
        let path = path.trim_start_matches('/');
        let path = if path.is_empty() { "index.html" } else { path };
        match self {
            Self::Embedded => embedded(path, headers),
            Self::Folder(folder) => from_folder(folder, path, headers).await,
        }
    }
}

fn embedded(path: &str, headers: &HeaderMap) -> Reply {
    let found = ASSETS
        .binary_search_by(|asset| asset.path.cmp(path))
        .ok()
        .and_then(|index| ASSETS.get(index));
    let Some(asset) = found else { return missing() };
    if is_known(headers, asset.tag) {
        return not_modified(asset.tag);
    }
    let (body, encoding) = match (asset.brotli, asset.gzip) {
        (Some(body), _) if accepts(headers, "br") => (body, Some("br")),
        (_, Some(body)) if accepts(headers, "gzip") => (body, Some("gzip")),
        _ => (asset.plain, None),
    };
    let mut response = file(path, asset.tag, Bytes::from_static(body));
    if let Some(encoding) = encoding {
        response
            .headers_mut()
            .insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    response
}

async fn from_folder(folder: &Path, path: &str, headers: &HeaderMap) -> Reply {
    let relative = Path::new(path);
    if !relative
        .components()
        .all(|component| matches!(component, Component::Normal(_)))
    {
        return missing();
    }
    let Ok(bytes) = tokio::fs::read(folder.join(relative)).await else {
        return missing();
    };
    let tag = format!("\"{}\"", tombolo_core::key::hex(&Sha1::digest(&bytes)[..10]));
    if is_known(headers, &tag) {
        not_modified(&tag)
    } else {
        file(path, &tag, bytes.into())
    }
}

fn missing() -> Reply {
    reply::text(StatusCode::NOT_FOUND, "there is no such page\n")
}

fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let known = headers.get(IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    known.is_some_and(|known| known.split(',').any(|one| one.trim().trim_start_matches("W/") == tag))
}

/// Whether the client takes an encoding. `;q=0`, which nobody sends, is honoured.
fn accepts(headers: &HeaderMap, encoding: &str) -> bool {
    let accepted = headers
        .get(ACCEPT_ENCODING)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    accepted.split(',').any(|one| {
        let mut parts = one.split(';').map(str::trim);
        parts.next() == Some(encoding) && !parts.any(|quality| matches!(quality, "q=0" | "q=0.0"))
    })
}

fn not_modified(tag: &str) -> Reply {
    let mut response = Response::new(Bytes::new().into());
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    common(&mut response, tag);
    response
}

fn file(path: &str, tag: &str, body: Bytes) -> Reply {
    let mut response = Response::new(body.into());
    common(&mut response, tag);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(mime(path)));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // An info-hash in the address is nobody else's business.
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    );
    headers.insert(
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    );
    response
}

fn common(response: &mut Reply, tag: &str) {
    let headers = response.headers_mut();
    if let Ok(tag) = HeaderValue::from_str(tag) {
        headers.insert(ETAG, tag);
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
}

fn mime(path: &str) -> &'static str {
    match path.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "wasm" => "application/wasm",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "webp" => "image/webp",
        "woff2" => "font/woff2",
        "txt" | "md" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn encodings_are_taken_as_offered() {
        assert!(accepts(&headers(ACCEPT_ENCODING, "gzip, deflate, br;q=0.9"), "br"));
        assert!(!accepts(&headers(ACCEPT_ENCODING, "gzip;q=0, br"), "gzip"));
        assert!(!accepts(&HeaderMap::new(), "gzip"));
    }

    #[tokio::test]
    async fn a_folder_serves_only_what_is_in_it() {
        let folder = std::env::temp_dir().join(format!("tombolo-page-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("pkg")).unwrap();
        std::fs::write(folder.join("pkg/a.wasm"), b"\0asm").unwrap();
        let page = Page::Folder(folder.join("pkg"));
        let found = page.serve("/a.wasm", &HeaderMap::new()).await;
        assert_eq!(found.headers()[CONTENT_TYPE], "application/wasm");
        let tag = found.headers()[ETAG].clone();
        let again = page
            .serve("/a.wasm", &HeaderMap::from_iter([(IF_NONE_MATCH, tag)]))
            .await;
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
        for path in ["/../pkg/a.wasm", "//etc/passwd", "/b.wasm", "/./../pkg/a.wasm"] {
            assert_eq!(
                page.serve(path, &HeaderMap::new()).await.status(),
                StatusCode::NOT_FOUND,
                "{path}"
            );
        }
        std::fs::remove_dir_all(folder).unwrap();
    }
}
