// What a browser keeps of its torrents when it is closed, and what it does not.

import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { browser } from './lib/browser.mjs';
import { MIB, digest, write } from './lib/content.mjs';
import { folder, needs } from './lib/place.mjs';
import { Relay, seed } from './lib/tombolo.mjs';
import { until } from './lib/wait.mjs';

const LENGTH = 20 * MIB + 6;
const UNDER_WAY = 4 * MIB;

/** In the page: what the list says of each torrent. */
const listed = (tab) => tab.page.evaluate(() => window.tombolo.torrents.map(({ snapshot }) => ({
  name: snapshot.name, phase: snapshot.phase, have: snapshot.have, priorities: snapshot.files.map(({ priority }) => priority),
})));

test('a browser that is started again goes on with its list', needs('chromium'), async (t) => {
  const home = join(folder(t, 'content'), 'things');
  mkdirSync(home);
  const files = [write(join(home, 'a.bin'), LENGTH, 1), write(join(home, 'b.bin'), 3 * MIB, 2)];
  const seeder = await seed(t, home, '--up', `${5 * MIB}`);
  const relay = await Relay.start(t);
  const before = await browser(t);
  const tab = await before.open(relay.page(['magnet', seeder.magnet], ['peer', seeder.address]));
  await tab.until('the list of files', ({ files: known }) => known.length === 2);
  await tab.page.evaluate(() => window.tombolo.torrents[0].select([0]));
  const { have } = await tab.until('a half', (probe) => probe.have > LENGTH / 2);
  await tab.page.evaluate(() => window.tombolo.torrents[0].pause());
  await before.context.close();

  const after = await browser(t, { profile: before.profile });
  const again = await after.open(relay.page(['peer', seeder.address]));
  await until('it to be on the list', async () => (await listed(again))[0]?.have > 0);
  const [kept, ...others] = await listed(again);
  assert.deepEqual([kept.name, kept.phase, kept.priorities, others], ['things', 'paused', ['normal', 'skip'], []]);
  assert.ok(kept.have > have - UNDER_WAY, `${kept.have} of ${have} bytes kept`);
  await again.page.evaluate(() => window.tombolo.torrents[0].resume());
  const { received } = await again.done();
  assert.ok(received <= LENGTH - have + UNDER_WAY, `${received} bytes fetched, ${LENGTH - have} were missing`);
  assert.equal(await again.digest(0), await digest(files[0]));

  // Taken off the list, it stays off.
  await again.page.evaluate(() => window.tombolo.torrents[0].remove());
  const third = await after.open(relay.page());
  assert.deepEqual(await third.page.evaluate(() => window.tombolo.restore().then((list) => list.length)), 0);
  again.assertClean();
});

test('what is only played is not kept', needs('chromium'), async (t) => {
  const file = write(join(folder(t, 'content'), 'film.bin'), 80 * MIB);
  const seeder = await seed(t, file);
  const relay = await Relay.start(t);
  const tab = await (await browser(t)).open(relay.page(['peer', seeder.address]));
  await tab.page.evaluate((link) => window.tombolo.add(link, { keep: false, cache: 64 << 20 }), seeder.magnet);
  await tab.page.evaluate(() => window.tombolo.ready);
  await tab.until('the list of files', ({ files }) => files.length === 1);
  const sum = await tab.page.evaluate(async () => {
    const hash = await crypto.subtle.digest('SHA-256', await (await fetch(window.tombolo.fileURL(0))).arrayBuffer());
    return [...new Uint8Array(hash)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  });
  assert.equal(sum, await digest(file), 'every byte passed');
  const { have, t: { done } } = await tab.probe();
  assert.ok(have > 0 && have <= 64 * MIB, `${have} bytes of ${80 * MIB} are still there`);
  assert.equal(done, undefined);
  assert.deepEqual(await tab.page.evaluate(async () => Array.fromAsync((await navigator.storage.getDirectory()).keys())), []);
  tab.assertClean();
});

test('want of room is foretold', needs('chromium'), async (t) => {
  const seeder = await seed(t, write(join(folder(t, 'content'), 'content.bin'), 40 * MIB), '--up', `${2 * MIB}`);
  const relay = await Relay.start(t);
  const url = relay.page(['magnet', seeder.magnet], ['peer', seeder.address]);
  // Chromium tells pages of room that they would not be given, so that they learn nothing of the disk.
  const told = () => { navigator.storage.estimate = async () => ({ usage: 1e6, quota: 9e6 }); };
  const tab = await (await browser(t)).open(url, (page) => page.addInitScript(told));
  assert.match(await tab.notice('quota-soon'), /Not enough room for all of it/);
});

test('a torrent that stopped for want of room goes on when there is some', needs('chromium'), async (t) => {
  const file = write(join(folder(t, 'content'), 'content.bin'), 40 * MIB);
  const seeder = await seed(t, file, '--up', `${2 * MIB}`);
  const relay = await Relay.start(t);
  const chromium = await browser(t);
  let allow;
  const url = relay.page(['magnet', seeder.magnet], ['peer', seeder.address]);
  const tab = await chromium.open(url, async (page) => {
    const session = await chromium.context.newCDPSession(page);
    allow = (quotaSize) => session.send('Storage.overrideQuotaForOrigin', { origin: relay.origin, quotaSize });
    await allow(24 * MIB);
  });
  assert.match(await tab.notice('quota'), /No room left in this browser/);
  await allow(200 * MIB);
  await tab.done();
  assert.equal(await tab.digest(0), await digest(file));
});
