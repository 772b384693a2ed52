// The page is usable before the engine's wasm has arrived: it is drawn, takes a link, and does what was asked once it can.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { browser } from './lib/browser.mjs';
import { MIB, write } from './lib/content.mjs';
import { folder, needs } from './lib/place.mjs';
import { Relay, seed } from './lib/tombolo.mjs';

test('a link can be given before the wasm is there, and is downloaded afterwards', needs('chromium'), async (t) => {
  const file = write(join(folder(t, 'content'), 'content.bin'), 2 * MIB);
  const seeder = await seed(t, file);
  const relay = await Relay.start(t);
  let [ask, release] = [];
  const asked = new Promise((resolve) => (ask = resolve));
  const released = new Promise((resolve) => (release = resolve));
  const hold = (page) => page.context().route('**/*.wasm', async (route) => {
    ask();
    await released;
    await route.continue();
  });
  const tab = await (await browser(t)).open(relay.page(['peer', seeder.address]), hold);
  await asked;
  await tab.page.getByRole('heading', { name: 'Open a torrent in this tab.' }).waitFor();
  await tab.page.locator('#open-field').fill('nonsense');
  assert.equal(await tab.page.locator('#open-field').inputValue(), 'nonsense');
  await tab.page.locator('#settings-open').click();
  await tab.page.locator('dialog#settings[open]').waitFor();
  await tab.page.keyboard.press('Escape');
  await tab.page.locator('#open-field').fill(seeder.magnet);
  await tab.page.locator('#open-field').press('Enter');
  assert.equal(await tab.page.evaluate(() => window.tombolo.version), null, 'the engine has not started');
  release();
  await tab.done();
});
