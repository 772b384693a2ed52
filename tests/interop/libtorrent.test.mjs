// Our native peer and libtorrent, over TCP and in both directions.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { MIB, digest, write } from '../browser/lib/content.mjs';
import { libtorrent } from '../browser/lib/libtorrent.mjs';
import { folder, needs } from '../browser/lib/place.mjs';
import { create, peer } from '../browser/lib/tombolo.mjs';

const LENGTH = 20 * MIB + 13;

test('our leecher downloads from libtorrent', needs('libtorrent'), async (t) => {
  const dir = folder(t, 'content');
  const file = write(join(dir, 'content.bin'), LENGTH);
  const torrent = await create(t, file);
  const seeder = await libtorrent(t, { torrent: torrent.file, dir });
  const out = folder(t, 'out');
  const leecher = await peer(t, { role: 'leecher', torrent: torrent.file, dir: out });
  leecher.process.send({ connect: ['127.0.0.1', seeder.port] });
  await leecher.process.event('finished', ({ finished }) => finished);
  assert.equal(await digest(join(out, 'content.bin')), await digest(file));
});

test('libtorrent downloads from our seeder', needs('libtorrent'), async (t) => {
  const dir = folder(t, 'content');
  const file = write(join(dir, 'content.bin'), LENGTH);
  const torrent = await create(t, file);
  const seeder = await peer(t, { role: 'seeder', torrent: torrent.file, dir });
  const out = folder(t, 'out');
  const leecher = await libtorrent(t, { torrent: torrent.file, dir: out });
  leecher.process.send({ connect: ['127.0.0.1', seeder.port] });
  await leecher.process.event('finished', ({ finished }) => finished);
  assert.equal(await digest(join(out, 'content.bin')), await digest(file));
});
