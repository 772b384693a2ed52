// A large download, and saving it, take no more memory of the page's process than a small one.

import assert from 'node:assert/strict';
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { browser } from './lib/browser.mjs';
import { MIB, write } from './lib/content.mjs';
import { folder, needs } from './lib/place.mjs';
import { Relay, seed } from './lib/tombolo.mjs';

/** Several times what may be used; `TOMBOLO_MEMORY_MIB=4096` tries it with more. */
const LENGTH = Number(process.env.TOMBOLO_MEMORY_MIB ?? 512) * MIB;
/** What the page's process may have beyond that of an empty page. */
const ALLOWED = 100e6;

const read = (path) => {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return ''; // It has ended meanwhile.
  }
};

/** Pids of the renderers of the browser with that profile. */
function renderers(profile) {
  const parents = new Map();
  let root;
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    const command = read(`/proc/${pid}/cmdline`);
    if (command.includes(profile) && !command.includes('--type=')) root = pid;
    parents.set(pid, { parent: /^PPid:\s*(\d+)/m.exec(read(`/proc/${pid}/status`))?.[1], renders: command.includes('--type=renderer') });
  }
  const isBelow = (pid) => pid === root || (parents.has(pid) && isBelow(parents.get(pid).parent));
  return [...parents].filter(([pid, { renders }]) => renders && isBelow(pid)).map(([pid]) => pid);
}

/** Bytes that the largest renderer has for itself. */
function privateBytes(profile) {
  const sum = (pid) => [...read(`/proc/${pid}/smaps_rollup`).matchAll(/^Private_\w+:\s*(\d+) kB/gm)].reduce((all, [, kilobytes]) => all + Number(kilobytes) * 1024, 0);
  return Math.max(0, ...renderers(profile).map(sum));
}

test('memory does not grow with the file', needs('chromium'), async (t) => {
  const file = write(join(folder(t, 'content'), 'large.bin'), LENGTH);
  const seeder = await seed(t, file);
  const relay = await Relay.start(t);
  const chromium = await browser(t);
  const empty = await chromium.open('about:blank');
  const before = privateBytes(chromium.profile);
  await empty.page.close();
  let most = 0;
  const watch = setInterval(() => { most = Math.max(most, privateBytes(chromium.profile)); }, 100);
  t.after(() => clearInterval(watch));

  const tab = await chromium.open(relay.page(['magnet', seeder.magnet], ['peer', seeder.address]));
  await tab.done();
  const downloading = most;
  const saved = tab.page.waitForEvent('download', { timeout: 60_000 });
  await tab.page.evaluate(() => window.tombolo.torrents[0].saveZip());
  const path = await (await saved).path();
  assert.ok(statSync(path).size > LENGTH);

  const megabytes = (bytes) => `${Math.round(bytes / 1e6)} MB`;
  t.diagnostic(`${megabytes(LENGTH)}: ${megabytes(before)} empty, ${megabytes(downloading)} at most while it came, ${megabytes(most)} while it was saved`);
  assert.ok(before > 0 && most - before <= ALLOWED, `${megabytes(most)}, of an empty page ${megabytes(before)}`);
  tab.assertClean();
});
