// Our native peer and transmission, over TCP and in both directions.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { MIB, digest, write } from '../browser/lib/content.mjs';
import { folder, needs } from '../browser/lib/place.mjs';
import { get, magnet, seed } from '../browser/lib/tombolo.mjs';
import { Transmission, createTorrent } from '../browser/lib/transmission.mjs';
import { until } from '../browser/lib/wait.mjs';

test('`tombolo get` downloads a magnet from transmission', needs('transmission'), async (t) => {
  const home = folder(t, 'content');
  const file = write(join(home, 'from transmission.bin'), 20 * MIB + 11);
  const torrent = join(home, 'a.torrent');
  const infoHash = createTorrent(file, torrent);
  const transmission = await Transmission.start(t);
  await transmission.add(torrent, home);

  const out = folder(t, 'out');
  const process = get(t, magnet(infoHash), out, '--peer', transmission.address);
  const { code } = await process.finish();
  assert.equal(code, 0, process.tail().join('\n'));
  assert.equal(await digest(join(out, 'from transmission.bin')), await digest(file));
});

test('transmission downloads from `tombolo seed`', needs('transmission'), async (t) => {
  const home = folder(t, 'content');
  const file = write(join(home, 'to transmission.bin'), 20 * MIB + 12);
  const torrent = join(home, 'a.torrent');
  createTorrent(file, torrent);
  const transmission = await Transmission.start(t);
  await transmission.add(torrent);

  // It never dials loopback itself, so the seeder does.
  await seed(t, torrent, '--dir', home, '--peer', transmission.address);
  await until('transmission to complete', async () => (await transmission.percent()) === 100, { describe: () => transmission.state() });
  assert.equal(await digest(join(transmission.downloads, 'to transmission.bin')), await digest(file));
});
