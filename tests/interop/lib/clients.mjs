// The native clients that ours is tried with, each behind the same few words.
//
// `start(t, {role, torrent | magnet, dir, transport, encrypted, peers, trackers})` starts one that seeds or fetches one torrent in `dir`, and returns
// `{address, pid, done(), connect?(address)}` when it can be dialled; `done()` waits until it has everything (it takes options of `until`). What a
// client cannot do is said beside it: `transports`, `encrypts`, `versions`, `dials` (by itself, whom it is told of, on loopback), `fetchesLinks` (false: not so that it could be shown).

import { join } from 'node:path';
import { libtorrent } from '../../browser/lib/libtorrent.mjs';
import { RQBIT, folder } from '../../browser/lib/place.mjs';
import { Process } from '../../browser/lib/process.mjs';
import { peer } from '../../browser/lib/tombolo.mjs';
import { Transmission, freePorts } from '../../browser/lib/transmission.mjs';
import { until } from '../../browser/lib/wait.mjs';

/** Our own, the other end of everything. `encrypted`: it requires encryption. */
export async function ours(t, { role, torrent, magnet, dir, transport = 'tcp', encrypted }) {
  const args = encrypted ? ['--encryption', 'require'] : [];
  return controlled(await peer(t, { role, torrent: magnet ?? torrent, dir, transport, args }));
}

/** A peer that takes orders from stdin, and says on stdout when it has everything. */
function controlled({ process, address }) {
  return {
    address,
    pid: process.pid,
    connect: (other) => {
      const [host, port] = other.split(':');
      process.send({ connect: [host, Number(port)] });
    },
    done: (options) => process.event('finished', ({ finished }) => finished, options),
  };
}

const VERSIONS = ['v1', 'v2', 'hybrid'];

export const CLIENTS = [
  {
    name: 'libtorrent',
    transports: ['tcp', 'utp'],
    encrypts: true,
    versions: VERSIONS,
    dials: true,
    async start(t, { torrent, magnet, dir, transport = 'tcp', encrypted, trackers, listen }) {
      return controlled(await libtorrent(t, { torrent, magnet, dir, transport, encryption: encrypted, trackers, listen }));
    },
  },
  {
    name: 'transmission',
    transports: ['tcp', 'utp'],
    encrypts: true,
    versions: ['v1'],
    // Never loopback.
    dials: false,
    async start(t, { torrent, magnet, dir, transport = 'tcp', encrypted, trackers = [] }) {
      const daemon = await Transmission.start(t, { encryption: encrypted ? 2 : 0, utp: transport === 'utp' });
      await daemon.add(magnet ?? torrent, dir);
      for (const url of trackers) await daemon.remote('--torrent', '1', '--tracker-add', url);
      const done = () => until('transmission to complete', async () => (await daemon.percent()) === 100, { describe: () => daemon.state() });
      return { address: daemon.address, pid: daemon.process.pid, done };
    },
  },
  {
    name: 'aria2',
    transports: ['tcp'],
    encrypts: true,
    versions: ['v1'],
    // Only whom a tracker names. With a link alone it takes nobody's connection, and tells trackers that it lacks nothing: ours names no seed to it.
    dials: false,
    fetchesLinks: false,
    async start(t, { role, torrent, magnet, dir, encrypted, trackers = [], ipv6 = false }) {
      const [port, rpc] = await freePorts(2);
      const process = new Process(t, 'aria2c', [
        '--no-conf', `--dir=${dir}`, `--listen-port=${port}`, '--bt-enable-lpd=false',
        // It asks UDP trackers from the port of its DHT, which knows no node to begin with.
        '--enable-dht=true', '--enable-dht6=false', `--dht-listen-port=${port}`, `--dht-file-path=${join(folder(t, 'aria2'), 'dht.dat')}`,
        '--enable-peer-exchange=false', `--disable-ipv6=${!ipv6}`, '--file-allocation=none', '--seed-ratio=0', '--follow-torrent=true',
        '--enable-rpc', `--rpc-listen-port=${rpc}`, '--console-log-level=warn', '--summary-interval=0', '--quiet=false',
        ...(role === 'seeder' ? ['--check-integrity=true', '--allow-overwrite=true'] : []),
        ...(encrypted ? ['--bt-force-encryption=true'] : []),
        ...(trackers.length > 0 ? [`--bt-tracker=${trackers.join(',')}`] : []),
        magnet ?? torrent,
      ]);
      const status = () => ask(rpc, 'aria2.tellActive').catch(() => []);
      // After a link's metadata it goes on under another number, so all that is active is looked at.
      const done = (options) => until('aria2 to complete', async () => alive(process) && (await status()).some(({ seeder }) => seeder === 'true'),
        { ...options, describe: async () => [await status(), process.tail()] });
      await until('aria2 to start', async () => (await status()).length > 0, { describe: () => process.tail() });
      if (role === 'seeder') await done();
      return { address: `127.0.0.1:${port}`, pid: process.pid, done };
    },
  },
  {
    name: 'rqbit',
    transports: ['tcp', 'utp'],
    encrypts: false,
    versions: ['v1'],
    dials: true,
    // It is told of peers when it starts.
    knows: true,
    async start(t, { role, torrent, magnet, dir, transport = 'tcp', peers = [], trackers = [], ip = '127.0.0.1' }) {
      const [port, http] = await freePorts(2);
      const home = folder(t, 'rqbit');
      const utp = ['--experimental-enable-utp-listen', '--disable-tcp-listen', '--disable-tcp-connect'];
      if (trackers.length > 0) throw new Error('rqbit takes trackers from the torrent');
      const process = new Process(t, RQBIT, [
        '--disable-dht', '--disable-lsd', '--disable-upnp-port-forward', '--listen-ip', ip.replace(/[[\]]/g, ''), '--listen-port', String(port),
        '--http-api-listen-addr', `127.0.0.1:${http}`, '-v', 'warn', ...(transport === 'utp' ? utp : []),
        'download', '--output-folder', dir, ...(role === 'seeder' ? ['--overwrite'] : []),
        ...(peers.length > 0 ? ['--initial-peers', peers.join(',')] : []), magnet ?? torrent,
      ], { name: 'rqbit', env: { HOME: home, XDG_CACHE_HOME: home, XDG_DATA_HOME: join(home, 'data') } });
      const stats = () => fetch(`http://127.0.0.1:${http}/torrents/0/stats/v1`).then((response) => response.json(), () => ({}));
      const done = (options) => until('rqbit to complete', async () => alive(process) && (await stats()).finished,
        { ...options, describe: async () => [await stats(), process.tail()] });
      if (role === 'seeder') await done();
      else if (torrent) await until('rqbit to start', async () => (await stats()).state === 'live', { describe: () => process.tail() });
      return { address: `127.0.0.1:${port}`, pid: process.pid, done };
    },
  },
];

/** Fails at once when a client has ended. */
function alive(process) {
  if (process.exit) throw new Error(`it ended (${JSON.stringify(process.exit)}): ${process.tail().join('\n')}`);
  return true;
}

async function ask(port, method) {
  const body = JSON.stringify({ jsonrpc: '2.0', id: '1', method, params: [] });
  const response = await fetch(`http://127.0.0.1:${port}/jsonrpc`, { method: 'POST', body });
  return (await response.json()).result ?? [];
}
