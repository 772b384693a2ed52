// Where things are, and which of the tools that a test needs are there.

import { accessSync, constants, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { atEnd } from './end.mjs';

export const ROOT = resolve(import.meta.dirname, '../../..');
export const TARGET = resolve(ROOT, process.env.CARGO_TARGET_DIR ?? 'target');
/** The binary under test. */
export const TOMBOLO = process.env.TOMBOLO_BIN ?? join(TARGET, 'debug/tombolo');
/** The Python of the interop tests' environment. */
export const PYTHON = process.env.TOMBOLO_PYTHON ?? join(TARGET, 'venv/bin/python');
/** rqbit, which Debian does not have. */
export const RQBIT = process.env.TOMBOLO_RQBIT ?? which('rqbit') ?? join(TARGET, 'tools/bin/rqbit');
export const CHROMIUM = process.env.TOMBOLO_CHROMIUM ?? which('chromium') ?? which('chromium-browser') ?? '/usr/bin/chromium';
export const FIREFOX = process.env.TOMBOLO_FIREFOX ?? which('firefox-esr') ?? which('firefox') ?? '/usr/bin/firefox-esr';
/** Downloads of the tests' own, kept between runs. */
export const CACHE = join(TARGET, 'test-cache');

/** The program `name` in PATH, or null. */
export function which(name) {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const file = join(folder, name);
    try {
      accessSync(file, constants.X_OK);
      return file;
    } catch {
      // Not in this folder.
    }
  }
  return null;
}

const TOOLS = {
  tombolo: [() => existsSync(TOMBOLO), 'cargo test --workspace --no-run'],
  page: [() => existsSync(join(ROOT, 'www/pkg/tombolo_web_bg.wasm')), 'cargo xtask wasm'],
  chromium: [() => existsSync(CHROMIUM) && existsSync(join(ROOT, 'tests/browser/node_modules/playwright-core')),
    'apt-get install chromium, npm ci in tests/browser'],
  npm: [() => which('npm') && existsSync(join(ROOT, 'tests/browser/node_modules/.bin/tsc')), 'npm ci in tests/browser'],
  firefox: [() => existsSync(FIREFOX) && existsSync(join(ROOT, 'tests/browser/node_modules/puppeteer-core')),
    'apt-get install firefox-esr, npm ci in tests/browser'],
  webtorrent: [() => existsSync(join(ROOT, 'tests/browser/node_modules/webtorrent/dist/webtorrent.min.js')), 'npm ci in tests/browser'],
  transmission: [() => which('transmission-daemon') && which('transmission-create') && which('transmission-remote'),
    'apt-get install transmission-daemon transmission-cli'],
  libtorrent: [() => existsSync(PYTHON), 'cargo xtask test installs it with pip'],
  rqbit: [() => existsSync(RQBIT), 'cargo xtask test builds it'],
  aria2: [() => which('aria2c'), 'apt-get install aria2'],
  unzip: [() => which('unzip'), 'apt-get install unzip'],
  ffmpeg: [() => which('ffmpeg'), 'apt-get install ffmpeg'],
  namespaces: [() => process.getuid() === 0 && which('ip') && which('nft'), 'as root: apt-get install iproute2 nftables'],
  apt: [() => which('apt-get') && which('apt-cache'), 'Debian'],
};

/**
 * Options for `test`: `{ skip: reason }` when one of the tools is missing, else a generous time limit.
 *
 * The programs under test are no tools: where they are missing the test fails.
 */
export function needs(...tools) {
  const missing = tools.filter((tool) => !TOOLS[tool][0]());
  const skip = missing.length > 0 && `missing ${missing.map((tool) => `${tool} (${TOOLS[tool][1]})`).join(', ')}`;
  return { skip, timeout: 280_000 };
}

/** A new empty folder that is removed after test `t`. */
export function folder(t, name = 'test') {
  const path = mkdtempSync(join(tmpdir(), `tombolo-${name}-`));
  atEnd(t, () => rmSync(path, { recursive: true, force: true, maxRetries: 5 }));
  return path;
}

/** The folder for what is kept between runs. */
export function cache() {
  mkdirSync(CACHE, { recursive: true });
  return CACHE;
}
