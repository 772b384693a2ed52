// A relay that dies without a word: the tab keeps what it verified and goes on when the relay is there again.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { browser } from './lib/browser.mjs';
import { MIB, digest, write } from './lib/content.mjs';
import { folder, needs } from './lib/place.mjs';
import { Relay, seed } from './lib/tombolo.mjs';
import { until } from './lib/wait.mjs';

const LENGTH = 40 * MIB + 5;

test('no block of a verified piece is asked for again after the relay was killed', needs('chromium'), async (t) => {
  const file = write(join(folder(t, 'content'), 'content.bin'), LENGTH);
  const seeder = await seed(t, file, '--up', `${6 * MIB}`);
  const uploaded = () => seeder.process.last((event) => 'uploaded' in event)?.uploaded ?? 0;
  const relay = await Relay.start(t);
  const chromium = await browser(t);
  const tab = await chromium.open(relay.page(['magnet', seeder.magnet], ['peer', seeder.address]));
  await tab.until('a third', ({ have }) => have > LENGTH / 3);

  await relay.kill();
  const sent = await steady('the seeder to notice', uploaded);
  const kept = await steady('the tab to verify what it got', async () => (await tab.probe()).have);
  await relay.restart();
  await tab.done();

  assert.equal(await digest(await tab.save(0)), await digest(file));
  // What the tab had verified is not sent again; all else may have been lost with the relay.
  const total = await steady('the last progress line', uploaded);
  assert.ok(total <= sent + (LENGTH - kept), `${total} bytes sent, ${sent} before the kill, ${kept} verified then`);
  assert.equal((await relay.stats()).panics, 0);
});

/** The value of `read` once it has been the same for longer than any reader's period of a second. */
async function steady(what, read) {
  let last = await read();
  let since = performance.now();
  await until(what, async () => {
    const now = await read();
    if (now !== last) [last, since] = [now, performance.now()];
    return performance.now() - since > 2500;
  });
  return last;
}
