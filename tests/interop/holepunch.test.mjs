// Two peers, each behind a NAT of its own that lets nobody in, come together by a third that both know (BEP 55): real NATs, of the kernel.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { write } from '../browser/lib/content.mjs';
import { atEnd } from '../browser/lib/end.mjs';
import { TOMBOLO, folder, needs } from '../browser/lib/place.mjs';
import { Process } from '../browser/lib/process.mjs';
import { create } from '../browser/lib/tombolo.mjs';

const run = (program, ...args) => {
  const { status, stderr } = spawnSync(program, args, { encoding: 'utf8' });
  assert.equal(status, 0, `${program} ${args.join(' ')}: ${stderr}`);
};
const ip = (...args) => run('ip', ...args);

/** What a router at home does: others' addresses for those behind it, and nothing in that was not asked for. */
const ROUTER = `
table ip nat {
  chain out {
    type nat hook postrouting priority 100
    oifname "wan" masquerade
  }
}
table ip filter {
  chain in {
    type filter hook input priority 0; policy drop
    iifname "lan" accept
    ct state established,related accept
  }
  chain through {
    type filter hook forward priority 0; policy drop
    iifname "lan" accept
    ct state established,related accept
  }
}
`;

/** Namespaces `open`, and `a` and `b` each behind a router: their names. They go with the test. */
function networks(t) {
  const name = (kind) => `tombolo-${process.pid}-${kind}`;
  const add = (kind) => {
    ip('netns', 'add', name(kind));
    atEnd(t, () => ip('netns', 'del', name(kind)));
    ip('-n', name(kind), 'link', 'set', 'lo', 'up');
  };
  const join = ([one, inOne, at], [other, inOther, there]) => {
    ip('-n', name(one), 'link', 'add', inOne, 'type', 'veth', 'peer', 'name', inOther, 'netns', name(other));
    for (const [kind, device, address] of [[one, inOne, at], [other, inOther, there]]) {
      if (address) ip('-n', name(kind), 'addr', 'add', `${address}/24`, 'dev', device);
      ip('-n', name(kind), 'link', 'set', device, 'up');
    }
  };
  add('open');
  ip('-n', name('open'), 'link', 'add', 'net', 'type', 'bridge');
  ip('-n', name('open'), 'addr', 'add', '10.78.0.1/24', 'dev', 'net');
  ip('-n', name('open'), 'link', 'set', 'net', 'up');
  for (const [at, side] of ['a', 'b'].entries()) {
    const router = `router-${side}`;
    add(router);
    add(side);
    join(['open', `port-${side}`, null], [router, 'wan', `10.78.0.${at + 2}`]);
    ip('-n', name('open'), 'link', 'set', `port-${side}`, 'master', 'net');
    join([router, 'lan', `192.168.${at + 1}.1`], [side, 'eth', `192.168.${at + 1}.2`]);
    ip('-n', name(side), 'route', 'add', 'default', 'via', `192.168.${at + 1}.1`);
    const set = spawnSync('ip', ['netns', 'exec', name(router), 'nft', '-f', '-'], { input: ROUTER, encoding: 'utf8' });
    assert.equal(set.status, 0, set.stderr);
    ip('netns', 'exec', name(router), 'sysctl', '-qw', 'net.ipv4.ip_forward=1');
  }
  return name;
}

const QUIET = ['--no-trackers', '--no-dht', '--no-lsd', '--no-portmap', '--rtc', 'off', '--allow-local'];

/** Less than the minute after which the seed is told of the other by peer exchange, and dials by itself: then no help is needed. */
const BEFORE_THAT = { within: 45_000 };

test('peers behind two NATs are brought together', needs('namespaces'), async (t) => {
  const name = networks(t);
  const content = folder(t, 'content');
  const torrent = await create(t, write(`${content}/a.bin`, 4_000_000), '--piece-length', '16KiB');
  const within = (kind, what, ...args) =>
    new Process(t, 'ip', ['netns', 'exec', name(kind), TOMBOLO, ...args, '--json', ...QUIET, '--up', '20000'], { name: what });
  const get = (kind, what, ...args) => within(kind, what, 'get', torrent.file, '--out', folder(t, what), ...args);
  const linked = (process, count, options) => process.event(`${count} peers`, ({ peers }) => peers === count, options);
  const home = ['--listen', '0.0.0.0:6881', '--peer', '10.78.0.1:6881'];
  const third = get('open', 'third', '--listen', '10.78.0.1:6881');
  await third.event('progress', ({ peers }) => peers === 0);
  const seed = within('b', 'seed', 'seed', torrent.file, '--dir', content, ...home);
  await linked(third, 1);
  // The seed is told of this one at once, and so of the next only a minute later (BEP 11).
  get('open', 'fourth', '--listen', '10.78.0.1:6882', '--peer', '10.78.0.1:6881');
  await linked(seed, 2);
  const leech = get('a', 'leech', ...home);
  await linked(leech, 3, BEFORE_THAT);
  await linked(seed, 3, BEFORE_THAT);
});
