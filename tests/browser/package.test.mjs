// The npm package: what its README shows runs, and its types say what is there.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { browser } from './lib/browser.mjs';
import { MIB, digest, write } from './lib/content.mjs';
import { ROOT, TARGET, folder, needs } from './lib/place.mjs';
import { serveFolder } from './lib/serve.mjs';
import { Relay, seed } from './lib/tombolo.mjs';
import { until } from './lib/wait.mjs';

const run = promisify(execFile);

/** A new project with the package installed in it as npm would publish it. */
async function project(t) {
  const at = folder(t, 'project');
  const { stdout } = await run('npm', ['pack', '--json', '--pack-destination', at], { cwd: join(TARGET, 'npm') });
  const [{ filename }] = JSON.parse(stdout);
  await writeFile(join(at, 'package.json'), '{ "private": true, "type": "module" }');
  await run('npm', ['install', '--offline', '--no-audit', '--no-fund', `./${filename}`], { cwd: at });
  return at;
}

/** The README's example with this relay and magnet in it. */
async function example(relay, magnet) {
  const text = await readFile(join(ROOT, 'docs/package.md'), 'utf8');
  const [, html] = /```html\n([^]*?)```/.exec(text);
  const map = '<script type="importmap">{ "imports": { "tombolo": "/node_modules/tombolo/client.js" } }</script>';
  return `<!doctype html>${map}${html}`.replace('https://relay.example', relay.origin).replace('magnet:?xt=urn:btih:…', magnet);
}

test('the ten lines of its README run', needs('chromium', 'npm'), async (t) => {
  const at = await project(t);
  const film = write(join(folder(t, 'content'), 'film.mp4'), 5 * MIB + 7, 3);
  const relay = await Relay.start(t);
  const seeder = await seed(t, film);
  await writeFile(join(at, 'index.html'), await example(relay, `${seeder.magnet}&x.pe=${seeder.address}`));
  // What the README has one copy for streaming.
  await copyFile(join(at, 'node_modules/tombolo/sw.js'), join(at, 'sw.js'));
  const site = await serveFolder(t, at);
  const chromium = await browser(t);
  const tab = await chromium.open('about:blank');
  const lines = [];
  tab.page.on('console', (message) => lines.push(message.text()));
  await tab.page.goto(`${site.origin}/`);
  await until('the example said what it has', () => lines.includes(`film.mp4: ${5 * MIB + 7} bytes`), { within: 120_000, describe: () => ({ lines, errors: tab.errors }) });
  assert.equal(await tab.page.title(), '100 %');
  assert.match(await tab.page.evaluate(() => document.querySelector('#film').src), /\/stream\/[0-9a-f]{40}\/0\/film\.mp4$/);
});

test('a file is read, limited, and let go by its API', needs('chromium', 'npm'), async (t) => {
  const at = await project(t);
  const content = write(join(folder(t, 'content'), 'a.bin'), 3 * MIB + 5, 4);
  const relay = await Relay.start(t);
  const seeder = await seed(t, content);
  await writeFile(join(at, 'index.html'), '<!doctype html><title>api</title>');
  const site = await serveFolder(t, at);
  const { page } = await (await browser(t)).open(`${site.origin}/`);
  const found = await page.evaluate(async ([relay, magnet]) => {
    const { Client, TomboloError } = await import('/node_modules/tombolo/client.js');
    const client = new Client({ relay, serviceWorker: null });
    await client.ready;
    const aborted = new AbortController();
    const lost = await client.add('magnet:?xt=urn:btih:' + '0'.repeat(40), { signal: aborted.signal });
    const gone = lost.next('done').catch((error) => error instanceof TomboloError && error.code);
    aborted.abort();
    const seen = [];
    const torrent = await client.add(magnet);
    for (const type of ['metadata', 'ready', 'download', 'peer', 'done']) torrent.addEventListener(type, () => seen.includes(type) || seen.push(type));
    await torrent.metadata();
    await torrent.limit({ down: 4_000_000 });
    const [file] = torrent.files;
    await file.setDeadline(file.length - 9);
    const tail = await new Response(file.stream({ start: file.length - 9 })).arrayBuffer();
    const empty = await new Response(file.stream({ start: 5, end: 5 })).arrayBuffer();
    const streamed = await new Response(file.stream()).arrayBuffer();
    const whole = await file.blob();
    const hash = async (bytes) => [...new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
    return {
      gone: await gone, listed: client.torrents.length, seen: seen.sort(), tail: tail.byteLength, empty: empty.byteLength, url: file.streamURL,
      streamed: await hash(streamed), whole: await hash(await whole.arrayBuffer()), done: file.done, progress: torrent.progress, type: file.type,
    };
  }, [relay.origin, `${seeder.magnet}&x.pe=${seeder.address}`]);
  const hash = await digest(content);
  assert.deepEqual(found, {
    gone: 'not-found', listed: 1, seen: ['done', 'download', 'metadata', 'peer', 'ready'], tail: 9, empty: 0, url: null,
    streamed: hash, whole: hash, done: true, progress: 1, type: 'application/octet-stream',
  });
});

test('its types name what is there, and a strict program compiles with them', needs('chromium', 'npm'), async (t) => {
  const at = await project(t);
  const program = join(at, 'src');
  await mkdir(program);
  await copyFile(join(ROOT, 'tests/browser/lib/types.ts'), join(program, 'types.ts'));
  const tsc = join(ROOT, 'tests/browser/node_modules/.bin/tsc');
  const options = ['--noEmit', '--strict', '--noUncheckedIndexedAccess', '--target', 'esnext', '--module', 'nodenext', '--lib', 'esnext,dom'];
  await run(tsc, [...options, join(program, 'types.ts')], { cwd: at }).catch(({ stdout }) => assert.fail(stdout));

  const types = await readFile(join(at, 'node_modules/tombolo/client.d.ts'), 'utf8');
  const site = await serveFolder(t, at);
  await writeFile(join(at, 'index.html'), '<!doctype html><title>types</title>');
  const { page } = await (await browser(t)).open(`${site.origin}/`);
  const members = await page.evaluate(async () => {
    const api = await import('/node_modules/tombolo/client.js');
    return Object.fromEntries(['Torrent', 'TorrentFile', 'Client'].map((name) => [name, Object.getOwnPropertyNames(api[name].prototype)]));
  });
  for (const [name, found] of Object.entries(members)) {
    const [, body] = new RegExp(`export class ${name} [^]*?\\{\n([^]*?)\n\\}`).exec(types);
    const declared = [...body.matchAll(/^ {2}(?:readonly )?(\w+)[(<:]/gm)].map(([, member]) => member);
    const missing = found.filter((member) => !declared.includes(member) && !INTERNAL.has(member));
    assert.deepEqual(missing, [], `${name} has members that client.d.ts does not declare`);
  }
});

/** What the parts of the client are to each other. */
const INTERNAL = new Set(['constructor', 'update', 'describe', 'read', 'unplayable', 'pace']);
