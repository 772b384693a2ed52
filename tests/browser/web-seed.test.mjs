// A tab that gets its torrent from web servers (BEP 19), as far as they let pages ask.

import assert from 'node:assert/strict';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { browser } from './lib/browser.mjs';
import { MIB, digest, write } from './lib/content.mjs';
import { folder, needs } from './lib/place.mjs';
import { serveRanges } from './lib/serve.mjs';
import { Relay, create } from './lib/tombolo.mjs';

const LENGTH = 39 * MIB + 5;

for (const version of ['--v1', '--v2']) {
  test(`a tab completes a torrent (${version}) from a web seed alone`, needs('chromium'), async (t) => {
    const home = folder(t, 'content');
    const files = [write(join(home, 'set', 'one \u00e4.bin'), 9 * MIB + 5, 1), write(join(home, 'set', 'two.bin'), 30 * MIB, 2)];
    const [open, closed] = [await serveRanges(t, home), await serveRanges(t, home, { cors: false })];
    const seeds = ['--web-seed', `${open.origin}/`, '--web-seed', `${closed.origin}/`];
    const torrent = await create(t, join(home, 'set'), version, ...seeds);
    const { origin } = await serveRanges(t, dirname(torrent.file));
    const relay = await Relay.start(t, '--bridge', 'off');
    const chromium = await browser(t);
    const tab = await chromium.open(relay.page(['t', `${origin}/a.torrent`]));
    const { received, files: listed } = await tab.done();

    for (const file of files) {
      const at = listed.findIndex(({ path }) => file.endsWith(path.at(-1)));
      assert.equal(await digest(await tab.save(at)), await digest(file));
    }
    assert.equal(received, LENGTH);
    assert.equal(await tab.page.evaluate(() => window.tombolo.torrents[0].snapshot.sources.server), LENGTH);
    assert.equal(open.sent, LENGTH);
    t.diagnostic(`${open.asked.length} questions`);
    // The browser itself says what it refused.
    tab.assertClean(/favicon|CORS|ERR_FAILED/);
  });
}
