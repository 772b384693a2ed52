// Measures every path and prints a table. Arguments choose rows by parts of their names; MIB sets the size.

import * as ceilings from './ceilings.mjs';
import * as paths from './paths.mjs';
import { scoped } from './scope.mjs';
import * as webtorrent from './webtorrent.mjs';

const LENGTH = Number(process.env.MIB ?? 256) * 1024 * 1024;

const ROWS = [
  ['bare data channel, page to page', ceilings.dataChannel],
  ['bare WebSocket into a worker', ceilings.webSocket],
  ['native seed to tab by WebRTC', paths.nativeByWebRtc],
  ['TCP to relay to tab by /wire', paths.bridge(true)],
  ['TCP to relay to tab by WebRTC', paths.bridge(false)],
  ['tab to tab', paths.tabToTab],
  ['WebTorrent: native seed (libtorrent) to tab', webtorrent.nativeByWebRtc],
  ['WebTorrent: tab to tab', webtorrent.tabToTab],
];

function row(name, { result: { ms, firstPeer, firstPiece, pause }, cpu, memory }) {
  const rate = LENGTH / 1e6 / (ms / 1000);
  const times = [firstPeer, firstPiece, pause].map((time) => (time === undefined ? '' : (time / 1000).toFixed(2)));
  return `| ${name} | ${rate.toFixed(1)} | ${times.join(' | ')} | ${cpu.toFixed(1)} | ${(memory / 1e6).toFixed(0)} |`;
}

const chosen = process.argv.slice(2);
const table = [];
for (const [name, measure] of ROWS) {
  if (chosen.length > 0 && !chosen.some((part) => name.includes(part))) continue;
  console.error(`measuring: ${name}`);
  try {
    const found = await scoped((scope) => measure(scope, LENGTH));
    if (found.result) table.push(row(name, found));
    else for (const [kind, each] of Object.entries(found)) table.push(row(`${name}, ${kind}`, each));
  } catch (error) {
    table.push(`| ${name} | failed: ${error.message.split('\n')[0]} | | | | | |`);
    process.exitCode = 1;
  }
}
console.log(`\n${LENGTH / 1024 / 1024} MiB; CPU seconds and peak memory are those of browsers and native processes together\n`);
console.log('| path | MB/s | first peer, s | first piece, s | longest pause, s | CPU s | memory, MB |\n|---|---|---|---|---|---|---|');
console.log(table.join('\n'));
