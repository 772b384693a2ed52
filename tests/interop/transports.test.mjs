// Our native peer and libtorrent over uTP, and with encryption forced on its side; transmission that requires encryption.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { MIB, digest, write } from '../browser/lib/content.mjs';
import { libtorrent } from '../browser/lib/libtorrent.mjs';
import { folder, needs } from '../browser/lib/place.mjs';
import { create, peer, seed } from '../browser/lib/tombolo.mjs';
import { Transmission, createTorrent } from '../browser/lib/transmission.mjs';
import { until } from '../browser/lib/wait.mjs';

const LENGTH = 20 * MIB + 13;

/** How libtorrent is set, and ours. */
const WAYS = [
  ['over uTP', { transport: 'utp' }, { transport: 'utp' }],
  ['encrypted', { encryption: true }, {}],
  ['encrypted, as both require', { encryption: true }, { args: ['--encryption', 'require'] }],
  ['over uTP, encrypted', { transport: 'utp', encryption: true }, { transport: 'utp' }],
];

/** Content, its torrent, and a place for the copy. */
async function prepared(t) {
  const dir = folder(t, 'content');
  const file = write(join(dir, 'content.bin'), LENGTH);
  const torrent = await create(t, file);
  return { dir, file, torrent: torrent.file, out: folder(t, 'out') };
}

for (const [way, theirs, ours] of WAYS) {
  for (const dials of ['libtorrent', 'we']) {
    test(`our leecher downloads from libtorrent ${way}; ${dials} dial`, needs('libtorrent'), async (t) => {
      const { dir, file, torrent, out } = await prepared(t);
      const seeder = await libtorrent(t, { torrent, dir, ...theirs });
      const leecher = await peer(t, { role: 'leecher', torrent, dir: out, ...ours });
      const [one, other] = dials === 'we' ? [leecher, seeder] : [seeder, leecher];
      one.process.send({ connect: ['127.0.0.1', other.port] });
      await leecher.process.event('finished', ({ finished }) => finished);
      assert.equal(await digest(join(out, 'content.bin')), await digest(file));
    });

    test(`libtorrent downloads from our seeder ${way}; ${dials} dial`, needs('libtorrent'), async (t) => {
      const { dir, file, torrent, out } = await prepared(t);
      const seeder = await peer(t, { role: 'seeder', torrent, dir, ...ours });
      const leecher = await libtorrent(t, { torrent, dir: out, ...theirs });
      const [one, other] = dials === 'we' ? [seeder, leecher] : [leecher, seeder];
      one.process.send({ connect: ['127.0.0.1', other.port] });
      await leecher.process.event('finished', ({ finished }) => finished);
      assert.equal(await digest(join(out, 'content.bin')), await digest(file));
    });
  }
}

test('transmission that requires encryption downloads from `tombolo seed`', needs('transmission'), async (t) => {
  const home = folder(t, 'content');
  const file = write(join(home, 'hidden.bin'), LENGTH);
  const torrent = join(home, 'a.torrent');
  createTorrent(file, torrent);
  const transmission = await Transmission.start(t, { encryption: 2 });
  await transmission.add(torrent);
  await seed(t, torrent, '--dir', home, '--peer', transmission.address);
  await until('transmission to complete', async () => (await transmission.percent()) === 100, { describe: () => transmission.state() });
  assert.equal(await digest(join(transmission.downloads, 'hidden.bin')), await digest(file));
});

test('our leecher that requires encryption downloads from transmission', needs('transmission'), async (t) => {
  const home = folder(t, 'content');
  const file = write(join(home, 'hidden.bin'), LENGTH);
  const torrent = join(home, 'a.torrent');
  createTorrent(file, torrent);
  const transmission = await Transmission.start(t, { encryption: 2 });
  await transmission.add(torrent, home);
  const out = folder(t, 'out');
  const leecher = await peer(t, { role: 'leecher', torrent, dir: out, args: ['--encryption', 'require'] });
  leecher.process.send({ connect: ['127.0.0.1', transmission.port] });
  await leecher.process.event('finished', ({ finished }) => finished);
  assert.equal(await digest(join(out, 'hidden.bin')), await digest(file));
});
