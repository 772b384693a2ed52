// Measures data channels between the native transport and a worker in headless Chromium; see README.md.
import { spawn, execFileSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

const { values: flags } = parseArgs({
  options: {
    probe: { type: 'string' }, runs: { type: 'string', default: '3' }, bytes: { type: 'string', default: String(256 << 20) },
    up: { type: 'boolean', default: false }, offer: { type: 'string', default: 'tab' }, pair: { type: 'boolean', default: false },
    window: { type: 'string' }, message: { type: 'string' }, 'page-message': { type: 'string', default: '65536' },
    verbose: { type: 'boolean', default: false },
  },
});
const { chromium } = createRequire(new URL('../../browser/package.json', import.meta.url))('playwright-core');

const page = `<!doctype html><meta charset=utf-8><script>
const source = ${JSON.stringify(worker.toString())};
const engine = new Worker(URL.createObjectURL(new Blob(['(' + source + ')()'])));
const told = {};
engine.onmessage = ({ data }) => { Object.assign(told, data); };
const hand = (channel) => engine.postMessage({ channel, up: ${flags.up}, bytes: ${flags.bytes}, message: ${flags['page-message']} }, [channel]);
const gathered = (pc) => new Promise((done) => {
  const look = () => pc.iceGatheringState === 'complete' && done(pc.localDescription.sdp);
  pc.addEventListener('icegatheringstatechange', look); look();
});
async function offer() {
  globalThis.pc = new RTCPeerConnection();
  hand(pc.createDataChannel('bench'));
  await pc.setLocalDescription();
  return gathered(pc);
}
const accept = (sdp) => pc.setRemoteDescription({ type: 'answer', sdp });
async function answer(sdp) {
  globalThis.pc = new RTCPeerConnection();
  pc.ondatachannel = ({ channel }) => hand(channel);
  await pc.setRemoteDescription({ type: 'offer', sdp });
  await pc.setLocalDescription();
  return gathered(pc);
}
</script>`;

function worker() {
  onmessage = ({ data: { channel, up, bytes, message } }) => {
    let received = 0, sent = 0;
    channel.binaryType = 'arraybuffer';
    const block = new Uint8Array(message);
    const push = () => {
      while (sent < bytes && channel.bufferedAmount < 1 << 20) {
        const size = Math.min(message, bytes - sent);
        channel.send(size === message ? block : block.subarray(0, size));
        sent += size;
      }
    };
    const open = () => { postMessage({ open: performance.now() }); if (up) { channel.bufferedAmountLowThreshold = 1 << 18; channel.onbufferedamountlow = push; } };
    channel.onopen = open;
    if (channel.readyState === 'open') open();
    channel.onmessage = ({ data }) => {
      if (!received) postMessage({ first: performance.now() });
      received += data.byteLength;
      if (received >= bytes) postMessage({ done: performance.now() });
    };
    onmessage = () => push();
  };
}

const ticks = Number(execFileSync('getconf', ['CLK_TCK']));
function stat(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1].split(' ');
  return { parent: Number(fields[1]), cpu: (Number(fields[11]) + Number(fields[12])) / ticks };
}
// CPU seconds of a process and all below it.
function cpu(root) {
  const all = new Map();
  for (const name of readdirSync('/proc')) if (/^\d+$/.test(name)) try { all.set(Number(name), stat(name)); } catch {}
  const within = (pid) => { for (; pid > 1; pid = all.get(pid)?.parent ?? 0) if (pid === root) return true; return false; };
  return [...all].filter(([pid]) => within(pid)).reduce((sum, [, { cpu }]) => sum + cpu, 0);
}

function probe(extra) {
  const words = ['--bytes', flags.bytes, ...extra];
  for (const name of ['window', 'message']) if (flags[name]) words.push(`--${name}`, flags[name]);
  const child = spawn(flags.probe, words, { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async (key) => { const { value, done } = await lines.next(); if (done) throw new Error('the probe ended'); return JSON.parse(value)[key]; };
  return { child, next, say: (value) => child.stdin.write(JSON.stringify(value) + '\n') };
}

async function once(origin) {
  const profile = mkdtempSync(join(tmpdir(), 'rtc-bench-'));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: '/usr/bin/chromium', headless: true,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync',
      '--allow-loopback-in-peer-connection', '--disable-features=WebRtcHideLocalIpsWithMdns'],
  });
  const native = probe(flags.up ? ['--up'] : []);
  try {
    const root = readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number)
      .find((pid) => { try { return stat(pid).parent === process.pid && readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(profile); } catch { return false; } });
    const tab = await context.newPage();
    await tab.goto(origin);
    if (flags.offer === 'tab') {
      native.say({ answer: await tab.evaluate('offer()') });
      const answer = await native.next('answer');
      if (flags.verbose) console.error(answer);
      await tab.evaluate((sdp) => accept(sdp), answer);
    } else {
      native.say({ offer: true });
      const offer = await native.next('offer');
      if (flags.verbose) console.error(offer);
      native.say({ accept: await tab.evaluate((sdp) => answer(sdp), offer) });
    }
    const opened = await native.next('opened');
    await tab.waitForFunction('told.open');
    const spent = cpu(root);
    native.say({});
    if (flags.up) await tab.evaluate('engine.postMessage({})');
    else { await tab.waitForFunction('told.done', null, { timeout: 180e3, polling: 20 }); native.say({}); }
    const done = await native.next('done');
    const seconds = flags.up ? done.seconds : (await tab.evaluate('told.done - told.first')) / 1e3;
    return { opened, mb_per_s: Number(flags.bytes) / seconds / 1e6, native_cpu: done.cpu_s, browser_cpu: cpu(root) - spent, native_peak_mb: done.peak_mb };
  } finally {
    native.child.kill();
    await context.close();
    rmSync(profile, { recursive: true, force: true });
  }
}

async function alone() {
  const native = probe(['--pair']);
  const done = await native.next('done');
  return { mb_per_s: done.mb_per_s, native_cpu: done.cpu_s, native_peak_mb: done.peak_mb };
}

const server = createServer((_, response) => response.setHeader('content-type', 'text/html').end(page));
await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
const results = [];
for (let run = 0; run < Number(flags.runs); run++) {
  const result = flags.pair ? await alone() : await once(`http://127.0.0.1:${server.address().port}/`);
  console.log(JSON.stringify(result, (_, value) => (typeof value === 'number' ? Math.round(value * 100) / 100 : value)));
  results.push(result);
}
const median = (key) => results.map((result) => result[key]).sort((a, b) => a - b)[results.length >> 1];
console.log('median', Object.keys(results[0]).map((key) => `${key} ${median(key).toFixed(2)}`).join('  '));
server.close();
