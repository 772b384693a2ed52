// Our own binary: relay, seeder, peer, and the commands that end by themselves.

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { dirname, join } from 'node:path';
import { Process } from './process.mjs';
import { TOMBOLO, folder } from './place.mjs';
import { until } from './wait.mjs';

const ANY = '127.0.0.1:0';
const QUIET = ['--no-dht', '--no-lsd', '--no-portmap', '--allow-local'];

/** A running relay. */
export class Relay {
  #t;
  #args;

  /** Starts one on free ports; `args` are further flags of `serve`. */
  static async start(t, ...args) {
    const relay = new Relay();
    relay.#t = t;
    relay.#args = args;
    relay.data = folder(t, 'relay');
    await relay.#launch({ http: ANY, tcp: ANY, rtc: ANY });
    return relay;
  }

  async #launch({ http, tcp, rtc }) {
    const listeners = ['--listen', http, '--tcp', tcp, '--rtc', rtc, '--udp', 'off'];
    const args = ['serve', '--json', '--data', this.data, ...listeners, ...QUIET, ...this.#args];
    this.process = new Process(this.#t, TOMBOLO, args, { name: 'relay' });
    this.ready = await this.process.event('ready', ({ event, error }) => event === 'ready' || error);
    if (this.ready.error) throw new Error(`the relay: ${JSON.stringify(this.ready.error)}`);
  }

  /** SIGKILL. */
  kill() {
    return this.process.kill();
  }

  /** Starts it again, after it ended, with the same data at the same addresses. */
  restart() {
    return this.#launch(this.ready);
  }

  /** `http://127.0.0.1:PORT` */
  get origin() {
    return `http://${this.ready.http}`;
  }

  get tracker() {
    return `ws://${this.ready.http}/announce`;
  }

  get httpTracker() {
    return `${this.origin}/announce`;
  }

  /** The page's address with query parameters: `[name, value]` pairs, since names may repeat. */
  page(...parameters) {
    return `${this.origin}/?${new URLSearchParams(parameters)}`;
  }

  async stats() {
    const response = await fetch(`${this.origin}/stats.json`);
    if (!response.ok) throw new Error(`stats.json: ${response.status}`);
    return response.json();
  }

  /** Waits until `check(stats)` holds; returns those stats. */
  async until(what, check, options) {
    let stats;
    await until(`relay: ${what}`, async () => check((stats = await this.stats())), { ...options, describe: () => stats });
    return stats;
  }
}

/** A seeder over TCP only: `{process, port, magnet, info_hash_v1, address}`. */
export async function seed(t, content, ...args) {
  const process = new Process(t, TOMBOLO, ['seed', content, '--json', '--listen', ANY, '--rtc', 'off', ...QUIET, ...args], { name: 'seeder' });
  const ready = await process.event('ready', ({ ready, error }) => ready || error);
  if (ready.error) throw new Error(`seed: ${JSON.stringify(ready.error)}`);
  return { process, ...ready, port: ready.ready, address: `127.0.0.1:${ready.ready}` };
}

/** `tombolo peer` under control of the test: `{process, port, address}`. */
export async function peer(t, { role, torrent, dir, transport = 'tcp', args = [] }) {
  const own = ['--role', role, '--torrent', torrent, '--dir', dir, '--listen', ANY, '--json-control', '--transport', transport];
  const process = new Process(t, TOMBOLO, ['peer', ...own, ...args], { name: role });
  const ready = await process.event('ready', (event) => 'ready' in event || event.error);
  if (ready.error) throw new Error(`peer: ${JSON.stringify(ready.error)}`);
  return { process, port: ready.ready, address: `127.0.0.1:${ready.ready}` };
}

/**
 * A native seeder that tabs reach by WebRTC, and the relay that introduces them and carries nothing: `file` in pieces of `piece` bytes, with
 * further flags of `peer`. Returns `{relay, seeder, link}`.
 */
export async function seedToTabs(t, file, piece, ...flags) {
  const torrent = await create(t, file, '--piece-length', `${piece}`);
  const relay = await Relay.start(t, '--bridge', 'off');
  const args = ['--tracker', relay.tracker, ...flags];
  const { process } = await peer(t, { role: 'seeder', torrent: torrent.file, dir: dirname(file), transport: 'rtc', args });
  await process.event('its announce', ({ announced }) => announced);
  return { relay, seeder: process, link: magnet(torrent.info_hash_v1, ['tr', relay.tracker]) };
}

/** Starts `tombolo get`; await `.finish()` of what is returned. */
export function get(t, torrent, out, ...args) {
  return new Process(t, TOMBOLO, ['get', torrent, '--out', out, '--json', ...QUIET, ...args], { name: 'get' });
}

/** Makes a .torrent of `path` and returns `{file, magnet, ...show}`. */
export async function create(t, path, ...args) {
  const file = join(folder(t, 'torrent'), 'a.torrent');
  await tombolo('create', path, '-o', file, ...args);
  return { file, ...(await show(file)) };
}

/** What `tombolo show` says of a file or a magnet. */
export async function show(torrent) {
  return JSON.parse(await tombolo('show', '--json', torrent));
}

/** A magnet for an info-hash, with what `extra` adds as `[key, value]` pairs. */
export function magnet(infoHash, ...extra) {
  const rest = extra.map(([key, value]) => `&${key}=${encodeURIComponent(value)}`).join('');
  return `magnet:?xt=urn:btih:${infoHash}${rest}`;
}

async function tombolo(...args) {
  const { stdout } = await promisify(execFile)(TOMBOLO, args, { maxBuffer: 64 << 20 });
  return stdout;
}
