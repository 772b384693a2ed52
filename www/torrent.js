// One torrent as the page sees it: the latest snapshot, events made of what changed, and the commands, each a message to the
// engine's worker.

import { TorrentFile } from './file.js';

/** How long a saved file's object URL is kept for the browser to finish reading it, in ms. */
const URL_LIFE_MS = 10 * 60 * 1000;

/** How long a frame in which a download began is kept for the browser to take it over, in ms. */
const FRAME_LIFE_MS = 60_000;

/** Downloads what the service worker serves at `url`. In a frame: a link with `download` would go past the service worker. */
function download(url) {
  const frame = Object.assign(document.createElement('iframe'), { hidden: true, src: url });
  document.body.append(frame);
  setTimeout(() => frame.remove(), FRAME_LIFE_MS);
}

/** The files that are wanted and hold something of the user's. */
export const wanted = (files) => files.filter(({ pad, priority }) => !pad && priority !== 'skip');

/** The rejection of a command: `code` for programs, `message` one line fit for showing, `details` its numbers. */
export class TomboloError extends Error {
  constructor(code, message, details = {}) {
    super(message);
    this.name = 'TomboloError';
    this.code = code;
    this.details = details;
  }
}

/** A torrent in the client's list. Events: `snapshot`, `metadata`, `ready`, `download`, `upload`, `peer`, `phase`, `done`, `error`, `remove`. */
export class Torrent extends EventTarget {
  #engine;
  #snapshot;
  #maps = { map: new Uint8Array(0), counts: new Uint16Array(0), source: new Uint8Array(0) };
  #ready = false;

  /** `engine.ask(command, args)` sends a command about this torrent and resolves with its answer, `engine.read` a port to read by. */
  constructor(id, snapshot, engine) {
    super();
    this.id = id;
    this.#engine = engine;
    this.update(snapshot);
  }

  /** The latest data; replaced up to four times a second while something changes. */
  get snapshot() {
    return this.#snapshot;
  }

  /** Its files, none before the metadata; always the same objects. */
  files = [];

  /** Who it is connected with. */
  get peers() {
    return this.#snapshot.peers;
  }

  /** Where it is announced. */
  get trackers() {
    return this.#snapshot.trackers;
  }

  get infoHash() {
    return this.#snapshot.infoHash;
  }

  get name() {
    return this.#snapshot.name;
  }

  /** What it is doing: `adding`, `checking`, `hashing`, `downloading`, `done`, `paused` or `error`. */
  get phase() {
    return this.#snapshot.phase;
  }

  /** The part of what is wanted that is verified, 0 to 1. */
  get progress() {
    const { haveWanted, wanted } = this.#snapshot;
    return wanted > 0 ? haveWanted / wanted : Number(this.phase === 'done');
  }

  /** The magnet link that leads others here. */
  get magnet() {
    return this.#snapshot.magnet;
  }

  /** Takes a new snapshot and the changed parts of the per-piece arrays; these stay the same arrays. */
  update(snapshot, changes = null) {
    if (this.#maps.map.length !== snapshot.pieces) {
      const n = snapshot.pieces;
      this.#maps = { map: new Uint8Array(n), counts: new Uint16Array(n), source: new Uint8Array(n) };
    }
    for (const key of changes ? ['map', 'counts', 'source'] : []) this.#maps[key].set(changes[key], changes.from);
    const dirty = changes ? [changes.from, changes.from + changes.map.length] : null;
    const before = this.#snapshot;
    this.#snapshot = Object.assign(snapshot, this.#maps, { dirty });
    this.#tell(before, snapshot);
  }

  /** Tells listeners what is different. */
  #tell(before, now) {
    const tell = (type, fields) => this.dispatchEvent(Object.assign(new Event(type), fields));
    if (this.files.length < now.files.length) {
      this.files = now.files.map((_, index) => new TorrentFile(this, index));
      tell('metadata');
    }
    if (!this.#ready && ['downloading', 'done', 'paused'].includes(now.phase) && now.files.length > 0) {
      this.#ready = true;
      tell('ready');
    }
    const received = now.received - (before?.received ?? 0), uploaded = now.uploaded - (before?.uploaded ?? 0);
    if (received > 0) tell('download', { bytes: received });
    if (uploaded > 0) tell('upload', { bytes: uploaded });
    const known = new Set(before?.peers.map(({ link }) => link));
    for (const peer of now.peers) if (!known.has(peer.link)) tell('peer', { peer });
    if (before?.phase !== now.phase) {
      tell('phase', { phase: now.phase });
      if (now.phase === 'done') tell('done');
      if (now.phase === 'error') tell('error', { error: failureOf(now) });
    }
    tell('snapshot');
  }

  /** Resolves with the next event of this type; rejects when the torrent is removed. */
  next(type) {
    const over = new AbortController();
    const on = (name, listener) => this.addEventListener(name, listener, { signal: over.signal });
    const event = new Promise((resolve, reject) => {
      on(type, resolve);
      on('remove', () => reject(new TomboloError('not-found', 'The torrent was removed.')));
    });
    return event.finally(() => over.abort());
  }

  /** Resolves when the metadata is known. */
  async metadata() {
    if (this.files.length === 0) await this.next('metadata');
  }

  /** File `index`; throws when there is no such file. */
  describe(index) {
    const file = this.files[index];
    if (!file) throw new TomboloError('not-found', `This torrent has no file ${index}.`, { files: this.files.length });
    return file;
  }

  /** The address under which the service worker serves file `index`; null before the metadata, and while none serves this page. */
  fileURL(index) {
    const file = this.files[index];
    if (!file || !navigator.serviceWorker?.controller) return null;
    return new URL(`stream/${this.infoHash}/${index}/${encodeURIComponent(file.name)}`, document.baseURI).href;
  }

  /** Why nothing can be played where there is no service worker. */
  unplayable() {
    return new TomboloError('insecure', 'This needs a secure page with a service worker: open the https address, or localhost.');
  }

  /** Hands the engine a port by which file `index` is read. */
  read(index, port) {
    this.#engine.read(index, port);
  }

  /** A player of file `index` plays `rate` bytes a second and could go on for so many seconds with what it has read. */
  pace(index, rate, buffered) {
    this.#engine.ask('pace', { file: index, rate, buffered }).catch(() => {});
  }

  /** The address of one zip of files, of all that are wanted if none are named; null like a file's. It is made as it is read. */
  zipURL(indices = null) {
    const { infoHash, name, files } = this.#snapshot;
    if (files.length === 0 || !navigator.serviceWorker?.controller) return null;
    const query = indices ? `?files=${[...indices].join('.')}` : '';
    return new URL(`stream/${infoHash}/zip/${encodeURIComponent(name)}.zip${query}`, document.baseURI).href;
  }

  /** Wants only these files, with this priority; the others are skipped. */
  select(indices, priority = 'normal') {
    return this.#engine.ask('select', { files: [...indices], priority });
  }

  /** Gives one file a priority: high, normal, low or skip. */
  setPriority(index, priority) {
    return this.#engine.ask('priority', { file: index, priority });
  }

  /** What follows byte `start` of file `index` is needed from now on, `rate` bytes a second; null = as fast as a usual film. */
  setDeadline(index, start, rate = null) {
    return this.#engine.ask('deadline', { file: index, start, rate });
  }

  /** This torrent's limits in bytes a second beside those of the client; null = none. */
  limit({ down = null, up = null }) {
    return this.#engine.ask('limit', { down, up });
  }

  /** Stops trading. */
  pause() {
    return this.#engine.ask('pause', {});
  }

  /** Goes on. */
  resume() {
    return this.#engine.ask('resume', {});
  }

  /** Leaves the swarm and the list; with `files`, what was stored goes too. */
  remove({ files = false } = {}) {
    return this.#engine.ask('remove', { files });
  }

  /** Announces to all trackers at once. */
  announce() {
    return this.#engine.ask('announce', {});
  }

  /** Goes on with other tabs only. */
  openWithoutRelay() {
    return this.#engine.ask('unrelay', {});
  }

  /** The .torrent file's bytes. */
  metainfo() {
    return this.#engine.ask('metainfo', {});
  }

  /** Which pieces the peer of a link has, a byte each; null where that is not known. */
  piecesOf(link) {
    return this.#engine.ask('pieces', { link });
  }

  /** The whole verified file `index`, from storage and without a copy. */
  async file(index) {
    await this.metadata();
    const { name, type } = this.describe(index);
    return new File([await this.#engine.ask('file', { file: index })], name, { type });
  }

  /** Saves file `index` to the user's disk: from storage if it is whole, else as it arrives. */
  async save(index) {
    await this.metadata();
    let file;
    try {
      file = await this.file(index);
    } catch (error) {
      const url = this.fileURL(index);
      if (error.code !== 'incomplete' || !url) throw error;
      return download(`${url}?save`);
    }
    const blob = URL.createObjectURL(file);
    const anchor = Object.assign(document.createElement('a'), { href: blob, download: file.name, hidden: true });
    document.body.append(anchor);
    anchor.click();
    anchor.remove();
    setTimeout(() => URL.revokeObjectURL(blob), URL_LIFE_MS);
  }

  /** Saves files as one zip, all that are wanted if none are named. */
  async saveZip(indices = null) {
    await this.metadata();
    const url = this.zipURL(indices);
    if (url === null) throw this.unplayable();
    download(url);
  }

  /** Writes file `index` where the user says, by the file-system picker; resolves when it is written. `{signal}` gives up. */
  async saveAs(index, options) {
    return (await import('./save.js')).saveFile(this, index, options);
  }

  /** Writes files, all that are wanted if none are named, into a folder that the user picks. */
  async saveTo(indices = null, options) {
    const files = indices ?? wanted(this.#snapshot.files).map(({ index }) => index);
    return (await import('./save.js')).saveFolder(this, files, options);
  }
}

/** What made a torrent stop, as the engine says it. */
function failureOf({ steps }) {
  const { title } = steps.find(({ key }) => key === 'problem')?.details ?? {};
  return new TomboloError('storage', title ?? 'The torrent stopped.');
}
