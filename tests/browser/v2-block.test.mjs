// In a v2 torrent (BEP 52) a wrong block of 16 KiB is known by itself: it alone is fetched again.

import assert from 'node:assert/strict';
import { closeSync, copyFileSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { browser } from './lib/browser.mjs';
import { KIB, MIB, digest, write } from './lib/content.mjs';
import { folder, needs } from './lib/place.mjs';
import { Relay, create, peer } from './lib/tombolo.mjs';

const BLOCK = 16 * KIB;
const PIECE = MIB;
const LENGTH = 16 * MIB;

test('a corrupt block of a v2 torrent costs a block', needs('chromium'), async (t) => {
  const [good, bad] = [folder(t, 'good'), folder(t, 'bad')];
  const file = write(join(good, 'content.bin'), LENGTH);
  const lie = join(bad, 'content.bin');
  copyFileSync(file, lie);
  const torrent = await create(t, file, '--v2', '--piece-length', `${PIECE}`);
  const relay = await Relay.start(t, '--bridge', 'off');
  const seeder = (dir, ...args) =>
    peer(t, { role: 'seeder', torrent: torrent.file, dir, transport: 'rtc', args: ['--tracker', relay.tracker, ...args] });

  // Slow, but it has the hashes of blocks, and is there before a block is wrong.
  await seeder(good, '--up', '65536');
  const chromium = await browser(t);
  const tab = await chromium.open(relay.page(['magnet', `magnet:?xt=urn:btmh:1220${torrent.info_hash_v2}`]));
  await tab.until('a peer', ({ t: { firstPeer } }) => firstPeer !== undefined, { within: 60_000 });
  await tab.until('a byte', ({ received }) => received > 0, { within: 60_000 });
  await seeder(bad);
  // It has checked its content: from now on one block of each piece is wrong.
  const damaged = openSync(lie, 'r+');
  for (let at = 5 * BLOCK; at < LENGTH; at += PIECE) writeSync(damaged, Buffer.alloc(BLOCK, 0xbd), 0, BLOCK, at);
  closeSync(damaged);
  await tab.until('a ban', ({ events }) => events.some(([, kind]) => kind === 'ban'));
  await seeder(good);
  const { received, events } = await tab.done();

  assert.equal(await digest(await tab.save(0)), await digest(file));
  const failed = events.filter(([, , text]) => /^piece \d+ failed/.test(text)).length;
  t.diagnostic(`${failed} pieces had a wrong block, ${received - LENGTH} bytes were fetched twice`);
  assert.ok(failed > 0);
  // A block for each piece that failed, and what the end of a download asks of two peers.
  assert.ok(received - LENGTH <= (failed + 8) * BLOCK, `${received - LENGTH} bytes for ${failed} wrong blocks`);
  tab.assertClean();
});
