// A page with the WebTorrent client in it, on an origin of its own.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ROOT } from './place.mjs';
import { serve } from './serve.mjs';
import { until } from './wait.mjs';

const DIST = join(ROOT, 'tests/browser/node_modules/webtorrent/dist');
/** The client, and the service worker by which it streams. */
const SCRIPTS = ['/webtorrent.min.js', '/sw.min.js'];
const PAGE = `<!doctype html><title>WebTorrent</title><script type="module">
import WebTorrent from './webtorrent.min.js';
window.client = new WebTorrent({ tracker: { rtcConfig: { iceServers: [] } }, dht: false, lsd: false });
</script>`;

/** Serves the page on an origin of its own. */
function page(t) {
  return serve(t, async (path) => {
    if (SCRIPTS.includes(path)) return { type: 'text/javascript', body: await readFile(join(DIST, path)) };
    return { type: 'text/html', body: PAGE };
  });
}

/** A tab of `browser` with a WebTorrent client. */
export class WebTorrentTab {
  static async open(t, browser) {
    const tab = new WebTorrentTab();
    tab.page = await browser.context.newPage();
    await tab.page.goto(`${(await page(t)).origin}/`);
    await tab.page.waitForFunction(() => window.client);
    return tab;
  }

  /** Seeds one file of these bytes and announces it at `tracker`; returns the info-hash. */
  async seed(bytes, name, tracker) {
    return this.page.evaluate(async ({ text, name: called, announce }) => {
      const data = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
      const file = new File([data], called);
      return new Promise((resolve) => window.client.seed(file, { announce: [announce] }, (torrent) => resolve(torrent.infoHash)));
    }, { text: bytes.toString('base64'), name, announce: tracker });
  }

  /** Seeds one file of `length` random bytes, made in the page. */
  async seedNoise(length, tracker) {
    return this.page.evaluate(([total, announce]) => {
      const part = crypto.getRandomValues(new Uint8Array(65536));
      const parts = Array.from({ length: Math.ceil(total / part.length) }, (_, index) => {
        const copy = part.slice(0, Math.min(part.length, total - index * part.length));
        new DataView(copy.buffer).setUint32(0, index);
        return copy;
      });
      const file = new File(parts, 'noise.bin');
      return new Promise((resolve) => window.client.seed(file, { announce: [announce] }, (torrent) => resolve(torrent.infoHash)));
    }, [length, tracker]);
  }

  /** Downloads a magnet to its end; returns SHA-256 of its first file. */
  async download(magnet) {
    await this.page.evaluate((link) => { window.torrent = window.client.add(link); }, magnet);
    const state = () => this.page.evaluate(() => {
      const { progress, numPeers, ready, done } = window.torrent;
      return { progress, numPeers, ready, done };
    });
    await until('WebTorrent to download', async () => (await state()).done, { within: 200_000, describe: state });
    return this.page.evaluate(async () => {
      const hash = await crypto.subtle.digest('SHA-256', await (await window.torrent.files[0].blob()).arrayBuffer());
      return [...new Uint8Array(hash)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
    });
  }
}
