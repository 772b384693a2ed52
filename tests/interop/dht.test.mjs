// A DHT of 50 nodes, half of them libtorrent's, whose bootstrap node dies: ours and theirs still find each other's peers.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { digest, write } from '../browser/lib/content.mjs';
import { libtorrent } from '../browser/lib/libtorrent.mjs';
import { PYTHON, TOMBOLO, folder, needs } from '../browser/lib/place.mjs';
import { Process } from '../browser/lib/process.mjs';
import { create } from '../browser/lib/tombolo.mjs';

const OURS = 24;
const THEIRS = 24;
const LENGTH = 300_013;

/** A node of ours that seeds a file of its own. Its first line says where. */
async function node(t, bootstrap, file) {
  const flags = ['--no-trackers', '--no-lsd', '--no-portmap', '--allow-local', '--listen', '127.0.0.1:0'];
  const process = new Process(t, TOMBOLO, ['seed', file, '--json', ...flags, '--dht-bootstrap', bootstrap], { name: 'seed' });
  const { ready } = await process.event('ready', (event) => 'ready' in event);
  return { process, address: `127.0.0.1:${ready}` };
}

test('50 nodes outlive the one they began with', needs('libtorrent'), async (t) => {
  const dir = folder(t, 'content');
  const file = (name) => write(join(dir, name), LENGTH + Number.parseInt(name, 10));
  const first = await node(t, 'none', file('0'));
  const ours = [];
  for (let n = 1; n <= OURS; n += 1) {
    ours.push(await node(t, first.address, file(String(n))));
  }
  const theirs = new Process(t, PYTHON, [join(import.meta.dirname, 'dht_nodes.py'), String(THEIRS), first.address], {
    name: 'libtorrent nodes',
  });
  // Each of theirs knows others than the first one.
  await theirs.event('joined', ({ least }) => least >= 4);
  await first.process.kill();

  // Ours announces and theirs finds it, by way of nodes of both.
  const content = file('100');
  const torrent = await create(t, content);
  const seeder = await node(t, ours[3].address, content);
  const theirOut = folder(t, 'their-out');
  const dht = { dht: ours[7].address };
  const leecher = await libtorrent(t, { torrent: torrent.file, dir: theirOut, ...dht });
  await leecher.process.event('finished', ({ finished }) => finished);
  assert.equal(await digest(join(theirOut, '100')), await digest(content));
  await seeder.process.stop();

  // Theirs announces and ours finds it.
  const out = folder(t, 'out');
  const flags = ['--no-trackers', '--no-lsd', '--no-portmap', '--allow-local', '--listen', '127.0.0.1:0'];
  const get = new Process(t, TOMBOLO, ['get', torrent.file, '--out', out, '--json', ...flags, '--dht-bootstrap', ours[11].address], {
    name: 'get',
  });
  await get.event('finished', ({ finished }) => finished);
  assert.equal(await digest(join(out, '100')), await digest(content));
});
