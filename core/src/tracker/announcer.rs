//! The tracker client of one torrent (work in progress: announces nothing yet).

use alloc::string::String;
use alloc::vec::Vec;

use crate::session::context::Context;
use crate::status::TrackerStatus;
use crate::time::Time;

pub(crate) struct Announcer {}

impl Announcer {
    pub(crate) fn new(_tiers: Vec<Vec<String>>, _cx: &mut Context) -> Self {
        Self {}
    }
    pub(crate) fn start(&mut self, _cx: &mut Context) {}
    pub(crate) fn stop(&mut self, _cx: &mut Context) {}
    pub(crate) fn completed(&mut self, _cx: &mut Context) {}
    pub(crate) fn deadline(&self) -> Option<Time> {
        None
    }
    pub(crate) fn status(&self, _now: Time) -> Vec<TrackerStatus> {
        Vec::new()
    }
}
