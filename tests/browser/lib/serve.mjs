// A plain HTTP server for pages of the tests' own, on a free loopback port.

import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { atEnd } from './end.mjs';

const TYPES = {
  '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml', '.wasm': 'application/wasm',
};

/** Answers with `answer(path) → {type, body}`, or 404 for null. Returns `{server, port, origin}`; ends with test `t`. */
export async function serve(t, answer) {
  const server = createServer(async (request, response) => {
    const found = await answer(new URL(request.url, 'http://host').pathname).catch(() => null);
    if (found) response.setHeader('content-type', found.type).end(found.body);
    else response.writeHead(404).end();
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  atEnd(t, () => server.close());
  atEnd(t, () => server.closeAllConnections());
  const { port } = server.address();
  return { server, port, origin: `http://127.0.0.1:${port}` };
}

/** Serves the files of a folder. */
export function serveFolder(t, folder) {
  return serve(t, async (path) => {
    const name = path === '/' ? '/index.html' : normalize(decodeURIComponent(path));
    return { type: TYPES[extname(name)] ?? 'application/octet-stream', body: await readFile(join(folder, name)) };
  });
}
