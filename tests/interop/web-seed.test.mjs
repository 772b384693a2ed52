// Web seeds (BEP 19) between our .torrents and libtorrent.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { MIB, digest, write } from '../browser/lib/content.mjs';
import { libtorrent } from '../browser/lib/libtorrent.mjs';
import { folder, needs } from '../browser/lib/place.mjs';
import { serveRanges } from '../browser/lib/serve.mjs';
import { create } from '../browser/lib/tombolo.mjs';

test('libtorrent fetches from the web seed that our .torrent names', needs('libtorrent'), async (t) => {
  const home = folder(t, 'content');
  const files = ['a b/one.bin', 'two.bin'];
  files.forEach((file, index) => write(join(home, 'set', file), (index + 1) * MIB + 7, index));
  const server = await serveRanges(t, home);
  const torrent = await create(t, join(home, 'set'), '--web-seed', `${server.origin}/`);
  const out = folder(t, 'out');
  const leecher = await libtorrent(t, { torrent: torrent.file, dir: out });
  await leecher.process.event('finished', ({ finished }) => finished);
  for (const file of files) assert.equal(await digest(join(out, 'set', file)), await digest(join(home, 'set', file)));
});
