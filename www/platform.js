// What the engine needs of the browser where the browser's own interface is simplest to use from here. Mechanism only.

import { sha1 as sha1InWasm } from './pkg/tombolo_web.js';

/** Reads `url` whole; rejects over `limit` bytes. `init` as fetch takes it. */
export async function fetchBytes(url, limit, init = {}) {
  const response = await fetch(url, { ...init, credentials: 'omit', referrerPolicy: 'no-referrer' });
  const chunks = [];
  let length = 0;
  const reader = response.body?.getReader();
  for (let part; reader && !(part = await reader.read()).done; ) {
    length += part.value.length;
    if (length > limit) {
      reader.cancel();
      throw new Error(`more than ${limit} bytes`);
    }
    chunks.push(part.value);
  }
  return { status: response.status, bytes: new Uint8Array(await new Blob(chunks).arrayBuffer()) };
}

/** Fetches `url` into a blob, which the browser keeps out of memory when it is large; `progress` is told 0…1 where known. */
export async function fetchBlob(url, progress) {
  const response = await fetch(url, { credentials: 'omit', referrerPolicy: 'no-referrer' });
  if (!response.ok) throw new Error(`the server answered ${response.status}`);
  const total = Number(response.headers.get('content-length')) || null;
  let read = 0;
  const counted = new TransformStream({
    transform(chunk, controller) {
      read += chunk.length;
      if (total) progress(Math.min(read / total, 1));
      controller.enqueue(chunk);
    },
  });
  return new Response(response.body.pipeThrough(counted)).blob();
}

/**
 * The folder of a torrent: `{folder, release, remove}`, once no other tab has it; `wait()` is called if one has. Null where nothing can be
 * kept, and when `signal` ends the waiting.
 */
export async function claimFolder(infoHash, wait, signal) {
  const root = await navigator.storage?.getDirectory?.().catch(() => null);
  if (!root || !('createSyncAccessHandle' in FileSystemFileHandle.prototype)) return null;
  const name = `tombolo ${infoHash}`;
  let release = await lock(name, AbortSignal.timeout(RELOAD_MS));
  if (!release) {
    wait();
    release = await lock(name, signal);
    if (!release) return null;
  }
  const folder = await root.getDirectoryHandle(infoHash, { create: true });
  return { folder, release, remove: () => root.removeEntry(infoHash, { recursive: true }) };
}

/** How long a reloaded tab may take to let go of its folders, in ms. */
const RELOAD_MS = 300;

/** Bodies that stay open to one origin: a browser keeps six connections to a host, for all its tabs. */
const DOWNS = 3;

/** Claims one of the bodies that may stay open; resolves with what gives it back, null where there is none. */
export async function claimDown() {
  for (let n = 0; navigator.locks && n < DOWNS; n++) {
    const release = await lock(`tombolo down ${n}`, null);
    if (release) return release;
  }
  return null;
}

/**
 * Reads `url` as it comes, or a range of `length` bytes of it: `chunk(bytes)` for each part, then `end(status, retry)`, with the seconds
 * after which the server wants to be asked again. Returns what stops it.
 */
export function readBody(url, chunk, end, start, length = Infinity) {
  const stop = new AbortController();
  const { signal } = stop;
  let status = 0;
  let retry = NaN;
  const read = async () => {
    const headers = start >= 0 ? { range: `bytes=${start}-${start + length - 1}` } : {};
    const response = await fetch(url, { credentials: 'omit', referrerPolicy: 'no-referrer', cache: 'no-store', signal, headers });
    status = start > 0 && response.status === 200 ? 416 : response.status;
    if (status >= 300) {
      // BEP 17: the body of a 503 is that number.
      const busy = status === 503 && response.headers.get('content-length') < 9;
      retry = parseInt(response.headers.get('retry-after') ?? (busy && (await response.text())));
      return;
    }
    const next = readerOf(response.body);
    for (let part; length > 0 && !(part = await next()).done; length -= part.value.length) chunk(part.value.subarray(0, length));
  };
  read().catch(() => {}).then(() => {
    if (!signal.aborted) end(status, retry);
    stop.abort();
  });
  return () => stop.abort();
}

/** How much of a body is read at once, in bytes. */
const READ = 256 << 10;

/** What reads a body, part after part: into one buffer where the browser can, since thousands of them wait long for the garbage collector. */
function readerOf(body) {
  try {
    const reader = body.getReader({ mode: 'byob' });
    let buffer = new ArrayBuffer(READ);
    return async () => {
      const part = await reader.read(new Uint8Array(buffer));
      buffer = part.value?.buffer;
      return part;
    };
  } catch {
    const reader = body.getReader();
    return () => reader.read();
  }
}

/** Takes a lock until `release` is called or the tab ends; null if that is not to be before `signal`, without one at once. */
function lock(name, signal) {
  return new Promise((resolve) => {
    const options = signal === null ? { ifAvailable: true } : { signal };
    const hold = (held) => (held ? new Promise((release) => resolve(release)) : resolve(null));
    navigator.locks.request(name, options, hold).catch(() => resolve(null));
  });
}

/** Writes a small file whole. */
export async function writeBytes(folder, name, bytes) {
  const copy = bytes.slice(); // what comes from wasm is a view of its memory
  const access = await openAccess(folder, name);
  try {
    access.truncate(0);
    access.write(copy, { at: 0 });
    access.flush();
  } finally {
    access.close();
  }
}

/** The bytes of a small file, null when it is not there. */
export async function readBytes(folder, name) {
  try {
    const file = await (await folder.getFileHandle(name)).getFile();
    return new Uint8Array(await file.arrayBuffer());
  } catch {
    return null;
  }
}

/** How often, and how long apart in ms, a file is tried that a tab which was just closed still has open. */
const OPEN_TRIES = 40;
const OPEN_MS = 50;

/** Opens a stored file for reading and writing, made if need be. */
export async function openAccess(folder, name) {
  const file = await folder.getFileHandle(name, { create: true });
  for (let tries = OPEN_TRIES; ; tries--) {
    try {
      return await file.createSyncAccessHandle();
    } catch (error) {
      if (error.name !== 'NoModificationAllowedError' || tries === 0) throw error;
      await new Promise((resolve) => setTimeout(resolve, OPEN_MS));
    }
  }
}

/** A stored file as a File, without a copy. */
export async function openFile(folder, name) {
  return (await folder.getFileHandle(name)).getFile();
}

/** The names in a folder. */
export async function listNames(folder) {
  return Array.fromAsync(folder.keys());
}

/** Whether this origin has files that can be written at once: not on insecure pages, nor in some private windows. */
export async function hasStorage() {
  const root = await navigator.storage?.getDirectory?.().catch(() => null);
  return Boolean(root) && 'createSyncAccessHandle' in FileSystemFileHandle.prototype;
}

/** Writes bytes of an open stored file; gives how many. */
export const writeAt = (access, bytes, at) => access.write(bytes, { at });

/** Reads bytes of an open stored file; gives how many. */
export const readAt = (access, bytes, at) => access.read(bytes, { at });

/** One blob of several, copying nothing. */
export const joinBlobs = (parts) => new Blob(parts);

/** SHA-1 by the browser, which is faster, or in wasm where the page is not secure. */
async function sha1(bytes) {
  return crypto.subtle ? new Uint8Array(await crypto.subtle.digest('SHA-1', bytes)) : sha1InWasm(bytes);
}

/** How much of a blob is read at a time when it is hashed, in bytes. */
const HASH_CHUNK = 4 << 20;

/** The SHA-1 of each piece of a blob, one after the other; the next chunk is read while one is hashed. */
export async function hashBlob(blob, pieceLength, progress) {
  const step = Math.max(pieceLength, Math.floor(HASH_CHUNK / pieceLength) * pieceLength);
  const hashes = new Uint8Array(Math.ceil(blob.size / pieceLength) * 20);
  const read = (at) => (at < blob.size ? blob.slice(at, at + step).arrayBuffer() : null);
  let next = read(0);
  for (let at = 0; at < blob.size; at += step) {
    const chunk = new Uint8Array(await next);
    next = read(at + step);
    const jobs = [];
    for (let begin = 0; begin < chunk.length; begin += pieceLength) {
      const place = ((at + begin) / pieceLength) * 20;
      jobs.push(sha1(chunk.subarray(begin, begin + pieceLength)).then((hash) => hashes.set(hash, place)));
    }
    await Promise.all(jobs);
    progress(Math.min((at + step) / blob.size, 1));
  }
  return hashes;
}
