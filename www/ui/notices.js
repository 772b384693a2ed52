// Notices stand above the view whose cause they are. Most follow from what the client and the snapshot say; the engine
// adds those only it can know. Each keeps its place and its node while it lasts, so that nothing jumps or is read twice.
import { bdi, button, byId, el, ratio, rebuild, setText } from './kit.js';
import { noticeWords } from './words.js';

const TRIES = 3;

/** The notices of the page and of the torrent that is open (or null), as `{code, details}`. */
export function currentNotices(client, snapshot, online = navigator.onLine) {
  const out = [];
  const { environment = {} } = client;
  if (!online) out.push({ code: 'offline', details: {} });
  if (environment.secure === false) out.push({ code: 'insecure', details: { limit: environment.limit } });
  else if (environment.webrtc === false) out.push({ code: 'webrtc-missing', details: {} });
  const relay = client.relay;
  if (online && relay?.state === 'gone' && snapshot) out.push({ code: 'relay-gone', details: { host: hostOf(relay.url), retry: relay.retry } });
  if (snapshot) out.push(...(snapshot.notices ?? []).map(notice => (notice.code === 'quota' ? roomFor(client, snapshot, notice) : notice)), ...derived(snapshot, online));
  const seen = new Set();
  return out.filter(({ code }) => !seen.has(code) && seen.add(code));
}

/** What would make room: the smallest complete torrent that is enough, else the largest. */
function removable(client, snapshot, needed) {
  const whole = client.torrents.filter(({ snapshot: s }) => s !== snapshot && !s.own && s.phase === 'done').sort((a, b) => a.snapshot.have - b.snapshot.have);
  return whole.find(({ snapshot: s }) => s.have >= needed) ?? whole[whole.length - 1] ?? null;
}

/** The notice that there is no room, with how much there is and what would make some. */
function roomFor(client, snapshot, { code, details = {} }) {
  const needed = details.needed ?? snapshot.wanted - snapshot.haveWanted, torrent = removable(client, snapshot, needed);
  const free = torrent && { torrent, bytes: torrent.snapshot.have, name: torrent.snapshot.name };
  return { code, details: { ...client.quota, share: snapshot.wanted ? snapshot.haveWanted / snapshot.wanted : null, ...details, needed, free } };
}

function derived(s, online) {
  const out = [];
  const failing = s.trackers?.find(tracker => tracker.failures >= TRIES);
  if (failing && online && s.phase !== 'done') {
    out.push({ code: 'tracker', details: { url: failing.url, failures: failing.failures, error: failing.error, connected: s.peers.length } });
  }
  const absent = s.phase === 'downloading' && s.peers.length && s.availability < 1 ? absentPieces(s) : 0;
  if (absent) out.push({ code: 'availability', details: { availability: ratio(s.availability), absent, pieces: s.pieces } });
  return out;
}

function absentPieces(s) {
  let absent = 0;
  for (let piece = 0; piece < s.pieces; piece++) if (s.counts[piece] === 0 && s.map[piece] !== 255) absent++;
  return absent;
}

function hostOf(url) {
  try {
    return new URL(url).host;
  } catch {
    return 'the relay';
  }
}

/** Shows notices in #notices; `act(id, details)` is called for their buttons. */
export class Notices {
  constructor(act) {
    this.box = byId('notices');
    this.act = act;
    this.shown = new Map();
  }

  show(notices) {
    const now = notices.map(noticeWords);
    for (const [code, node] of this.shown) {
      if (now.some(notice => notice.code === code)) continue;
      node.box.remove();
      this.shown.delete(code);
    }
    for (const notice of now) {
      const node = this.shown.get(notice.code) ?? this.add(notice);
      setText(node.title, notice.title);
      setText(node.text, notice.text);
      rebuild(node.acts, notice.actions.flat().join(), () => notice.actions.slice(0, 2).map(([id, label]) => button(label, () => this.act(id, notice.details))));
    }
  }

  add({ code, level }) {
    const title = el('h2'), text = bdi(), acts = el('div', { class: 'acts' });
    const box = el('div', { class: level === 'know' ? 'notice know' : 'notice', 'data-code': code }, title, el('p', {}, text), acts);
    this.box.append(box);
    const node = { box, title, text, acts };
    this.shown.set(code, node);
    return node;
  }
}
