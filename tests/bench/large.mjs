// Torrents of very many files and of very many pieces in our page: how long from the click until it knows them and shows them.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { browser } from '../browser/lib/browser.mjs';
import { write } from '../browser/lib/content.mjs';
import { folder } from '../browser/lib/place.mjs';
import { Relay, create, seed } from '../browser/lib/tombolo.mjs';

/** In the page: adds the torrent, then scrolls through its files. All in ms: see `large`. */
async function open(source) {
  let [longest, before] = [0, performance.now()];
  const watch = (now) => {
    [longest, before] = [Math.max(longest, now - before), now];
    requestAnimationFrame(watch);
  };
  requestAnimationFrame(watch);
  const frame = () => new Promise(requestAnimationFrame);
  const id = source.magnet ?? Uint8Array.from(atob(source.base64), (character) => character.charCodeAt(0));
  await frame();
  const start = performance.now();
  const since = () => performance.now() - start;
  longest = 0;
  const torrent = await window.tombolo.add(id);
  await torrent.metadata();
  const known = since();
  while (![...document.querySelectorAll('#files-list tbody tr[role=row]')].some((row) => row.offsetHeight > 0)) await frame();
  await frame();
  const shown = since();
  while (window.tombolo.probe()?.t.ready === undefined) await frame();
  const found = { known, shown, ready: since(), longest };
  longest = 0;
  const list = document.querySelector('#files-list');
  for (let step = 1; step <= 60; step += 1) {
    list.scrollTop = list.scrollHeight * step / 60;
    await frame();
  }
  return { ...found, scroll: longest };
}

/** 10,000 files, or 100,000 pieces. */
function content(dir, what) {
  const path = join(dir, 'content');
  if (what === 'pieces') return write(path, 100_000 * 16_384);
  for (let n = 0; n < 10_000; n += 1) write(join(path, `folder ${n % 100}`, `file ${n}.bin`), 1000, n + 1);
  return path;
}

/**
 * `{known, shown, ready, longest, scroll}` in ms: until the files are known, until their list is drawn, until the storage is open; the longest time without
 * a frame until then, and while the list is scrolled.
 */
export function large(what, by) {
  return async (t) => {
    const dir = folder(t, 'large');
    const torrent = await create(t, content(dir, what), '--v1', ...(what === 'pieces' ? ['--piece-length', '16384'] : []));
    const seeder = await seed(t, torrent.file, '--dir', dir);
    const relay = await Relay.start(t);
    const { page } = await (await browser(t)).open(relay.page(['peer', seeder.address]));
    await page.evaluate(() => window.tombolo.ready);
    return page.evaluate(open, by === 'link' ? { magnet: seeder.magnet } : { base64: readFileSync(torrent.file).toString('base64') });
  };
}
