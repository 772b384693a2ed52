// The paths by which content reaches a tab of ours, each with a fresh browser.

import { join } from 'node:path';
import { browser } from '../browser/lib/browser.mjs';
import { write } from '../browser/lib/content.mjs';
import { folder } from '../browser/lib/place.mjs';
import { Relay, magnet, seed, seedToTabs } from '../browser/lib/tombolo.mjs';
import { browserPid, cost } from './cost.mjs';

/** A file of so many bytes. */
const content = (t, length) => write(join(folder(t, 'bench'), 'content.bin'), length);

/** Has a page note the longest time in which nothing was verified, from its first piece to its last. */
function watch(page) {
  return page.addInitScript(() => {
    let have = 0, at = null;
    window.longestPause = 0;
    setInterval(() => {
      const verified = window.tombolo?.probe?.()?.have ?? 0, now = performance.now();
      if (verified === have) return;
      if (at !== null) window.longestPause = Math.max(window.longestPause, now - at);
      [have, at] = [verified, now];
    }, 50);
  });
}

/** Opens `url` and waits for the end: from the first byte to the last stored piece, and times since the page's load. */
async function finished(chromium, url) {
  const tab = await chromium.open(url, watch);
  const { t } = await tab.done();
  const pause = await tab.page.evaluate(() => window.longestPause);
  return { ms: t.done - t.firstByte, firstPeer: t.firstPeer, firstPiece: t.firstPiece, pause };
}

/** Opens `url` in a fresh browser and waits for the end, at the cost of the browser and of `others`. */
async function download(t, url, others) {
  const chromium = await browser(t);
  const found = await cost([browserPid(chromium.profile), ...others.map(({ pid }) => pid)], () => finished(chromium, url));
  // Or it would seed to the next one.
  await chromium.context.close();
  return found;
}

/** Native seeder to tab by WebRTC; the relay only introduces them. */
export async function nativeByWebRtc(t, length) {
  const { relay, seeder, link } = await seedToTabs(t, content(t, length), 1 << 20);
  return download(t, relay.page(['magnet', link]), [seeder]);
}

/** Native TCP seeder through the relay: first nothing is cached, then everything. `wire` or WebRTC to the tab. */
export function bridge(wire) {
  return async (t, length) => {
    const file = content(t, length);
    const seeder = await seed(t, file);
    const relay = await Relay.start(t, '--cache', `${2 * length}`);
    const last = wire ? [] : [['relay', 'off']];
    const url = relay.page(['magnet', seeder.magnet], ['peer', seeder.address], ...last);
    await relay.stats();
    if (!wire) await joinSwarm(relay, seeder);
    const cold = await download(t, url, [relay.process, seeder.process]);
    const cached = await download(t, url, [relay.process, seeder.process]);
    return { cold, cached };
  };
}

/** Has the relay join the swarm: a tab that does not know the relay cannot ask for it. */
async function joinSwarm(relay, seeder) {
  const post = (path, body) => fetch(`${relay.origin}${path}`, {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body),
  });
  await post('/api/torrents', { magnet: seeder.magnet });
  await post(`/api/torrents/${seeder.info_hash_v1}/peers`, { peers: [seeder.address] });
}

/** Tab to tab by WebRTC. */
export async function tabToTab(t, length) {
  const file = content(t, length);
  const relay = await Relay.start(t);
  const [one, other] = [await browser(t), await browser(t)];
  const seeding = await one.open(relay.page());
  await seeding.share(file);
  const { infoHash } = await seeding.until('seeding', ({ t: { done } }) => done !== undefined);
  const url = relay.page(['magnet', magnet(infoHash)]);
  return cost([one, other].map(({ profile }) => browserPid(profile)), () => finished(other, url));
}
