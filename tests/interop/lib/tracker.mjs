// Our tracker alone, on one address.

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { TOMBOLO, folder } from '../../browser/lib/place.mjs';
import { Process } from '../../browser/lib/process.mjs';
import { until } from '../../browser/lib/wait.mjs';

/** Starts one: `url(face)` is where to announce, `counts(infoHash)` waits until it counts a seed of that swarm. */
export async function tracker(t, ip = '127.0.0.1') {
  const args = ['tracker', '--json', '--allow-local', '--data', folder(t, 'tracker'), '--listen', `${ip}:0`, '--udp', `${ip}:0`];
  const process = new Process(t, TOMBOLO, args, { name: 'tracker' });
  const { http, udp } = await process.event('ready', ({ event }) => event === 'ready');
  const seeds = async (infoHash) => {
    const { stdout } = await promisify(execFile)(TOMBOLO, ['scrape', '--json', `http://${http}/announce`, infoHash]);
    return JSON.parse(stdout).complete;
  };
  return {
    url: (face) => `${face}://${face === 'udp' ? udp : http}/announce`,
    counts: (infoHash) => until('the tracker to count a seed', async () => (await seeds(infoHash)) > 0, { describe: () => process.tail() }),
  };
}
