// The page without a network, and as an app of its own.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { browser } from './lib/browser.mjs';
import { MIB, digest, write } from './lib/content.mjs';
import { ROOT, folder, needs } from './lib/place.mjs';
import { serveFolder } from './lib/serve.mjs';
import { Relay, seed } from './lib/tombolo.mjs';
import { until } from './lib/wait.mjs';
import { output } from './page-driver.mjs';

/** Waits until the service worker has kept the shell; returns the names of its files. */
async function shell(tab) {
  const names = () => tab.page.evaluate(async () => {
    const [name, ...others] = await caches.keys();
    return others.length || !name ? [] : (await (await caches.open(name)).keys()).map(({ url }) => new URL(url).pathname);
  });
  let found = [];
  // It is found last, of what the worker's glue names.
  await until('the shell is kept', async () => (found = await names()).includes('/pkg/tombolo_web_bg.wasm'));
  return found;
}

test('after the first visit the page opens without a network, and what is here is saved', needs('chromium'), async (t) => {
  const file = write(join(folder(t, 'content'), 'content.bin'), 3 * MIB);
  const seeder = await seed(t, file);
  const relay = await Relay.start(t);
  const tab = await (await browser(t)).open(relay.page(['magnet', seeder.magnet], ['peer', seeder.address]));
  await tab.done();
  const names = await shell(tab);
  for (const name of ['/', '/page.js', '/client.js', '/worker.js', '/manifest.webmanifest', '/pkg/tombolo_web_bg.wasm']) assert.ok(names.includes(name), `${name} in ${names}`);

  await seeder.process.kill();
  await relay.kill();
  await tab.page.context().setOffline(true);
  await tab.page.reload();
  await tab.page.evaluate(() => window.tombolo.ready);
  await tab.until('checked', ({ have }) => have === 3 * MIB);
  assert.match(await tab.notice('offline'), /Complete files still open, play and save/);
  assert.equal(await digest(await tab.save(0)), await digest(file));
  await tab.page.screenshot({ path: join(output, 'offline-real.png') });
});

test('a newer relay is a newer page at once, and what it no longer has is let go', needs('chromium'), async (t) => {
  const relay = await Relay.start(t);
  const tab = await (await browser(t)).open(relay.page());
  await tab.page.evaluate(() => window.tombolo.ready);
  await shell(tab);
  await tab.page.evaluate(async () => {
    const [name] = await caches.keys();
    const cache = await caches.open(name);
    await cache.put('/', new Response('an old page', { headers: { 'content-type': 'text/html' } }));
    await cache.put('/old.js', new Response(''));
    navigator.serviceWorker.controller.postMessage('shell');
  });
  await tab.page.reload();
  assert.ok(await tab.page.getByRole('heading', { level: 1 }).isVisible());
  const text = (name) => tab.page.evaluate(async (url) => (await caches.match(url))?.text() ?? null, name);
  await until('the new page is kept', async () => /<title>Tombolo/.test(await text('/')) && (await text('/old.js')) === null);
});

test('the page can be installed', needs('chromium'), async (t) => {
  const relay = await Relay.start(t);
  const tab = await (await browser(t)).open(relay.page());
  await tab.page.evaluate(() => window.tombolo.ready);
  const devtools = await tab.page.context().newCDPSession(tab.page);
  const { errors, data } = await devtools.send('Page.getAppManifest');
  assert.deepEqual(errors, []);
  assert.equal(JSON.parse(data).display, 'standalone');
  const { installabilityErrors } = await devtools.send('Page.getInstallabilityErrors');
  // A window of a test is always incognito to the browser.
  assert.deepEqual(installabilityErrors.map(({ errorId }) => errorId).filter((id) => id !== 'in-incognito'), []);
});

test('on plain http from another machine the page says what it cannot do, and why', needs('chromium', 'page'), async (t) => {
  const file = write(join(folder(t, 'content'), 'content.bin'), 3 * MIB);
  const seeder = await seed(t, file);
  const page = await serveFolder(t, join(ROOT, 'www'));
  const home = `http://lan.test:${page.port}`;
  const relay = await Relay.start(t, '--origin', home);
  const chromium = await browser(t, { flags: ['--host-resolver-rules=MAP lan.test 127.0.0.1'] });
  const parameters = new URLSearchParams({ magnet: seeder.magnet, peer: seeder.address, relay: relay.origin });
  const tab = await chromium.open(`${home}/?${parameters}`);
  assert.equal(await tab.page.evaluate(() => window.isSecureContext), false);
  const text = await tab.notice('insecure');
  assert.match(text, /Limited to 256.MiB: this page is not on https/);
  assert.match(text, /no file storage and no service worker, so the download is held in memory/);
  await tab.done();
  assert.equal(await digest(await tab.save(0)), await digest(file));
  await tab.page.screenshot({ path: join(output, 'insecure-real.png') });
});
