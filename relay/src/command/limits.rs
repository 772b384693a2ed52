//! The flags that limit what a command uses and whom it talks to.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, value_parser};

use super::failure::Failure;
use super::flags::Rates;
use super::output;
use super::units::parse_size;
use crate::limits;
use crate::lists::Lists;
use crate::proxy::{Proxy, Way};

/// What there is no way for through a proxy, and through one that carries no datagrams.
const WITHOUT: &str = "there is a proxy: no local discovery, port mapping or WebRTC";
const WITHOUT_DATAGRAMS: &str = "there is a proxy: no uTP, DHT, local discovery, port mapping, WebRTC or UDP trackers";

/// Limits, lists and the way out.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Limits")]
pub(super) struct Limits {
    /// Connections at a time, of all torrents
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..))]
    connections: Option<u32>,
    /// Connections at a time of one torrent [default: 200; of a relay: 500]
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..))]
    torrent_connections: Option<u32>,
    /// Connections being made at a time [default: 50]
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..))]
    half_open: Option<u32>,
    /// Peers of one torrent that are sent something at a time [default: 5]
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..))]
    upload_slots: Option<u32>,
    /// Memory for pieces between request and disk [default: 64MiB; of a relay: 96MiB]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    memory: Option<u64>,
    /// Send at most so many bytes a second of each torrent
    #[arg(long, value_name = "N", value_parser = parse_size)]
    torrent_up: Option<u64>,
    /// Receive at most so many bytes a second of each torrent
    #[arg(long, value_name = "N", value_parser = parse_size)]
    torrent_down: Option<u64>,
    /// Do not talk to the addresses of this list; read again on SIGHUP; may be repeated
    #[arg(long, value_name = "FILE")]
    block_list: Vec<PathBuf>,
    /// Talk to the addresses of this list alone; read again on SIGHUP; may be repeated
    #[arg(long, value_name = "FILE")]
    allow_list: Vec<PathBuf>,
    /// Connect through this proxy: socks5://[NAME:PASSWORD@]HOST[:PORT] or http://…
    #[arg(long, value_name = "URL")]
    proxy: Option<String>,
    /// Connect from this address of ours; may be repeated, once for IPv4 and once for IPv6
    #[arg(long, value_name = "ADDR")]
    bind: Vec<IpAddr>,
}

impl Limits {
    /// These limits beside those of the rates, with the lists read.
    pub(super) fn read(&self, rates: Rates) -> Result<limits::Limits, Failure> {
        let proxy = self.proxy.as_deref().map(Proxy::parse).transpose();
        let proxy = proxy.map_err(|why| Failure::refused("bad-proxy", why))?;
        let way = Way::new(proxy, self.bind.clone());
        match (way.has_proxy(), way.may_carry_datagrams()) {
            (true, true) => output::complain(WITHOUT),
            (true, false) => output::complain(WITHOUT_DATAGRAMS),
            (false, _) => {}
        }
        let lists = Lists::read(self.block_list.clone(), self.allow_list.clone());
        let (lists, odd) = lists.map_err(|error| Failure::io("a list cannot be read", &error))?;
        odd.iter().for_each(|odd| output::complain(odd));
        let count = |limit: Option<u32>| limit.and_then(|limit| usize::try_from(limit).ok());
        Ok(limits::Limits {
            torrent_up: self.torrent_up,
            torrent_down: self.torrent_down,
            connections: count(self.connections),
            torrent_connections: count(self.torrent_connections),
            half_open: count(self.half_open),
            upload_slots: count(self.upload_slots),
            memory: self.memory,
            lists,
            way,
            ..rates.limits()
        })
    }
}
