// The zip that the page makes, where its fields overflow: a file over 4 GiB, what follows it, and more files than fit in 16 bits.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { crc32, zip } from '../../www/zip.js';
import { folder, needs } from './lib/place.mjs';

const GIB = 2 ** 30;
const CHUNK = new Uint8Array(1 << 20);

/** A file of zeros as chunks, which take no room on the disk. */
async function* zeros({ length }) {
  for (let left = length; left > 0; left -= CHUNK.length) yield CHUNK.subarray(0, Math.min(left, CHUNK.length));
}

/** Writes a zip of such files, leaving holes for zeros; returns its path. */
async function written(t, files) {
  const path = join(folder(t, 'zip'), 'a.zip');
  const file = openSync(path, 'w');
  const { length, chunks } = zip(files, zeros);
  let at = 0;
  for await (const chunk of chunks) {
    if (chunk.buffer !== CHUNK.buffer) writeSync(file, chunk, 0, chunk.length, at);
    at += chunk.length;
  }
  ftruncateSync(file, at);
  closeSync(file);
  assert.equal(at, length, 'as long as was promised');
  return path;
}

test('CRC-32 is that of ISO 3309, whatever it is cut into', () => {
  const bytes = new TextEncoder().encode('123456789');
  for (let cut = 0; cut <= bytes.length; cut += 1) assert.equal(crc32(bytes.subarray(cut), crc32(bytes.subarray(0, cut))), 0xcbf43926);
});

test('an empty zip, and one of empty files', needs('unzip'), async (t) => {
  assert.equal(zip([], zeros).length, 22);
  const path = await written(t, [{ path: 'a', length: 0 }, { path: 'ö/b', length: 0 }]);
  assert.match(`${execFileSync('unzip', ['-t', path])}`, /No errors detected/);
});

test('a file of more than 4 GiB, and one behind it', needs('unzip'), async (t) => {
  const path = await written(t, [{ path: 'one', length: 9 }, { path: 'large', length: 4 * GIB + 5 }, { path: 'last', length: 77_777 }]);
  assert.match(`${execFileSync('unzip', ['-t', path])}`, /No errors detected/);
  assert.match(`${execFileSync('unzip', ['-l', path])}`, /4294967301 .* large\n\s+77777 /);
});

test('more files than 16 bits count', needs('unzip'), async (t) => {
  const path = await written(t, Array.from({ length: 66_000 }, (_, index) => ({ path: `${index}`, length: index % 3 })));
  assert.match(`${execFileSync('unzip', ['-t', path], { maxBuffer: 64 << 20 })}`, /No errors detected/);
});
