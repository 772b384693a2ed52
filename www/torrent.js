// One torrent as the page sees it: the latest snapshot and the commands, each a message to the engine's worker.

/** Media types by file ending, for what browsers play and show; all else is plain bytes. */
const TYPES = {
  mp4: 'video/mp4', m4v: 'video/mp4', webm: 'video/webm', mkv: 'video/x-matroska', mov: 'video/quicktime', ogv: 'video/ogg',
  mp3: 'audio/mpeg', m4a: 'audio/mp4', ogg: 'audio/ogg', opus: 'audio/ogg', flac: 'audio/flac', wav: 'audio/wav',
  jpg: 'image/jpeg', jpeg: 'image/jpeg', png: 'image/png', gif: 'image/gif', webp: 'image/webp', avif: 'image/avif',
  pdf: 'application/pdf', txt: 'text/plain; charset=utf-8', vtt: 'text/vtt', srt: 'text/plain; charset=utf-8',
};

/** How long a saved file's object URL is kept for the browser to finish reading it, in ms. */
const URL_LIFE_MS = 10 * 60 * 1000;

/** The media type of a file by its name. */
export function typeOf(name) {
  return TYPES[name.split('.').pop().toLowerCase()] ?? 'application/octet-stream';
}

/** The rejection of a command: `code` for programs, `message` one line fit for showing, `details` its numbers. */
export class TomboloError extends Error {
  constructor(code, message, details = {}) {
    super(message);
    this.name = 'TomboloError';
    this.code = code;
    this.details = details;
  }
}

/** A torrent in the client's list. */
export class Torrent {
  #ask;
  #snapshot = null;
  #maps = { map: new Uint8Array(0), counts: new Uint16Array(0), source: new Uint8Array(0) };
  #waiting = [];

  /** `ask(command, args, transfer)` sends a command about this torrent and resolves with its answer. */
  constructor(id, snapshot, ask) {
    this.id = id;
    this.#ask = ask;
    this.update(snapshot);
  }

  /** The latest data; replaced up to four times a second while something changes. */
  get snapshot() {
    return this.#snapshot;
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
    this.#snapshot = Object.assign(snapshot, this.#maps, { dirty });
    if (snapshot.files.length > 0) for (const resolve of this.#waiting.splice(0)) resolve();
  }

  /** Resolves when the metadata is known. */
  async metadata() {
    if (this.#snapshot.files.length === 0) await new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** The description of file `index`; throws when there is no such file. */
  describe(index) {
    const file = this.#snapshot.files[index];
    if (!file) throw new TomboloError('not-found', `This torrent has no file ${index}.`, { files: this.#snapshot.files.length });
    return file;
  }

  /** The address under which the service worker serves file `index`; null before the metadata, and while none serves this page. */
  fileURL(index) {
    const file = this.#snapshot.files[index];
    if (!file || !navigator.serviceWorker?.controller) return null;
    const name = encodeURIComponent(file.path[file.path.length - 1]);
    return new URL(`stream/${this.#snapshot.infoHash}/${index}/${name}`, document.baseURI).href;
  }

  /** Wants only these files, with this priority; the others are skipped. */
  select(indices, priority = 'normal') {
    return this.#ask('select', { files: [...indices], priority });
  }

  /** Gives one file a priority: high, normal, low or skip. */
  setPriority(index, priority) {
    return this.#ask('priority', { file: index, priority });
  }

  /** Stops trading. */
  pause() {
    return this.#ask('pause', {});
  }

  /** Goes on. */
  resume() {
    return this.#ask('resume', {});
  }

  /** Leaves the swarm and the list; with `files`, what was stored goes too. */
  remove({ files = false } = {}) {
    return this.#ask('remove', { files });
  }

  /** Announces to all trackers at once. */
  announce() {
    return this.#ask('announce', {});
  }

  /** Goes on with other tabs only. */
  openWithoutRelay() {
    return this.#ask('unrelay', {});
  }

  /** The .torrent file's bytes. */
  metainfo() {
    return this.#ask('metainfo', {});
  }

  /** The whole verified file `index`, from storage and without a copy. */
  async file(index) {
    await this.metadata();
    const { path } = this.describe(index);
    const blob = await this.#ask('file', { file: index });
    const name = path[path.length - 1];
    return new File([blob], name, { type: typeOf(name) });
  }

  /** Saves file `index` to the user's disk. */
  async save(index) {
    const file = await this.file(index);
    const url = URL.createObjectURL(file);
    const anchor = Object.assign(document.createElement('a'), { href: url, download: file.name, hidden: true });
    document.body.append(anchor);
    anchor.click();
    anchor.remove();
    setTimeout(() => URL.revokeObjectURL(url), URL_LIFE_MS);
  }
}
