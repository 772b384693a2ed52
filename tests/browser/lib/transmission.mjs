// transmission-daemon, the native client of Debian. It never dials loopback addresses, so others must dial it; its first
// bytes come with its next rechoke, up to 10 s later.

import { execFile, execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Process } from './process.mjs';
import { folder } from './place.mjs';
import { until } from './wait.mjs';

/** Makes a torrent with transmission's own tool; returns the info-hash. */
export function createTorrent(path, file) {
  execFileSync('transmission-create', ['--piecesize', '256', '--outfile', file, path], { stdio: 'pipe' });
  const text = execFileSync('transmission-show', [file], { encoding: 'utf8' });
  return /Hash(?: v1)?: ([0-9a-f]{40})/.exec(text)[1];
}

/** A daemon with nothing in it; everything that would leave loopback is off. Encryption: 0 none wanted, 1 preferred, 2 required. */
export class Transmission {
  static async start(t, { encryption = 0, utp = false } = {}) {
    const daemon = new Transmission();
    const home = folder(t, 'transmission');
    daemon.downloads = join(home, 'downloads');
    mkdirSync(daemon.downloads);
    [daemon.port, daemon.rpc] = await freePorts(2);
    writeFileSync(join(home, 'settings.json'), JSON.stringify({
      'bind-address-ipv4': '127.0.0.1', 'bind-address-ipv6': '::1', 'peer-port': daemon.port,
      'rpc-bind-address': '127.0.0.1', 'rpc-port': daemon.rpc, 'rpc-whitelist-enabled': false, 'rpc-host-whitelist-enabled': false,
      'download-dir': daemon.downloads, 'dht-enabled': false, 'lpd-enabled': false, 'pex-enabled': false, 'port-forwarding-enabled': false,
      'utp-enabled': utp, encryption, 'cache-size-mb': 4,
    }));
    daemon.process = new Process(t, 'transmission-daemon', ['--foreground', '--config-dir', home, '--log-error']);
    await until('transmission to answer', () => daemon.remote('--session-info').then(() => true, () => false));
    return daemon;
  }

  get address() {
    return `127.0.0.1:${this.port}`;
  }

  /** `transmission-remote` with these arguments; returns what it prints. */
  async remote(...args) {
    const { stdout } = await promisify(execFile)('transmission-remote', [`127.0.0.1:${this.rpc}`, ...args], { encoding: 'utf8' });
    return stdout;
  }

  /** Adds a torrent whose content is in (or goes to) `dir`, and waits until what is there is checked. */
  async add(torrent, dir = this.downloads) {
    await this.remote('--add', torrent, '--download-dir', dir);
    await until('transmission to check', async () => !/Verif|Unknown/.test(await this.state()), { describe: () => this.state() });
  }

  /** State of its only torrent, as transmission names it: `Idle`, `Seeding`, `Downloading`, … */
  async state() {
    return /State: (.*)/.exec(await this.remote('--torrent', '1', '--info'))?.[1] ?? 'Unknown';
  }

  /** Percent that it has of its only torrent. */
  async percent() {
    return Number(/Percent Done: ([\d.]+)%/.exec(await this.remote('--torrent', '1', '--info'))?.[1] ?? Number.NaN);
  }
}

/** Ports that are free now. Only for programs that cannot choose their own. */
export async function freePorts(count) {
  const servers = await Promise.all(Array.from({ length: count }, () => new Promise((resolve, reject) => {
    const server = createServer().once('error', reject).listen(0, '127.0.0.1', () => resolve(server));
  })));
  const ports = servers.map((server) => server.address().port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
