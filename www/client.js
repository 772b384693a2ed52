// The client of the engine. Starts the worker in which everything runs, carries commands to it and what it reports back, and
// makes peer connections for it (rtc.js), since only pages can. It knows nothing of the protocol.

import { isLoopback } from './params.js';
import { Negotiator } from './rtc.js';
import { Torrent, TomboloError, wanted } from './torrent.js';

export { TorrentFile } from './file.js';
export { Torrent, TomboloError };

/** Events kept for `probe()`. */
const EVENTS_KEPT = 500;
/** How long `ready` waits for the service worker, in ms: without it everything but playing works. */
const SERVICE_WORKER_MS = 5000;
/** How often a service worker with open streams is reminded to live, in ms (browsers end idle ones after 30 s). */
const KEEP_ALIVE_MS = 20_000;
/** What the STUN servers default to away from loopback: tabs behind NAT find their outer address by one. */
const DEFAULT_ICE = 'stun:stun.cloudflare.com:3478';
const SETTINGS = 'tombolo.settings';
/** How often it is looked how much room there is, in ms. */
const LOOK_MS = 5000;
/** The longest wait before what stopped for want of room is tried again, in ms. */
const LONGEST_MS = 300_000;
/** How much room there must be before what stopped for want of it goes on, in bytes, unless less is wanted. */
const ROOM = 64 << 20;

/** The engine's client; see docs/js-api.md. */
export class Client extends EventTarget {
  #worker;
  #negotiator;
  #commands = new Map();
  #nextCommand = 1;
  #torrents = new Map();
  #probes = new Map();
  #first = Promise.withResolvers();
  #booted = Promise.withResolvers();
  #opened = null;
  /** When to try again what stopped for want of room, by torrent. */
  #tries = new Map();

  constructor(options = {}) {
    super();
    this.options = {
      relay: 'off', trackers: [], peers: [], ice: null, add: null, seed: null, play: null, serviceWorker: new URL('./sw.js', import.meta.url),
      ...options,
    };
    this.environment = { webrtc: 'RTCPeerConnection' in window, secure: window.isSecureContext, opfs: true, limit: null };
    this.quota = null;
    /** More was sent and received this month than `settings.cap`. */
    this.capped = false;
    this.demo = null;
    this.version = null;
    this.relay = { url: null, state: 'off', ping: null, cache: null, transport: null, retry: null, natives: null, swarms: null };
    this.settings = loadSettings();
    this.ready = this.#start();
    this.ready.catch(() => {});
    this.#first.promise.catch(() => {});
  }

  /** All torrents, in the order they were added. */
  get torrents() {
    return [...this.#torrents.values()];
  }

  /** Adds a torrent by magnet link, info-hash, address of a .torrent, its bytes or its file; resolves once it is listed. */
  async add(id, { signal, ...options } = {}) {
    signal?.throwIfAborted();
    const source = id instanceof Blob ? new Uint8Array(await id.arrayBuffer()) : id;
    const text = typeof source === 'string' ? source.trim() : source;
    const known = new Set(this.#torrents.keys());
    const adding = this.#ask('add', { source: text, options, at: performance.now() }).then((torrent) => this.#listed(torrent));
    if (!signal) return adding;
    const leave = () => adding.then((torrent) => known.has(torrent.id) || torrent.files.length > 0 || torrent.remove()).catch(() => {});
    return Promise.race([
      adding,
      new Promise((_, reject) => signal.addEventListener('abort', () => leave() && reject(signal.reason), { once: true })),
    ]);
  }

  /** Makes a torrent of own files and seeds it; resolves once it is listed, while it is still being hashed. */
  async seed(files, options = {}) {
    const list = [...files].map((file) => ({ file, path: file.path ?? pathOf(file) }));
    return this.#listed(await this.#ask('seed', { files: list, options, at: performance.now() }));
  }

  /** Opens file `index` of the first torrent in the player and plays it. */
  async play(index) {
    const torrent = await this.#first.promise;
    await this.playTorrent(torrent, index);
  }

  /** Opens file `index` of a torrent in `video#player` and plays it, muted if the browser would refuse otherwise. */
  async playTorrent(torrent, index) {
    await Promise.all([this.ready, torrent.metadata()]);
    const file = torrent.describe(index);
    const video = document.querySelector('video#player');
    if (file.streamURL === null) throw torrent.unplayable();
    this.dispatchEvent(Object.assign(new Event('play'), { torrent, index }));
    file.streamTo(video);
    // Paused, closed or given another film before its first frame: that is no failure.
    const begin = () => video.play().catch((error) => { if (error.name !== 'AbortError') throw error; });
    try {
      await begin();
    } catch (error) {
      if (error.name !== 'NotAllowedError') throw error;
      video.muted = true;
      await begin();
    }
  }

  /** The address of file `index` of the first torrent at the service worker, null before the metadata. */
  fileURL(index) {
    return this.torrents[0]?.fileURL(index) ?? null;
  }

  /** Numbers of the first torrent, at most 100 ms old, or null. */
  probe() {
    const [torrent] = this.#torrents.values();
    const probe = torrent && this.#probes.get(torrent.id);
    if (!probe) return null;
    const { events, ...numbers } = probe;
    // The snapshot that has the files comes with the first counters that tell of the metadata, one message before them.
    const known = probe.t.metadata === undefined ? [] : torrent.snapshot.files;
    const files = known.map(({ path, length, pad }) => ({ path, length, pad }));
    return structuredClone({
      ...numbers,
      files,
      visibility: document.visibilityState,
      version: this.version,
      events,
    });
  }

  /** Changes settings: `{down, up}` in bytes a second or null, and what else the page keeps there. */
  configure(changes) {
    this.settings = { ...this.settings, ...changes };
    saveSettings(this.settings);
    return this.#configure();
  }

  /** Uploads unless the user said no, or the browser that data is dear and the user nothing. */
  #configure() {
    const { down = null, up = null, share } = this.settings;
    return this.#ask('configure', { down, up, share: share ?? !navigator.connection?.saveData });
  }

  /** Tries to reach the relay now instead of at the next try. */
  reconnect() {
    return this.#ask('reconnect', {});
  }

  async #start() {
    const { trackers, peers } = this.options;
    const relay = this.options.relay ?? this.settings.relay ?? null;
    const loopback = isLoopback(location.hostname);
    this.#worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module', name: 'tombolo' });
    this.#worker.onmessage = ({ data }) => this.#receive(data);
    this.#worker.onerror = (event) => this.#fail(new TomboloError('engine', event.message || 'The engine could not be loaded.'));
    this.#negotiator = new Negotiator(this.#worker, this.#iceServers());
    this.#worker.postMessage({
      boot: {
        base: new URL('.', document.baseURI).href,
        timeOrigin: performance.timeOrigin,
        webrtc: this.environment.webrtc,
        trackers, relay, peers, loopback,
        extra: this.settings.trackers ?? [],
        down: this.settings.down ?? null,
        up: this.settings.up ?? null,
      },
    });
    document.addEventListener('visibilitychange', () => this.#showVisibility());
    this.#configure();
    // Another tab has changed them.
    window.addEventListener('storage', ({ key }) => {
      if (key !== SETTINGS) return;
      this.settings = loadSettings();
      this.#configure();
    });
    this.#openOptions();
    setInterval(() => this.#look(), LOOK_MS);
    await Promise.all([this.#booted.promise, this.#registerServiceWorker()]);
  }

  #iceServers() {
    const ice = this.options.ice ?? this.settings.ice ?? null;
    if (ice === 'off' || (ice === null && isLoopback(location.hostname))) return [];
    return [{ urls: ice ?? DEFAULT_ICE }];
  }

  /** Does what the options ask for. */
  #openOptions() {
    const { add, seed, play } = this.options;
    const opened = [];
    if (add !== null) opened.push(this.add(add, { named: true }));
    if (seed !== null) opened.push(this.#ask('fetchseed', { ...seed, at: performance.now() }).then((id) => this.#listed(id)));
    for (const promise of opened) promise.catch((error) => this.#refused(error));
    this.#opened = Promise.allSettled(opened);
    if (play !== null) this.play(play).catch((error) => this.#refused(error));
  }

  #refused(error) {
    this.#first.reject(error);
    this.dispatchEvent(Object.assign(new Event('notice'), { error }));
  }

  async #registerServiceWorker() {
    const container = navigator.serviceWorker;
    if (!container || !this.options.serviceWorker) return;
    container.addEventListener('message', ({ data, ports }) => data?.stream && this.#stream(data.stream, ports[0]));
    const controlled = new Promise((resolve) => {
      if (container.controller) resolve();
      else container.addEventListener('controllerchange', resolve, { once: true });
      setTimeout(resolve, SERVICE_WORKER_MS);
    });
    try {
      await container.register(this.options.serviceWorker);
      const registration = await Promise.race([container.ready, controlled.then(() => null)]);
      if (!container.controller) registration?.active?.postMessage('claim');
      await controlled;
    } catch (error) {
      console.warn('No service worker: files cannot be played while they arrive.', error);
    }
  }

  /** A service worker asks for a file: hand its port to the engine, and keep it alive while it reads. */
  #stream({ infoHash, file, files }, port) {
    const torrent = this.torrents.find(({ snapshot }) => snapshot.infoHash === infoHash);
    if (torrent && file === 'zip') this.#zip(torrent, files, port);
    else if (torrent?.files[file]) this.#read(torrent, file, port);
    else port.postMessage({ found: null });
  }

  #zip(torrent, named, port) {
    const { name, files: all } = torrent.snapshot;
    const files = (named ? named.split('.').map((index) => all[index]) : wanted(all)).filter(Boolean);
    const zip = { torrent: torrent.id, name: `${name}.zip`, files: files.map(({ index, path, length }) => ({ index, path: path.join('/'), length })), port };
    this.#worker.postMessage({ zip }, [port]);
  }

  #read(torrent, index, port) {
    const { name, type, rate } = torrent.files[index];
    this.#worker.postMessage({ stream: { torrent: torrent.id, file: index, type, name, rate, port } }, [port]);
  }

  /** Puts the torrents that this browser keeps back on the list, behind those that the address names. */
  async restore() {
    await this.#opened;
    const root = await navigator.storage?.getDirectory?.().catch(() => null);
    const kept = [];
    for await (const folder of root?.values() ?? []) {
      if (folder.kind !== 'directory') continue;
      const file = await folder.getFileHandle('remembered').then((handle) => handle.getFile(), () => null);
      if (file?.size > 1) kept.push(file);
    }
    kept.sort((a, b) => a.lastModified - b.lastModified);
    return Promise.all(kept.map(async (file) => {
      const text = await file.text();
      return this.add(text.slice(1), { paused: text[0] === '1' });
    }));
  }

  /**
   * Looks how much room there is: `quota` says it, and how much is still wanted. What stopped for want of room goes on when there is some,
   * and what the user lets this page send and receive in a month is counted.
   */
  async #look() {
    const own = this.torrents.filter(({ snapshot }) => !snapshot.follows);
    if (this.settings.cap) (await import('./cap.js')).count(this, own.map(({ id }) => [id, this.#probes.get(id)]));
    const { usage, quota } = (await navigator.storage?.estimate?.().catch(() => null)) ?? {};
    if (!quota) return;
    const left = ({ snapshot }) => (snapshot.kept && !snapshot.own ? snapshot.wanted - snapshot.haveWanted : 0);
    this.quota = { usage, quota, wanted: this.torrents.reduce((sum, torrent) => sum + left(torrent), 0) };
    for (const torrent of own) {
      const full = torrent.snapshot.notices.some(({ code }) => code === 'quota');
      const { wait = LOOK_MS, at = 0 } = this.#tries.get(torrent.id) ?? {};
      if (!full || quota - usage < Math.min(left(torrent), ROOM) || performance.now() < at) continue;
      // Later each time: browsers may say that there is more than they then give.
      this.#tries.set(torrent.id, { wait: Math.min(2 * wait, LONGEST_MS), at: performance.now() + wait });
      torrent.resume();
    }
  }

  #keepAlive(streams) {
    clearInterval(this.keeper);
    if (streams > 0) this.keeper = setInterval(() => navigator.serviceWorker.controller?.postMessage('alive'), KEEP_ALIVE_MS);
  }

  #showVisibility() {
    this.#worker.postMessage({ visible: document.visibilityState === 'visible' });
  }

  #ask(command, args, transfer = []) {
    const id = this.#nextCommand++;
    const { promise, resolve, reject } = Promise.withResolvers();
    this.#commands.set(id, { resolve, reject });
    this.#worker.postMessage({ command, id, ...args }, transfer);
    return promise;
  }

  #fail(error) {
    this.#booted.reject(error);
    for (const { reject } of this.#commands.values()) reject(error);
    this.#commands.clear();
    this.dispatchEvent(Object.assign(new Event('notice'), { error }));
  }

  #receive(data) {
    if (data.rtc) this.#negotiator.handle(data);
    else if (data.probe) this.#takeProbe(data.probe);
    else if (data.snapshot) this.#takeSnapshot(data);
    else if (data.answer) this.#answer(data);
    else if (data.relay) this.#takeRelay(data.relay);
    else if (data.removed) this.#forget(Number(data.removed));
    else if (data.streams !== undefined) this.#keepAlive(Number(data.streams));
    else if (data.booted) this.#boot(data.booted);
    else if (data.failed) this.#fail(new TomboloError('engine', data.failed));
  }

  #boot({ version, opfs, limit }) {
    this.version = version;
    Object.assign(this.environment, { opfs, limit });
    this.#showVisibility();
    this.#look();
    this.#booted.resolve();
    this.dispatchEvent(new Event('change'));
  }

  #answer({ answer, value, error }) {
    const command = this.#commands.get(answer);
    this.#commands.delete(answer);
    if (error) command?.reject(new TomboloError(error.code, error.message, error.details));
    else command?.resolve(value);
  }

  #takeProbe(text) {
    const { torrent, events, ...numbers } = JSON.parse(text);
    const kept = this.#probes.get(torrent)?.events ?? [];
    kept.push(...events);
    if (kept.length > EVENTS_KEPT) kept.splice(0, kept.length - EVENTS_KEPT);
    this.#probes.set(torrent, { ...numbers, events: kept });
  }

  #takeSnapshot({ snapshot: text, changes }) {
    const { torrent: id, ...snapshot } = JSON.parse(text);
    snapshot.version = this.version;
    this.#warn(snapshot);
    const known = this.#torrents.get(id);
    if (known) known.update(snapshot, changes);
    const torrent = known ?? this.#list(id, snapshot, changes);
    this.dispatchEvent(Object.assign(new Event('snapshot'), { torrent }));
  }

  /** Notices that only all torrents together give cause for. */
  #warn({ phase, notices }) {
    const { usage, quota, wanted } = this.quota ?? {};
    const short = wanted - (quota - usage);
    if (phase === 'downloading' && short > 0) notices.push({ code: 'quota-soon', details: { room: quota - usage, wanted } });
    if (this.capped) notices.push({ code: 'cap', details: { cap: this.settings.cap } });
  }

  #list(id, snapshot, changes) {
    const torrent = new Torrent(id, snapshot, {
      ask: (command, args) => this.#ask(command, { torrent: id, ...args }),
      read: (index, port) => this.#read(torrent, index, port),
    });
    if (changes) torrent.update(snapshot, changes);
    torrent.play = (index) => this.playTorrent(torrent, index);
    this.#torrents.set(id, torrent);
    this.#first.resolve(torrent);
    this.dispatchEvent(new Event('change'));
    return torrent;
  }

  #listed(id) {
    return this.#torrents.get(id);
  }

  #forget(id) {
    this.#torrents.get(id)?.dispatchEvent(new Event('remove'));
    this.#torrents.delete(id);
    this.#probes.delete(id);
    this.#tries.clear();
    this.#look();
    this.dispatchEvent(new Event('change'));
  }

  #takeRelay(text) {
    Object.assign(this.relay, JSON.parse(text));
    this.dispatchEvent(new Event('change'));
  }
}

function pathOf(file) {
  return (file.webkitRelativePath || file.name).split('/').filter((part) => part !== '');
}

function loadSettings() {
  try {
    return { down: null, up: null, ...JSON.parse(localStorage.getItem(SETTINGS) ?? '{}') };
  } catch {
    return { down: null, up: null };
  }
}

function saveSettings(settings) {
  try {
    localStorage.setItem(SETTINGS, JSON.stringify(settings));
  } catch {
    // A page that may not keep settings still has them until it is closed.
  }
}
