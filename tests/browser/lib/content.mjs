// Files to transfer: the same bytes on every machine, and real packages where a test wants real files.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, createReadStream, mkdirSync, openSync, readdirSync, statSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { cache } from './place.mjs';

export const KIB = 1024;
export const MIB = 1024 * 1024;

/** Bytes of a seeded generator (xorshift32): no two pieces alike, nothing compresses. */
export function noise(length, seed = 1) {
  const words = new Uint32Array(Math.ceil(length / 4));
  let state = (seed * 0x9e3779b9) | 1;
  for (let index = 0; index < words.length; index += 1) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[index] = state;
  }
  return Buffer.from(words.buffer, 0, length);
}

/** Writes `length` bytes of noise in slices; returns the path. */
export function write(path, length, seed = 1) {
  mkdirSync(dirname(path), { recursive: true });
  const file = openSync(path, 'w');
  for (let at = 0, part = 0; at < length; at += 8 * MIB, part += 1) {
    writeSync(file, noise(Math.min(8 * MIB, length - at), seed + part * 7919));
  }
  closeSync(file);
  return path;
}

/** SHA-256 of a file, in hex. */
export async function digest(path) {
  const hash = createHash('sha256');
  for await (const part of createReadStream(path, { highWaterMark: MIB })) hash.update(part);
  return hash.digest('hex');
}

/** Names tried for real files: large packages that every Debian archive has. */
const PACKAGES = ['chromium', 'libreoffice-core', 'linux-headers-amd64', 'firefox-esr', 'thunderbird', 'gcc-12', 'rustc', 'openjdk-17-jre-headless', 'clang-14', 'golang-1.19-go'];

/** Two real packages of the archive, 80 MB or more together; the smaller first. Downloaded once, then kept. */
export function packages() {
  const home = join(cache(), 'packages');
  mkdirSync(home, { recursive: true });
  const held = () => readdirSync(home).filter((name) => name.endsWith('.deb')).map((name) => join(home, name));
  const size = (path) => statSync(path).size;
  const enough = () => {
    const files = held().filter((path) => size(path) > 20e6).sort((one, other) => size(one) - size(other));
    return files.length >= 2 && size(files.at(-1)) + size(files.at(-2)) >= 80e6 ? [files.at(-2), files.at(-1)] : null;
  };
  for (const name of PACKAGES) {
    if (enough()) break;
    try {
      execFileSync('apt-get', ['-o', 'APT::Sandbox::User=root', 'download', name], { cwd: home, stdio: 'pipe', timeout: 120_000 });
    } catch {
      // Not in this archive, or no archive at all: the next one.
    }
  }
  return enough();
}
