// A plain HTTP server for pages of the tests' own, on a free loopback port.

import { open, readFile, stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { atEnd } from './end.mjs';

const TYPES = {
  '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml', '.wasm': 'application/wasm',
};

/** Starts a server on a free loopback port. Returns `{server, port, origin}`; ends with test `t`. */
async function listen(t, handle) {
  const server = createServer(handle);
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  atEnd(t, () => server.close());
  atEnd(t, () => server.closeAllConnections());
  const { port } = server.address();
  return { server, port, origin: `http://127.0.0.1:${port}` };
}

/** Answers with `answer(path) → {type, body}`, or 404 for null. Returns `{server, port, origin}`; ends with test `t`. */
export function serve(t, answer) {
  return listen(t, async (request, response) => {
    const found = await answer(new URL(request.url, 'http://host').pathname).catch(() => null);
    if (found) response.setHeader('content-type', found.type).end(found.body);
    else response.writeHead(404).end();
  });
}

/** Serves the files of a folder. */
export function serveFolder(t, folder) {
  return serve(t, async (path) => {
    const name = path === '/' ? '/index.html' : normalize(decodeURIComponent(path));
    return { type: TYPES[extname(name)] ?? 'application/octet-stream', body: await readFile(join(folder, name)) };
  });
}

/**
 * Serves the files of a folder by range, as a web seed; with `cors` pages may ask. Returns `{origin, sent, asked}`: the bytes sent and the
 * paths asked for so far.
 */
export async function serveRanges(t, folder, { cors = true } = {}) {
  const state = { sent: 0, asked: [] };
  const { origin } = await listen(t, async (request, response) => {
    if (cors) response.setHeader('access-control-allow-origin', '*').setHeader('access-control-allow-headers', 'range');
    if (request.method === 'OPTIONS') return void response.writeHead(204).end();
    state.asked.push(request.url);
    const path = join(folder, normalize(decodeURIComponent(request.url)));
    const size = await stat(path).then((found) => found.size, () => null);
    if (size === null) return void response.writeHead(404).end();
    const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '');
    const [first, last] = range ? range.slice(1).map(Number) : [0, size - 1];
    const file = await open(path);
    const body = Buffer.alloc(last - first + 1);
    await file.read(body, 0, body.length, first);
    await file.close();
    state.sent += body.length;
    response.writeHead(range ? 206 : 200, range && { 'content-range': `bytes ${first}-${last}/${size}` });
    response.end(body);
  });
  return Object.assign(state, { origin });
}
