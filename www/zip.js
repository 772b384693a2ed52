// Files of a torrent as one zip, made while it is read: stored as they are (method 0), the CRC-32 of each behind its bytes, since only
// then is it known (APPNOTE 4.3.9), and in the 64-bit form where sizes ask for it. Nothing is kept but the directory at its end.

const FLAGS = 0x0808; // a descriptor follows the bytes; names are UTF-8
const DATE = 0x21; // 1980-01-01: the same torrent gives the same zip
const UNIX = 3 << 8;
const MODE = 0o100644 * 0x10000;
const MOST_32 = 0xffffffff;
const MOST_16 = 0xffff;

/** Little-endian numbers after each other: `[bytes, value]…`. */
function record(...fields) {
  const bytes = new Uint8Array(fields.reduce((sum, [width]) => sum + width, 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const [width, value] of fields) {
    if (width === 2) view.setUint16(at, value, true);
    else if (width === 4) view.setUint32(at, value, true);
    else view.setBigUint64(at, BigInt(value), true);
    at += width;
  }
  return bytes;
}

/** `TABLES[n][byte]`: the CRC-32 of that byte with `n` zeros behind it. */
const TABLES = Array.from({ length: 4 }, () => new Uint32Array(256));
for (let byte = 0; byte < 256; byte++) {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  TABLES[0][byte] = crc;
}
for (let n = 1; n < 4; n++) TABLES[n].forEach((_, byte) => { TABLES[n][byte] = (TABLES[n - 1][byte] >>> 8) ^ TABLES[0][TABLES[n - 1][byte] & 255]; });

/** CRC-32 (ISO 3309) of what `crc` is that of, and these bytes behind it. */
export function crc32(bytes, crc = 0) {
  const [zero, one, two, three] = TABLES;
  let at = 0;
  crc = ~crc;
  for (; at < bytes.length - 3; at += 4) {
    crc ^= bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
    crc = three[crc & 255] ^ two[(crc >>> 8) & 255] ^ one[(crc >>> 16) & 255] ^ zero[crc >>> 24];
  }
  for (; at < bytes.length; at++) crc = (crc >>> 8) ^ zero[(crc ^ bytes[at]) & 255];
  return ~crc >>> 0;
}

/** A file's heads in the zip, as far as they do not depend on its bytes. */
class Entry {
  constructor({ path, length }, at) {
    this.name = new TextEncoder().encode(path);
    this.length = length;
    this.at = at;
    this.isLong = length >= MOST_32;
    this.version = this.isLong || at >= MOST_32 ? 45 : 20;
  }

  /** All its bytes in the zip before the directory. */
  get span() {
    return 30 + this.name.length + (this.isLong ? 20 : 0) + this.length + (this.isLong ? 24 : 16);
  }

  head() {
    const size = this.isLong ? MOST_32 : 0;
    const extra = this.isLong ? record([2, 1], [2, 16], [8, 0], [8, 0]) : [];
    const fixed = record([4, 0x04034b50], [2, this.version], [2, FLAGS], [2, 0], [2, 0], [2, DATE], [4, 0], [4, size], [4, size], [2, this.name.length], [2, extra.length]);
    return [fixed, this.name, extra];
  }

  descriptor() {
    const width = this.isLong ? 8 : 4;
    return record([4, 0x08074b50], [4, this.crc], [width, this.length], [width, this.length]);
  }

  /** Its line in the directory. */
  line() {
    const long = [this.isLong ? [[8, this.length], [8, this.length]] : [], this.at >= MOST_32 ? [[8, this.at]] : []].flat();
    const extra = long.length > 0 ? record([2, 1], [2, 8 * long.length], ...long) : [];
    const size = Math.min(this.length, MOST_32);
    const fixed = record([4, 0x02014b50], [2, UNIX | this.version], [2, this.version], [2, FLAGS], [2, 0], [2, 0], [2, DATE], [4, this.crc ?? 0], [4, size], [4, size],
      [2, this.name.length], [2, extra.length], [2, 0], [2, 0], [2, 0], [4, MODE], [4, Math.min(this.at, MOST_32)]);
    return [fixed, this.name, extra];
  }
}

/** What stands behind the directory. */
function end(count, size, at) {
  const last = record([4, 0x06054b50], [2, 0], [2, 0], [2, Math.min(count, MOST_16)], [2, Math.min(count, MOST_16)], [4, Math.min(size, MOST_32)], [4, Math.min(at, MOST_32)], [2, 0]);
  if (count < MOST_16 && size < MOST_32 && at < MOST_32) return [last];
  const long = record([4, 0x06064b50], [8, 44], [2, UNIX | 45], [2, 45], [4, 0], [4, 0], [8, count], [8, count], [8, size], [8, at]);
  return [long, record([4, 0x07064b50], [4, 0], [8, at + size], [4, 1]), last];
}

function joined(parts) {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/**
 * A zip of `files`, each `{path, length}`: `{length, chunks}`, its bytes as chunks in order. `read(file)` gives a file's bytes in the same way; it is
 * asked for one after the other, and never for an empty one.
 */
export function zip(files, read) {
  const entries = [];
  let at = 0;
  for (const file of files) {
    entries.push(new Entry(file, at));
    at += entries.at(-1).span;
  }
  const tail = () => {
    const lines = entries.flatMap((entry) => entry.line());
    const size = lines.reduce((sum, part) => sum + part.length, 0);
    return joined([...lines, ...end(entries.length, size, at)]);
  };
  async function* chunks() {
    for (const [index, entry] of entries.entries()) {
      yield joined(entry.head());
      entry.crc = 0;
      if (entry.length > 0) {
        for await (const chunk of read(files[index])) {
          entry.crc = crc32(chunk, entry.crc);
          yield chunk;
        }
      }
      yield entry.descriptor();
    }
    yield tail();
  }
  return { length: at + tail().length, chunks: chunks() };
}

/** The bytes of a file of the engine; `open` is given the request of a stream. */
async function* bytesOf({ torrent, index, length }, open, spares) {
  const { port1, port2 } = new MessageChannel();
  let resolve;
  port1.onmessage = ({ data }) => resolve(data);
  const answer = (request) => new Promise((settle) => {
    resolve = settle;
    request();
  });
  let left = length;
  try {
    const { found } = await answer(() => open({ torrent, file: index, port: port2 }));
    if (!found) throw new Error('the torrent was removed');
    port1.postMessage({ open: { start: 0, end: length } });
    while (left > 0) {
      const [spare] = spares;
      const { chunk, length: filled, error } = await answer(() => port1.postMessage({ pull: true, spare }, spares.splice(0)));
      if (error) throw new Error(error);
      left -= filled;
      yield new Uint8Array(chunk, 0, filled);
    }
  } finally {
    if (left > 0) port1.postMessage({ cancel: true });
    port1.close();
  }
}

/** Serves the service worker's port with a zip of files of a torrent: a chunk for each pull. */
export function serve({ torrent, name, files, port }, open) {
  /** A buffer that the service worker has done with. */
  const spares = [];
  const { length, chunks } = zip(files, (file) => bytesOf({ torrent, ...file }, open, spares));
  port.onmessage = async ({ data }) => {
    if (data.cancel) {
      port.close();
      return chunks.return();
    }
    if (!data.pull) return;
    if (data.spare) spares[0] = data.spare;
    try {
      const { value, done } = await chunks.next();
      if (!done) port.postMessage({ chunk: value.buffer, length: value.length }, [value.buffer]);
    } catch (error) {
      port.postMessage({ error: error.message });
    }
  };
  port.postMessage({ found: { length, type: 'application/zip', name } });
}
