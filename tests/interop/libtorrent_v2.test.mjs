// What is particular to v2 and hybrid torrents (BEP 52) between our native peer and libtorrent, beside the matrix.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, copyFileSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { MIB, digest, write } from '../browser/lib/content.mjs';
import { libtorrent } from '../browser/lib/libtorrent.mjs';
import { PYTHON, folder, needs } from '../browser/lib/place.mjs';
import { create, peer } from '../browser/lib/tombolo.mjs';

const FILES = { 'a/first.bin': 5 * MIB + 13, 'b.bin': MIB, 'c.bin': 16_384, 'd/e/last.bin': 3 * MIB - 1 };

/** The torrent of a folder of several files, of that version. */
function made(t, version) {
  const set = join(folder(t, 'content'), 'set');
  for (const [path, length] of Object.entries(FILES)) write(join(set, path), length);
  write(join(set, 'empty'), 0);
  return create(t, set, '--piece-length', '256KiB', version);
}

/** A link by the v2 info-hash alone. */
function link({ info_hash_v2: hash }) {
  return `magnet:?xt=urn:btmh:1220${hash}`;
}

for (const version of ['--v2', '--hybrid']) {
  test(`libtorrent reads our ${version} as we do`, needs('libtorrent'), async (t) => {
    const torrent = await made(t, version);
    const script = 'import libtorrent as lt, sys; h = lt.torrent_info(sys.argv[1]).info_hashes(); print(h.v1 if h.has_v1() else None, h.v2)';
    const seen = execFileSync(PYTHON, ['-c', script, torrent.file], { encoding: 'utf8' }).trim();
    assert.equal(seen, `${torrent.info_hash_v1 ?? 'None'} ${torrent.info_hash_v2}`);
  });
}

/** A file whose piece layer has several chunks of 512 hashes, the last with one. */
async function long(t) {
  const dir = folder(t, 'content');
  const file = write(join(dir, 'long.bin'), 1_025 * 16_384 - 5);
  const torrent = await create(t, file, '--piece-length', '16KiB', '--v2');
  return { dir, file, torrent, link: link(torrent) };
}

test('a long piece layer comes from libtorrent', needs('libtorrent'), async (t) => {
  const { dir, file, torrent, link } = await long(t);
  const seeder = await libtorrent(t, { torrent: torrent.file, dir });
  const out = folder(t, 'out');
  const leecher = await peer(t, { role: 'leecher', torrent: link, dir: out });
  leecher.process.send({ connect: ['127.0.0.1', seeder.port] });
  await leecher.process.event('finished', ({ finished }) => finished);
  assert.equal(await digest(join(out, 'long.bin')), await digest(file));
});

test('a long piece layer goes to libtorrent', needs('libtorrent'), async (t) => {
  const { dir, file, torrent, link } = await long(t);
  const seeder = await peer(t, { role: 'seeder', torrent: torrent.file, dir });
  const out = folder(t, 'out');
  const leecher = await libtorrent(t, { magnet: link, dir: out });
  leecher.process.send({ connect: ['127.0.0.1', seeder.port] });
  await leecher.process.event('finished', ({ finished }) => finished);
  assert.equal(await digest(join(out, 'long.bin')), await digest(file));
});

test('one corrupt block of a libtorrent seeder costs one block', needs('libtorrent'), async (t) => {
  const dir = folder(t, 'content');
  const file = write(join(dir, 'content.bin'), 4 * MIB);
  const torrent = await create(t, file, '--piece-length', '1MiB', '--v2');
  const bad = folder(t, 'bad');
  copyFileSync(file, join(bad, 'content.bin'));
  const handle = openSync(join(bad, 'content.bin'), 'r+');
  writeSync(handle, Buffer.from([1, 2, 3, 4]), 0, 4, 2 * MIB + 5 * 16_384);
  closeSync(handle);
  const liar = await libtorrent(t, { torrent: torrent.file, dir: bad, lie: true });
  const good = await peer(t, { role: 'seeder', torrent: torrent.file, dir, args: ['--up', String(MIB)] });
  const out = folder(t, 'out');
  const leecher = await peer(t, { role: 'leecher', torrent: torrent.file, dir: out });
  leecher.process.send({ connect: ['127.0.0.1', liar.port] });
  leecher.process.send({ connect: ['127.0.0.1', good.port] });
  await leecher.process.event('finished', ({ finished }) => finished);
  const progress = await leecher.process.event('all of it', ({ done }) => done === 4 * MIB);
  // Blocks that both were asked for near the end may come twice.
  assert.ok(progress.payload - progress.done <= 16 * 16_384, `${progress.payload - progress.done} bytes too many`);
  assert.equal(await digest(join(out, 'content.bin')), await digest(file));
});
