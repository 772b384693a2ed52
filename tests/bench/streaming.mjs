// A film that plays while it arrives, in our page and in WebTorrent's, of the same file and the same seeder over WebRTC: how long from the
// click to the picture, how long to wind, and how often it waits.

import { statSync } from 'node:fs';
import { browser } from '../browser/lib/browser.mjs';
import { seedToTabs } from '../browser/lib/tombolo.mjs';
import { film } from '../browser/lib/video.mjs';
import { WebTorrentTab } from '../browser/lib/webtorrent.mjs';
import { scoped } from './scope.mjs';

/** 60 MB. */
const FILM = { seconds: 60, bitrate: 1_000_000 };
/** Bytes a second of the seeder: twice what the film needs. */
const RATE = 2 * FILM.bitrate;
const PIECE = 256 << 10;
const RUNS = Number(process.env.RUNS ?? 3);

/**
 * In the page: calls `open(video)`, then plays for four seconds, winds to 80 % and plays for four seconds more. `bytes()` is what has been
 * received. Times in ms.
 */
async function play(open, bytes) {
  const video = document.querySelector('video');
  const picture = () => new Promise((resolve) => { video.requestVideoFrameCallback(resolve); });
  const event = (name) => new Promise((resolve) => { video.addEventListener(name, resolve, { once: true }); });
  const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });
  let stalls = 0;
  const clicked = performance.now();
  const first = picture();
  await open(video);
  video.muted = true;
  video.play().catch(() => {});
  await first;
  const found = { frame: performance.now() - clicked, fetched: bytes() };
  const count = () => { if (!video.seeking) stalls += 1; };
  video.addEventListener('waiting', count);
  await pause(4000);
  video.removeEventListener('waiting', count);
  const wound = performance.now();
  const seeked = event('seeked');
  video.currentTime = 0.8 * video.duration;
  await seeked;
  found.seek = performance.now() - wound;
  await picture();
  video.addEventListener('waiting', count);
  await pause(4000);
  return { ...found, stalls };
}

/** What a page does when somebody clicks, with our page. */
async function ours(t, chromium, relay, link) {
  const { page } = await chromium.open(relay.page());
  await page.evaluate(() => window.tombolo.ready);
  return page.evaluate(`(${play})(async () => {
    await window.tombolo.add(${JSON.stringify(link)});
    await window.tombolo.play(0);
  }, () => window.tombolo.probe().received)`);
}

/** And with WebTorrent's. */
async function theirs(t, chromium, relay, link) {
  const { page } = await WebTorrentTab.open(t, chromium);
  await page.evaluate(async () => {
    document.body.append(document.createElement('video'));
    await navigator.serviceWorker.register('./sw.min.js');
    window.client.createServer({ controller: await navigator.serviceWorker.ready });
  });
  return page.evaluate(`(${play})(async (video) => {
    const torrent = await new Promise((resolve) => window.client.add(${JSON.stringify(link)}, resolve));
    window.torrent = torrent;
    torrent.files[0].streamTo(video);
  }, () => window.torrent.received)`);
}

const PAGES = { tombolo: ours, WebTorrent: theirs };

async function once(t, page, index) {
  const file = film(index, FILM);
  const { relay, link } = await seedToTabs(t, file, PIECE, '--up', `${RATE}`);
  const found = await PAGES[page](t, await browser(t), relay, link);
  return { ...found, fetched: found.fetched / statSync(file).size };
}

const median = (list) => list.sort((one, other) => one - other)[Math.floor(list.length / 2)];

/** Medians of several runs of each: `[name, {frame, seek, stalls, fetched}]`, the last a share of the film; the pages take turns. */
export async function streaming() {
  const found = new Map();
  for (let run = 0; run < RUNS; run += 1) {
    for (const index of ['front', 'back']) {
      for (const page of Object.keys(PAGES)) {
        const name = `${page}, index at the ${index}`;
        found.set(name, [...(found.get(name) ?? []), await scoped((t) => once(t, page, index))]);
        console.error(name, JSON.stringify(found.get(name).at(-1)));
      }
    }
  }
  return [...found].map(([name, runs]) => {
    const keys = ['frame', 'seek', 'stalls', 'fetched'];
    return [name, Object.fromEntries(keys.map((key) => [key, median(runs.map((each) => each[key]))]))];
  });
}
