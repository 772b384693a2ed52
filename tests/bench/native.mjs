// Native peers with each other, ours beside others': two processes on loopback, files where TMPDIR is (a memory disk, if disks are slow).

import { join } from 'node:path';
import { write } from '../browser/lib/content.mjs';
import { PYTHON, TOMBOLO, folder } from '../browser/lib/place.mjs';
import { Process } from '../browser/lib/process.mjs';
import { create } from '../browser/lib/tombolo.mjs';
import { CLIENTS, ours } from '../interop/lib/clients.mjs';
import { tracker } from '../interop/lib/tracker.mjs';
import { cost } from './cost.mjs';

const KIB = 1024;
const SCRIPT = join(import.meta.dirname, 'libtorrent_files.py');
/** How often, in milliseconds, a leecher is asked whether it has everything. */
const EVERY = { every: 5 };

/** Starts one that is at an end, by its name. */
function start(name, t, options) {
  return name === 'tombolo' ? ours(t, options) : CLIENTS.find((client) => client.name === name).start(t, options);
}

/**
 * Seeder to leecher, in pieces of `piece` bytes; timed from the moment that one is told of the other to the last verified byte.
 *
 * rqbit is told of peers when it starts, and two aria2 need a tracker: there the leecher's start is part of the time.
 */
export function transfer(seeder, leecher, { piece = 1024 * KIB, transport = 'tcp' } = {}) {
  return async (t, length) => {
    const dir = folder(t, 'seed');
    const torrent = await create(t, write(join(dir, 'content.bin'), length), '--v1', '--piece-length', `${piece}`);
    const ends = { torrent: torrent.file, transport };
    const meeting = seeder === 'aria2' && leecher === 'aria2' ? await tracker(t) : null;
    const trackers = meeting ? [meeting.url('http')] : [];
    const source = await start(seeder, t, { ...ends, trackers, role: 'seeder', dir });
    await meeting?.counts(torrent.info_hash_v1);
    const fetching = { ...ends, trackers, role: 'leecher', dir: folder(t, 'leech') };
    const late = leecher === 'rqbit' || meeting;
    const early = late ? null : await start(leecher, t, fetching);
    const pids = [source.pid, ...(early ? [early.pid] : [])];
    return cost(pids, async () => {
      const begin = performance.now();
      const sink = early ?? (await start(leecher, t, { ...fetching, peers: meeting ? [] : [source.address] }));
      if (!early) pids.push(sink.pid);
      else if (sink.connect) sink.connect(source.address);
      else source.connect(sink.address);
      await sink.done(EVERY);
      return { ms: performance.now() - begin };
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

/** Runs a program below a shell that outlives it, since the CPU time of what ended is with its parent; what ends the shell ends both. */
const SHELL = `read
"$@" >&2 & child=$!
trap 'kill $child; exit 1' TERM
wait $child
echo "{\\"code\\":$?}"
read`;

/** Runs a program to its end. */
async function timed(t, command) {
  const shell = new Process(t, 'bash', ['-c', SHELL, 'timed', ...command]);
  return cost([shell.pid], async () => {
    const begin = performance.now();
    shell.send('go');
    const { code } = await shell.event('its end', (event) => 'code' in event, { every: 2 });
    if (code !== 0) throw new Error(`${command[0]} ended with ${code}: ${shell.tail().join('\n')}`);
    return { ms: performance.now() - begin };
  });
}
