// `probe()` is consistent in itself, whenever it is asked.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { browser } from './lib/browser.mjs';
import { MIB, write } from './lib/content.mjs';
import { folder, needs } from './lib/place.mjs';
import { Relay, create, seed } from './lib/tombolo.mjs';

/**
 * Runs in the page before its scripts: asks for a probe before every message that the page takes from its worker, which are
 * all moments at which something can have changed, and keeps what contradicts itself.
 */
function watch() {
  window.contradictions = [];
  window.probes = 0;
  const look = () => {
    const probe = window.tombolo?.probe();
    if (!probe) return;
    window.probes += 1;
    const { t, files, pieces, length, have, verified } = probe;
    const known = t.metadata !== undefined;
    const whole = { files: files.length > 0 === known, pieces: pieces > 0 === known, length: length > 0 === known };
    const parts = { have: have <= length, verified: verified <= pieces, done: t.done === undefined || have === length };
    const wrong = Object.entries({ ...whole, ...parts }).filter(([, right]) => !right).map(([name]) => name);
    if (wrong.length > 0) window.contradictions.push(`${wrong}: ${JSON.stringify({ t, pieces, length, have, verified, files: files.length })}`);
  };
  window.Worker = class extends window.Worker {
    constructor(...given) {
      super(...given);
      this.addEventListener('message', look);
    }
  };
}

/** Opens a page that watches itself, does what `act(tab)` does, waits until all is there: nothing contradicted itself. */
async function consistent(t, relay, parameters, act = () => {}) {
  const tab = await (await browser(t)).open(relay.page(...parameters), (page) => page.addInitScript(watch));
  await act(tab);
  await tab.done();
  const [found, probes] = await tab.page.evaluate(() => [window.contradictions, window.probes]);
  assert.ok(probes > 0, 'it was asked');
  assert.deepEqual(found, []);
}

test('the files are in the probe that tells of the metadata, of a magnet', needs('chromium'), async (t) => {
  const seeder = await seed(t, write(join(folder(t, 'content'), 'content.bin'), MIB));
  await consistent(t, await Relay.start(t), [['magnet', seeder.magnet], ['peer', seeder.address]]);
});

test('of a .torrent', needs('chromium'), async (t) => {
  const home = folder(t, 'content');
  const torrent = await create(t, write(join(home, 'content.bin'), MIB));
  const seeder = await seed(t, torrent.file, '--dir', home);
  const bytes = [...readFileSync(torrent.file)];
  await consistent(t, await Relay.start(t), [['peer', seeder.address]], (tab) =>
    tab.page.evaluate((list) => void window.tombolo.add(Uint8Array.from(list)), bytes));
});

test('and of own files', needs('chromium'), async (t) => {
  const file = write(join(folder(t, 'content'), 'content.bin'), MIB);
  await consistent(t, await Relay.start(t), [], (tab) => tab.share(file));
});
