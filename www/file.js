// One file of a torrent: what is known of it, and the ways to its bytes.

/** Media types by file ending, for what browsers play and show; all else is plain bytes. */
const TYPES = {
  mp4: 'video/mp4', m4v: 'video/mp4', webm: 'video/webm', mkv: 'video/x-matroska', mov: 'video/quicktime', ogv: 'video/ogg',
  mp3: 'audio/mpeg', m4a: 'audio/mp4', ogg: 'audio/ogg', opus: 'audio/ogg', flac: 'audio/flac', wav: 'audio/wav',
  jpg: 'image/jpeg', jpeg: 'image/jpeg', png: 'image/png', gif: 'image/gif', webp: 'image/webp', avif: 'image/avif',
  pdf: 'application/pdf', txt: 'text/plain; charset=utf-8', vtt: 'text/vtt', srt: 'text/plain; charset=utf-8',
};

/** How often the engine is told how a player fares, in ms. */
const PACE_MS = 1000;

/** A file of a torrent; what it tells is as new as the torrent's snapshot. */
export class TorrentFile {
  #torrent;
  #element = null;
  #paced = 0;

  constructor(torrent, index) {
    this.#torrent = torrent;
    this.index = index;
  }

  get #data() {
    return this.#torrent.snapshot.files[this.index];
  }

  /** The elements of its path, the torrent's name first where that is a folder. */
  get path() {
    return this.#data.path;
  }

  get name() {
    return this.path.at(-1);
  }

  get length() {
    return this.#data.length;
  }

  /** Its media type, by its name. */
  get type() {
    return TYPES[this.name.split('.').pop().toLowerCase()] ?? 'application/octet-stream';
  }

  /** Verified bytes. */
  get downloaded() {
    return this.#data.done;
  }

  /** 0 to 1. */
  get progress() {
    return this.length > 0 ? this.downloaded / this.length : 1;
  }

  get done() {
    return this.downloaded === this.length;
  }

  /** `high`, `normal`, `low` or `skip`. */
  get priority() {
    return this.#data.priority;
  }

  /** Where the service worker serves it; null while none serves this page. */
  get streamURL() {
    return this.#torrent.fileURL(this.index);
  }

  /** How fast it is being played, in bytes a second; null where that is not known. */
  get rate() {
    const { src, duration, playbackRate } = this.#element ?? {};
    return src === this.streamURL && duration > 0 && duration < Infinity ? this.length / duration * playbackRate : null;
  }

  /** Wants it, with this priority. */
  select(priority = 'normal') {
    return this.#torrent.setPriority(this.index, priority);
  }

  /** Wants it no more; what came of it stays. */
  deselect() {
    return this.select('skip');
  }

  /** Fetches what follows byte `start` in order, as needed by who reads from now on `rate` bytes a second. */
  setDeadline(start = 0, { rate = null } = {}) {
    return this.#torrent.setDeadline(this.index, start, rate);
  }

  /** Tells the engine how its player fares, once a second and at each seek: what must come soon, and what peers may bring. */
  #pace = ({ type, target }) => {
    const { rate } = this;
    const now = performance.now();
    if (rate === null || (type !== 'seeking' && now - this.#paced < PACE_MS)) return;
    this.#paced = now;
    const { buffered: ranges, currentTime: at, playbackRate } = target;
    let buffered = 0;
    for (let n = 0; n < ranges.length; n++) if (ranges.start(n) <= at && at < ranges.end(n)) buffered = (ranges.end(n) - at) / playbackRate;
    this.#torrent.pace(this.index, rate, buffered);
  };

  /** Shows it in a `<video>`, `<audio>` or other element with `src`, as it arrives. */
  streamTo(element) {
    const url = this.streamURL;
    if (url === null) throw this.#torrent.unplayable();
    this.#element = element;
    for (const event of ['timeupdate', 'progress', 'seeking']) element.addEventListener(event, this.#pace);
    element.src = url;
    return element;
  }

  /** Its bytes, or those of `[start, end)`, as they arrive; what is not read is not hurried for. */
  stream({ start = 0, end = this.length } = {}) {
    let left = Math.min(end, this.length) - start;
    if (left > 0 && this.#torrent.snapshot.follows && this.streamURL) return this.#elsewhere(start, end);
    const { port1: port, port2 } = new MessageChannel();
    let arrived;
    return new ReadableStream({
      start: (controller) => {
        if (left <= 0) return controller.close();
        port.onmessage = ({ data: { found, error, chunk } }) => {
          if (found) return;
          if (chunk) {
            controller.enqueue(new Uint8Array(chunk));
            left -= chunk.byteLength;
            if (left === 0) controller.close();
          } else controller.error(new Error(error ?? 'The torrent is gone.'));
          if (left === 0 || !chunk) port.close();
          arrived?.();
        };
        this.#torrent.read(this.index, port2);
        port.postMessage({ open: { start, end } });
      },
      pull: () => {
        port.postMessage({ pull: true });
        return new Promise((resolve) => { arrived = resolve; });
      },
      cancel: () => {
        port.postMessage({ cancel: true });
        port.close();
      },
    }, { highWaterMark: 0 });
  }

  /** The same while another tab has the engine: the service worker knows it. */
  #elsewhere(start, end) {
    const { readable, writable } = new TransformStream();
    fetch(this.streamURL, { headers: { range: `bytes=${start}-${end - 1}` } }).then((response) => {
      if (!response.ok) throw new Error(`The file cannot be read: ${response.status}.`);
      return response.body.pipeTo(writable);
    }).catch((error) => writable.abort(error).catch(() => {}));
    return readable;
  }

  /** The whole file once it is there, from storage and without a copy; wants it if it was not wanted. */
  async blob() {
    if (this.priority === 'skip') await this.select();
    while (!this.done) await this.#torrent.next('snapshot');
    return this.#torrent.file(this.index);
  }

  /** Saves it to the user's disk. */
  save() {
    return this.#torrent.save(this.index);
  }
}
