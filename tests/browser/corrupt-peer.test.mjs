// Peers that send what is not the content: found by its hash, banned, and the download completes from the others.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { browser } from './lib/browser.mjs';
import { MIB, digest, write } from './lib/content.mjs';
import { libtorrent } from './lib/libtorrent.mjs';
import { folder, needs } from './lib/place.mjs';
import { Relay, create, magnet, seed } from './lib/tombolo.mjs';
import { until } from './lib/wait.mjs';

const LENGTH = 16 * MIB;

/** A file, its torrent, and a folder with a file of the same name and length but other bytes. */
async function contentAndLie(t) {
  const [good, bad] = [folder(t, 'good'), folder(t, 'bad')];
  const file = write(join(good, 'content.bin'), LENGTH, 1);
  write(join(bad, 'content.bin'), LENGTH, 2);
  const torrent = await create(t, file, '--piece-length', '65536');
  return { file, torrent, good, bad };
}

test('the relay bans a native peer that lies', needs('chromium', 'libtorrent'), async (t) => {
  const { file, torrent, good, bad } = await contentAndLie(t);
  const relay = await Relay.start(t);
  const liar = await libtorrent(t, { torrent: torrent.file, dir: bad, lie: true });
  const chromium = await browser(t);
  const link = magnet(torrent.info_hash_v1);
  const tab = await chromium.open(relay.page(['magnet', link], ['peer', liar.address]));
  // First the liar alone, so that it is asked for certain.
  await relay.until('a bad piece', ({ hash_failures: failures }) => failures > 0);
  const honest = await seed(t, torrent.file, '--dir', good);
  const handed = await fetch(`${relay.origin}/api/torrents/${torrent.info_hash_v1}/peers`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ peers: [honest.address] }),
  });
  assert.ok(handed.ok, `peers were refused: ${handed.status}`);
  const { received } = await tab.done();

  assert.equal(await digest(await tab.save(0)), await digest(file));
  // The relay passes on nothing that it has not verified: the tab saw no byte twice.
  assert.ok(received <= LENGTH, `${received} bytes received`);
  tab.assertClean();
});

test('a tab bans a web peer that lies', needs('chromium', 'libtorrent'), async (t) => {
  const { file, torrent, good, bad } = await contentAndLie(t);
  const relay = await Relay.start(t);
  const web = { torrent: torrent.file, transport: 'rtc', trackers: [relay.tracker] };
  await libtorrent(t, { ...web, dir: bad, lie: true });
  const chromium = await browser(t);
  const tab = await chromium.open(relay.page(['magnet', magnet(torrent.info_hash_v1)]));
  await tab.until('a ban', ({ events }) => events.some(([, kind]) => kind === 'ban'));
  await libtorrent(t, { ...web, dir: good });
  await until('the tab to meet the honest peer', async () => (await tab.probe()).have > 0);
  await tab.done();

  assert.equal(await digest(await tab.save(0)), await digest(file));
  tab.assertClean();
});
