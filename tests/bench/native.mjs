// Native peers with each other, ours beside libtorrent's: two processes on loopback, files where TMPDIR is (a memory disk, if disks are slow).

import { join } from 'node:path';
import { write } from '../browser/lib/content.mjs';
import { libtorrent } from '../browser/lib/libtorrent.mjs';
import { PYTHON, TOMBOLO, folder } from '../browser/lib/place.mjs';
import { Process } from '../browser/lib/process.mjs';
import { create, peer } from '../browser/lib/tombolo.mjs';
import { cost } from './cost.mjs';

const KIB = 1024;
const SCRIPT = join(import.meta.dirname, 'libtorrent_files.py');

/** Who can be at an end: starts it with `{role, torrent, dir, transport}`, returns `{process, port}`. */
const PEERS = {
  tombolo: peer,
  libtorrent: (t, { torrent, dir, transport }) => libtorrent(t, { torrent, dir, transport }),
};

/** Seeder to leecher, in pieces of `piece` bytes; timed from the leecher's start of the link to its last verified byte. */
export function transfer(seeder, leecher, { piece = 1024 * KIB, transport = 'tcp' } = {}) {
  return async (t, length) => {
    const dir = folder(t, 'seed');
    const torrent = await create(t, write(join(dir, 'content.bin'), length), '--piece-length', `${piece}`);
    const out = folder(t, 'leech');
    const ends = { torrent: torrent.file, transport };
    const source = await PEERS[seeder](t, { ...ends, role: 'seeder', dir });
    const sink = await PEERS[leecher](t, { ...ends, role: 'leecher', dir: out });
    return cost([source.process.pid, sink.process.pid], async () => {
      const start = performance.now();
      sink.process.send({ connect: ['127.0.0.1', source.port] });
      await sink.process.event('finished', ({ finished }) => finished, { every: 2 });
      return { ms: performance.now() - start };
    });
  };
}

/** The two of us that check and create, by what they are called with. */
const TOOLS = {
  tombolo: {
    check: (torrent, dir) => [TOMBOLO, 'check', torrent, '--dir', dir, '--json'],
    create: (file, out) => [TOMBOLO, 'create', file, '-o', out, '--v1', '--piece-length', `${1024 * KIB}`],
  },
  libtorrent: {
    check: (torrent, dir) => [PYTHON, SCRIPT, 'check', torrent, dir],
    create: (file, out) => [PYTHON, SCRIPT, 'create', file, out, `${1024 * KIB}`],
  },
};

/** Checks content that is whole. The program's start is part of it, as its users see it. */
export function check(tool) {
  return async (t, length) => {
    const dir = folder(t, 'check');
    const torrent = await create(t, write(join(dir, 'content.bin'), length), '--piece-length', `${1024 * KIB}`);
    return timed(t, TOOLS[tool].check(torrent.file, dir));
  };
}

/** Makes a v1 torrent. */
export function make(tool) {
  return async (t, length) => {
    const file = write(join(folder(t, 'create'), 'content.bin'), length);
    return timed(t, TOOLS[tool].create(file, join(folder(t, 'made'), 'a.torrent')));
  };
}

/** Runs a program to its end, below a shell that outlives it: the CPU time of what ended is with its parent. */
async function timed(t, command) {
  const shell = new Process(t, 'bash', ['-c', 'read; "$@" >&2; echo "{\\"code\\":$?}"; read', 'timed', ...command]);
  return cost([shell.pid], async () => {
    const start = performance.now();
    shell.send('go');
    const { code } = await shell.event('its end', (event) => 'code' in event, { every: 2 });
    if (code !== 0) throw new Error(`${command[0]} ended with ${code}: ${shell.tail().join('\n')}`);
    return { ms: performance.now() - start };
  });
}
