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
  // Tabs of one browser would share an engine.
  const seeding = await (await browser(t)).open(relays[0].page(['relay', 'off'], trackers[0]));
  await seeding.share(file);
  const { infoHash } = await seeding.until('seeding', ({ t: { done } }) => done !== undefined);
  const open = async (...trackers) => (await browser(t)).open(relays[0].page(['magnet', magnet(infoHash)], ['relay', 'off'], ...trackers));
  // Who is in the middle is known to both trackers, each of the others to one; it would need an hour.
  const middle = await open(...trackers);
  await middle.until('listed', () => true);
  await middle.page.evaluate(() => window.tombolo.torrents[0].limit({ down: 4000 }));
  await middle.until('a peer', ({ peers }) => peers === 1);
  const last = await open(trackers[1]);
  await last.until('two peers', ({ peers }) => peers === 2);
  for (const relay of relays) relay.kill();
  await middle.page.close();
  const probe = await last.done();
  assert.equal(await digest(await last.save(0)), await digest(file));
  assert.equal(probe.receivedFromRelay, 0);
  assert.ok((await seeding.probe()).uploaded > 11 * MIB, 'it came from who shares it');
  // The trackers are gone, and the browser says so.
  last.assertClean(/ERR_CONNECTION_REFUSED|WebSocket/);
});
