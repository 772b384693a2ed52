// A client without an engine, for the tests of the page: served in place of client.js. `?state=…` says what it holds;
// tests reach in through `window.tombolo` to change a snapshot and see the page follow. Nothing here is shipped.
const query = new URLSearchParams(location.search);
const state = query.get('state') ?? 'empty';

let seed = 7;
const random = () => (seed = (seed * 16807) % 2147483647) / 2147483647;

const HASH = '7d2c1e0b9f4a83e65d10c2b7a94f6e3381bd05ac';
const PIECE = 524288;

function peer(link, client, kind, transport, flags, has, down, up, short) {
  return { link, client, short, kind, transport, flags, has, down, up, received: down * 90, sent: up * 90, choked: down === 0 };
}

function peers() {
  return [
    peer(1, 'Tombolo', 'tab', 'WebRTC', 'D W I', 1, 912e3, 0, 'a41f'), peer(2, 'Tombolo', 'tab', 'WebRTC', 'D U W', 0.71, 463e3, 214e3, '09c2'),
    peer(3, 'WebTorrent 2.6', 'tab', 'WebRTC', 'D W X', 1, 288e3, 0, 'b7aa'), peer(4, 'Tombolo', 'tab', 'WebRTC', 'D U O W', 0.38, 121e3, 96e3, 'e7d0'),
    peer(5, 'libtorrent 2.1', 'tab', 'WebRTC', 'D W H', 1, 64e3, 0, '11f0'), peer(6, 'WebTorrent 2.5', 'tab', 'WebRTC', 'd W', 0.12, 0, 0, '77c1'),
    peer(7, 'Relay', 'relay', 'WebRTC', 'D R', 0.06, 206e3, 0, '0001'), peer(8, 'files.example.org', 'server', 'HTTPS', 'D W', 1, 64e3, 0, null),
  ];
}

function natives() {
  const rows = [['Transmission 4.1', 'TCP', 402e3, 0], ['qBittorrent 5.2', 'uTP', 377e3, 0], ['libtorrent 2.1', 'TCP', 203e3, 0], ['Deluge 2.2', 'TCP', 118e3, 61e3],
    ['rTorrent 0.15', 'TCP', 22e3, 0], ['µTorrent 3.6', 'uTP', 0, 39e3], ['Transmission 4.0', 'TCP', 0, 0]];
  return rows.map(([client, transport, down, up]) => ({ client, transport, down, up, choked: down === 0, flags: 'D B', has: 1 }));
}

const DEMO = [[['part-1.mp4'], 312e6, 0.88, 'high'], [['part-2.mp4'], 298e6, 0.46, 'normal'], [['extras', 'interview.mp4'], 96e6, 0.31, 'low'], [['extras', 'stills.zip'], 6.2e6, 0, 'skip'],
  [['subtitles', 'part-1.en.vtt'], 41e3, 1, 'high'], [['subtitles', 'part-1.de.vtt'], 43e3, 1, 'high'], [['booklet.pdf'], 18.1e6, 1, 'normal'], [['cover.jpg'], 2.4e6, 1, 'normal']];

/** Files laid end to end, with piece ranges. */
function layFiles(name, rows, pieceLength) {
  let at = 0;
  return rows.map(([path, length, done, priority], index) => {
    const file = { index, path: [name, ...path], length: Math.round(length), pad: false, done: Math.round(length * done), priority, firstPiece: Math.floor(at / pieceLength), lastPiece: 0 };
    at += file.length;
    file.lastPiece = Math.floor((at - 1) / pieceLength);
    return file;
  });
}

function manyFiles(name) {
  const rows = Array.from({ length: 10000 }, (_, k) => [[`folder-${String(Math.floor(k / 25)).padStart(3, '0')}`, `sheet-${String(k).padStart(5, '0')}.tif`], 2.1e6 + (k * 7919) % 6e6, k > 5999 && k < 6400 ? 0 : (k * 37 % 101) / 100, k > 5999 && k < 6400 ? 'skip' : 'normal']);
  return layFiles(name, rows, PIECE);
}

/** Pieces in runs, as a swarm leaves them. */
function fillPieces(s, done, { arriving = 0, absent = 0 } = {}) {
  let run = 0, verified = false;
  for (let piece = 0; piece < s.pieces; piece++) {
    if (run-- <= 0) {
      verified = random() < done;
      run = Math.floor(random() ** 3 * Math.min(s.pieces / 90, 60));
    }
    s.map[piece] = done >= 1 || verified ? 255 : 0;
    s.counts[piece] = 1 + Math.floor(random() ** 2 * 12);
    const x = random();
    s.source[piece] = s.map[piece] ? (x < 0.61 ? 1 : x < 0.94 ? 2 : x < 0.98 ? 3 : 4) : 0;
    if (!s.map[piece] && random() < absent) s.counts[piece] = 0;
  }
  for (let tries = 0; arriving > 0 && tries < 1e5; tries++) {
    const piece = Math.floor(random() * s.pieces);
    if (s.map[piece]) continue;
    s.map[piece] = 1 + Math.floor(random() * 253);
    s.counts[piece] ||= 1;
    arriving--;
  }
}

function makeSnapshot({ name = 'Coastlines: a field film', files, pieces, done = 0.618, options = {} } = {}) {
  files ??= layFiles(name, DEMO, PIECE);
  const length = files.reduce((sum, file) => sum + file.length, 0);
  const pieceLength = pieces ? Math.ceil(length / pieces) : PIECE;
  pieces ??= Math.ceil(length / pieceLength);
  const wanted = files.reduce((sum, file) => sum + (file.priority === 'skip' ? 0 : file.length), 0);
  const s = {
    infoHash: HASH, magnet: `magnet:?xt=urn:btih:${HASH}&dn=Coastlines`, name, nameConfirmed: true, phase: 'downloading', seeding: false, hashed: 0, steps: [], private: false, comment: null, createdBy: null,
    length, pieceLength, pieces, wanted, have: Math.round(length * done), haveWanted: Math.round(wanted * done), received: 453e6, uploaded: 141e6, down: 3.24e6, up: 410e3, upRate: 410e3, eta: 86, ratio: 0.31,
    availability: 9.62, known: 221, order: 'rarest-first', files, map: new Uint8Array(pieces), counts: new Uint16Array(pieces), source: new Uint8Array(pieces), peers: peers(), natives: natives(), nativesKnown: 212,
    sources: { tabs: 278e6, native: 148e6, relay: 22.2e6, server: 5e6 }, rates: { tabs: 1.848e6, native: 1.122e6, relay: 206e3, server: 64e3 },
    trackers: [{ url: 'wss://tracker.example.net', state: 'working', age: 4, peers: 9, seeds: 0, error: null, failures: 0, next: 100 }, { url: 'udp://open.example.org:6969', state: 'working', age: 21, peers: 140, seeds: 0, error: null, failures: 0, next: 100 }],
    notices: [], dirty: null, version: 1,
  };
  fillPieces(s, done, { arriving: Math.min(26, pieces / 6), ...options });
  for (const file of files) if (file.priority === 'skip' && done < 1) s.map.fill(0, file.firstPiece + 1, file.lastPiece);
  if (done >= 1) for (const file of s.files) Object.assign(file, { done: file.length, priority: 'normal' });
  return s;
}

function still(s) {
  for (const p of [...s.peers, ...s.natives]) p.down = p.up = 0;
  Object.assign(s, { down: 0, up: 0, upRate: 0, eta: null, rates: { tabs: 0, native: 0, relay: 0, server: 0 } });
  return s;
}

function giving(s) {
  const up = [260e3, 185e3, 0, 98.8e3, 0, 0];
  still(s);
  s.peers = s.peers.filter(p => p.kind === 'tab');
  s.peers.forEach((p, index) => Object.assign(p, { up: up[index], flags: up[index] ? 'U W' : 'W' }));
  s.natives.forEach((p, index) => { p.up = [260e3, 260e3, 260e3, 218e3, 161e3, 122e3, 0][index]; });
  return Object.assign(s, { up: 1.83e6, upRate: 1.83e6, order: 'done' });
}

function addingSnapshot() {
  const s = makeSnapshot();
  Object.assign(s, { phase: 'adding', nameConfirmed: false, length: 0, pieces: 0, files: [], wanted: 0, have: 0, haveWanted: 0, received: 0, map: new Uint8Array(0), counts: new Uint16Array(0), source: new Uint8Array(0) });
  still(s);
  s.peers = [s.peers[0], s.peers[2]];
  s.natives = s.natives.slice(0, 3);
  s.nativesKnown = 14;
  s.steps = [{ at: 0, key: 'link' }, { at: 190, key: 'tracker', details: { url: 'wss://tracker.example.net', peers: 9 } }, { at: 240, key: 'relay', text: '14 native peers asked, 212 known' }, { at: 610, key: 'peers' }, { at: 1100, key: 'metadata', details: { have: 3, total: 7, from: 2 } }];
  return s;
}

const STATES = {
  empty: () => [],
  adding: () => [addingSnapshot()],
  lonely: () => [Object.assign(addingSnapshot(), { peers: [], natives: [], steps: [{ at: 0, key: 'link' }] })],
  downloading: () => [makeSnapshot({ pieces: Number(query.get('pieces')) || undefined })],
  many: () => [makeSnapshot({ name: 'Tide tables and charts, 1900–2020', files: manyFiles('Tide tables and charts, 1900–2020'), done: 0.34, options: { arriving: 60 } })],
  done: () => [Object.assign(giving(makeSnapshot({ done: 1, options: { arriving: 0 } })), { phase: 'done', seeding: true, have: 732784000, haveWanted: 732784000, wanted: 732784000 })],
  seeding: () => [Object.assign(giving(makeSnapshot({ done: 1, options: { arriving: 0 } })), { phase: 'done', own: true, seeding: true, received: 0, uploaded: 1.2e9, ratio: 1.64 })],
  hashing: () => {
    const s = still(makeSnapshot());
    s.map.fill(0);
    s.map.fill(255, 0, Math.floor(s.pieces * 0.62));
    return [Object.assign(s, { phase: 'hashing', own: true, hashed: 0.62, peers: [], natives: [], known: 0, received: 0 })];
  },
  paused: () => [Object.assign(still(makeSnapshot()), { phase: 'paused' })],
  stuck: () => [Object.assign(makeSnapshot({ options: { absent: 0.2 } }), { availability: 0.94, eta: null })],
  'no-tracker': () => {
    const s = makeSnapshot();
    Object.assign(s.trackers[0], { state: 'failed', failures: 3, error: 'no route', next: 8, peers: null });
    return [s];
  },
  quota: () => [Object.assign(still(makeSnapshot()), { phase: 'paused', notices: [{ code: 'quota', details: { quota: 2e9, usage: 1.98e9, needed: 280e6, share: 0.618 } }] })],
  'quota-list': () => [...STATES.quota(), ...STATES.list().slice(2)],
  banned: () => [Object.assign(makeSnapshot(), { notices: [{ code: 'banned', details: { client: 'Deluge 2.2' } }] })],
  'relay-gone': () => [Object.assign(makeSnapshot(), { natives: [], rates: { tabs: 1.848e6, native: 0, relay: 0, server: 0 }, down: 1.848e6 })],
  insecure: () => [makeSnapshot()],
  'no-webrtc-empty': () => [],
  'insecure-empty': () => [],
  'no-webrtc': () => [makeSnapshot()],
  hostile: () => {
    const evil = '<img src=x onerror="window.pwned=1"><script>window.pwned=2</script>\u202egpj.exe';
    const s = makeSnapshot({ name: evil, files: layFiles(evil, [[[evil, evil], 3e6, 1, 'normal'], [['"><svg onload=window.pwned=3>.mp4'], 5e6, 0.5, 'normal']], PIECE) });
    s.peers.forEach(p => { p.client = evil; p.flags = '<b> D'; p.transport = evil; });
    s.natives.forEach(p => { p.client = evil; });
    s.trackers[0].url = `wss://${evil}`;
    s.trackers[0].error = evil;
    s.trackers[0].failures = 9;
    s.trackers[0].state = 'failed';
    s.notices = [{ code: 'unknown', title: evil, text: evil, level: 'act', actions: [{ id: 'x', label: evil }] }];
    return [s];
  },
  list: () => {
    const rows = [['Coastlines: a field film', 0.618, 'downloading', 0], ['Tide tables and charts, 1900–2020', 0.34, 'paused', 0], ['Low water, season 1', 1, 'done', 0], ['field-recordings.zip', 0.081, 'downloading', 0.3], ['slides-harbour-talk.pdf', 1, 'done', 0]];
    return rows.map(([name, done, phase, absent], index) => {
      const s = makeSnapshot({ name, done, pieces: index === 4 ? 36 : undefined, files: index > 2 ? [{ index: 0, path: [name], length: [412e6, 18.4e6][index - 3], pad: false, done: 0, priority: 'normal', firstPiece: 0, lastPiece: [785, 35][index - 3] }] : undefined, options: { absent, arriving: 6 } });
      s.infoHash = HASH.slice(0, 39) + index;
      if (index) Object.assign(still(s), { peers: index === 3 ? s.peers : [], natives: [] });
      if (done === 1) s.have = s.haveWanted = s.wanted = s.length;
      return Object.assign(s, { phase, availability: absent ? 0.94 : 9.62, seeding: done === 1, ratio: index === 2 ? 2.4 : index === 4 ? 0 : s.ratio, sources: index ? { tabs: 0, native: 0, relay: 0, server: 0 } : s.sources });
    });
  },
};

class FakeTorrent {
  constructor(client, snapshot) {
    Object.assign(this, { client, snapshot, magnet: snapshot.magnet, calls: [] });
  }

  log(...call) {
    this.calls.push(call);
    this.client.changed(this);
  }

  select(indices, priority) {
    for (const index of indices) this.snapshot.files[index].priority = priority;
    this.log('select', indices, priority);
  }

  setPriority(index, priority) {
    this.snapshot.files[index].priority = priority;
    this.log('setPriority', index, priority);
  }

  pause() {
    this.snapshot.phase = 'paused';
    this.log('pause');
  }

  resume() {
    this.snapshot.phase = 'downloading';
    this.log('resume');
  }

  remove(options) {
    this.log('remove', options);
    this.client.torrents = this.client.torrents.filter(torrent => torrent !== this);
    this.client.dispatchEvent(new Event('change'));
  }

  save(index) { this.log('save', index); }
  play(index) { this.log('play', index); }
  announce() { this.log('announce'); }
  async piecesOf(link) { return Uint8Array.from({ length: this.snapshot.pieces }, (_, piece) => (link === 1 || (piece * 7 + link) % 100 < 71 ? 1 : 0)); }
  openWithoutRelay() { this.log('openWithoutRelay'); }
  async metainfo() { return new Uint8Array([100, 101]); }
}

class FakeClient extends EventTarget {
  constructor() {
    super();
    this.calls = [];
    this.environment = { webrtc: !/^no-webrtc/.test(state), secure: !/^insecure/.test(state), opfs: true, limit: /^insecure/.test(state) ? 2 ** 28 : null };
    this.quota = { usage: 3.1e9, quota: 8.6e9 };
    this.capped = false;
    this.demo = { id: `magnet:?xt=urn:btih:${HASH}`, text: 'a film, 733 MB' };
    this.settings = { down: null, up: 1e6 };
    this.relay = { url: 'https://relay.example.org', state: /relay-gone/.test(state) ? 'gone' : query.get('relay') ?? 'connected', ping: 14, cache: { bytes: 3e6, limit: 64e6 }, transport: query.get('transport') ?? 'WebRTC', retry: 3, natives: 1204, swarms: 38 };
    this.torrents = (STATES[state]?.() ?? []).map(snapshot => new FakeTorrent(this, snapshot));
    this.ready = Promise.resolve();
  }

  changed(torrent) {
    this.dispatchEvent(Object.assign(new Event('snapshot'), { torrent }));
  }

  async add(id, options) {
    this.calls.push(['add', id, options]);
    if (typeof id === 'string' && /btih:[0-9a-f]{1,39}$/.test(id)) throw refusal('bad-magnet', 'the info-hash is too short', { expected: 40, received: id.length - 20 });
    if (typeof id === 'string' && !/^(magnet:|http)/.test(id)) throw refusal('bad-magnet', 'no info-hash in it', {});
    if (typeof id === 'string' && /btih:90aa/.test(id) && options?.relay !== 'off') throw refusal('not-allowed', 'not on the list', {});
    if (id instanceof File && !/^d/.test(await id.text())) throw refusal('bad-bencode', 'expected a dictionary at byte 0', {});
    return this.put(addingSnapshot());
  }

  async seed(files) {
    this.calls.push(['seed', [...files].map(file => file.path?.join('/') ?? file.name)]);
    return this.put(STATES.hashing()[0]);
  }

  put(snapshot) {
    const torrent = new FakeTorrent(this, snapshot);
    this.torrents = [...this.torrents, torrent];
    this.dispatchEvent(new Event('change'));
    return torrent;
  }

  configure(settings) {
    this.calls.push(['configure', settings]);
    Object.assign(this.settings, settings);
  }

  reconnect() { this.calls.push(['reconnect']); }
  async restore() { return []; }
  act(id) { this.calls.push(['act', id]); }
  probe() { return null; }
}

function refusal(code, message, details) {
  return Object.assign(new Error(message), { code, details });
}

export { FakeClient as Client };
