// Our native peer and every other native client: both roles, every transport and encryption that they have, every version of a torrent that they
// read, by .torrent and by link, dialled by either side. All bytes must be the same at the end.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { MIB, digest, write } from '../browser/lib/content.mjs';
import { folder, needs } from '../browser/lib/place.mjs';
import { create, magnet } from '../browser/lib/tombolo.mjs';
import { CLIENTS, ours } from './lib/clients.mjs';

/** A folder with files that begin and end within pieces, one of them empty. */
const FILES = { 'a/first.bin': 9 * MIB + 13, 'b.bin': MIB, 'c.bin': 16_384, 'd/e/last one.bin': 3 * MIB - 1 };

/** How the bytes travel. `encrypted` is what the other requires; `both` if we do too. */
const WAYS = [
  { transport: 'tcp' },
  { transport: 'utp' },
  { transport: 'tcp', encrypted: true },
  { transport: 'tcp', encrypted: true, both: true },
  { transport: 'utp', encrypted: true, both: true },
];

/** The cases of one client: every way with the plainest torrent, and every torrent in the plainest way. */
function* cases(client) {
  const can = ({ transport, encrypted }) => client.transports.includes(transport) && (!encrypted || client.encrypts);
  const dialling = client.dials ? ['us', 'them'] : ['us'];
  for (const role of ['seeder', 'leecher']) {
    for (const way of WAYS.filter(can)) {
      for (const dials of dialling) yield { role, way, dials, version: 'v1', by: '.torrent' };
    }
    for (const version of client.versions) {
      for (const by of ['.torrent', 'link']) {
        if (version === 'v1' && by === '.torrent') continue;
        // Who has a link alone asks for the metadata of whom it dials.
        const fetchesLink = by === 'link' && role === 'leecher';
        if (fetchesLink && client.fetchesLinks === false) continue;
        yield { role, way: WAYS[0], dials: fetchesLink && client.dials ? 'them' : 'us', version, by };
      }
    }
  }
}

function title(client, { role, way, dials, version, by }) {
  const encrypted = way.encrypted ? `, encrypted as ${way.both ? 'both require' : 'they require'}` : '';
  return `${client.name} as ${role}: ${version} by ${by} over ${way.transport}${encrypted}, dialled by ${dials}`;
}

/** Content and its torrent. */
async function content(t, version) {
  const dir = folder(t, 'content');
  for (const [path, length] of Object.entries(FILES)) write(join(dir, 'a set', path), length);
  write(join(dir, 'a set', 'empty'), 0);
  return { dir, torrent: await create(t, join(dir, 'a set'), '--piece-length', '256KiB', `--${version}`) };
}

/** A link by the newest info-hash alone. */
function link({ info_hash_v1: v1, info_hash_v2: v2 }) {
  return v2 ? `magnet:?xt=urn:btmh:1220${v2}` : magnet(v1);
}

for (const client of CLIENTS) {
  for (const each of cases(client)) {
    test(title(client, each), needs(client.name), async (t) => {
      const { role, way: { transport, encrypted, both }, dials, version, by } = each;
      const { dir, torrent } = await content(t, version);
      const out = folder(t, 'out');
      const source = by === 'link' ? { magnet: link(torrent) } : { torrent: torrent.file };
      const seeds = { role: 'seeder', torrent: torrent.file, dir, transport };
      const fetches = { role: 'leecher', ...source, dir: out, transport };
      const [mine, theirs] = role === 'seeder' ? [fetches, seeds] : [seeds, fetches];
      const us = await ours(t, { ...mine, encrypted: both });
      const peers = dials === 'them' && client.knows ? [us.address] : [];
      const them = await client.start(t, { ...theirs, encrypted, peers });
      if (dials === 'us') us.connect(them.address);
      else them.connect?.(us.address);
      await (role === 'seeder' ? us : them).done();
      for (const path of Object.keys(FILES)) {
        assert.equal(await digest(join(out, 'a set', path)), await digest(join(dir, 'a set', path)), path);
      }
    });
  }
}
