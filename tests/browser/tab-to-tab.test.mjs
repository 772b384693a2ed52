// Two tabs exchange a file directly; the relay introduces them and carries none of it.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { browser } from './lib/browser.mjs';
import { MIB, digest, write } from './lib/content.mjs';
import { folder, needs } from './lib/place.mjs';
import { Relay, magnet } from './lib/tombolo.mjs';

test('a tab downloads over WebRTC what another tab shares', needs('chromium'), async (t) => {
  const file = write(join(folder(t, 'content'), 'shared file.bin'), 24 * MIB + 4321);
  const relay = await Relay.start(t);
  const [one, other] = [await browser(t), await browser(t)];
  const seeding = await one.open(relay.page());
  await seeding.share(file);
  const { infoHash } = await seeding.until('seeding', ({ t: { done } }) => done !== undefined);

  const leeching = await other.open(relay.page(['magnet', magnet(infoHash)]));
  const probe = await leeching.done();

  assert.equal(await digest(await leeching.save(0)), await digest(file));
  assert.equal(probe.receivedFromRelay, 0);
  assert.ok(probe.events.some(([, kind, text]) => kind === 'wire' && text.startsWith('webrtc')), 'a WebRTC wire');
  const { bytes_web_out: sent, panics } = await relay.stats();
  assert.equal(sent, 0);
  assert.equal(panics, 0);
  seeding.assertClean();
  leeching.assertClean();
});
