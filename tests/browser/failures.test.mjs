// What the page says when something is wrong: what happened, why, and what to do about it.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { browser } from './lib/browser.mjs';
import { MIB, write } from './lib/content.mjs';
import { ROOT, folder, needs } from './lib/place.mjs';
import { serveFolder } from './lib/serve.mjs';
import { Relay, magnet, seed } from './lib/tombolo.mjs';
import { freePorts } from './lib/transmission.mjs';

const HASH = 'c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00';

/** Types a link into the first field, as a user would, and returns what is said below it. */
async function refusal(tab, link) {
  await tab.page.evaluate(() => window.tombolo.ready);
  await tab.page.locator('#open-field').fill(link);
  await tab.page.locator('#open-field').press('Enter');
  const alert = tab.page.locator('#open-error');
  await alert.filter({ hasText: /\w/ }).waitFor({ timeout: 60_000 });
  return alert.innerText();
}

test('a cut magnet is refused with both lengths', needs('chromium'), async (t) => {
  const relay = await Relay.start(t);
  const tab = await (await browser(t)).open(relay.page());
  const text = await refusal(tab, magnet(HASH.slice(0, 20)));
  assert.match(text, /cut short.*40 characters.*20/s);
  assert.equal(await tab.page.evaluate(() => window.tombolo.torrents.length), 0);
});

test('a torrent that the relay may not serve can be opened without it', needs('chromium'), async (t) => {
  const relay = await Relay.start(t, '--bridge', 'list');
  const tab = await (await browser(t)).open(relay.page(['magnet', magnet(HASH)]));
  assert.match(await tab.notice('relay-refused'), /does not serve this torrent.*Open without relay/s);
});

test('a tracker that does not answer is named', needs('chromium'), async (t) => {
  const relay = await Relay.start(t);
  const [port] = await freePorts(1);
  const tracker = `ws://127.0.0.1:${port}/announce`;
  const tab = await (await browser(t)).open(relay.page(['magnet', magnet(HASH)], ['tracker', tracker]));
  const text = await tab.notice('tracker');
  assert.match(text, /Tracker does not answer/);
  assert.ok(text.includes(tracker), text);
});

test('a browser without WebRTC is told of, and still downloads through the relay', needs('chromium'), async (t) => {
  const file = write(join(folder(t, 'content'), 'content.bin'), 2 * MIB);
  const seeder = await seed(t, file);
  const relay = await Relay.start(t);
  const url = relay.page(['magnet', seeder.magnet], ['peer', seeder.address]);
  const tab = await (await browser(t)).open(url, (page) => page.addInitScript(() => { delete window.RTCPeerConnection; }));
  assert.match(await tab.notice('webrtc-missing'), /No direct connections to other tabs/);
  await tab.done();
});

test('a full browser pauses and says what is missing', needs('chromium'), async (t) => {
  const file = write(join(folder(t, 'content'), 'content.bin'), 24 * MIB);
  const seeder = await seed(t, file);
  const relay = await Relay.start(t);
  const chromium = await browser(t);
  const url = relay.page(['magnet', seeder.magnet], ['peer', seeder.address]);
  const tab = await chromium.open(url, async (page) => {
    const session = await chromium.context.newCDPSession(page);
    await session.send('Storage.overrideQuotaForOrigin', { origin: relay.origin, quotaSize: 8 * MIB });
  });
  assert.match(await tab.notice('quota'), /No room left in this browser/);
  const { have, t: { done } } = await tab.probe();
  assert.ok(have < 24 * MIB && done === undefined, `${have} bytes kept`);
});

test('a relay that is gone is told of', needs('chromium'), async (t) => {
  const relay = await Relay.start(t);
  const tab = await (await browser(t)).open(relay.page(['magnet', magnet(HASH)]));
  await tab.until('the tracker to answer', ({ t: { announced } }) => announced !== undefined);
  await relay.kill();
  assert.match(await tab.notice('relay-gone'), /Relay is gone/);
});

test('an insecure page says what it cannot do', needs('chromium'), async (t) => {
  const { port } = await serveFolder(t, join(ROOT, 'www'));
  const chromium = await browser(t, { flags: ['--host-resolver-rules=MAP tombolo.test 127.0.0.1'] });
  const tab = await chromium.open(`http://tombolo.test:${port}/`);
  assert.match(await tab.notice('insecure'), /Limited to 256.MiB.*not on https/s);
});
