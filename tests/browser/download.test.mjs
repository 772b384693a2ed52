// The whole path: a magnet in the page, content that only a native client holds over TCP, a relay in between that fetches
// what the tab asks for and no more.

import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { BROWSERS, browser } from './lib/browser.mjs';
import { MIB, digest, packages, write } from './lib/content.mjs';
import { folder, needs } from './lib/place.mjs';
import { Relay, magnet } from './lib/tombolo.mjs';
import { Transmission, createTorrent } from './lib/transmission.mjs';

/** What the relay may use beside its cache: code, page, sockets, and an allocator's slack. */
const RELAY_MEMORY = 96 * MIB;

/** Two real packages where the archive can be reached, else two files of the same size. */
function twoFiles(home) {
  mkdirSync(home);
  const real = packages();
  if (!real) return [write(join(home, 'one.bin'), 30_000_001), write(join(home, 'two.bin'), 55_000_003)];
  return real.map((path) => {
    copyFileSync(path, join(home, basename(path)));
    return join(home, basename(path));
  });
}

for (const name of BROWSERS) test(`a tab downloads one of two files that only transmission has (${name})`, needs(name, 'transmission'), async (t) => {
  const home = folder(t, 'content');
  const [wanted, other] = twoFiles(join(home, 'Two packages'));
  const torrent = join(home, 'two.torrent');
  const infoHash = createTorrent(join(home, 'Two packages'), torrent);
  const transmission = await Transmission.start(t);
  await transmission.add(torrent, home);
  const relay = await Relay.start(t, '--cache', '16MiB');
  const opened = await browser(t, { name });

  // Slow until the choice is made, as a swarm far away would be.
  await transmission.remote('--torrent', '1', '--uplimit', '200');
  const tab = await opened.open(relay.page(['magnet', magnet(infoHash, ['dn', 'Two packages'])], ['peer', transmission.address]));
  const { files } = await tab.until('the list of files', ({ files: list }) => list.length === 2);
  const index = files.findIndex(({ path }) => path.at(-1) === basename(wanted));
  assert.notEqual(index, -1);
  await tab.page.getByRole('checkbox', { name: `Download ${basename(other)}` }).uncheck();
  await transmission.remote('--torrent', '1', '--no-uplimit');
  await tab.done();

  assert.equal(await digest(await tab.save(index)), await digest(wanted));
  const stats = await relay.stats();
  const size = statSync(wanted).size;
  assert.ok(stats.bytes_native_in <= 1.05 * size, `${stats.bytes_native_in} bytes fetched for a file of ${size}`);
  assert.ok(stats.cache_bytes <= 16 * MIB, `${stats.cache_bytes} bytes in the cache`);
  assert.ok(stats.rss_bytes <= 16 * MIB + RELAY_MEMORY, `${stats.rss_bytes} bytes of memory`);
  assert.equal(stats.panics, 0);
  tab.assertClean();
});
