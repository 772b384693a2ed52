// Other clients announce to our tracker, on every face they speak, over IPv4 and IPv6: it counts them, and tells others of them.

import assert from 'node:assert/strict';
import { register } from 'node:module';
import { join } from 'node:path';
import { test } from 'node:test';
import { browser } from '../browser/lib/browser.mjs';
import { write } from '../browser/lib/content.mjs';
import { atEnd } from '../browser/lib/end.mjs';
import { ROOT, folder, needs } from '../browser/lib/place.mjs';
import { create } from '../browser/lib/tombolo.mjs';
import { WebTorrentTab } from '../browser/lib/webtorrent.mjs';
import { CLIENTS } from './lib/clients.mjs';
import { tracker } from './lib/tracker.mjs';

const LOOPBACK = { IPv4: '127.0.0.1', IPv6: '[::1]' };

/**
 * What each client speaks. transmission reads no addresses of IPv6 in URLs, and asks UDP trackers over IPv4 alone, as aria2 does.
 */
const FACES = {
  IPv4: { libtorrent: ['http', 'udp', 'ws'], transmission: ['http', 'udp'], aria2: ['http', 'udp'], rqbit: ['http', 'udp'] },
  IPv6: { libtorrent: ['http', 'udp', 'ws'], transmission: [], aria2: ['http'], rqbit: ['http', 'udp'] },
};

/** npm's client. Its WebRTC has a part that is compiled, and that HTTP and UDP do without. */
async function npmClient() {
  const none = 'export const RTCPeerConnection = undefined, RTCSessionDescription = undefined, RTCIceCandidate = undefined; export default {}';
  const hook = `export const resolve = (name, context, next) => name === 'webrtc-polyfill'
    ? { url: ${JSON.stringify(`data:text/javascript,${none}`)}, shortCircuit: true } : next(name, context)`;
  register(`data:text/javascript,${encodeURIComponent(hook)}`);
  return (await import(join(ROOT, 'tests/browser/node_modules/bittorrent-tracker/client.js'))).default;
}

for (const [family, ip] of Object.entries(LOOPBACK)) {
  for (const client of CLIENTS) {
    for (const face of FACES[family][client.name]) {
      test(`${client.name} announces over ${face} and ${family}`, needs(client.name), async (t) => {
        const { url, counts } = await tracker(t, ip);
        const dir = folder(t, 'content');
        const file = write(join(dir, 'a.bin'), 100_003);
        const torrent = await create(t, file, '--tracker', url(face));
        const transport = face === 'ws' ? 'rtc' : 'tcp';
        // Those that read the torrent's trackers need not be told; libtorrent's tests clear them.
        const trackers = client.name === 'libtorrent' ? [url(face)] : [];
        await client.start(t, { role: 'seeder', torrent: torrent.file, dir, transport, trackers, listen: `${ip}:0`, ipv6: family === 'IPv6', ip });
        await counts(torrent.info_hash_v1);
      });
    }
  }

  // Of UDP it takes the brackets of an IPv6 address for a part of a name.
  for (const face of family === 'IPv6' ? ['http'] : ['http', 'udp']) {
    test(`npm's bittorrent-tracker announces over ${face} and ${family}`, needs('webtorrent'), async (t) => {
      const { url, counts } = await tracker(t, ip);
      const Client = await npmClient();
      const infoHash = '0123456789abcdef0123456789abcdef01234567';
      const client = new Client({ infoHash, peerId: Buffer.from('-XX0000-abcdefghijkl'), announce: [url(face)], port: 6881 });
      atEnd(t, () => client.destroy());
      const update = new Promise((resolve, reject) => {
        client.once('update', resolve);
        client.once('warning', reject);
        client.once('error', reject);
      });
      client.start({ left: 0 });
      const { complete, incomplete } = await update;
      assert.deepEqual([complete, incomplete], [1, 0]);
      await counts(infoHash);
    });
  }

  test(`WebTorrent announces over ws and ${family}`, needs('chromium', 'webtorrent'), async (t) => {
    const { url, counts } = await tracker(t, ip);
    const tab = await WebTorrentTab.open(t, await browser(t));
    await counts(await tab.seedNoise(100_003, url('ws')));
  });
}
