// What happened since a torrent was added, with the clock in the margin. Lines are added and changed, never taken away,
// so that a screen reader hears each of them once.
import { clean, clock, count, el, plural, quoted, setAttr, setText, shortHash } from './kit.js';

const ORDER = [['link', 'Link understood'], ['tracker', 'Tracker answered'], ['relay', 'Relay joined the swarm'], ['peers', 'Peers connected'],
  ['metadata', 'Getting the file list'], ['first-byte', 'First byte'], ['first-piece', 'First verified piece']];
const PATIENCE = 10000;

/** The lines to show: `[{key, state: 'done' | 'now' | 'todo' | 'bad', at, title, text}]`. Pure. */
export function stepLines(s, elapsed) {
  const seen = new Map(s.steps.map(step => [step.key, step]));
  const lines = [];
  let furthest = -1;
  ORDER.forEach(([key], index) => { if (seen.has(key)) furthest = index; });
  ORDER.forEach(([key, title], index) => {
    const step = seen.get(key);
    const open = key === 'metadata' && step && s.phase === 'adding';
    if (!step && index > 3 && index < furthest) return;
    const state = open ? 'now' : step ? 'done' : 'todo';
    lines.push({ key, state, at: step?.at ?? null, title: key === 'peers' && step ? `${title}: ${count(people(s))}` : title, text: step ? detail(step, s) : '' });
  });
  for (const [index, step] of s.steps.filter(step => step.key === 'problem').entries()) {
    lines.push({ key: `problem${index}`, state: 'bad', at: step.at, title: clean(step.details?.title ?? 'Problem'), text: clean(step.text) });
  }
  if (elapsed >= PATIENCE && people(s) === 0) lines.push({ key: 'patience', state: 'now', at: PATIENCE, title: 'No peer yet', text: patience(s) });
  return lines;
}

function people(s) {
  return s.peers.filter(peer => peer.kind !== 'relay').length + (s.natives?.length ?? 0) || s.peers.length;
}

function trackersKnow(s) {
  return s.trackers.reduce((most, tracker) => Math.max(most, (tracker.peers || 0) + (tracker.seeds || 0)), 0);
}

function patience(s) {
  const asked = s.nativesKnown ? `, the relay asked ${count(s.nativesKnown)}` : '';
  return `Trackers know ${count(trackersKnow(s))}${asked}. Leave the tab open.`;
}

/** The grey words of a step: the engine's, else from what the snapshot tells. */
function detail(step, s) {
  if (step.text) return clean(step.text);
  const d = step.details ?? {};
  if (step.key === 'link') return `Info-hash ${shortHash(s.infoHash ?? '')}, ${plural(d.trackers ?? s.trackers.length, 'tracker')}`;
  if (step.key === 'tracker') return d.url ? `${quoted(d.url)} knows ${plural(d.peers ?? 0, 'peer')}` : '';
  if (step.key === 'relay') return s.nativesKnown ? `${count(s.nativesKnown)} native peers known` : '';
  if (step.key === 'peers') return peersText(s);
  if (step.key === 'metadata' && d.total) {
    return `${count(d.have)} of ${count(d.total)} parts${d.from ? `, from ${plural(d.from, 'peer')}` : ''}. The name above is confirmed when all ${count(d.total)} match the info-hash.`;
  }
  return '';
}

function peersText(s) {
  const tabs = s.peers.filter(peer => peer.kind === 'tab').length, natives = s.natives?.length || s.peers.filter(peer => peer.kind === 'native').length;
  const words = [];
  if (tabs) words.push(`${plural(tabs, 'tab')} by WebRTC`);
  if (natives) words.push(`${count(natives)} native by relay`);
  if (s.peers.some(peer => peer.kind === 'relay')) words.push('the relay');
  return words.join(', ');
}

/** The log in an `ol`. */
export class Steps {
  constructor(list) {
    this.list = list;
    this.rows = new Map();
  }

  update(s, elapsed) {
    if (this.infoHash !== s.infoHash) {
      this.infoHash = s.infoHash;
      this.rows.clear();
      this.list.replaceChildren();
    }
    const lines = stepLines(s, elapsed);
    for (const [key, row] of this.rows) {
      if (lines.some(line => line.key === key)) continue;
      row.node.remove();
      this.rows.delete(key);
    }
    lines.forEach((line, index) => {
      const row = this.rows.get(line.key) ?? this.add(line.key);
      if (this.list.children[index] !== row.node) this.list.insertBefore(row.node, this.list.children[index] ?? null);
      setAttr(row.node, 'class', line.state);
      setAttr(row.node, 'aria-current', line.state === 'now' ? 'step' : null);
      setText(row.time, line.at == null ? '' : clock(line.at));
      setText(row.title, line.title);
      setText(row.text, line.text);
    });
  }

  add(key) {
    const row = { time: el('time'), title: el('b'), text: el('p') };
    row.node = el('li', {}, row.time, el('span', { class: 'mark', 'aria-hidden': 'true' }), el('div', {}, row.title, row.text));
    this.rows.set(key, row);
    return row;
  }
}
