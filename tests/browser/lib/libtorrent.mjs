// libtorrent, the library of many native clients, which can also be a web peer.

import { join } from 'node:path';
import { Process } from './process.mjs';
import { PYTHON } from './place.mjs';

/** Starts a session; see libtorrent_peer.py for `options`. Returns `{process, port, address}`. */
export async function libtorrent(t, options) {
  const script = join(import.meta.dirname, 'libtorrent_peer.py');
  const process = new Process(t, PYTHON, [script, JSON.stringify(options)], { name: 'libtorrent' });
  const { ready } = await process.event('ready', (event) => 'ready' in event);
  return { process, port: ready, address: `127.0.0.1:${ready}` };
}
