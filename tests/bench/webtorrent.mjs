// WebTorrent on the same paths, in the same browser: what users would have otherwise.

import { join } from 'node:path';
import { browser } from '../browser/lib/browser.mjs';
import { write } from '../browser/lib/content.mjs';
import { libtorrent } from '../browser/lib/libtorrent.mjs';
import { folder } from '../browser/lib/place.mjs';
import { Relay, create, magnet } from '../browser/lib/tombolo.mjs';
import { WebTorrentTab } from '../browser/lib/webtorrent.mjs';
import { browserPid, cost } from './cost.mjs';

/** Downloads in a tab that is there already; `ms` from the first byte to the end. */
async function download(tab, link) {
  return tab.page.evaluate((uri) => new Promise((resolve) => {
    const added = performance.now();
    const torrent = window.client.add(uri);
    let first;
    torrent.on('download', () => { first ??= performance.now(); });
    torrent.on('done', () => resolve({ ms: performance.now() - first, firstPiece: first - added }));
  }), link);
}

/** A native seeder (libtorrent) to a WebTorrent tab. */
export async function nativeByWebRtc(t, length) {
  const dir = folder(t, 'bench');
  const torrent = await create(t, write(join(dir, 'content.bin'), length), '--piece-length', `${1 << 20}`);
  const relay = await Relay.start(t, '--bridge', 'off');
  const seeder = await libtorrent(t, { torrent: torrent.file, dir, transport: 'rtc', trackers: [relay.tracker] });
  const chromium = await browser(t);
  const tab = await WebTorrentTab.open(t, chromium);
  const link = magnet(torrent.info_hash_v1, ['tr', relay.tracker]);
  return cost([browserPid(chromium.profile), seeder.process.pid], () => download(tab, link));
}

/** WebTorrent tab to WebTorrent tab. */
export async function tabToTab(t, length) {
  const relay = await Relay.start(t, '--bridge', 'off');
  const [one, other] = [await browser(t), await browser(t)];
  const [seeder, leecher] = [await WebTorrentTab.open(t, one), await WebTorrentTab.open(t, other)];
  const infoHash = await seeder.seedNoise(length, relay.tracker);
  const link = magnet(infoHash, ['tr', relay.tracker]);
  return cost([one, other].map(({ profile }) => browserPid(profile)), () => download(leecher, link));
}
