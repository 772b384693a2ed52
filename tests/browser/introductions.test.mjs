// Two tabs that no tracker brings together meet through a third, and go on without it and without any tracker.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { browser } from './lib/browser.mjs';
import { MIB, digest, write } from './lib/content.mjs';
import { folder, needs } from './lib/place.mjs';
import { Relay, magnet } from './lib/tombolo.mjs';

test('tabs meet through a tab, and need neither it nor a tracker from then on', needs('chromium'), async (t) => {
  const file = write(join(folder(t, 'content'), 'shared.bin'), 12 * MIB + 77, 8);
  const relays = [await Relay.start(t, '--bridge', 'off'), await Relay.start(t, '--bridge', 'off')];
  const trackers = relays.map(({ tracker }) => ['tracker', tracker]);
  const chromium = await browser(t);
  // The one in the middle is known to both trackers, each of the others to one.
  const middle = await chromium.open(relays[0].page(['relay', 'off'], ...trackers));
  await middle.share(file);
  const { infoHash } = await middle.until('seeding', ({ t: { done } }) => done !== undefined);
  const open = (at) => chromium.open(relays[at].page(['magnet', magnet(infoHash)], ['relay', 'off'], trackers[at]));
  const first = await open(0);
  await first.done();
  // From the middle alone the last one would need an hour.
  await middle.page.evaluate(() => window.tombolo.configure({ up: 4000 }));
  const last = await open(1);
  await last.until('two peers', ({ peers }) => peers === 2);
  for (const relay of relays) relay.kill();
  await middle.page.close();
  const probe = await last.done();
  assert.equal(await digest(await last.save(0)), await digest(file));
  assert.equal(probe.receivedFromRelay, 0);
  assert.ok((await first.probe()).uploaded > 11 * MIB, 'it came from the other');
  // The trackers are gone, and the browser says so.
  last.assertClean(/ERR_CONNECTION_REFUSED|WebSocket/);
});
