// Measures every path and prints a table. Arguments choose rows by parts of their names; MIB sets the size.

import * as ceilings from './ceilings.mjs';
import { check, make, transfer } from './native.mjs';
import * as paths from './paths.mjs';
import { scoped } from './scope.mjs';
import { shaped } from './shaped.mjs';
import * as webtorrent from './webtorrent.mjs';

const MIB = 1024 * 1024;
const SMALL = { piece: 16 * 1024 };
const UTP = { transport: 'utp' };

/** Tables: what they are of, MiB of content (the environment's MIB instead, if set), rows. */
const TABLES = [
  ['into headless Chromium', 256, [
    ['bare data channel, page to page', ceilings.dataChannel],
    ['bare WebSocket into a worker', ceilings.webSocket],
    ['native seed to tab by WebRTC', paths.nativeByWebRtc],
    ['TCP to relay to tab by /wire', paths.bridge(true)],
    ['TCP to relay to tab by WebRTC', paths.bridge(false)],
    ['tab to tab', paths.tabToTab],
    ['WebTorrent: native seed (libtorrent) to tab', webtorrent.nativeByWebRtc],
    ['WebTorrent: tab to tab', webtorrent.tabToTab],
  ]],
  ['native peers', 1024, [
    ['TCP, pieces of 1 MiB: tombolo to tombolo', transfer('tombolo', 'tombolo')],
    ['TCP, pieces of 1 MiB: libtorrent to libtorrent', transfer('libtorrent', 'libtorrent')],
    ['TCP, pieces of 1 MiB: tombolo to libtorrent', transfer('tombolo', 'libtorrent')],
    ['TCP, pieces of 1 MiB: libtorrent to tombolo', transfer('libtorrent', 'tombolo')],
    ['TCP, pieces of 1 MiB: rqbit to rqbit', transfer('rqbit', 'rqbit')],
    ['TCP, pieces of 1 MiB: tombolo to rqbit', transfer('tombolo', 'rqbit')],
    ['TCP, pieces of 1 MiB: rqbit to tombolo', transfer('rqbit', 'tombolo')],
    ['TCP, pieces of 1 MiB: aria2 to aria2', transfer('aria2', 'aria2')],
    ['TCP, pieces of 1 MiB: tombolo to aria2', transfer('tombolo', 'aria2')],
    ['TCP, pieces of 1 MiB: aria2 to tombolo', transfer('aria2', 'tombolo')],
    ['TCP, pieces of 16 KiB: tombolo to tombolo', transfer('tombolo', 'tombolo', SMALL)],
    ['TCP, pieces of 16 KiB: libtorrent to libtorrent', transfer('libtorrent', 'libtorrent', SMALL)],
    ['uTP: tombolo to tombolo', transfer('tombolo', 'tombolo', UTP)],
    ['uTP: libtorrent to libtorrent', transfer('libtorrent', 'libtorrent', UTP)],
    ['uTP: rqbit to rqbit', transfer('rqbit', 'rqbit', UTP)],
    ['uTP: tombolo to rqbit', transfer('tombolo', 'rqbit', UTP)],
    ['uTP: rqbit to tombolo', transfer('rqbit', 'tombolo', UTP)],
  ]],
  ['files', 4096, [
    ['check: tombolo', check('tombolo')],
    ['check: libtorrent', check('libtorrent')],
    ['create: tombolo', make('tombolo')],
    ['create: libtorrent', make('libtorrent')],
  ]],
];

function row(name, length, { result: { ms, firstPeer, firstPiece, pause }, cpu, memory }) {
  const rate = length / 1e6 / (ms / 1000);
  const times = [firstPeer, firstPiece, pause].map((time) => (time === undefined ? '' : (time / 1000).toFixed(2)));
  return `| ${name} | ${rate.toFixed(1)} | ${times.join(' | ')} | ${cpu.toFixed(1)} | ${(memory / 1e6).toFixed(0)} |`;
}

/** Measures the rows of a table that are asked for and prints them. */
async function print([what, mib, rows]) {
  const length = Number(process.env.MIB ?? mib) * MIB;
  const lines = [];
  for (const [name, measure] of rows.filter(([name]) => isChosen(`${what}: ${name}`))) {
    console.error(`measuring: ${name}`);
    try {
      const found = await scoped((scope) => measure(scope, length));
      const kinds = found.result ? { '': found } : found;
      for (const [kind, each] of Object.entries(kinds)) lines.push(row(kind ? `${name}, ${kind}` : name, length, each));
    } catch (error) {
      lines.push(`| ${name} | failed: ${error.message.split('\n')[0]} | | | | | |`);
      process.exitCode = 1;
    }
  }
  if (lines.length === 0) return;
  console.log(`\n${length / MIB} MiB, ${what}; CPU seconds and peak memory of all processes together\n`);
  console.log('| path | MB/s | first peer, s | first piece, s | longest pause, s | CPU s | memory, MB |\n|---|---|---|---|---|---|---|');
  console.log(lines.join('\n'));
}

/** Measures uTP on a slow link, which needs root for its network namespaces. */
async function printLink() {
  console.error('measuring: a slow link');
  const percent = (share) => `${(100 * share).toFixed(1)} %`;
  const found = Object.entries(await scoped(shaped));
  console.log('\n20 Mbit/s, 20 ms each way: shares of the link, and the mean wait in its queue of 400 ms\n');
  console.log('| flows | uTP | TCP | queue, ms |\n|---|---|---|---|');
  for (const [name, { utp, tcp, queue }] of found) console.log(`| ${name} | ${percent(utp)} | ${percent(tcp)} | ${queue.toFixed(0)} |`);
}

/** Arguments choose rows by parts of their names; none: all. */
function isChosen(name) {
  const parts = process.argv.slice(2);
  return parts.length === 0 || parts.some((part) => name.includes(part));
}

for (const table of TABLES) await print(table);
if (isChosen('slow link')) await printLink();
