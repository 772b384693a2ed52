// What a page holds in memory while it downloads, by the size of what it downloads: our page and WebTorrent's, the same seeder over WebRTC.

import { join } from 'node:path';
import { browser } from '../browser/lib/browser.mjs';
import { write } from '../browser/lib/content.mjs';
import { folder } from '../browser/lib/place.mjs';
import { seedToTabs } from '../browser/lib/tombolo.mjs';
import { WebTorrentTab } from '../browser/lib/webtorrent.mjs';
import { browserPid, pageBytes } from './cost.mjs';

const EVERY_MS = 250;

/** Each opens its page and returns what downloads, with the time of that in ms. */
const PAGES = {
  async tombolo(t, chromium, relay, link) {
    const tab = await chromium.open(relay.page());
    await tab.page.evaluate(() => window.tombolo.ready);
    return async () => {
      await tab.page.evaluate((uri) => window.tombolo.add(uri).then(() => null), link);
      const probe = await tab.done({ within: 600_000 });
      return probe.t.done - probe.t.added;
    };
  },
  async WebTorrent(t, chromium, relay, link) {
    const tab = await WebTorrentTab.open(t, chromium);
    return () => tab.page.evaluate((uri) => new Promise((resolve) => {
      const added = performance.now();
      window.client.add(uri).on('done', () => resolve(performance.now() - added));
    }), link);
  },
};

/** `{ms, empty, peak}`: from the click to the end, and the private bytes of the page's process before it and at most. */
export function memory(page) {
  return async (t, length) => {
    const file = write(join(folder(t, 'memory'), 'content.bin'), length);
    const { relay, link } = await seedToTabs(t, file, 1 << 20);
    const chromium = await browser(t);
    const download = await PAGES[page](t, chromium, relay, link);
    const roots = [browserPid(chromium.profile)];
    const empty = pageBytes(roots);
    let peak = empty;
    const timer = setInterval(() => { peak = Math.max(peak, pageBytes(roots)); }, EVERY_MS);
    try {
      return { ms: await download(), empty, peak };
    } finally {
      clearInterval(timer);
    }
  };
}
