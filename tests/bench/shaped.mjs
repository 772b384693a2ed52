// Links of their own, between two network namespaces.
//
// A slow one (20 Mbit/s, 20 ms each way, a queue of 400 ms) for uTP, alone and beside a TCP flow: it is to fill the link, to keep the queue near
// LEDBAT's target of 100 ms (BEP 29), and to give way. A fast one (100 Mbit/s, 20 ms each way, a queue of 100 ms), with loss and without, for what a
// tab gets, beside bare TCP.

import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { browser } from '../browser/lib/browser.mjs';
import { write } from '../browser/lib/content.mjs';
import { CHROMIUM, TOMBOLO, folder } from '../browser/lib/place.mjs';
import { Process } from '../browser/lib/process.mjs';
import { create, magnet } from '../browser/lib/tombolo.mjs';
import { scoped } from './scope.mjs';

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
async function measure(link, rate = BYTES_PER_S) {
  const from = link.events.length + SETTLE;
  await link.event('its reports', () => link.events.length >= from + COUNT);
  const reports = link.events.slice(from, from + COUNT);
  const mean = (key) => reports.reduce((sum, report) => sum + report[key], 0) / COUNT;
  return { utp: mean('udp') / rate, tcp: mean('tcp') / rate, queue: mean('queue_ms') };
}

/** A TCP flow from a to b with that congestion control. */
async function flow(t, control, port) {
  const script = join(import.meta.dirname, 'flow.py');
  const sink = at(t, 'b', 'python3', [script, 'serve', B, `${port}`]);
  await sink.event('ready', ({ ready }) => ready);
  return at(t, 'a', 'python3', [script, 'send', B, `${port}`, control]);
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
    const source = await flow(t, control, 9000 + index);
    found[`uTP beside TCP (${control})`] = await measure(link);
    await source.stop();
  }
  return found;
}

const FAST_MBIT = 100;
const FAST = (FAST_MBIT * 1e6) / 8;
const PAGE = `http://${A}:7080`;
const DEFAULT = '/proc/sys/net/ipv4/tcp_congestion_control';
const LISTEN = ['--allow-local', '--no-dht', '--no-lsd', '--no-portmap'];

/** A tab at b, in a Chromium that takes the page for a secure one. */
async function tab(t, parameters) {
  const program = join(folder(t, 'program'), 'chromium');
  writeFileSync(program, `#!/bin/sh\nexec ip netns exec tombolo-b ${CHROMIUM} "$@"\n`);
  chmodSync(program, 0o755);
  const chromium = await browser(t, { program, flags: [`--unsafely-treat-insecure-origin-as-secure=${PAGE}`] });
  const opened = await chromium.open(`${PAGE}/?${new URLSearchParams([...parameters, ['ice', 'off']])}`);
  await opened.until('the first byte', ({ received }) => received > 0);
}

/** The relay at a, which carries bytes between a seeder beside it and the tab (`wire`), or only introduces them. */
async function toTab(t, torrent, dir, wire) {
  const args = ['serve', '--json', '--data', folder(t, 'relay'), '--listen', `${A}:7080`, '--tcp', '127.0.0.1:0', '--rtc', `${A}:0`, '--udp', 'off'];
  const relay = at(t, 'a', TOMBOLO, [...args, ...LISTEN, '--bridge', wire ? 'open' : 'off']);
  await relay.event('ready', ({ event }) => event === 'ready');
  const how = wire ? ['--listen', '127.0.0.1:7001', '--transport', 'tcp', '--no-trackers']
    : ['--listen', `${A}:7001`, '--transport', 'rtc', '--tracker', `ws://${A}:7080/announce`];
  const seeder = at(t, 'a', TOMBOLO, ['peer', '--role', 'seeder', '--torrent', torrent.file, '--dir', dir, '--json-control', ...how]);
  await seeder.event('its start', (event) => (wire ? 'ready' in event : event.announced));
  await tab(t, [['magnet', magnet(torrent.info_hash_v1)], ...(wire ? [['peer', '127.0.0.1:7001']] : [])]);
}

/** `{loss, name, share, queue}`: the share of the fast link that each way takes by itself, and the mean wait in its queue in ms. */
export async function fast() {
  const found = [];
  for (const loss of [0, 0.001]) {
    for (const [name, begin] of WAYS) {
      const { tcp, utp, queue } = await scoped(async (t) => {
        const link = new Process(t, 'python3', [join(import.meta.dirname, 'link.py'), `${FAST_MBIT}`, '20', '100', `${loss}`]);
        await link.event('ready', ({ ready }) => ready);
        await begin(t);
        return measure(link, FAST);
      });
      found.push({ loss, name, share: tcp + utp, queue });
      console.error(JSON.stringify(found.at(-1)));
    }
  }
  return found;
}

/** By `/wire` or by WebRTC. */
const over = (wire) => async (t) => {
  const dir = folder(t, 'seed');
  const torrent = await create(t, write(join(dir, 'content.bin'), 2 * LENGTH), '--piece-length', `${1 << 20}`);
  await toTab(t, torrent, dir, wire);
};

/** What the kernel's TCP uses where nobody names another. */
const CONTROL = existsSync(DEFAULT) ? readFileSync(DEFAULT, 'utf8').trim() : 'unknown';

const WAYS = [
  ['bare TCP (cubic)', (t) => flow(t, 'cubic', 9000)],
  ['bare TCP (bbr)', (t) => flow(t, 'bbr', 9000)],
  [`relay to tab by /wire (${CONTROL}, this kernel's default)`, over(true)],
  ['native seed to tab by WebRTC', over(false)],
];
