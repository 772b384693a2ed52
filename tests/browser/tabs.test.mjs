// Several tabs with one torrent: one of them has the engine, the others show it, and lead when it is closed.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { browser } from './lib/browser.mjs';
import { MIB, digest, write } from './lib/content.mjs';
import { folder, needs } from './lib/place.mjs';
import { Relay, seed } from './lib/tombolo.mjs';
import { until } from './lib/wait.mjs';

const LENGTH = 24 * MIB + 9;
/** Verified a moment before the tab was closed and perhaps not yet written, or open pieces. */
const UNDER_WAY = 6 * MIB;

const follows = (tab) => tab.page.evaluate(() => Boolean(window.tombolo.torrents[0]?.snapshot.follows));

/** Begins to read a file in the page; `window.read` is its SHA-256 in the end, or why there is none. Resolves with the answer's status. */
async function read(url) {
  const response = await fetch(url);
  window.read = (async () => {
    const bytes = await response.arrayBuffer();
    const hash = await crypto.subtle.digest('SHA-256', bytes);
    return [...new Uint8Array(hash)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  })().catch((error) => `${error}`);
  return response.status;
}

test('a second tab shows what the first fetches, and goes on when that is closed', needs('chromium'), async (t) => {
  const file = write(join(folder(t, 'content'), 'content.bin'), LENGTH);
  const seeder = await seed(t, file, '--up', `${3 * MIB}`);
  const relay = await Relay.start(t);
  const chromium = await browser(t);
  const url = relay.page(['magnet', seeder.magnet], ['peer', seeder.address]);
  const first = await chromium.open(url);
  await first.until('some of it', ({ have }) => have > 2 * MIB);
  const second = await chromium.open(url);
  await until('the second tab to follow', () => follows(second));
  assert.equal(await follows(first), false);
  const { have, peers } = await second.until('to see it grow', (probe) => probe.have > 4 * MIB);
  assert.ok(have < LENGTH && peers > 0, 'it shows the peers of the first');

  // What the second tab is told to do the first does.
  await second.page.evaluate(() => window.tombolo.torrents[0].pause());
  await until('the first to pause', () => first.page.evaluate(() => window.tombolo.torrents[0].snapshot.phase === 'paused'));
  await second.page.evaluate(() => window.tombolo.torrents[0].resume());

  // A reader in the second tab reads from the first, then from its own.
  await second.page.evaluate(() => window.tombolo.ready);
  assert.equal(await second.page.evaluate(read, await second.page.evaluate(() => window.tombolo.fileURL(0))), 200);
  const lengths = await second.page.evaluate(async () => {
    const [file] = window.tombolo.torrents[0].files;
    const lengthOf = async (range) => (await new Response(file.stream(range)).arrayBuffer()).byteLength;
    return Promise.all([lengthOf({ start: 5, end: 5 }), lengthOf({ start: 7, end: 100_007 })]);
  });
  assert.deepEqual(lengths, [0, 100_000]);
  const { have: before } = await first.until('a half', (probe) => probe.have > LENGTH / 2);
  await first.page.close();
  await until('the second tab to lead', async () => !(await follows(second)));
  const { received } = await second.done();

  assert.equal(await second.digest(0), await digest(file));
  assert.equal(await second.page.evaluate(() => window.read), await digest(file));
  assert.ok(received <= LENGTH - before + UNDER_WAY, `${received} bytes fetched after ${before} were there`);
  second.assertClean();
});

test('a reader of a page that is closed is told so', needs('chromium'), async (t) => {
  const file = write(join(folder(t, 'content'), 'content.bin'), LENGTH);
  const seeder = await seed(t, file, '--up', `${MIB}`);
  const relay = await Relay.start(t);
  const chromium = await browser(t);
  // It is open before there is anything to be kept, so it will not follow.
  const other = await chromium.open(relay.page());
  await other.page.evaluate(() => window.tombolo.ready);
  const tab = await chromium.open(relay.page(['magnet', seeder.magnet], ['peer', seeder.address]));
  await tab.page.evaluate(() => window.tombolo.ready);
  await tab.until('some of it', ({ have }) => have > MIB);
  assert.equal(await other.page.evaluate(read, await tab.page.evaluate(() => window.tombolo.fileURL(0))), 200);
  await tab.page.close();
  assert.match(await other.page.evaluate(() => window.read), /Error/);
});
