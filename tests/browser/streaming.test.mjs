// A film of 200 MB plays while it arrives from a native seeder at one and a half times its bitrate: it begins at once, never waits, and
// can be wound on and back.

import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { BROWSERS, browser } from './lib/browser.mjs';
import { write } from './lib/content.mjs';
import { folder, needs } from './lib/place.mjs';
import { Relay, seed } from './lib/tombolo.mjs';
import { BITRATE, SECONDS, film, watch } from './lib/video.mjs';
import { until } from './lib/wait.mjs';

/** Winds to second `at` and waits until the film has played from there for two seconds. */
async function wind(tab, at) {
  await tab.page.evaluate((second) => { document.querySelector('video#player').currentTime = second; }, at);
  await playedTo(tab, at + 2);
}

async function playedTo(tab, second) {
  const now = () => tab.page.evaluate(() => {
    const { currentTime, seeking, error } = document.querySelector('video#player');
    return { currentTime, seeking, error: error?.message };
  });
  let state;
  const there = async () => {
    state = await now();
    return !state.seeking && state.currentTime >= second && state.currentTime < second + 8;
  };
  await until(`second ${second} of the film`, there, { describe: () => state });
}

/** What the player noted since the last call. */
const seen = (tab) => tab.page.evaluate(() => window.seen.splice(0));

for (const name of BROWSERS) for (const index of ['front', 'back']) {
  test(`a film with its index at the ${index} plays while it arrives (${name})`, needs(name, 'ffmpeg'), async (t) => {
    const file = film(index);
    const { size } = statSync(file);
    const seeder = await seed(t, file, '--up', `${1.5 * BITRATE}`);
    const relay = await Relay.start(t);
    const url = relay.page(['magnet', seeder.magnet], ['peer', seeder.address], ['play', '0']);
    const tab = await (await browser(t, { name })).open(url, watch);

    await playedTo(tab, 6);
    const start = await seen(tab);
    const frame = start.findIndex(([kind]) => kind === 'frame');
    assert.ok(start[frame][2] <= 0.05 * size, `${start[frame][2]} bytes before the first frame`);
    const waits = start.slice(frame).filter(([kind]) => kind === 'waiting');
    // One is forgiven: a machine that does something else besides may be late by itself.
    assert.ok(waits.length <= 1, `it waited while the seeder was faster than the film: ${JSON.stringify(waits)}`);

    const slider = tab.page.getByRole('slider', { name: 'Position' });
    assert.equal(await slider.getAttribute('aria-valuemax'), `${SECONDS}`);
    assert.match(await tab.page.locator('#player-facts').innerText(), /Film needs\s+[45]\.\d+\sMB\/s/);

    await wind(tab, 0.8 * SECONDS);
    const { received } = await tab.probe();
    assert.ok(received < 0.8 * size, `${received} bytes: nothing was passed over`);
    await wind(tab, 0.3 * SECONDS);
    assert.equal((await seen(tab)).filter(([kind]) => kind === 'error').length, 0);
    // Firefox says so of every answer of a service worker that is let go before its end, as those before a wind are.
    tab.assertClean(/favicon|A ServiceWorker intercepted the request and encountered an unexpected error/);
  });
}

/** The parts of an answer with several ranges. */
function parts({ type, body }) {
  const boundary = /^multipart\/byteranges; boundary=(.+)$/.exec(type)[1];
  const pieces = body.toString('latin1').split(`\r\n--${boundary}`);
  assert.deepEqual([pieces.shift(), pieces.pop()], ['', '--\r\n']);
  return pieces.map((piece) => {
    const [head, ...rest] = piece.split('\r\n\r\n');
    return { range: /Content-Range: (.*)/.exec(head)[1], body: rest.join('\r\n\r\n') };
  });
}

/** In the page: asks for file 0 of the first torrent. */
async function fetchFile([range, method]) {
  const response = await fetch(window.tombolo.fileURL(0), { method, headers: range ? { range } : {} });
  const header = (name) => response.headers.get(name);
  const reader = new FileReader();
  const read = new Promise((resolve) => { reader.onload = resolve; });
  reader.readAsDataURL(await response.blob());
  await read;
  return {
    status: response.status,
    type: header('content-type'),
    length: header('content-length'),
    range: header('content-range'),
    base64: reader.result.split(',')[1] ?? '',
  };
}

for (const name of BROWSERS) test(`requests for parts of a file are answered exactly (${name})`, needs(name), async (t) => {
  const file = write(join(folder(t, 'content'), 'some.bin'), 300_001);
  const bytes = readFileSync(file);
  const seeder = await seed(t, file);
  const relay = await Relay.start(t);
  const tab = await (await browser(t, { name })).open(relay.page(['magnet', seeder.magnet], ['peer', seeder.address]));
  await tab.page.evaluate(() => window.tombolo.ready);
  await tab.until('the list of files', ({ files }) => files.length === 1);

  const ask = async (range, method = 'GET') => {
    const { base64, ...answer } = await tab.page.evaluate(fetchFile, [range, method]);
    return { ...answer, body: Buffer.from(base64, 'base64') };
  };
  const total = bytes.length;
  const table = [
    ['bytes=0-0', 206, 0, 1],
    ['bytes=100000-', 206, 100_000, total],
    ['bytes=-70000', 206, total - 70_000, total],
    ['bytes=5-99999999999', 206, 5, total],
    [null, 200, 0, total],
    // What is no range of bytes is passed over (RFC 9110, 14.2).
    ['bytes=9-3', 200, 0, total],
    ['lines=0-1', 200, 0, total],
    ['bytes=0-1,x', 200, 0, total],
    [`bytes=${'0-1,'.repeat(99)}0-1`, 200, 0, total],
    [`bytes=${total}-,4-5`, 206, 4, 6],
  ];
  for (const [range, status, from, to] of table) {
    const answer = await ask(range);
    const told = status === 206 ? `bytes ${from}-${to - 1}/${total}` : null;
    assert.deepEqual([answer.status, answer.length, answer.range], [status, `${to - from}`, told], `${range}`);
    assert.ok(bytes.subarray(from, to).equals(answer.body), `the bytes of ${range}`);
  }
  const past = await ask(`bytes=${total}-`);
  assert.deepEqual([past.status, past.range], [416, `bytes */${total}`]);
  // A range counts with GET alone (RFC 9110, 14.2).
  const head = await ask('bytes=10-19', 'HEAD');
  assert.deepEqual([head.status, head.length, head.body.length], [200, `${total}`, 0]);

  const several = await ask(`bytes=0-9, ${total + 5}-, 70000-140000, -3`);
  assert.equal(several.status, 206);
  assert.equal(several.length, `${several.body.length}`);
  assert.deepEqual(parts(several), [[0, 10], [70_000, 140_001], [total - 3, total]].map(([from, to]) => ({
    range: `bytes ${from}-${to - 1}/${total}`,
    body: bytes.subarray(from, to).toString('latin1'),
  })));
  tab.assertClean(/favicon|416/);
});
