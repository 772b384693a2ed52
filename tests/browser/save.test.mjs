// Saving without holding a file in memory: as a download that is streamed while the file arrives, as one zip, into a folder.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { test } from 'node:test';
import { browser } from './lib/browser.mjs';
import { MIB, digest, write } from './lib/content.mjs';
import { folder, needs } from './lib/place.mjs';
import { Relay, seed } from './lib/tombolo.mjs';

/** A folder of files: several pieces, less than one, none; names that need UTF-8 and folders. Returns `[home, paths]`. */
function contents(t) {
  const home = join(folder(t, 'content'), 'a däy, 100 %');
  const paths = ['one.bin', 'deep/er/zwö.bin', 'empty', 'tiny'].map((name) => join(home, name));
  for (const path of paths) mkdirSync(dirname(path), { recursive: true });
  write(paths[0], 9 * MIB + 77, 1);
  write(paths[1], 5 * MIB, 2);
  writeFileSync(paths[2], '');
  writeFileSync(paths[3], 'x');
  return [home, paths];
}

/** A page with what a seeder gives at that rate. */
async function opened(t, content, ...args) {
  const seeder = await seed(t, content, ...args);
  const relay = await Relay.start(t);
  const tab = await (await browser(t)).open(relay.page(['magnet', seeder.magnet], ['peer', seeder.address]));
  await tab.page.evaluate(() => window.tombolo.ready);
  await tab.until('the list of files', ({ files }) => files.length > 0);
  return tab;
}

/** The path of what `act` (run in the page) downloads. */
async function downloaded(t, tab, act, argument) {
  const event = tab.page.waitForEvent('download', { timeout: 60_000 });
  await tab.page.evaluate(act, argument);
  const download = await event;
  const path = join(folder(t, 'saved'), 'file');
  await download.saveAs(path);
  return [path, download.suggestedFilename()];
}

test('a torrent is saved as one zip while it arrives', needs('chromium', 'unzip'), async (t) => {
  const [home, paths] = contents(t);
  const tab = await opened(t, home, '--up', `${6 * MIB}`);
  const [zip, name] = await downloaded(t, tab, () => window.tombolo.torrents[0].saveZip());
  assert.equal(name, 'a däy, 100 %.zip');
  const out = folder(t, 'unzipped');
  // It checks every CRC-32, and the directory against what it names.
  execFileSync('unzip', ['-q', '-t', zip]);
  execFileSync('unzip', ['-q', zip, '-d', out], { env: { ...process.env, LC_ALL: 'C.UTF-8' } });
  for (const path of paths) assert.equal(await digest(join(out, relative(dirname(home), path))), await digest(path), path);

  const tiny = await tab.page.evaluate(() => window.tombolo.torrents[0].snapshot.files.findIndex(({ path }) => path.at(-1) === 'tiny'));
  const [one] = await downloaded(t, tab, (index) => window.tombolo.torrents[0].saveZip([index]), tiny);
  assert.match(`${execFileSync('unzip', ['-l', one])}`, /1 file/);
  tab.assertClean();
});

test('a file is saved while it arrives', needs('chromium'), async (t) => {
  const file = write(join(folder(t, 'content'), 'some "thing".bin'), 12 * MIB + 5);
  const tab = await opened(t, file, '--up', `${4 * MIB}`);
  const [path, name] = await downloaded(t, tab, () => window.tombolo.torrents[0].save(0));
  // The browser's own way with what a file system may refuse.
  assert.match(name, /^some .thing.\.bin$/);
  assert.equal(await digest(path), await digest(file));
  tab.assertClean();
});

/** In the page: the user picks a folder of this origin, everything is saved to it; SHA-256 of each file in it by path. */
async function saveToFolder() {
  const root = await (await navigator.storage.getDirectory()).getDirectoryHandle('picked', { create: true });
  window.showDirectoryPicker = async () => root;
  await window.tombolo.torrents[0].saveTo();
  const found = {};
  const walk = async (directory, path) => {
    for await (const [name, handle] of directory.entries()) {
      if (handle.kind === 'directory') await walk(handle, [...path, name]);
      else {
        const hash = await crypto.subtle.digest('SHA-256', await (await handle.getFile()).arrayBuffer());
        found[[...path, name].join('/')] = [...new Uint8Array(hash)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
      }
    }
  };
  await walk(root, []);
  return found;
}

test('a torrent is written into a folder that the user picks', needs('chromium'), async (t) => {
  const [home, paths] = contents(t);
  const tab = await opened(t, home, '--up', `${8 * MIB}`);
  const found = await tab.page.evaluate(saveToFolder);
  const wanted = await Promise.all(paths.map(async (path) => [relative(dirname(home), path), await digest(path)]));
  assert.deepEqual(found, Object.fromEntries(wanted));
  tab.assertClean();
});
