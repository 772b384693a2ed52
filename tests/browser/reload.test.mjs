// A reload in the middle: what was verified is in the browser's storage and is not fetched again.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { BROWSERS, browser } from './lib/browser.mjs';
import { MIB, digest, write } from './lib/content.mjs';
import { folder, needs } from './lib/place.mjs';
import { Relay, seed } from './lib/tombolo.mjs';

const LENGTH = 40 * MIB + 6;
/** Verified a moment before the reload and perhaps not yet written, or open pieces that a reload loses. */
const UNDER_WAY = 4 * MIB;

for (const name of BROWSERS) test(`a reloaded tab goes on from what it had (${name})`, needs(name), async (t) => {
  const file = write(join(folder(t, 'content'), 'content.bin'), LENGTH);
  const seeder = await seed(t, file, '--up', `${6 * MIB}`);
  const relay = await Relay.start(t);
  const tab = await (await browser(t, { name })).open(relay.page(['magnet', seeder.magnet], ['peer', seeder.address]));
  const { have: before } = await tab.until('a third', ({ have }) => have > LENGTH / 3);

  await tab.page.reload();
  const { received } = await tab.done();

  assert.equal(await digest(await tab.save(0)), await digest(file));
  const missing = LENGTH - before;
  assert.ok(received <= missing + UNDER_WAY, `${received} bytes received after the reload, ${missing} were missing`);
  assert.ok(received > 0);
});
