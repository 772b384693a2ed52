// What a user or a browser may ask of a page that trades: not to upload, not to move more than so much in a month.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { browser } from './lib/browser.mjs';
import { MIB, digest, write } from './lib/content.mjs';
import { folder, needs } from './lib/place.mjs';
import { Relay, magnet, seed } from './lib/tombolo.mjs';
import { until } from './lib/wait.mjs';

/** Runs in the page before its scripts: a browser whose user wants to save data. */
function saveData() {
  Object.defineProperty(navigator, 'connection', { value: { saveData: true } });
}

test('a browser that saves data uploads only when its user says so', needs('chromium'), async (t) => {
  const file = write(join(folder(t, 'content'), 'content.bin'), 4 * MIB);
  const relay = await Relay.start(t, '--bridge', 'off');
  const sharing = await (await browser(t)).open(relay.page(), (page) => page.addInitScript(saveData));
  await sharing.share(file);
  const { infoHash } = await sharing.until('seeding', ({ t: { done } }) => done !== undefined);
  const tab = await (await browser(t)).open(relay.page(['magnet', magnet(infoHash)]));
  const flags = () => tab.page.evaluate(() => window.tombolo.torrents[0]?.snapshot.peers.map((peer) => peer.flags).join() ?? '');
  // It has the file list, is interested, and stays choked: d.
  await until('to be choked', async () => /d/.test(await flags()));
  await sharing.page.evaluate(() => window.tombolo.configure({ down: 1e9 }));
  assert.equal((await tab.probe()).have, 0);
  await sharing.page.evaluate(() => window.tombolo.configure({ share: true }));
  await tab.done();
  assert.equal(await tab.digest(0), await digest(file));
});

test('at the limit for a month everything is paused, and said', needs('chromium'), async (t) => {
  const file = write(join(folder(t, 'content'), 'content.bin'), 64 * MIB);
  const seeder = await seed(t, file, '--up', `${2 * MIB}`);
  const relay = await Relay.start(t);
  const chromium = await browser(t);
  const url = relay.page(['magnet', seeder.magnet], ['peer', seeder.address]);
  const tab = await chromium.open(url);
  await tab.page.evaluate((cap) => window.tombolo.configure({ cap }), 6 * MIB);
  assert.match(await tab.notice('cap'), /limit for this month/);
  const phase = (page) => page.evaluate(() => window.tombolo.torrents[0]?.snapshot.phase);
  await until('it to pause', async () => (await phase(tab.page)) === 'paused');
  assert.ok((await tab.probe()).have < 64 * MIB);
  // The page that is opened next knows of it.
  await tab.page.reload();
  await tab.notice('cap');
  await until('it to pause again', async () => (await phase(tab.page)) === 'paused');
});
