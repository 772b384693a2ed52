//! The browser, as far as `web-sys` is not the simplest way to it: what `worker.js` hands the engine, and the worker's globals.

use tombolo_core::gather::Gather;

use js_sys::{Array, Function, Object, Promise, Reflect};
use wasm_bindgen::prelude::*;

use crate::task::resolved;

#[wasm_bindgen]
extern "C" {
    /// The functions that `worker.js` gives the engine.
    #[derive(Clone, Debug)]
    pub type Host;

    /// Tells the page something, as JSON.
    #[wasm_bindgen(method)]
    pub fn report(this: &Host, kind: &str, text: &str);
    /// Gives the page a torrent's snapshot and what changed of its pieces.
    #[wasm_bindgen(method)]
    pub fn snapshot(this: &Host, text: &str, changes: &JsValue);
    /// Asks the page for a step of a WebRTC negotiation.
    #[wasm_bindgen(method)]
    pub fn negotiate(this: &Host, step: &str, offer: u32, sdp: Option<&str>);
    #[wasm_bindgen(method, js_name = fetchBytes)]
    fn fetch_bytes(this: &Host, url: &str, limit: f64, init: &Object) -> Promise;
    #[wasm_bindgen(method, js_name = fetchBlob)]
    fn fetch_blob(this: &Host, url: &str, progress: &Function) -> Promise;
    #[wasm_bindgen(method, js_name = claimFolder)]
    fn claim_folder(this: &Host, info_hash: &str, torrent: u32) -> Promise;
    #[wasm_bindgen(method, js_name = writeBytes)]
    fn write_bytes(this: &Host, folder: &JsValue, name: &str, bytes: &[u8]) -> Promise;
    #[wasm_bindgen(method, js_name = readBytes)]
    fn read_bytes(this: &Host, folder: &JsValue, name: &str) -> Promise;
    #[wasm_bindgen(method, js_name = openAccess)]
    fn open_access(this: &Host, folder: &JsValue, name: &str) -> Promise;
    #[wasm_bindgen(method, js_name = openFile)]
    fn open_file(this: &Host, folder: &JsValue, name: &str) -> Promise;
    #[wasm_bindgen(method, js_name = listNames)]
    fn list_names(this: &Host, folder: &JsValue) -> Promise;
    #[wasm_bindgen(method, js_name = hashBlob)]
    fn hash_blob(this: &Host, blob: &JsValue, piece_length: f64, progress: &Function) -> Promise;
    #[wasm_bindgen(method, js_name = claimDown)]
    fn claim_down(this: &Host) -> Promise;
    #[wasm_bindgen(method, js_name = readBody)]
    fn read_body(
        this: &Host,
        url: &str,
        chunk: &Function,
        end: &Function,
        start: Option<f64>,
        length: Option<f64>,
    ) -> Function;
    #[wasm_bindgen(method, js_name = hasStorage)]
    fn ask_storage(this: &Host) -> Promise;
    /// Writes bytes of a stored file; gives how many.
    #[wasm_bindgen(method, catch, js_name = writeAt)]
    pub fn write_at(this: &Host, access: &Access, bytes: &[u8], at: f64) -> Result<f64, JsValue>;
    /// Reads bytes of a stored file; gives how many.
    #[wasm_bindgen(method, catch, js_name = readAt)]
    pub fn read_at(this: &Host, access: &Access, bytes: &mut [u8], at: f64) -> Result<f64, JsValue>;
    /// One blob of several, copying nothing.
    #[wasm_bindgen(method, js_name = joinBlobs)]
    pub fn join_blobs(this: &Host, parts: &Array) -> JsValue;

    /// An open stored file (`FileSystemSyncAccessHandle`).
    #[derive(Clone, Debug)]
    pub type Access;
    /// Its length in bytes.
    #[wasm_bindgen(method, catch, js_name = getSize)]
    pub fn size(this: &Access) -> Result<f64, JsValue>;
    /// Waits until what was written is on the disk.
    #[wasm_bindgen(method, catch)]
    pub fn flush(this: &Access) -> Result<(), JsValue>;
    /// Closes it.
    #[wasm_bindgen(method)]
    pub fn close(this: &Access);

    #[wasm_bindgen(js_name = setTimeout)]
    fn set_timeout(callback: &Function, delay: f64) -> i32;
    #[wasm_bindgen(js_name = clearTimeout)]
    fn clear_timeout(timer: i32);
    #[wasm_bindgen(js_namespace = performance, js_name = now)]
    fn performance_now() -> f64;
    #[wasm_bindgen(thread_local_v2, js_namespace = performance, js_name = timeOrigin)]
    static TIME_ORIGIN: f64;
    #[wasm_bindgen(js_namespace = crypto, js_name = getRandomValues)]
    fn random_values(bytes: &mut [u8]);
}

/// A callback of the browser, whatever it is given: each further kind would be downloaded with code on both sides.
pub(crate) type Callback = Closure<dyn FnMut(JsValue)>;

/// A callback that is given numbers.
pub(crate) type Numbers = Closure<dyn FnMut(f64, f64)>;

/// A callback that is given something of that class, or nothing that is looked at.
pub(crate) fn callback<T: JsCast>(mut act: impl FnMut(T) + 'static) -> Callback {
    Closure::new(move |value: JsValue| act(value.unchecked_into()))
}

/// Milliseconds since the worker began.
pub(crate) fn now() -> f64 {
    performance_now()
}

/// When [`now`] was 0, in ms since 1970.
pub(crate) fn time_origin() -> f64 {
    TIME_ORIGIN.with(|origin| *origin)
}

/// Random bytes from the browser.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    random_values(&mut bytes);
    bytes
}

/// A timer of the worker that is not repeated; setting it anew forgets the time set before.
#[derive(Debug)]
pub(crate) struct Timer {
    callback: Callback,
    set: Option<(f64, i32)>,
}

impl Timer {
    /// A timer that calls `callback`, not set yet.
    pub(crate) fn new(mut ring: impl FnMut() + 'static) -> Self {
        Self {
            callback: callback(move |_: JsValue| ring()),
            set: None,
        }
    }

    /// Sets it to `at`, in ms as [`now`] counts, unless it rings by then anyway: ringing early costs less than setting.
    pub(crate) fn set(&mut self, at: f64, now: f64) {
        if self.set.is_some_and(|(before, _)| before <= at) {
            return;
        }
        if let Some((_, timer)) = self.set {
            clear_timeout(timer);
        }
        // Rounded up: a timer that rings just before its time would only be set again.
        let delay = (at - now).max(0.0).ceil();
        let timer = set_timeout(self.callback.as_ref().unchecked_ref(), delay);
        self.set = Some((at, timer));
    }

    /// To be said when it has rung.
    pub(crate) const fn rung(&mut self) {
        self.set = None;
    }
}

/// A member of an object, `undefined` when it has none of that name.
pub(crate) fn member(object: &JsValue, name: &str) -> JsValue {
    Reflect::get(object, &name.into()).unwrap_or(JsValue::UNDEFINED)
}

/// A member that is text.
pub(crate) fn text_member(object: &JsValue, name: &str) -> Option<String> {
    member(object, name).as_string()
}

/// Sets a member of an object.
pub(crate) fn set_member(object: &JsValue, name: &str, value: &JsValue) {
    // Only fails on what is no object or is frozen; all of ours are neither.
    let _ = Reflect::set(object, &name.into(), value);
}

/// The message of something thrown.
pub(crate) fn message(error: &JsValue) -> String {
    text_member(error, "message")
        .or_else(|| error.as_string())
        .unwrap_or_else(|| String::from("unknown error"))
}

/// What a server answered.
#[derive(Debug)]
pub(crate) struct Response {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The body.
    pub(crate) body: Vec<u8>,
}

/// A request to be made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    /// GET or POST.
    pub(crate) method: &'a str,
    /// An absolute URL.
    pub(crate) url: &'a str,
    /// A body of JSON.
    pub(crate) json: Option<&'a str>,
    /// The most bytes of answer to read.
    pub(crate) limit: usize,
}

impl Host {
    /// Makes a request; the error is its reason in the browser's words.
    pub(crate) async fn request(&self, request: Request<'_>) -> Result<Response, String> {
        let init = Object::new();
        set_member(&init, "method", &request.method.into());
        if let Some(json) = request.json {
            let headers = Object::new();
            set_member(&headers, "Content-Type", &"application/json".into());
            set_member(&init, "headers", &headers);
            set_member(&init, "body", &json.into());
        }
        let promise = self.fetch_bytes(request.url, request.limit as f64, &init);
        let response = resolved(promise).await.map_err(|error| message(&error))?;
        Ok(Response {
            status: member(&response, "status").as_f64().unwrap_or(0.0) as u16,
            body: bytes_of(&member(&response, "bytes")).unwrap_or_default(),
        })
    }

    /// Fetches a URL into a blob, saying how far it is from 0 to 1.
    pub(crate) async fn blob(&self, url: &str, mut progress: impl FnMut(f64) + 'static) -> Result<JsValue, String> {
        let progress = Numbers::new(move |done, _| progress(done));
        let promise = self.fetch_blob(url, progress.as_ref().unchecked_ref());
        resolved(promise).await.map_err(|error| message(&error))
    }

    /// The SHA-1 of each piece of a blob, one after the other.
    pub(crate) async fn hashes(
        &self,
        blob: &JsValue,
        piece_length: u64,
        mut progress: impl FnMut(f64) + 'static,
    ) -> Result<Vec<u8>, String> {
        let progress = Numbers::new(move |done, _| progress(done));
        let promise = self.hash_blob(blob, piece_length as f64, progress.as_ref().unchecked_ref());
        let hashes = resolved(promise).await.map_err(|error| message(&error))?;
        Ok(bytes_of(&hashes).unwrap_or_default())
    }

    /// The folder for a torrent: `{folder, release, remove}`, once no other tab uses it; `None` without storage.
    pub(crate) async fn folder(&self, info_hash: &str, torrent: u32) -> Option<JsValue> {
        let claimed = resolved(self.claim_folder(info_hash, torrent)).await.ok()?;
        claimed.is_object().then_some(claimed)
    }

    /// Writes a small file whole.
    pub(crate) async fn write_file(&self, folder: &JsValue, name: &str, bytes: &[u8]) -> Result<(), JsValue> {
        // Copied before the first wait: `bytes` is a view that growing memory would cut.
        let promise = self.write_bytes(folder, name, bytes);
        resolved(promise).await.map(drop)
    }

    /// The bytes of a small file, if it is there.
    pub(crate) async fn read_file(&self, folder: &JsValue, name: &str) -> Option<Vec<u8>> {
        bytes_of(&resolved(self.read_bytes(folder, name)).await.ok()?)
    }

    /// Opens a stored file, made if need be.
    pub(crate) async fn open(&self, folder: &JsValue, name: &str) -> Result<Access, JsValue> {
        resolved(self.open_access(folder, name))
            .await
            .map(JsCast::unchecked_into)
    }

    /// A stored file as the page can take it.
    pub(crate) async fn file(&self, folder: &JsValue, name: &str) -> Result<JsValue, JsValue> {
        resolved(self.open_file(folder, name)).await
    }

    /// The names of the files in a folder.
    pub(crate) async fn names(&self, folder: &JsValue) -> Vec<String> {
        let names = resolved(self.list_names(folder)).await.map(|names| Array::from(&names));
        let names = names.unwrap_or_default();
        names.iter().filter_map(|name| name.as_string()).gather()
    }

    /// Leave to keep a body open; none where too many are open.
    pub(crate) async fn claim(&self) -> Option<Claim> {
        resolved(self.claim_down()).await.ok()?.dyn_into().ok().map(Claim)
    }

    /// Begins to read a body.
    pub(crate) fn body(
        &self,
        claim: Claim,
        url: &str,
        chunk: impl FnMut(js_sys::Uint8Array) + 'static,
        mut end: impl FnMut() + 'static,
    ) -> Body {
        let end = Closure::new(move |_, _| end());
        let mut body = self.range(url, (None, 0), callback(chunk), end);
        body._claim = Some(claim);
        body
    }

    /// Begins to read bytes, a range of `length` of them where it has a start, and else all there are. `end` is given the HTTP status (0:
    /// none) and the seconds after which to ask again (none: NaN).
    pub(crate) fn range(&self, url: &str, (start, length): (Option<u64>, u64), chunk: Callback, end: Numbers) -> Body {
        let stop = self.read_body(
            url,
            chunk.as_ref().unchecked_ref(),
            end.as_ref().unchecked_ref(),
            start.map(|start| start as f64),
            (length > 0).then_some(length as f64),
        );
        Body {
            stop,
            _claim: None,
            _chunk: chunk,
            _end: end,
        }
    }

    /// Whether this origin has files of its own.
    pub(crate) async fn has_storage(&self) -> bool {
        resolved(self.ask_storage()).await.is_ok_and(|has| has.is_truthy())
    }
}

/// Leave to keep a body open; dropping it gives it back.
pub(crate) struct Claim(Function);

impl Drop for Claim {
    fn drop(&mut self) {
        // It never throws.
        let _ = self.0.call0(&JsValue::NULL);
    }
}

/// A body that is being read; dropping it stops that.
pub(crate) struct Body {
    stop: Function,
    _claim: Option<Claim>,
    _chunk: Callback,
    _end: Numbers,
}

impl Drop for Body {
    fn drop(&mut self) {
        // It never throws.
        let _ = self.stop.call0(&JsValue::NULL);
    }
}

/// The bytes of a `Uint8Array` or an `ArrayBuffer`: the one copy from JavaScript to wasm.
pub(crate) fn bytes_of(value: &JsValue) -> Option<Vec<u8>> {
    if let Some(array) = value.dyn_ref::<js_sys::Uint8Array>() {
        Some(array.to_vec())
    } else {
        let buffer = value.dyn_ref::<js_sys::ArrayBuffer>()?;
        Some(js_sys::Uint8Array::new(buffer).to_vec())
    }
}
