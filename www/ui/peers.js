// Connected peers and trackers as plain tables. The order of peers is held for 5 s, so that a row can be read. One tab stop: arrows go from
// peer to peer, and of the one in focus or under the pointer a line says what its flags mean.
import { ago, bdi, byId, clean, count, el, NONE, phrase, rate, rebuild, setAttr, setHidden, setName, setText, span, wholePercent } from './kit.js';
import { shortName } from './flows.js';
import { Rows } from './rows.js';

const HOLD = 5000;
const TOKENS = { tab: 'tabs', relay: 'relay', native: 'native', server: 'server' };

/** What each flag means; shown on hover, for the peer in focus, and in the list below the table. */
export const FLAGS = {
  D: 'downloading from it', d: 'we want its pieces, it does not send yet', U: 'uploading to it', u: 'it wants our pieces, we do not send yet',
  O: 'optimistic slot: trying it out', S: 'snubbed: nothing for 60 s', F: 'sent data that failed its check', I: 'it connected to us',
  E: 'all traffic encrypted', e: 'handshake encrypted', h: 'by uTP', H: 'found by DHT', X: 'found by peer exchange', L: 'found on the local network',
  K: 'it would send, we want nothing', '?': 'we would send, it wants nothing', W: 'web: WebRTC or HTTP, no relay between', B: 'bridged: native peer through the relay', R: 'from the relay’s cache',
};

/** The flag that follows from what a peer is to this tab. */
const KIND = { tab: 'W', server: 'W', native: 'B', relay: 'R' };

export class Peers {
  /** `point(peer)` is told which one is looked at, null for none. */
  constructor(point) {
    this.point = point;
    this.active = 0;
    this.looked = null;
    const body = el('tbody', { keydown: event => this.key(event), focusin: event => this.focused(event.target), focusout: () => this.look(null),
      pointerover: event => this.look(this.rowAt(event.target)?.peer ?? null), pointerleave: () => this.look(null) });
    const heads = [['Client', ''], ['Transport', ''], ['Flags', ''], ['Has', 'num has'], ['Down', 'num c-rate'], ['Up', 'num c-rate']];
    const table = el('table', { class: 'peers', 'aria-labelledby': 'peers-title' }, el('thead', {}, el('tr', {}, ...heads.map(([text, kind]) => el('th', { scope: 'col', class: kind }, text)))), body);
    const scroller = byId('peers-list');
    scroller.append(table);
    this.table = table;
    this.rows = new Rows({ scroller, body, columns: heads.length, make, fill: (row, peer, index) => {
      fill(row, peer);
      setAttr(row.node, 'tabindex', index === this.active ? '0' : '-1');
    } });
    this.sum = byId('peers-sum');
    this.said = byId('peers-said');
    this.heldAt = -Infinity;
    this.order = [];
    byId('flagkey').append(...Object.entries(FLAGS).flatMap(([flag, text]) => [el('dt', {}, flag), el('dd', {}, text)]));
  }

  update(s, now = performance.now()) {
    const natives = (s.natives ?? []).map((peer, index) => ({ ...peer, kind: 'native', key: `n${index}${peer.client}`, transport: `${peer.transport} by relay` }));
    const all = new Map([...s.peers.map(peer => ({ ...peer, key: `p${peer.link}` })), ...natives].map(peer => [peer.key, flagged(peer)]));
    if (now - this.heldAt >= HOLD || this.infoHash !== s.infoHash) {
      this.heldAt = now;
      this.infoHash = s.infoHash;
      this.order = [...all.values()].sort((a, b) => b.down + b.up - a.down - a.up).map(peer => peer.key);
    }
    const held = this.order.filter(key => all.has(key)), known = new Set(held);
    this.order = [...held, ...[...all.keys()].filter(key => !known.has(key))];
    this.active = Math.max(0, Math.min(this.active, this.order.length - 1));
    this.rows.show(this.order.map(key => all.get(key)));
    setText(this.sum, summary(s, all.size));
  }

  rowAt(node) {
    return this.rows.pool.find(row => row.node.contains(node));
  }

  focused(node) {
    const row = this.rowAt(node);
    if (!row) return;
    this.active = row.index;
    this.rows.paint();
    this.look(row.peer);
  }

  key(event) {
    const step = { ArrowDown: 1, ArrowUp: -1, Home: -Infinity, End: Infinity }[event.key];
    if (!step) return;
    event.preventDefault();
    this.rows.reveal(Math.max(0, Math.min(this.order.length - 1, this.active + step)))?.node.focus();
  }

  /** Says what the flags of a peer mean. */
  look(peer) {
    if (this.looked === peer) return;
    this.looked = peer;
    setText(this.said, peer ? `${clean(shortName(peer))}: ${meanings(peer)}.` : '');
    this.point(peer);
  }
}

function flagged(peer) {
  const flags = new Set((peer.flags ?? '').split(/\s+/).filter(Boolean));
  if (/^uTP/.test(peer.transport)) flags.add('h');
  if (KIND[peer.kind]) flags.add(KIND[peer.kind]);
  return { ...peer, flags: [...flags] };
}

const meanings = ({ flags }) => flags.map(flag => FLAGS[flag] ?? 'unknown flag').join(', ');

function summary(s, connected) {
  if (s.phase === 'hashing') return 'none before the link exists';
  if (!navigator.onLine && connected === 0) return `none while offline, ${count(s.known)} known`;
  return phrase(s.known > connected ? `${count(connected)} connected of ${count(s.known)} known` : `${count(connected)} connected`);
}

function make() {
  const row = { dot: el('span', { class: 'dot', 'aria-hidden': 'true' }), name: bdi(), transport: el('td', { class: 'nowrap' }), flags: el('td', { class: 'flags nowrap' }), has: el('td', { class: 'num has' }), down: el('td', { class: 'num c-rate' }), up: el('td', { class: 'num c-rate' }) };
  row.node = el('tr', { 'aria-describedby': 'peers-said' }, el('td', { class: 'trunc' }, row.dot, row.name), row.transport, row.flags, row.has, row.down, row.up);
  return row;
}

function fill(row, peer) {
  row.peer = peer;
  setAttr(row.dot, 'style', `background:var(--${TOKENS[peer.kind] ?? 'native'})`);
  setName(row.name, shortName(peer));
  setName(row.transport, peer.transport);
  rebuild(row.flags, peer.flags.join(' '), () => peer.flags.map(flag => el('abbr', { title: FLAGS[flag] ?? 'unknown flag' }, clean(flag))));
  setText(row.has, peer.has == null ? NONE : wholePercent(peer.has));
  setText(row.down, rate(peer.down));
  setText(row.up, rate(peer.up));
}

export class Trackers {
  constructor() {
    const body = el('tbody');
    const heads = [['Tracker', ''], ['State', ''], ['Next', ''], ['Peers', 'num']];
    const scroller = byId('trackers-list');
    scroller.append(el('table', { class: 'trackers', 'aria-labelledby': 'trackers-title' }, el('thead', {}, el('tr', {}, ...heads.map(([text, kind]) => el('th', { scope: 'col', class: kind }, text)))), body));
    this.rows = new Rows({ scroller, body, columns: heads.length, make: makeTracker, fill: fillTracker });
  }

  update(s, relay) {
    const known = relay && relay.state !== 'off' ? [{ url: 'Relay', state: RELAY[relay.state], next: relay.state === 'gone' ? relay.retry : null, peers: s.nativesKnown }] : [];
    this.rows.show([...known, ...s.trackers]);
  }
}

/** The relay's states in the words of trackers'. */
const RELAY = { connecting: 'announcing', connected: 'working', gone: 'failed' };

function makeTracker() {
  const row = { url: bdi(), error: el('small'), state: el('td', { class: 'nowrap' }), next: el('td', { class: 'nowrap' }), peers: el('td', { class: 'num' }) };
  row.node = el('tr', {}, el('td', { class: 'trunc' }, row.url, row.error), row.state, row.next, row.peers);
  return row;
}

function fillTracker(row, { url, state, age, next, error, peers, seeds }) {
  const failed = state === 'failed' && navigator.onLine;
  setName(row.url, url);
  setName(row.error, failed && error || '');
  setHidden(row.error, !failed || !error);
  const words = { failed: 'no answer', announcing: 'asking', working: age == null ? 'answers' : `answered ${ago(age)}` };
  setText(row.state, navigator.onLine ? words[state] ?? 'not asked yet' : 'no network');
  setAttr(row.state, 'class', failed ? 'nowrap bad' : 'nowrap');
  setText(row.next, next == null || !navigator.onLine ? NONE : `in ${span(next)}`);
  setText(row.peers, peers == null || failed ? NONE : count(peers + (seeds || 0)));
}
