// The strip "Where bytes come from": a chart with the tabs on an island, the native swarm on the mainland and the relay
// on the bar of sand between. A fixed set of paths is made once per size; between orders of the rows (5 s) an update
// only sets stroke widths and texts. Its accessible form is a hidden table.
import { bytes, count, el, isRtl, phrase, rate, rebuild, roundRate, setAttr, setText, span, svg, watch } from './kit.js';
import { Flows, width as flowWidth } from './flows.js';
import { curve, outlines, places } from './land.js';

const MOST = 6;
/** Between lines side by side, so that they can be counted. */
const GAP = 0.6;
/** A line keeps its width between two orders while its rate stays within this share, and all change together, no oftener than
 * so many ms: each change settles for 240 ms at every frame, which while it goes on and on costs more than the download. */
const STEADY = 0.2;
const TOGETHER = 2000;

export class Strip {
  /** `figure` is filled; `bleed` = as tall as the rest of the window (empty page). `point(peer)` is told whose row the pointer is on, or null. */
  constructor(figure, { scale = null, point = null } = {}) {
    this.figure = figure;
    this.scale = scale;
    this.bleed = figure.classList.contains('bleed');
    this.flows = new Flows();
    this.table = el('table');
    this.hidden = el('div', { class: 'vh' }, this.table);
    this.state = null;
    if (point) {
      figure.addEventListener('pointermove', event => point(this.peerAt(event)));
      figure.addEventListener('pointerleave', () => point(null));
    }
    this.seen = watch(figure, { resize: () => this.draw(), appear: () => this.paint(true) });
  }

  /**
   * Shows a snapshot (null: at rest). `relay` as client.relay, `mode` 'rest' | 'adding' | 'live' | 'give',
   * `webrtc` whether this browser has it.
   */
  update({ snapshot, relay, mode, webrtc }) {
    const linked = relay?.state === 'connected';
    const redraw = !this.state || this.state.linked !== linked || this.state.transport !== relay?.transport;
    this.state = { snapshot: snapshot ?? EMPTY, relay: relay ?? { state: 'off' }, mode, webrtc, linked, transport: relay?.transport };
    const fresh = this.flows.update(this.state.snapshot, performance.now());
    if (redraw) this.draw();
    else this.paint(fresh);
    if (fresh) this.tabulate();
  }

  height(width) {
    if (!this.bleed) return width < 600 ? 156 : 192;
    const room = innerHeight - this.figure.getBoundingClientRect().top - scrollY;
    return Math.round(width < 600 ? Math.min(300, Math.max(190, room)) : Math.min(460, Math.max(200, room)));
  }

  /** Everything anew: land, lines, texts. Only on a new size or when the bar comes or goes. */
  draw() {
    const width = this.figure.clientWidth;
    if (!width || !this.state) return;
    const height = this.height(width);
    this.at = places(width, height);
    const { at } = this;
    Object.assign(at, {
      name: at.small ? 24 : at.medium ? 26 : 66,
      dotLeft: at.small ? 32 : at.medium ? at.tab - 62 : Math.max(212, at.tab - 136),
      dotRight: at.coast + (at.small ? 56 : at.medium ? 40 : 66),
      rowTop: at.small ? 36 : 55,
      rowStep: at.small ? 19 : 21,
      rows: at.small ? 5 : MOST,
      px: at.small ? 5 : 8,
    });
    this.root = svg('svg', { viewBox: `0 0 ${width} ${height}`, style: `height:${height}px`, 'aria-hidden': 'true' });
    this.drawLand();
    this.parts = { left: this.makeRows('tabs', at.dotLeft), right: this.makeRows('native', at.dotRight) };
    this.cache = this.root.appendChild(svg('path', { class: 'flow', stroke: 'var(--relay)' }));
    this.server = this.root.appendChild(svg('path', { class: 'flow', stroke: 'var(--server)' }));
    this.node = this.root.appendChild(svg('rect', { width: 6, fill: 'var(--ink)' }));
    if (this.state.linked) this.root.append(svg('rect', { x: this.x(at.relay) - 2, y: at.middle - at.barHalf, width: 4, height: 2 * at.barHalf, fill: 'var(--relay)' }));
    this.texts = new Map();
    this.figure.replaceChildren(this.root, this.hidden);
    this.paint(true);
  }

  x(value) {
    return isRtl() ? this.at.width - value : value;
  }

  drawLand() {
    const { at, root } = this;
    const shores = outlines(at, this.state.linked);
    const land = svg('g', isRtl() ? { transform: `translate(${at.width} 0) scale(-1 1)` } : {});
    for (const far of at.tall ? [24, 11] : [9]) {
      for (const [token, wide] of [['contour', 2 * far], ['water', 2 * far - 2]]) {
        for (const d of shores) land.append(svg('path', { d, class: 'depth', stroke: `var(--${token})`, 'stroke-width': wide }));
      }
    }
    for (const d of shores) land.append(svg('path', { d, class: 'shore' }));
    const from = at.shore + 8, long = at.coast - at.shore - 16;
    if (!this.state.linked) {
      if (this.state.relay.state !== 'off') for (const side of [-1, 1]) land.append(svg('path', { class: 'gone', d: `M${at.shore + 8} ${at.middle + side * at.barHalf}H${at.coast - 4}` }));
    } else if (this.state.transport === 'WebSocket') {
      land.append(svg('path', { class: 'ruled', d: `M${from} ${at.middle + at.barHalf - 4}h${long}` }));
    } else {
      land.append(svg('rect', { x: from, y: at.middle - at.barHalf + 2, width: Math.max(0, long), height: 2 * at.barHalf - 4, fill: 'url(#p-stipple)', opacity: 0.7 }));
    }
    root.append(land);
  }

  /** The fixed set of paths and dots of one side. */
  makeRows(token, dot) {
    const { at, root } = this;
    const rows = [];
    for (let index = 0; index < at.rows; index++) {
      const line = kind => root.appendChild(svg('path', { class: kind, stroke: `var(--${token})` }));
      rows.push({ down: line('flow'), up: line('flow up'), y: at.rowTop + index * at.rowStep });
    }
    for (const row of rows) row.dot = root.appendChild(svg('circle', { cx: this.x(dot), cy: row.y, r: 3.5, visibility: 'hidden', stroke: `var(--${token})`, 'stroke-width': 1.5 }));
    return rows;
  }

  /** Whose row is under the pointer. */
  peerAt({ clientX, clientY }) {
    const { at } = this, box = this.figure.getBoundingClientRect();
    const x = this.x(clientX - box.left), index = Math.round((clientY - box.top - at.rowTop) / at.rowStep);
    const side = x < at.tab ? 'left' : x > at.coast ? 'right' : '';
    return this.view().rows[side]?.[index] ?? null;
  }

  /** Widths and words; with `fresh` the lines are laid anew by the mean widths first. */
  paint(fresh) {
    if (!this.parts || !this.seen.visible) return;
    const view = this.view();
    const now = performance.now();
    this.fresh = fresh;
    this.settles = fresh || !(now - this.settled < TOGETHER);
    clearTimeout(this.later);
    if (this.settles) this.settled = now;
    else this.later = setTimeout(() => this.paint(false), this.settled + TOGETHER - now);
    if (fresh) this.lay(view);
    this.stroke('left', view);
    this.stroke('right', view);
    const { rates } = view.snapshot;
    this.line(this.cache, view.linked && view.flowing && rates.relay > 0 ? rates.relay : null);
    this.line(this.server, view.flowing && rates.server > 0 ? rates.server : null);
    this.words(view);
    if (this.scale) setText(this.scale, view.rest ? '' : `solid to you, dashed from you${this.flows.moving ? `, ${phrase(`${this.at.px} px = ${roundRate(this.flows.unit)}`)}` : ''}`);
  }

  /** What is shown now: without the relay there is no native side. */
  view() {
    const { snapshot, linked, mode } = this.state;
    const rows = { left: this.flows.rows.left, right: linked ? this.flows.rows.right : [] };
    if (linked && rows.right.length === 0 && snapshot.rates.native > 0) {
      rows.right = [{ key: 'all', name: 'native peers', transport: '', down: snapshot.rates.native, up: 0, choked: false }];
    }
    return { ...this.state, rows, flowing: mode !== 'give', rest: rows.left.length + rows.right.length === 0 };
  }

  stroke(side, view) {
    this.parts[side].forEach((part, index) => {
      const peer = view.rows[side][index];
      this.line(part.down, peer && view.flowing ? peer.down : null);
      this.line(part.up, peer && peer.up > 0 ? peer.up : null);
      setAttr(part.dot, 'visibility', peer ? null : 'hidden');
      if (peer) setAttr(part.dot, 'fill', peer.down > 0 || peer.up > 0 ? part.dot.getAttribute('stroke') : 'var(--land)');
    });
  }

  /** Null hides a line, 0 is a hairline. */
  line(path, value) {
    const hidden = path.getAttribute('visibility');
    setAttr(path, 'visibility', value === null ? 'hidden' : null);
    if (value === null || !(this.settles || hidden)) return;
    const wide = flowWidth(value, this.flows.unit, this.at.px), drawn = Number(path.getAttribute('stroke-width'));
    if (this.fresh || Math.abs(wide - drawn) > STEADY * drawn) setAttr(path, 'stroke-width', wide.toFixed(2));
  }

  /** Lays the lines side by side at the tab, as wide as their means. */
  lay(view) {
    const { at } = this;
    const wide = value => flowWidth(value, this.flows.unit, at.px);
    const down = peer => (view.flowing ? wide(peer.down) + GAP : 0), up = peer => (peer.up > 0 ? wide(peer.up) + 2 : 0);
    const total = (rows, of) => rows.slice(0, at.rows).reduce((sum, peer) => sum + (peer ? of(peer) : 0), 0);
    const { left, right } = view.rows, rates = view.snapshot.rates;
    const cache = view.flowing && rates.relay > 0 ? wide(rates.relay) : 0;
    const inLeft = total(left, down), inRight = total(right, down) + cache, outLeft = total(left, up), outRight = total(right, up);
    const inMost = Math.max(inLeft, inRight), outMost = Math.max(outLeft, outRight);
    const high = Math.max(view.flowing ? inMost : outMost, 12), top = at.middle - high / 2;
    let y = at.middle - inRight / 2;
    y = this.layDown('right', right, down, y);
    if (cache) setAttr(this.cache, 'd', `M${this.x(at.relay)} ${y + cache / 2}H${this.x(at.tab + 3)}`);
    this.layDown('left', left, down, at.middle - inLeft / 2);
    const below = view.flowing ? top + high + 5 : null;
    this.layUp('left', left, up, below ?? at.middle - outLeft / 2);
    this.layUp('right', right, up, below ?? at.middle - outRight / 2);
    const serverX = at.relay - (at.small ? 6 : 40), serverY = at.height - (at.small ? 12 : 15);
    setAttr(this.server, 'd', curve(this.x(serverX), serverY, this.x(at.tab + 3), top + high + 1));
    setAttr(this.node, 'x', this.x(at.tab) - 3);
    setAttr(this.node, 'y', (top - 2).toFixed(1));
    setAttr(this.node, 'height', (high + 4 + (view.flowing && outMost > 0 ? outMost + 6 : 0)).toFixed(1));
  }

  layDown(side, rows, down, y) {
    this.parts[side].forEach((part, index) => {
      const peer = rows[index];
      if (!peer) return;
      const wide = down(peer);
      setAttr(part.down, 'd', this.way(side, part.y, y + (wide - GAP) / 2));
      y += wide;
    });
    return y;
  }

  layUp(side, rows, up, y) {
    this.parts[side].forEach((part, index) => {
      const peer = rows[index];
      if (!peer) return;
      const wide = up(peer);
      setAttr(part.up, 'd', this.way(side, part.y + (this.state.mode === 'give' ? 0 : 3), y + wide / 2));
      y += wide;
    });
  }

  /** The way of one line: on the right it runs over the bar first. */
  way(side, rowY, tabY) {
    const { at } = this;
    if (side === 'left') return curve(this.x(at.dotLeft), rowY, this.x(at.tab - 3), tabY);
    return `${curve(this.x(at.dotRight), rowY, this.x(at.coast + 4), tabY)}H${this.x(at.tab + 3).toFixed(1)}`;
  }

  /** One text, made at first use; an empty one disappears. */
  text(id, x, y, words, kind = '', anchor = 'start', token = null) {
    let node = this.texts.get(id);
    if (!node) {
      if (!words) return null;
      node = this.root.appendChild(svg('text'));
      this.texts.set(id, node);
    }
    setAttr(node, 'x', this.x(x).toFixed(1));
    setAttr(node, 'y', y);
    setAttr(node, 'class', kind || null);
    setAttr(node, 'text-anchor', anchor);
    setAttr(node, 'style', token ? `fill:var(--${token})` : null);
    setText(node, words);
    return node;
  }

  words(view) {
    const { at } = this;
    if (at.small) this.wordsSmall(view);
    else {
      this.side('left', 'Tabs', at.name, view, this.headOf('left', view));
      this.side('right', 'Native swarm', at.dotRight - (at.medium ? 4 : 10), view, this.headOf('right', view));
      this.rowWords(view);
      this.text('server', at.relay - 30, at.height - 11, view.flowing && view.snapshot.rates.server > 0 ? `Server ${rate(view.snapshot.rates.server)}` : '', 'halo', 'start', 'server');
    }
    this.relayWords(view);
    const quiet = view.rows.left.length === 0;
    const y = Number(this.node.getAttribute('y')) - (at.small ? 10 : 8);
    this.text('you', at.tab + (at.small || quiet ? 4 : 9), y.toFixed(0), at.small ? 'you' : 'this tab', 'strong', at.small || quiet ? 'middle' : 'start');
  }

  headOf(side, view) {
    const { snapshot, mode } = view;
    const n = this.flows.counts[side];
    if (mode === 'adding') {
      const known = side === 'right' ? snapshot.nativesKnown : webPeersKnown(snapshot.trackers);
      return { value: known > n ? phrase(`${count(n)} of ${count(known)}`) : count(n), note: 'answered' };
    }
    const value = mode === 'give' ? view.rows[side].reduce((sum, peer) => sum + (peer?.up ?? 0), 0) : side === 'left' ? snapshot.rates.tabs : snapshot.rates.native;
    const known = snapshot.nativesKnown > n ? `${count(n)} of ${count(snapshot.nativesKnown)}` : count(n);
    return { value: value >= 0.5 ? rate(value) : '', note: phrase(side === 'left' ? `${count(n)}, direct` : `${known}, by relay`) };
  }

  /** Head of a side with rows, or the words that stand where there are none. */
  side(side, place, x, view, { value, note }) {
    const { at } = this;
    const token = side === 'left' ? 'tabs' : 'native';
    const empty = view.rows[side].length === 0;
    const [first, second] = empty ? this.quietWords(side, view) : ['', ''];
    this.text(`${side}-place`, x, empty ? at.middle - 26 : 32, place, empty ? 'place large' : 'place');
    const shift = measure(`italic 13px`, place) + 10;
    this.text(`${side}-value`, x + shift, 32, empty ? '' : value, 'strong', 'start', token);
    this.text(`${side}-note`, x + shift + (value ? measure('bold 12px', value) + 8 : 0), 32, empty || at.medium ? '' : note, 'quiet');
    this.text(`${side}-say`, x, at.middle + 2, first, at.medium ? '' : 'say');
    this.text(`${side}-say2`, x, at.middle + 23, second, at.medium ? 'quiet' : 'say quiet');
  }

  quietWords(side, view) {
    const { relay, linked, mode, webrtc } = view;
    if (side === 'left') {
      if (!linked && relay.state === 'gone') return ['Tabs on your own network may still answer.', ''];
      return ['Other browsers, met directly.', webrtc === false ? 'WebRTC is missing here.' : mode === 'rest' ? 'WebRTC works here.' : 'None connected yet.'];
    }
    if (!linked) return ['Out of reach without the relay.', ''];
    if (mode !== 'rest') return ['Ordinary clients, by TCP and uTP.', 'None connected yet.'];
    return ['Ordinary clients, by TCP and uTP.', relay.natives ? `${count(relay.natives)} of them in ${count(relay.swarms ?? 1)} ${relay.swarms === 1 ? 'swarm' : 'swarms'} now.` : ''];
  }

  rowWords(view) {
    const { at } = this;
    for (const side of ['left', 'right']) {
      const left = side === 'left';
      const start = left ? at.name : at.dotRight + 14, end = left ? at.dotLeft - 14 : Math.min(at.width - 18, at.dotRight + 272);
      const transportEnd = at.dotRight + 178;
      const room = (left || at.medium ? end - 70 : transportEnd - 40) - start;
      for (let index = 0; index < at.rows; index++) {
        const peer = view.rows[side][index], y = at.rowTop + index * at.rowStep + 4;
        const moving = peer && (peer.down > 0 || peer.up > 0) ? '' : 'quiet';
        this.text(`${side}${index}`, start, y, peer ? cut(peer.name, room) : '', moving);
        if (!left && !at.medium) this.text(`${side}${index}t`, transportEnd, y, peer ? peer.transport : '', 'quiet', 'end');
        this.text(`${side}${index}r`, end, y, peer ? moves(peer, view) : '', moving, 'end');
      }
      const more = this.flows.counts[side] - at.rows;
      this.text(`${side}-more`, start, at.rowTop + at.rows * at.rowStep + 4, more > 0 && view.rows[side].length > 0 ? phrase(`${count(more)} more`) : '', 'quiet');
    }
  }

  wordsSmall(view) {
    const { at } = this;
    const calm = view.rest || !view.linked;
    this.text('left-place', at.name + (calm ? 10 : 2), calm ? at.middle - 44 : 22, 'Tabs', 'place');
    this.text('right-place', at.width - (calm ? 14 : 10), calm ? at.middle - 44 : 21, 'Native', 'place', 'end');
    this.text('left-value', at.name, at.height - 14, view.rows.left.length ? this.headOf('left', view).value : '', 'strong', 'start', 'tabs');
    this.text('right-value', at.width - 10, at.height - 8, view.rows.right.length ? this.headOf('right', view).value : '', 'strong', 'end', 'native');
  }

  relayWords(view) {
    const { at } = this;
    const [name, words, token] = relayLines(view);
    const gap = at.small ? 14 : at.tall ? 30 : 25;
    this.text('relay', at.relay, at.middle - at.barHalf - gap, name, `place halo${at.tall && !at.small ? ' large' : ''}`, 'middle');
    if (at.small) return;
    this.text('relay-say', at.relay, at.middle - at.barHalf - 10, words, `halo ${at.tall ? 'say' : 'strong'}`, 'middle', token);
    const idea = view.mode === 'rest' && at.tall && view.linked;
    this.text('idea', at.relay, at.middle + at.barHalf + 30, idea ? 'Every byte you receive will be drawn here:' : '', 'quiet halo', 'middle');
    this.text('idea2', at.relay, at.middle + at.barHalf + 46, idea ? 'from whom, by which way, how fast.' : '', 'quiet halo', 'middle');
  }

  /** The same for those who do not see it. */
  tabulate() {
    const view = this.flows.rows;
    const rows = [...view.left, ...view.right].filter(Boolean);
    rebuild(this.table, rows.map(peer => `${peer.key}${peer.name}${Math.round(peer.down)}/${Math.round(peer.up)}`).join() || 'none', () => [
      el('caption', {}, 'Where bytes come from'),
      el('tr', {}, el('th', {}, 'Peer'), el('th', {}, 'To you'), el('th', {}, 'From you')),
      ...rows.map(peer => el('tr', {}, el('td', {}, el('bdi', {}, peer.name), peer.transport ? ` (${peer.transport})` : ''), el('td', {}, rate(peer.down)), el('td', {}, rate(peer.up)))),
    ]);
  }
}

const EMPTY = { peers: [], natives: [], rates: { tabs: 0, native: 0, relay: 0, server: 0 }, upRate: 0 };

/** Peers that WebSocket trackers know: only those can be tabs. */
function webPeersKnown(trackers = []) {
  return Math.max(0, ...trackers.filter(({ url }) => /^wss?:/.test(url)).map(({ peers }) => peers || 0));
}

/** The relay as the strip shows it: before the engine is up nobody knows that it is switched off. */
export const relayOf = ({ relay, version }) => (version === null && relay.state === 'off' ? { ...relay, state: 'connecting' } : relay);

/** Name, words and colour of the relay. */
function relayLines({ relay, linked, mode, snapshot }) {
  if (relay.state === 'off') return ['Relay', 'switched off', null];
  if (relay.state === 'connecting') return ['Relay', 'connecting', null];
  if (!linked) return ['Relay out of reach', relay.retry == null ? 'trying again' : `next try in ${span(relay.retry)}`, null];
  if (mode === 'adding') return ['Relay', 'asking for the file list', null];
  if (mode === 'live' && snapshot.rates.relay >= 0.5) return ['Relay', `cache ${rate(snapshot.rates.relay)}`, 'relay'];
  if (mode === 'give' && relay.cache?.limit) return ['Relay', `passes on, keeps ${bytes(relay.cache.limit)}`, null];
  return ['Relay', relay.ping == null ? 'connected' : `connected, ${Math.round(relay.ping)}\u00a0ms`, null];
}

function moves(peer, { mode }) {
  if (peer.down >= 0.5) return rate(peer.down);
  if (peer.up >= 0.5) return phrase(`↑ ${rate(peer.up)}`);
  if (mode === 'adding') return 'connected';
  return mode === 'paused' ? 'paused' : 'waits';
}

const ruler = document.createElement('canvas').getContext('2d');

function measure(font, text) {
  ruler.font = `${font} ${getComputedStyle(document.body).fontFamily}`;
  return ruler.measureText(text).width;
}

/** Cuts a name to a width. O(log n) measurements, remembered. */
const cuts = new Map();
function cut(text, room) {
  const key = `${Math.round(room)} ${text}`;
  const known = cuts.get(key);
  if (known !== undefined) return known;
  if (cuts.size > 400) cuts.clear();
  let low = 0, high = text.length;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (measure('12px', middle === text.length ? text : text.slice(0, middle) + '…') <= room) low = middle;
    else high = middle - 1;
  }
  const out = low === text.length ? text : text.slice(0, low) + '…';
  cuts.set(key, out);
  return out;
}
