//! Futures that wait for promises of the browser, and for nothing else.
//!
//! So a future has to be looked at only when a promise is settled, which calls back anyway: there is no queue, and nothing wakes it from
//! elsewhere. An executor for all that futures may be in a browser is several times this code, which everybody would download.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use js_sys::Promise;
use wasm_bindgen::JsValue;
use wasm_bindgen::closure::Closure;

use crate::platform::Callback;

/// A future that was started. Boxed, so that each future is not downloaded with a copy of this.
struct Task {
    /// Settled once what was going on when it was started has ended.
    start: Option<Resolved>,
    future: Pin<Box<dyn Future<Output = ()>>>,
}

type Shared = Rc<RefCell<Task>>;

thread_local! {
    /// The task that is running: what it waits for takes it up again.
    static RUNNING: RefCell<Option<Shared>> = const { RefCell::new(None) };
}

/// Lets a future run as soon as what is going on now has ended.
pub(crate) fn spawn(future: impl Future<Output = ()> + 'static) {
    begin(Box::pin(future));
}

fn begin(future: Pin<Box<dyn Future<Output = ()>>>) {
    let start = Some(resolved(Promise::resolve(&JsValue::UNDEFINED)));
    go_on(&Rc::new(RefCell::new(Task { start, future })));
}

/// Runs a task until it waits for a promise or is done.
fn go_on(task: &Shared) {
    let before = RUNNING.with(|running| running.replace(Some(task.clone())));
    // What it waits for then is a promise that calls back.
    let _ = Pin::new(&mut *task.borrow_mut()).poll(&mut Context::from_waker(Waker::noop()));
    RUNNING.with(|running| running.replace(before));
}

impl Future for Task {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(start) = &mut self.start {
            if Pin::new(start).poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.start = None;
        }
        self.future.as_mut().poll(cx)
    }
}

/// Waits for a promise.
pub(crate) fn resolved(promise: Promise) -> Resolved {
    Resolved {
        promise,
        outcome: Rc::default(),
        callbacks: None,
    }
}

type Outcome = Result<JsValue, JsValue>;

/// A promise as a future.
pub(crate) struct Resolved {
    promise: Promise,
    outcome: Rc<RefCell<Option<Outcome>>>,
    callbacks: Option<[Callback; 2]>,
}

impl Future for Resolved {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(outcome) = self.outcome.take() {
            return Poll::Ready(outcome);
        }
        if self.callbacks.is_none() {
            let callbacks = [self.callback(Ok), self.callback(Err)];
            // What it resolves to is for who chains on.
            let _ = self.promise.then2(&callbacks[0], &callbacks[1]);
            self.callbacks = Some(callbacks);
        }
        Poll::Pending
    }
}

impl Resolved {
    fn callback(&self, settled: fn(JsValue) -> Outcome) -> Callback {
        let (outcome, task) = (self.outcome.clone(), RUNNING.with(|running| running.borrow().clone()));
        Closure::new(move |value| {
            outcome.replace(Some(settled(value)));
            task.iter().for_each(go_on);
        })
    }
}
