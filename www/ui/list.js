// Several torrents: a row each, whose small piece map is the progress bar.
import { bdi, byId, bytes, bytesOf, clean, count, duration, el, icon, NONE, percent, plural, rate, ratio, setAttr, setName, setText } from './kit.js';
import { MapCells } from './map.js';
import { skippedPieces } from './mapgrid.js';

const HEADS = [['Name', 'name'], ['Pieces', 'l-map'], ['Done', 'l-done num'], ['State', 'l-state'], ['Down', 'l-rate num'], ['Up', 'l-rate num'], ['Left', 'l-left num']];

export class List {
  /** `act` = {open(torrent), pause(torrent), remove(torrent)}. */
  constructor(act) {
    this.act = act;
    this.body = el('tbody');
    const head = el('tr', {}, ...HEADS.map(([text, kind]) => el('th', { scope: 'col', class: kind }, text)), el('th', { class: 'l-acts' }, el('span', { class: 'vh' }, 'Actions')));
    byId('list').append(el('table', { class: 'list', 'aria-labelledby': 'list-title', keydown: event => this.key(event) }, el('thead', {}, head), this.body));
    this.rows = new Map();
  }

  update(torrents, quota) {
    for (const [torrent, row] of this.rows) {
      if (torrents.includes(torrent)) continue;
      row.node.remove();
      this.rows.delete(torrent);
    }
    torrents.forEach((torrent, index) => {
      const row = this.rows.get(torrent) ?? this.add(torrent);
      if (this.body.children[index] !== row.node) this.body.insertBefore(row.node, this.body.children[index] ?? null);
      fillRow(row, torrent.snapshot);
    });
    const complete = torrents.filter(({ snapshot }) => isComplete(snapshot)).length;
    const parts = [`${count(torrents.length)} here`, `${count(complete)} complete`];
    if (quota?.quota) parts.push(`${bytesOf(quota.usage, quota.quota)} of this browser’s space used`);
    subline(byId('list-sub'), parts);
  }

  add(torrent) {
    const row = { name: bdi(), files: el('small'), canvas: el('canvas', { role: 'img' }), done: el('td', { class: 'num pc' }), state: el('td', { class: 'st' }), down: el('td', { class: 'num opt' }), up: el('td', { class: 'num opt' }), left: el('td', { class: 'num' }) };
    row.open = el('button', { type: 'button', click: () => this.act.open(torrent) }, row.name);
    row.pause = el('button', { type: 'button', class: 'ico', click: () => this.act.pause(torrent) });
    row.remove = el('button', { type: 'button', class: 'ico', click: () => this.act.remove(torrent) }, icon('remove'));
    row.node = el('tr', {}, el('td', { class: 'name' }, row.open, row.files), el('td', { class: 'map-cell' }, row.canvas), row.done, row.state, row.down, row.up, row.left, el('td', { class: 'num' }, row.pause, row.remove));
    row.map = new MapCells(row.canvas, 14);
    this.rows.set(torrent, row);
    return row;
  }

  /** Arrows go from row to row. */
  key(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const rows = [...this.rows.values()], at = rows.findIndex(row => row.node.contains(event.target));
    if (!step || at < 0) return;
    event.preventDefault();
    rows[Math.min(rows.length - 1, Math.max(0, at + step))].open.focus();
  }
}

function fillRow(row, s) {
  setName(row.name, titleOf(s));
  setText(row.files, s.phase === 'adding' ? 'file list not here yet' : `${plural(s.files.filter(file => !file.pad).length, 'file')}, ${bytes(s.length)}`);
  const whole = isComplete(s), share = s.wanted > 0 ? (s.haveWanted ?? s.have) / s.wanted : 0;
  const shown = s.phase === 'hashing' || s.phase === 'checking' ? s.hashed : share;
  setText(row.done, percent(shown, whole));
  const [state, caution] = stateWords(s, whole);
  setText(row.state, state);
  setAttr(row.state, 'class', caution ? 'st warn' : 'st');
  setText(row.down, rate(s.down));
  setText(row.up, rate(s.up ?? s.upRate));
  setText(row.left, s.phase === 'downloading' ? duration(s.eta) : NONE);
  setAttr(row.canvas, 'aria-label', `${percent(shown, whole)} of ${count(s.pieces)} pieces verified`);
  if (s.pieces > 0) row.map.show({ pieces: s.pieces, map: s.map, counts: s.counts, source: s.source, skip: skippedPieces(s.files, s.pieces), connected: s.peers.length > 0 });
  const paused = s.phase === 'paused', words = `${paused ? 'Resume' : 'Pause'} ${titleOf(s)}`;
  if (row.pause.getAttribute('aria-label') !== words) {
    row.pause.replaceChildren(icon(paused ? 'play' : 'pause'));
    row.pause.setAttribute('aria-label', words);
  }
  setAttr(row.remove, 'aria-label', `Remove ${titleOf(s)}`);
}

function stateWords(s, whole) {
  if (!navigator.onLine) return [whole ? 'Here, opens offline' : 'Waiting for network', false];
  if (s.phase === 'adding') return ['Getting the file list', false];
  if (s.phase === 'hashing') return ['Preparing', false];
  if (s.phase === 'checking') return ['Checking', false];
  if (s.phase === 'error') return ['Stopped by an error', true];
  if (s.phase === 'paused') return ['Paused', false];
  if (whole) return [`Seeding, ratio ${ratio(s.ratio ?? 0)}`, false];
  if (s.peers.length && s.availability < 1) return ['Cannot complete', true];
  return [s.peers.length ? 'Downloading' : 'No peer yet', false];
}

/** What a torrent is called: its name, else its info-hash, else (while own files are read) nothing better. */
export const titleOf = s => clean(s.name) || s.infoHash || 'Torrent';

export const isComplete = s => s.phase !== 'adding' && s.phase !== 'hashing' && s.wanted > 0 && (s.haveWanted ?? s.have) >= s.wanted;

/** Fills a `.sub` line: parts divided by middle dots. */
export function subline(node, parts) {
  while (node.children.length > parts.length) node.lastChild.remove();
  parts.forEach((part, index) => {
    const [text, kind] = Array.isArray(part) ? part : [part, null];
    const span = node.children[index] ?? node.appendChild(el('span'));
    setText(span, text);
    setAttr(span, 'class', kind);
  });
}
