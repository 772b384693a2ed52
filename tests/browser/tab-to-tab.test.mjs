// Two tabs exchange a file directly; the relay introduces them and carries none of it.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { BROWSERS, browser } from './lib/browser.mjs';
import { MIB, digest, write } from './lib/content.mjs';
import { folder, needs } from './lib/place.mjs';
import { Relay, magnet, seedToTabs } from './lib/tombolo.mjs';

/** A tab of the first browser shares a file, one of the second downloads it; both are prepared so. Returns the two tabs. */
async function share(t, names, file, prepare) {
  const relay = await Relay.start(t);
  const [one, other] = [await browser(t, { name: names[0] }), await browser(t, { name: names[1] })];
  const seeding = await one.open(relay.page(), prepare);
  await seeding.share(file);
  const { infoHash } = await seeding.until('seeding', ({ t: { done } }) => done !== undefined);

  const leeching = await other.open(relay.page(['magnet', magnet(infoHash)]), prepare);
  const probe = await leeching.done();

  assert.equal(await digest(await leeching.save(0)), await digest(file));
  assert.equal(probe.receivedFromRelay, 0);
  assert.ok(probe.events.some(([, kind, text]) => kind === 'wire' && text.startsWith('webrtc')), 'a WebRTC wire');
  const { bytes_web_out: sent, panics } = await relay.stats();
  assert.equal(sent, 0);
  assert.equal(panics, 0);
  seeding.assertClean();
  leeching.assertClean();
  return [seeding, leeching];
}

for (const from of BROWSERS) for (const to of BROWSERS) test(`a tab downloads over WebRTC what another tab shares (${from} to ${to})`, needs(from, to), async (t) => {
  const file = write(join(folder(t, 'content'), 'shared file.bin'), 24 * MIB + 4321);
  await share(t, [from, to], file);
});

test('tabs of different browsers trade what one slow seeder gives them', needs(...BROWSERS), async (t) => {
  const file = write(join(folder(t, 'content'), 'seldom.bin'), 16 * MIB + 7);
  const { relay, link } = await seedToTabs(t, file, 128 * 1024, '--up', `${2 * MIB}`);
  const both = await Promise.all(BROWSERS.map((name) => browser(t, { name })));
  const tabs = await Promise.all(both.map((one) => one.open(relay.page(['magnet', link]))));
  for (const tab of tabs) await tab.done();
  for (const tab of tabs) {
    assert.equal(await digest(await tab.save(0)), await digest(file));
    const { uploaded } = await tab.probe();
    assert.ok(uploaded > 0, 'it gave something');
    // Firefox names a socket to the relay that was let go before it was open.
    tab.assertClean(/favicon|\/wire\?/);
  }
});

/** Runs in the page before its scripts: a browser that cannot transfer data channels. What the page then forwards is counted. */
function withoutTransfer() {
  const clone = window.structuredClone;
  window.structuredClone = (value, options) => {
    if (value instanceof RTCDataChannel) throw new DOMException('cannot be transferred', 'DataCloneError');
    return clone(value, options);
  };
  window.forwarded = { bytes: 0, channels: 0 };
  const post = Worker.prototype.postMessage;
  Worker.prototype.postMessage = function count(message, ...rest) {
    if (message.rtc === 'message') window.forwarded.bytes += message.data.byteLength;
    if (message.rtc === 'channel') window.forwarded.channels += 1;
    return post.call(this, message, ...rest);
  };
}

for (const name of BROWSERS) test(`where channels cannot be handed to a worker, the page forwards (${name})`, needs(name), async (t) => {
  const length = 24 * MIB + 4321;
  const file = write(join(folder(t, 'content'), 'shared file.bin'), length);
  const [, leeching] = await share(t, [name, name], file, (page) => page.addInitScript(withoutTransfer));
  const { bytes, channels } = await leeching.page.evaluate(() => window.forwarded);
  assert.equal(channels, 0, 'none was transferred');
  assert.ok(bytes >= length, `${bytes} bytes forwarded`);
});
