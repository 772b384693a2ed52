// What the strip shows, worked out from a snapshot without drawing: which peers, in which order, how wide.
// The order is by the mean of about 10 s and is held for 5 s; widths are linear with one printed scale.

import { clean } from './kit.js';

const ROWS = 6;
const HOLD = 5000;
const WINDOW = 10000;
const WIDEST_SUM = 26;
const HAIRLINE = 0.75;

/** Keeps the smoothed rates and the held order of one strip. */
export class Flows {
  constructor() {
    this.means = new Map();
    this.heldAt = -Infinity;
    this.last = null;
    this.unit = 1e3;
  }

  /** Takes a snapshot at `now` ms. Returns whether the order was made anew (then the lines must be laid again). */
  update(snapshot, now) {
    const tabs = snapshot.peers.filter(peer => peer.kind === 'tab').map((peer, index) => row(peer, `t${peer.link ?? index}`));
    const natives = snapshot.natives?.length ? snapshot.natives : snapshot.peers.filter(peer => peer.kind === 'native');
    const right = natives.map((peer, index) => row(peer, `n${peer.link ?? peer.short ?? peer.client + index}`));
    this.smooth([...tabs, ...right], now);
    const all = new Map([...tabs, ...right].map(peer => [peer.key, peer]));
    const few = all.size !== this.size && (tabs.length <= ROWS || right.length <= ROWS);
    const fresh = now - this.heldAt >= HOLD || few;
    if (fresh) {
      this.heldAt = now;
      this.size = all.size;
      const order = (a, b) => this.mean(b) - this.mean(a) || Number(a.choked) - Number(b.choked);
      this.left = tabs.sort(order).slice(0, ROWS).map(peer => peer.key);
      this.right = right.sort(order).slice(0, ROWS).map(peer => peer.key);
      this.setScale(snapshot);
    }
    const most = Math.max(sum(snapshot.rates), snapshot.upRate ?? 0);
    this.moving = most >= 0.5;
    if (width(most, this.unit) > WIDEST_SUM) this.setScale(snapshot);
    this.rows = { left: this.left.map(key => all.get(key) ?? null), right: this.right.map(key => all.get(key) ?? null) };
    this.counts = { left: tabs.length, right: right.length };
    return fresh;
  }

  smooth(rows, now) {
    const step = this.last === null ? 1 : Math.min(1, (now - this.last) / WINDOW * 2);
    this.last = now;
    const seen = new Set();
    for (const peer of rows) {
      seen.add(peer.key);
      const old = this.means.get(peer.key);
      const mix = (before, value) => before === undefined ? value : before + (value - before) * step;
      this.means.set(peer.key, { down: mix(old?.down, peer.down), up: mix(old?.up, peer.up) });
    }
    for (const key of this.means.keys()) if (!seen.has(key)) this.means.delete(key);
  }

  mean(peer) {
    const mean = this.means.get(peer.key);
    return mean ? mean.down + mean.up : 0;
  }

  /** Bytes a second that are 8 px wide: the least of 1, 2, 5, 10 … with which all lines of a way fit. */
  setScale(snapshot) {
    const most = Math.max(sum(snapshot.rates), snapshot.upRate ?? 0);
    let unit = 1e3;
    while (most / unit * 8 > WIDEST_SUM) unit = nextUnit(unit);
    this.unit = unit;
  }
}

function nextUnit(unit) {
  const lead = unit / 10 ** Math.floor(Math.log10(unit) + 1e-9);
  return Math.round(unit * (Math.abs(lead - 2) < 0.01 ? 2.5 : 2));
}

function row(peer, key) {
  return { key, name: clean(shortName(peer)), transport: clean(peer.transport), down: peer.down || 0, up: peer.up || 0, choked: !!peer.choked, link: peer.link };
}

/** Ours are told apart by 4 of the id; others by their version. */
export function shortName({ client, short }) {
  return short && /^tombolo/i.test(client) ? `Tombolo ${short}` : client || 'unknown client';
}

const sum = rates => (rates ? rates.tabs + rates.native + rates.relay + rates.server : 0);

/** Width of a line in px: linear, at least 1 when anything moves, a hairline when idle. */
export function width(bytesPerSecond, unit, px = 8) {
  return bytesPerSecond >= 0.5 ? Math.max(1, bytesPerSecond / unit * px) : HAIRLINE;
}

/** One snapshot of all torrents together, for the list's strip. */
export function together(snapshots) {
  const add = (name, key) => snapshots.reduce((total, s) => total + (s[name]?.[key] ?? 0), 0);
  const keys = ['tabs', 'native', 'relay', 'server'];
  return {
    peers: snapshots.flatMap((s, n) => s.peers.map(peer => ({ ...peer, link: `${n}.${peer.link}` }))),
    natives: snapshots.flatMap((s, n) => (s.natives ?? []).map((peer, m) => ({ ...peer, link: `${n}.${m}` }))),
    nativesKnown: snapshots.reduce((total, s) => total + (s.nativesKnown ?? 0), 0),
    rates: Object.fromEntries(keys.map(key => [key, add('rates', key)])),
    sources: Object.fromEntries(keys.map(key => [key, add('sources', key)])),
    upRate: snapshots.reduce((total, s) => total + (s.upRate ?? s.up ?? 0), 0),
    phase: 'downloading',
  };
}
