// Measures every path and prints a table. Arguments choose rows by parts of their names; MIB sets the size.

import * as ceilings from './ceilings.mjs';
import { CROWDS, crowd } from './crowd.mjs';
import { large } from './large.mjs';
import { memory } from './memory.mjs';
import { check, make, transfer } from './native.mjs';
import * as paths from './paths.mjs';
import { scoped } from './scope.mjs';
import { fast, shaped } from './shaped.mjs';
import { streaming } from './streaming.mjs';
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

const PAGES = ['tombolo', 'WebTorrent'];
const percent = (share) => `${(100 * share).toFixed(1)} %`;
const seconds = (ms) => (ms / 1000).toFixed(2);
const mega = (bytes) => (bytes / 1e6).toFixed(0);

/** Tables of other shapes: what they are of, their columns, and what measures their rows. */
const OTHERS = [
  ['slow link: 20 Mbit/s, 20 ms each way; shares of the link, and the mean wait in its queue of 400 ms', ['flows', 'uTP', 'TCP', 'queue, ms'],
    async () => Object.entries(await scoped(shaped)).map(([name, { utp, tcp, queue }]) => [name, percent(utp), percent(tcp), queue.toFixed(0)])],
  ['shaped link: 100 Mbit/s, 20 ms each way; shares of the link, and the mean wait in its queue', ['loss', 'what', 'share', 'queue, ms'],
    async () => (await fast()).map(({ loss, name, share, queue }) => [percent(loss), name, percent(share), queue.toFixed(0)])],
  ['streaming: a film of 60 MB from a seeder at twice its rate; medians', ['page', 'click to first frame, s', 'of the film fetched then', 'wind to 80 %, s', 'stalls'],
    async () => (await streaming()).map(([name, { frame, fetched, seek, stalls }]) => [name, seconds(frame), percent(fetched), seconds(seek), stalls])],
  ['eight tabs: 32 MiB from one seeder at 2 MB/s', ['page', 'first done, s', 'middle, s', 'last, s', 'least possible, s', 'CPU s', 'copies sent'],
    () => each(CROWDS, async (page) => {
      const { first, middle, last, bound, cpu, copies } = await scoped((t) => crowd(page)(t, 32 * MIB));
      return [page, ...[first, middle, last, bound, cpu].map((time) => time.toFixed(1)), copies.toFixed(2)];
    })],
  ['memory: of the page alone, its private bytes before and at most', ['page', 'MiB', 's', 'MB before', 'MB at most'],
    () => each(PAGES.flatMap((page) => [256, 1024].map((mib) => [page, mib])), async ([page, mib]) => {
      const { ms, empty, peak } = await scoped((t) => memory(page)(t, mib * MIB));
      return [page, mib, (ms / 1000).toFixed(1), mega(empty), mega(peak)];
    })],
  ['large torrents: from the click, s', ['torrent', 'files known', 'list shown', 'ready', 'longest without a frame', 'the same while scrolling'],
    () => each([['files', 'link'], ['files', '.torrent'], ['pieces', 'link'], ['pieces', '.torrent']], async ([what, by]) => {
      const { known, shown, ready, longest, scroll } = await scoped(large(what, by));
      return [`${what === 'files' ? '10,000 files' : '100,000 pieces'} by ${by}`, ...[known, shown, ready, longest, scroll].map(seconds)];
    })],
];

/** One after the other. */
async function each(list, measure) {
  const rows = [];
  for (const item of list) rows.push(await measure(item));
  return rows;
}

async function printOther([what, columns, measure]) {
  const [name] = what.split(':');
  if (!isChosen(name)) return;
  console.error(`measuring: ${name}`);
  const lines = (await measure()).map((cells) => `| ${cells.join(' | ')} |`);
  console.log(`\n${what}\n\n| ${columns.join(' | ')} |\n|${'---|'.repeat(columns.length)}\n${lines.join('\n')}`);
}

/** Arguments choose rows by parts of their names; none: all. */
function isChosen(name) {
  const parts = process.argv.slice(2);
  return parts.length === 0 || parts.some((part) => name.includes(part));
}

for (const table of TABLES) await print(table);
for (const other of OTHERS) await printOther(other);
