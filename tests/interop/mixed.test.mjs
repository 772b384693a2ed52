// One swarm of three kinds of web peers, which share no line: our tab, WebTorrent's page, libtorrent. First both others take from our tab; then it goes,
// and another tab of ours takes from both of them. They meet at our tracker, and at the one of npm.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { browser } from '../browser/lib/browser.mjs';
import { MIB, digest, write } from '../browser/lib/content.mjs';
import { atEnd } from '../browser/lib/end.mjs';
import { libtorrent } from '../browser/lib/libtorrent.mjs';
import { ROOT, folder, needs } from '../browser/lib/place.mjs';
import { Relay, magnet } from '../browser/lib/tombolo.mjs';
import { until } from '../browser/lib/wait.mjs';
import { WebTorrentTab } from '../browser/lib/webtorrent.mjs';

const OTHERS = ['libtorrent', 'WebTorrent'];
/** Bytes a second. */
const SLOW = MIB / 4;

/** Where the peers meet: the address of a WebSocket tracker. */
const TRACKERS = {
  ours: (t, relay) => relay.tracker,
  async npm(t) {
    const { default: Server } = await import(join(ROOT, 'tests/browser/node_modules/bittorrent-tracker/server.js'));
    const server = new Server({ udp: false, http: true, ws: true, stats: false });
    server.on('warning', () => {});
    await new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(0, '127.0.0.1', resolve);
    });
    atEnd(t, () => server.close());
    return `ws://127.0.0.1:${server.http.address().port}/announce`;
  },
};

/**
 * Has a tab trade slowly until it has traded with both others, in the direction `way`: fast, one alone could do all before the other is there.
 * What links that are gone have carried counts.
 */
async function withBoth(tab, way, begin) {
  const [limit, key] = way === 'up' ? ['up', 'sent'] : ['down', 'received'];
  const most = {};
  const look = async () => {
    for (const { client, [key]: bytes } of await tab.page.evaluate(() => window.tombolo.torrents[0]?.snapshot.peers ?? [])) {
      const name = OTHERS.find((other) => client.startsWith(other));
      if (name) most[name] = Math.max(most[name] ?? 0, bytes);
    }
    return OTHERS.every((name) => most[name] > 0);
  };
  const configure = (bytes) => tab.page.evaluate(([name, value]) => window.tombolo.configure({ [name]: value }).then(() => null), [limit, bytes]);
  await configure(SLOW);
  await begin();
  await until(`both others (${way})`, look, { within: 200_000, describe: () => most });
  await configure(null);
}

for (const [whose, start] of Object.entries(TRACKERS)) {
  test(`a tab, WebTorrent and libtorrent are one swarm at ${whose === 'ours' ? 'our tracker' : "npm's tracker"}`, needs('chromium', 'webtorrent', 'libtorrent'), async (t) => {
    const file = write(join(folder(t, 'content'), 'one for all.bin'), 10 * MIB + 5);
    const relay = await Relay.start(t, '--bridge', 'off');
    const tracker = await start(t, relay);
    const here = (...more) => relay.page(['relay', 'off'], ['tracker', tracker], ...more);

    const first = await browser(t);
    const seeding = await first.open(here());
    await seeding.share(file);
    const { infoHash } = await seeding.until('seeding', ({ t: { done } }) => done !== undefined);
    const out = folder(t, 'libtorrent');
    const page = await WebTorrentTab.open(t, await browser(t));
    let native, downloaded;
    await withBoth(seeding, 'up', async () => {
      native = await libtorrent(t, { magnet: magnet(infoHash), dir: out, transport: 'rtc', trackers: [tracker] });
      downloaded = page.download(magnet(infoHash, ['tr', tracker]));
    });
    assert.equal(await downloaded, await digest(file));
    await native.process.event('finished', ({ finished }) => finished, { within: 200_000 });
    assert.equal(await digest(join(out, 'one for all.bin')), await digest(file));
    seeding.assertClean();
    await first.context.close();

    const tab = await (await browser(t)).open(here());
    await tab.page.evaluate(() => window.tombolo.ready);
    await withBoth(tab, 'down', () => tab.page.evaluate((link) => window.tombolo.add(link).then(() => null), magnet(infoHash)));
    await tab.done();
    assert.equal(await digest(await tab.save(0)), await digest(file));
    tab.assertClean();
  });
}
