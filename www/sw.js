// The service worker: lets <video>, downloads and fetch read a torrent's files by URL while they are still arriving.
// It holds nothing: each request finds a page that has the torrent, gets a MessagePort to that page's engine, and pulls one
// chunk for each one consumed. Losing this worker between requests loses nothing.

/** How long a page may take to say whether it has the torrent, in ms. */
const ASK_MS = 3000;
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
  const range = rangeOf(event.request.headers.get('range'), length);
  const headers = {
    'Accept-Ranges': 'bytes',
    'Content-Type': type,
    'Content-Disposition': `inline; filename*=UTF-8''${encodeURIComponent(name)}`,
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    'Content-Security-Policy': "sandbox; default-src 'none'; media-src 'self'; img-src 'self'; style-src 'unsafe-inline'",
  };
  if (range === null) {
    port.postMessage({ cancel: true });
    return plain(416, 'No such range.', { 'Content-Range': `bytes */${length}` });
  }
  const [start, end] = range ?? [0, length];
  headers['Content-Length'] = String(end - start);
  if (range) headers['Content-Range'] = `bytes ${start}-${end - 1}/${length}`;
  const init = { status: range ? 206 : 200, headers };
  if (event.request.method === 'HEAD' || start === end) {
    port.postMessage({ cancel: true });
    return new Response(null, init);
  }
  return new Response(body(port, start, end), init);
}

/** A Range header → [start, end), undefined when there is none that counts (RFC 9110), null when it cannot be satisfied. */
function rangeOf(header, length) {
  const match = header && /^bytes=(\d*)-(\d*)$/.exec(header.trim());
  if (!match || (match[1] === '' && match[2] === '')) return undefined;
  if (match[1] === '') {
    const suffix = Math.min(Number(match[2]), length);
    return suffix > 0 ? [length - suffix, length] : null;
  }
  const start = Number(match[1]);
  const end = match[2] === '' ? length : Math.min(Number(match[2]) + 1, length);
  if (match[2] !== '' && Number(match[2]) < start) return undefined;
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
    const timer = setTimeout(() => resolve(null), ASK_MS);
    port1.onmessage = ({ data }) => {
      clearTimeout(timer);
      resolve(data.found ? { ...data.found, port: port1 } : null);
    };
    page.postMessage({ stream: wanted }, [port2]);
  });
}

/** The bytes of [start, end) as a stream: one chunk is asked for whenever there is room for it. */
function body(port, start, end) {
  return new ReadableStream(
    {
      start(controller) {
        port.onmessage = ({ data }) => {
          if (data.error) return controller.error(new Error(data.error));
          controller.enqueue(new Uint8Array(data.chunk));
          start += data.chunk.byteLength;
          this.arrived?.();
          if (start >= end) controller.close();
        };
        port.postMessage({ open: { start, end } });
      },
      pull() {
        port.postMessage({ pull: true });
        return new Promise((resolve) => (this.arrived = resolve));
      },
      cancel() {
        port.postMessage({ cancel: true });
      },
    },
    { highWaterMark: 1 },
  );
}
