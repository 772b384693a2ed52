// Many tabs fetch the same file at the same time from one slow seeder: how long until the last has it, beside what the seeder's rate allows, and
// how many copies the seeder had to send.

import { join } from 'node:path';
import { FLAGS } from '../browser/lib/browser.mjs';
import { write } from '../browser/lib/content.mjs';
import { atEnd } from '../browser/lib/end.mjs';
import { CHROMIUM, folder } from '../browser/lib/place.mjs';
import { seedToTabs } from '../browser/lib/tombolo.mjs';
import { WebTorrentTab } from '../browser/lib/webtorrent.mjs';
import { cpuSeconds } from './cost.mjs';

const TABS = 8;
/** Bytes a second of the seeder. */
const RATE = 2_000_000;
/** Longer than any page takes, in ms. */
const PATIENCE = 300_000;

/** Opens tabs that share nothing: each in a context, and so with storage, of its own. */
async function contexts(t) {
  const { chromium } = await import('../browser/node_modules/playwright-core/index.mjs');
  const opened = await chromium.launch({ executablePath: CHROMIUM, args: FLAGS });
  atEnd(t, () => opened.close());
  return Promise.all(Array.from({ length: TABS }, () => opened.newContext({ permissions: ['microphone'] })));
}

/** Runs in the page before its scripts: it is in the background, where nothing is drawn. */
function inBackground() {
  Object.defineProperty(document, 'visibilityState', { get: () => 'hidden' });
  window.requestAnimationFrame = () => 0;
}

/** Our page. What all eight draw takes half of this machine, so it is also measured without. */
const ours = (prepare) => async (t, context, relay, link) => {
  const page = await context.newPage();
  await prepare(page);
  await page.goto(relay.page());
  await page.evaluate(() => window.tombolo.ready);
  return () => page.evaluate(async ([uri, patience]) => {
    const start = performance.now();
    await window.tombolo.add(uri);
    while (window.tombolo.probe()?.t.done === undefined && performance.now() - start < patience) await new Promise((next) => { setTimeout(next, 50); });
    return (window.tombolo.probe().t.done ?? Infinity) - start;
  }, [link, PATIENCE]);
};

/** Each resolves with what begins, and that with when a tab is done, in ms of its own clock since it began. */
const PAGES = {
  'tombolo, all eight drawing': ours(() => {}),
  'tombolo, in the background': ours((page) => page.addInitScript(inBackground)),
  async WebTorrent(t, context, relay, link) {
    const { page } = await WebTorrentTab.open(t, { context });
    return () => page.evaluate((uri) => new Promise((resolve) => {
      const start = performance.now();
      window.client.add(uri).on('done', () => resolve(performance.now() - start));
    }), link);
  },
};

export const CROWDS = Object.keys(PAGES);

/** `{first, middle, last, cpu, bound, copies}`: when tabs were done, and when all could have been, in seconds; and CPU seconds of it all. */
export function crowd(page) {
  return async (t, length) => {
    const file = write(join(folder(t, 'crowd'), 'content.bin'), length);
    const { relay, seeder, link } = await seedToTabs(t, file, 256 << 10, '--up', `${RATE}`);
    const begin = await Promise.all((await contexts(t)).map((context) => PAGES[page](t, context, relay, link)));
    const before = cpuSeconds([process.pid]);
    const times = (await Promise.all(begin.map((each) => each()))).map((ms) => ms / 1000).sort((one, other) => one - other);
    const { uploaded } = seeder.last((event) => event.uploaded !== undefined);
    // max{F/us, NF/(us+sum u)}, where what tabs send each other is not limited.
    return { first: times[0], middle: times[TABS / 2], last: times.at(-1), cpu: cpuSeconds([process.pid]) - before, bound: length / RATE, copies: uploaded / length };
  };
}
