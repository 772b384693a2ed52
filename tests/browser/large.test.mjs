// Torrents that are large in number: the page knows and shows all of it, and draws no more than fits on the screen.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { browser } from './lib/browser.mjs';
import { noise } from './lib/content.mjs';
import { needs } from './lib/place.mjs';
import { Relay } from './lib/tombolo.mjs';
import { until } from './lib/wait.mjs';

const PIECE = 16_384;
/** More than a screen has rows. */
const DRAWN = 200;

/** Bencodes numbers, strings, bytes, lists and objects whose keys are in order. */
function bencode(value) {
  if (typeof value === 'number') return Buffer.from(`i${value}e`);
  if (typeof value === 'string' || value instanceof Uint8Array) return Buffer.concat([Buffer.from(`${Buffer.byteLength(value)}:`), Buffer.from(value)]);
  if (Array.isArray(value)) return Buffer.concat([Buffer.from('l'), ...value.map(bencode), Buffer.from('e')]);
  return Buffer.concat([Buffer.from('d'), ...Object.entries(value).flat().map(bencode), Buffer.from('e')]);
}

/** A .torrent of so many pieces, whose content nobody has. */
function torrent(pieces, what) {
  return bencode({ info: { ...what, name: 'large', 'piece length': PIECE, pieces: noise(20 * pieces) } });
}

/** Opens a page, adds the torrent, waits until its `files` are in the list. */
async function opened(t, bytes, files) {
  const relay = await Relay.start(t);
  const tab = await (await browser(t)).open(relay.page(['relay', 'off']));
  await tab.page.evaluate(() => window.tombolo.ready);
  await tab.page.evaluate((text) => window.tombolo.add(Uint8Array.from(atob(text), (each) => each.charCodeAt(0))).then(() => null), bytes.toString('base64'));
  await tab.until('the list of files', ({ files: list, t: { ready } }) => list.length === files && ready !== undefined);
  return tab;
}

test('a torrent of 10,000 files is listed, and its list scrolls to the end', needs('chromium'), async (t) => {
  const list = Array.from({ length: 10_000 }, (_, n) => ({ length: 1000, path: [`folder ${String(n % 100).padStart(2, '0')}`, `file ${String(n).padStart(4, '0')}.bin`] }));
  const tab = await opened(t, torrent(Math.ceil(10_000_000 / PIECE), { files: list }), 10_000);
  const rows = tab.page.locator('#files-list tbody tr');
  await tab.page.getByText('folder 00').waitFor();
  await tab.page.evaluate(() => {
    const scroller = document.querySelector('#files-list');
    scroller.scrollTop = scroller.scrollHeight;
  });
  await tab.page.locator('#files-list').getByText('file 9999.bin').waitFor();
  assert.ok((await rows.count()) < DRAWN, `${await rows.count()} rows drawn`);
  tab.assertClean();
});

test('a torrent of 100,000 pieces is shown', needs('chromium'), async (t) => {
  const tab = await opened(t, torrent(100_000, { length: 100_000 * PIECE }), 1);
  const label = () => tab.page.locator('#map canvas[role=img]').getAttribute('aria-label');
  await until('the map', async () => /of 100\D?000 pieces/.test(await label()), { describe: label });
  assert.equal((await tab.probe()).pieces, 100_000);
  tab.assertClean();
});
