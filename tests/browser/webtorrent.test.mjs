// WebTorrent, the client of most other pages, in a tab beside ours and in both directions.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { test } from 'node:test';
import { browser } from './lib/browser.mjs';
import { MIB, digest, noise, write } from './lib/content.mjs';
import { folder, needs } from './lib/place.mjs';
import { Relay, magnet } from './lib/tombolo.mjs';
import { WebTorrentTab } from './lib/webtorrent.mjs';

test('our tab downloads from a WebTorrent tab', needs('chromium', 'webtorrent'), async (t) => {
  const content = noise(6 * MIB + 99, 5);
  const relay = await Relay.start(t);
  const chromium = await browser(t);
  const seeder = await WebTorrentTab.open(t, chromium);
  const infoHash = await seeder.seed(content, 'from WebTorrent.bin', relay.tracker);

  const tab = await chromium.open(relay.page(['magnet', magnet(infoHash)]));
  const probe = await tab.done();

  assert.equal(await digest(await tab.save(0)), createHash('sha256').update(content).digest('hex'));
  assert.equal(probe.receivedFromRelay, 0);
  tab.assertClean();
});

test('a WebTorrent tab downloads from ours', needs('chromium', 'webtorrent'), async (t) => {
  const file = write(join(folder(t, 'content'), 'from Tombolo.bin'), 6 * MIB + 98, 6);
  const relay = await Relay.start(t);
  const chromium = await browser(t);
  const tab = await chromium.open(relay.page());
  await tab.share(file);
  const { infoHash } = await tab.until('seeding', ({ t: { done } }) => done !== undefined);

  const leecher = await WebTorrentTab.open(t, chromium);
  assert.equal(await leecher.download(magnet(infoHash, ['tr', relay.tracker])), await digest(file));
  tab.assertClean();
});
