// uTP on a slow link of its own (20 Mbit/s, 20 ms each way, a queue of 400 ms), alone and beside a TCP flow: it is to fill the link, to keep
// the queue near LEDBAT's target of 100 ms (BEP 29), and to give way.

import { join } from 'node:path';
import { write } from '../browser/lib/content.mjs';
import { TOMBOLO, folder } from '../browser/lib/place.mjs';
import { Process } from '../browser/lib/process.mjs';
import { create } from '../browser/lib/tombolo.mjs';

const MBIT = 20;
const BYTES_PER_S = (MBIT * 1e6) / 8;
const [A, B] = ['10.77.0.1', '10.77.0.2'];
/** More than the whole measurement can carry. */
const LENGTH = 160 * 1024 * 1024;
/** Seconds until a flow has found its rate, and seconds that count. */
const [SETTLE, COUNT] = [6, 10];

/** `program` in the namespace of one end of the link. */
function at(t, side, program, args) {
  return new Process(t, 'ip', ['netns', 'exec', `tombolo-${side}`, program, ...args], { name: `${program} at ${side}` });
}

async function peer(t, side, role, torrent, dir, port) {
  const address = side === 'a' ? A : B;
  const args = ['--role', role, '--torrent', torrent, '--dir', dir, '--listen', `${address}:${port}`, '--transport', 'utp'];
  const process = at(t, side, TOMBOLO, ['peer', ...args, '--json-control', '--no-trackers']);
  await process.event('ready', (event) => 'ready' in event);
  return process;
}

/** The mean of what the link reports over the seconds that count, from now on. */
async function measure(link) {
  const from = link.events.length + SETTLE;
  await link.event('its reports', () => link.events.length >= from + COUNT);
  const reports = link.events.slice(from, from + COUNT);
  const mean = (key) => reports.reduce((sum, report) => sum + report[key], 0) / COUNT;
  return { utp: mean('udp') / BYTES_PER_S, tcp: mean('tcp') / BYTES_PER_S, queue: mean('queue_ms') };
}

/** Shares of the link of uTP and of TCP, and the wait in its queue in ms: uTP alone, then beside a TCP flow of each kind. */
export async function shaped(t) {
  const dir = folder(t, 'seed');
  const torrent = await create(t, write(join(dir, 'content.bin'), LENGTH));
  const link = new Process(t, 'python3', [join(import.meta.dirname, 'link.py'), `${MBIT}`, '20', '400']);
  await link.event('ready', ({ ready }) => ready);
  await peer(t, 'a', 'seeder', torrent.file, dir, 7001);
  const leecher = await peer(t, 'b', 'leecher', torrent.file, folder(t, 'leech'), 7002);
  leecher.send({ connect: [A, 7001] });
  const found = { 'uTP alone': await measure(link) };
  for (const [index, control] of ['cubic', 'bbr'].entries()) {
    const [flow, port] = [join(import.meta.dirname, 'flow.py'), `${9000 + index}`];
    const sink = at(t, 'b', 'python3', [flow, 'serve', B, port]);
    await sink.event('ready', ({ ready }) => ready);
    const source = at(t, 'a', 'python3', [flow, 'send', B, port, control]);
    found[`uTP beside TCP (${control})`] = await measure(link);
    await source.stop();
  }
  return found;
}
