// Connected peers and trackers as plain tables. The order of peers is held for 5 s, so that a row can be read.
import { bdi, byId, el, rebuild, setAttr, setName, setText } from './dom.js';
import { shortName } from './flows.js';
import { ago, clean, count, phrase, rate, span, wholePercent, NONE } from './format.js';
import { Rows } from './rows.js';

const HOLD = 5000;
const TOKENS = { tab: 'tabs', relay: 'relay', native: 'native', server: 'server' };

/** What each flag means; shown on hover and in the list below the table. */
export const FLAGS = {
  D: 'downloading from it', d: 'we want its pieces, it does not send yet', U: 'uploading to it', u: 'it wants our pieces, we do not send yet',
  O: 'optimistic slot: trying it out', S: 'snubbed: nothing for 60 s', F: 'sent data that failed its check', I: 'it connected to us',
  E: 'all traffic encrypted', e: 'handshake encrypted', H: 'found by DHT', X: 'found by peer exchange', L: 'found on the local network', P: 'by uTP',
  K: 'it would send, we want nothing', '?': 'we would send, it wants nothing', W: 'web: WebRTC or HTTP, no relay between', B: 'bridged: native peer through the relay', R: 'from the relay’s cache',
};

export class Peers {
  constructor() {
    const body = el('tbody');
    const heads = [['Client', ''], ['Transport', ''], ['Flags', ''], ['Has', 'num has'], ['Down', 'num c-rate'], ['Up', 'num c-rate']];
    const table = el('table', { class: 'peers', 'aria-labelledby': 'peers-title' }, el('thead', {}, el('tr', {}, ...heads.map(([text, kind]) => el('th', { scope: 'col', class: kind }, text)))), body);
    const scroller = byId('peers-list');
    scroller.append(table);
    this.table = table;
    this.rows = new Rows({ scroller, body, columns: heads.length, make, fill });
    this.sum = byId('peers-sum');
    this.heldAt = -Infinity;
    this.order = [];
    byId('flagkey').append(...Object.entries(FLAGS).flatMap(([flag, text]) => [el('dt', {}, flag), el('dd', {}, text)]));
  }

  update(s, now = performance.now()) {
    const natives = (s.natives ?? []).map((peer, index) => ({ ...peer, kind: 'native', key: `n${index}${peer.client}`, transport: `${peer.transport} by relay`, flags: peer.flags ?? 'B' }));
    const all = new Map([...s.peers.map(peer => ({ ...peer, key: `p${peer.link}` })), ...natives].map(peer => [peer.key, peer]));
    if (now - this.heldAt >= HOLD || this.infoHash !== s.infoHash) {
      this.heldAt = now;
      this.infoHash = s.infoHash;
      this.order = [...all.values()].sort((a, b) => b.down + b.up - a.down - a.up).map(peer => peer.key);
    }
    const held = this.order.filter(key => all.has(key)), known = new Set(held);
    this.order = [...held, ...[...all.keys()].filter(key => !known.has(key))];
    this.rows.show(this.order.map(key => all.get(key)));
    setText(this.sum, summary(s, all.size));
  }
}

function summary(s, connected) {
  if (s.phase === 'hashing') return 'none before the link exists';
  if (!navigator.onLine && connected === 0) return `none while offline, ${count(s.known)} known`;
  return phrase(s.known > connected ? `${count(connected)} connected of ${count(s.known)} known` : `${count(connected)} connected`);
}

function make() {
  const row = { dot: el('span', { class: 'dot', 'aria-hidden': 'true' }), name: bdi(), transport: el('td', { class: 'nowrap' }), flags: el('td', { class: 'flags nowrap' }), has: el('td', { class: 'num has' }), down: el('td', { class: 'num c-rate' }), up: el('td', { class: 'num c-rate' }) };
  row.node = el('tr', {}, el('td', { class: 'trunc' }, row.dot, row.name), row.transport, row.flags, row.has, row.down, row.up);
  return row;
}

function fill(row, peer) {
  setAttr(row.dot, 'style', `background:var(--${TOKENS[peer.kind] ?? 'native'})`);
  setName(row.name, shortName(peer));
  setName(row.transport, peer.transport);
  rebuild(row.flags, peer.flags ?? '', () => flagNodes(peer.flags ?? ''));
  setText(row.has, peer.has == null ? NONE : wholePercent(peer.has));
  setText(row.down, rate(peer.down));
  setText(row.up, rate(peer.up));
}

function flagNodes(flags) {
  return flags.split(/\s+/).filter(Boolean).map(flag => el('abbr', { title: FLAGS[flag] ?? 'unknown flag' }, clean(flag)));
}

export class Trackers {
  constructor() {
    const body = el('tbody');
    const heads = [['Tracker', ''], ['State', ''], ['Peers', 'num']];
    const scroller = byId('trackers-list');
    scroller.append(el('table', { class: 'trackers', 'aria-labelledby': 'trackers-title' }, el('thead', {}, el('tr', {}, ...heads.map(([text, kind]) => el('th', { scope: 'col', class: kind }, text)))), body));
    this.rows = new Rows({ scroller, body, columns: heads.length, make: makeTracker, fill: fillTracker });
  }

  update(s) {
    this.rows.show(s.trackers);
  }
}

function makeTracker() {
  const row = { url: bdi(), state: el('td', { class: 'nowrap' }), peers: el('td', { class: 'num' }) };
  row.node = el('tr', {}, el('td', { class: 'trunc' }, row.url), row.state, row.peers);
  return row;
}

function fillTracker(row, tracker) {
  setName(row.url, tracker.url);
  const failed = tracker.state === 'failed' && navigator.onLine;
  setText(row.state, trackerState(tracker));
  setAttr(row.state, 'class', failed ? 'nowrap bad' : 'nowrap');
  setAttr(row.state, 'title', tracker.error || null);
  const peers = (tracker.peers || 0) + (tracker.seeds || 0);
  setText(row.peers, tracker.peers == null || failed ? NONE : count(peers));
}

function trackerState({ state, age, next }) {
  if (!navigator.onLine) return 'no network';
  if (state === 'failed') return next == null ? 'no answer' : `no answer, again in ${span(next)}`;
  if (state === 'announcing') return 'asking';
  if (state === 'working') return age == null ? 'answered' : `answered ${ago(age)}`;
  return 'not asked yet';
}
