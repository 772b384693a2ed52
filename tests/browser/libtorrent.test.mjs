// libtorrent as a web peer (data channels, our tracker): a client that shares no line with ours, in both directions.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { browser } from './lib/browser.mjs';
import { MIB, digest, write } from './lib/content.mjs';
import { libtorrent } from './lib/libtorrent.mjs';
import { folder, needs } from './lib/place.mjs';
import { Relay, create, magnet } from './lib/tombolo.mjs';

test('a tab downloads from libtorrent over WebRTC', needs('chromium', 'libtorrent'), async (t) => {
  const dir = folder(t, 'content');
  const file = write(join(dir, 'from libtorrent.bin'), 12 * MIB + 77);
  const torrent = await create(t, file, '--piece-length', '131072');
  const relay = await Relay.start(t);
  await libtorrent(t, { torrent: torrent.file, dir, transport: 'rtc', trackers: [relay.tracker] });
  const chromium = await browser(t);
  const tab = await chromium.open(relay.page(['magnet', magnet(torrent.info_hash_v1)]));
  const probe = await tab.done();

  assert.equal(await digest(await tab.save(0)), await digest(file));
  assert.equal(probe.receivedFromRelay, 0);
  tab.assertClean();
});

test('libtorrent downloads from a tab over WebRTC', needs('chromium', 'libtorrent'), async (t) => {
  const file = write(join(folder(t, 'content'), 'from a tab.bin'), 12 * MIB + 78);
  const relay = await Relay.start(t);
  const chromium = await browser(t);
  const tab = await chromium.open(relay.page());
  await tab.share(file);
  const { infoHash } = await tab.until('seeding', ({ t: { done } }) => done !== undefined);

  const dir = folder(t, 'libtorrent');
  const leecher = await libtorrent(t, { magnet: magnet(infoHash), dir, transport: 'rtc', trackers: [relay.tracker] });
  await leecher.process.event('finished', ({ finished }) => finished, { within: 200_000 });

  assert.equal(await digest(join(dir, 'from a tab.bin')), await digest(file));
  tab.assertClean();
});
