// The service worker: lets <video>, downloads and fetch read a torrent's files by URL while they are still arriving.
// It holds nothing: each request finds a page that has the torrent, gets a MessagePort to that page's engine, and pulls one
// chunk for each one consumed. Losing this worker between requests loses nothing.

/** How long a page may take to say whether it has the torrent, in ms. */
const ASK_MS = 3000;
/** Ranges of one request that are answered. */
const MAX_RANGES = 16;
const PATH = /\/stream\/([0-9a-f]{40})\/(\d+)(\/|$)/;

self.addEventListener('install', () => self.skipWaiting());
self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));
self.addEventListener('message', (event) => {
  if (event.data === 'claim') event.waitUntil(self.clients.claim());
});

self.addEventListener('fetch', (event) => {
  const url = new URL(event.request.url);
  const match = url.origin === self.location.origin && PATH.exec(url.pathname);
  if (!match || !['GET', 'HEAD'].includes(event.request.method)) return;
  event.respondWith(respond(event, { infoHash: match[1], file: Number(match[2]) }));
});

const plain = (status, text, headers = {}) =>
  new Response(text, { status, headers: { 'Content-Type': 'text/plain; charset=utf-8', ...headers } });

async function respond(event, wanted) {
  const source = await find(event.clientId, wanted);
  if (!source) return plain(404, 'No open page has this file.');
  const { port, length, type, name } = source;
  const { method, headers: asked } = event.request;
  const tag = `"${wanted.infoHash}-${wanted.file}"`;
  const headers = {
    'Accept-Ranges': 'bytes',
    'Content-Type': type,
    'Content-Disposition': `inline; filename*=UTF-8''${encodeURIComponent(name)}`,
    'Cache-Control': 'no-store',
    ETag: tag,
    'X-Content-Type-Options': 'nosniff',
    'Content-Security-Policy': "sandbox; default-src 'none'; media-src 'self'; img-src 'self'; style-src 'unsafe-inline'",
  };
  // A range counts with GET alone, and with If-Range only for the file that was meant (RFC 9110, 13.1.5 and 14.2).
  const counts = method === 'GET' && [tag, null].includes(asked.get('if-range'));
  const ranges = (counts && rangesOf(asked.get('range'), length)) || null;
  if (ranges?.length === 0) {
    port.postMessage({ cancel: true });
    return plain(416, 'No such range.', { 'Content-Range': `bytes */${length}` });
  }
  let parts = [{ head: '', range: ranges?.[0] ?? [0, length] }];
  if (ranges?.length === 1) headers['Content-Range'] = contentRange(ranges[0], length);
  if (ranges?.length > 1) {
    const boundary = `tombolo-${crypto.randomUUID()}`;
    parts = multipart(ranges, boundary, type, length);
    headers['Content-Type'] = `multipart/byteranges; boundary=${boundary}`;
  }
  const size = parts.reduce((sum, { head, range: [start, end] }) => sum + head.length + end - start, 0);
  headers['Content-Length'] = String(size);
  const init = { status: ranges ? 206 : 200, headers };
  if (method === 'HEAD' || size === 0) {
    port.postMessage({ cancel: true });
    return new Response(null, init);
  }
  return new Response(body(source, parts, () => ask(source.page, wanted)), init);
}

const contentRange = ([start, end], length) => `bytes ${start}-${end - 1}/${length}`;

/** The parts of an answer with several ranges (RFC 9110, 14.6), each what stands before it and its range; the last is an end alone. */
function multipart(ranges, boundary, type, length) {
  const parts = ranges.map((range) => ({
    head: `\r\n--${boundary}\r\nContent-Type: ${type}\r\nContent-Range: ${contentRange(range, length)}\r\n\r\n`,
    range,
  }));
  return [...parts, { head: `\r\n--${boundary}--\r\n`, range: [0, 0] }];
}

/**
 * A Range header → the list of [start, end) that the file has, empty when it has none of them; undefined when the header does not
 * count: it is no list of byte ranges, or one of so many that it could only be meant to cost us (RFC 9110, 14.2).
 */
function rangesOf(header, length) {
  const list = header && /^bytes=(.*)$/i.exec(header.trim())?.[1].split(',');
  if (!list || list.length > MAX_RANGES) return undefined;
  const ranges = list.map((text) => rangeOf(text.trim(), length));
  return ranges.includes(undefined) ? undefined : ranges.filter((range) => range !== null);
}

/** One range → [start, end), null when the file does not reach so far, undefined when it is none. */
function rangeOf(text, length) {
  const [, first, last] = /^(\d*)-(\d*)$/.exec(text) ?? [];
  if (first === undefined || (first === '' && last === '')) return undefined;
  if (first === '') {
    const suffix = Math.min(Number(last), length);
    return suffix > 0 ? [length - suffix, length] : null;
  }
  const start = Number(first);
  const end = last === '' ? length : Math.min(Number(last) + 1, length);
  if (last !== '' && Number(last) < start) return undefined;
  return start < length ? [start, end] : null;
}

/** A page with the file: the one that asks first, then the others. */
async function find(clientId, wanted) {
  const pages = await self.clients.matchAll({ type: 'window', includeUncontrolled: true });
  pages.sort((a, b) => (b.id === clientId) - (a.id === clientId));
  for (const page of pages) {
    const source = await ask(page, wanted);
    if (source) return source;
  }
  return null;
}

function ask(page, wanted) {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      resolve(null);
    }, ASK_MS);
    port1.onmessage = ({ data }) => {
      if (late) return port1.postMessage({ cancel: true });
      clearTimeout(timer);
      resolve(data.found ? { ...data.found, port: port1, page } : null);
    };
    page.postMessage({ stream: wanted }, [port2]);
  });
}

/**
 * The bytes of `parts` as a stream: one chunk is asked for whenever there is room for it. A source gives one range; `again` finds one for
 * the next.
 */
function body(source, parts, again) {
  let left = 0;
  let over = false;
  let arrived;
  const open = async (controller, start, end) => {
    source ??= await again();
    if (!source) throw new Error('The page that had this file is gone.');
    if (over) return source.port.postMessage({ cancel: true });
    source.port.onmessage = ({ data }) => {
      if (over) return;
      if (data.error) return controller.error(new Error(data.error));
      controller.enqueue(new Uint8Array(data.chunk));
      left -= data.chunk.byteLength;
      if (left === 0) source = null;
      if (left === 0 && parts.length === 0) controller.close();
      arrived?.();
    };
    source.port.postMessage({ open: { start, end } });
  };
  return new ReadableStream(
    {
      async pull(controller) {
        if (left === 0) {
          const { head, range: [start, end] } = parts.shift();
          if (head) controller.enqueue(new TextEncoder().encode(head));
          left = end - start;
          if (left === 0) return controller.close();
          await open(controller, start, end);
          if (over) return;
        }
        source.port.postMessage({ pull: true });
        await new Promise((resolve) => { arrived = resolve; });
      },
      cancel() {
        over = true;
        source?.port.postMessage({ cancel: true });
      },
    },
    { highWaterMark: 1 },
  );
}
