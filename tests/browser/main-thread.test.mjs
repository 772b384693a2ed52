// The engine lives in a worker: what the page's own thread does cannot stop it.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { browser } from './lib/browser.mjs';
import { MIB, write } from './lib/content.mjs';
import { folder, needs } from './lib/place.mjs';
import { Relay, seed } from './lib/tombolo.mjs';

test('a download goes on while the main thread is blocked', needs('chromium'), async (t) => {
  const rate = 4 * MIB;
  const file = write(join(folder(t, 'content'), 'long.bin'), 64 * MIB);
  const seeder = await seed(t, file, '--up', `${rate}`);
  const relay = await Relay.start(t);
  const chromium = await browser(t);
  const tab = await chromium.open(relay.page(['magnet', seeder.magnet], ['peer', seeder.address]));
  await tab.until('bytes to flow', ({ received }) => received > MIB);

  const before = await tab.page.evaluate(async () => {
    const { received } = window.tombolo.probe();
    const end = performance.now() + 3000;
    while (performance.now() < end);
    return received;
  });
  const { bytes_web_out: sent } = await relay.stats();
  const { received } = await tab.until('a fresh probe', ({ received: now }) => now > before);
  // Three seconds at the seeder's rate are 12 MiB; a stopped engine would have at most what was under way.
  assert.ok(sent - before > 6 * MIB, `the relay sent ${sent - before} bytes meanwhile`);
  assert.ok(received - before > 4 * MIB, `the tab took ${received - before} bytes meanwhile`);
  tab.assertClean();
});
