//! The browser peer: the whole engine, which runs in one dedicated worker of the page.

use js_sys::{Object, Promise, Reflect};
use wasm_bindgen::prelude::*;

/// The engine, as the worker's script holds it.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Engine {}

#[wasm_bindgen]
impl Engine {
    /// Starts the engine; resolves with `{engine, description}`.
    pub async fn start(_boot: JsValue, _host: JsValue) -> Result<JsValue, JsValue> {
        let description = Object::new();
        Reflect::set(&description, &"version".into(), &env!("CARGO_PKG_VERSION").into())?;
        let started = Object::new();
        Reflect::set(&started, &"description".into(), &description)?;
        Reflect::set(&started, &"engine".into(), &Self {}.into())?;
        Ok(started.into())
    }

    /// Does what the page asks for.
    pub fn command(&self, name: &str, _arguments: JsValue) -> Promise {
        Promise::reject(&format!("{name} is not known").into())
    }

    /// The page was shown or hidden.
    pub fn visible(&self, _visible: bool) {}
}
