// A page with the WebTorrent client in it, on an origin of its own.

import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { ROOT } from './place.mjs';
import { until } from './wait.mjs';

const BUNDLE = join(ROOT, 'tests/browser/node_modules/webtorrent/dist/webtorrent.min.js');
const PAGE = `<!doctype html><title>WebTorrent</title><script type="module">
import WebTorrent from './webtorrent.min.js';
window.client = new WebTorrent({ tracker: { rtcConfig: { iceServers: [] } }, dht: false, lsd: false });
</script>`;

/** Serves the page; ends with test `t`. Returns its origin. */
async function serve(t) {
  const server = createServer(async (request, response) => {
    const script = request.url === '/webtorrent.min.js';
    response.setHeader('content-type', script ? 'text/javascript' : 'text/html');
    response.end(script ? await readFile(BUNDLE) : PAGE);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  t.after(() => server.closeAllConnections());
  return `http://127.0.0.1:${server.address().port}`;
}

/** A tab of `browser` with a WebTorrent client. */
export class WebTorrentTab {
  static async open(t, browser) {
    const tab = new WebTorrentTab();
    tab.page = await browser.context.newPage();
    await tab.page.goto(`${await serve(t)}/`);
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
